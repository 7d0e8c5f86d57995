"""Modules as a program sees them while it is compiled: attributes, methods, and what containers hold."""

from __future__ import annotations

import ast
import inspect
import types

import torch
from torch.nn import Module

from . import _module_forms
from ._ir import Value
from ._python import (
    PythonCall,
    PythonResolver,
    Refused,
    compiled_function,
    make,
    signatures_of,
    to_sugar,
)
from ._sugar import FunctionValue, MethodValue, Overloaded, Sugar, TupleSugar
from ._types import (
    INT,
    NONE,
    TENSOR,
    ClassType,
    ListType,
    TupleType,
    Type,
)
from ._unit import Function

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Concrete:
    """What a class of modules with equal attributes is in programs; instances whose ``key`` is equal share it."""

    def __init__(self, module: Any, kind: ClassType) -> None:
        self.module, self.kind = module, kind
        self.python_class = type(module)
        self.submodules: dict[str, Concrete] = {}
        self.functions: dict[str, Any] = {}
        self.failed: dict[str, str] = {}
        self.key: Any = None
        self.resolver: PythonResolver | None = None

    def method(self, name: str) -> Function | None:
        """The compiled method of a name, made now if the Python class has it."""
        found = self.kind.methods.get(name)
        if found is not None:
            return found
        python = form_of(self.python_class, name)
        if python is None:
            python = inspect.getattr_static(self.python_class, name, None)
            if not isinstance(python, types.FunctionType) or modifier_of(python) in ("ignore", "unused"):
                return None
            if python is Module.forward or getattr(Module, name, None) is python:
                return None
        made = make(python, f"{self.kind.qualified_name}.{name}", self.resolver, (self.kind, self.wrap))
        self.kind.methods[name] = made
        return made

    def overloads(self, name: str) -> list[Function]:
        """The compiled methods of a name that has several signatures."""
        python = inspect.getattr_static(self.python_class, name, None)
        form = form_of(self.python_class, name)
        packed = form_of(self.python_class, f"{name}_packed") if form is not None else None
        choices: list[tuple[Any, Any]] = []
        if packed is not None:
            choices = [(form, None), (packed, None)]
        elif isinstance(python, types.FunctionType):
            choices = [(python, signature) for signature in signatures_of(python)]
        found = []
        for number, (function, signature) in enumerate(choices):
            # The first of our own modules' methods keeps its name, so that the module can be called from Python.
            label = name if packed is not None and number == 0 else f"{name}__{number}"
            made = self.kind.methods.get(label)
            if made is None:
                made = self.kind.methods[label] = make(
                    function, f"{self.kind.qualified_name}.{label}", self.resolver, (self.kind, self.wrap), signature
                )
            found.append(made)
        return found

    def wrap(self, value: Value) -> Sugar:
        return ModuleSugar(value, self)


def modifier_of(function: Any) -> str:
    return str(getattr(function, "_torchscript_modifier", ""))


def form_of(cls: type, name: str) -> Any:
    """The form that a method of one of our modules has in programs, if it is not compiled as it is."""
    for base in cls.__mro__:
        if name.removesuffix("_packed") in base.__dict__:
            if base.__module__.startswith("torch.nn.modules") or base.__module__.startswith("torch.nn.intrinsic"):
                return _module_forms.find(cls, base, name)
            return None
    return None


# ---- what a module is while a program is compiled


class ModuleSugar(Sugar):
    """A module of the program: its attributes are found by its Python class too."""

    what = "module"

    def __init__(self, this: Value, concrete: Concrete) -> None:
        self.this, self.concrete = this, concrete

    def value(self, em: Any, node: ast.AST) -> Value:
        return self.this

    def attribute(self, em: Any, name: str, node: ast.AST) -> Any:
        concrete, kind = self.concrete, self.concrete.kind
        sub = concrete.submodules.get(name)
        if sub is not None:
            return ModuleSugar(self._get(em, name, sub.kind), sub)
        attribute = kind.attributes.get(name)
        if attribute is not None:
            return self._get(em, name, attribute.type)
        if name in kind.constants:
            return em.constant_of(kind.constants[name], kind.constant_types.get(name))
        if name in concrete.functions:
            found = concrete.functions[name]
            return found if isinstance(found, Sugar) else to_sugar(em, found, node)
        if name in kind.properties:
            return em.call(self.attribute(em, kind.properties[name][0], node), [], {}, node)
        return self._of_class(em, name, node)

    def _get(self, em: Any, name: str, kind: Type) -> Value:
        made: Value = em.graph.insert("prim::GetAttr", [self.this], kind, name=name)
        made.name = em.graph.fresh(name if name.isidentifier() else f"_{name}")
        return made

    def _of_class(self, em: Any, name: str, node: ast.AST) -> Any:
        concrete = self.concrete
        container = self._container_attribute(em, name, node)
        if container is not None:
            return container
        own = getattr(concrete.module, "__dict__", {}).get(name)
        if name == "_flat_weights" and isinstance(concrete.module, torch.nn.RNNBase):
            weights = [self._get(em, n, TENSOR) for n in concrete.module._flat_weights_names]
            return em.graph.insert("prim::ListConstruct", weights, ListType(TENSOR))
        static = inspect.getattr_static(concrete.python_class, name, None)
        if isinstance(static, staticmethod):
            return FunctionValue(compiled_function(static.__func__, f"{concrete.kind.qualified_name}.{name}"))
        if isinstance(static, types.FunctionType):
            way = modifier_of(static)
            if way == "ignore":
                return PythonCall(static, self.this)
            if way == "unused":
                return Refused(static, self.this)
        if isinstance(static, (bool, int, float, str, tuple)) and concrete.python_class.__module__.startswith(
            "torch.nn."
        ):
            return em.constant_of(static)
        several = concrete.overloads(name)
        if several:
            return Overloaded([MethodValue(self.this, f.name, f) for f in several])
        method = concrete.method(name)
        if method is not None:
            return MethodValue(self.this, name, method)
        if isinstance(static, property) and static.fget is not None:
            getter = f"__{name}_getter"
            concrete.kind.methods[getter] = make(
                static.fget,
                f"{concrete.kind.qualified_name}.{getter}",
                concrete.resolver,
                (concrete.kind, concrete.wrap),
            )
            concrete.kind.properties[name] = (getter, "")
            return self.attribute(em, name, node)
        text = f"Module '{concrete.kind.name()}' has no attribute '{name}' "
        if name in concrete.failed:
            text += f"({concrete.failed[name]})"
        elif own is None and static is not None and not callable(static):
            text += (
                "(This attribute exists on the Python module, but we failed to convert Python type: "
                f"'{type(static).__name__}' to a TorchScript type. Only attributes of an instance are part of a "
                "program)"
            )
        em.fail(node, text)
        return None

    def set_attribute(self, em: Any, name: str, value: Value, node: ast.AST) -> None:
        em.set_attribute(self.this, name, value, node)

    def has_attribute(self, em: Any, name: str) -> bool:
        concrete = self.concrete
        return (
            name in concrete.submodules
            or name in concrete.kind.attributes
            or name in concrete.kind.constants
            or name in concrete.functions
            or hasattr(concrete.module, name)
        )

    def is_instance(self, em: Any, node: ast.expr) -> bool:
        try:
            found = em.resolver.object_of(node)
        except KeyError:
            return False
        return isinstance(found, (type, tuple)) and issubclass(self.concrete.python_class, found)

    def call(self, em: Any, args: list[Any], kwargs: dict[str, Any], node: ast.AST) -> Any:
        kind = self.concrete.kind
        if not kind.hooks and not kind.pre_hooks:
            return em.call(self.attribute(em, "forward", node), args, kwargs, node)
        if kwargs:
            em.fail(node, "a module with hooks is called without keyword arguments")
        inputs = em.as_value(TupleSugar(args), node)
        for name in kind.pre_hooks:
            found = FunctionValue(kind.methods[name]).call(em, [self.this, inputs], {}, node)
            if found.type() is not NONE:
                inputs = found if isinstance(found.type(), TupleType) else em.as_value(TupleSugar([found]), node)
        result = em.call(self.attribute(em, "forward", node), em.static_items(inputs, node), {}, node)
        for name in kind.hooks:
            found = FunctionValue(kind.methods[name]).call(em, [self.this, inputs, result], {}, node)
            if found.type() is not NONE:
                result = found
        return result

    # ---- containers

    def _modules(self, em: Any) -> list[tuple[str, ModuleSugar]]:
        return [
            (name, ModuleSugar(self._get(em, name, sub.kind), sub)) for name, sub in self.concrete.submodules.items()
        ]

    def items(self, em: Any, node: ast.AST) -> list[Any] | None:
        python = self.concrete.python_class
        if issubclass(python, torch.nn.ModuleDict):
            return [em.graph.constant(name) for name in self.concrete.submodules]
        if issubclass(python, torch.nn.ParameterList):
            return [self._get(em, name, TENSOR) for name, a in self.concrete.kind.attributes.items() if a.is_parameter]
        if issubclass(python, torch.nn.ParameterDict):
            return [em.graph.constant(name) for name, a in self.concrete.kind.attributes.items() if a.is_parameter]
        if issubclass(python, (torch.nn.ModuleList, torch.nn.Sequential)):
            return [m for _, m in self._modules(em)]
        em.fail(node, "Only constant Sequential, ModuleList, ModuleDict, or ParameterList can be used as an iterable")
        return None

    def length(self, em: Any, node: ast.AST) -> Value:
        return em.graph.constant(len(self.items(em, node) or []))  # type: ignore[no-any-return]

    def sliced(self, kept: list[Any]) -> Any:
        return TupleSugar(kept)

    def item(self, em: Any, key: Any, node: ast.AST) -> Any:
        known, wanted = key.constant()
        concrete = self.concrete
        if isinstance(wanted, str) and known:
            names = list(concrete.submodules) or [n for n, a in concrete.kind.attributes.items() if a.is_parameter]
            if wanted not in names:
                em.fail(node, f"Key Error, {wanted}")
            return self.attribute(em, wanted, node)
        if known and isinstance(wanted, int):
            values = self.items(em, node) or []
            if not -len(values) <= wanted < len(values):
                em.fail(node, f"Index {wanted} is out of range of allowable values {[-len(values), len(values)]}")
            return values[wanted]
        return self._by_interface(em, key, node)

    def _by_interface(self, em: Any, key: Value, node: ast.AST) -> Any:
        em.fail(
            node,
            "Unable to extract string literal index. ModuleDict indexing is only supported with string "
            "literals. For example, 'i = \"a\"; self.layers[i](x)' will fail because i is not a literal. "
            "Enumeration of "
            "ModuleDict is supported, e.g. 'for k, v in self.items(): ...'"
            if key.type() is not INT
            else "Expected integer literal for index. ModuleList/Sequential indexing is only supported with integer "
            "literals. For example, 'i = 4; self.layers[i](x)' will fail because i is not a literal. Enumeration is "
            "supported, e.g. 'for index, v in enumerate(self): out = v(inp)'",
        )

    def _container_attribute(self, em: Any, name: str, node: ast.AST) -> Any:
        python = self.concrete.python_class
        if issubclass(python, torch.nn.ModuleDict) and name in ("keys", "values", "items"):
            keys = [em.graph.constant(n) for n in self.concrete.submodules]
            if name == "keys":
                return _Given(TupleSugar(keys))
            modules = [m for _, m in self._modules(em)]
            if name == "values":
                return _Given(TupleSugar(list(modules)))
            return _Given(TupleSugar([TupleSugar([k, m]) for k, m in zip(keys, modules, strict=True)]))
        if (
            name in ("named_children", "named_modules", "children", "modules")
            and name not in self.concrete.kind.attributes
        ):
            if name == "children":
                return _Given(TupleSugar([m for _, m in self._modules(em)]))
            if name == "named_children":
                return _Given(TupleSugar([TupleSugar([em.graph.constant(n), m]) for n, m in self._modules(em)]))
        if name == "__contains__" and issubclass(python, torch.nn.ModuleDict):
            return _Contains(self)
        return None


class _Given(Sugar):
    """A method without arguments whose result is known."""

    what = "method"

    def __init__(self, result: Any) -> None:
        self.result = result

    def call(self, em: Any, args: list[Any], kwargs: dict[str, Any], node: ast.AST) -> Any:
        return self.result


class _Contains(Sugar):
    what = "method"

    def __init__(self, owner: ModuleSugar) -> None:
        self.owner = owner

    def call(self, em: Any, args: list[Any], kwargs: dict[str, Any], node: ast.AST) -> Any:
        known, name = em.as_value(args[0], node).constant()
        return em.graph.constant(known and name in self.owner.concrete.submodules)
