"""``Module``: the base class of everything that holds parameters."""

from __future__ import annotations

import types
from collections import OrderedDict

import torch

from .._hooks import (
    CALL_TABLES,
    STATE_TABLES,
    GlobalHooks,
    HookTable,
    RemovableHandle,
    _global_buffer_registration_hooks,
    _global_module_registration_hooks,
    _global_parameter_registration_hooks,
    register_module_backward_hook,
    register_module_buffer_registration_hook,
    register_module_forward_hook,
    register_module_forward_pre_hook,
    register_module_full_backward_hook,
    register_module_full_backward_pre_hook,
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)
from .._hooks import _global_backward_hooks as _global_backward_hooks
from .._hooks import _global_backward_pre_hooks as _global_backward_pre_hooks
from .._hooks import _global_forward_hooks as _global_forward_hooks
from .._hooks import _global_forward_pre_hooks as _global_forward_pre_hooks
from ..parameter import Buffer, Parameter
from ._module_call import ModuleCall
from ._module_state import _EXTRA_STATE_KEY_SUFFIX as _EXTRA_STATE_KEY_SUFFIX
from ._module_state import ModuleState
from ._module_state import _IncompatibleKeys as _IncompatibleKeys
from ._module_tree import Module as ModuleTree

__all__ = [
    "register_module_forward_pre_hook",
    "register_module_forward_hook",
    "register_module_full_backward_pre_hook",
    "register_module_backward_hook",
    "register_module_full_backward_hook",
    "register_module_buffer_registration_hook",
    "register_module_module_registration_hook",
    "register_module_parameter_registration_hook",
    "Module",
]

_Tensor = torch.Tensor
_set = object.__setattr__
# Values of these types are never parameters, buffers or modules, so that assigning them needs fewer checks.
_PLAIN = frozenset((int, float, bool, str, tuple, list, dict, set))


def _addindent(text: str, spaces: int) -> str:
    first, *rest = text.split("\n")
    return "\n".join([first, *(" " * spaces + line for line in rest)])


def _note_place(error: Exception, module: Module, args: tuple, kwargs: dict) -> None:
    try:
        from ._module_error import locate

        locate(error, module, args, kwargs)
    except Exception:
        # Whatever fails here (a repr of the user's, the depth of the stack), the error itself is what has to be seen.
        return


def _forward_unimplemented(self, *input) -> None:
    """Define the computation performed at every call; for subclasses to define."""
    raise NotImplementedError(f'Module [{type(self).__name__}] is missing the required "forward" function')


# The native base finds parameters and submodules without the AttributeError that precedes every __getattr__ call.
_Base = getattr(torch._C, "_ModuleBase", object)


class Module(ModuleTree, ModuleState, ModuleCall, _Base):
    """Base class for all neural network modules."""

    dump_patches: bool = False
    training: bool
    call_super_init: bool = False
    _hooked = False
    _compiled_call_impl = None
    _is_full_backward_hook = None

    def __init__(self, *args, **kwargs) -> None:
        if (args or kwargs) and self.call_super_init is False:
            if kwargs:
                raise TypeError(
                    f"{type(self).__name__}.__init__() got an unexpected keyword argument '{next(iter(kwargs))}'"
                )
            raise TypeError(
                f"{type(self).__name__}.__init__() takes 1 positional argument but {len(args) + 1} were given"
            )
        values = self.__dict__
        values["training"] = True
        values["_parameters"] = {}
        values["_buffers"] = {}
        values["_non_persistent_buffers_set"] = set()
        values["_modules"] = {}
        if self.call_super_init:
            super().__init__(*args, **kwargs)

    forward = _forward_unimplemented

    def __call__(self, *args, **kwargs):
        try:
            if self._hooked:
                return self._call_hooked(args, kwargs)
            return self.forward(*args, **kwargs)
        except Exception as error:
            _note_place(error, self, args, kwargs)
            raise

    def _call_impl(self, *args, **kwargs):
        if self._hooked:
            return self._call_with_hooks(args, kwargs)
        return self.forward(*args, **kwargs)

    def _wrapped_call_impl(self, *args, **kwargs):
        return self._call_hooked(args, kwargs)

    def _call_hooked(self, args, kwargs):
        if self._compiled_call_impl is not None:
            return self._compiled_call_impl(*args, **kwargs)
        return self._call_with_hooks(args, kwargs)

    def _forget_empty_hook_tables(self) -> None:
        """Give the module its fast call back. Only for a module whose tables nobody else can hold."""
        values = self.__dict__
        for name in CALL_TABLES:
            if name in values and not values[name]:
                del values[name]
        if not any(name in values for name in CALL_TABLES):
            values.pop("_hooked", None)

    def __getattr__(self, name: str):
        values = self.__dict__
        if "_parameters" in values:
            found = values["_parameters"]
            if name in found:
                return found[name]
            found = values["_buffers"]
            if name in found:
                return found[name]
            found = values["_modules"]
            if name in found:
                return found[name]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __setattr__(self, name: str, value) -> None:
        values = self.__dict__
        params = values.get("_parameters")
        if type(value) in _PLAIN:
            if params is None or (
                name not in params and name not in values["_modules"] and name not in values["_buffers"]
            ):
                _set(self, name, value)
                return
        elif isinstance(value, Parameter):
            if params is None:
                raise AttributeError("cannot assign parameters before Module.__init__() call")
            self._forget(name, "_buffers", "_modules")
            self.register_parameter(name, value)
            return
        if params is not None and name in params:
            if value is not None:
                raise TypeError(
                    f"cannot assign '{torch.typename(value)}' as parameter '{name}' "
                    "(torch.nn.Parameter or None expected)"
                )
            self.register_parameter(name, value)
            return
        modules = values.get("_modules")
        if isinstance(value, Module):
            if modules is None:
                raise AttributeError("cannot assign module before Module.__init__() call")
            self._forget(name, "_parameters", "_buffers")
            for hook in _global_module_registration_hooks.values():
                output = hook(self, name, value)
                if output is not None:
                    value = output
            modules[name] = value
            return
        if modules is not None and name in modules:
            if value is not None:
                raise TypeError(
                    f"cannot assign '{torch.typename(value)}' as child module '{name}' "
                    "(torch.nn.Module or None expected)"
                )
            for hook in _global_module_registration_hooks.values():
                hook(self, name, value)
            modules[name] = value
            return
        buffers = values.get("_buffers")
        if buffers is None and isinstance(value, Buffer):
            raise AttributeError("cannot assign buffer before Module.__init__() call")
        if buffers is not None and (name in buffers or isinstance(value, Buffer)):
            self._assign_buffer(buffers, name, value)
            return
        _set(self, name, value)

    def _assign_buffer(self, buffers, name, value) -> None:
        if value is not None and not isinstance(value, _Tensor):
            raise TypeError(
                f"cannot assign '{torch.typename(value)}' as buffer '{name}' "
                "(torch.nn.Buffer, torch.Tensor or None expected)"
            )
        if isinstance(value, Buffer):
            self._forget(name, "_parameters", "_modules")
            self.register_buffer(name, value, value.persistent)
            return
        for hook in _global_buffer_registration_hooks.values():
            output = hook(self, name, value)
            if output is not None:
                value = output
        buffers[name] = value

    def _forget(self, name: str, *tables: str) -> None:
        values = self.__dict__
        values.pop(name, None)
        for table in tables:
            values[table].pop(name, None)
        if "_buffers" in tables:
            values["_non_persistent_buffers_set"].discard(name)

    def __delattr__(self, name: str) -> None:
        if name in self._parameters:
            del self._parameters[name]
        elif name in self._buffers:
            del self._buffers[name]
            self._non_persistent_buffers_set.discard(name)
        elif name in self._modules:
            del self._modules[name]
        else:
            super().__delattr__(name)

    def register_buffer(self, name: str, tensor, persistent: bool = True) -> None:
        """Add a tensor that is part of the state but no parameter."""
        values = self.__dict__
        if persistent is False and isinstance(self, getattr(torch.jit, "ScriptModule", ())):
            raise RuntimeError("ScriptModule does not support non-persistent buffers")
        if "_buffers" not in values:
            raise AttributeError("cannot assign buffer before Module.__init__() call")
        if not isinstance(name, str):
            raise TypeError(f"buffer name should be a string. Got {torch.typename(name)}")
        if "." in name:
            raise KeyError('buffer name can\'t contain "."')
        if name == "":
            raise KeyError('buffer name can\'t be empty string ""')
        if hasattr(self, name) and name not in self._buffers:
            raise KeyError(f"attribute '{name}' already exists")
        if tensor is not None and not isinstance(tensor, _Tensor):
            raise TypeError(
                f"cannot assign '{torch.typename(tensor)}' object to buffer '{name}' (torch Tensor or None required)"
            )
        for hook in _global_buffer_registration_hooks.values():
            output = hook(self, name, tensor)
            if output is not None:
                tensor = output
        values["_buffers"][name] = tensor
        if persistent:
            values["_non_persistent_buffers_set"].discard(name)
        else:
            values["_non_persistent_buffers_set"].add(name)

    def register_parameter(self, name: str, param) -> None:
        """Add a parameter, or the name of one that is None."""
        values = self.__dict__
        params = values.get("_parameters")
        if params is None:
            raise AttributeError("cannot assign parameter before Module.__init__() call")
        if not isinstance(name, str):
            raise TypeError(f"parameter name should be a string. Got {torch.typename(name)}")
        if "." in name:
            raise KeyError('parameter name can\'t contain "."')
        if name == "":
            raise KeyError('parameter name can\'t be empty string ""')
        if name not in params and (
            name in values or name in values["_buffers"] or name in values["_modules"] or self._has_class_value(name)
        ):
            raise KeyError(f"attribute '{name}' already exists")
        if param is None:
            params[name] = None
            return
        if not isinstance(param, Parameter):
            raise TypeError(
                f"cannot assign '{torch.typename(param)}' object to parameter '{name}' "
                "(torch.nn.Parameter or None required)"
            )
        if param.grad_fn is not None:
            raise ValueError(
                f"Cannot assign non-leaf Tensor to parameter '{name}'. Model parameters must be created explicitly. "
                f"To express '{name}' as a function of another Tensor, compute the value in the forward() method."
            )
        for hook in _global_parameter_registration_hooks.values():
            output = hook(self, name, param)
            if output is not None:
                param = output
        params[name] = param

    def _has_class_value(self, name: str) -> bool:
        """Tell whether the class gives a value to the attribute (``hasattr`` without a failing ``__getattr__``)."""
        for cls in type(self).__mro__:
            if name in cls.__dict__:
                return hasattr(self, name)
        return type(self).__getattr__ is not Module.__getattr__ and hasattr(self, name)

    def add_module(self, name: str, module) -> None:
        """Add a submodule under a name."""
        if not isinstance(module, Module) and module is not None:
            raise TypeError(f"{torch.typename(module)} is not a Module subclass")
        if not isinstance(name, str):
            raise TypeError(f"module name should be a string. Got {torch.typename(name)}")
        if hasattr(self, name) and name not in self._modules:
            raise KeyError(f"attribute '{name}' already exists")
        if "." in name:
            raise KeyError(f'module name can\'t contain ".", got: {name}')
        if name == "":
            raise KeyError('module name can\'t be empty string ""')
        for hook in _global_module_registration_hooks.values():
            output = hook(self, name, module)
            if output is not None:
                module = output
        self._modules[name] = module

    def register_module(self, name: str, module) -> None:
        """The same as ``add_module``."""
        self.add_module(name, module)

    def register_forward_pre_hook(self, hook, *, prepend: bool = False, with_kwargs: bool = False) -> RemovableHandle:
        """Call ``hook(module, args)`` before ``forward``; it may replace the arguments."""
        handle = RemovableHandle(self._forward_pre_hooks, extra_dict=self._forward_pre_hooks_with_kwargs)
        self._forward_pre_hooks[handle.id] = hook
        if with_kwargs:
            self._forward_pre_hooks_with_kwargs[handle.id] = True
        if prepend:
            self._forward_pre_hooks.move_to_end(handle.id, last=False)
        return handle

    def register_forward_hook(
        self, hook, *, prepend: bool = False, with_kwargs: bool = False, always_call: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, args, output)`` after ``forward``; it may replace the output."""
        handle = RemovableHandle(
            self._forward_hooks, extra_dict=[self._forward_hooks_with_kwargs, self._forward_hooks_always_called]
        )
        self._forward_hooks[handle.id] = hook
        if with_kwargs:
            self._forward_hooks_with_kwargs[handle.id] = True
        if always_call:
            self._forward_hooks_always_called[handle.id] = True
        if prepend:
            self._forward_hooks.move_to_end(handle.id, last=False)
        return handle

    def register_backward_hook(self, hook) -> RemovableHandle:
        """Call ``hook(module, grad_input, grad_output)`` at the node that made the output (the older kind)."""
        if self._is_full_backward_hook is True:
            raise RuntimeError(
                "Cannot use both regular backward hooks and full backward hooks on a single Module. "
                "Please use only one of them."
            )
        self._is_full_backward_hook = False
        handle = RemovableHandle(self._backward_hooks)
        self._backward_hooks[handle.id] = hook
        return handle

    def register_full_backward_hook(self, hook, prepend: bool = False) -> RemovableHandle:
        """Call ``hook(module, grad_input, grad_output)`` once the gradients of the inputs are known."""
        if self._is_full_backward_hook is False:
            raise RuntimeError(
                "Cannot use both regular backward hooks and full backward hooks on a single Module. "
                "Please use only one of them."
            )
        self._is_full_backward_hook = True
        handle = RemovableHandle(self._backward_hooks)
        self._backward_hooks[handle.id] = hook
        if prepend:
            self._backward_hooks.move_to_end(handle.id, last=False)
        return handle

    def register_full_backward_pre_hook(self, hook, prepend: bool = False) -> RemovableHandle:
        """Call ``hook(module, grad_output)`` before the gradients of the inputs are computed."""
        handle = RemovableHandle(self._backward_pre_hooks)
        self._backward_pre_hooks[handle.id] = hook
        if prepend:
            self._backward_pre_hooks.move_to_end(handle.id, last=False)
        return handle

    def compile(self, *args, **kwargs) -> None:
        """Let calls of this module go through ``torch.compile``."""
        self._compiled_call_impl = torch.compile(self._call_impl, *args, **kwargs)
        self._hooked = True

    def __setstate__(self, state) -> None:
        values = self.__dict__
        values.update(state)
        # Empty hook tables come from other writers; without them the module keeps its fast call.
        for name in CALL_TABLES + STATE_TABLES:
            if name in values and not values[name]:
                del values[name]
        if any(name in values for name in CALL_TABLES):
            values["_hooked"] = True
        values.setdefault("_non_persistent_buffers_set", set())

    def __getstate__(self):
        state = self.__dict__.copy()
        state.pop("_compiled_call_impl", None)
        # PyTorch's modules can't be called without these tables, and its reader doesn't add them.
        state.setdefault("_backward_hooks", OrderedDict())
        state.setdefault("_forward_hooks", OrderedDict())
        return state

    def _get_name(self) -> str:
        return self.__class__.__name__

    def extra_repr(self) -> str:
        """Return what ``repr`` shows inside the parentheses; for subclasses to define."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        extra_lines = extra.split("\n") if extra else []
        child_lines = [f"({key}): {_addindent(repr(module), 2)}" for key, module in self._modules.items()]
        text = self._get_name() + "("
        if extra_lines and not child_lines and len(extra_lines) == 1:
            text += extra_lines[0]
        elif extra_lines or child_lines:
            text += "\n  " + "\n  ".join(extra_lines + child_lines) + "\n"
        return text + ")"

    def __dir__(self):
        names = [*dir(type(self)), *self.__dict__, *self._parameters, *self._modules, *self._buffers]
        return sorted(name for name in names if not name[0].isdigit())


# Messages name a method by its class, which is one for all that use it.
for _part in (ModuleTree, ModuleState, ModuleCall):
    for _name, _value in vars(_part).items():
        if isinstance(_value, types.FunctionType):
            _value.__qualname__ = f"Module.{_name}"
for _name in CALL_TABLES:
    setattr(Module, _name, HookTable(_name, True))
for _name in STATE_TABLES:
    setattr(Module, _name, HookTable(_name, False))
GlobalHooks.watchers.append(Module)
