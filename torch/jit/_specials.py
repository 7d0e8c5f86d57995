"""Forms of the language look at the syntax of their arguments: ``annotate``, ``getattr``, ``range``, ``fork`` ..."""

from __future__ import annotations

import ast

from ._ir import Value
from ._sugar import (
    Builtin,
    CountSugar,
    FunctionValue,
    MethodValue,
    RangeSugar,
    Sugar,
    TupleSugar,
    ZipSugar,
)
from ._types import (
    BOOL,
    FLOAT,
    INT,
    NONE,
    STR,
    TENSOR,
    ClassType,
    DictType,
    FutureType,
    ListType,
    TensorType,
    TupleType,
    Type,
    is_optional,
    members,
    union,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Specials:
    """The part of the emitter that deals with such forms; ``form_NAME`` compiles a call of NAME."""

    graph: Any
    frame: Any

    def special(self, name: str, node: ast.Call, hint: Type | None) -> Any:
        return getattr(self, f"form_{name}")(node, hint)

    def _values(self, node: ast.Call) -> list[Value]:
        em: Any = self
        if node.keywords:
            em.fail(node, f"{ast.unparse(node.func)}() takes no keyword arguments")
        return [em.as_value(thing, node) for a in node.args for thing in em.spread(a)]

    # ---- types

    def form_annotate(self, node: ast.Call, hint: Type | None) -> Any:
        em: Any = self
        if len(node.args) != 2:
            em.fail(node, f"annotate expected 2 arguments but got {len(node.args)}")
        kind = em.type_of_syntax(node.args[0], node)
        value = em.as_value(em.emit_any(node.args[1], kind), node)
        if is_optional(kind) and value.type() != kind:
            if value.constant() == (True, None):
                return self.graph.constant(None, kind)
        return em.fitted(value, kind, node, True)

    def form_unchecked_cast(self, node: ast.Call, hint: Type | None) -> Any:
        em: Any = self
        kind = em.type_of_syntax(node.args[0], node)
        value = em.emit(node.args[1])
        em.at(node)
        return self.graph.insert("prim::unchecked_cast", [value], kind)

    def form_uninitialized(self, node: ast.Call, hint: Type | None) -> Any:
        em: Any = self
        return self.graph.insert("prim::Uninitialized", [], em.type_of_syntax(node.args[0], node))

    def form_isinstance(self, node: ast.Call, hint: Type | None) -> Any:
        em: Any = self
        found = em.is_instance(node)
        return self.graph.constant(found.static) if found.static is not None else found.value

    def form_hasattr(self, node: ast.Call, hint: Type | None) -> Any:
        em: Any = self
        return self.graph.constant(em.has_attribute(node))

    def form_is_scripting(self, node: ast.Call, hint: Type | None) -> Any:
        return self.graph.constant(True)

    def form_is_tracing(self, node: ast.Call, hint: Type | None) -> Any:
        return self.graph.constant(False)

    def form_unwrap_optional(self, node: ast.Call, hint: Type | None) -> Any:
        em: Any = self
        value = em.emit(node.args[0])
        kind = value.type()
        if not is_optional(kind):
            return value
        inner = union([t for t in members(kind) if t is not NONE])
        em.at(node)
        return self.graph.insert("aten::_unwrap_optional", [value], inner)

    # ---- attributes

    def form_getattr(self, node: ast.Call, hint: Type | None) -> Any:
        em: Any = self
        owner = em.emit_any(node.args[0])
        name = node.args[1]
        if not isinstance(name, ast.Constant) or not isinstance(name.value, str):
            em.fail(node, "getattr's second argument must be a string literal")
        assert isinstance(name, ast.Constant)
        if len(node.args) == 3 and not em.has_attribute(node):
            return em.emit_any(node.args[2])
        em.at(node)
        return em.attribute(owner, name.value, node)

    # ---- going over things

    def form_range(self, node: ast.Call, hint: Type | None) -> Any:
        em: Any = self
        return RangeSugar(em, self._values(node), node)

    def form_enumerate(self, node: ast.Call, hint: Type | None) -> Any:
        em: Any = self
        start: Value = self.graph.constant(0)
        for keyword in node.keywords:
            start = em.emit(keyword.value)
        if len(node.args) == 2:
            start = em.emit(node.args[1])
        return ZipSugar([CountSugar(start), em.iterable(em.emit_any(node.args[0]), node)])

    def form_zip(self, node: ast.Call, hint: Type | None) -> Any:
        em: Any = self
        if not node.args:
            em.fail(node, "zip() expects at least 1 argument")
        return ZipSugar([em.iterable(thing, node) for a in node.args for thing in em.spread(a)])

    def form_len(self, node: ast.Call, hint: Type | None) -> Any:
        em: Any = self
        (source,) = node.args
        thing = em.emit_any(source)
        em.at(node)
        if isinstance(thing, Value) and isinstance(thing.type(), TupleType):
            return self.graph.constant(len(thing.type().types))
        return em.length_of(thing, node)

    def form_list(self, node: ast.Call, hint: Type | None) -> Any:
        em: Any = self
        if not node.args:
            wanted = next((t for t in members(hint) if isinstance(t, ListType)), None) if hint is not None else None
            return self.graph.insert("prim::ListConstruct", [], wanted or ListType(TENSOR))
        thing = em.iterable(em.emit_any(node.args[0]), node)
        return em.listed(thing, hint, node)

    def form_tuple(self, node: ast.Call, hint: Type | None) -> Any:
        em: Any = self
        thing = em.emit_any(node.args[0])
        if isinstance(thing, Value) and isinstance(thing.type(), TupleType):
            return thing
        items = em.static_items(thing, node)
        if items is None:
            em.fail(node, "cannot make a tuple of something whose length is not known")
        return em.settled(TupleSugar(items), node)

    def form_dict(self, node: ast.Call, hint: Type | None) -> Any:
        em: Any = self
        wanted = next((t for t in members(hint) if isinstance(t, DictType)), None) if hint is not None else None
        if not node.args and not node.keywords:
            return self.graph.insert("prim::DictConstruct", [], wanted or DictType(STR, TENSOR))
        if not node.args:
            keys = [ast.copy_location(ast.Constant(k.arg), node) for k in node.keywords]
            made = ast.copy_location(ast.Dict(keys, [k.value for k in node.keywords]), node)  # type: ignore[arg-type]
            return em.emit_any(made, hint)
        thing = em.emit_any(node.args[0])
        if isinstance(thing, Value) and isinstance(thing.type(), (DictType, ListType)):
            return em.builtin("aten::dict", [thing], {}, node)
        items = em.static_items(thing, node)
        if items is None:
            thing = em.listed(thing, None, node)
            return em.builtin("aten::dict", [thing], {}, node)
        flat: list[Value] = []
        for item in items:
            pair = em.static_items(item, node)
            flat += [em.as_value(p, node) for p in pair or []]
        return self.graph.insert("prim::DictConstruct", flat, wanted or DictType(flat[0].type(), flat[1].type()))

    def form_reversed(self, node: ast.Call, hint: Type | None) -> Any:
        em: Any = self
        thing = em.emit_any(node.args[0])
        items = em.static_items(thing, node)
        if items is not None:
            return TupleSugar(items[::-1])
        made = em.builtin("aten::list", [em.as_value(thing, node)], {}, node)
        em.builtin("aten::reverse", [made], {}, node)
        return made

    # ---- Python's functions

    def form_print(self, node: ast.Call, hint: Type | None) -> Any:
        em: Any = self
        values = self._values(node)
        em.at(node)
        self.graph.create("prim::Print", values, [])
        return self.graph.constant(None)

    def form_min(self, node: ast.Call, hint: Type | None) -> Any:
        return self._least("min", node)

    def form_max(self, node: ast.Call, hint: Type | None) -> Any:
        return self._least("max", node)

    def _least(self, name: str, node: ast.Call) -> Any:
        em: Any = self
        values = self._values(node)
        em.at(node)
        if any(isinstance(v.type(), TensorType) for v in values):
            return em.builtin(f"aten::{name}", values, {}, node)
        return em.builtin(f"prim::{name}", values, {}, node)

    def form_abs(self, node: ast.Call, hint: Type | None) -> Any:
        em: Any = self
        (value,) = self._values(node)
        return em.builtin("aten::abs" if isinstance(value.type(), TensorType) else "prim::abs", [value], {}, node)

    def form_round(self, node: ast.Call, hint: Type | None) -> Any:
        em: Any = self
        return em.builtin("aten::round", self._values(node), {}, node)

    def form_divmod(self, node: ast.Call, hint: Type | None) -> Any:
        em: Any = self
        return em.builtin("aten::divmod", self._values(node), {}, node)

    def form_any(self, node: ast.Call, hint: Type | None) -> Any:
        return self._over_all("aten::any", node)

    def form_all(self, node: ast.Call, hint: Type | None) -> Any:
        return self._over_all("aten::all", node)

    def form_sum(self, node: ast.Call, hint: Type | None) -> Any:
        return self._over_all("aten::sum", node)

    def form_sorted(self, node: ast.Call, hint: Type | None) -> Any:
        em: Any = self
        args = [em.emit(a) for a in node.args]
        args += [em.emit(k.value) for k in node.keywords]
        return em.builtin("aten::sorted", args, {}, node)

    def _over_all(self, name: str, node: ast.Call) -> Any:
        em: Any = self
        values = [
            em.listed(t, None, node) if isinstance(t, Sugar) or isinstance(t.type(), TupleType) else t
            for a in node.args
            for t in em.spread(a)
        ]
        return em.builtin(name, values, {}, node)

    def form_int(self, node: ast.Call, hint: Type | None) -> Any:
        return self._cast(INT, "aten::Int", node)

    def form_float(self, node: ast.Call, hint: Type | None) -> Any:
        em: Any = self
        if len(node.args) == 1 and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str):
            return self.graph.constant(float(node.args[0].value))
        return em.cast(FLOAT, "aten::Float", self._values(node), node)

    def form_bool(self, node: ast.Call, hint: Type | None) -> Any:
        return self._cast(BOOL, "aten::Bool", node)

    def form_str(self, node: ast.Call, hint: Type | None) -> Any:
        return self._cast(STR, "aten::str", node)

    def form_complex(self, node: ast.Call, hint: Type | None) -> Any:
        em: Any = self
        values = self._values(node)
        if not values:
            return self.graph.constant(0j)
        return em.builtin("aten::Complex", values, {}, node)

    def _cast(self, kind: Type, name: str, node: ast.Call) -> Any:
        em: Any = self
        return em.cast(kind, name, self._values(node), node)

    # ---- tasks

    def form_fork(self, node: ast.Call, hint: Type | None) -> Any:
        em: Any = self
        callee = em.emit_any(node.args[0])
        args = [thing for a in node.args[1:] for thing in em.spread(a)]
        kwargs = {k.arg: em.emit_any(k.value) for k in node.keywords}
        if isinstance(callee, Value) and isinstance(callee.type(), ClassType):
            callee = em.attribute(callee, "forward", node)
        if isinstance(callee, MethodValue):
            function, args = callee.function, [callee.receiver, *args]
        elif isinstance(callee, FunctionValue):
            function = callee.function
        elif hasattr(callee, "forked"):
            function, args = callee.forked(em, args, node)
        else:
            em.fail(node, "fork() takes a function or a method of the program")
        matched = em.match_function(function, args, kwargs, node)
        em.at(node)
        made = self.graph.insert("prim::fork", matched.inputs, FutureType(function.schema.returns))
        made.node.attributes["_function"] = function
        return made

    def form_wait(self, node: ast.Call, hint: Type | None) -> Any:
        em: Any = self
        return Builtin("aten::wait").call(em, [em.emit(node.args[0])], {}, node)
