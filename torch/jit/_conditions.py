"""Tests: what ``if`` and its like see, what is known of it while compiling, and what follows for the variables."""

from __future__ import annotations

import ast

from ._ir import Value
from ._sugar import Special, Sugar
from ._types import (
    BOOL,
    NONE,
    STR,
    ClassType,
    DictType,
    EnumType,
    ListType,
    OptionalType,
    TensorType,
    TupleType,
    Type,
    is_optional,
    is_subtype,
    members,
    union,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_COMPARE = {ast.Eq: "eq", ast.NotEq: "ne", ast.Lt: "lt", ast.LtE: "le", ast.Gt: "gt", ast.GtE: "ge"}
_TURNED = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le"}
_MAGIC = {"eq": "__eq__", "ne": "__ne__", "lt": "__lt__", "le": "__le__", "gt": "__gt__", "ge": "__ge__"}


class Condition:
    """A test: its value, or its truth if that is known, and the narrower types of variables on either side."""

    __slots__ = ("made", "static", "if_true", "if_false")

    def __init__(
        self,
        made: Value | None,
        static: bool | None = None,
        if_true: dict[str, Type] | None = None,
        if_false: dict[str, Type] | None = None,
    ) -> None:
        self.made, self.static = made, static
        self.if_true, self.if_false = if_true or {}, if_false or {}

    @property
    def value(self) -> Value:
        assert self.made is not None
        return self.made


class Conditions:
    """The part of the emitter that deals with tests."""

    graph: Any
    frame: Any

    def condition_value(self, node: ast.expr, plain: bool = False) -> Value:
        """A test as a value; ``plain`` comparisons keep their type, a tensor's for instance."""
        if plain and isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _COMPARE:
            left, right = self.emit(node.left), self.emit(node.comparators[0])  # type: ignore[attr-defined]
            return self.compared(_COMPARE[type(node.ops[0])], left, right, node)
        found = self.condition(node)
        return self.graph.constant(found.static) if found.static is not None else found.value  # type: ignore[no-any-return]

    def compared(self, name: str, left: Value, right: Value, node: ast.AST) -> Value:
        em: Any = self
        if isinstance(left.type(), ClassType):
            return em.call(em.attribute(left, _MAGIC[name], node), [right], {}, node)  # type: ignore[no-any-return]
        em.at(node)
        if isinstance(right.type(), TensorType) and not isinstance(left.type(), TensorType):
            left, right, name = right, left, _TURNED.get(name, name)
        made: Value = em.builtin(f"aten::{name}", [left, right], {}, node)
        return made

    def condition(self, node: ast.expr) -> Condition:
        """Compile a test."""
        em: Any = self
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            inner = self.condition(node.operand)
            static = None if inner.static is None else not inner.static
            em.at(node)
            made = None if static is not None else self.graph.insert("aten::__not__", [inner.value], BOOL)
            return Condition(made, static, inner.if_false, inner.if_true)
        if isinstance(node, ast.BoolOp):
            return self._both(node.values, isinstance(node.op, ast.And), node)
        if isinstance(node, ast.Compare):
            return self._compare(node)
        if isinstance(node, ast.Call):
            found = self._known_call(node)
            if found is not None:
                return found
        thing = em.emit_any(node)
        if isinstance(thing, Sugar):
            static = thing.test(em)
            if static is not None:
                return Condition(None, static)
        return self.truth(em.as_value(thing, node), node)

    def truth(self, value: Value, node: ast.AST) -> Condition:
        """A value as a test."""
        em: Any = self
        known, constant = value.constant()
        if known and isinstance(constant, (bool, int, float)):
            return Condition(None, bool(constant))
        kind = value.type()
        if kind is BOOL:
            return Condition(value)
        if isinstance(kind, ClassType):
            return Condition(em.call(em.attribute(value, "__bool__", node), [], {}, node))
        if isinstance(kind, (ListType, DictType)) or kind is STR:
            em.fail(node, f"Could not cast value of type {kind.repr_str()} to bool")
        if isinstance(kind, (TupleType, OptionalType, EnumType)) or kind is NONE:
            em.fail(node, f"Could not cast value of type {kind.repr_str()} to bool")
        em.at(node)
        return Condition(em.builtin("aten::Bool", [value], {}, node))

    def _both(self, nodes: list[ast.expr], is_and: bool, node: ast.AST) -> Condition:
        """``a and b``, ``a or b``: the second is only looked at if the first does not decide."""
        em: Any = self
        first = self.condition(nodes[0])
        if len(nodes) == 1:
            return first
        rest = nodes[1:]
        narrowed = first.if_true if is_and else first.if_false
        if first.static is not None:
            if first.static != is_and:
                return first
            before = self.frame
            self.frame = type(before)(before)
            em.refine(narrowed)
            second = self._both(rest, is_and, node)
            self.frame = before
            return second
        inside: list[Condition] = []

        def look() -> str:
            em.refine(narrowed)
            found = self._both(rest, is_and, node)
            inside.append(found)
            em.frame.names = {"$test": self.graph.constant(found.static) if found.static is not None else found.value}
            return "falls"

        def skip() -> str:
            em.frame.names = {"$test": self.graph.constant(not is_and)}
            return "falls"

        em.at(node)
        em.split(first.value, look if is_and else skip, skip if is_and else look, node)
        made = self.frame.names.pop("$test")
        (second,) = inside
        joined = {**_outside(first.if_true, is_and), **_outside(second.if_true, is_and)}
        opposite = {**_outside(first.if_false, not is_and), **_outside(second.if_false, not is_and)}
        if second.static is not None and second.static != is_and:
            return Condition(None, second.static)
        known, constant = made.constant()
        return Condition(made, constant if known else None, joined, opposite)

    def _compare(self, node: ast.Compare) -> Condition:
        em: Any = self
        if len(node.ops) > 1:
            parts: list[ast.expr] = []
            left = node.left
            for op, right in zip(node.ops, node.comparators, strict=True):
                parts.append(ast.copy_location(ast.Compare(left, [op], [right]), node))
                left = right
            return self._both(parts, True, node)
        op, right = node.ops[0], node.comparators[0]
        if isinstance(op, (ast.Is, ast.IsNot)):
            return self._is(node.left, right, isinstance(op, ast.IsNot), node)
        a, b = em.emit_any(node.left), em.emit_any(right)
        left_value, right_value = em.as_value(a, node.left), em.as_value(b, right)
        if isinstance(op, (ast.In, ast.NotIn)):
            em.at(node)
            made = self._contains(right_value, left_value, node)
            if isinstance(op, ast.NotIn):
                made = self.graph.insert("aten::__not__", [made], BOOL)
            return Condition(made)
        name = _COMPARE[type(op)]
        (a_known, x), (b_known, y) = left_value.constant(), right_value.constant()
        if a_known and b_known and x.__class__ is y.__class__ and x.__class__ in (int, float, str, bool):
            results = {"eq": x == y, "ne": x != y}
            if name in results:
                return Condition(None, results[name])
            ordered = {"lt": x < y, "le": x <= y, "gt": x > y, "ge": x >= y}
            return Condition(None, ordered[name])
        return self.truth(self.compared(name, left_value, right_value, node), node)

    def _contains(self, container: Value, item: Value, node: ast.AST) -> Value:
        em: Any = self
        kind = container.type()
        if isinstance(kind, ClassType):
            return em.call(em.attribute(container, "__contains__", node), [item], {}, node)  # type: ignore[no-any-return]
        if isinstance(kind, TupleType):
            from ._match import unpacked

            kinds = {v.type() for v in unpacked(self.graph, container)}
            if len(kinds) == 1:
                container = self.graph.insert(
                    "prim::ListConstruct", unpacked(self.graph, container), ListType(kinds.pop())
                )
        if kind is STR and item.type() is STR:
            found = em.builtin("aten::find", [container, item], {}, node)
            return em.builtin("aten::ne", [found, self.graph.constant(-1)], {}, node)  # type: ignore[no-any-return]
        made: Value = em.builtin("aten::__contains__", [container, item], {}, node)
        return made

    def _is(self, left: ast.expr, right: ast.expr, negated: bool, node: ast.AST) -> Condition:
        em: Any = self
        a, b = em.emit_any(left), em.emit_any(right)
        if isinstance(a, Special) or isinstance(b, Special):
            em.fail(node, "'is' compares values")
        things = []
        for thing, place in ((a, left), (b, right)):
            # Modules and functions are never None.
            things.append(thing if isinstance(thing, Value) else None)
            if things[-1] is None and not (isinstance(thing, Sugar) and thing.what in ("module", "function", "method")):
                things[-1] = em.as_value(thing, place)
        x, y = things
        if (x is None and y is not None and y.type() is NONE) or (y is None and x is not None and x.type() is NONE):
            return Condition(None, negated)
        assert x is not None and y is not None
        if y.type() is not NONE and x.type() is NONE:
            x, y, left = y, x, right
        if y.type() is NONE:
            kind = x.type()
            if kind is NONE:
                return Condition(None, not negated)
            if not is_optional(kind) and str(kind) != "Any":
                return Condition(None, negated)
            not_none = {}
            is_none = {}
            if isinstance(left, ast.Name) and is_optional(kind):
                not_none = {left.id: union([t for t in members(kind) if t is not NONE])}
                is_none = {left.id: NONE}
            em.at(node)
            made = self.graph.insert("aten::__isnot__" if negated else "aten::__is__", [x, y], BOOL)
            return Condition(made, None, not_none if negated else is_none, is_none if negated else not_none)
        em.at(node)
        return Condition(self.graph.insert("aten::__isnot__" if negated else "aten::__is__", [x, y], BOOL))

    # ---- questions about types

    def _known_call(self, node: ast.Call) -> Condition | None:
        em: Any = self
        if not isinstance(node.func, (ast.Name, ast.Attribute)):
            return None
        callee = em.emit_any(node.func)
        if not isinstance(callee, Special):
            return None
        if callee.name == "isinstance":
            return self.is_instance(node)
        if callee.name == "hasattr":
            return Condition(None, self.has_attribute(node))
        if callee.name in ("is_scripting", "is_tracing"):
            return Condition(None, callee.name == "is_scripting")
        return None

    def has_attribute(self, node: ast.Call) -> bool:
        em: Any = self
        owner = em.emit_any(node.args[0])
        name = node.args[1]
        if not isinstance(name, ast.Constant) or not isinstance(name.value, str):
            em.fail(node, "hasattr's second argument must be a string literal")
        assert isinstance(name, ast.Constant)
        if isinstance(owner, Sugar):
            finder = getattr(owner, "has_attribute", None)
            if finder is not None:
                return bool(finder(em, name.value))
            em.fail(node, f"hasattr's first argument must be an object or NamedTuple, but got a {owner.what}")
        kind = owner.type()
        if isinstance(kind, ClassType):
            return name.value in kind.attributes or kind.find_method(name.value) is not None
        if isinstance(kind, TupleType):
            return name.value in kind.fields
        em.fail(
            node, f"hasattr's first argument must be an object or NamedTuple, but got a normal Tuple {kind} instead"
        )
        return False

    def is_instance(self, node: ast.Call) -> Condition:
        em: Any = self
        if len(node.args) != 2:
            em.fail(node, f"isinstance expects 2 arguments, got {len(node.args)}")
        thing = em.emit_any(node.args[0])
        wanted = self.types_of(node.args[1])
        if isinstance(thing, Sugar):
            checker = getattr(thing, "is_instance", None)
            if checker is not None:
                return Condition(None, checker(em, node.args[1]))
            thing = em.as_value(thing, node)
        kind: Type = thing.type()
        parts = members(kind)
        fits = [p for p in parts if any(_of_kind(p, w) for w in wanted)]
        name = node.args[0].id if isinstance(node.args[0], ast.Name) else None
        if str(kind) == "Any" or (str(kind) == "Scalar" and not fits):
            made = self.graph.insert("prim::isinstance", [thing], BOOL)
            made.node.attributes["types"] = wanted
            narrowed = {name: union(wanted)} if name is not None else {}
            return Condition(made, None, narrowed, {})
        if len(fits) == len(parts):
            return Condition(None, True)
        narrower = [w for w in wanted for p in parts if p not in fits and is_subtype(w, p)]
        if not fits and not narrower:
            return Condition(None, False)
        made = self.graph.insert("prim::isinstance", [thing], BOOL)
        made.node.attributes["types"] = wanted
        if name is None:
            return Condition(made)
        others = [p for p in parts if p not in fits]
        return Condition(made, None, {name: union([*fits, *narrower])}, {name: union(others)} if others else {})

    def types_of(self, node: ast.expr) -> list[Type]:
        """The types that the second argument of ``isinstance`` names."""
        em: Any = self
        if isinstance(node, ast.Tuple):
            return [t for e in node.elts for t in self.types_of(e)]
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            return self.types_of(node.left) + self.types_of(node.right)
        special = getattr(em.resolver, "types_named", None)
        if special is not None:
            found = special(em, node)
            if found is not None:
                return list(found)
        return [em.type_of_syntax(node, node)]


def _of_kind(type: Type, wanted: Type) -> bool:
    if str(wanted) == "list":
        return isinstance(type, ListType)
    if str(wanted) == "tuple":
        return isinstance(type, TupleType)
    if isinstance(type, TensorType):
        return isinstance(wanted, TensorType)
    return is_subtype(type, wanted)


def _outside(narrowed: dict[str, Type], holds: bool) -> dict[str, Type]:
    """What both sides of ``and`` say holds where it is true; of ``or``, where it is false."""
    return narrowed if holds else {}
