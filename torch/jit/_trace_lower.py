"""Turns a trace into TorchScript: each module call becomes a method of its module.

A method takes what was made outside the call and used in it, and returns what was made in it and is used outside;
parameters that its module does not hold come in as arguments too.
"""

from __future__ import annotations

import torch

from . import _schemas
from ._ir import Graph, SourceRange
from ._trace_graph import Constant, Node, Scope, Value, used_values
from ._trace_record import AttributeValue, type_of
from ._types import (
    BOOL,
    DEVICE,
    FLOAT,
    INT,
    NONE,
    NUMBER,
    STR,
    TENSOR,
    DictType,
    ListType,
    OptionalType,
    TensorType,
    TupleType,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ._ir import Value as GraphValue
    from ._trace_graph import Trace
    from ._types import Type

__all__ = ["Lowering", "type_named"]

_SCALARS = {
    torch.float32: "Float", torch.float64: "Double", torch.float16: "Half", torch.bfloat16: "BFloat16",
    torch.int64: "Long", torch.int32: "Int", torch.int16: "Short", torch.int8: "Char", torch.uint8: "Byte",
    torch.bool: "Bool", torch.complex64: "ComplexFloat", torch.complex128: "ComplexDouble",
}  # fmt: skip
_SIMPLE = {
    "number": NUMBER, "int": INT, "float": FLOAT, "bool": BOOL, "str": STR, "NoneType": NONE, "Device": DEVICE,
    "Tensor": TENSOR,
}  # fmt: skip


def type_named(text: str) -> Type:
    """A type from its text, ``List[Tensor]``."""
    if text in _SIMPLE:
        return _SIMPLE[text]
    head, _, rest = text.partition("[")
    parts, depth, start = [], 0, 0
    inner = rest[:-1]
    for i, char in enumerate(inner + ","):
        depth += (char == "[") - (char == "]")
        if char == "," and depth == 0:
            parts.append(inner[start:i].strip())
            start = i + 1
    types = [type_named(p) for p in parts if p]
    if head == "List":
        return ListType(types[0])
    if head == "Dict":
        return DictType(types[0], types[1])
    return TupleType(types)


def _tensor_type(example: Any, sized: bool = True) -> Type:
    """A tensor's type with what the trace saw of it."""
    if not isinstance(example, torch.Tensor) or example.layout is not torch.strided:
        return TENSOR
    name = _SCALARS.get(example.dtype)
    if name is None:
        return TENSOR
    parts = [str(int(s)) for s in example.shape]
    if parts:
        parts.append(f"strides=[{', '.join(str(s) for s in example.stride())}]")
    if sized:
        parts.append(f"requires_grad={int(example.requires_grad)}")
    parts.append(f"device={example.device}")
    return TensorType(f"{name}({', '.join(parts)})")


class Lowering:
    """Makes the graphs of a trace.

    Args:
        trace: what happened.
        place: the script module of a module, by the module's path; None for a function.
    """

    def __init__(self, trace: Trace, place: Callable[[str], Any] | None) -> None:
        self.trace, self.place = trace, place
        self.live = self._live_nodes()
        self.users: dict[Value, list[Scope]] = {}
        for node in self.live:
            for value in node.inputs():
                self.users.setdefault(value, []).append(node.scope)
        for value in used_values(trace.result):
            self.users.setdefault(value, []).append(trace.root)
        self._externals: dict[int, list[Value]] = {}

    def _live_nodes(self) -> dict[Node, None]:
        """The operations whose results are used, and those that write."""
        wanted: set[Value] = set(used_values(self.trace.result))
        live: list[Node] = []
        for node in reversed(list(self.trace.root.nodes())):
            if node.writes or any(v in wanted for v in node.outputs):
                live.append(node)
                wanted.update(node.inputs())
        return dict.fromkeys(reversed(live))

    # ---- which values cross the borders of calls

    def reach(self, scope: Scope, value: AttributeValue) -> list[str] | None:
        """The attribute names that lead from a scope's module to a parameter; None if it holds it nowhere."""
        for path, name in value.places:
            if scope.path == "":
                return [*filter(None, path.split(".")), name]
            if path == scope.path or path.startswith(scope.path + "."):
                return [*filter(None, path[len(scope.path) :].split(".")), name]
        return None

    @staticmethod
    def inside(value: Value, scope: Scope) -> bool:
        at = value.scope
        while at is not None:
            if at is scope:
                return True
            at = at.parent
        return False

    def externals(self, scope: Scope) -> list[Value]:
        """The values that a call takes from outside; parameters of other modules first."""
        found = self._externals.get(id(scope))
        if found is None:
            seen: dict[Value, None] = {}
            for value in self._in_order(scope):
                if isinstance(value, AttributeValue):
                    if self.reach(scope, value) is None:
                        seen.setdefault(value)
                elif not self.inside(value, scope):
                    seen.setdefault(value)
            attributes = [v for v in seen if isinstance(v, AttributeValue)]
            found = [*attributes, *(v for v in seen if not isinstance(v, AttributeValue))]
            self._externals[id(scope)] = found
        return found

    def _in_order(self, scope: Scope) -> list[Value]:
        """What the operations and calls of a scope use, in order."""
        used: list[Value] = []
        for item in scope.items:
            if isinstance(item, Scope):
                used += self.externals(item)
            elif item in self.live:
                used += item.inputs()
        if scope is self.trace.root:
            used += used_values(self.trace.result)
        return used

    def results(self, scope: Scope) -> list[Value]:
        """The values that a call makes and that are used outside it."""
        found: dict[Value, None] = {}
        for node in scope.nodes():
            if node in self.live:
                for value in node.outputs:
                    if any(not self._within(user, scope) for user in self.users.get(value, ())):
                        found.setdefault(value)
        return list(found)

    @staticmethod
    def _within(scope: Scope | None, outer: Scope) -> bool:
        while scope is not None:
            if scope is outer:
                return True
            scope = scope.parent
        return False

    # ---- graphs

    def root_graph(self) -> Graph:
        """The graph of the whole trace; methods of the submodules that it calls are added on the way."""
        build = _Build(self, self.trace.root)
        for name, value in self.trace.parameters:
            detailed = _tensor_type(value.example) if value.type == "Tensor" else type_named(value.type)
            build.env[value] = build.input(name, detailed)
        build.body()
        build.graph.add_output(build.value(self.trace.result))
        return build.finished()

    def flat_graph(self) -> Graph:
        """The graph of the whole trace, all calls inside each other, its inputs without names."""
        build = _Build(self, self.trace.root)
        for _, value in self.trace.parameters:
            build.env[value] = build.graph.top.add_parameter(_tensor_type(value.example))
        for node in self.trace.root.nodes():
            if node in self.live:
                build._node(node)
        outputs = self.trace.result if isinstance(self.trace.result, tuple) else (self.trace.result,)
        for part in outputs:
            build.graph.add_output(build.value(part))
        return build.finished()

    @staticmethod
    def _is_named(value: Value, scope: Scope) -> bool:
        """Whether a value from outside keeps its name inside a call: not if another call gave it."""
        return not isinstance(value, AttributeValue) and value.scope in scope.chain()[:-1]

    def method(self, scope: Scope) -> tuple[str, list[Value]]:
        """Add the method of a call to its module; its name, and what it returns."""
        assert self.place is not None
        owner = self.place(scope.path)
        build = _Build(self, scope)
        taken: set[str] = set()
        for number, value in enumerate(self.externals(scope)):
            name = value.name if self._is_named(value, scope) and value.name not in taken else ""
            taken.add(name)
            kind = _tensor_type(value.example) if value.type == "Tensor" else type_named(value.type)
            build.env[value] = build.input(name or f"argument_{number + 1}", kind)
        build.body()
        results = self.results(scope)
        if not results:
            build.graph.add_output(build.constant(None))
        elif len(results) == 1:
            build.graph.add_output(build.env[results[0]])
        else:
            build.graph.add_output(build.value(tuple(results)))
        number = 0
        while owner._type.find_method(name := "forward" + (str(number) if number else "")) is not None:
            number += 1
        owner._add_method(name, build.finished())
        return name, results


class _Build:
    """Makes one graph."""

    def __init__(self, lowering: Lowering, scope: Scope) -> None:
        self.lowering, self.scope = lowering, scope
        self.graph = Graph()
        self.env: dict[Value, GraphValue] = {}
        self.modules: dict[str, GraphValue] = {}
        self.this: GraphValue | None = None
        self.names: dict[str, list[GraphValue]] = {}
        if lowering.place is not None:
            self.this = self.input("self", lowering.place(scope.path)._type)
        self.where = "/".join(f"__module.{s.path}" for s in scope.chain()[1:])

    def input(self, name: str, kind: Type) -> GraphValue:
        return self._call_it(self.graph.top.add_parameter(kind), name)

    def _call_it(self, value: GraphValue, name: str) -> GraphValue:
        self.names.setdefault(name, []).append(value)
        value.setDebugName(name)
        return value

    def finished(self) -> Graph:
        """The graph, with names that differ: as in PyTorch's traces the last of several values keeps the plain one."""
        for name, values in self.names.items():
            for number, value in enumerate(values[:-1]):
                value.setDebugName(f"{name}.{2 * number + 1}")
        return self.graph

    def body(self) -> None:
        self._attributes()
        for item in self.scope.items:
            if isinstance(item, Scope):
                self._call(item)
            elif item in self.lowering.live:
                self._node(item)

    def _attributes(self) -> None:
        """Take parameters and submodules from the module, as PyTorch does: those that are used last come first."""
        wanted: dict[Any, None] = {}
        lifted: dict[Any, None] = {}
        for item in self.scope.items:
            if isinstance(item, Scope):
                for value in self.lowering.externals(item):
                    if isinstance(value, AttributeValue) and value not in self.env:
                        lifted.setdefault(value)
                wanted.setdefault(item.path)
            elif item in self.lowering.live:
                if item.kind == "prim::CallMethod":
                    wanted.setdefault(item.arguments[0][1])
                for value in item.inputs():
                    if isinstance(value, AttributeValue) and value not in self.env:
                        wanted.setdefault(value)
        if self.scope is self.lowering.trace.root:
            for value in used_values(self.lowering.trace.result):
                if isinstance(value, AttributeValue):
                    wanted.setdefault(value)
        for key in reversed([*lifted, *(w for w in wanted if w not in lifted)]):
            if isinstance(key, AttributeValue):
                steps = self.lowering.reach(self.scope, key)
                assert steps is not None
                self.env[key] = self._chain(steps)
            else:
                self.modules[key] = self._chain(self._steps(key))

    def _steps(self, path: str) -> list[str]:
        return [s for s in path[len(self.scope.path) :].split(".") if s]

    def _chain(self, steps: list[str]) -> GraphValue:
        value = self.this
        assert value is not None
        for step in steps:
            kind = value.type_.attributes[step].type  # type: ignore[attr-defined]
            name = step if not step[0].isdigit() else f"_{step}"
            value = self.graph.insert("prim::GetAttr", [value], kind, name=step)
            self._call_it(value, name)
        return value

    def _call(self, scope: Scope) -> None:
        """A call of another module's method."""
        arguments = self.lowering.externals(scope)
        name, results = self.lowering.method(scope)
        owner = self.modules[scope.path]
        inputs = [owner, *(self.env[a] for a in arguments)]
        if not results:
            self.graph.insert("prim::CallMethod", inputs, NONE, name=name)
        elif len(results) == 1:
            made = self.graph.insert("prim::CallMethod", inputs, type_named(results[0].type), name=name)
            self.env[results[0]] = made
        else:
            kinds = [type_named(v.type) for v in results]
            packed = self.graph.insert("prim::CallMethod", inputs, TupleType(kinds), name=name)
            self._unpacked("prim::TupleUnpack", packed, results)

    def _unpacked(self, kind: str, packed: GraphValue, parts: list[Value]) -> None:
        node = self.graph.create(kind, [packed], [self._kind(v) for v in parts])
        for part, made in zip(parts, node.output_values, strict=True):
            self.env[part] = made

    @staticmethod
    def _kind(value: Value) -> Type:
        if value.type != "Tensor":
            return type_named(value.type)
        of_size = value.node is not None and value.node.kind == "prim::NumToTensor"
        return _tensor_type(value.example, sized=not of_size)

    def _named(self, made: GraphValue, value: Value) -> GraphValue:
        if value.name:
            self._call_it(made, value.name)
        return made

    def _node(self, item: Node) -> None:
        if item.source:
            file, _, line = item.source.rpartition(":")
            self.graph.range = SourceRange("", file, 1, int(line), 0, 0)
        else:
            self.graph.range = None
        if item.kind == "prim::CallMethod":
            self._call_method(item)
            return
        if item.kind == "prim::CallFunction":
            self._call_function(item)
            return
        if item.schema is not None:
            kinds = [a.type.annotation_str for a in item.schema.arguments]
            inputs = [self.value(v, k) for (_, v, _), k in zip(item.arguments, kinds, strict=True)]
        else:
            inputs = [self.value(v) for _, v, _ in item.arguments]
        node = self.graph.create(item.kind, inputs, [self._kind(v) for v in item.outputs])
        node.scope = self.where
        node.schema = self._schema(item)
        for value, made in zip(item.outputs, node.output_values, strict=True):
            self.env[value] = self._named(made, value)

    @staticmethod
    def _schema(item: Node) -> Any:
        if item.schema is not None:
            overload = "" if item.schema.overload_name == "default" else item.schema.overload_name
            return _schemas.find(item.kind, overload)
        overload = {"aten::size": "int", "aten::Int": "Tensor", "prim::NumToTensor": "Scalar", "aten::numel": "",
                    "aten::ScalarImplicit": "",
                    "aten::__getitem__": "Dict_str"}.get(item.kind)  # fmt: skip
        return None if overload is None else _schemas.find(item.kind, overload)

    def _call_method(self, item: Node) -> None:
        (_, target, _), (_, name, _), *rest = item.arguments
        inputs = [self.modules[target], *(self.value(v) for _, v, _ in rest)]
        kinds = [self._kind(v) for v in item.outputs]
        node = self.graph.create("prim::CallMethod", inputs, kinds)
        node.attributes["name"] = name
        for value, made in zip(item.outputs, node.output_values, strict=True):
            self.env[value] = self._named(made, value)

    def _call_function(self, item: Node) -> None:
        from ._types import FunctionType

        (_, function, _), *rest = item.arguments
        constant = self.graph.create("prim::Constant", (), (FunctionType(function),))
        constant.attributes.update(name=function.name, _function=function)
        inputs = [constant.output_values[0], *(self.value(v) for _, v, _ in rest)]
        node = self.graph.create("prim::CallFunction", inputs, [self._kind(v) for v in item.outputs])
        for value, made in zip(item.outputs, node.output_values, strict=True):
            self.env[value] = self._named(made, value)

    # ---- values

    def constant(self, value: Any, kind: Type | None = None) -> GraphValue:
        """A constant just before the operation that needs it, as traces have it."""
        from ._ir import type_of_constant

        if kind is None:
            kind = type_of_constant(value)
        node = self.graph.create("prim::Constant", (), (kind,))
        if kind is not NONE:
            node.attributes["value"] = value
        node.scope = self.where
        return node.output_values[0]

    def value(self, value: Any, kind: str = "") -> GraphValue:
        """A value, a constant, or a list or tuple of such, in the graph."""
        plain = kind.rstrip("?")
        if isinstance(value, Value):
            return self.env[value]
        if isinstance(value, Constant):
            return self._tensor_constant(value.value)
        if isinstance(value, dict):
            inputs = [part for k, v in value.items() for part in (self.value(k), self.value(v))]
            element = self._type(next(iter(value.values())))
            return self.graph.insert("prim::DictConstruct", inputs, DictType(STR, element))
        if isinstance(value, tuple) and not plain.endswith("]"):
            inputs = [self.value(v) for v in value]
            fields = getattr(value, "_fields", None)
            made = TupleType([v.type_ for v in inputs])
            del fields
            return self.graph.insert("prim::TupleConstruct", inputs, made)
        if isinstance(value, (list, tuple)):
            return self._list(list(value), plain)
        return self._plain(value, plain)

    def _type(self, value: Any) -> Type:
        if isinstance(value, Value):
            return type_named(value.type)
        if isinstance(value, tuple):
            return TupleType([self._type(v) for v in value])
        if isinstance(value, list):
            return ListType(self._type(value[0]) if value else TENSOR)
        if isinstance(value, dict):
            return DictType(STR, self._type(next(iter(value.values()))))
        return TENSOR if isinstance(value, Constant) else type_named(type_of(value))

    def _list(self, values: list[Any], kind: str) -> GraphValue:
        element = kind[: kind.rindex("[")] if kind.endswith("]") else ""
        parts = [self.value(v, element) for v in values]
        if element.endswith("?"):
            type: Type = OptionalType(TENSOR)
        elif element:
            type = {"Tensor": TENSOR, "float": FLOAT, "bool": BOOL, "str": STR, "Scalar": INT}.get(element, INT)
        else:
            type = self._type(values[0]) if values else TENSOR
        return self.graph.insert("prim::ListConstruct", parts, ListType(type))

    def _tensor_constant(self, value: Any) -> GraphValue:
        if isinstance(value, torch.Tensor):
            return self.constant(value, _tensor_type(value))
        example = torch.scalar_tensor(value, dtype=torch.int64 if isinstance(value, int) else torch.float64)
        return self.constant(value, _tensor_type(example))

    def _plain(self, value: Any, kind: str) -> GraphValue:
        from ._numbers import number_of

        if isinstance(value, torch.Generator):
            raise RuntimeError("torch.jit.trace: a generator cannot be part of a trace")
        if isinstance(value, (torch.dtype, torch.layout, torch.memory_format)):
            return self.constant(number_of(value), INT)
        if kind == "float" and isinstance(value, int) and not isinstance(value, bool):
            return self.constant(float(value))
        if kind == "Device" and isinstance(value, str):
            return self.constant(torch.device(value))
        return self.constant(value)
