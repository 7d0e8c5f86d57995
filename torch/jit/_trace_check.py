"""Traces are checked: the program runs again, and graphs and results are compared."""

from __future__ import annotations

import difflib
import re
import warnings

import torch
from torch.utils import _pytree as pytree

from ._ir import text_of_constant
from ._trace_state import TracerWarning

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from ._ir import Graph, Node

__all__ = ["TracingCheckError", "check_function", "check_module"]

_NONDETERMINISTIC = (
    "Trace had nondeterministic nodes. Did you forget call .eval() on your model? Nodes:\n{}\nThis may cause errors in "
    "trace checking. To disable trace checking, pass check_trace=False to torch.jit.trace()"
)
_DIFFERS = (
    "Output nr {}. of the traced function does not match the corresponding output of the {}. Detailed error:\n{}"
)
_CONSTANTS = (
    "ERROR: Tensor-valued Constant nodes differed in value across invocations. This often indicates that the tracer "
    "has encountered untraceable code.\n"
)


class TracingCheckError(Exception):
    """A traced program did something else when it ran again."""

    def __init__(self, graph_diff_error: Any, tensor_compare_error: Any, extra_msg: Any = None) -> None:
        self.message = "Tracing failed sanity checks!\n"
        if extra_msg is not None:
            self.message += extra_msg + "\n"
        if graph_diff_error is not None:
            self.message += "ERROR: Graphs differed across invocations!\n" + _indented(graph_diff_error) + "\n"
        if tensor_compare_error is not None:
            self.message += _CONSTANTS + _indented(tensor_compare_error) + "\n"
        super().__init__(self.message)


TracingCheckError.__module__ = "torch.jit._trace"


# What names of classes and types have in one run of a trace and not in the other.
_MANGLED = re.compile(r"___torch_mangle_\d+\.")
_DETAIL = re.compile(r"\b[A-Z]\w+\([^()]*device=[^()]*\)")


def _indented(text: str) -> str:
    return "\n".join("\t" + line for line in text.split("\n"))


def _copied(inputs: Any) -> Any:
    """Inputs with tensors of their own: programs may write to them."""

    def copy(t: torch.Tensor) -> torch.Tensor:
        made = t.detach().clone(memory_format=torch.preserve_format)
        return made.requires_grad_(t.requires_grad) if t.requires_grad else made

    return pytree.tree_map_only(torch.Tensor, copy, inputs)


# ---- graphs


class _Canonical:
    """A graph's lines with values numbered anew, and without what a trace knows of its tensors."""

    def __init__(self, graph: Graph) -> None:
        self.names: dict[Any, str] = {}
        self.nodes: list[tuple[str, Node]] = []
        number = 0
        for value in graph.inputs():
            self.names[value] = value.debugName()
            number += 1
        shown = ",\n      ".join(f"%{self.names[v]} : {self.type(v)}" for v in graph.inputs())
        self.head = f"graph({shown}):"
        for node in graph.nodes():
            for value in node.outputs():
                base = value.debugName()
                self.names[value] = str(number) if base.split(".")[0].isdigit() else base
                number += 1
            self.nodes.append((self.line(node), node))
        self.tail = f"  return ({', '.join('%' + self.names[v] for v in graph.outputs())})"

    @staticmethod
    def type(value: Any) -> str:
        return _DETAIL.sub("Tensor", _MANGLED.sub("", str(value.type())))

    def line(self, node: Node) -> str:
        results = ", ".join(f"%{self.names[v]} : {self.type(v)}" for v in node.outputs())
        text = node.kind()
        if node.attributes:
            kinds = [v.type() for v in node.outputs()]
            shown = [
                f"{k}={text_of_constant(v, kinds[0]) if kinds else v}"
                for k, v in node.attributes.items() if not k.startswith("_")
            ]  # fmt: skip
            text += f"[{', '.join(shown)}]"
        text += f"({', '.join('%' + self.names[v] for v in node.inputs())})"
        line = f"{results} = {text}"
        if node.scope:
            line += f", scope: {node.scope}"
        if node.range is not None and node.range.file:
            line += f" # {node.range.where()}"
        return line

    def __str__(self) -> str:
        return "\n".join([self.head, *("  " + line for line, _ in self.nodes), self.tail]) + "\n"


def _place(node: Node) -> str:
    where = node.range
    return "" if where is None else f"{where.file}({where.first_line + where.line - 1})"


def _diff(before: str, after: str) -> str:
    return "\n".join(line.rstrip("\n") for line in difflib.ndiff(before.splitlines(True), after.splitlines(True)))


def _graph_differences(traced: Graph, again: Graph) -> tuple[str | None, str | None]:
    first, second = _Canonical(traced), _Canonical(again)
    text = None
    if str(first) != str(second):
        text = "Graph diff:\n" + _indented(_diff(str(first), str(second))) + "\n"
        for (line, node), (other_line, other) in zip(first.nodes, second.nodes, strict=False):
            if line != other_line:
                text += "First diverging operator:\n"
                text += "Node diff:\n" + _indented(_diff(line + "\n", other_line + "\n")) + "\n"
                if _place(node):
                    text += "Trace source location:\n" + _indented(_place(node)) + "\n"
                if _place(other):
                    text += "Check source location:\n" + _indented(_place(other)) + "\n"
                break
        text = text.rstrip("\n")
    return text, _constant_differences(first, second)


def _constant_differences(first: _Canonical, second: _Canonical) -> str | None:
    """The first tensor that is a constant of both graphs, and another one in each."""
    for (line, node), (_, other) in zip(first.nodes, second.nodes, strict=False):
        if node.kind() != other.kind():
            return None
        if node.kind() != "prim::Constant" or "value" not in node.attributes or "value" not in other.attributes:
            continue
        if any(v.type().kind() != "TensorType" for n in (node, other) for v in n.outputs()):
            continue
        values = [torch.as_tensor(n.attributes["value"]) for n in (node, other)]
        try:
            torch.testing.assert_close(values[0], values[1], equal_nan=True)
        except AssertionError as e:
            text = "Node:\n" + _indented(line) + "\n"
            if _place(node):
                text += "Source Location:\n" + _indented(_place(node)) + "\n"
            return text + "Comparison exception: " + _indented(str(e))
    return None


# ---- results


def _tensors(result: Any) -> Iterator[torch.Tensor]:
    for leaf in pytree.tree_leaves(result):
        if isinstance(leaf, torch.Tensor):
            yield leaf


def _outputs(run: Callable[..., Any], inputs: Any, by_name: bool, what: str) -> list[torch.Tensor]:
    try:
        copied = _copied(inputs)
        result = run(**copied) if by_name else run(*copied)
    except Exception as e:
        raise TracingCheckError(None, None, extra_msg=f"Encountered an exception while running the {what} with test "
                                                      f"inputs.\nException:\n{_indented(str(e))}") from e  # fmt: skip
    return [t.to_dense() if t.layout is not torch.strided else t for t in _tensors(result)]


def _agree(ours: list[torch.Tensor], other: list[torch.Tensor], what: str, tolerance: float) -> bool:
    agrees = True
    for number, (a, b) in enumerate(zip(ours, other, strict=False)):
        double = b.dtype in (torch.float64, torch.complex128) and a.dtype == b.dtype
        absolute = 1e-7 if double else 1e-5
        if not (b.is_floating_point() or b.is_complex()):
            absolute = 0.0
        try:
            torch.testing.assert_close(
                a.double() if a.dtype != b.dtype else a, b.double() if a.dtype != b.dtype else b,
                rtol=tolerance, atol=absolute, equal_nan=True,
            )  # fmt: skip
        except AssertionError as e:
            agrees = False
            warnings.warn(_DIFFERS.format(number + 1, what, e), TracerWarning, stacklevel=5)
    return agrees


def _switched_off(node: Node) -> bool:
    """Whether an operation that may drop numbers at random does not."""
    if node.schema is None:
        return False
    given = {a.name: v.constant() for a, v in zip(node.schema.arguments, node.inputs(), strict=False)}
    return any(given.get(name) == (True, False) for name in ("train", "training")) or any(
        given.get(name) == (True, 0.0) for name in ("dropout_p", "p", "dropout")
    )


def _warn_of_chance(graph: Graph) -> None:
    """Warn of operations that give something else each time."""
    found = []
    for node in graph.nodes():
        name = node.kind().removeprefix("aten::")
        letters = "".join(part[1] for part in torch._schema.overloads(name).values())
        if node.kind().startswith("aten::") and "s" in letters and not _switched_off(node):
            found.append(str(node).rstrip("\n"))
    if found:
        shown = "\n".join("\t" + line for line in found[:20])
        warnings.warn(_NONDETERMINISTIC.format(shown), TracerWarning, stacklevel=5)


def _compare(
    inputs: Any, by_name: bool, program: Callable[..., Any], traced: Callable[..., Any], again: Callable[..., Any],
    graphs: tuple[Graph, Graph], graph: Graph, tolerance: float,
) -> None:  # fmt: skip
    differences = _graph_differences(*graphs)
    _warn_of_chance(graph)
    ours = _outputs(traced, inputs, by_name, "trace")
    theirs = _outputs(program, inputs, by_name, "Python function")
    if _agree(ours, theirs, "Python function", tolerance):
        _agree(ours, _outputs(again, inputs, by_name, "repeated trace"), "repeated trace", tolerance)
    if any(d is not None for d in differences):
        raise TracingCheckError(*differences)


def check_function(
    check_inputs: list[Any], func: Callable[..., Any], traced: Any, tolerance: float, strict: bool, outplace: bool
) -> None:
    """Run a function again and compare it with its trace.

    Raises:
        TracingCheckError: the graphs differ.
    """
    from ._trace import trace

    with torch.no_grad():
        for inputs in check_inputs:
            by_name = isinstance(inputs, dict)
            copied = _copied(inputs)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                again = trace(
                    func, None if by_name else copied, check_trace=False, strict=strict, _force_outplace=outplace,
                    example_kwarg_inputs=copied if by_name else None,
                )  # fmt: skip
            _compare(inputs, by_name, func, traced, again, (traced.inlined_graph, again.inlined_graph),
                     traced.graph, tolerance)  # fmt: skip


def check_module(
    check_inputs: list[dict[str, Any]], module: torch.nn.Module, traced: Any, tolerance: float, strict: bool,
    outplace: bool, by_name: bool,
) -> None:  # fmt: skip
    """Run a module's methods again and compare them with their traces.

    Raises:
        TracingCheckError: the graphs differ.
    """
    from ._trace import _trace_methods, make_tuple

    with torch.no_grad():
        for given in check_inputs:
            named = by_name or any(isinstance(v, dict) and by_name for v in given.values())
            inputs = {n: v if named else make_tuple(v) for n, v in given.items()}
            again = _trace_methods(
                module, _copied(inputs), None, False, None, tolerance, strict, outplace, None, named
            )
            for name, example in inputs.items():
                program = module if name == "forward" else getattr(module, name)
                ours, repeated = getattr(traced, name), getattr(again, name)
                graphs = (ours.inlined_graph, repeated.inlined_graph)
                _compare(example, named, program, ours, repeated, graphs, ours.graph, tolerance)
