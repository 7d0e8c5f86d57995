"""An exported program from the JSON text of a .pt2 file.

Everything in the text is looked up or parsed, nothing is evaluated. What does not fit raises a RuntimeError.
"""

from __future__ import annotations

import ast
import operator
import re
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.fx import Graph, GraphModule, Node
from torch.fx.experimental._expressions import Expr, Symbol
from torch.fx.experimental.symbolic_shapes import ShapeEnv, ValueRanges, int_oo
from torch.utils import _pytree as pytree

from .. import _guards
from ..exported_program import ExportedProgram, ModuleCallEntry, ModuleCallSignature
from ..graph_signature import (
    ConstantArgument,
    ExportGraphSignature,
    InputKind,
    InputSpec,
    OutputKind,
    OutputSpec,
    SymBoolArgument,
    SymFloatArgument,
    SymIntArgument,
    TensorArgument,
)
from . import _expressions, _tables
from ._write import place_text

__all__ = ["program_from_json", "tensor_geometry"]

_LISTS = {"as_ints": int, "as_floats": float, "as_bools": bool, "as_strings": str}


def _fail(text: str) -> RuntimeError:
    return RuntimeError(f"torch.export.load: {text}")


def _one(data: Any) -> tuple[str, Any]:
    """The kind and the content of a value that has one of several forms."""
    if not isinstance(data, dict) or len(data) != 1:
        raise _fail(f"expected a value with one kind, got {str(data)[:80]}")
    return next(iter(data.items()))


def _number(value: Any) -> float:
    if isinstance(value, str):
        if value not in ("Infinity", "-Infinity", "NaN"):
            raise _fail(f"no number: {value[:80]!r}")
        return float(value)
    return float(value)


def tensor_geometry(data: Any) -> tuple[Any, list[int], list[int], int]:
    """Dtype, sizes, strides and offset of a stored tensor."""
    if _tables.lookup(_tables.LAYOUTS, data["layout"], "layout") is not torch.strided:
        raise _fail("only strided tensors can be read")
    sizes, strides = ([int(s["as_int"]) for s in data[key]] for key in ("sizes", "strides"))
    offset = int(data["storage_offset"]["as_int"])
    if len(sizes) != len(strides) or min([*sizes, *strides, offset, 0]) < 0:
        raise _fail("a tensor's sizes and strides do not fit")
    return _tables.lookup(_tables.DTYPES, data["dtype"], "dtype"), sizes, strides, offset


def program_from_json(
    model: Any, state: dict[str, Any], constants: dict[str, Any], example: Any
) -> ExportedProgram:
    """The program of a file's text and tensors. RuntimeError if the text is not that of a program."""
    try:
        version = model["schema_version"]["major"]
        if version != _tables.SCHEMA_VERSION[0]:
            raise _fail(
                f"the file has version {version} of the format, of which only version "
                f"{_tables.SCHEMA_VERSION[0]} can be read"
            )
        return _Reader(model).program(state, constants, example)
    except (KeyError, TypeError, AttributeError, IndexError, ValueError, NotImplementedError) as e:
        raise _fail(f"the file's program cannot be read: {type(e).__name__}: {e}") from e


class _Reader:
    def __init__(self, model: dict[str, Any]) -> None:
        self.model = model
        self.module = model["graph_module"]
        self.env = ShapeEnv()
        self.mode = FakeTensorMode(allow_non_fake_inputs=True)
        self.parts: dict[int, dict[str, torch.nn.Module]] = {}

    def program(self, state: dict[str, Any], constants: dict[str, Any], example: Any) -> ExportedProgram:
        self.read_ranges()
        graph, root = self.graph(self.module["graph"])
        signature = ExportGraphSignature(
            [self.input_spec(s) for s in self.module["signature"]["input_specs"]],
            [self.output_spec(s) for s in self.module["signature"]["output_specs"]],
        )
        self.check_tensors(signature, state, constants)
        calls = [self.call(c) for c in self.module["module_call_graph"]]
        if not calls or calls[0].signature is None:
            raise _fail("the file does not say how the program is called")
        ranges = dict(self.ranges)
        program = ExportedProgram(root, graph, signature, state, ranges, calls, example, constants)
        program._dialect = str(self.model["verifiers"][0]) if self.model.get("verifiers") else "TRAINING"
        program._input_names = _names_of(calls[0].signature)
        values = self.user_values(graph, signature)
        self.read_guards(values, program._input_names)
        program._guards = _guards.collect(self.env, values, program._input_names)
        program.validate()
        return program

    @staticmethod
    def check_tensors(signature: ExportGraphSignature, state: dict[str, Any], constants: dict[str, Any]) -> None:
        for spec in signature.input_specs:
            home = state if spec.kind is InputKind.PARAMETER or spec.persistent else constants
            if spec.kind is not InputKind.USER_INPUT and not isinstance(home.get(str(spec.target)), torch.Tensor):
                raise _fail(f"the file has no tensor {spec.target!r}")

    # ---- sizes

    def read_ranges(self) -> None:
        self.ranges: dict[Any, ValueRanges] = {}
        for text, r in self.model["range_constraints"].items():
            low, high = r["min_val"], r["max_val"]
            known = ValueRanges(-int_oo if low is None else int(low), int_oo if high is None else int(high))
            expr = _plain_expression(text)
            symbol = _symbol_of(expr)
            self.ranges[symbol if symbol is not None else expr] = known
            if symbol is not None:
                self.env.var_to_range[symbol] = known
        graph = self.module["graph"]
        for kind in ("sym_int_values", "sym_float_values"):
            for value in graph[kind].values():
                self.note_hint(value, kind == "sym_float_values")
        for tensor in graph["tensor_values"].values():
            for size in [*tensor["sizes"], *tensor["strides"]]:
                self.note_hint(size)

    def note_hint(self, data: Any, floating: bool = False) -> None:
        """Note the value of a symbol for the example."""
        if "as_expr" not in data:
            return
        expr = _expressions.read_expression(data["as_expr"]["expr_str"])
        hint = data["as_expr"].get("hint")
        symbol = _symbol_of(expr)
        for s in expr.symbols:
            known = self.env.var_to_range.setdefault(s, ValueRanges(0, int_oo))
            self.env.var_to_val.setdefault(s, max(2, known.lower) if known.upper > 1 else 1)
        if hint is None:
            self.env.unbacked |= expr.symbols
            if floating and symbol is not None:
                self.env.floating.add(symbol)
        elif symbol is not None:
            self.env.var_to_val[symbol] = int(_one(hint)[1])

    def size(self, data: Any) -> Any:
        kind, value = _one(data)
        if kind == "as_int":
            return int(value)
        return self.env.symint(_expressions.read_expression(value["expr_str"]))

    def fake(self, data: Any) -> FakeTensor:
        """A fake tensor of a stored geometry."""
        shape, stride = [[self.size(s) for s in data[key]] for key in ("sizes", "strides")]
        dtype = _tables.lookup(_tables.DTYPES, data["dtype"], "dtype")
        _tables.lookup(_tables.LAYOUTS, data["layout"], "layout")
        sizes, steps = ([s.node.hint if isinstance(s, torch.SymInt) else s for s in v] for v in (shape, stride))
        device = torch.device(data["device"]["type"])
        made = FakeTensor(self.mode, torch.empty_strided(sizes, steps, dtype=dtype, device="meta"), device)
        if data["requires_grad"]:
            made.requires_grad_()
        if any(isinstance(s, torch.SymInt) for s in (*shape, *stride)):
            made._sizes, made._steps = tuple(shape), tuple(stride)
        return made

    def symbolic(self, data: Any, made: Any) -> Any:
        kind, value = _one(data)
        if kind != "as_expr":
            return value
        expr = _expressions.read_expression(value["expr_str"])
        if made is torch.SymInt:
            return self.env.symint(expr)
        constant = expr.constant
        if constant is not None:
            return float(constant)
        from torch.fx.experimental.sym_node import SymNode

        return torch.SymFloat(SymNode(expr, self.env, float))

    def truth(self, data: Any) -> Any:
        kind, value = _one(data)
        if kind != "as_expr":
            return bool(value)
        found = _expressions.read_condition(value["expr_str"], self.env)
        return found if isinstance(found, bool) else torch.SymBool(found)

    # ---- graphs

    def graph(self, data: Any) -> tuple[Graph, torch.nn.Module]:
        graph, root = Graph(), torch.nn.Module()
        return _GraphReader(self, data, graph, root).read(), root

    # ---- what surrounds the graph

    def input_spec(self, data: Any) -> InputSpec:
        kind, d = _one(data)
        if kind == "user_input":
            return InputSpec(InputKind.USER_INPUT, _signature_argument(d["arg"]), None)
        if kind == "constant_input":
            value = _constant(d["value"])
            return InputSpec(InputKind.USER_INPUT, ConstantArgument(str(d["name"]), value), None)
        arg = TensorArgument(str(d["arg"]["name"])) if "arg" in d else None
        if kind == "parameter":
            return InputSpec(InputKind.PARAMETER, arg, str(d["parameter_name"]))
        if kind == "buffer":
            return InputSpec(InputKind.BUFFER, arg, str(d["buffer_name"]), bool(d["persistent"]))
        if kind == "tensor_constant":
            return InputSpec(InputKind.CONSTANT_TENSOR, arg, str(d["tensor_constant_name"]))
        raise _fail(f"inputs of kind {kind!r} cannot be read")

    def output_spec(self, data: Any) -> OutputSpec:
        kind, d = _one(data)
        if kind == "user_output":
            name, _ = _one(d["arg"])
            if name in _ARGUMENTS and (name == "as_tensor" or "as_name" in d["arg"][name]):
                return OutputSpec(OutputKind.USER_OUTPUT, _signature_argument(d["arg"]), None)
            return OutputSpec(OutputKind.USER_OUTPUT, ConstantArgument("", _constant(d["arg"])), None)
        if kind not in _MUTATIONS:
            raise _fail(f"outputs of kind {kind!r} cannot be read")
        found, field = _MUTATIONS[kind]
        return OutputSpec(found, TensorArgument(str(d["arg"]["name"])), str(d[field]) if field else None)

    @staticmethod
    def call(data: Any) -> ModuleCallEntry:
        s = data["signature"]
        if s is None:
            return ModuleCallEntry(str(data["fqn"]))
        signature = ModuleCallSignature(
            [_signature_argument(a) for a in s["inputs"]],
            [_signature_argument(a) for a in s["outputs"]],
            pytree.treespec_loads(s["in_spec"]),
            pytree.treespec_loads(s["out_spec"]),
            s.get("forward_arg_names"),
        )
        return ModuleCallEntry(str(data["fqn"]), signature)

    @staticmethod
    def user_values(graph: Graph, signature: ExportGraphSignature) -> list[Any]:
        places = [n for n in graph.nodes if n.op == "placeholder"]
        if len(places) != len(signature.input_specs):
            raise _fail("the graph's inputs are not those of its signature")
        return [
            n.meta.get("val")
            for n, s in zip(places, signature.input_specs, strict=True)
            if s.kind is InputKind.USER_INPUT
        ]

    def read_guards(self, values: list[Any], names: list[str]) -> None:
        """Note the conditions on the sizes of the inputs."""
        texts = self.model.get("guards_code") or []
        places: dict[str, Expr] = {}
        for value, name in zip(values, names, strict=False):
            text = place_text(name)
            if isinstance(value, FakeTensor):
                for i, s in enumerate(value.shape):
                    places[f"{text}.size()[{i}]"] = s.node.expr if isinstance(s, torch.SymInt) else Expr.of(s)
            elif isinstance(value, torch.SymInt):
                places[text] = value.node.expr
        for text in texts:
            relation = _expressions.read_python(text, places, self.env)
            if not all(s.constant is not None or s.symbols for s in _expressions_of(relation)):
                continue
            self.env.assume_all(relation)


def _expressions_of(relation: Any) -> list[Expr]:
    if relation.sign in ("and", "or"):
        return [*_expressions_of(relation.left), *_expressions_of(relation.right)]
    return [relation.left, relation.right]


class _GraphReader:
    """Reads one graph; those inside it are read where they are used."""

    def __init__(self, reader: _Reader, data: Any, graph: Graph, root: torch.nn.Module) -> None:
        self.reader, self.data, self.graph, self.root = reader, data, graph, root
        self.values: dict[str, Any] = {}
        self.nodes: dict[str, Node] = {}

    def read(self) -> Graph:
        for group, make in (
            ("tensor_values", self.reader.fake),
            ("sym_int_values", lambda d: self.reader.symbolic(d, torch.SymInt)),
            ("sym_float_values", lambda d: self.reader.symbolic(d, torch.SymFloat)),
            ("sym_bool_values", self.reader.truth),
        ):
            for name, value in self.data.get(group, {}).items():
                self.values[name] = make(value)
        specs = self.reader.module["signature"]["input_specs"] if self.data is self.reader.module["graph"] else []
        for i, value in enumerate(self.data["inputs"]):
            self.input(value, specs[i] if i < len(specs) else None, i)
        for node in self.data["nodes"]:
            self.node(node)
        outputs = [self.argument(v) for v in self.data["outputs"]]
        self.graph.output(outputs[0] if self.data["is_single_tensor_return"] else tuple(outputs))
        return self.graph

    def make(self, op: str, target: Any, args: Any, kwargs: Any, name: Any, meta: dict[str, Any]) -> Node:
        if not isinstance(name, str) or not name.isidentifier() or name in self.nodes:
            raise _fail(f"{str(name)[:80]!r} is no name of a node, or there are two of it")
        made = self.graph._create_named(op, target, args, kwargs, name)
        self.nodes[name] = made
        made.meta.update(meta)
        if name in self.values:
            self.note_value(made, self.values[name])
        return made

    @staticmethod
    def note_value(node: Node, value: Any) -> None:
        node.meta["val"] = value
        if isinstance(value, FakeTensor):
            from torch.fx.experimental._program_trace import ProgramTracer

            node.meta["tensor_meta"] = ProgramTracer.metadata(value)

    def input(self, data: Any, spec: Any, number: int) -> None:
        kind, value = _one(data)
        if kind == "as_tensor":
            name = value["name"]
        elif isinstance(value, dict) and "as_name" in value:
            name = value["as_name"]
        else:
            name = spec["constant_input"]["name"] if spec and "constant_input" in spec else f"constant_{number}"
            made = self.make("placeholder", name, (), {}, name, {})
            made.meta["val"] = _constant(data)
            return
        self.make("placeholder", name, (), {}, name, {})

    def node(self, data: Any) -> None:
        target = _target(data["target"])
        args, kwargs = [], {}
        for given in data["inputs"]:
            value = self.argument(given["arg"])
            if given.get("kind", 1) == 2:
                kwargs[str(given["name"])] = value
            else:
                args.append(value)
        if isinstance(target, torch._ops.OpOverload):
            args, kwargs = _placed(target, data["inputs"], args, kwargs)
        meta = _metadata(data.get("metadata") or {})
        outputs = data["outputs"]
        names = self.output_names(outputs)
        several = bool(outputs) and (len(names) > 1 or next(iter(outputs[0])) == "as_tensors")
        if isinstance(target, torch._ops.HigherOrderOperator):
            several = bool(outputs) and not data.get("is_hop_single_tensor_return")
        own = data.get("name") or (names[0] if names and not several else self.fresh(target))
        if names and not several:
            own = names[0]
        made = self.make("call_function", target, tuple(args), kwargs, own, meta)
        if several:
            parts = []
            for i, name in enumerate(names):
                item = self.make("call_function", operator.getitem, (made, i), {}, name, dict(meta))
                parts.append(item.meta.get("val"))
            made.meta["val"] = tuple(parts)

    def fresh(self, target: Any) -> str:
        base = re.sub(r"\W", "_", str(getattr(target, "_opname", getattr(target, "__name__", "node"))))
        return next(n for n in (f"{base}_{i}" for i in range(1_000_000)) if n not in self.nodes)

    @staticmethod
    def output_names(outputs: Any) -> list[str]:
        names = []
        for data in outputs:
            kind, value = _one(data)
            if kind == "as_tensors":
                names += [v["name"] for v in value]
            elif kind == "as_tensor":
                names.append(value["name"])
            elif kind in _ARGUMENTS:
                names.append(value["as_name"])
            else:
                raise _fail(f"results of kind {kind!r} cannot be read")
        return names

    def value(self, name: Any) -> Node:
        if name not in self.nodes:
            raise _fail(f"the graph uses {str(name)[:80]!r} before it is made")
        return self.nodes[name]

    def argument(self, data: Any) -> Any:
        kind, value = _one(data)
        if kind == "as_tensor":
            return self.value(value["name"])
        if kind == "as_tensors":
            return [self.value(v["name"]) for v in value]
        if kind == "as_optional_tensors":
            return [self.argument(v) for v in value]
        if kind == "as_optional_tensor":
            return self.argument(value)
        if kind in ("as_sym_int", "as_sym_float", "as_sym_bool"):
            return self.symbolic(value)
        if kind in ("as_sym_ints", "as_sym_floats", "as_sym_bools"):
            return [self.symbolic(v) for v in value]
        if kind == "as_graph":
            return self.subgraph(value)
        return _constant(data)

    def symbolic(self, data: Any) -> Any:
        kind, value = _one(data)
        return self.value(value) if kind == "as_name" else _constant(data)

    def subgraph(self, data: Any) -> Node:
        name = str(data["name"])
        if not name.isidentifier() or hasattr(torch.nn.Module, name):
            raise _fail(f"{name[:80]!r} is no name of a graph")
        if name in self.nodes:
            return self.nodes[name]
        graph, root = self.reader.graph(data["graph"])
        self.root.add_module(name, GraphModule(root, graph, name))
        return self.make("get_attr", name, (), {}, name, {})


def _placed(target: Any, inputs: Any, args: list[Any], kwargs: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """The arguments at the places that the operation's schema gives their names."""
    wanted = list(target._schema.arguments)
    names = [a.name for a in wanted]
    positional = [str(i["name"]) for i in inputs if i.get("kind", 1) != 2]
    unknown = [n for n in [*positional, *kwargs] if n not in names]
    if unknown:
        raise _fail(f"{target} has no argument {unknown[0]!r}")
    kept: list[Any] = []
    moved = dict(kwargs)
    for name, value in zip(positional, args, strict=True):
        if len(kept) == names.index(name):
            kept.append(value)
        else:
            moved[name] = value
    return kept, moved


def _target(text: Any) -> Any:
    """The operation that a name stands for, and nothing else that Python finds under it."""
    parts = str(text).split(".")
    if parts[:3] == ["torch", "ops", "higher_order"] and len(parts) == 4:
        found = getattr(torch.ops.higher_order, parts[3], None) if parts[3].isidentifier() else None
        if isinstance(found, torch._ops.HigherOrderOperator):
            return found
    elif parts[:2] == ["torch", "ops"] and len(parts) == 5 and all(p.isidentifier() for p in parts):
        packet = getattr(getattr(torch.ops, parts[2], None), parts[3], None)
        found = getattr(packet, parts[4], None) if isinstance(packet, torch._ops.OpOverloadPacket) else None
        if isinstance(found, torch._ops.OpOverload):
            return found
    elif text in _tables.FUNCTIONS:
        return _tables.FUNCTIONS[text]
    raise _fail(f"the program calls {str(text)[:120]!r}, which is no operation that is known here")


def _constant(data: Any) -> Any:
    kind, value = _one(data)
    if kind in _LISTS:
        make = _number if kind == "as_floats" else _LISTS[kind]
        return [make(v) for v in value]
    if kind not in _CONSTANTS:
        raise _fail(f"values of kind {kind!r} cannot be read")
    return _CONSTANTS[kind](value)


_CONSTANTS: dict[str, Any] = {
    "as_none": lambda v: None,
    "as_int": int,
    "as_bool": bool,
    "as_float": _number,
    "as_string": str,
    "as_complex": lambda v: complex(_number(v["real"]), _number(v["imag"])),
    "as_scalar_type": lambda v: _tables.lookup(_tables.DTYPES, v, "dtype"),
    "as_layout": lambda v: _tables.lookup(_tables.LAYOUTS, v, "layout"),
    "as_memory_format": lambda v: _tables.lookup(_tables.MEMORY_FORMATS, v, "memory format"),
    "as_device": lambda v: torch.device(str(v["type"])) if v.get("index") is None else torch.device(
        str(v["type"]), int(v["index"])),
    "as_int_lists": lambda v: [[int(i) for i in part] for part in v],
    "as_operator": _target,
}  # fmt: skip
_ARGUMENTS: dict[str, Any] = {
    "as_tensor": TensorArgument,
    "as_sym_int": SymIntArgument,
    "as_sym_float": SymFloatArgument,
    "as_sym_bool": SymBoolArgument,
}
_MUTATIONS = {
    "buffer_mutation": (OutputKind.BUFFER_MUTATION, "buffer_name"),
    "parameter_mutation": (OutputKind.PARAMETER_MUTATION, "parameter_name"),
    "user_input_mutation": (OutputKind.USER_INPUT_MUTATION, "user_input_name"),
    "loss_output": (OutputKind.LOSS_OUTPUT, ""),
    "gradient_to_parameter": (OutputKind.GRADIENT_TO_PARAMETER, "parameter_name"),
    "gradient_to_user_input": (OutputKind.GRADIENT_TO_USER_INPUT, "user_input_name"),
}


def _signature_argument(data: Any) -> Any:
    kind, value = _one(data)
    if kind not in _ARGUMENTS:
        return ConstantArgument("", _constant(data))
    if kind != "as_tensor" and "as_name" not in value:
        return ConstantArgument("", _constant(value))
    return _ARGUMENTS[kind](str(value["name" if kind == "as_tensor" else "as_name"]))


def _metadata(data: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "stack_trace" in data:
        found["stack_trace"] = str(data["stack_trace"])
    if data.get("nn_module_stack"):
        stack = {}
        for entry in str(data["nn_module_stack"]).split(";"):
            key, _, rest = entry.partition(",")
            path, _, kind = rest.rpartition(",")
            stack[key] = (path, kind)
        found["nn_module_stack"] = stack
    if "torch_fn" in data:
        found["torch_fn"] = tuple(str(data["torch_fn"]).split(";"))
    return found


def _names_of(signature: ModuleCallSignature) -> list[str]:
    """The inputs as expressions of the parameters, in the order of the graph's."""
    spec = signature.in_spec
    args, kwargs = pytree.tree_unflatten(list(range(spec.num_leaves)), spec)
    heads = list(signature.forward_arg_names or [])
    pairs = list(zip(heads, args, strict=False)) + list(kwargs.items())
    from .._trace import _source

    found = []
    for head, value in pairs:
        with_paths = pytree.tree_flatten_with_path({head: value})[0]
        found += [_source(path) for path, _ in with_paths]
    return found


def _symbol_of(expr: Expr) -> Symbol | None:
    """The symbol that an expression is, if it is no more than one."""
    symbols = expr.symbols
    if len(symbols) != 1:
        return None
    (symbol,) = symbols
    return symbol if expr == Expr.of(symbol) else None


def _plain_expression(text: str) -> Expr:
    """An expression as it is printed, such as ``s17 + 1``."""
    names = {n.id for n in ast.walk(ast.parse(text, mode="eval")) if isinstance(n, ast.Name)}
    relation = _expressions.read_python(f"({text}) == 0", {n: Expr.of(Symbol(n)) for n in names}, ShapeEnv())
    return relation.left  # type: ignore[no-any-return]
