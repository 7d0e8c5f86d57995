"""Types from annotations: from the syntax of a program, and from Python's objects."""

from __future__ import annotations

import ast
import builtins
import enum
import types
import typing

import torch

from ._types import (
    ANY,
    ANY_LIST,
    ANY_TUPLE,
    BOOL,
    COMPLEX,
    DEVICE,
    FLOAT,
    GENERATOR,
    INT,
    NONE,
    NUMBER,
    STR,
    STREAM,
    TENSOR,
    AnyEnumType,
    AwaitType,
    DictType,
    FutureType,
    ListType,
    RRefType,
    TupleType,
    Type,
    optional,
    union,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

NAMES: dict[str, Type] = {
    "Tensor": TENSOR,
    "int": INT,
    "float": FLOAT,
    "bool": BOOL,
    "str": STR,
    "complex": COMPLEX,
    "number": NUMBER,
    "Scalar": NUMBER,
    "Device": DEVICE,
    "NoneType": NONE,
    "None": NONE,
    "Any": ANY,
    "Generator": GENERATOR,
    "Stream": STREAM,
    "list": ANY_LIST,
    "tuple": ANY_TUPLE,
    "AnyEnumType": AnyEnumType.get(),
    "Layout": INT,
    "ScalarType": INT,
    "Storage": ANY,
    "QScheme": INT,
}
_MAKERS: dict[str, Callable[..., Type]] = {
    "List": ListType,
    "list": ListType,
    "Optional": optional,
    "Future": FutureType,
    "RRef": RRefType,
    "Dict": DictType,
    "dict": DictType,
    "Final": lambda t: t,
    "Await": AwaitType,
}


class AnnotationError(ValueError):
    """Something is no type of TorchScript."""


def from_syntax(node: ast.AST, resolve: Callable[[ast.AST], Type | None]) -> Type:
    """The type that an annotation writes; ``resolve`` knows the names that are not TorchScript's own."""
    if isinstance(node, ast.Constant):
        if node.value is None:
            return NONE
        if isinstance(node.value, str):
            return from_syntax(ast.parse(node.value.strip(), mode="eval").body, resolve)
    if isinstance(node, ast.Subscript):
        name = _last_name(node.value)
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if name in ("Tuple", "tuple"):
            if len(parts) == 1 and isinstance(parts[0], ast.Tuple) and not parts[0].elts:
                return TupleType([])
            return TupleType(from_syntax(p, resolve) for p in parts)
        if name == "Union":
            return union([from_syntax(p, resolve) for p in parts])
        if name.startswith("BroadcastingList"):
            return ListType(from_syntax(parts[0], resolve))
        if name in _MAKERS:
            return _MAKERS[name](*(from_syntax(p, resolve) for p in parts))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return union([from_syntax(node.left, resolve), from_syntax(node.right, resolve)])
    if isinstance(node, (ast.Name, ast.Attribute)):
        found = resolve(node)
        if found is not None:
            return found
        if isinstance(node, ast.Name) and node.id in NAMES:
            return NAMES[node.id]
    raise AnnotationError(f"Unknown type name '{ast.unparse(node)}'")


def broadcast_size(node: ast.AST | None) -> int | None:
    """N of an annotation ``BroadcastingListN[...]``, which may be optional."""
    if not isinstance(node, ast.Subscript):
        return None
    name = _last_name(node.value)
    if name.startswith("BroadcastingList"):
        return int(name.removeprefix("BroadcastingList"))
    return broadcast_size(node.slice) if name == "Optional" else None


def _last_name(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


_OBJECTS: dict[Any, Type] = {
    int: INT,
    float: FLOAT,
    bool: BOOL,
    str: STR,
    complex: COMPLEX,
    type(None): NONE,
    None: NONE,
    torch.device: DEVICE,
    torch.dtype: INT,
    torch.layout: INT,
    torch.memory_format: INT,
    torch.Generator: GENERATOR,
    torch.Size: ListType(INT),
    typing.Any: ANY,
    list: ANY_LIST,
    tuple: ANY_TUPLE,
    typing.List: ANY_LIST,  # noqa: UP006
    typing.Tuple: ANY_TUPLE,
    builtins.object: ANY,
    torch.Stream: STREAM,  # noqa: UP006
}


def from_object(obj: Any, resolve_class: Callable[[Any], Type | None], lookup: Any = None) -> Type:
    """The type that a Python annotation stands for; ``resolve_class`` compiles the classes that are not known.

    Raises:
        AnnotationError: it stands for none.
    """
    try:
        if obj in _OBJECTS:
            return _OBJECTS[obj]
    except TypeError:
        pass
    if isinstance(obj, Type):
        return obj
    if isinstance(obj, type) and issubclass(obj, torch.Tensor):
        return TENSOR
    if isinstance(obj, (str, typing.ForwardRef)):
        text = obj if isinstance(obj, str) else obj.__forward_arg__
        if lookup is None:
            raise AnnotationError(f"Unknown type annotation: '{text}'")
        return lookup(text)  # type: ignore[no-any-return]
    origin, args = typing.get_origin(obj), typing.get_args(obj)
    inner = [from_object(a, resolve_class, lookup) for a in args if a != ()] if origin is not None else []
    if origin is list:
        return ListType(inner[0])
    if origin is dict:
        return DictType(*inner)
    if origin is tuple:
        return TupleType(inner)
    if origin is typing.Union or origin is types.UnionType:
        return union(inner)
    if origin is typing.Final:
        return inner[0]
    if origin is not None and getattr(origin, "__name__", "") == "Future":
        return FutureType(inner[0])
    if obj is torch.futures.Future:
        return FutureType(TENSOR)
    if isinstance(obj, type) and not issubclass(obj, (enum.Enum, tuple)) and issubclass(obj, torch.dtype):
        return INT
    found = resolve_class(obj)
    if found is None:
        raise AnnotationError(f"Unknown type annotation: '{obj}'")
    return found


def of_value(value: Any, resolve_class: Callable[[Any], Type | None] = lambda cls: None) -> Type:
    """The type of a Python value, for attributes and constants.

    Raises:
        AnnotationError: it has none.
    """
    if isinstance(value, torch.Tensor):
        return TENSOR
    kind = type(value)
    if kind in _OBJECTS and kind not in (list, tuple, object):
        return _OBJECTS[kind]
    if isinstance(value, torch.Size):
        return ListType(INT)
    if isinstance(value, (torch.dtype, torch.layout, torch.memory_format)):
        return INT
    if isinstance(value, tuple):
        if hasattr(kind, "_fields"):
            found = resolve_class(kind)
            if found is not None:
                return found
        return TupleType(of_value(v, resolve_class) for v in value)
    if isinstance(value, list):
        return ListType(_common([of_value(v, resolve_class) for v in value], "List trace inputs", "list"))
    if isinstance(value, dict):
        if not value:
            raise AnnotationError("Dictionary inputs must have entries")
        keys = _common([of_value(k, resolve_class) for k in value], "", "dict")
        return DictType(keys, _common([of_value(v, resolve_class) for v in value.values()], "", "dict"))
    if isinstance(value, enum.Enum):
        found = resolve_class(kind)
        if found is not None:
            return found
    have = getattr(value, "_type", None)
    if isinstance(have, Type):
        return have
    found = resolve_class(kind) if not isinstance(value, torch.nn.Module) else None
    if found is not None:
        return found
    raise AnnotationError(
        f"Only tensors and (possibly nested) tuples of tensors, lists, or dicts are supported as "
        f"inputs or outputs of traced functions, but instead got value of type {kind.__name__}."
    )


def _common(kinds: list[Type], what: str, container: str) -> Type:
    from ._types import unify

    if not kinds:
        raise AnnotationError(
            f"{'List' if container == 'list' else 'Dictionary'} trace inputs must have elements"
            if container == "list"
            else "Dictionary inputs must have entries"
        )
    result = kinds[0]
    for k in kinds[1:]:
        both = unify(result, k)
        if both is None:
            raise AnnotationError(f"the elements of a {container} must have one type")
        result = both
    return result
