"""What names and expressions of a program stand for while it is compiled, besides values of the graph."""

from __future__ import annotations

import ast

from ._ir import Value
from ._match import MatchError, add_call, choose
from ._schemas import overloads
from ._types import INT, ClassType, EnumType, FunctionType, ListType, TupleType, Type

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._emit import Emitter
    from ._unit import Function


class CompileError(RuntimeError):
    """A program cannot be compiled; the message shows the line."""


class Sugar:
    """Something that is known while compiling and is no value by itself."""

    what = "value"

    def attribute(self, em: Emitter, name: str, node: ast.AST) -> Any:
        em.fail(node, f"attribute lookup is not defined on {self.what}")

    def call(self, em: Emitter, args: list[Any], kwargs: dict[str, Any], node: ast.AST) -> Any:
        em.fail(node, f"cannot call a {self.what}")

    def value(self, em: Emitter, node: ast.AST) -> Value:
        em.fail(node, f"{self.what} cannot be used as a value")
        raise AssertionError

    def items(self, em: Emitter, node: ast.AST) -> list[Any] | None:
        """The elements, if they are known while compiling: loops over them are unrolled."""
        return None

    def item(self, em: Emitter, key: Any, node: ast.AST) -> Any:
        em.fail(node, f"'{self.what}' object is not subscriptable")

    def length(self, em: Emitter, node: ast.AST) -> Value:
        em.fail(node, f"'{self.what}' object is not iterable")
        raise AssertionError

    def element(self, em: Emitter, index: Value, node: ast.AST) -> Any:
        em.fail(node, f"'{self.what}' object is not iterable")

    def test(self, em: Emitter) -> bool | None:
        """What ``if`` sees, where that is known."""
        return None


class Builtin(Sugar):
    """An operation; ``this`` is the value whose method it is."""

    what = "builtin"

    def __init__(self, name: str, this: Value | None = None) -> None:
        self.name, self.this = name, this

    def call(self, em: Emitter, args: list[Any], kwargs: dict[str, Any], node: ast.AST) -> Any:
        values = [em.as_value(a, node) for a in args]
        named = {k: em.as_value(v, node) for k, v in kwargs.items()}
        return em.builtin(self.name, values, named, node, self.this)


class FunctionValue(Sugar):
    """A compiled function."""

    what = "function"

    def __init__(self, function: Function) -> None:
        self.function = function

    def call(self, em: Emitter, args: list[Any], kwargs: dict[str, Any], node: ast.AST) -> Any:
        matched = em.match_function(self.function, args, kwargs, node)
        callee = self.value(em, node)
        return em.graph.insert("prim::CallFunction", [callee, *matched.inputs], self.function.schema.returns)

    def value(self, em: Emitter, node: ast.AST) -> Value:
        name = self.function.name
        constant = em.graph.constant(name, FunctionType(self.function))
        assert not isinstance(constant.node, type(None))
        attributes = constant.node.attributes  # type: ignore[union-attr]
        attributes.clear()
        attributes.update(name=name, _function=self.function)
        return constant


class MethodValue(Sugar):
    """A method of an object."""

    what = "method"

    def __init__(self, receiver: Value, name: str, function: Any) -> None:
        self.receiver, self.name, self.function = receiver, name, function

    def call(self, em: Emitter, args: list[Any], kwargs: dict[str, Any], node: ast.AST) -> Any:
        matched = em.match_function(self.function, [self.receiver, *args], kwargs, node)
        schema = getattr(self.function, "schema", self.function)
        return em.graph.insert("prim::CallMethod", matched.inputs, schema.returns, name=self.name)


class Overloaded(Sugar):
    """Several functions under one name: the first that takes the arguments is called."""

    what = "function"

    def __init__(self, choices: list[Sugar]) -> None:
        self.choices = choices

    def call(self, em: Emitter, args: list[Any], kwargs: dict[str, Any], node: ast.AST) -> Any:
        errors: list[str] = []
        for convert in (False, True):
            errors.clear()
            for choice in self.choices:
                em.converts = convert
                try:
                    return choice.call(em, args, kwargs, node)
                except CompileError as error:
                    errors.append(str(error))
                finally:
                    em.converts = True
        em.fail(node, "none of the overloads takes these arguments:\n" + "\n".join(errors))


class ClassRef(Sugar):
    """A class of the program; calling it makes an instance."""

    what = "class"

    def __init__(self, kind: ClassType) -> None:
        self.kind = kind

    def call(self, em: Emitter, args: list[Any], kwargs: dict[str, Any], node: ast.AST) -> Any:
        made = em.graph.insert("prim::CreateObject", [], self.kind)
        function = self.kind.find_method("__init__")
        if function is None:
            em.fail(node, f"class {self.kind} does not have an __init__ function defined")
        assert function is not None
        MethodValue(made, "__init__", function).call(em, args, kwargs, node)
        return made

    def attribute(self, em: Emitter, name: str, node: ast.AST) -> Any:
        if name == "__new__":
            return _New(self.kind)
        function = self.kind.static_methods.get(name)
        if function is None:
            em.fail(node, f"class '{self.kind.name()}' does not have a static method or attribute '{name}'")
        assert function is not None
        return FunctionValue(function)


class _New(Sugar):
    what = "__new__"

    def __init__(self, kind: ClassType) -> None:
        self.kind = kind

    def call(self, em: Emitter, args: list[Any], kwargs: dict[str, Any], node: ast.AST) -> Any:
        return em.graph.insert("prim::CreateObject", [], self.kind)


class NamedTupleRef(Sugar):
    """A NamedTuple class; calling it makes a tuple."""

    what = "namedtuple"

    def __init__(self, kind: TupleType) -> None:
        self.kind = kind

    def call(self, em: Emitter, args: list[Any], kwargs: dict[str, Any], node: ast.AST) -> Any:
        from ._schemas import NO_DEFAULT, Argument, Schema

        missing = len(self.kind.types) - len(self.kind.defaults)
        arguments = [
            Argument(n, t, self.kind.defaults[i - missing] if i >= missing else NO_DEFAULT)
            for i, (n, t) in enumerate(zip(self.kind.fields, self.kind.types, strict=True))
        ]
        schema = Schema(self.kind.name.rpartition(".")[2], arguments, [self.kind])
        matched = em.match_schemas([schema], args, kwargs, node)
        return em.graph.insert("prim::TupleConstruct", matched.inputs, self.kind)


class EnumRef(Sugar):
    """An enum; its attributes are its members."""

    what = "enum"

    def __init__(self, kind: EnumType) -> None:
        self.kind = kind

    def attribute(self, em: Emitter, name: str, node: ast.AST) -> Any:
        from ._objects import enum_class

        members = enum_class(self.kind).__members__
        if name not in members:
            em.fail(node, f"{self.kind} has no attribute '{name}'")
        return em.graph.constant(members[name], self.kind)

    def items(self, em: Emitter, node: ast.AST) -> list[Any] | None:
        from ._objects import enum_class

        return [em.graph.constant(m, self.kind) for m in enum_class(self.kind)]


class TupleSugar(Sugar):
    """Several things in order, not all of them values."""

    what = "tuple"

    def __init__(self, parts: list[Any]) -> None:
        self.parts = parts

    def items(self, em: Emitter, node: ast.AST) -> list[Any] | None:
        return self.parts

    def value(self, em: Emitter, node: ast.AST) -> Value:
        values = [em.as_value(p, node) for p in self.parts]
        return em.graph.insert("prim::TupleConstruct", values, TupleType(v.type() for v in values))

    def item(self, em: Emitter, key: Any, node: ast.AST) -> Any:
        known, number = key.constant() if isinstance(key, Value) else (True, key)
        if not known or not isinstance(number, int):
            em.fail(node, "tuple index must be a compile time constant")
        if not -len(self.parts) <= number < len(self.parts):
            em.fail(node, "Tuple index out of range")
        return self.parts[number]

    def length(self, em: Emitter, node: ast.AST) -> Value:
        return em.graph.constant(len(self.parts))


class RangeSugar(Sugar):
    """``range(...)``."""

    what = "range"

    def __init__(self, em: Emitter, args: list[Value], node: ast.AST) -> None:
        if not 1 <= len(args) <= 3:
            em.fail(node, "range() expects 1, 2 or 3 arguments")
        for a in args:
            if a.type() is not INT and not (str(a.type()) == "Tensor"):
                em.fail(
                    node, f"all inputs of range must be ints, found {a.type().repr_str()} in argument {args.index(a)}"
                )
        whole = [a if a.type() is INT else em.graph.insert("aten::IntImplicit", [a], INT) for a in args]
        self.simple = len(whole) == 1
        zero, one = em.graph.constant(0), em.graph.constant(1)
        self.start, self.end, self.step = (
            (zero, whole[0], one) if self.simple else (whole[0], whole[1], whole[2] if len(whole) == 3 else one)
        )

    def length(self, em: Emitter, node: ast.AST) -> Value:
        if self.simple:
            return self.end
        return em.graph.insert("aten::__range_length", [self.start, self.end, self.step], INT)

    def element(self, em: Emitter, index: Value, node: ast.AST) -> Any:
        if self.simple:
            return index
        return em.graph.insert("aten::__derive_index", [index, self.start, self.step], INT)

    def value(self, em: Emitter, node: ast.AST) -> Value:
        return em.listed(self, None, node)


class ZipSugar(Sugar):
    """``zip(...)`` and ``enumerate(...)``."""

    what = "iterabletree"

    def __init__(self, parts: list[Any]) -> None:
        self.parts = parts

    def items(self, em: Emitter, node: ast.AST) -> list[Any] | None:
        listed = [em.static_items(p, node) for p in self.parts if not isinstance(p, CountSugar)]
        if any(part is None for part in listed):
            if any(part is not None for part in listed) and not all(
                isinstance(p, (CountSugar, Value)) for p in self.parts
            ):
                em.fail(
                    node,
                    "Can not iterate over a module list or tuple with a value that does not have a "
                    "statically determinable length\n",
                )
            return None
        length = min(len(part) for part in listed if part is not None)
        rows = []
        for i in range(length):
            row = []
            for p in self.parts:
                if isinstance(p, CountSugar):
                    row.append(p.at(em, i))
                else:
                    found = em.static_items(p, node)
                    assert found is not None
                    row.append(found[i])
            rows.append(TupleSugar(row))
        return rows

    def length(self, em: Emitter, node: ast.AST) -> Value:
        lengths = [em.length_of(p, node) for p in self.parts if not isinstance(p, CountSugar)]
        if len(lengths) == 1:
            return lengths[0]
        whole = em.graph.insert("prim::ListConstruct", lengths, ListType(INT))
        return em.builtin("prim::min", [whole], {}, node)

    def element(self, em: Emitter, index: Value, node: ast.AST) -> Any:
        return TupleSugar([em.element_of(p, index, node) for p in self.parts])

    def value(self, em: Emitter, node: ast.AST) -> Value:
        return em.listed(self, None, node)


class CountSugar(Sugar):
    """The numbers of ``enumerate``."""

    what = "count"

    def __init__(self, start: Value) -> None:
        self.start = start

    def at(self, em: Emitter, i: int) -> Value:
        known, first = self.start.constant()
        if known:
            return em.graph.constant(first + i)
        return em.graph.insert("aten::add", [self.start, em.graph.constant(i)], INT)

    def element(self, em: Emitter, index: Value, node: ast.AST) -> Any:
        known, first = self.start.constant()
        if known and first == 0:
            return index
        one = em.graph.constant(1)
        return em.graph.insert("aten::__derive_index", [index, self.start, one], INT)


class Special(Sugar):
    """A form of the language that looks at its arguments before they are values."""

    what = "special form"

    def __init__(self, name: str) -> None:
        self.name = self.what = name


class TypeRef(Sugar):
    """A type that stands where values do, as in ``isinstance(x, int)`` and ``int(x)``."""

    what = "type"

    def __init__(self, type: Type, cast: str = "") -> None:
        self.type, self.cast = type, cast

    def call(self, em: Emitter, args: list[Any], kwargs: dict[str, Any], node: ast.AST) -> Any:
        if not self.cast:
            em.fail(node, f"cannot call a type {self.type}")
        return em.cast(self.type, self.cast, [em.as_value(a, node) for a in args], node)


def choose_builtin(
    em: Emitter, name: str, values: list[Value], named: dict[str, Value], node: ast.AST, this: Value | None = None
) -> Value:
    """Add a call of the overload that fits."""
    if isinstance(node, ast.Call):
        node = node.func
    schemas = overloads(name)
    if not schemas:
        em.fail(node, f"Unknown builtin op: {name}.\nHere are some suggestions: \n\nThe original call is")
    if this is not None and not any(a.name == "self" for s in schemas for a in s.arguments):
        values, this = [this, *values], None
    try:
        matched = choose(em.graph, schemas, values, named, this)
    except MatchError as error:
        em.fail(node, f"{error}\nThe original call is", lead=False)
        raise AssertionError from None
    return add_call(em.graph, name, matched)
