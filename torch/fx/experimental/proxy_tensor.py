"""Tracing of functions of tensors into graphs of aten operations, by running them."""

from __future__ import annotations

import contextlib
import functools
import inspect

import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, UnsupportedFakeTensorException
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

from .._codegen import _PyTreeCodeGen, _PyTreeInfo
from .._symbolic_trace import Tracer
from ..graph import Graph
from ..graph_module import GraphModule
from ..interpreter import Interpreter
from ..passes.shape_prop import _extract_tensor_metadata
from ._recorder import CallRecorder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from ..node import Node

__all__ = ["DecompositionInterpreter", "PythonKeyTracer", "get_innermost_proxy_mode", "get_isolated_graphmodule",
           "get_proxy_mode", "make_fx"]  # fmt: skip


class PythonKeyTracer(Tracer):
    """The tracer that graphs of ``make_fx`` name as theirs."""

    def __init__(self) -> None:
        super().__init__(autowrap_modules=())  # type: ignore[arg-type]


def get_proxy_mode() -> CallRecorder | None:
    """The mode that records operations now, or None."""
    found = [m for m in _get_current_dispatch_mode_stack() if isinstance(m, CallRecorder)]
    return found[-1] if found else None


get_innermost_proxy_mode = get_proxy_mode


def _input_names(f: Callable[..., Any], args: tuple[Any, ...]) -> list[str]:
    """What the parameters of the traced function are called."""
    try:
        parameters = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    plain = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = [p.name for p in parameters if p.kind in plain]
    if any(p.kind not in plain and p.kind is not inspect.Parameter.KEYWORD_ONLY for p in parameters):
        names = []
    return names if len(names) >= len(args) else [f"arg{i}" for i in range(len(args))]


class _GraphBuilder:
    """A graph from recorded operations."""

    def __init__(self) -> None:
        self.graph = Graph(tracer_cls=PythonKeyTracer)
        self.root = torch.nn.Module()
        self.nodes: dict[int, Node] = {}
        self._alive: list[Any] = []
        self.fake_mode = FakeTensorMode(allow_non_fake_inputs=True)

    def bind(self, value: Any, node: Node) -> None:
        """Say that a tensor is the result of a node."""
        self.nodes[id(value)] = node
        self._alive.append(value)
        self.describe(node, value)

    def describe(self, node: Node, value: Any) -> None:
        """Put the sizes and dtypes of a value into the node's ``meta``."""

        def fake(t: Any) -> Any:
            if not isinstance(t, torch.Tensor) or isinstance(t, FakeTensor):
                return t
            try:
                return self.fake_mode.from_tensor(t.detach())
            except UnsupportedFakeTensorException:
                return t

        node.meta["val"] = pytree.tree_map(fake, value)
        if isinstance(value, torch.Tensor) and value.layout is torch.strided and node.op != "get_attr":
            node.meta["tensor_meta"] = _extract_tensor_metadata(value)

    def argument(self, value: Any) -> Any:
        """An argument of a recorded call as one of a node."""
        if isinstance(value, torch.Tensor):
            node = self.nodes.get(id(value)) or self._alias(value)
            return node if node is not None else self.constant(value)
        if isinstance(value, (list, tuple)):
            parts = [self.argument(v) for v in value]
            return parts if isinstance(value, list) else tuple(parts)
        if isinstance(value, dict):
            return {k: self.argument(v) for k, v in value.items()}
        return value

    def _alias(self, value: torch.Tensor) -> Node | None:
        """The node of a tensor that another one stands for: transformations wrap their arguments anew."""
        if value.layout is not torch.strided or isinstance(value, FakeTensor) or value.data_ptr() == 0:
            return None
        for known in reversed(self._alive):
            if (
                isinstance(known, torch.Tensor)
                and known.layout is torch.strided
                and not isinstance(known, FakeTensor)
                and known.data_ptr() == value.data_ptr()
                and (known.shape, known.stride(), known.dtype) == (value.shape, value.stride(), value.dtype)
            ):
                return self.nodes[id(known)]
        return None

    def constant(self, value: torch.Tensor) -> Node:
        """The node of a tensor that the function took from elsewhere."""
        kind = "_param_constant" if isinstance(value, torch.nn.Parameter) else "_tensor_constant"
        number = sum(name.startswith(kind) for name in (*self.root._parameters, *self.root._buffers))
        name = f"{kind}{number}"
        if isinstance(value, torch.nn.Parameter):
            self.root.register_parameter(name, value)
        else:
            self.root.register_buffer(name, value)
        node = self.graph.get_attr(name)
        self.bind(value, node)
        node.meta.pop("tensor_meta", None)
        return node

    def add(self, call: Any) -> None:
        """Add a recorded operation, and a node for each tensor of its result."""
        kwargs = self.argument(call.kwargs)
        args = tuple(self.argument(a) for a in call.args)
        # The graph runs more than once: a constant that the function made anew is copied each time.
        op = torch.ops.aten.lift_fresh_copy.default if call.op._opname == "lift_fresh" else call.op
        node = self.graph.call_function(op, args, kwargs, name=self.graph._target_to_str(op._opname))
        result = call.result
        if isinstance(result, torch.Tensor):
            self.bind(result, node)
        elif isinstance(result, (list, tuple)):
            self.describe(node, result)
            for i, part in enumerate(result):
                if isinstance(part, torch.Tensor):
                    self._pending(part, node, i)
        else:
            self.describe(node, result)

    def _pending(self, part: torch.Tensor, node: Node, index: int) -> None:
        import operator

        self.bind(part, self.graph.call_function(operator.getitem, (node, index)))


def make_fx(
    f: Callable[..., Any],
    decomposition_table: dict[Any, Callable[..., Any]] | None = None,
    tracing_mode: str = "real",
    _allow_non_fake_inputs: bool = False,
    *,
    pre_dispatch: bool = False,
    record_module_stack: bool = False,
    _allow_fake_constant: bool = False,
    _error_on_data_dependent_ops: bool = True,
    record_stack_traces: bool = False,
    proxy_module_inputs: bool = False,
    _disable_torch_fn_metadata_mode: bool = False,
) -> Callable[..., GraphModule]:
    """A function that runs ``f`` and returns, as a graph of aten operations, what it did.

    Gradients that ``f`` computes are part of the graph, and so are ``vmap`` and the other transformations.

    Args:
        f: a function of tensors, or of nested structures of them.
        decomposition_table: operations to replace by functions.
        tracing_mode: "real" computes; "fake" only looks at sizes; "symbolic" keeps the sizes of the inputs open.
        pre_dispatch: keep operations that are made of others, and those of autograd's own context.

    Raises:
        RuntimeError: the function decides by an element of a tensor.
        AssertionError: an unknown tracing mode.

    >>> from torch.fx.experimental.proxy_tensor import make_fx
    >>> print(make_fx(lambda x: torch.nn.functional.linear(x, x))(torch.ones(2, 2)).code.strip())
    def forward(self, x_1):
        t = torch.ops.aten.t.default(x_1)
        mm = torch.ops.aten.mm.default(x_1, t);  x_1 = t = None
        return mm
    """
    if tracing_mode not in ("real", "fake", "symbolic"):
        raise AssertionError(f"tracing_mode must be 'real', 'fake' or 'symbolic', got {tracing_mode!r}")

    @functools.wraps(f)
    def wrapped(*args: Any) -> GraphModule:
        if tracing_mode == "symbolic" or pre_dispatch:
            from ._function_trace import trace_function

            return trace_function(
                f, args, decomposition_table or {}, whole=pre_dispatch, symbolic=tracing_mode == "symbolic",
                names=_input_names(f, args),
            )  # fmt: skip
        return _trace(f, args, decomposition_table or {}, tracing_mode)

    return wrapped


def _trace(
    f: Callable[..., Any], args: tuple[Any, ...], table: dict[Any, Callable[..., Any]], tracing_mode: str
) -> GraphModule:
    builder = _GraphBuilder()
    names = _input_names(f, args)
    with contextlib.ExitStack() as stack:
        if tracing_mode == "fake":
            found = [m for m in _get_current_dispatch_mode_stack() if isinstance(m, FakeTensorMode)]
            given = [t.fake_mode for t in pytree.tree_leaves(args) if isinstance(t, FakeTensor)]
            mode = (given + found or [builder.fake_mode])[0]
            builder.fake_mode = mode
            args = pytree.tree_map_only(torch.Tensor, mode.from_tensor, args)
            stack.enter_context(mode)
        leaves, in_spec = pytree.tree_flatten(args)
        for leaf, name in zip(leaves, leaf_names(args, names), strict=True):
            node = builder.graph.placeholder(name)
            if isinstance(leaf, torch.Tensor):
                builder.bind(leaf, node)
        tracked = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]
        recorder = CallRecorder(table, tracked)
        with recorder:
            result = f(*args)
    for call in recorder.calls:
        builder.add(call)
    return finish(builder.root, builder.graph, result, builder.argument, in_spec, names[: len(args)], f)


def leaf_names(args: tuple[Any, ...], names: list[str]) -> list[str]:
    """A name for each leaf of the arguments: the parameter's and a number."""
    return [
        f"{name}_{i}"
        for arg, name in zip(args, names, strict=False)
        for i in range(1, len(pytree.tree_leaves(arg)) + 1)
    ]


def finish(
    root: torch.nn.Module,
    graph: Graph,
    result: Any,
    argument: Callable[[Any], Any],
    in_spec: Any,
    names: list[str],
    f: Any,
) -> GraphModule:
    """The module of a traced function: its result is added, unused operations go."""
    if all(child.is_leaf() for child in in_spec.children()):
        graph.output(argument(result))
    else:
        leaves, out_spec = pytree.tree_flatten(result)
        graph.set_codegen(_PyTreeCodeGen(_PyTreeInfo(names, in_spec, out_spec)))
        graph.output([argument(leaf) for leaf in leaves])
    _drop_unused(graph)
    return GraphModule(root, graph, getattr(f, "__name__", type(f).__name__))


def _drop_unused(graph: Graph) -> None:
    """Erase operations whose results nobody uses and that change nothing."""
    for node in reversed(graph.nodes):
        if node.op in ("placeholder", "output") or node.users:
            continue
        schema = getattr(node.target, "_schema", None)
        writes = schema is not None and any(
            a.alias_info is not None and a.alias_info.is_write for a in schema.arguments
        )
        if not writes and not node.is_impure(impure_random=False):
            graph.erase_node(node)


def get_isolated_graphmodule(
    func: Callable[..., Any],
    args: tuple[object, ...],
    kwargs: dict[str, object],
    tracing_mode: str = "real",
    decomposition_table: dict[Any, Callable[..., Any]] | None = None,
) -> GraphModule:
    """The graph of a call, traced without the modes that are active outside."""
    from torch.utils._python_dispatch import _disable_current_modes

    leaves, spec = pytree.tree_flatten((args, kwargs))

    def call(leaves: Any) -> Any:
        a, k = pytree.tree_unflatten(list(leaves), spec)
        return func(*a, **k)

    with _disable_current_modes():
        return make_fx(call, decomposition_table, tracing_mode)(leaves)


class DecompositionInterpreter(Interpreter):
    """Runs a graph of aten operations while recording it anew, with some operations replaced by functions."""

    def __init__(
        self, module: GraphModule, new_graph: Graph, decomposition_table: dict[Any, Any] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(module, **kwargs)
        self.new_graph, self.decomposition_table = new_graph, decomposition_table or {}

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """Run the graph; the operations are added to ``new_graph``."""
        made = make_fx(lambda *a: Interpreter.run(self, *a, **kwargs), self.decomposition_table)(*args)
        copies: dict[Any, Any] = {}
        value = self.new_graph.graph_copy(made.graph, copies)
        self.new_graph.output(value)
        return made(*args)


@contextlib.contextmanager
def disable_proxy_modes_tracing() -> Iterator[None]:
    """Inside, nothing is recorded."""
    from torch.utils._python_dispatch import _disable_current_modes

    with _disable_current_modes():
        yield
