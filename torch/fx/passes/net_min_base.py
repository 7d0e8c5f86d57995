"""Finding the nodes of a graph for which two ways of running it disagree."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..graph_module import GraphModule
from ..node import Node
from .shape_prop import ShapeProp
from .split_utils import split_by_tags
from .tools_common import CALLABLE_NODE_OPS

__all__ = ["FxNetMinimizerBadModuleError", "FxNetMinimizerResultMismatchError", "FxNetMinimizerRunFuncError"]

_LOGGER = logging.getLogger(__name__)


class FxNetMinimizerBadModuleError(Exception):
    """The graph cannot be cut as wanted."""


class FxNetMinimizerRunFuncError(Exception):
    """One of the two ways failed."""


class FxNetMinimizerResultMismatchError(Exception):
    """The two ways gave different results."""


@dataclass
class _MinimizerSettingBase:
    """How to look: ``traverse_method`` is "sequential", "binary", "accumulate" or "skip".

    ``accumulate_error`` hands the second way's results on, ``find_all`` goes on after the first difference.
    """

    accumulate_error: bool = False
    traverse_method: str = "sequential"
    find_all: bool = False
    return_intermediate: bool = False
    all_outputs: bool = False

    def __str__(self) -> str:
        return "FX Minimizer Settings:\n" + "".join(f"\t{k}: {v}\n" for k, v in vars(self).items())


class _MinimizerBase:
    """Runs parts of a graph in two ways, ``run_a`` and ``run_b``, which subclasses define, and compares the results.

    Args:
        module: the module.
        sample_input: its arguments.
        compare_fn: a function of two results and the names of the outputs that returns a number and whether they agree.
        settings: how to look.
        module_exporter: called with a part's inputs, the part and a name, for each one that disagrees.
        exclusions: called with all nodes between start and end; takes out those not to look at.
    """

    def __init__(
        self,
        module: GraphModule,
        sample_input: Any,
        compare_fn: Callable[[Any, Any, list[str]], tuple[float, bool]],
        settings: _MinimizerSettingBase,
        module_exporter: Callable[[Any, GraphModule, str], None] | None = None,
        exclusions: Callable[[list[Node], int, int], None] | None = None,
    ) -> None:
        if not isinstance(module, GraphModule):
            raise AssertionError(f"Expected GraphModule, got {type(module)}")
        self.module, self.sample_input, self.compare_fn = module, sample_input, compare_fn
        self.module_exporter, self.settings, self.exclusions = module_exporter, settings, exclusions
        self.a_outputs: dict[str, Any] = {}
        self.b_outputs: dict[str, Any] = {}
        self.results: dict[Any, Any] = {}
        self.reports: list[list[str]] = []
        for node, value in zip((n for n in module.graph.nodes if n.op == "placeholder"), sample_input, strict=False):
            self.a_outputs[node.name] = self.b_outputs[node.name] = value

    def run_shape_prop(self) -> None:
        """Note the sizes of all results."""
        ShapeProp(self.module).propagate(*self.sample_input)

    def run_a(self, mod: GraphModule, inputs: Any, report_idx: int = -1) -> Any:
        """The first way of running a part."""
        raise RuntimeError("run_a() is not implemented.")

    def run_b(self, mod: GraphModule, inputs: Any, report_idx: int = -1) -> Any:
        """The second way of running a part."""
        raise RuntimeError("run_b() is not implemented.")

    def _part(self, nodes: list[Node]) -> tuple[GraphModule, str]:
        """The module cut into what comes before some nodes, these, and what comes after."""
        first, last = min(nodes), max(nodes)
        for node in self.module.graph.nodes:
            if node.op in CALLABLE_NODE_OPS:
                node.tag = "minimize" if node in nodes else "main_0" if node < first else "main_1"
                if first < node < last and node not in nodes:
                    raise FxNetMinimizerBadModuleError(f"{node} lies between the nodes that are to be run")
        used = {n.tag for n in self.module.graph.nodes if hasattr(n, "tag")}
        made = split_by_tags(self.module, [t for t in ("main_0", "minimize", "main_1") if t in used])
        for node in self.module.graph.nodes:
            if hasattr(node, "tag"):
                del node.tag
        return made, "minimize"

    def _run_and_compare(self, nodes: list[Node], names: list[str]) -> None:
        split, name = self._part(nodes)
        part: GraphModule = getattr(split, name)
        inputs = [n.name for n in part.graph.nodes if n.op == "placeholder"]
        self._fill(inputs)
        a_in = [self.a_outputs[i] for i in inputs]
        b_in = [self.b_outputs[i] for i in inputs] if self.settings.accumulate_error else a_in
        outputs = part.graph.output_node().args[0]
        results = [n.name for n in (outputs if isinstance(outputs, tuple) else (outputs,))]
        try:
            a = self.run_a(part, a_in)
            b = self.run_b(part, b_in)
        except Exception as e:
            raise FxNetMinimizerRunFuncError(f"running {names} failed: {e}") from e
        for store, value in ((self.a_outputs, a), (self.b_outputs, b)):
            store.update(zip(results, value if isinstance(value, tuple) else (value,), strict=True))
        number, agree = self.compare_fn(a, b, names)
        self.results[tuple(names)] = number
        self.reports.append([f"{', '.join(names)}: {number} {'agrees' if agree else 'differs'}"])
        if not agree:
            if self.module_exporter:
                self.module_exporter(a_in, part, "_".join(names))
            raise FxNetMinimizerResultMismatchError(f"Result mismatch for {tuple(names)}")

    def _fill(self, names: list[str]) -> None:
        """Values for nodes that were not run yet, by running the whole graph once."""
        if all(n in self.a_outputs for n in names):
            return
        from ..interpreter import Interpreter

        run = Interpreter(self.module, garbage_collect_values=False)
        run.run(*self.sample_input)
        for node, value in run.env.items():
            self.a_outputs.setdefault(node.name, value)
            self.b_outputs.setdefault(node.name, value)

    def _differs(self, nodes: list[Node]) -> bool:
        try:
            self._run_and_compare(nodes, [n.name for n in nodes])
        except (FxNetMinimizerResultMismatchError, FxNetMinimizerRunFuncError) as e:
            _LOGGER.info("%s", e)
            return True
        return False

    def _binary(self, nodes: list[Node]) -> set[Node]:
        if not self._differs(nodes):
            return set()
        if len(nodes) == 1:
            return set(nodes)
        half = len(nodes) // 2
        found = self._binary(nodes[:half])
        if not found or self.settings.find_all:
            found |= self._binary(nodes[half:])
        return found or set(nodes)

    def _sequential(self, nodes: list[Node]) -> set[Node]:
        found: set[Node] = set()
        for node in nodes:
            if self._differs([node]):
                found.add(node)
                if not self.settings.find_all:
                    break
        return found

    def _accumulate(self, nodes: list[Node]) -> set[Node]:
        found: set[Node] = set()
        for i, node in enumerate(nodes):
            if self._differs(nodes[: i + 1]):
                found.add(node)
                if not self.settings.find_all:
                    break
        return found

    def _collect(self, start: str | None, end: str | None) -> list[Node]:
        nodes = [n for n in self.module.graph.nodes if n.op in CALLABLE_NODE_OPS]
        names = [n.name for n in nodes]
        first = names.index(start) if start is not None else 0
        last = names.index(end) if end is not None else len(nodes) - 1
        chosen = nodes[first : last + 1]
        if self.exclusions is not None:
            self.exclusions(chosen, first, last)
        return chosen

    def run_nodes(self, start: str | None = None, end: str | None = None) -> None:
        """Run the nodes from one name to another as one part, and compare."""
        nodes = self._collect(start, end)
        self._run_and_compare(nodes, [n.name for n in nodes])

    def print_report(self, report: list[str]) -> None:
        """Print one comparison."""
        for line in report:
            print(line)

    def print_reports(self) -> None:
        """Print all comparisons."""
        for report in self.reports:
            self.print_report(report)

    def minimize(
        self,
        start: str | None = None,
        end: str | None = None,
        skip_nodes: list[str] | None = None,
        find_last_node: bool | None = None,
    ) -> set[Node]:
        """The nodes between two names for which the two ways disagree.

        Raises:
            RuntimeError: the settings name an unknown method.
        """
        nodes = self._collect(start, end)
        method = self.settings.traverse_method
        if method == "sequential":
            return self._sequential(nodes)
        if method == "binary":
            return self._binary(nodes)
        if method == "accumulate":
            return self._accumulate(nodes)
        if method == "skip":
            skipped = set(skip_nodes or ())
            return self._sequential([n for n in nodes if n.name not in skipped])
        raise RuntimeError(f"Unknown traverse method {method}!")
