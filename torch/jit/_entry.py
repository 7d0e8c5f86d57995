"""Calls of TorchScript functions from Python: arguments are checked and converted, errors say where they arose."""

from __future__ import annotations

import torch

from ._numbers import number_of
from ._types import (
    ANY,
    BOOL,
    COMPLEX,
    DEVICE,
    FLOAT,
    INT,
    NONE,
    NUMBER,
    STR,
    TENSOR,
    ClassType,
    DictType,
    EnumType,
    InterfaceType,
    ListType,
    OptionalType,
    TensorType,
    TupleType,
    Type,
    UnionType,
    is_subtype,
)
from ._unit import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ._schemas import Schema
    from ._unit import Function

_FILE = "<TorchScript>"


class CastError(Exception):
    """A Python value is none of the wanted type."""


class ArgumentError(RuntimeError):
    """A call from Python gives an argument of another type."""


_OPAQUE = (
    "Unable to cast Python instance of type {} to C++ type '?' "
    "(#define PYBIND11_DETAILED_ERROR_MESSAGES or compile in debug mode for details)"
)


def _refuse(value: Any) -> Any:
    raise CastError(_OPAQUE.format(type(value)))


def _tensor(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value
    raise CastError(f"Unable to cast {value} to Tensor")


def _int(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, (torch.dtype, torch.layout, torch.memory_format)):
        return number_of(value)
    if isinstance(value, torch.Tensor) and value.numel() == 1 and not value.is_floating_point():
        return int(value)
    return int(value) if hasattr(type(value), "__index__") and not isinstance(value, bool) else _refuse(value)


def _float(value: Any) -> Any:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, torch.Tensor) and value.numel() == 1:
        return float(value)
    return float(value) if hasattr(type(value), "dtype") and hasattr(type(value), "__float__") else _refuse(value)


def _complex(value: Any) -> Any:
    return complex(value) if isinstance(value, (int, float, complex)) else _refuse(value)


def _bool(value: Any) -> Any:
    return value if isinstance(value, bool) else _refuse(value)


def _str(value: Any) -> Any:
    return value if isinstance(value, str) else _refuse(value)


def _device(value: Any) -> Any:
    return torch.device(value) if isinstance(value, (str, torch.device)) else _refuse(value)


def _none(value: Any) -> Any:
    return None if value is None else _refuse(value)


def _number(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.item()
    return value if isinstance(value, (int, float, complex)) else _refuse(value)


def _any(value: Any) -> Any:
    return number_of(value) if isinstance(value, (torch.dtype, torch.layout, torch.memory_format)) else value


_PLAIN: dict[Type, Any] = {
    INT: _int,
    FLOAT: _float,
    COMPLEX: _complex,
    BOOL: _bool,
    STR: _str,
    DEVICE: _device,
    NONE: _none,
    NUMBER: _number,
    ANY: _any,
}


def converter(kind: Type) -> Callable[[Any], Any]:
    """A function from Python's values to those of a type; CastError for others. Lists and dictionaries are copied."""
    if isinstance(kind, TensorType):
        return _tensor
    if kind in _PLAIN:
        return _PLAIN[kind]  # type: ignore[no-any-return]
    if isinstance(kind, OptionalType):
        inner = converter(kind.element)
        return lambda value: None if value is None else inner(value)
    if isinstance(kind, ListType):
        return _list(converter(kind.element))
    if isinstance(kind, DictType):
        return _dict(converter(kind.key), converter(kind.value))
    if isinstance(kind, TupleType):
        return _tuple(kind)
    if isinstance(kind, UnionType):
        return _union(kind)
    if isinstance(kind, (ClassType, InterfaceType)):
        return _object(kind)
    if isinstance(kind, EnumType):
        name = kind.name.rpartition(".")[2]
        return lambda value: value if type(value).__name__ == name else _refuse(value)
    return lambda value: value


def _list(inner: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def convert(value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return [inner(v) for v in value]
        raise CastError(
            f"Unable to cast Python instance of type {type(value)} to C++ type '?' (#define "
            "PYBIND11_DETAILED_ERROR_MESSAGES or compile in debug mode for details)"
        )

    return convert


def _dict(key: Callable[[Any], Any], item: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def convert(value: Any) -> Any:
        return {key(k): item(v) for k, v in value.items()} if isinstance(value, dict) else _refuse(value)

    return convert


def _tuple(kind: TupleType) -> Callable[[Any], Any]:
    parts = [converter(t) for t in kind.types]

    def convert(value: Any) -> Any:
        if not isinstance(value, tuple):
            return _refuse(value)
        if len(value) != len(parts):
            raise CastError(f"Object {value} had a different number of elements than type {kind.annotation_str}")
        made = [p(v) for p, v in zip(parts, value, strict=True)]
        if kind.name:
            from ._objects import named_tuple

            return named_tuple(kind)(*made)
        return tuple(made)

    return convert


def _union(kind: UnionType) -> Callable[[Any], Any]:
    from ._codegen import tester

    tests = [(tester(t), converter(t)) for t in kind.types]

    def convert(value: Any) -> Any:
        for test, inner in tests:
            if test(value):
                return inner(value)
        for _, inner in tests:
            try:
                return inner(value)
            except CastError:
                continue
        raise CastError(f"Expected a member of {kind.annotation_str} but instead found type {type(value).__name__}")

    return convert


def _object(kind: ClassType | InterfaceType) -> Callable[[Any], Any]:
    def convert(value: Any) -> Any:
        have = getattr(value, "_type", None)
        if have is not None and is_subtype(have, kind):
            return value
        if kind.python_class is not None and isinstance(value, kind.python_class):
            return value
        raise CastError(f"Expected an object of type {kind} but got {type(value).__name__}")

    return convert


# ---- calls


def _shown_argument(argument: Any) -> str:
    inferred = argument.alias == "inferred"
    return f"'{argument.type.annotation_str}{' (inferred)' if inferred else ''}'"


def mismatch(schema: Schema, position: int, value: Any, detail: str, name: str) -> ArgumentError:
    """The error for an argument that is of another type."""
    argument = schema.arguments[position]
    text = (
        f"{name}() Expected a value of type {_shown_argument(argument)} for argument '{argument.name}' but "
        f"instead found "
        f"type '{type(value).__name__}'.\n"
    )
    if argument.alias == "inferred":
        text += (
            f"Inferred '{argument.name}' to be of type 'Tensor' because it was not annotated with an explicit type.\n"
        )
    return ArgumentError(
        f"{text}Position: {position}\nValue: {value!r}\nDeclaration: {schema}\nCast error details: {detail}"
    )


def _arguments(schema: Schema, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
    """All arguments in order, defaults included."""
    arguments = schema.arguments
    if len(args) + len(kwargs) > len(arguments):
        raise RuntimeError(
            f"{name}() expected at most {len(arguments)} argument(s) but received {len(args) + len(kwargs)} "
            f"argument(s). Declaration: {schema}"
        )
    values = list(args)
    used = 0
    for argument in arguments[len(args) :]:
        if argument.name in kwargs:
            values.append(kwargs[argument.name])
            used += 1
        elif argument.has_default:
            default = argument.default
            values.append(list(default) if isinstance(default, list) else default)
        else:
            raise RuntimeError(f"{name}() is missing value for argument '{argument.name}'. Declaration: {schema}")
    if used < len(kwargs):
        names = [a.name for a in arguments[len(args) :]]
        extra = next(k for k in kwargs if k not in names)
        raise RuntimeError(f"Unknown keyword argument '{extra}' for operator '{name}'. Schema: {schema}")
    return values


def make_entry(function: Function) -> Callable[..., Any]:
    """The function of a TorchScript function that Python calls."""
    schema, run, name = function.schema, function.run, function.name
    count = len(schema.arguments)
    quick = [(i, _EXACT.get(a.type), converter(a.type)) for i, a in enumerate(schema.arguments)]
    # The first argument of a method is the object that it was found in.
    if count and isinstance(schema.arguments[0].type, ClassType):
        quick = quick[1:]

    def entry(*args: Any, **kwargs: Any) -> Any:
        values: Any = args if len(args) == count and not kwargs else _arguments(schema, name, args, kwargs)
        for i, exact, convert in quick:
            value = values[i]
            if value.__class__ is not exact:
                try:
                    made = convert(value)
                except CastError as error:
                    raise mismatch(schema, i, value, str(error), name) from None
                if made is not value:
                    values = list(values)
                    values[i] = made
        try:
            return run(*values)
        except Exception as error:
            raise translated(error) from None

    return entry


_EXACT = {INT: int, BOOL: bool, STR: str, FLOAT: float, TENSOR: torch.Tensor}


def translated(error: Exception) -> Exception:
    """The error that a caller from Python sees: with the lines of the program, from the outermost call inwards."""
    if getattr(error, "_script_places", False):
        return error
    places = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if code.co_filename == _FILE:
            space = trace.tb_frame.f_globals
            found = space["__ranges__"].get(trace.tb_lineno)
            if found is not None:
                places.append(found.highlight(space["__function__"]))
        trace = trace.tb_next
    kind = getattr(error, "python_class_name", None) or "RuntimeError"
    text = (
        "The following operation failed in the TorchScript interpreter.\nTraceback of TorchScript (most "
        "recent call last):\n"
    )
    text += "".join(f"{place}\n" for place in places) + f"{kind}: {error}\n"
    made: Exception = Error(text) if isinstance(error, Error) else RuntimeError(text)
    if isinstance(error, NotImplementedError):
        made = NotImplementedError(text)
    made._script_places = True  # type: ignore[attr-defined]
    return made
