"""Compiles the expressions of a program into values of a graph."""

from __future__ import annotations

import ast
import enum
import warnings

import torch

from ._conditions import Conditions
from ._indexing import Indexing
from ._ir import Graph, Value, type_of_constant
from ._match import Matched, MatchError, choose, match, unpacked
from ._schemas import Schema, overloads
from ._specials import Specials
from ._sugar import (
    Builtin,
    FunctionValue,
    MethodValue,
    Special,
    Sugar,
    TupleSugar,
    choose_builtin,
)
from ._types import (
    ANY,
    BOOL,
    COMPLEX,
    FLOAT,
    INT,
    NONE,
    STR,
    TENSOR,
    ClassType,
    DictType,
    EnumType,
    FutureType,
    InterfaceType,
    ListType,
    OptionalType,
    TensorType,
    TupleType,
    Type,
    UnionType,
    is_optional,
    members,
    unify_all,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

BINARY = {
    ast.Add: ("aten::add", "__add__"),
    ast.Sub: ("aten::sub", "__sub__"),
    ast.Mult: ("aten::mul", "__mul__"),
    ast.Div: ("aten::div", "__truediv__"),
    ast.FloorDiv: ("aten::floordiv", "__floordiv__"),
    ast.Mod: ("aten::remainder", "__mod__"),
    ast.Pow: ("aten::pow", "__pow__"),
    ast.MatMult: ("aten::matmul", "__matmul__"),
    ast.BitAnd: ("aten::__and__", "__and__"),
    ast.BitOr: ("aten::__or__", "__or__"),
    ast.BitXor: ("aten::__xor__", "__xor__"),
    ast.LShift: ("aten::__lshift__", "__lshift__"),
    ast.RShift: ("aten::__rshift__", "__rshift__"),
}
# Attributes of a tensor that are operations.
_TENSOR_ATTRIBUTES = {
    "dtype": "prim::dtype",
    "device": "prim::device",
    "grad": "prim::grad",
    "data": "prim::data",
    "shape": "aten::size",
    "requires_grad": "prim::requires_grad",
    "layout": "prim::layout",
    "T": "aten::numpy_T",
    "H": "aten::matrix_H",
    "mT": "aten::mT",
    "mH": "aten::mH",
    "is_leaf": "aten::is_leaf",
    "output_nr": "aten::output_nr",
    "real": "aten::real",
    "imag": "aten::imag",
    "ndim": "aten::dim",
    "retains_grad": "aten::retains_grad",
    **{
        n: f"prim::{n}"
        for n in """is_cpu is_cuda is_xla is_xpu is_mtia is_ipu is_sparse is_quantized is_meta is_nested
                                   name itemsize nbytes""".split()
    },
}
# Methods that convert a tensor, with the number of the dtype.
_TENSOR_CASTS = {
    "float": 6,
    "double": 7,
    "half": 5,
    "int": 3,
    "long": 4,
    "short": 2,
    "char": 1,
    "byte": 0,
    "bool": 11,
    "bfloat16": 15,
    "cfloat": 9,
    "cdouble": 10,
}


class TensorCast(Sugar):
    """``x.float()`` and its like."""

    what = "method"

    def __init__(self, tensor: Value, number: int) -> None:
        self.tensor, self.number = tensor, number

    def call(self, em: Any, args: list[Any], kwargs: dict[str, Any], node: ast.AST) -> Any:
        return em.builtin("aten::to", [self.tensor, em.graph.constant(self.number)], {}, node)


class Expressions(Conditions, Indexing, Specials):
    """The part of the emitter that deals with expressions."""

    graph: Graph
    frame: Any
    # Whether arguments of the program's own functions may be converted, a tensor to a number for instance.
    converts = True
    resolver: Any
    source: Any

    # ---- what an expression means

    def emit_any(self, node: ast.expr, hint: Type | None = None) -> Any:
        """A value, or something that is known while compiling."""
        method = getattr(self, f"on_{type(node).__name__}", None)
        if method is None:
            self.source.unsupported(node)
        self.at(node)
        return method(node, hint)

    def emit(self, node: ast.expr, hint: Type | None = None) -> Value:
        return self.as_value(self.emit_any(node, hint), node)

    def as_value(self, thing: Any, node: ast.AST) -> Value:
        return thing if isinstance(thing, Value) else thing.value(self, node)

    def builtin(
        self, name: str, args: list[Value], kwargs: dict[str, Value], node: ast.AST, this: Value | None = None
    ) -> Value:
        return choose_builtin(self, name, args, kwargs, node, this)

    def type_of_syntax(self, node: ast.AST, place: ast.AST) -> Type:
        from ._type_text import AnnotationError, from_syntax

        try:
            return from_syntax(node, lambda name: self.resolver.type_named(self, name))
        except AnnotationError as error:
            self.fail(place, str(error))
            raise

    # ---- leaves

    def on_Constant(self, node: ast.Constant, hint: Type | None) -> Any:  # noqa: N802  the node's name
        value = node.value
        if value is None:
            if hint is not None and hint is not NONE and is_optional(hint):
                return self.graph.constant(None, hint)
            return self.graph.constant(None)
        if value is Ellipsis or isinstance(value, bytes):
            self.fail(node, "'...' or bytes cannot be used as a value")
        if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**63:
            self.fail(node, "Number is too big")
        return self.graph.constant(value)

    def on_Name(self, node: ast.Name, hint: Type | None) -> Any:  # noqa: N802
        found = self.frame.find(node.id)
        if found is not None:
            return found
        lost = self.frame.why_lost(node.id)
        if lost is not None:
            self.fail(node, lost)
        found = self.resolver.resolve(self, node.id, node)
        if found is None:
            self.fail(node, f"undefined value {node.id}")
        return found

    def on_JoinedStr(self, node: ast.JoinedStr, hint: Type | None) -> Any:  # noqa: N802
        text, values = "", []
        for part in node.values:
            if isinstance(part, ast.Constant):
                text += str(part.value)
                continue
            assert isinstance(part, ast.FormattedValue)
            if part.conversion != -1:
                self.source.refuse(node, "Don't support conversion in JoinedStr")
            if part.format_spec is not None:
                self.source.refuse(node, "Don't support formatting in JoinedStr")
            text += "{}"
            values.append(self.emit(part.value))
        self.at(node)
        return self.builtin("aten::format", [self.graph.constant(text), *values], {}, node)

    # ---- containers

    def on_Tuple(self, node: ast.Tuple, hint: Type | None) -> Any:  # noqa: N802
        hints: list[Type | None] = [None] * len(node.elts)
        if isinstance(hint, TupleType) and len(hint.types) == len(node.elts):
            hints = list(hint.types)
        parts: list[Any] = []
        for element, wanted in zip(node.elts, hints, strict=True):
            parts += self.spread(element, wanted)
        if all(isinstance(p, Value) for p in parts):
            return self.graph.insert("prim::TupleConstruct", parts, TupleType(p.type() for p in parts))
        return TupleSugar(parts)

    def spread(self, node: ast.expr, hint: Type | None = None) -> list[Any]:
        """What an element of a tuple or an argument stands for; ``*x`` is several."""
        if isinstance(node, ast.Starred):
            thing = self.emit_any(node.value)
            items = self.static_items(thing, node)
            if items is None:
                self.fail(node, "cannot use a starred expression of a value whose length is not known")
            return list(items or [])
        return [self.emit_any(node, hint)]

    def on_List(self, node: ast.List, hint: Type | None) -> Any:  # noqa: N802
        wanted = _part(hint, ListType)
        inner = wanted.element if isinstance(wanted, ListType) else None
        values = [self.as_value(v, node) for e in node.elts for v in self.spread(e, inner)]
        if inner is None:
            merged = unify_all([v.type() for v in values], TENSOR)
            if merged is None:
                merged = _union_of([v.type() for v in values])
                self.warn_mixed("List", merged, node)
            inner = merged
        else:
            self.check_elements(values, inner, "list", node)
        self.at(node)
        return self.graph.insert("prim::ListConstruct", values, ListType(inner))

    def warn_mixed(self, what: str, kind: Type, node: ast.AST) -> None:
        warnings.warn(
            f"{what} consists of heterogeneous types, which means that it has been typed as containing "
            f"{kind.repr_str()}. To "
            f"use any of the values in this {what}, it will be necessary to add an `assert isinstance` "
            f"statement before "
            "first use to trigger type refinement.",
            UserWarning,
            stacklevel=2,
        )

    def check_elements(self, values: list[Value], wanted: Type, what: str, node: ast.AST) -> None:
        from ._match import converted

        for i, v in enumerate(values):
            fitting = converted(self.graph, v, wanted, False)
            if fitting is None:
                kinds = _union_of([x.type() for x in values]).repr_str()
                text = f"{what}s of type {wanted.annotation_str} are expected in the dict, but found {kinds}"
                if what == "list":
                    text = (
                        f"List type annotation `List[{wanted.annotation_str}]` did not match the types of the "
                        f"given list "
                        f"elements, which were {kinds}"
                    )
                self.fail(node, text)
            values[i] = fitting  # type: ignore[assignment]

    def on_Dict(self, node: ast.Dict, hint: Type | None) -> Any:  # noqa: N802
        wanted = _part(hint, DictType)
        key_hint, value_hint = (wanted.key, wanted.value) if isinstance(wanted, DictType) else (None, None)
        keys = [self.emit(k, key_hint) for k in node.keys if k is not None]
        if len(keys) != len(node.keys):
            self.fail(node, "Unsupported '**' in a dictionary")
        values = [self.emit(v, value_hint) for v in node.values]
        if key_hint is None:
            key_type = unify_all([k.type() for k in keys], STR)
            value_type = unify_all([v.type() for v in values], TENSOR)
            if key_type is None:
                self.fail(node, "the keys of a dictionary must have one type")
            if value_type is None:
                value_type = _union_of([v.type() for v in values])
                self.warn_mixed("Dict", value_type, node)
            key_hint, value_hint = key_type, value_type
        else:
            self.check_elements(keys, key_hint, "key", node)
            self.check_elements(values, value_hint, "value", node)  # type: ignore[arg-type]
        pairs = [v for pair in zip(keys, values, strict=True) for v in pair]
        self.at(node)
        return self.graph.insert("prim::DictConstruct", pairs, DictType(key_hint, value_hint))  # type: ignore[arg-type]

    def on_ListComp(self, node: ast.ListComp, hint: Type | None) -> Any:  # noqa: N802
        return self.comprehension(node, node.generators, hint)

    def on_GeneratorExp(self, node: ast.GeneratorExp, hint: Type | None) -> Any:  # noqa: N802
        return self.comprehension(node, node.generators, hint)

    def on_DictComp(self, node: ast.DictComp, hint: Type | None) -> Any:  # noqa: N802
        return self.comprehension(node, node.generators, hint)

    def comprehension(self, node: Any, generators: list[ast.comprehension], hint: Type | None) -> Value:
        if len(generators) != 1:
            self.source.refuse(node, "Only a single generator is currently supported")
        generator = generators[0]
        is_dict = isinstance(node, ast.DictComp)
        source = self.iterable(self.emit_any(generator.iter), generator.iter)
        items = self.static_items(source, node)
        if items is not None:
            if generator.ifs:
                self.source.refuse(node, "Comprehension ifs are not supported yet")
            return self._unrolled(node, generator.target, items, hint)
        before = self.frame
        made = self.graph.insert("prim::DictConstruct" if is_dict else "prim::ListConstruct", [], NONE)
        if not is_dict and isinstance(source, Value) and isinstance(source.type(), ListType):
            made.type_ = hint or NONE
        true = self.graph.constant(True)
        loop = self.graph.create("prim::Loop", [self.length_of(source, node), true], [])
        block = loop.add_block()
        outer = self.graph.block
        self.graph.block, self.frame = block, type(before)(before)
        index = block.add_parameter(INT)
        # A comprehension's variable hides one of the same name outside.
        self.frame.parent = _Hiding(before, generator.target)
        self.set_target(generator.target, self.element_of(source, index, node), node)

        def add() -> str:
            if is_dict:
                key, value = self.emit(node.key), self.emit(node.value)
                kind: Type = DictType(key.type(), value.type())
            else:
                value = self.emit(node.elt, hint.element if isinstance(hint, ListType) else None)
                kind = ListType(value.type())
            wanted = _part(hint, DictType if is_dict else ListType) or kind
            made.setType(wanted)
            if is_dict:
                self.builtin("aten::_set_item", [made, key, value], {}, node)
            else:
                self.builtin("aten::append", [made, value], {}, node)
            return "falls"

        self._when(generator.ifs, add, node)
        block.result.add_input(true)
        self.graph.block, self.frame = outer, before
        return made

    def _when(self, tests: list[ast.expr], then: Any, node: ast.AST) -> str:
        if not tests:
            return str(then())
        condition = self.condition(tests[0])

        def inner() -> str:
            self.refine(condition.if_true)
            return self._when(tests[1:], then, node)

        if condition.static is not None:
            return inner() if condition.static else "falls"
        self.split(condition.value, inner, lambda: "falls", node)
        return "falls"

    def _unrolled(self, node: Any, target: ast.expr, items: list[Any], hint: Type | None) -> Value:
        before = self.frame
        keys, values = [], []
        for thing in items:
            self.frame = type(before)(_Hiding(before, target))
            self.set_target(target, thing, node)
            if isinstance(node, ast.DictComp):
                keys.append(self.emit(node.key))
                values.append(self.emit(node.value))
            else:
                values.append(self.emit(node.elt))
        self.frame = before
        value_type = unify_all([v.type() for v in values], TENSOR)
        if value_type is None:
            self.fail(node, "the elements of a comprehension must have one type")
        assert value_type is not None
        if isinstance(node, ast.DictComp):
            kind = DictType(unify_all([k.type() for k in keys], STR) or STR, value_type)
            pairs = [v for pair in zip(keys, values, strict=True) for v in pair]
            return self.graph.insert("prim::DictConstruct", pairs, kind)
        wanted = _part(hint, ListType)
        return self.graph.insert("prim::ListConstruct", values, wanted or ListType(value_type))

    # ---- going over things

    def iterable(self, thing: Any, node: ast.AST) -> Any:
        """What a loop goes over: dictionaries are their keys, iterators come apart later."""
        if isinstance(thing, Value):
            kind = thing.type()
            if isinstance(kind, DictType):
                return self.builtin("aten::keys", [thing], {}, node)
            if isinstance(kind, OptionalType):
                self.fail(node, f"'{kind.repr_str()}' object is not iterable")
            if kind is INT or kind is FLOAT or kind is BOOL or kind is NONE:
                self.fail(node, f"'{kind.repr_str()}' object is not iterable")
        return thing

    def static_items(self, thing: Any, node: ast.AST) -> list[Any] | None:
        if isinstance(thing, Value):
            return list(unpacked(self.graph, thing)) if isinstance(thing.type(), TupleType) else None
        found: list[Any] | None = thing.items(self, node)
        return found

    def length_of(self, thing: Any, node: ast.AST) -> Value:
        if isinstance(thing, Value):
            if isinstance(thing.type(), ClassType):
                return self.call(self.attribute(thing, "__len__", node), [], {}, node)  # type: ignore[no-any-return]
            return self.builtin("aten::len", [thing], {}, node)
        found: Value = thing.length(self, node)
        return found

    def element_of(self, thing: Any, index: Value, node: ast.AST) -> Any:
        if isinstance(thing, Value):
            if isinstance(thing.type(), TensorType):
                return self.builtin("aten::select", [thing, self.graph.constant(0), index], {}, node)
            if isinstance(thing.type(), ClassType):
                return self.call(self.attribute(thing, "__getitem__", node), [index], {}, node)
            return self.builtin("aten::__getitem__", [thing, index], {}, node)
        return thing.element(self, index, node)

    def listed(self, thing: Any, hint: Type | None, node: ast.AST) -> Value:
        """All elements of something as a list."""
        items = self.static_items(thing, node)
        if items is not None:
            values = [self.as_value(i, node) for i in items]
            kind = unify_all([v.type() for v in values], TENSOR)
            if kind is None:
                self.fail(node, "the elements of a list must have one type")
            return self.graph.insert("prim::ListConstruct", values, ListType(kind))  # type: ignore[arg-type]
        if isinstance(thing, Value):
            if isinstance(thing.type(), TensorType):
                return self.builtin("aten::unbind", [thing, self.graph.constant(0)], {}, node)
            return self.builtin("aten::list", [self.iterable(thing, node)], {}, node)
        made = self.graph.insert("prim::ListConstruct", [], NONE)
        true = self.graph.constant(True)
        loop = self.graph.create("prim::Loop", [self.length_of(thing, node), true], [])
        block, outer = loop.add_block(), self.graph.block
        self.graph.block = block
        value = self.as_value(self.element_of(thing, block.add_parameter(INT), node), node)
        made.setType(ListType(value.type()))
        self.builtin("aten::append", [made, value], {}, node)
        block.result.add_input(true)
        self.graph.block = outer
        return made

    # ---- operators

    def on_UnaryOp(self, node: ast.UnaryOp, hint: Type | None) -> Any:  # noqa: N802
        if isinstance(node.op, ast.Not):
            return self.condition_value(node)
        if (
            isinstance(node.op, ast.USub)
            and isinstance(node.operand, ast.Constant)
            and not isinstance(node.operand.value, (bool, str))
        ):
            return self.graph.constant(-node.operand.value)  # type: ignore[operator]
        value = self.emit(node.operand)
        if isinstance(node.op, ast.UAdd):
            return value
        name, magic = ("aten::neg", "__neg__") if isinstance(node.op, ast.USub) else ("aten::bitwise_not", "__invert__")
        known, constant = value.constant()
        if known and name == "aten::neg" and isinstance(constant, (int, float)) and not isinstance(constant, bool):
            return self.graph.constant(-constant)
        if isinstance(value.type(), ClassType):
            return self.call(self.attribute(value, magic, node), [], {}, node)
        self.at(node)
        return self.builtin(name, [value], {}, node)

    def on_BinOp(self, node: ast.BinOp, hint: Type | None) -> Any:  # noqa: N802
        left = self.emit_any(node.left, hint if isinstance(hint, ListType) else None)
        right = self.emit_any(node.right, hint if isinstance(hint, ListType) else None)
        self.at(node)
        return self.binary(node.op, self.as_value(left, node.left), self.as_value(right, node.right), node)

    def binary(self, op: ast.operator, left: Value, right: Value, node: ast.AST) -> Value:
        name, magic = BINARY[type(op)]
        if isinstance(left.type(), (ClassType, InterfaceType)):
            return self.call(self.attribute(left, magic, node), [right], {}, node)  # type: ignore[no-any-return]
        if name == "aten::remainder" and left.type() is STR:
            parts = unpacked(self.graph, right) if isinstance(right.type(), TupleType) else [right]
            return self.builtin("aten::percentFormat", [left, *parts], {}, node)
        tensors = isinstance(left.type(), TensorType) or isinstance(right.type(), TensorType)
        if name == "aten::floordiv" and tensors:
            name = "aten::floor_divide"
        if isinstance(left.type(), TupleType) and isinstance(right.type(), TupleType) and name == "aten::add":
            values = [*unpacked(self.graph, left), *unpacked(self.graph, right)]
            return self.graph.insert("prim::TupleConstruct", values, TupleType(v.type() for v in values))
        if tensors and not isinstance(left.type(), TensorType):
            turned = self.turned(name, left, right, node)
            if turned is not None:
                return turned
        folded = self.folded(op, left, right)
        if folded is not None:
            return folded
        return self.builtin(name, [left, right], {}, node)

    def turned(self, name: str, number: Value, tensor: Value, node: ast.AST) -> Value | None:
        """An operation on a number and a tensor in terms of one on a tensor and a number."""
        if name in ("aten::add", "aten::mul"):
            return self.builtin(name, [tensor, number], {}, node)
        if name == "aten::sub":
            return self.builtin("aten::add", [self.builtin("aten::neg", [tensor], {}, node), number], {}, node)
        if name == "aten::div":
            return self.builtin("aten::mul", [self.builtin("aten::reciprocal", [tensor], {}, node), number], {}, node)
        if name in ("aten::__and__", "aten::__or__", "aten::__xor__"):
            return self.builtin(name, [tensor, number], {}, node)
        return None

    def folded(self, op: ast.operator, left: Value, right: Value) -> Value | None:
        """An operation on two numbers that are known."""
        (a_known, a), (b_known, b) = left.constant(), right.constant()
        if not (a_known and b_known) or a.__class__ not in (int, float) or b.__class__ not in (int, float):
            return None
        try:
            if isinstance(op, ast.Add):
                made = a + b
            elif isinstance(op, ast.Sub):
                made = a - b
            elif isinstance(op, ast.Mult):
                made = a * b
            elif isinstance(op, ast.Div):
                made = a / b
            elif isinstance(op, ast.FloorDiv):
                made = a // b
            elif isinstance(op, ast.Mod):
                made = a % b
            elif isinstance(op, ast.Pow):
                made = float(a) ** b
            else:
                return None
        except (ZeroDivisionError, OverflowError):
            return None
        if isinstance(made, complex) or (isinstance(made, int) and not -(2**63) <= made < 2**63):
            return None
        return self.graph.constant(made)

    def on_Compare(self, node: ast.Compare, hint: Type | None) -> Any:  # noqa: N802
        return self.condition_value(node, plain=True)

    def on_BoolOp(self, node: ast.BoolOp, hint: Type | None) -> Any:  # noqa: N802
        return self.condition_value(node)

    def on_IfExp(self, node: ast.IfExp, hint: Type | None) -> Any:  # noqa: N802
        condition = self.condition(node.test)
        if condition.static is not None:
            # What the test says holds while the chosen branch is compiled.
            before = self.frame
            self.frame = type(before)(before)
            self.refine(condition.if_true if condition.static else condition.if_false)
            found = self.emit_any(node.body if condition.static else node.orelse, hint)
            self.frame = before
            return found

        def branch(expression: ast.expr, narrowed: dict[str, Type]) -> Any:
            def compile() -> str:
                self.refine(narrowed)
                self.frame.names = {"$value": self.emit(expression, hint)}
                return "falls"

            return compile

        self.split(condition.value, branch(node.body, condition.if_true), branch(node.orelse, condition.if_false), node)
        found = self.frame.names.pop("$value", None)
        if found is None:
            self.fail(node, self.frame.lost.pop("$value", "the branches of an if-expression differ in type"))
        return found

    # ---- attributes

    def on_Attribute(self, node: ast.Attribute, hint: Type | None) -> Any:  # noqa: N802
        owner = self.emit_any(node.value)
        self.at(node)
        return self.attribute(owner, node.attr, node)

    def attribute(self, owner: Any, name: str, node: ast.AST) -> Any:
        if isinstance(owner, Sugar):
            return owner.attribute(self, name, node)  # type: ignore[func-returns-value]
        kind = owner.type()
        if isinstance(kind, TensorType):
            if name in _TENSOR_ATTRIBUTES:
                return self.builtin(_TENSOR_ATTRIBUTES[name], [owner], {}, node)
            if name in _TENSOR_CASTS:
                return TensorCast(owner, _TENSOR_CASTS[name])
        if isinstance(kind, TupleType) and name in kind.fields:
            at = kind.fields.index(name)
            return self.tuple_item(owner, at)
        if isinstance(kind, ClassType):
            return self.class_attribute(owner, kind, name, node)
        if isinstance(kind, InterfaceType):
            found = kind.find_method(name)
            if found is None:
                self.fail(
                    node,
                    f"Module {kind} has no method '{name}'"
                    if kind.is_module()
                    else f"'{kind}' object has no attribute or method '{name}'",
                )
            return MethodValue(owner, name, found)
        if isinstance(kind, EnumType) and name in ("name", "value"):
            schema = "prim::EnumName" if name == "name" else "prim::EnumValue"
            return self.graph.insert(schema, [owner], STR if name == "name" else kind.value_type)
        if isinstance(kind, FutureType) and name == "wait":
            return Builtin("aten::wait", owner)
        if str(kind) == "Device" and name in ("type", "index"):
            return self.builtin(f"prim::{name}", [owner], {}, node)
        if kind is COMPLEX and name in ("real", "imag"):
            return self.builtin(f"aten::{name}", [owner], {}, node)
        if isinstance(kind, (OptionalType, UnionType)):
            self.fail(node, f"'{kind.repr_str()}' object has no attribute or method '{name}'.")
        if overloads(f"aten::{name}"):
            return Builtin(f"aten::{name}", owner)
        if name == "tolist":
            return _ToList(owner)
        self.fail(node, f"'{kind.repr_str()}' object has no attribute or method '{name}'.")
        return None

    def class_attribute(self, owner: Value, kind: ClassType, name: str, node: ast.AST) -> Any:
        found = kind.attributes.get(name)
        if found is not None:
            made = self.graph.insert("prim::GetAttr", [owner], found.type, name=name)
            made.name = self.graph.fresh(name if name.isidentifier() else f"_{name}")
            return made
        method = kind.find_method(name)
        if method is not None:
            return MethodValue(owner, name, method)
        if name in kind.constants:
            return self.constant_of(kind.constants[name], kind.constant_types.get(name))
        if name in kind.properties:
            return self.call(self.attribute(owner, kind.properties[name][0], node), [], {}, node)
        static = kind.static_methods.get(name)
        if static is not None:
            return FunctionValue(static)
        what = "Module" if kind.is_module() else "Tried to access nonexistent attribute or method"
        if kind.is_module():
            self.fail(node, f"Module '{kind.name()}' has no attribute '{name}' ")
        self.fail(node, f"{what} '{name}' of type '{kind}'. Did you forget to initialize an attribute in __init__()?")
        return None

    def constant_of(self, value: Any, type: Type | None = None) -> Value:
        """A Python value that does not change as a value."""
        if isinstance(value, (torch.dtype, torch.layout, torch.memory_format)):
            from ._numbers import number_of

            return self.graph.constant(number_of(value))
        if isinstance(value, enum.Enum) and type is not None:
            return self.graph.constant(value, type)
        if isinstance(value, tuple):
            parts = [self.constant_of(v) for v in value]
            return self.graph.insert("prim::TupleConstruct", parts, TupleType(p.type() for p in parts))
        if isinstance(value, list):
            parts = [self.constant_of(v) for v in value]
            kind = type if isinstance(type, ListType) else ListType(unify_all([p.type() for p in parts], TENSOR) or ANY)
            return self.graph.insert("prim::ListConstruct", parts, kind)
        if value is None and type is not None and type is not NONE:
            return self.graph.constant(None, type)
        return self.graph.constant(value, type_of_constant(value))

    def tuple_item(self, owner: Value, at: int) -> Value:
        kind = owner.type()
        assert isinstance(kind, TupleType)
        if getattr(owner.node, "kind_", "") == "prim::TupleConstruct":
            return owner.node.input_values[at]  # type: ignore[union-attr,no-any-return]
        return self.graph.insert("prim::TupleIndex", [owner, self.graph.constant(at)], kind.types[at])

    # ---- calls

    def on_Call(self, node: ast.Call, hint: Type | None) -> Any:  # noqa: N802
        callee = self.emit_any(node.func)
        if isinstance(callee, Special):
            return self.special(callee.name, node, hint)
        if isinstance(callee, _ToList):
            return callee.with_hint(self, hint, node)
        args = [thing for a in node.args for thing in self.spread(a)]
        kwargs: dict[str, Any] = {}
        for keyword in node.keywords:
            if keyword.arg is None:
                self.fail(node, "keyword-arg expansion is not supported")
            kwargs[keyword.arg] = self.emit_any(keyword.value)  # type: ignore[index]
        self.at(node.func)
        return self.call(callee, args, kwargs, node)

    def call(self, callee: Any, args: list[Any], kwargs: dict[str, Any], node: ast.AST) -> Any:
        if isinstance(callee, Value):
            kind = callee.type()
            if isinstance(kind, (ClassType, InterfaceType)):
                name = "forward" if kind.is_module() else "__call__"
                return self.call(self.attribute(callee, name, node), args, kwargs, node)
            self.fail(node, f"cannot call a value of type '{kind.repr_str()}'")
        return callee.call(self, args, kwargs, node)

    def match_schemas(self, schemas: list[Schema], args: list[Any], kwargs: dict[str, Any], node: ast.AST) -> Matched:
        values = [self.as_value(a, node) for a in args]
        named = {k: self.as_value(v, node) for k, v in kwargs.items()}
        try:
            return choose(self.graph, schemas, values, named)
        except MatchError as error:
            self.fail(node, str(error))
            raise

    def match_function(self, function: Any, args: list[Any], kwargs: dict[str, Any], node: ast.AST) -> Matched:
        """Fit arguments to a function of a program, which is compiled now if it was not yet."""
        from ._sugar import CompileError

        try:
            schema = getattr(function, "schema", function)
            if hasattr(function, "ensure"):
                function.ensure()
        except CompileError as error:
            raise self.within(error, function, node) from None
        values = [self.as_value(a, node) for a in args]
        named = {k: self.as_value(v, node) for k, v in kwargs.items()}
        try:
            return match(self.graph, schema, values, named, self.converts)
        except MatchError as error:
            self.fail(node, f"\n{schema}:\n{error}")
            raise

    def within(self, error: Exception, function: Any, node: ast.AST) -> Exception:
        """The error in a function that is compiled because this one calls it."""
        from ._sugar import CompileError

        place = self.source.range_of(node)
        text = str(error)
        schema = getattr(function, "_schema", None)
        is_method = schema is not None and schema.arguments and isinstance(schema.arguments[0].type, ClassType)
        name = ".".join(function.qualified_name.split(".")[-2:]) if is_method else function.name
        if place is not None:
            text += f"'{name}' is being compiled since it was called from '{self.function_name}'\n{place.highlight()}\n"
        return CompileError(text)

    def cast(self, kind: Type, name: str, args: list[Value], node: ast.AST) -> Value:
        """``int(x)``, ``float(x)``, ``bool(x)``, ``str(x)``, ``complex(a, b)``."""
        if not args:
            defaults = {INT: 0, FLOAT: 0.0, BOOL: False, STR: "", COMPLEX: 0j}
            return self.graph.constant(defaults[kind])
        if len(args) == 1 and args[0].type() == kind:
            return args[0]
        if isinstance(args[0].type(), ClassType):
            magic = {INT: "__int__", FLOAT: "__float__", BOOL: "__bool__", STR: "__str__"}[kind]
            return self.call(self.attribute(args[0], magic, node), [], {}, node)  # type: ignore[no-any-return]
        known, constant = args[0].constant()
        if known and len(args) == 1 and isinstance(constant, (int, float, bool)) and kind in (INT, FLOAT, BOOL, STR):
            if kind is STR:
                from ._builtins import str_

                return self.graph.constant(str_(constant))
            return self.graph.constant({INT: int, FLOAT: float, BOOL: bool}[kind](constant))  # type: ignore[operator]
        return self.builtin(name, args, {}, node)

    # ---- the emitter's other half

    def at(self, node: ast.AST) -> None:
        raise NotImplementedError

    def fail(self, node: ast.AST, message: str, lead: bool = True) -> None:
        raise NotImplementedError


class _ToList(Sugar):
    """``x.tolist()``, whose type an annotation says."""

    what = "tolist"

    def __init__(self, tensor: Value) -> None:
        self.tensor = tensor

    def with_hint(self, em: Any, hint: Type | None, node: ast.AST) -> Value:
        if hint is None:
            em.fail(node, "Expected type hint for result of tolist()")
        made: Value = em.graph.insert("prim::tolist", [self.tensor], hint)
        return made


class _Hiding:
    """Variables of a frame but those of a comprehension's target."""

    def __init__(self, frame: Any, target: ast.AST) -> None:
        self.frame = frame
        self.hidden = {n.id for n in ast.walk(target) if isinstance(n, ast.Name)}
        self.names = {k: v for k, v in frame.names.items() if k not in self.hidden}
        self.types = {k: v for k, v in frame.types.items() if k not in self.hidden}
        self.lost: dict[str, str] = {}
        self.parent = None if frame.parent is None else _Hiding(frame.parent, target)

    def declared(self, name: str) -> Type | None:
        return None if name in self.hidden else self.frame.declared(name)

    def find(self, name: str) -> Any:
        return None if name in self.hidden else self.frame.find(name)

    def why_lost(self, name: str) -> str | None:
        found: str | None = self.frame.why_lost(name)
        return found


def _part(hint: Type | None, wanted: Any) -> Any:
    """The container among the types that a hint allows."""
    if hint is None:
        return None
    found = [t for t in members(hint) if isinstance(t, wanted)]
    return found[0] if len(found) == 1 else None


def _union_of(types: list[Type]) -> Type:
    from ._types import union

    return union(types)
