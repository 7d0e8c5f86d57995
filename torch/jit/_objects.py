"""The Python objects that instances of script classes, named tuples and enums are while a program runs."""

from __future__ import annotations

import collections
import enum

from ._types import ClassType, EnumType, TupleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class ScriptObject:
    """An instance of a class that a program defines."""

    _type: Any = None

    def __getattr__(self, name: str) -> Any:
        found = type(self)._type.find_method(name) if type(self)._type is not None else None
        if found is None:
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
        return lambda *args, **kwargs: found.checked(self, *args, **kwargs)

    def _method_names(self) -> list[str]:
        return list(type(self)._type.methods)

    def _has_method(self, name: str) -> bool:
        return type(self)._type.find_method(name) is not None


ScriptObject.__module__ = "torch"


def instance_class(kind: ClassType) -> Any:
    """The Python class of a script class's instances: the class that was scripted, or one for the archive's."""
    if kind.python_class is None:
        kind.python_class = type(kind.name(), (ScriptObject,), {"_type": kind, "__module__": "torch.jit"})
    return kind.python_class


def named_tuple(kind: TupleType) -> Any:
    """The Python class of a NamedTuple type."""
    if kind.python_class is None:
        kind.python_class = collections.namedtuple(kind.name.rpartition(".")[2], kind.fields)  # type: ignore[misc]
    return kind.python_class


def enum_class(kind: EnumType) -> Any:
    """The Python class of an enum type."""
    if kind.python_class is None:
        kind.python_class = enum.Enum(kind.name.rpartition(".")[2], dict(kind.members))  # type: ignore[misc]
    return kind.python_class
