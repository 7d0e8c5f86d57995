"""Compiled functions and modules as Python sees them."""

from __future__ import annotations

import torch
from torch.nn import Module

from ._entry import ArgumentError
from ._types import ClassType, ListType, TupleType, mentions
from ._unit import Function

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._ir import Graph


def _containers() -> tuple[type, ...]:
    return torch.nn.ModuleList, torch.nn.Sequential, torch.nn.ModuleDict


class _Callable:
    """What functions and methods share: their program in its several forms."""

    _function: Function

    @property
    def graph(self) -> Graph:
        return self._function.graph

    @property
    def inlined_graph(self) -> Graph:
        return self._function.inlined_graph

    @property
    def code(self) -> str:
        """The program as text in TorchScript's language."""
        return self._function.code

    @property
    def code_with_constants(self) -> tuple[str, Any]:
        text, constants = self._function.code_with_constants
        return text, ConstMap(constants)

    @property
    def schema(self) -> Any:
        return self._function.schema

    @property
    def name(self) -> str:
        return self._function.name

    def graph_for(self, *args: Any, **kwargs: Any) -> Graph:
        """Run the program and return the graph that ran."""
        self(*args, **kwargs)  # type: ignore[operator]
        return last_executed_optimized_graph()

    def get_debug_state(self) -> Any:
        raise NotImplementedError("programs run as they are written: there is no state of an optimiser to look at")


class ConstMap:
    """The tensors that a program's text calls ``CONSTANTS.c0`` and so on."""

    def __init__(self, const_mapping: Any) -> None:
        self.const_mapping = const_mapping

    def __getattr__(self, attr: str) -> Any:
        return self.const_mapping[attr]


_last_graph: list[Any] = []


def last_executed_optimized_graph() -> Graph:
    """The graph of the function that was called last with ``graph_for``, or of the last called compiled function.

    Raises:
        RuntimeError: none was called yet.
    """
    if not _last_graph:
        raise RuntimeError("no compiled function has run yet")
    found: Graph = _last_graph[0].graph
    return found


def _elsewhere(function: Any, error: ArgumentError, args: Any, kwargs: Any) -> Any:
    """Hand a call to an argument with ``__torch_function__``, as graphs are traced have; raise if there is none."""
    from torch.overrides import handle_torch_function

    others = [
        a
        for a in (*args, *kwargs.values())
        if hasattr(type(a), "__torch_function__") and not isinstance(a, torch.Tensor)
    ]
    if not others:
        raise RuntimeError(str(error)) from None
    return handle_torch_function(function, others, *args, **kwargs)


class ScriptFunction(_Callable):
    """A compiled function."""

    def __init__(self, function: Function) -> None:
        self._function = function
        self.__doc__ = function.doc
        python = function.python_function
        self.__name__ = getattr(python, "__name__", function.name)
        self.__qualname__ = getattr(python, "__qualname__", self.__name__)
        if python is not None:
            self.__module__ = python.__module__
            self._torchdynamo_inline = python

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        _last_graph[:] = (self._function,)
        try:
            return self._function.checked(*args, **kwargs)
        except ArgumentError as error:
            return _elsewhere(self, error, args, kwargs)

    @property
    def qualified_name(self) -> str:
        return self._function.qualified_name

    def save(self, filename: Any, _extra_files: Any = None) -> None:
        """Write the function to a file that ``torch.jit.load`` reads."""
        from ._save import save_function

        save_function(self._function, filename, _extra_files)

    def save_to_buffer(self, _extra_files: Any = None) -> bytes:
        """The bytes of the archive that ``save`` writes."""
        from ._save import to_bytes

        return to_bytes(lambda file: self.save(file, _extra_files))

    def __deepcopy__(self, memo: Any) -> ScriptFunction:
        return self

    def __reduce__(self) -> Any:
        raise pickling_error("ScriptFunction")


class ScriptMethod(_Callable):
    """A method of a compiled module, bound to the module."""

    def __init__(self, owner: Any, function: Function) -> None:
        self.owner, self._function = owner, function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        _last_graph[:] = (self._function,)
        try:
            return self._function.checked(self.owner, *args, **kwargs)
        except ArgumentError as error:
            return _elsewhere(self, error, args, kwargs)

    @property
    def raw_owner(self) -> Any:
        return self.owner

    @property
    def __name__(self) -> str:
        return self._function.name


for _kind in (ScriptFunction, ScriptMethod):
    _kind.__module__ = "torch.jit" if _kind is ScriptFunction else "torch"


def pickling_error(what: str) -> Exception:
    from pickle import PickleError

    return PickleError(f"{what} cannot be pickled")


class ScriptModule(Module):
    """What every compiled module is.

    A subclass of a program's own may mark methods with ``torch.jit.script_method``; they are compiled when an instance
    is made.
    """

    def __init__(self) -> None:
        super().__init__()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "_compiled_kind" not in cls.__dict__ and any(hasattr(v, "_script_method") for v in cls.__dict__.values()):
            _compile_after_init(cls)


def _compile_after_init(cls: Any) -> None:
    made = cls.__init__

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807  it replaces the class's own
        made(self, *args, **kwargs)
        if type(self) is cls:
            from ._recursive import compile_old_style

            compile_old_style(self)

    __init__.__wrapped__ = made  # type: ignore[attr-defined]
    cls.__init__ = __init__


class RecursiveScriptModule(ScriptModule):
    """A compiled module: parameters, buffers, submodules and attributes of known types, and compiled methods."""

    _compiled_kind = True
    _type: ClassType

    def __init__(self, cpp_module: Any = None) -> None:
        super().__init__()
        if isinstance(cpp_module, ClassType):
            self._take_type(cpp_module)
        elif isinstance(cpp_module, RecursiveScriptModule):
            self.__dict__.update(cpp_module.__dict__)
        else:
            raise TypeError("a RecursiveScriptModule is made by torch.jit.script, torch.jit.trace or torch.jit.load")

    def _take_type(self, kind: ClassType) -> None:
        values = self.__dict__
        values["_type"] = kind
        values["_attributes"] = {}

    # ---- methods

    def _method(self, name: str) -> ScriptMethod | None:
        found = self._type.find_method(name)
        return None if found is None else ScriptMethod(self, found)

    @property
    def forward(self) -> Any:  # type: ignore[override]
        found = self._method("forward")
        if found is None:
            raise AttributeError(f"'{type(self).__name__}' object has no attribute 'forward'")
        return found

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        # The common case: no hooks, and the method takes what it is given.
        if self._hooked or self._type.hooks or self._type.pre_hooks:
            return self._call_with_script_hooks(args, kwargs)
        found = self._type.find_method("forward")
        if found is None:
            raise NotImplementedError(f'Module [{type(self).__name__}] is missing the required "forward" function')
        _last_graph[:] = (found,)
        try:
            return found.checked(self, *args, **kwargs)
        except ArgumentError as error:
            return _elsewhere(self.forward, error, args, kwargs)

    def _call_with_script_hooks(self, args: Any, kwargs: Any) -> Any:
        for name in self._type.pre_hooks:
            hook = self._type.find_method(name)
            assert hook is not None
            result = hook.checked(self, tuple(args))
            if result is not None:
                args = result if isinstance(result, tuple) else (result,)
        result = self._call_with_hooks(args, kwargs) if self._hooked else self.forward(*args, **kwargs)
        for name in self._type.hooks:
            hook = self._type.find_method(name)
            assert hook is not None
            changed = hook.checked(self, tuple(args), result)
            result = result if changed is None else changed
        return result

    def _add_method(self, name: str, graph: Graph, defaults: dict[str, Any] | None = None) -> None:
        """Give the module's type a method; its graph's first input is the module."""
        self._type.methods[name] = Function.from_graph(f"{self._type.qualified_name}.{name}", graph, defaults)

    def define(self, src: str) -> None:
        """Compile the methods that a text defines into the module.

        Example:
            >>> import torch
            >>> m = torch.jit.script(torch.nn.Identity())
            >>> m.define("def twice(self, x: Tensor) -> Tensor: return x * 2")
            >>> m.twice(torch.ones(2))
            tensor([2., 2.])
        """
        from ._compile import surfacing
        from ._source import define_methods

        surfacing(define_methods, self._type, src)

    def _get_method(self, name: str) -> ScriptMethod:
        found = self._method(name)
        if found is None:
            raise AttributeError(f"Method '{name}' is not defined.")
        return found

    def _has_method(self, name: str) -> bool:
        return self._type.find_method(name) is not None

    def _method_names(self) -> list[str]:
        return list(self._type.methods)

    # ---- attributes

    def __getattr__(self, name: str) -> Any:
        values = self.__dict__
        kind = values.get("_type")
        if kind is not None:
            if name in values["_attributes"]:
                return values["_attributes"][name]
            found = kind.methods.get(name)
            if found is not None:
                return ScriptMethod(self, found)
            if name in kind.constants:
                return kind.constants[name]
            if name in kind.properties:
                return kind.find_method(kind.properties[name][0]).checked(self)
            if name in kind.static_methods:
                return ScriptFunction(kind.static_methods[name])
        return super().__getattr__(name)

    def __setattr__(self, name: str, value: Any) -> None:
        kind = self.__dict__.get("_type")
        if kind is not None:
            if name in self._attributes:
                self._attributes[name] = self._fitting(name, value)
                return
            if name in kind.properties and kind.properties[name][1]:
                kind.find_method(kind.properties[name][1]).checked(self, value)
                return
            if name in self._modules and not isinstance(value, ScriptModule):
                raise RuntimeError(
                    f"Cannot re-assign modules in a ScriptModule with non-scripted module, tried to replace existing "
                    f"module '{name}': {value}"
                )
            if isinstance(value, Module) and name not in self._modules and not name.startswith("_"):
                raise RuntimeError(f"Cannot add module '{name}' to a compiled module")
        super().__setattr__(name, value)

    def _fitting(self, name: str, value: Any) -> Any:
        from ._entry import CastError, converter

        attribute = self._type.attributes[name]
        try:
            return converter(attribute.type)(value)
        except CastError as error:
            text = str(error)
            if isinstance(attribute.type, ListType):
                text = f"TypeError: '{value.__class__.__name__}' object is not iterable"
            raise RuntimeError(
                f"Could not cast attribute '{name}' to type {attribute.type.annotation_str}: {text}"
            ) from None

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._attributes, *self._type.methods, *self._type.constants})

    def __setstate__(self, state: Any) -> None:
        if "_loading" in self.__dict__:
            del self.__dict__["_loading"]
            fill(self, state)
            return
        super().__setstate__(state)

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise RuntimeError(
            f"Tried to serialize object {self._type.qualified_name} which does not have a __getstate__ method defined!"
        )

    def __deepcopy__(self, memo: Any) -> Any:
        import copy

        made = type(self).__new__(type(self))
        memo[id(self)] = made
        for key, value in self.__dict__.items():
            made.__dict__[key] = value if key in ("_type", "_concrete") else copy.deepcopy(value, memo)
        return made

    def __copy__(self) -> Any:
        made = type(self).__new__(type(self))
        for key, value in self.__dict__.items():
            made.__dict__[key] = (
                value.copy() if key in ("_parameters", "_buffers", "_modules", "_attributes") else value
            )
        return made

    def copy(self) -> Any:
        return self.__copy__()

    # ---- containers

    def _children_by_name(self, wanted: str) -> dict[str, Any]:
        """The submodules, if the module was a container of torch.nn."""
        concrete = self.__dict__.get("_concrete")
        if concrete is None or not issubclass(concrete.python_class, _containers()):
            raise NotImplementedError(f"{type(self).__name__} has no {wanted}: {self.original_name} is no container")
        return self._modules

    def __len__(self) -> int:
        found = self._type.methods.get("__len__")
        return found.checked(self) if found is not None else len(self._children_by_name("__len__"))

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Any:
        children = self._children_by_name("__iter__")
        return iter(children if self._is_dict() else children.values())

    def __contains__(self, key: str) -> bool:
        return key in self._children_by_name("__contains__")

    def __getitem__(self, key: Any) -> Any:
        children = self._children_by_name("__getitem__")
        if self._is_dict():
            return children[key]
        return list(children.values())[key]

    def _is_dict(self) -> bool:
        return issubclass(self.__dict__["_concrete"].python_class, torch.nn.ModuleDict)

    def keys(self) -> Any:
        return self._children_by_name("keys").keys()

    def values(self) -> Any:
        return self._children_by_name("values").values()

    def items(self) -> Any:
        return self._children_by_name("items").items()

    # ---- the program

    @property
    def _c(self) -> Any:
        return self

    def type(self, *dtype: Any) -> Any:  # type: ignore[override]
        return super().type(*dtype) if dtype else self._type

    def _get_name(self) -> str:
        return type(self).__name__

    @property
    def original_name(self) -> str:
        name = self._type.name()
        return "" if name == type(self).__name__ else name

    def extra_repr(self) -> str:
        return f"original_name={self.original_name}"

    @property
    def graph(self) -> Graph:
        """The graph of ``forward``."""
        return self.forward.graph  # type: ignore[no-any-return]

    @property
    def inlined_graph(self) -> Graph:
        """The graph of ``forward`` with what it calls in place of the calls."""
        return self.forward.inlined_graph  # type: ignore[no-any-return]

    @property
    def code(self) -> str:
        """``forward`` as text in TorchScript's language."""
        return self.forward.code  # type: ignore[no-any-return]

    @property
    def code_with_constants(self) -> tuple[str, Any]:
        return self.forward.code_with_constants  # type: ignore[no-any-return]

    def graph_for(self, *args: Any, **kwargs: Any) -> Graph:
        return self.forward.graph_for(*args, **kwargs)  # type: ignore[no-any-return]

    def get_debug_state(self, *args: Any, **kwargs: Any) -> Any:
        return self.forward.get_debug_state()

    # ---- archives

    def save(self, f: Any, **kwargs: Any) -> None:
        """Write the module, its program included, to a file that ``torch.jit.load`` reads."""
        from ._save import save_module

        save_module(self, f, kwargs.pop("_extra_files", None))

    def save_to_buffer(self, *args: Any, **kwargs: Any) -> bytes:
        """The bytes of the archive that ``save`` writes."""
        from ._save import to_bytes

        return to_bytes(lambda file: self.save(file, *args, **kwargs))

    def _save_for_lite_interpreter(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError("the lite interpreter's format is not part of Tabula")

    _save_to_buffer_for_lite_interpreter = _save_for_lite_interpreter


for _kind in (ScriptModule, RecursiveScriptModule):
    _kind.__module__ = "torch.jit"


class RecursiveScriptClass:
    """An instance of a compiled class, wrapped for Python."""

    def __init__(self, cpp_class: Any) -> None:
        self._c = cpp_class

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_c"], name)


def fill(module: RecursiveScriptModule, state: Any) -> None:
    """Give a module that is loaded its values."""
    kind = module._type
    restore = kind.find_method("__setstate__")
    if restore is not None:
        restore.run(module, state)
        return
    for name, attribute in kind.attributes.items():
        if name not in state:
            raise RuntimeError(f"the archive has no value for the attribute '{name}' of {kind.qualified_name}")
        set_value(module, name, attribute, state[name])


def set_value(module: RecursiveScriptModule, name: str, attribute: Any, value: Any) -> None:
    """Put one value where it belongs: among the parameters, buffers, submodules or attributes."""
    if attribute.is_parameter:
        if isinstance(value, torch.Tensor) and not isinstance(value, torch.nn.Parameter):
            # A tensor that several modules hold is one parameter.
            if not hasattr(value, "_parameter"):
                value._parameter = torch.nn.Parameter(value, value.requires_grad)  # type: ignore[attr-defined]
            value = value._parameter
        module._parameters[name] = value
    elif attribute.is_buffer:
        module._buffers[name] = value
    elif isinstance(value, Module):
        module._modules[name] = value
    elif name == "training":
        module.__dict__["training"] = value
    elif isinstance(attribute.type, ClassType) and attribute.type.is_module():
        raise RuntimeError(f"the archive's value for the submodule '{name}' is a {type(value).__name__}")
    else:
        if mentions(attribute.type, TupleType):
            from ._entry import converter

            value = converter(attribute.type)(value)
        module._attributes[name] = value
