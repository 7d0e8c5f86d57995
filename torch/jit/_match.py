"""Fits the arguments of a call to a schema, and adds the call to a graph."""

from __future__ import annotations

import torch

from ._ir import Graph, Value
from ._numbers import number_of
from ._schemas import Argument, Schema, overloads
from ._types import (
    COMPLEX,
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
    Type,
    TypeVar,
    is_subtype,
    mentions,
    unify,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any


class MatchError(RuntimeError):
    """Arguments do not fit a schema."""


def bind(pattern: Type, type: Type, bound: dict[str, Type]) -> Type | None:
    """The type that a schema's type stands for, given a value of ``type``; None if they do not fit."""
    if isinstance(pattern, TypeVar):
        known = bound.get(pattern.name)
        if known is None:
            bound[pattern.name] = type
            return type
        both = unify(known, type)
        if both is not None:
            bound[pattern.name] = both
        return both
    if not mentions(pattern, TypeVar):
        return pattern
    if isinstance(pattern, OptionalType):
        if isinstance(type, OptionalType):
            inner = bind(pattern.element, type.element, bound)
        elif type is NONE:
            return filled(pattern, bound)
        else:
            inner = bind(pattern.element, type, bound)
        return None if inner is None else OptionalType(inner)
    if isinstance(pattern, ListType) and isinstance(type, TupleType):
        return bind(pattern, ListType(type.types[0]) if type.types else ListType(TENSOR), bound)
    if pattern.kind() != type.kind() or len(pattern.contained()) != len(type.contained()):
        return None
    parts = [bind(p, t, bound) for p, t in zip(pattern.contained(), type.contained(), strict=True)]
    return None if None in parts else pattern.with_contained(tuple(parts))  # type: ignore[arg-type]


def filled(pattern: Type, bound: dict[str, Type]) -> Type | None:
    """A schema's type with what its free types stand for."""
    if isinstance(pattern, TypeVar):
        return bound.get(pattern.name)
    if not pattern.contained():
        return pattern
    parts = [filled(p, bound) for p in pattern.contained()]
    return None if None in parts else pattern.with_contained(tuple(parts))  # type: ignore[arg-type]


def as_list(graph: Graph, value: Value, element: Type) -> Value | None:
    """A tuple as a list of elements of a type."""
    kind = value.type()
    if not isinstance(kind, TupleType) or not all(is_subtype(t, element) for t in kind.types):
        return None
    return graph.insert("prim::ListConstruct", unpacked(graph, value), ListType(element))


def unpacked(graph: Graph, value: Value) -> list[Value]:
    """The elements of a tuple."""
    kind = value.type()
    assert isinstance(kind, TupleType)
    if getattr(value.node, "kind_", "") == "prim::TupleConstruct":
        return list(value.node.input_values)  # type: ignore[union-attr]
    return list(graph.create("prim::TupleUnpack", [value], kind.types).output_values)


def converted(graph: Graph, value: Value, wanted: Type, convert: bool, size: int | None = None) -> Value | None:
    """The value as one of the wanted type, through conversions that calls make; None if there is none."""
    have = value.type()
    if is_subtype(have, wanted):
        return value
    inner = wanted.element if isinstance(wanted, OptionalType) else wanted
    if isinstance(inner, ListType):
        if size is not None and (is_subtype(have, inner.element) or (inner.element is FLOAT and have is INT)):
            count = size
            return graph.insert("prim::ListConstruct", [value] * count, inner)
        found = as_list(graph, value, inner.element)
        if found is not None:
            return found
    if convert:
        if isinstance(have, TensorType):
            implicit = {
                FLOAT: "aten::FloatImplicit",
                INT: "aten::IntImplicit",
                COMPLEX: "aten::ComplexImplicit",
                NUMBER: "aten::ScalarImplicit",
            }.get(inner)
            if implicit is not None:
                return graph.insert(implicit, [value], inner)
        if have is STR and inner is DEVICE:
            return graph.insert("aten::device", [value], DEVICE)
        if isinstance(have, TensorType) and size is not None and isinstance(inner, ListType) and inner.element is INT:
            one = graph.insert("aten::IntImplicit", [value], INT)
            return graph.insert("prim::ListConstruct", [one] * size, inner)
    return None


def written(type: Type) -> str:
    """A type as messages about arguments write it."""
    return type.repr_str() if type is not NUMBER else "number"


class Matched:
    """The inputs that a call of a schema gets, and the types of its results."""

    __slots__ = ("schema", "inputs", "results")

    def __init__(self, schema: Schema, inputs: list[Value], results: list[Type]) -> None:
        self.schema, self.inputs, self.results = schema, inputs, results


def _expected(argument: Argument, have: Type, schema: Schema) -> str:
    text = (
        f"Expected a value of type '{written(argument.type)}' for argument '{argument.name}' but instead found type "
        f"'{written(have)}'.\n"
    )
    if have == ListType(TENSOR) and isinstance(argument.type, ListType):
        text += (
            "Empty lists default to List[Tensor]. Add a variable annotation to the assignment to create an empty list "
            "of another type (torch.jit.annotate(List[T, []]) where T is the type of elements in the list for "
            "Python 2)\n"
        )
    return text


def _not_bound(argument: Argument, have: Type, bound: dict[str, Type]) -> str:
    pattern = argument.type
    lead = f"Could not match type {have.repr_str()} to {pattern.annotation_str} in argument '{argument.name}': "
    if isinstance(pattern, TypeVar) and pattern.name in bound:
        return (
            f"{lead}Type variable '{pattern.name}' previously matched to type {bound[pattern.name].repr_str()} "
            f"is matched "
            f"to type {have.repr_str()}.\n"
        )
    return f"{lead}Cannot match {pattern.annotation_str} to {have.repr_str()}.\n"


def match(
    graph: Graph, schema: Schema, args: list[Value], kwargs: dict[str, Value], convert: bool, self: Value | None = None
) -> Matched:
    """The inputs for one schema.

    Raises:
        MatchError: the arguments do not fit.
    """
    args = list(args)
    used: set[str] = set()
    inputs: list[Value] = []
    bound: dict[str, Type] = {}
    at = 0
    for number, argument in enumerate(schema.arguments):
        wanted: Type | None
        if self is not None and argument.name == "self":
            value: Value | None = self
            self = None
        elif at < len(args) and not argument.kwarg_only:
            rest = args[at:]
            following = schema.arguments[number + 1 : number + 2]
            if (
                isinstance(argument.type, ListType)
                and (argument.size is None or argument.size == len(rest))
                and (not following or following[0].kwarg_only)
                and not mentions(argument.type, TypeVar)
                and not isinstance(rest[0].type(), (ListType, TupleType))
                and not (argument.size and len(rest) == 1)
            ):
                elements = [converted(graph, v, argument.type.element, convert) for v in rest]
                if None in elements:
                    raise MatchError(_expected(argument, rest[0].type(), schema))
                at = len(args)
                inputs.append(graph.insert("prim::ListConstruct", elements, argument.type))  # type: ignore[arg-type]
                continue
            value = args[at]
            at += 1
            if argument.name in kwargs:
                raise MatchError(f"argument '{argument.name}' specified twice in schema, submitted to {schema.name}.\n")
        elif argument.name in kwargs:
            value = kwargs[argument.name]
            used.add(argument.name)
        elif argument.has_default:
            value = default_value(graph, argument)
        else:
            raise MatchError(f"Argument {argument.name} not provided.\n")
        wanted = bind(argument.type, value.type(), bound)
        if wanted is None:
            raise MatchError(_not_bound(argument, value.type(), bound))
        fitting = converted(graph, value, wanted, convert, argument.size)
        if fitting is None:
            raise MatchError(_expected(argument, value.type(), schema))
        inputs.append(fitting)
    if self is not None:
        raise MatchError("Provided self argument not used in schema.\n")
    if schema.variadic:
        inputs += args[at:]
        at = len(args)
    if at < len(args):
        raise MatchError(
            f"Expected at most {len(schema.arguments)} arguments but found {len(args)} positional arguments.\n"
        )
    for name in kwargs:
        if name not in used:
            raise MatchError(f"Keyword argument {name} unknown.\n")
    results = [filled(t, bound) for t in schema.results]
    if None in results:
        raise MatchError("the type of the result is unknown.\n")
    return Matched(schema, inputs, results)  # type: ignore[arg-type]


def default_value(graph: Graph, argument: Argument) -> Value:
    """The default of an argument as a value."""
    value = argument.default
    inner = argument.type.element if isinstance(argument.type, OptionalType) else argument.type
    if isinstance(value, list):
        assert isinstance(inner, ListType)
        return graph.insert("prim::ListConstruct", [graph.constant(v) for v in value], inner)
    if inner is DEVICE and isinstance(value, str):
        value = torch.device(value)
    if isinstance(value, int) and not isinstance(value, bool) and inner is FLOAT:
        value = float(value)
    return value_of(graph, value, argument.type)


def value_of(graph: Graph, value: Any, wanted: Type | None = None) -> Value:
    """A Python value as a value of the graph: constants, and lists, tuples and dictionaries of values."""
    if isinstance(value, Value):
        return value
    if isinstance(value, (torch.dtype, torch.layout, torch.memory_format)):
        return graph.constant(number_of(value))
    if isinstance(value, (list, torch.Size)):
        inner = wanted.element if isinstance(wanted, OptionalType) else wanted
        elements = [value_of(graph, v) for v in value]
        if isinstance(inner, ListType):
            element: Type = inner.element
        else:
            element = TENSOR
            for i, v in enumerate(elements):
                both = v.type() if i == 0 else unify(element, v.type())
                if both is None:
                    raise MatchError("the elements of a list differ in type")
                element = both
        return graph.insert("prim::ListConstruct", elements, ListType(element))
    if isinstance(value, tuple):
        elements = [value_of(graph, v) for v in value]
        return graph.insert("prim::TupleConstruct", elements, TupleType(v.type() for v in elements))
    if isinstance(value, dict):
        pairs = [(value_of(graph, k), value_of(graph, v)) for k, v in value.items()]
        if isinstance(wanted, DictType) or pairs:
            kind = wanted if isinstance(wanted, DictType) else DictType(pairs[0][0].type(), pairs[0][1].type())
            return graph.insert("prim::DictConstruct", [v for pair in pairs for v in pair], kind)
    return graph.constant(value)


def choose(
    graph: Graph, schemas: Iterable[Schema], args: list[Value], kwargs: dict[str, Value], self: Value | None = None
) -> Matched:
    """The first schema that fits, without conversions if possible.

    Raises:
        MatchError: none fits.
    """
    schemas = list(schemas)
    block = graph.block
    last = block.nodes_[-1] if block.nodes_ else None
    errors: list[str] = []
    for convert in (False, True) if len(schemas) > 1 else (True,):
        for schema in schemas:
            try:
                return match(graph, schema, args, kwargs, convert, self)
            except MatchError as error:
                # What conversions of the attempt have added goes again; constants stand at the start of the graph.
                while block.nodes_ and block.nodes_[-1] is not last and block.nodes_[-1].kind_ != "prim::Constant":
                    block.nodes_[-1].destroy()
                if len(schemas) == 1:
                    raise MatchError(f"\n{schema}:\n{error}") from None
                if convert:
                    errors.append(f"  \n  {schema}:\n  {_indented(str(error))}")
    raise MatchError("\nArguments for call are not valid.\nThe following variants are available:\n" + "".join(errors))


def _indented(text: str) -> str:
    return text.replace("\n", "\n  ").rstrip(" ")


def add_call(graph: Graph, name: str, matched: Matched) -> Value:
    """Add the call; its result, a tuple for several."""
    node = graph.create(name, matched.inputs, matched.results)
    node.schema = matched.schema
    if len(matched.results) == 1:
        return node.output_values[0]
    if not matched.results:
        return graph.constant(None)
    kind = TupleType(matched.results, fields=result_names(matched.schema))
    return graph.insert("prim::TupleConstruct", node.output_values, kind)


def result_names(schema: Schema) -> list[str]:
    """The names of a schema's results, if they have some."""
    text = schema.text
    at = text.rindex(") ->") + 4 if ") ->" in text else len(text)
    returned = text[at:].strip()
    if not returned.startswith("("):
        return []
    names = [part.strip().rpartition(" ")[2] for part in returned[1:-1].split(",")]
    return (
        names
        if all(n.isidentifier() and " " in p.strip() for n, p in zip(names, returned[1:-1].split(","), strict=True))
        else []
    )


def insert_call(graph: Graph, name: str, args: Iterable[Any], kwargs: dict[str, Any] | None = None) -> Value:
    """Add a call of an operation, ``aten::add``; numbers and lists become constants."""
    schemas = overloads(name)
    if not schemas:
        raise RuntimeError(f"Unknown builtin op: {name}.")
    values = [value_of(graph, a) for a in args]
    named = {k: value_of(graph, v) for k, v in (kwargs or {}).items()}
    return add_call(graph, name, choose(graph, schemas, values, named))
