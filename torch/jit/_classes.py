"""Python classes as types of programs: NamedTuples, enums, interfaces, and classes whose methods are compiled."""

from __future__ import annotations

import ast
import enum

import torch

from . import _dataclasses
from ._ir import type_of_constant
from ._python import (
    PythonResolver,
    class_type,
    compiled_function,
    make,
    names_around,
    python_signature,
    qualified_name,
    source_of,
)
from ._schemas import Argument, Schema
from ._sugar import CompileError
from ._type_text import from_object, from_syntax
from ._types import TENSOR, ClassType, EnumType, InterfaceType, TupleType, Type, unify_all
from ._unit import python_unit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_known: dict[Any, Type] = {}


def type_of(cls: type) -> Type | None:
    """The type of a Python class; None for one that is not of the language."""
    found = _known.get(cls)
    if found is not None:
        return found
    if issubclass(cls, enum.Enum):
        return _enum(cls)
    if issubclass(cls, tuple):
        return _named_tuple(cls) if hasattr(cls, "_fields") else None
    replaced = _replacement(cls)
    if replaced is not None:
        made = compile_class(replaced, qualified_name(cls))
        _known[cls] = made
        return made
    module = cls.__module__
    if not isinstance(module, str) or not hasattr(cls, "__init__") or cls.__init__ is object.__init__:
        return None
    if module in ("builtins", "typing", "collections") or issubclass(cls, (torch.nn.Module, torch.Tensor)):
        return None
    if module.startswith("torch.") and not module.startswith("torch.testing"):
        return None
    return compile_class(cls)


def _replacement(cls: type) -> type | None:
    """The form that a context manager of ours has in programs."""
    if cls not in (torch.no_grad, torch.enable_grad):
        return None
    from . import _class_forms

    found: type = getattr(_class_forms, cls.__name__)
    return found


def _names_in(cls: type) -> PythonResolver:
    import builtins
    import sys

    # A class that is made inside a function sees that function's variables, through its methods.
    methods = [v for v in cls.__dict__.values() if hasattr(v, "__code__")]
    finders = [names_around(m) for m in methods]
    space = getattr(sys.modules.get(cls.__module__), "__dict__", {})

    def find(name: str) -> Any:
        if name == cls.__name__:
            return cls
        for finder in finders:
            try:
                return finder(name)
            except KeyError:
                continue
        if name in space:
            return space[name]
        return builtins.__dict__[name]

    return PythonResolver(find)


def _enum(cls: type[enum.Enum]) -> Type:
    members = [(m.name, m.value) for m in cls]
    kinds = unify_all([type_of_constant(v) for _, v in members], TENSOR)
    if kinds is None:
        raise RuntimeError(f"Could not unify the type of enum values of {cls.__name__}")
    made = _known[cls] = EnumType(python_unit.fresh(qualified_name(cls)), kinds, members, cls)
    python_unit._types[made.name] = made
    return made


def _named_tuple(cls: Any) -> Type:
    resolver = _names_in(cls)
    annotations: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        annotations.update(base.__dict__.get("__annotations__", {}))
    kinds = []
    for field in cls._fields:
        kinds.append(
            from_object(annotations[field], class_type, resolver.type_of_text) if field in annotations else TENSOR
        )
    defaults = [cls._field_defaults[f] for f in cls._fields if f in cls._field_defaults]
    made = TupleType(kinds, python_unit.fresh(qualified_name(cls)), cls._fields, defaults)
    made.python_class = cls
    _known[cls] = made
    python_unit._types[made.name] = made
    return made


def interface_of(cls: type, is_module: bool) -> InterfaceType:
    """The interface that a class describes."""
    made = InterfaceType(python_unit.fresh(qualified_name(cls)), is_module)
    made.python_class = cls
    python_unit._types[made.qualified_name] = made
    for name, function in cls.__dict__.items():
        if hasattr(function, "__code__"):
            schema, _ = python_signature(function, True)
            made.methods[name] = Schema(name, [Argument("self", made), *schema.arguments], schema.results)
    return made


def compile_class(cls: type, name: str | None = None) -> ClassType:
    """Compile a class: ``__init__`` at once, since it says which attributes there are, and the other methods."""
    if len(cls.__mro__) > 2 and cls.__mro__[1] is not object:
        raise CompileError(
            f"TorchScript classes do not support inheritance yet. Please directly inherit from 'object': {cls.__name__}"
        )
    kind = ClassType(python_unit.fresh(name or qualified_name(cls)), python_unit)
    kind.python_class = None if name is not None else cls
    _known[cls] = kind
    python_unit._types[kind.qualified_name] = kind
    resolver = _names_in(cls)
    try:
        _fill(cls, kind, resolver)
    except Exception:
        # A class that does not compile stays unknown, so that the next attempt says why again.
        del _known[cls], python_unit._types[kind.qualified_name]
        raise
    return kind


def _fill(cls: type, kind: ClassType, resolver: PythonResolver) -> None:
    source, tree = source_of(cls)
    assert isinstance(tree, ast.ClassDef)
    for part in tree.body:
        if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name) and part.value is None:
            found = from_syntax(part.annotation, lambda n: resolver.type_named(None, n))
            kind.add_attribute(part.target.id, found)
    ignored = set(getattr(cls, "__jit_unused_properties__", ()))
    for name, thing in cls.__dict__.items():
        if isinstance(thing, staticmethod):
            kind.static_methods[name] = compiled_function(
                thing.__func__, f"{kind.qualified_name.rpartition('.')[0]}.{name}", resolver
            )
        elif isinstance(thing, property):
            if name in ignored or thing.fget is None:
                continue
            kind.methods[f"__{name}_getter"] = _method(kind, f"__{name}_getter", thing.fget, resolver)
            setter = ""
            if thing.fset is not None:
                setter = f"__{name}_setter"
                kind.methods[setter] = _method(kind, setter, thing.fset, resolver)
            kind.properties[name] = (f"__{name}_getter", setter)
        elif hasattr(thing, "__code__") and _dataclasses.is_generated(cls, name, thing):
            function = _dataclasses.written(cls, name, tree)
            if function is not None:
                kind.methods[name] = _method(kind, name, function, resolver)
        elif hasattr(thing, "__code__") and getattr(thing, "_torchscript_modifier", "") not in ("ignore", "unused"):
            kind.methods[name] = _method(kind, name, thing, resolver)
    first = kind.methods.get("__init__")
    if first is not None:
        first.ensure()
    for method in kind.methods.values():
        if not method._making:
            method.ensure()


def _method(kind: ClassType, name: str, function: Any, resolver: PythonResolver) -> Any:
    return make(function, f"{kind.qualified_name}.{name}", resolver, (kind, None))
