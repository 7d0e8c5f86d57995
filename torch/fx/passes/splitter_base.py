"""Splitting a module into parts that run on an accelerator and parts that do not."""

from __future__ import annotations

import argparse
import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from ..graph_module import GraphModule
from ..node import Node
from .operator_support import OperatorSupportBase, get_node_target
from .shape_prop import ShapeProp
from .split_utils import move_non_tensor_nodes_on_boundary, split_by_tags
from .tools_common import CALLABLE_NODE_OPS, FxNetAccFusionsFinder, is_node_output_tensor

__all__ = [
    "FxNetAccNodesFinder",
    "FxNetSplitterInternalError",
    "SplitResult",
    "Subgraph",
    "generate_inputs_for_submodules",
]


class FxNetSplitterInternalError(Exception):
    """The graph cannot be split as wanted."""


class _SplitterSettingBase:
    """How to split: how large parts must be, and how many there may be.

    Args:
        min_acc_module_size: smaller accelerated parts are not accelerated.
        skip_fusion: let values that are no tensors cross the boundary of parts.
        allow_non_tensor: the same for inputs and outputs.
        max_acc_splits: more accelerated parts than this are an error; -1 for any number.
    """

    def __init__(
        self,
        min_acc_module_size: int = 1,
        skip_fusion: bool = False,
        allow_non_tensor: bool = False,
        max_acc_splits: int = -1,
        move_non_tensor_nodes_on_boundary: bool = False,
    ) -> None:
        parser = argparse.ArgumentParser()
        parser.add_argument("--min-acc-module-size", "--min_acc_module_size", type=int, default=min_acc_module_size)
        parser.add_argument("--max-acc-splits", "--max_acc_splits", type=int, default=max_acc_splits)
        parser.add_argument("--skip-fusion", "--skip_fusion", action="store_true", default=skip_fusion)
        parser.add_argument("--allow-non-tensor", "--allow_non_tensor", action="store_true", default=allow_non_tensor)
        args, _ = parser.parse_known_args()
        self.min_acc_module_size: int = args.min_acc_module_size
        self.max_acc_splits: int = args.max_acc_splits
        self.skip_fusion: bool = args.skip_fusion
        self.allow_non_tensor: bool = args.allow_non_tensor
        self.move_non_tensor_nodes_on_boundary = move_non_tensor_nodes_on_boundary


@dataclass
class Subgraph:
    """A part: whether it is accelerated, and its nodes."""

    is_acc: bool
    nodes: list[Node]
    device_ordinal: int | None = None


class SplitResult(NamedTuple):
    """The split module, the inputs of each of its submodules, and how those that are not accelerated are called."""

    split_module: GraphModule
    submodule_inputs: dict[str, Any]
    non_acc_submodule_prefix: str


class FxNetAccNodesFinder:
    """Finds the nodes to accelerate: the supported ones, without those at whose edge there is no tensor."""

    def __init__(self, module: GraphModule, operator_support: OperatorSupportBase, allow_non_tensor: bool) -> None:
        self.module, self.operator_support, self.allow_non_tensor = module, operator_support, allow_non_tensor
        self.acc_nodes: set[Node] = set()

    def reduce_acc_nodes_non_tensor_input_helper(self, cpu_worklist: list[Node]) -> None:
        """Take out the users of nodes that are not accelerated and give no tensor."""
        while cpu_worklist:
            node = cpu_worklist.pop(0)
            for user in node.users:
                if user in self.acc_nodes:
                    self.acc_nodes.remove(user)
                    if not is_node_output_tensor(user):
                        cpu_worklist.append(user)

    def reduce_acc_nodes_non_tensor_input(self) -> None:
        """Take out nodes that take something else than tensors from outside."""
        self.reduce_acc_nodes_non_tensor_input_helper([
            n for n in self.module.graph.nodes
            if n.op in CALLABLE_NODE_OPS and n not in self.acc_nodes and not is_node_output_tensor(n)
        ])  # fmt: skip

    def reduce_acc_nodes_non_tensor_output(self) -> None:
        """Take out nodes that give something else than tensors to the outside."""
        while True:
            found = [
                n for n in self.acc_nodes
                if not is_node_output_tensor(n) and any(u not in self.acc_nodes for u in n.users)
            ]  # fmt: skip
            if not found:
                return
            self.acc_nodes.difference_update(found)
            self.reduce_acc_nodes_non_tensor_input_helper(found)

    def __call__(self) -> set[Node]:
        modules = dict(self.module.named_modules())
        self.acc_nodes = {
            n for n in self.module.graph.nodes
            if n.op in CALLABLE_NODE_OPS and self.operator_support.is_node_supported(modules, n)
        }  # fmt: skip
        if not self.allow_non_tensor:
            self.reduce_acc_nodes_non_tensor_input()
            self.reduce_acc_nodes_non_tensor_output()
        return self.acc_nodes


def generate_inputs_for_submodules(
    model: torch.nn.Module, inputs: Sequence[Any], target_submodules: Iterable[str], deepcopy: bool = False
) -> dict[str, Any]:
    """What the submodules at some paths are called with when the model runs on ``inputs``."""
    wanted, found, handles = set(target_submodules), {}, []
    names = {module: name for name, module in model.named_modules()}

    def note(module: torch.nn.Module, args: Any) -> None:
        found[names[module]] = copy.deepcopy(args) if deepcopy else args

    for name, module in model.named_modules():
        if name in wanted:
            handles.append(module.register_forward_pre_hook(note))
    try:
        with torch.no_grad():
            model(*inputs)
    finally:
        for handle in handles:
            handle.remove()
    return found


class _SplitterBase:
    """Splits a module by what an accelerator supports.

    Args:
        module: the module; its graph is used as it is.
        sample_input: arguments, to find the sizes out with.
        operator_support: says which nodes the accelerator runs.
        settings: how to split.
        non_acc_submodule_name: the name, before a number, of parts that are not accelerated.
        return_tuple: let parts return tuples.
    """

    PCIe_BW = 100 * 2**30

    def __init__(
        self,
        module: GraphModule,
        sample_input: Sequence[Any],
        operator_support: OperatorSupportBase,
        settings: _SplitterSettingBase,
        non_acc_submodule_name: str = "_run_on_cpu_",
        return_tuple: bool = False,
        nodes_finder: FxNetAccNodesFinder | None = None,
    ) -> None:
        if not isinstance(module, GraphModule):
            raise AssertionError(f"Expected GraphModule, got {type(module)}")
        self.module, self.sample_input = module, sample_input
        ShapeProp(module).propagate(*sample_input)
        self.settings, self.operator_support = settings, operator_support
        finder = nodes_finder or FxNetAccNodesFinder(module, operator_support, settings.allow_non_tensor)
        self.acc_nodes = finder()
        self.fusions: dict[Node, set[Node]] = {}
        if not settings.skip_fusion:
            self.fusions = FxNetAccFusionsFinder(module, self.acc_nodes)()
        self.deps = self.find_deps()
        self.update_deps_for_fusions()
        self.non_acc_submodule_name = non_acc_submodule_name
        self._return_tuple = return_tuple
        self.tags: list[str] = []

    def get_node_submodule_map(self) -> dict[str, str]:
        """Node to the part that it went to."""
        return {n.name: n.tag for n in self.module.graph.nodes if hasattr(n, "tag")}

    def find_deps(self) -> dict[Node, set[Node]]:
        """Node to the nodes that it uses."""
        deps: dict[Node, set[Node]] = {n: set() for n in self.module.graph.nodes if n.op in CALLABLE_NODE_OPS}
        for node in deps:
            for user in node.users:
                if user.op != "output":
                    deps[user].add(node)
        return deps

    def update_deps_for_fusions(self) -> None:
        """Let the nodes of a group use what any of them does."""
        for group in {id(g): g for g in self.fusions.values()}.values():
            together = set().union(*(self.deps[n] for n in group)) - group
            for node in group:
                self.deps[node] = together | (self.deps[node] & group)

    def put_nodes_into_subgraphs(self) -> list[Subgraph]:
        """The parts in the order in which they run, each as large as can be."""
        waiting = [n for n in self.module.graph.nodes if n.op in CALLABLE_NODE_OPS]
        done: set[Node] = set()
        parts: list[Subgraph] = []
        acc = bool(waiting) and not any(not self.deps[n] and n not in self.acc_nodes for n in waiting)
        while waiting:
            nodes: list[Node] = []
            changed = True
            while changed:
                changed = False
                for node in list(waiting):
                    if (node in self.acc_nodes) is acc and self.deps[node] <= done | set(nodes) | self.fusions.get(
                        node, set()
                    ):
                        nodes.append(node)
                        waiting.remove(node)
                        changed = True
            if nodes:
                parts.append(Subgraph(acc, sorted(nodes)))
                done.update(nodes)
            elif parts and parts[-1].is_acc is not acc and not nodes and len(parts) > 2 * len(self.deps):
                raise FxNetSplitterInternalError("Couldn't create subgraphs")
            acc = not acc
        if not parts:
            raise FxNetSplitterInternalError("Couldn't create subgraphs")
        return parts

    def remove_small_acc_subgraphs(self, subgraphs: list[Subgraph]) -> list[Subgraph]:
        """Parts that are too small to be accelerated join their neighbours."""
        result: list[Subgraph] = []
        for part in subgraphs:
            if part.is_acc and len(part.nodes) < self.settings.min_acc_module_size:
                part = Subgraph(False, part.nodes)
            if result and not part.is_acc and not result[-1].is_acc:
                result[-1].nodes.extend(part.nodes)
            else:
                result.append(part)
        return result

    def tag(self, subgraphs: list[Subgraph]) -> None:
        """Give each node the name of its part."""
        self.tags = []
        for part in subgraphs:
            name = f"_run_on_acc_{len(self.tags)}" if part.is_acc else f"{self.non_acc_submodule_name}{len(self.tags)}"
            self.tags.append(name)
            for node in part.nodes:
                if hasattr(node, "tag"):
                    raise FxNetSplitterInternalError(f"Node {node} was already tagged")
                node.tag = name  # type: ignore[attr-defined]

    def split(self, remove_tag: bool = False) -> GraphModule:
        """The module with a submodule for each part."""
        made: GraphModule = split_by_tags(self.module, self.tags, return_tuple=self._return_tuple)
        if remove_tag:
            for node in self.module.graph.nodes:
                if hasattr(node, "tag"):
                    del node.tag
        return made

    def __call__(self) -> GraphModule:
        parts = self.remove_small_acc_subgraphs(self.put_nodes_into_subgraphs())
        if self.settings.move_non_tensor_nodes_on_boundary:
            move_non_tensor_nodes_on_boundary(parts)
        count = sum(p.is_acc for p in parts)
        if 0 <= self.settings.max_acc_splits < count:
            raise ValueError(
                "Cannot fulfill max_acc_splits limit. This may cause split fragmentation and result in performance "
                f"issues: {count} accelerated parts, {self.settings.max_acc_splits} allowed"
            )
        self.tag(parts)
        return self.split()

    def generate_split_results(self) -> SplitResult:
        """The split module, with what its submodules are called with."""
        made = self()
        names = [name for name, _ in made.named_children()]
        return SplitResult(
            made, generate_inputs_for_submodules(made, self.sample_input, names), self.non_acc_submodule_name
        )

    def node_support_preview(self, dump_graph: bool = False) -> str:
        """Which targets are supported and which are not, as text."""
        modules = dict(self.module.named_modules())
        lines: dict[bool, dict[str, None]] = {True: {}, False: {}}
        for node in self.module.graph.nodes:
            if node.op in CALLABLE_NODE_OPS:
                lines[node in self.acc_nodes][get_node_target(modules, node)] = None
        text = "\nSupported node types in the model:\n" + "".join(f"{t}\n" for t in lines[True])
        text += "\nUnsupported node types in the model:\n" + "".join(f"{t}\n" for t in lines[False])
        print(text)
        return text

    def split_preview(self, dump_graph: bool = False) -> str:
        """Which parts there would be, as text."""
        parts = self.remove_small_acc_subgraphs(self.put_nodes_into_subgraphs())
        accelerated = sum(p.is_acc for p in parts)
        text = (
            f"Before removing small acc subgraphs, total {len(parts)} subgraphs: {accelerated} acc subgraphs and "
            + (f"{len(parts) - accelerated} cpu subgraphs.\n")
        )
        for i, part in enumerate(parts):
            text += f"{'_run_on_acc_' if part.is_acc else self.non_acc_submodule_name}{i}: {len(part.nodes)} node(s)\n"
        print(text)
        return text
