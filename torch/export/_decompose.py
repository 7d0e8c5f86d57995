"""Exported programs with operations taken apart, and without writes."""

from __future__ import annotations

import copy
import operator
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, unset_fake_temporarily
from torch.fx import GraphModule, Interpreter
from torch.fx.experimental._program_trace import ProgramTracer
from torch.fx.experimental.symbolic_shapes import ShapeEnv
from torch.fx.node import Node
from torch.utils import _pytree as pytree

from .exported_program import ExportedProgram, output_argument
from .graph_signature import ExportGraphSignature, InputKind, OutputKind, OutputSpec

__all__ = ["decompose", "environment_of"]


def decompose(program: ExportedProgram, table: dict[Any, Any]) -> ExportedProgram:
    """The program run again over fake tensors, with the operations of the table taken apart."""
    env = environment_of(program)
    modes = [n.meta["val"].fake_mode for n in program.graph.nodes if isinstance(n.meta.get("val"), FakeTensor)]
    fake_mode = modes[0] if modes else FakeTensorMode(allow_non_fake_inputs=True)
    own = {op: f for op, f in table.items() if not getattr(f, "__name__", "").endswith("_parts")}
    tracer = ProgramTracer(env, fake_mode, whole=True, decompositions=own, constant=_no_constant)
    tracer.notes_gradients = False
    tracer.keeps = lambda op: op not in table
    tracer.table = table  # type: ignore[attr-defined]
    copied: dict[Node, Node] = {}
    values: list[Any] = []
    for node in program.graph.nodes:
        if node.op != "placeholder":
            continue
        made = tracer.graph.node_copy(node)
        copied[node] = made
        value = node.meta.get("val")
        if isinstance(value, FakeTensor):
            fresh = _fresh(value, fake_mode)
            tracer.bind(fresh, made)
            for dim, size in enumerate(fresh.shape):
                if isinstance(size, torch.SymInt):
                    for symbol in size.node.expr.symbols:
                        tracer.size_sources.setdefault(symbol, (made, dim, len(tracer.size_sources) + 1))
            value = fresh
        elif isinstance(value, torch.SymInt):
            tracer.sizes[value.node.expr] = made
        values.append(value)
    run = _Rerun(program.graph_module, tracer)
    with tracer.running():
        result = run.run(*values, enable_io_processing=False)
    outputs = tuple(tracer.argument(v) if v is not None else None for v in result)
    tracer.graph.output(outputs)
    return _functional(program, tracer.graph)


def _no_constant(t: torch.Tensor) -> Node:
    raise RuntimeError(f"a tensor of size {tuple(t.shape)} appeared that is no input of the program")


def environment_of(program: ExportedProgram) -> ShapeEnv:
    """What is known about the open sizes of a program."""
    for node in program.graph.nodes:
        value = node.meta.get("val")
        for size in value.shape if isinstance(value, FakeTensor) else (value,):
            if isinstance(size, (torch.SymInt, torch.SymFloat)):
                return size.node.shape_env  # type: ignore[no-any-return]
    return ShapeEnv()


def _fresh(value: FakeTensor, mode: FakeTensorMode) -> FakeTensor:
    """A fake tensor like another one, that writes to it do not reach."""
    with unset_fake_temporarily():
        made = FakeTensor(mode, value._meta.clone(), value.fake_device)
    made._sizes, made._steps = value._sizes, value._steps
    return made


def _is_kept(node: Node) -> bool:
    """Whether a node gives something that depends on elements, or checks it."""
    value, target = node.meta.get("val"), node.target
    if target is torch.ops.aten._assert_scalar.default or isinstance(value, torch.SymBool):
        return True
    if target is operator.getitem and isinstance(node.args[0], Node):
        return _is_kept(node.args[0])
    return bool(_unbacked(value) - {s for n in node.all_input_nodes for s in _unbacked(n.meta.get("val"))})


def _unbacked(value: Any) -> set[Any]:
    """The symbols in a value that depend on elements."""
    found: set[Any] = set()
    for leaf in pytree.tree_leaves(value):
        for size in leaf.shape if isinstance(leaf, torch.Tensor) else (leaf,):
            if isinstance(size, (torch.SymInt, torch.SymFloat)):
                found |= size.node.expr.symbols & size.node.shape_env.unbacked
    return found


class _Rerun(Interpreter):
    """Runs the graph, each node with the place in the program that it has."""

    def __init__(self, module: GraphModule, tracer: ProgramTracer) -> None:
        super().__init__(module)
        self.tracer = tracer
        self.extra_traceback = False
        self.kept: dict[Node, Node] = {}

    def run_node(self, n: Node) -> Any:
        def describe(made: Node) -> None:
            for key in ("nn_module_stack", "stack_trace", "torch_fn"):
                if key in n.meta:
                    made.meta[key] = n.meta[key]

        self.tracer._describe = describe
        with torch.overrides._pop_mode_temporarily():
            if n.op == "call_function" and _is_kept(n):
                return self._keep(n)
        return super().run_node(n)

    def _keep(self, n: Node) -> Any:
        """Take a node over as it is: its result depends on elements, or states something of such a number."""
        tracer = self.tracer

        def place(arg: Node) -> Any:
            value = self.env[arg]
            return self.kept[arg] if arg in self.kept else tracer.argument(value)

        made = tracer.graph.node_copy(n, place)
        self.kept[n] = made
        value = n.meta.get("val")
        if isinstance(value, FakeTensor):
            value = _fresh(value, tracer.fake_mode)
            tracer.bind(value, made)
        elif isinstance(value, (torch.SymInt, torch.SymFloat)):
            tracer.sizes[value.node.expr] = made
        return value

    def call_function(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if target is torch.ops.aten.sym_size.int:
            return args[0].shape[args[1]]
        table = self.tracer.table  # type: ignore[attr-defined]
        replacement = table.get(target)
        if replacement is not None:
            if getattr(replacement, "__name__", "").endswith("_parts"):
                return self._record(self.tracer._run_parts, target, args, kwargs)
            return replacement(*args, **kwargs)
        if isinstance(target, torch._ops.OpOverload):
            if "i" in target._letters:
                return self._record(self.tracer._run_whole, target, args, kwargs, (target, args, kwargs))
            return self._record(self.tracer._run_parts, target, args, kwargs)
        return target(*args, **kwargs)

    @staticmethod
    def _record(run: Any, *args: Any) -> Any:
        with torch.overrides._pop_mode_temporarily():
            return run(*args)


# ---- without writes


def _functional(program: ExportedProgram, graph: Any) -> ExportedProgram:
    """The program with each write replaced by a new value; what inputs were written to is an output."""
    signature = copy.deepcopy(program.graph_signature)
    current: dict[Node, Node] = {}
    bases: dict[Node, tuple[Node, Any]] = {}

    def now(node: Node) -> Node:
        while node in current:
            node = current[node]
        return node

    for node in list(graph.nodes):
        if node.op != "call_function" or not isinstance(node.target, torch._ops.OpOverload):
            continue
        node.args = torch.fx.map_arg(node.args, now)
        node.kwargs = torch.fx.map_arg(node.kwargs, now)
        schema = node.target._schema
        written = [i for i, a in enumerate(schema.arguments) if a.alias_info is not None and a.alias_info.is_write]
        if not written:
            if node.target._opname in _VIEWS and isinstance(node.args[0], Node):
                bases[node] = (node.args[0], node)
            continue
        _replace_write(graph, node, current, bases, now)
    output = graph.output_node()
    results = [now(v) if isinstance(v, Node) else v for v in output.args[0]]
    specs, values = [], []
    for node, spec in zip((n for n in graph.nodes if n.op == "placeholder"), signature.input_specs, strict=True):
        if node in current:
            kind = {
                InputKind.BUFFER: OutputKind.BUFFER_MUTATION,
                InputKind.PARAMETER: OutputKind.PARAMETER_MUTATION,
            }.get(spec.kind, OutputKind.USER_INPUT_MUTATION)
            target = node.name if kind is OutputKind.USER_INPUT_MUTATION else spec.target
            specs.append(OutputSpec(kind, output_argument(now(node)), target))
            values.append(now(node))
    specs += [OutputSpec(OutputKind.USER_OUTPUT, output_argument(v), None) for v in results]
    output.args = (tuple(values + results),)
    _drop_unused(graph)
    made = ExportGraphSignature(signature.input_specs, specs)
    module = GraphModule(program.graph_module, graph)
    return program._update(module, made, dialect="ATEN")


_VIEWS = {"select": "select_scatter", "slice": "slice_scatter", "diagonal": "diagonal_scatter"}


def _replace_write(graph: Any, node: Node, current: dict[Node, Node], bases: dict[Node, Any], now: Any) -> None:
    """Replace an operation that writes to its first argument by the one that returns the new value."""
    target, name = node.args[0], node.target._opname
    if not isinstance(target, Node):
        return
    with graph.inserting_before(node):
        if name == "copy_":
            value = _copied(graph, node, target)
        else:
            packet = getattr(torch.ops.aten, name.rstrip("_"), None)
            plain = getattr(packet, node.target._overloadname, None) if packet is not None else None
            if plain is None:
                raise NotImplementedError(f"run_decompositions(): {node.target} has no form that does not write")
            value = graph.call_function(plain, node.args, dict(node.kwargs), name=name.rstrip("_"))
        value.meta = copy.copy(node.meta)
        node.replace_all_uses_with(value)
        _set_value(graph, target, value, current, bases, now)
    graph.erase_node(node)


def _copied(graph: Any, node: Node, target: Node) -> Any:
    """The value after ``target.copy_(source)``: the source, in the target's size and dtype."""
    source = node.args[1]
    mine, theirs = target.meta.get("val"), source.meta.get("val") if isinstance(source, Node) else None
    if (
        isinstance(source, Node)
        and theirs is not None
        and (mine.dtype, tuple(mine.shape)) == (theirs.dtype, tuple(theirs.shape))
    ):
        return source
    return graph.call_function(torch.ops.aten.copy.default, node.args, dict(node.kwargs), name="copy")


def _set_value(
    graph: Any, target: Node, value: Node, current: dict[Node, Node], bases: dict[Node, Any], now: Any
) -> None:
    """Say that a node has a new value; if it is a part of another one, that one has too."""
    if target is value:
        return
    origin = bases.get(target)
    current[target] = value
    if origin is None:
        return
    base, view = origin[0], origin[1]
    whole = now(base)
    scatter = getattr(torch.ops.aten, _VIEWS[view.target._opname])
    op = getattr(scatter, scatter.overloads()[0])
    made = graph.call_function(op, (whole, value, *view.args[1:]), dict(view.kwargs), name=_VIEWS[view.target._opname])
    made.meta = {k: v for k, v in whole.meta.items() if k in ("val", "tensor_meta", "nn_module_stack", "stack_trace")}
    _set_value(graph, base if base not in current else _last_before(base, current), made, current, bases, now)


def _last_before(node: Node, current: dict[Node, Node]) -> Node:
    while node in current:
        node = current[node]
    return node


def _drop_unused(graph: Any) -> None:
    for node in reversed(graph.nodes):
        if node.op == "call_function" and not node.users and not node.is_impure(impure_random=False):
            graph.erase_node(node)
