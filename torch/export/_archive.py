"""Exported programs in files: a zip archive with the graph as JSON, and the tensors as ``torch.save`` writes them.

Reading executes nothing: targets are looked up by name among operations, structures among those that pytree knows, and
the tensors are read with ``weights_only``.
"""

from __future__ import annotations

import io
import json
import math
import operator
import zipfile
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.fx import Graph, GraphModule, Node
from torch.fx.experimental._expressions import Call, Expr, Symbol
from torch.fx.experimental._trace_helpers import set_grad_enabled
from torch.fx.experimental.sym_node import RelationNode
from torch.fx.experimental.symbolic_shapes import ShapeEnv, ValueRanges, int_oo
from torch.utils import _pytree as pytree

from . import _guards
from .exported_program import ExportedProgram, ModuleCallEntry, ModuleCallSignature
from .graph_signature import (
    ConstantArgument,
    ExportGraphSignature,
    InputKind,
    InputSpec,
    OutputKind,
    OutputSpec,
    SymIntArgument,
    TensorArgument,
)

__all__ = ["read", "write"]

_FORMAT = "tabula exported program"
_VERSION = 1
_PYTHON = {
    f"{m.__name__}.{n}": getattr(m, n)
    for m, names in (
        (operator, "add sub mul floordiv truediv mod pow neg getitem eq ne lt le gt ge and_ or_"),
        (math, "floor ceil"),
        (torch, "sym_max sym_min sym_float sym_int sym_sqrt sym_not"),
    )
    for n in names.split()
} | {"set_grad_enabled": set_grad_enabled}


# ---- expressions and values


def _expr_out(e: Expr) -> Any:
    return [[c, [[_atom_out(a), p] for a, p in m]] for m, c in e.terms.items()]


def _atom_out(a: Any) -> Any:
    return a.name if isinstance(a, Symbol) else [a.name, [_expr_out(x) for x in a.args]]


def _expr_in(data: Any) -> Expr:
    return Expr({tuple((_atom_in(a), p) for a, p in m): c for c, m in data})


def _atom_in(data: Any) -> Any:
    return Symbol(data) if isinstance(data, str) else Call(data[0], tuple(_expr_in(x) for x in data[1]))


def _size_out(s: Any) -> Any:
    return {"e": _expr_out(s.node.expr)} if isinstance(s, torch.SymInt) else s


class _Values:
    """Values that are not known by name, as JSON; each has a tag."""

    def __init__(self, nodes: dict[str, Node] | None = None, env: ShapeEnv | None = None) -> None:
        self.nodes, self.env = nodes or {}, env

    def out(self, v: Any) -> Any:
        if v is None or isinstance(v, (bool, str)):
            return v
        if isinstance(v, int):
            return v
        if isinstance(v, float):
            return v if math.isfinite(v) else {"t": "float", "v": repr(v)}
        if isinstance(v, complex):
            return {"t": "complex", "v": [v.real, v.imag]}
        if isinstance(v, Node):
            return {"t": "node", "v": v.name}
        if isinstance(v, (list, tuple)):
            return {"t": "list" if isinstance(v, list) else "tuple", "v": [self.out(x) for x in v]}
        if isinstance(v, dict):
            return {"t": "dict", "v": [[self.out(k), self.out(x)] for k, x in v.items()]}
        if isinstance(v, slice):
            return {"t": "slice", "v": [self.out(x) for x in (v.start, v.stop, v.step)]}
        for kind, name in ((torch.dtype, "dtype"), (torch.layout, "layout"), (torch.memory_format, "memory_format")):
            if isinstance(v, kind):
                return {"t": name, "v": str(v).removeprefix("torch.")}
        if isinstance(v, torch.device):
            return {"t": "device", "v": str(v)}
        raise TypeError(f"torch.export.save: a value of type {type(v)} cannot be stored")

    def into(self, d: Any) -> Any:
        if not isinstance(d, dict):
            return d
        kind, v = d["t"], d["v"]
        if kind == "node":
            return self.nodes[v]
        if kind in ("list", "tuple"):
            parts = [self.into(x) for x in v]
            return parts if kind == "list" else tuple(parts)
        if kind == "dict":
            return {self.into(k): self.into(x) for k, x in v}
        if kind == "slice":
            return slice(*(self.into(x) for x in v))
        if kind == "float":
            return float(v)
        if kind == "complex":
            return complex(*v)
        if kind == "device":
            return torch.device(v)
        if kind in ("dtype", "layout", "memory_format"):
            found = getattr(torch, v)
            if not isinstance(found, getattr(torch, kind)):
                raise RuntimeError(f"torch.export.load: torch.{v} is no {kind}")
            return found
        raise RuntimeError(f"torch.export.load: unknown kind of value {kind!r}")


def _target_out(target: Any) -> str:
    if isinstance(target, torch._ops.OpOverload):
        return f"op:{target.namespace}:{target._opname}:{target._overloadname}"
    if isinstance(target, torch._ops.HigherOrderOperator):
        return f"hop:{target.name()}"
    for name, function in _PYTHON.items():
        if function is target:
            return f"py:{name}"
    raise TypeError(f"torch.export.save: {target} cannot be stored")


def _target_in(text: str) -> Any:
    kind, _, rest = text.partition(":")
    if kind == "op":
        namespace, name, overload = rest.split(":")
        return getattr(getattr(getattr(torch.ops, namespace), name), overload)
    if kind == "hop":
        return getattr(torch.ops.higher_order, rest)
    if kind == "py" and rest in _PYTHON:
        return _PYTHON[rest]
    raise RuntimeError(f"torch.export.load: unknown target {text!r}")


# ---- graphs


def _meta_out(node: Node) -> dict[str, Any]:
    found: dict[str, Any] = {}
    value = node.meta.get("val")
    if isinstance(value, (list, tuple)):
        found["val"] = {"parts": [_fake_out(v) for v in value]}
    elif value is not None:
        found["val"] = _fake_out(value)
    for key in ("stack_trace", "torch_fn"):
        if key in node.meta:
            found[key] = node.meta[key]
    if "nn_module_stack" in node.meta:
        found["nn_module_stack"] = [[k, list(v)] for k, v in node.meta["nn_module_stack"].items()]
    return found


def _fake_out(v: Any) -> Any:
    if isinstance(v, FakeTensor):
        return {
            "shape": [_size_out(s) for s in v.shape], "stride": [_size_out(s) for s in v.stride()],
            "hint": [list(v._meta.shape), list(v._meta.stride())], "dtype": str(v.dtype).removeprefix("torch."),
            "device": str(v.fake_device), "requires_grad": v.requires_grad,
        }  # fmt: skip
    if isinstance(v, torch.SymInt):
        return _size_out(v)
    return {"value": v} if v is None or isinstance(v, (int, float, bool, str)) else None


def _graph_out(graph: Graph) -> list[Any]:
    values = _Values()
    return [
        {
            "op": n.op, "name": n.name, "args": values.out(tuple(n.args)), "kwargs": values.out(dict(n.kwargs)),
            "target": _target_out(n.target) if n.op == "call_function" else n.target, "meta": _meta_out(n),
        }
        for n in graph.nodes
    ]  # fmt: skip


def _graph_in(data: list[Any], env: ShapeEnv, mode: FakeTensorMode) -> Graph:
    graph = Graph()
    values = _Values()
    for d in data:
        target = _target_in(d["target"]) if d["op"] == "call_function" else d["target"]
        node = graph._create_named(d["op"], target, values.into(d["args"]), values.into(d["kwargs"]), d["name"])
        values.nodes[d["name"]] = node
        meta = dict(d["meta"])
        value = meta.pop("val", None)
        if value is not None:
            parts = value.get("parts") if isinstance(value, dict) else None
            node.meta["val"] = (
                tuple(_fake_in(v, env, mode) for v in parts) if parts is not None else _fake_in(value, env, mode)
            )
        if isinstance(node.meta.get("val"), FakeTensor):
            from torch.fx.experimental._program_trace import ProgramTracer

            node.meta["tensor_meta"] = ProgramTracer.metadata(node.meta["val"])
        if "nn_module_stack" in meta:
            meta["nn_module_stack"] = {k: tuple(v) for k, v in meta["nn_module_stack"]}
        if "torch_fn" in meta:
            meta["torch_fn"] = tuple(meta["torch_fn"])
        node.meta.update(meta)
    return graph


def _fake_in(d: Any, env: ShapeEnv, mode: FakeTensorMode) -> Any:
    if not isinstance(d, dict):
        return d
    if "value" in d:
        return d["value"]
    if "e" in d:
        return env.symint(_expr_in(d["e"]))
    sizes, steps = d["hint"]
    dtype = _Values().into({"t": "dtype", "v": d["dtype"]})
    fake = FakeTensor(mode, torch.empty_strided(sizes, steps, dtype=dtype, device="meta"), torch.device(d["device"]))
    if d["requires_grad"]:
        fake.requires_grad_()
    shape = [_fake_in(s, env, mode) for s in d["shape"]]
    if any(isinstance(s, torch.SymInt) for s in shape):
        fake._sizes, fake._steps = tuple(shape), tuple(_fake_in(s, env, mode) for s in d["stride"])
    return fake


# ---- programs


def _argument_out(a: Any) -> Any:
    constant = isinstance(a, ConstantArgument)
    return {"kind": type(a).__name__, "name": a.name, "value": _Values().out(a.value) if constant else None}


def _argument_in(d: Any) -> Any:
    if d["kind"] == "ConstantArgument":
        return ConstantArgument(d["name"], _Values().into(d["value"]))
    return {"TensorArgument": TensorArgument, "SymIntArgument": SymIntArgument}[d["kind"]](d["name"])


def _bound_out(b: Any) -> Any:
    return b if isinstance(b, int) else repr(b)


def _bound_in(b: Any) -> Any:
    return {"int_oo": int_oo, "-int_oo": -int_oo}.get(b, b) if isinstance(b, str) else b


def _environment_out(program: ExportedProgram) -> Any:
    from ._decompose import _environment

    env = _environment(program)
    return {
        "hints": {s.name: v for s, v in env.var_to_val.items()},
        "ranges": {s.name: [_bound_out(r.lower), _bound_out(r.upper)] for s, r in env.var_to_range.items()},
        "equal": {s.name: _expr_out(e) for s, e in env.replacements.items()},
        "relations": [_relation_out(r) for r in env.relations],
    }


def _relation_out(r: RelationNode) -> Any:
    if r.sign in ("and", "or"):
        return [r.sign, _relation_out(r.left), _relation_out(r.right)]
    return [r.sign, _expr_out(r.left), _expr_out(r.right)]


def _relation_in(d: Any, env: ShapeEnv) -> RelationNode:
    read = (lambda x: _relation_in(x, env)) if d[0] in ("and", "or") else _expr_in
    return RelationNode(d[0], read(d[1]), read(d[2]), env)


def _environment_in(data: Any) -> ShapeEnv:
    env = ShapeEnv()
    env.var_to_val = {Symbol(n): v for n, v in data["hints"].items()}
    env.var_to_range = {Symbol(n): ValueRanges(_bound_in(a), _bound_in(b)) for n, (a, b) in data["ranges"].items()}
    env.replacements = {Symbol(n): _expr_in(e) for n, e in data["equal"].items()}
    env.relations = [_relation_in(r, env) for r in data["relations"]]
    return env


def _tensors(values: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    torch.save({k: v.detach() for k, v in values.items()}, buffer)
    return buffer.getvalue()


def write(program: ExportedProgram, f: Any, extra_files: dict[str, Any]) -> None:
    """Write a program and some texts to a file."""
    signature = program.graph_signature
    entry = program.module_call_graph[0].signature
    assert entry is not None
    parts = {
        name: _graph_out(child.graph)  # type: ignore[arg-type, union-attr]
        for name, child in program.graph_module.named_children()
        if isinstance(child, GraphModule)
    }
    model = {
        "graph": _graph_out(program.graph), "parts": parts, "dialect": program.dialect,
        "inputs": [[s.kind.name, _argument_out(s.arg), s.target, s.persistent] for s in signature.input_specs],
        "outputs": [[s.kind.name, _argument_out(s.arg), s.target] for s in signature.output_specs],
        "in_spec": pytree.treespec_dumps(entry.in_spec), "out_spec": pytree.treespec_dumps(entry.out_spec),
        "parameters": entry.forward_arg_names, "modules": [e.fqn for e in program.module_call_graph[1:]],
        "sizes": _environment_out(program), "guards": _guard_inputs(program),
        "trained": {k: v.requires_grad for k, v in program.state_dict.items()},
    }  # fmt: skip
    example = program.example_inputs
    leaves = pytree.tree_leaves(example) if example is not None else []
    with zipfile.ZipFile(f, "w") as archive:
        archive.writestr("archive/archive_format", _FORMAT)
        archive.writestr("archive/archive_version", str(_VERSION))
        archive.writestr("archive/models/model.json", json.dumps(model))
        archive.writestr("archive/data/weights/model.pt", _tensors(program.state_dict))
        archive.writestr("archive/data/constants/model.pt", _tensors(program.constants))
        archive.writestr("archive/data/sample_inputs/model.pt", _sample(leaves))
        archive.writestr(
            "archive/data/sample_inputs/model.json",
            json.dumps(pytree.treespec_dumps(pytree.tree_structure(example)) if example is not None else None),
        )
        for name, text in extra_files.items():
            archive.writestr(f"archive/extra/{name}", text if isinstance(text, (str, bytes)) else str(text))


def _sample(leaves: list[Any]) -> bytes:
    buffer = io.BytesIO()
    torch.save([v.detach() if isinstance(v, torch.Tensor) else v for v in leaves], buffer)
    return buffer.getvalue()


def _guard_inputs(program: ExportedProgram) -> list[str]:
    """The names by which guards call the inputs; empty if there are no guards."""
    return list(program._input_names) if program._guards else []


def read(f: Any, extra_files: dict[str, Any] | None) -> ExportedProgram:
    """Read a program from a file, and the texts that ``extra_files`` names."""
    try:
        archive = zipfile.ZipFile(f)
        kind = archive.read("archive/archive_format").decode()
    except (zipfile.BadZipFile, KeyError) as e:
        raise RuntimeError(f"torch.export.load: the file is not an archive of an exported program: {e}") from e
    if kind != _FORMAT:
        raise RuntimeError(
            f"torch.export.load: an archive of kind {kind!r}; only those of Tabula's torch.export.save can be read"
        )
    with archive:
        model = json.loads(archive.read("archive/models/model.json"))
        state = torch.load(io.BytesIO(archive.read("archive/data/weights/model.pt")), weights_only=True)
        constants = torch.load(io.BytesIO(archive.read("archive/data/constants/model.pt")), weights_only=True)
        leaves = torch.load(io.BytesIO(archive.read("archive/data/sample_inputs/model.pt")), weights_only=True)
        shape = json.loads(archive.read("archive/data/sample_inputs/model.json"))
        for name in extra_files or {}:
            assert extra_files is not None
            extra_files[name] = archive.read(f"archive/extra/{name}").decode()
    example = None if shape is None else pytree.tree_unflatten(leaves, pytree.treespec_loads(shape))
    return _program(model, state, constants, example)


def _program(model: Any, state: dict[str, Any], constants: dict[str, Any], example: Any) -> ExportedProgram:
    env, mode = _environment_in(model["sizes"]), FakeTensorMode(allow_non_fake_inputs=True)
    graph = _graph_in(model["graph"], env, mode)
    root = torch.nn.Module()
    for name, part in model["parts"].items():
        root.add_module(name, GraphModule(torch.nn.Module(), _graph_in(part, env, mode), name))
    signature = ExportGraphSignature(
        [InputSpec(InputKind[k], _argument_in(a), t, p) for k, a, t, p in model["inputs"]],
        [OutputSpec(OutputKind[k], _argument_in(a), t) for k, a, t in model["outputs"]],
    )
    for spec in signature.input_specs:
        if spec.kind is InputKind.PARAMETER:
            state[str(spec.target)] = torch.nn.Parameter(
                state[str(spec.target)], requires_grad=model["trained"][spec.target]
            )
    entry = ModuleCallSignature(
        [], [], pytree.treespec_loads(model["in_spec"]), pytree.treespec_loads(model["out_spec"]), model["parameters"]
    )
    calls = [ModuleCallEntry("", entry), *(ModuleCallEntry(path) for path in model["modules"])]
    ranges = {s: r for s, r in env.var_to_range.items() if s not in env.replacements}
    program = ExportedProgram(root, graph, signature, state, ranges, calls, example, constants)
    program._dialect = model["dialect"]
    if model["guards"]:
        values = [n.meta.get("val") for n, s in zip(graph.nodes, signature.input_specs, strict=False)
                  if s.kind is InputKind.USER_INPUT]  # fmt: skip
        program._input_names = model["guards"]
        program._guards = _guards.collect(env, values, model["guards"])
    return program
