"""Modules as programs: which attributes and methods a module has, and the compiled module that stands for it."""

from __future__ import annotations

import inspect
import types

import torch
from torch.nn import Module

from ._entry import converter
from ._modules import Concrete, modifier_of
from ._python import (
    PythonCall,
    PythonResolver,
    class_type,
    make,
    names_around,
    operation_of,
    qualified_name,
    signatures_of,
)
from ._script import RecursiveScriptModule, ScriptFunction, ScriptModule
from ._sugar import FunctionValue
from ._type_text import AnnotationError, from_object, of_value
from ._types import (
    BOOL,
    NONE,
    TENSOR,
    ClassType,
    InterfaceType,
    OptionalType,
    TupleType,
    Type,
    is_subtype,
)
from ._unit import Function, python_unit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_INTERNAL = frozenset(
    """
    _parameters _buffers _modules _non_persistent_buffers_set training _backward_hooks _backward_pre_hooks
    _forward_hooks _forward_hooks_with_kwargs _forward_hooks_always_called _forward_pre_hooks
    _forward_pre_hooks_with_kwargs _state_dict_hooks _state_dict_pre_hooks _load_state_dict_pre_hooks
    _load_state_dict_post_hooks _hooked _is_full_backward_hook _compiled_call_impl _non_persistent_buffers_set
    _flat_weights_names _all_weights
    """.split()
)


# ---- from modules to types


_shared: dict[Any, list[Concrete]] = {}


def _hook_tables(module: Any) -> tuple[list[Any], list[Any]]:
    """The functions that run before and after a module.

    Raises:
        RuntimeError: one is of a kind that programs do not have.
    """
    values = module.__dict__
    for name in (
        "_forward_hooks_with_kwargs",
        "_forward_pre_hooks_with_kwargs",
        "_backward_hooks",
        "_backward_pre_hooks",
    ):
        if values.get(name):
            raise RuntimeError(
                f"the module {type(module).__name__} has hooks that cannot be compiled ({name}): remove them before"
            )
    return list(values.get("_forward_pre_hooks", {}).values()), list(values.get("_forward_hooks", {}).values())


def _add_hooks(concrete: Concrete) -> None:
    """Compile the hooks of a module as functions of its class."""
    kind = concrete.kind
    for title, names, hooks in zip(
        ("pre-hook", "hook"), (kind.pre_hooks, kind.hooks), _hook_tables(concrete.module), strict=True
    ):
        names.clear()
        for hook in hooks:
            if not isinstance(hook, types.FunctionType):
                raise RuntimeError(f"the {title} {hook} of {kind.name()} is no function, and cannot be compiled")
            if title == "pre-hook" and "return" not in getattr(hook, "__annotations__", {}):
                raise RuntimeError(
                    f"{title.capitalize()} '{hook.__name__}' on module '{kind.name()}' is missing a return annotation. "
                    "Return annotations are required, please add one.\n"
                    f"This error occurred while scripting the forward {title} '{hook.__name__}' on module "
                    f"'{kind.name()}'."
                )
            if hook.__name__ not in kind.methods:
                name = f"{kind.qualified_name}.{hook.__name__}"
                kind.methods[hook.__name__] = make(hook, name, None, (kind, concrete.wrap))
            names.append(hook.__name__)


def _annotations(cls: type) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        if base is not object and base is not Module and base is not ScriptModule:
            found.update(base.__dict__.get("__annotations__", {}))
    return found


def _resolver_for(module: Any) -> PythonResolver:
    cls = type(module)
    method = next(
        (v for v in (cls.__dict__.get("forward"), cls.__dict__.get("__init__")) if hasattr(v, "__code__")), None
    )
    if method is None:
        import builtins
        import sys

        space = {**builtins.__dict__, **getattr(sys.modules.get(cls.__module__), "__dict__", {})}
        return PythonResolver(space.__getitem__)
    return PythonResolver(names_around(method))


def _annotated(annotation: Any, resolver: PythonResolver) -> tuple[Type | None, bool]:
    """The type of an annotation, None if it has none here, and whether it says ``Final``."""
    import typing

    final = typing.get_origin(annotation) is typing.Final or annotation is typing.Final
    if isinstance(annotation, str):
        text = annotation.strip()
        final = text.split("[")[0].rpartition(".")[2] == "Final"
        if final and "[" not in text:
            return None, True
        try:
            return resolver.type_of_text(text), final
        except (AnnotationError, SyntaxError, RuntimeError):
            return None, final
    if annotation is typing.Final:
        return None, True
    try:
        return from_object(annotation, class_type, resolver.type_of_text), final
    except (AnnotationError, RuntimeError, TypeError):
        return None, final


def _failure(value: Any, hint: str = "") -> str:
    name = type(value).__name__ if not isinstance(value, type) else "type"
    return (
        "This attribute exists on the Python module, but we failed to convert Python type: "
        f"'{name}' to a TorchScript type. {hint}"
    )


def concrete_for(module: Any, share: bool = True) -> Concrete:
    """What a module is in programs."""
    from . import Attribute as TypedValue

    if isinstance(module, RecursiveScriptModule):
        return _of_script(module)
    if not hasattr(module, "_parameters"):
        raise RuntimeError(
            f"'{torch.typename(type(module))}' has not been initialized, did you forget to call 'super()'?"
        )
    cls = type(module)
    resolver = _resolver_for(module)
    annotations = _annotations(cls)
    made = Concrete(module, ClassType("", python_unit, is_module=True))
    kind = made.kind
    hints: dict[str, tuple[Type | None, bool]] = {n: _annotated(a, resolver) for n, a in annotations.items()}
    for table, is_parameter in ((module._parameters, True), (module._buffers, False)):
        for name, value in table.items():
            hinted = hints.get(name, (None, False))[0]
            found = (
                hinted
                if hinted is not None and (value is not None or is_subtype(NONE, hinted))
                else (NONE if value is None else TENSOR)
            )
            kind.add_attribute(name, found, is_parameter and found is not NONE, not is_parameter)
    constants = set(getattr(module, "__constants__", ()))
    names = [n for n in module.__dict__ if n not in _INTERNAL]
    kind.add_attribute("training", BOOL)
    kind.add_attribute("_is_full_backward_hook", NONE if "__annotations__" in cls.__dict__ else OptionalType(BOOL))
    submodules = []
    for name, value in module._modules.items():
        hinted = hints.get(name, (None, False))[0]
        if value is None:
            kind.add_attribute(name, NONE)
        elif isinstance(hinted, InterfaceType):
            sub = concrete_for(value, share)
            compile_methods(sub)
            for wanted in hinted.methods:
                sub.method(wanted)
            kind.add_attribute(name, hinted)
            submodules.append((name, sub.kind))
        else:
            sub = made.submodules[name] = concrete_for(value, share)
            submodules.append((name, sub.kind))
    for name in names:
        _add_value(
            made, name, module.__dict__[name], hints.get(name, (None, False)), name in constants, resolver, TypedValue
        )
    for name in constants - set(names) - set(module._parameters) - set(module._buffers) - set(module._modules):
        value = getattr(cls, name, None)
        if hasattr(cls, name) and not callable(value) and not isinstance(value, property):
            _add_constant(made, name, value, None)
    for name, (hinted, final) in hints.items():
        if final and name not in module.__dict__ and hasattr(cls, name) and name not in kind.constants:
            _add_constant(made, name, getattr(cls, name), hinted)
    for name, sub in made.submodules.items():
        kind.add_attribute(name, sub.kind)
    made.key = (
        tuple((a.name, a.type, a.is_parameter, a.is_buffer) for a in kind.attributes.values()),
        tuple((n, repr(v)) for n, v in kind.constants.items()),
        tuple((n, id(k)) for n, k in submodules),
        tuple((n, id(f)) for n, f in made.functions.items()),
        tuple(sorted(set(made.failed))),
        tuple(id(h) for table in _hook_tables(module) for h in table),
    )
    if share and not hasattr(cls, "_no_sharing"):
        for other in _shared.get(cls, ()):
            if other.key == made.key:
                return other
    kind.qualified_name = python_unit.fresh(qualified_name(cls))
    made.resolver = None
    python_unit._types[kind.qualified_name] = kind
    _shared.setdefault(cls, []).append(made)
    # What was read from classes refers to this concrete type when methods ask for others.
    kind.resolve_method = made.method
    return made


def _add_constant(made: Concrete, name: str, value: Any, hinted: Type | None) -> None:
    if isinstance(value, list):
        value = tuple(value)
    try:
        found = hinted or of_value(value, class_type)
    except AnnotationError:
        made.failed[name] = _failure(value)
        return
    made.kind.constants[name] = value
    made.kind.constant_types[name] = found


def _add_value(
    made: Concrete,
    name: str,
    value: Any,
    hint: tuple[Type | None, bool],
    constant: bool,
    resolver: PythonResolver,
    typed: Any,
) -> None:
    hinted, final = hint
    if constant or final:
        if isinstance(value, (torch.Tensor, Module)):
            constant = False
        else:
            _add_constant(made, name, value, hinted)
            return
    if isinstance(value, typed):
        hinted = from_object(value.type, class_type, resolver.type_of_text)
        made.kind.add_attribute(name, hinted)
        return
    if isinstance(value, ScriptFunction):
        made.functions[name] = FunctionValue(value._function)
        return
    if hinted is None and callable(value) and not isinstance(value, (torch.Tensor, type)):
        way = modifier_of(value)
        operation = operation_of(value)
        if operation is not None:
            made.functions[name] = operation
            return
        if isinstance(value, types.FunctionType):
            made.functions[name] = PythonCall(value) if way == "ignore" else value
            return
        if type(value).__name__ in ("builtin_function_or_method", "Function"):
            made.functions[name] = value
            return
    if hinted is not None:
        made.kind.add_attribute(name, hinted)
        return
    try:
        found = of_value(value, class_type)
    except (AnnotationError, RuntimeError, OSError, TypeError) as error:
        hint_text = str(error) if not isinstance(error, OSError) else ""
        made.failed[name] = _failure(value, hint_text)
        return
    if isinstance(found, TupleType) and found.name:
        # An instance of a NamedTuple is a plain tuple unless its attribute is annotated.
        found = TupleType(found.types)
    made.kind.add_attribute(name, found)


def _of_script(module: RecursiveScriptModule) -> Concrete:
    """A module that is compiled already."""
    made = module.__dict__.get("_concrete")
    if made is None:
        made = Concrete(module, module._type)
        made.python_class = type(module)
        for name, sub in module._modules.items():
            attribute = module._type.attributes.get(name)
            if sub is not None and not (attribute is not None and isinstance(attribute.type, InterfaceType)):
                made.submodules[name] = _of_script(sub)
        module.__dict__["_concrete"] = made
    found: Concrete = made
    return found


# ---- from modules to compiled modules


def compile_methods(concrete: Concrete) -> None:
    """Compile ``forward`` and the methods marked for export, and those of the submodules."""
    if isinstance(concrete.module, RecursiveScriptModule) or getattr(concrete, "compiled", False):
        return
    concrete.compiled = True  # type: ignore[attr-defined]
    try:
        _add_hooks(concrete)
        _add_properties(concrete)
        for sub in concrete.submodules.values():
            compile_methods(sub)
        cls = concrete.python_class
        wanted = []
        forward = inspect.getattr_static(cls, "forward", None)
        if (
            forward is not Module.forward
            and isinstance(forward, types.FunctionType)
            and modifier_of(forward) not in ("ignore", "unused")
            and not issubclass(cls, torch.nn.ModuleList | torch.nn.ModuleDict)
        ):
            wanted.append("forward")
        for name in dir(cls):
            if modifier_of(inspect.getattr_static(cls, name, None)) == "export" and name != "forward":
                wanted.append(name)
        for name in wanted:
            if signatures_of(getattr(cls, name)):
                for method in concrete.overloads(name):
                    _ensure(method, concrete)
                continue
            method = concrete.method(name)
            if method is not None:
                _ensure(method, concrete)
        for method in list(concrete.kind.methods.values()):
            _ensure(method, concrete)
    except Exception:
        concrete.compiled = False  # type: ignore[attr-defined]
        concrete.kind.methods.clear()
        raise


def _ensure(method: Function, concrete: Concrete) -> None:
    if not method._making:
        method.ensure()


def _add_properties(concrete: Concrete) -> None:
    unused = set(getattr(concrete.python_class, "__jit_unused_properties__", ()))
    for base in reversed(concrete.python_class.__mro__):
        if base.__module__.startswith("torch.nn.modules") or base in (object, ScriptModule, RecursiveScriptModule):
            continue
        for name, thing in base.__dict__.items():
            if not isinstance(thing, property) or name in unused or thing.fget is None:
                continue
            if modifier_of(thing.fget) in ("ignore", "unused"):
                continue
            names = [f"__{name}_getter", ""]
            for i, function in enumerate((thing.fget, thing.fset)):
                if function is not None:
                    names[i] = f"__{name}_{'getter' if i == 0 else 'setter'}"
                    concrete.kind.methods[names[i]] = make(
                        function,
                        f"{concrete.kind.qualified_name}.{names[i]}",
                        concrete.resolver,
                        (concrete.kind, concrete.wrap),
                    )
            concrete.kind.properties[name] = (names[0], names[1])


def instance_of(module: Any, concrete: Concrete, memo: dict[int, Any], kind: Callable[[Any], Any] | None = None) -> Any:
    """A compiled module with the parameters, buffers and values of a module."""
    if isinstance(module, RecursiveScriptModule):
        return module
    found = memo.get(id(module))
    if found is not None:
        return found
    cls = RecursiveScriptModule if kind is None else kind(module)
    made = cls.__new__(cls)
    Module.__init__(made)
    made._take_type(concrete.kind)
    memo[id(module)] = made
    values = made.__dict__
    values["_parameters"].update((n, p) for n, p in module._parameters.items())
    values["_buffers"].update(module._buffers)
    values["_non_persistent_buffers_set"] = set(module._non_persistent_buffers_set)
    values["training"] = module.training
    values["_concrete"] = concrete
    for name, sub in module._modules.items():
        if sub is None:
            values["_modules"][name] = None
            continue
        inner = concrete.submodules.get(name)
        values["_modules"][name] = instance_of(sub, inner or concrete_for(sub), memo, kind)
    from . import Attribute as TypedValue

    for name, attribute in concrete.kind.attributes.items():
        if any(name in values[t] for t in ("_parameters", "_buffers", "_modules")) or name == "training":
            continue
        value = module.__dict__.get(name)
        if isinstance(value, TypedValue):
            value = value.value
        values["_attributes"][name] = converter(attribute.type)(value)
    for name, value in module.__dict__.items():
        if (
            name not in values
            and name not in _INTERNAL
            and name not in values["_attributes"]
            and (name not in concrete.kind.constants)
        ):
            values[name] = value
    for name in dir(concrete.python_class):
        static = inspect.getattr_static(concrete.python_class, name, None)
        if (
            modifier_of(static) in ("ignore", "unused")
            and name not in values
            and isinstance(static, types.FunctionType)
        ):
            values[name] = types.MethodType(static, made)
    return made


def create_script_module(module: Any, share_types: bool = True) -> Any:
    """Compile a module and everything that it uses."""
    if isinstance(module, ScriptModule) and isinstance(module, RecursiveScriptModule):
        return module
    concrete = concrete_for(module, share_types)
    compile_methods(concrete)
    return instance_of(module, concrete, {})


def wrap_module(module: Any, kind: Callable[[Any], Any] | None = None) -> Any:
    """A compiled module with the parameters, buffers and submodules of a module and no methods, for tracing.

    ``kind`` says which subclass of RecursiveScriptModule stands for a module; by default
    RecursiveScriptModule. No types are shared, and submodules that are compiled already stay as they are.
    """
    concrete = _without_methods(module)
    return instance_of(module, concrete, {}, kind)


def _without_methods(module: Any, memo: dict[int, Concrete] | None = None) -> Concrete:
    memo = {} if memo is None else memo
    if isinstance(module, RecursiveScriptModule):
        return _of_script(module)
    found = memo.get(id(module))
    if found is not None:
        return found
    kind = ClassType(python_unit.fresh(qualified_name(type(module))), python_unit, is_module=True)
    python_unit._types[kind.qualified_name] = kind
    made = memo[id(module)] = Concrete(module, kind)
    for name, value in module._parameters.items():
        kind.add_attribute(name, NONE if value is None else TENSOR, value is not None)
    for name, value in module._buffers.items():
        kind.add_attribute(name, NONE if value is None else TENSOR, False, True)
    kind.add_attribute("training", BOOL)
    kind.add_attribute("_is_full_backward_hook", OptionalType(BOOL))
    for name, sub in module._modules.items():
        if sub is None:
            kind.add_attribute(name, NONE)
            continue
        inner = made.submodules[name] = _without_methods(sub, memo)
        kind.add_attribute(name, inner.kind)
    return made


def type_of_class(cls: type) -> Any:
    """The type of a Python class, if it was compiled."""
    kind = getattr(cls, "_type", None)
    if isinstance(kind, ClassType):
        return kind
    from . import _classes

    return _classes._known.get(cls)


def compile_old_style(module: Any) -> None:
    """Compile the methods that an instance of ScriptModule's own subclass marks with ``script_method``."""
    cls = type(module)
    names = [n for n in dir(cls) if hasattr(inspect.getattr_static(cls, n, None), "_script_method")]
    concrete = concrete_for(module, share=False)
    for name in names:
        python = inspect.getattr_static(cls, name)._script_method
        concrete.kind.methods[name] = make(
            python, f"{concrete.kind.qualified_name}.{name}", None, (concrete.kind, concrete.wrap)
        )
    for method in list(concrete.kind.methods.values()):
        method.ensure()
    made = instance_of(module, concrete, {})
    module.__dict__.update(made.__dict__)
    module.__class__ = type(
        cls.__name__, (RecursiveScriptModule,), {"_compiled_kind": True, "__module__": cls.__module__}
    )
