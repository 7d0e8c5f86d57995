"""An exported program as a graph of ONNX operations."""

from __future__ import annotations

import math
import operator
from typing import Any

import torch
from torch.export.graph_signature import ConstantArgument, InputKind, OutputKind
from torch.fx import GraphModule, Node
from torch.utils._progress import Progress

from . import _forms, _symbolic
from ._builder import Builder, Value
from .errors import ConversionError, UnsupportedOperatorError

__all__ = ["Converted", "Refused", "convert", "has_form"]

_SIZES = {
    operator.add: "Add", operator.sub: "Sub", operator.mul: "Mul", operator.floordiv: "Div", operator.mod: "Mod",
    operator.pow: "Pow", torch.sym_max: "Max", torch.sym_min: "Min",
}  # fmt: skip
_COMPARISONS = {
    operator.eq: "Equal", operator.lt: "Less", operator.le: "LessOrEqual", operator.gt: "Greater",
    operator.ge: "GreaterOrEqual",
}  # fmt: skip


class Refused(Exception):  # noqa: N818
    """An operation whose form cannot do what is asked: it may be taken apart instead."""

    def __init__(self, op: Any, reason: Exception) -> None:
        super().__init__(f"{op}: {reason}")
        self.op, self.reason = op, reason


class Converted:
    """A converted program: its graph, and which of its inputs are the user's."""

    def __init__(self, builder: Builder, users: list[Value], kinds: list[bool]) -> None:
        self.builder, self.users = builder, users
        # For each leaf of the arguments, whether the model has an input for it.
        self.taken = kinds


def form_name(op: Any) -> str:
    """The name under which the table of forms knows an operation."""
    return f"{op._opname}.{op._overloadname}"


def has_form(op: Any, custom: dict[Any, Any], opset: int) -> bool:
    """Whether an operation can be written as it is."""
    if op in custom or _symbolic.find(op, opset) is not None:
        return True
    return op.namespace == "aten" and form_name(op) in _forms.FORMS


def convert(program: Any, opset: int, custom: dict[Any, Any]) -> Converted:
    """The graph of a program that was taken apart. Raises Refused where a form cannot do what is asked."""
    return _Converter(program, opset, custom).run()


class _Converter:
    def __init__(self, program: Any, opset: int, custom: dict[Any, Any]) -> None:
        self.program, self.opset, self.custom = program, opset, custom
        self.builder = Builder(opset)

    def run(self) -> Converted:
        b, signature = self.builder, self.program.graph_signature
        values: dict[Node, Any] = {}
        users: list[Value] = []
        taken: list[bool] = []
        places = [n for n in self.program.graph.nodes if n.op == "placeholder"]
        for node, spec in zip(places, signature.input_specs, strict=True):
            if spec.kind is InputKind.USER_INPUT:
                values[node] = self.user_input(node, spec, users, taken)
        for node, spec in zip(places, signature.input_specs, strict=True):
            if spec.kind is not InputKind.USER_INPUT:
                stored = self.program.state_dict if spec.target in self.program.state_dict else self.program.constants
                values[node] = b.weight(str(spec.target), stored[spec.target])
        b.inputs = users
        results = _Graph(self, b, self.program.graph_module).run(values)
        self.outputs(results)
        return Converted(b, users, taken)

    def user_input(self, node: Node, spec: Any, users: list[Value], taken: list[bool]) -> Any:
        value = node.meta.get("val")
        known = isinstance(spec.arg, ConstantArgument)
        taken.append(not known)
        if known:
            return spec.arg.value
        if isinstance(value, torch.Tensor):
            made = Value(self.builder.name(node.name), value.dtype, tuple(value.shape))
        else:
            made = Value(self.builder.name(node.name), torch.int64, ())
        users.append(made)
        return made

    def outputs(self, results: Any) -> None:
        b = self.builder
        inner = {v for n in b.nodes for v in n.outputs}
        for value, spec in zip(results, self.program.graph_signature.output_specs, strict=True):
            if spec.kind is not OutputKind.USER_OUTPUT or value is None:
                continue
            if not isinstance(value, Value):
                if isinstance(value, str):
                    raise ConversionError(f"the output {value!r} is a text, which a model cannot give")
                value = b.constant(value)
            if value not in inner or value in b.outputs:
                value = b.op("Identity", value, like=value)
            b.outputs.append(value)


class _Graph:
    """Converts the nodes of one traced graph."""

    def __init__(self, converter: _Converter, builder: Builder, owner: torch.nn.Module) -> None:
        self.converter, self.b, self.owner = converter, builder, owner

    def run(self, values: dict[Node, Any]) -> Any:
        """Convert all nodes; ``values`` has those of the inputs. The results."""
        self.values = values
        graph = self.owner.graph  # type: ignore[union-attr]
        with Progress(len(graph.nodes), "Converting to ONNX", unit="op", least=0) as progress:
            for node in graph.nodes:
                progress.update(1)
                if node.op == "get_attr":
                    values[node] = _Part(self.converter, self.b, getattr(self.owner, str(node.target)))
                elif node.op == "call_function":
                    values[node] = self.call(node)
        found = graph.output_node().args[0]
        return self.argument(found if isinstance(found, (tuple, list)) else (found,))

    def argument(self, value: Any) -> Any:
        if isinstance(value, Node):
            return self.values[value]
        if isinstance(value, (list, tuple)):
            return [self.argument(v) for v in value]
        return value

    def call(self, node: Node) -> Any:
        args = self.argument(node.args)
        kwargs = {k: self.argument(v) for k, v in node.kwargs.items()}
        before = len(self.b.nodes)
        self.b.result, self.b.label, self.b.place = node.meta.get("val"), node.name, _place(node)
        if node.target is operator.getitem and not isinstance(args[0], Value):
            found = args[0][args[1]]
            return self.named(found, node) if isinstance(found, Value) else found
        if isinstance(node.target, torch._ops.OpOverload):
            found = self.operation(node.target, args, kwargs)
        elif isinstance(node.target, torch._ops.HigherOrderOperator):
            form = _forms.FORMS.get(f"higher_order.{node.target.name()}")
            if form is None:
                raise UnsupportedOperatorError(str(node.target), self.b.opset)
            found = form(self.b, *args, **kwargs)
        else:
            found = self.number(node.target, args)
        made = {v for n in self.b.nodes[before:] for v in n.outputs}
        _fill(found, node.meta.get("val"))
        return self.named(found, node) if isinstance(found, Value) and found in made else found

    def named(self, value: Value, node: Node) -> Value:
        """Give the result of a node its name."""
        if value.name.startswith("val_") and value.name not in self.b.top.weights:
            for made in reversed(self.b.nodes):
                if value in made.outputs:
                    made.name = self.b.name(f"node_{node.name}")
                    break
            value.name = self.b.name(node.name)
        return value

    def operation(self, op: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        b = self.b
        own = self.converter.custom.get(op)
        if own is not None:
            return _symbolic.call_custom(own, b, args, kwargs)
        registered = _symbolic.find(op, b.opset)
        if registered is not None:
            return _symbolic.call_registered(registered, b, op, args, kwargs)
        form = _forms.FORMS.get(form_name(op)) if op.namespace == "aten" else None
        if form is None:
            raise UnsupportedOperatorError(f"{op.namespace}::{form_name(op)}", b.opset)
        try:
            return form(b, *args, **kwargs)
        except NotImplementedError as e:
            raise Refused(op, e) from e

    def number(self, function: Any, args: list[Any]) -> Any:
        """A function of sizes."""
        if not any(isinstance(a, Value) for a in args):
            return function(*args)
        b = self.b
        floating = isinstance(b.result, torch.SymFloat) or function is operator.truediv
        dtype = torch.float32 if floating else torch.int64
        like = (dtype, ())
        if function in _COMPARISONS or function is operator.ne:
            mixed = any(isinstance(a, float) or getattr(a, "dtype", None) == torch.float32 for a in args)
            given = [b.scalar(a, torch.float32 if mixed else torch.int64) for a in args]
            made = b.op(_COMPARISONS.get(function, "Equal"), *given, like=(torch.bool, ()))
            return b.op("Not", made, like=(torch.bool, ())) if function is operator.ne else made
        if function is operator.truediv or function in _SIZES:
            kind = "Div" if function is operator.truediv else _SIZES[function]
            return b.op(kind, *[b.scalar(a, dtype) for a in args], like=like)
        if function is operator.neg:
            return b.op("Neg", args[0], like=args[0])
        if function in (operator.and_, operator.or_):
            return b.op("And" if function is operator.and_ else "Or", *args, like=(torch.bool, ()))
        if function is torch.sym_not:
            return b.op("Not", args[0], like=(torch.bool, ()))
        if function is torch.sym_float:
            return b.scalar(args[0], torch.float32)
        if function is torch.sym_sqrt:
            return b.op("Sqrt", b.scalar(args[0], torch.float32), like=(torch.float32, ()))
        if function in (math.floor, math.ceil):
            made = b.op("Floor" if function is math.floor else "Ceil", b.scalar(args[0], torch.float32))
            return b.cast(made, torch.int64)
        if function in (math.trunc, torch.sym_int):
            return b.cast(args[0], torch.int64)
        raise ConversionError(f"the function {function} of sizes has no form in ONNX")


class _Part:
    """A graph that an operation runs: a branch, or the body of a loop."""

    def __init__(self, converter: _Converter, builder: Builder, module: Any) -> None:
        self.converter, self.builder, self.module = converter, builder, module

    def inline(self, operands: Any) -> Any:
        """The results, as operations of the graph around it."""
        return self._run(self.builder, operands)

    def __call__(self, operands: Any) -> Builder:
        """A graph without inputs of its own."""
        inner = Builder(self.builder.opset, self.builder)
        inner.outputs = self._own(inner, self._run(inner, operands))
        return inner

    def loop(self, condition: _Part, carried: Any, extra: Any) -> Builder:
        """The body of a loop: it counts, and says whether to go on."""
        inner = Builder(self.builder.opset, self.builder)
        count = Value(inner.name("iteration"), torch.int64, ())
        goes_on = Value(inner.name("goes_on"), torch.bool, ())
        places = [Value(inner.name(f"carried_{i}"), v.dtype, v.shape) for i, v in enumerate(carried)]
        inner.inputs = [count, goes_on, *places]
        results = self._run(inner, [*places, *extra])
        again = condition._run(inner, [*results, *extra])[0]
        inner.outputs = self._own(inner, [inner.cast(again, torch.bool), *results])
        return inner

    @staticmethod
    def _own(inner: Builder, results: Any) -> list[Value]:
        """Results as values of the graph itself, each once."""
        made = {v for n in inner.nodes for v in n.outputs}
        found: list[Value] = []
        for value in results:
            plain = value if isinstance(value, Value) else inner.constant(value)
            fresh = plain in made and plain not in found
            found.append(plain if fresh else inner.op("Identity", plain, like=plain))
        return found

    def _run(self, builder: Builder, operands: Any) -> Any:
        assert isinstance(self.module, GraphModule)
        places = [n for n in self.module.graph.nodes if n.op == "placeholder"]
        values = dict(zip(places, operands, strict=True))
        saved = (builder.result, builder.label, builder.place)
        try:
            return _Graph(self.converter, builder, self.module).run(values)
        finally:
            builder.result, builder.label, builder.place = saved


def _fill(found: Any, traced: Any) -> None:
    """Note dtypes and shapes that a form left open."""
    if isinstance(found, (tuple, list)) and isinstance(traced, (tuple, list)):
        for one, like in zip(found, traced, strict=False):
            _fill(one, like)
    elif isinstance(found, Value) and isinstance(traced, torch.Tensor):
        found.dtype = traced.dtype if found.dtype is None else found.dtype
        found.shape = tuple(traced.shape) if found.shape is None else found.shape


def _place(node: Node) -> dict[str, str]:
    """Where in the program a node comes from, as PyTorch writes it into models."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    kinds = [str(kind) for _, kind in stack]
    names = [path for path, _ in stack]
    target = str(node.target)
    found = {
        "namespace": "/".join([f"{n}: {k}" for n, k in zip(names, kinds, strict=True)] + [f"{node.name}: {target}"]),
        "pkg.torch.onnx.class_hierarchy": str([*kinds, target]),
        "pkg.torch.onnx.name_scopes": str([*names, node.name]),
        "pkg.torch.onnx.fx_node": node.format_node() or "",
    }
    if node.meta.get("stack_trace"):
        found["pkg.torch.onnx.stack_trace"] = node.meta["stack_trace"]
    return found
