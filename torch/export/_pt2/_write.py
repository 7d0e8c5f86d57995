"""An exported program as the JSON text of a .pt2 file."""

from __future__ import annotations

import ast
import inspect
import math
import operator
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.fx import Graph, GraphModule, Node
from torch.fx.experimental._expressions import Symbol
from torch.fx.experimental.symbolic_shapes import ShapeEnv, int_oo
from torch.utils import _pytree as pytree

from .._decompose import environment_of
from ..exported_program import ExportedProgram
from ..graph_signature import ConstantArgument, InputKind, OutputKind
from . import _expressions, _tables

__all__ = ["place_text", "program_json", "tensor_json"]

_POSITIONAL, _KEYWORD = 1, 2


def place_text(name: str) -> str:
    """An input such as ``xs['a']`` as guards call it: ``L['xs']['a']``."""
    head = name
    for i, c in enumerate(name):
        if c in ".[":
            head = name[:i]
            break
    return ast.unparse(ast.parse(f"L[{head!r}]{name[len(head) :]}", mode="eval"))


def tensor_json(value: Any, size: Any = int) -> dict[str, Any]:
    """Dtype and geometry of a tensor; ``size`` writes a number that may be symbolic."""
    write = (lambda s: {"as_int": int(s)}) if size is int else size
    fake = isinstance(value, FakeTensor)
    device = value.fake_device if fake else value.device
    return {
        "dtype": _tables.number_of(_tables.DTYPES, value.dtype),
        "sizes": [write(s) for s in value.shape],
        "requires_grad": value.requires_grad,
        "device": {"type": device.type, "index": device.index},
        "strides": [write(s) for s in value.stride()],
        "storage_offset": {"as_int": 0 if fake else int(value.storage_offset())},
        "layout": _tables.number_of(_tables.LAYOUTS, value.layout),
    }


def program_json(program: ExportedProgram) -> dict[str, Any]:
    """The whole text, as dictionaries and lists."""
    env = environment_of(program)
    writer = _Writer(program, env)
    graph = writer.graph(program.graph, program.graph_module)
    return {
        "graph_module": {
            "graph": graph,
            "signature": writer.signature(),
            "module_call_graph": [writer.call(entry) for entry in program.module_call_graph],
            "metadata": {},
            "treespec_namedtuple_fields": writer.named_tuples(),
        },
        "opset_version": {"aten": 10},
        "range_constraints": {
            repr(symbol): {
                "min_val": r.lower if isinstance(r.lower, int) else None,
                "max_val": None if r.upper == int_oo else r.upper,
            }
            for symbol, r in program.range_constraints.items()
        },
        "schema_version": {"major": _tables.SCHEMA_VERSION[0], "minor": _tables.SCHEMA_VERSION[1]},
        "verifiers": [program.dialect],
        "torch_version": torch.__version__,
        "guards_code": writer.guards(),
    }


class _Writer:
    def __init__(self, program: ExportedProgram, env: ShapeEnv) -> None:
        self.program, self.env = program, env
        self.places: dict[Symbol, str] = {}
        self.positive: set[Symbol] = set()
        users = [s.arg.name for s in program.graph_signature.input_specs if s.kind is InputKind.USER_INPUT]
        values = {n.name: n.meta.get("val") for n in program.graph.nodes if n.op == "placeholder"}
        for name, source in zip(users, program._input_names, strict=False):
            self._note_places(values.get(name), place_text(source))

    def _note_places(self, value: Any, place: str) -> None:
        found = [(value, place)] if isinstance(value, torch.SymInt) else []
        if isinstance(value, FakeTensor):
            found = [(s, f"{place}.size()[{i}]") for i, s in enumerate(value.shape) if isinstance(s, torch.SymInt)]
            self.positive |= {s for size, _ in found for s in size.node.expr.symbols}
        for size, text in found:
            expr = size.node.expr
            for symbol in expr.symbols:
                if repr(expr) == symbol.name:
                    self.places.setdefault(symbol, text)

    # ---- numbers

    def size(self, value: Any) -> dict[str, Any]:
        """An integer of a tensor's geometry."""
        return {"as_int": int(value)} if isinstance(value, int) else {"as_expr": self.expression(value)}

    def expression(self, value: Any) -> dict[str, Any]:
        """A symbolic number: its text, and its value for the example unless it depends on elements."""
        if isinstance(value, torch.SymBool):
            return {"expr_str": _expressions.relation_text(value.node, self.positive), "hint": None}
        expr = value.node.expr
        text = _expressions.expression_text(expr, self.positive)
        unbacked = getattr(self.env, "unbacked", ())
        if any(s in unbacked for s in expr.symbols):
            return {"expr_str": text, "hint": None}
        kind = "as_float" if isinstance(value, torch.SymFloat) else "as_int"
        return {"expr_str": text, "hint": {kind: value.node.hint}}

    # ---- graphs

    def graph(self, graph: Graph, owner: torch.nn.Module) -> dict[str, Any]:
        """A graph with the geometry of all its values."""
        made: dict[str, Any] = {
            "inputs": [], "outputs": [], "nodes": [], "tensor_values": {}, "sym_int_values": {},
            "sym_bool_values": {}, "is_single_tensor_return": False, "custom_obj_values": {}, "sym_float_values": {},
        }  # fmt: skip
        for node in graph.nodes:
            if node.op == "placeholder":
                made["inputs"].append(self.input(node))
                self.note_value(made, node)
            elif node.op == "output":
                results = node.args[0]
                made["is_single_tensor_return"] = isinstance(results, Node)
                parts = (results,) if isinstance(results, Node) else results
                made["outputs"] = [self.argument(v) for v in parts]
            elif node.op == "call_function" and not self.is_item(node):
                made["nodes"].append(self.node(node, owner, made))
        return made

    @staticmethod
    def is_item(node: Node) -> bool:
        """Whether a node picks one of several results: files name these where the operation is."""
        return (
            node.target is operator.getitem
            and isinstance(node.args[0], Node)
            and isinstance(node.args[0].meta.get("val"), (tuple, list))
        )

    def input(self, node: Node) -> Any:
        value = node.meta.get("val")
        known = isinstance(value, (torch.Tensor, torch.SymInt, torch.SymFloat, torch.SymBool))
        return self.argument(node) if known else self.argument(value)

    def note_value(self, made: dict[str, Any], node: Node, value: Any = None) -> None:
        value = node.meta.get("val") if value is None else value
        if isinstance(value, torch.Tensor):
            made["tensor_values"][node.name] = tensor_json(value, self.size)
        elif isinstance(value, torch.SymInt):
            made["sym_int_values"][node.name] = {"as_expr": self.expression(value)}
        elif isinstance(value, torch.SymFloat):
            made["sym_float_values"][node.name] = {"as_expr": self.expression(value)}
        elif isinstance(value, torch.SymBool):
            made["sym_bool_values"][node.name] = {"as_expr": self.expression(value)}

    def node(self, node: Node, owner: torch.nn.Module, made: dict[str, Any]) -> dict[str, Any]:
        target = node.target
        single = None
        if isinstance(target, torch._ops.OpOverload):
            name = f"torch.ops.{target.namespace}.{target._opname}.{target._overloadname}"
            inputs = self.operation_inputs(node, target._schema)
            outputs = self.results(node, made, target._schema)
        elif isinstance(target, torch._ops.HigherOrderOperator):
            name = f"torch.ops.higher_order.{target.name()}"
            inputs = [_named("", self.part(a, owner), _POSITIONAL) for a in node.args]
            single = not isinstance(node.meta.get("val"), (tuple, list))
            outputs = self.results(node, made, None)
        else:
            name = next((n for n, f in _tables.FUNCTIONS.items() if f is target), "")
            if not name:
                raise TypeError(f"torch.export.save: {target} cannot be stored in a .pt2 file")
            inputs = [_named(n, self.argument(a), _POSITIONAL) for n, a in _parameters(target, node.args)]
            outputs = self.results(node, made, None)
        return {
            "target": name, "inputs": inputs, "outputs": outputs, "metadata": _metadata(node),
            "is_hop_single_tensor_return": single, "name": node.name,
        }  # fmt: skip

    def operation_inputs(self, node: Node, schema: Any) -> list[Any]:
        wanted = [a for a in schema.arguments if not a.is_out] if len(node.kwargs) == 0 else list(schema.arguments)
        given = dict(node.kwargs)
        inputs = [
            _named(a.name, self.argument(v, a.type.annotation_str), _POSITIONAL)
            for a, v in zip(wanted, node.args, strict=False)
        ]
        for a in wanted[len(node.args) :]:
            if a.name in given:
                inputs.append(_named(a.name, self.argument(given[a.name], a.type.annotation_str), _KEYWORD))
        return inputs

    def results(self, node: Node, made: dict[str, Any], schema: Any) -> list[Any]:
        """What an operation gives, each result by the name of the node that picks it."""
        value = node.meta.get("val")
        if isinstance(value, (tuple, list)):
            items = {n.args[1]: n for n in node.users if self.is_item(n)}
            names = []
            for i, part in enumerate(value):
                item = items.get(i)
                name = item.name if item is not None else f"{node.name}_unused_{i}"
                names.append(name)
                if isinstance(part, torch.Tensor):
                    made["tensor_values"][name] = tensor_json(part, self.size)
                elif item is not None:
                    self.note_value(made, item, part)
            kinds = [self._kind(p) for p in value]
            if schema is not None and len(schema.returns) == 1:
                return [{"as_tensors": [{"name": n} for n in names]}]
            return [_by_name(k, n) for k, n in zip(kinds, names, strict=True)]
        if value is None:
            return []
        self.note_value(made, node)
        return [self.argument(node)]

    @staticmethod
    def _kind(value: Any) -> str:
        for kind, name in ((torch.SymInt, "as_sym_int"), (torch.SymFloat, "as_sym_float")):
            if isinstance(value, kind):
                return name
        return "as_tensor"

    # ---- arguments

    def part(self, value: Any, owner: torch.nn.Module) -> Any:
        """An argument of an operation that takes functions: graphs are written where they are used."""
        if isinstance(value, Node) and value.op == "get_attr":
            inner = getattr(owner, str(value.target))
            if isinstance(inner, GraphModule):
                return {"as_graph": {"name": value.target, "graph": self.graph(inner.graph, inner)}}
        return self.argument(value)

    def argument(self, value: Any, kind: str = "") -> dict[str, Any]:
        """A value with the kind that files give it; ``kind`` is its type in the schema, if there is one."""
        if value is None:
            return {"as_none": True}
        if isinstance(value, Node):
            found = value.meta.get("val")
            if isinstance(found, torch.SymBool):
                return _by_name("as_sym_bool", value.name)
            return _by_name(self._kind(found), value.name)
        if isinstance(value, (list, tuple)):
            return self.items(list(value), kind)
        plain = kind.removesuffix("?")
        if plain in ("float", "double") and isinstance(value, int):
            value = float(value)
        for check, write in _ATOMS:
            if isinstance(value, check):
                return write(value)  # type: ignore[no-any-return]
        raise TypeError(f"torch.export.save: a value of type {type(value)} cannot be stored in a .pt2 file")

    def items(self, values: list[Any], kind: str) -> dict[str, Any]:
        if "Tensor?[]" in kind:
            return {"as_optional_tensors": [self.argument(v) for v in values]}
        if kind.startswith("Tensor[") or (not values and not kind):
            return {"as_tensors": [{"name": v.name} for v in values]}
        if any(isinstance(v, Node) for v in values):
            nodes = [v.meta.get("val") for v in values if isinstance(v, Node)]
            if all(isinstance(v, torch.Tensor) for v in nodes):
                if any(v is None for v in values):
                    return {"as_optional_tensors": [self.argument(v) for v in values]}
                return {"as_tensors": [{"name": v.name} for v in values]}
            floats = any(isinstance(v, torch.SymFloat) for v in nodes)
            plain = "as_float" if floats else "as_int"
            shown = [{"as_name": v.name} if isinstance(v, Node) else {plain: v} for v in values]
            return {"as_sym_floats" if floats else "as_sym_ints": shown}
        if kind.startswith("float") or (values and all(isinstance(v, float) for v in values)):
            return {"as_floats": [_float(float(v)) for v in values]}
        if kind.startswith("bool") or (values and all(isinstance(v, bool) for v in values)):
            return {"as_bools": values}
        if values and all(isinstance(v, str) for v in values):
            return {"as_strings": values}
        if all(isinstance(v, int) for v in values):
            return {"as_ints": values}
        if all(isinstance(v, (list, tuple)) and all(isinstance(i, int) for i in v) for v in values):
            return {"as_int_lists": [list(v) for v in values]}
        raise TypeError(f"torch.export.save: the list {values!r} cannot be stored in a .pt2 file")

    # ---- what surrounds the graph

    def signature(self) -> dict[str, Any]:
        signature = self.program.graph_signature
        return {
            "input_specs": [self.input_spec(s) for s in signature.input_specs],
            "output_specs": [self.output_spec(s) for s in signature.output_specs],
        }

    def input_spec(self, spec: Any) -> dict[str, Any]:
        arg = {"name": spec.arg.name}
        if spec.kind is InputKind.PARAMETER:
            return {"parameter": {"arg": arg, "parameter_name": spec.target}}
        if spec.kind is InputKind.BUFFER:
            return {"buffer": {"arg": arg, "buffer_name": spec.target, "persistent": bool(spec.persistent)}}
        if spec.kind is InputKind.CONSTANT_TENSOR:
            return {"tensor_constant": {"arg": arg, "tensor_constant_name": spec.target}}
        if spec.kind is not InputKind.USER_INPUT:
            raise TypeError(f"torch.export.save: inputs of kind {spec.kind.name} cannot be stored in a .pt2 file")
        if isinstance(spec.arg, ConstantArgument):
            return {"constant_input": {"name": spec.arg.name, "value": self.argument(spec.arg.value)}}
        return {"user_input": {"arg": _signature_argument(spec.arg)}}

    def output_spec(self, spec: Any) -> dict[str, Any]:
        if spec.kind is OutputKind.USER_OUTPUT:
            constant = isinstance(spec.arg, ConstantArgument)
            arg = self.argument(spec.arg.value) if constant else _signature_argument(spec.arg)
            return {"user_output": {"arg": arg}}
        arg = {"name": spec.arg.name}
        key, field = _MUTATIONS[spec.kind]
        return {key: {"arg": arg, field: spec.target}} if field else {key: {"arg": arg}}

    @staticmethod
    def call(entry: Any) -> dict[str, Any]:
        s = entry.signature
        if s is None:
            return {"fqn": entry.fqn, "signature": None}
        return {
            "fqn": entry.fqn,
            "signature": {
                "inputs": [_signature_argument(a) for a in s.inputs],
                "outputs": [_signature_argument(a) for a in s.outputs],
                "in_spec": pytree.treespec_dumps(s.in_spec),
                "out_spec": pytree.treespec_dumps(s.out_spec),
                "forward_arg_names": s.forward_arg_names,
            },
        }

    def named_tuples(self) -> dict[str, Any]:
        """The fields of the named tuples among arguments and results, so that a reader can compare them."""
        found: dict[str, Any] = {}

        def walk(spec: Any) -> None:
            if spec.is_leaf():
                return
            kind = spec.context if spec.type is not None and spec.type.__name__ == "namedtuple" else None
            fields = getattr(kind, "_fields", None)
            if fields is not None:
                known = pytree.SUPPORTED_SERIALIZED_TYPES.get(kind)
                found[known.name if known is not None else kind.__name__] = {"field_names": list(fields)}
            for child in spec.children_specs:
                walk(child)

        for entry in self.program.module_call_graph:
            if entry.signature is not None:
                walk(entry.signature.in_spec)
                walk(entry.signature.out_spec)
        return found

    def guards(self) -> list[str]:
        """The conditions on the sizes of the inputs beyond the ranges of the symbols."""
        texts = []
        for relation in self.env.relations:
            symbols = {s for side in _sides(relation) for s in self.env.simplify(side).symbols}
            if symbols and all(s in self.places for s in symbols):
                texts.append(relation.as_python(lambda e: _expressions.python_text(self.env.simplify(e), self.places)))
        return texts


def _sides(relation: Any) -> list[Any]:
    if relation.sign in ("and", "or"):
        return [*_sides(relation.left), *_sides(relation.right)]
    return [relation.left, relation.right]


_MUTATIONS = {
    OutputKind.BUFFER_MUTATION: ("buffer_mutation", "buffer_name"),
    OutputKind.PARAMETER_MUTATION: ("parameter_mutation", "parameter_name"),
    OutputKind.USER_INPUT_MUTATION: ("user_input_mutation", "user_input_name"),
    OutputKind.LOSS_OUTPUT: ("loss_output", ""),
    OutputKind.GRADIENT_TO_PARAMETER: ("gradient_to_parameter", "parameter_name"),
    OutputKind.GRADIENT_TO_USER_INPUT: ("gradient_to_user_input", "user_input_name"),
}


def _named(name: str, arg: Any, kind: int) -> dict[str, Any]:
    return {"name": name, "arg": arg, "kind": kind}


def _by_name(kind: str, name: str) -> dict[str, Any]:
    return {kind: {"name" if kind == "as_tensor" else "as_name": name}}


def _signature_argument(arg: Any) -> dict[str, Any]:
    kind = {"SymIntArgument": "as_sym_int", "SymFloatArgument": "as_sym_float", "SymBoolArgument": "as_sym_bool"}
    return _by_name(kind.get(type(arg).__name__, "as_tensor"), arg.name)


def _float(value: float) -> Any:
    """A float, or the word that files have for one that JSON cannot hold."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


_ATOMS: tuple[tuple[Any, Any], ...] = (
    (bool, lambda v: {"as_bool": v}),
    (int, lambda v: {"as_int": v}),
    (float, lambda v: {"as_float": _float(v)}),
    (complex, lambda v: {"as_complex": {"real": _float(v.real), "imag": _float(v.imag)}}),
    (str, lambda v: {"as_string": v}),
    (torch.dtype, lambda v: {"as_scalar_type": _tables.number_of(_tables.DTYPES, v)}),
    (torch.device, lambda v: {"as_device": {"type": v.type, "index": v.index}}),
    (torch.layout, lambda v: {"as_layout": _tables.number_of(_tables.LAYOUTS, v)}),
    (torch.memory_format, lambda v: {"as_memory_format": _tables.number_of(_tables.MEMORY_FORMATS, v)}),
    (torch._ops.OpOverload, lambda v: {"as_operator": f"torch.ops.{v.namespace}.{v._opname}.{v._overloadname}"}),
)


def _parameters(function: Any, args: tuple[Any, ...]) -> list[tuple[str, Any]]:
    """The arguments of a function on numbers with the names that its file entry has."""
    if getattr(function, "__module__", "") in ("_operator", "operator", "torch"):
        return list(zip("abcdef", args, strict=False))
    try:
        names = list(inspect.signature(function).parameters)
    except ValueError:
        names = list("abcdef")
    return list(zip(names, args, strict=False))


def _metadata(node: Node) -> dict[str, str]:
    """Where in the program a node comes from, as text."""
    found = {}
    if node.meta.get("stack_trace"):
        found["stack_trace"] = node.meta["stack_trace"]
    stack = node.meta.get("nn_module_stack")
    if stack:
        found["nn_module_stack"] = ";".join(f"{key},{path},{kind}" for key, (path, kind) in stack.items())
    if "torch_fn" in node.meta:
        found["torch_fn"] = ";".join(node.meta["torch_fn"])
    return found
