"""Hooks of modules: the handles that remove them, the tables that hold them, and full backward hooks."""

from __future__ import annotations

import weakref
from collections import OrderedDict

import torch


class RemovableHandle:
    """Removes a hook from the tables that hold it. It keeps none of them alive."""

    def __init__(self, hooks_dict, *, extra_dict=None) -> None:
        self.hooks_dict_ref = weakref.ref(hooks_dict)
        self.id = RemovableHandle.next_id
        RemovableHandle.next_id += 1
        if extra_dict is None:
            self.extra_dict_ref = ()
        else:
            tables = extra_dict if isinstance(extra_dict, list) else [extra_dict]
            self.extra_dict_ref = tuple(weakref.ref(table) for table in tables)

    next_id = 0

    def remove(self) -> None:
        """Remove the hook; doing it again is harmless."""
        for ref in (self.hooks_dict_ref, *self.extra_dict_ref):
            table = ref()
            if table is not None and self.id in table:
                del table[self.id]

    def __getstate__(self):
        return (self.hooks_dict_ref(), self.id, tuple(ref() for ref in self.extra_dict_ref))

    def __setstate__(self, state) -> None:
        hooks = OrderedDict() if state[0] is None else state[0]
        self.hooks_dict_ref = weakref.ref(hooks)
        self.id = state[1]
        RemovableHandle.next_id = max(RemovableHandle.next_id, self.id + 1)
        extras = state[2] if len(state) > 2 else ()
        self.extra_dict_ref = tuple(weakref.ref(OrderedDict() if table is None else table) for table in extras)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exc) -> None:
        self.remove()


# The name that PyTorch's files have for it.
RemovableHandle.__module__ = "torch.utils.hooks"


class HookTable:
    """A hook dictionary of a module that comes into being when it is first asked for.

    Most modules never have a hook. Without these tables a module is cheap to construct, and ``__call__`` has to look
    at one attribute only: ``_hooked``, which the first access to a table that concerns calls sets.
    """

    def __init__(self, name: str, concerns_calls: bool) -> None:
        self.name = name
        self.concerns_calls = concerns_calls

    def __get__(self, module, owner=None):
        if module is None:
            return self
        values = module.__dict__
        table = values.get(self.name)
        if table is None:
            table = values[self.name] = OrderedDict()
            if self.concerns_calls:
                values["_hooked"] = True
        return table

    def __set__(self, module, table) -> None:
        module.__dict__[self.name] = table
        if self.concerns_calls:
            module.__dict__["_hooked"] = True


CALL_TABLES = (
    "_backward_pre_hooks",
    "_backward_hooks",
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
)
STATE_TABLES = (
    "_state_dict_hooks",
    "_state_dict_pre_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
)


class GlobalHooks(OrderedDict):
    """Hooks of all modules. The class itself is told, so that ``Module.__call__`` needs no look at these tables."""

    watchers: list = []

    def __setitem__(self, key, value) -> None:
        super().__setitem__(key, value)
        GlobalHooks.refresh()

    def __delitem__(self, key) -> None:
        super().__delitem__(key)
        GlobalHooks.refresh()

    @staticmethod
    def refresh() -> None:
        used = any(_call_hooks)
        for cls in GlobalHooks.watchers:
            cls._hooked = used


_global_backward_pre_hooks = GlobalHooks()
_global_backward_hooks = GlobalHooks()
_global_forward_pre_hooks = GlobalHooks()
_global_forward_hooks = GlobalHooks()
_global_forward_hooks_always_called = GlobalHooks()
_global_forward_hooks_with_kwargs: dict[int, bool] = OrderedDict()
_global_buffer_registration_hooks: dict = OrderedDict()
_global_module_registration_hooks: dict = OrderedDict()
_global_parameter_registration_hooks: dict = OrderedDict()
_call_hooks = (_global_backward_pre_hooks, _global_backward_hooks, _global_forward_pre_hooks, _global_forward_hooks)


class _BackwardKind:
    """Whether the global backward hooks are full ones; the two kinds may not be mixed."""

    full: bool | None = None


def _add(table, hook, *extras) -> RemovableHandle:
    handle = RemovableHandle(table, extra_dict=list(extras) or None)
    table[handle.id] = hook
    return handle


def register_module_buffer_registration_hook(hook) -> RemovableHandle:
    """Call ``hook(module, name, buffer)`` whenever any module registers a buffer."""
    return _add(_global_buffer_registration_hooks, hook)


def register_module_module_registration_hook(hook) -> RemovableHandle:
    """Call ``hook(module, name, submodule)`` whenever any module registers a submodule."""
    return _add(_global_module_registration_hooks, hook)


def register_module_parameter_registration_hook(hook) -> RemovableHandle:
    """Call ``hook(module, name, param)`` whenever any module registers a parameter."""
    return _add(_global_parameter_registration_hooks, hook)


def register_module_forward_pre_hook(hook) -> RemovableHandle:
    """Call ``hook(module, args)`` before every ``forward``."""
    return _add(_global_forward_pre_hooks, hook)


def register_module_forward_hook(hook, *, with_kwargs: bool = False, always_call: bool = False) -> RemovableHandle:
    """Call ``hook(module, args, output)`` after every ``forward``."""
    handle = _add(_global_forward_hooks, hook, _global_forward_hooks_always_called, _global_forward_hooks_with_kwargs)
    if with_kwargs:
        _global_forward_hooks_with_kwargs[handle.id] = True
    if always_call:
        _global_forward_hooks_always_called[handle.id] = True
    return handle


def register_module_backward_hook(hook) -> RemovableHandle:
    """Call ``hook(module, grad_input, grad_output)`` in every backward pass (the older, partial kind)."""
    if _BackwardKind.full is True:
        raise RuntimeError(
            "Cannot use both regular backward hooks and full backward hooks as a global Module hook. "
            "Please use only one of them."
        )
    _BackwardKind.full = False
    return _add(_global_backward_hooks, hook)


def register_module_full_backward_pre_hook(hook) -> RemovableHandle:
    """Call ``hook(module, grad_output)`` before the gradients of every module's inputs are computed."""
    return _add(_global_backward_pre_hooks, hook)


def register_module_full_backward_hook(hook) -> RemovableHandle:
    """Call ``hook(module, grad_input, grad_output)`` after the gradients of every module's inputs are computed."""
    if _BackwardKind.full is False:
        raise RuntimeError(
            "Cannot use both regular backward hooks and full backward hooks as a global Module hook. "
            "Please use only one of them."
        )
    _BackwardKind.full = True
    return _add(_global_backward_hooks, hook)


class BackwardHookFunction(torch.autograd.Function):
    """The identity, so that all inputs (or outputs) of a module get one common node in the graph."""

    @staticmethod
    def forward(ctx, *args):
        ctx.mark_non_differentiable(*[arg for arg in args if not arg.requires_grad])
        return args

    @staticmethod
    def backward(ctx, *args):
        return args


class BackwardHook:
    """Runs the full backward hooks of one call of a module.

    The gradients of the outputs are caught at an identity node behind the outputs, those of the inputs at one before
    the inputs. A module whose inputs need no gradient runs its hooks as soon as the output gradients are known.
    """

    def __init__(self, module, user_hooks, user_pre_hooks) -> None:
        self.module = module
        self.user_hooks = user_hooks
        self.user_pre_hooks = user_pre_hooks
        self.grad_outputs = None
        self.n_outputs = -1
        self.output_tensors_index = None
        self.n_inputs = -1
        self.input_tensors_index = None

    @staticmethod
    def _pack_with_none(indices, values, size):
        full = [None] * size
        for index, value in zip(indices, values, strict=True):
            full[index] = value
        return tuple(full)

    def _set_user_hook(self, grad_fn) -> None:
        def hook(grad_input, _):
            if self.grad_outputs is None:
                # The backward pass did not go through the outputs: the hooks have nothing to report.
                return None
            result = self._pack_with_none(self.input_tensors_index, grad_input, self.n_inputs)
            for user_hook in self.user_hooks:
                out = user_hook(self.module, result, self.grad_outputs)
                if out is None:
                    continue
                if len(out) != len(result):
                    raise RuntimeError(
                        f"Backward hook returned an invalid number of grad_input, got {len(out)}, "
                        f"but expected {len(result)}"
                    )
                result = out
            self.grad_outputs = None
            return tuple(result[i] for i in self.input_tensors_index)

        grad_fn.register_hook(hook)

    def _apply_on_tensors(self, fn, args):
        indices = [i for i, arg in enumerate(args) if isinstance(arg, torch.Tensor)]
        tensors = [args[i] for i in indices]
        if not (torch.is_grad_enabled() and any(t.requires_grad for t in tensors)):
            return args, None
        marked = BackwardHookFunction.apply(*tensors)
        if not marked:
            raise RuntimeError("Cannot set Module backward hook for a Module with no input Tensors.")
        grad_fns = [t.grad_fn for t in marked if t.grad_fn is not None and "BackwardHookFunction" in t.grad_fn.name()]
        if not grad_fns:
            raise RuntimeError("Error while setting up backward hooks. Please open an issue with a code sample.")
        fn(grad_fns[0])
        out = list(args)
        for index, value in zip(indices, marked, strict=True):
            out[index] = value
        return (type(args)(*out) if hasattr(args, "_fields") else tuple(out)), indices

    def setup_input_hook(self, args):
        """Catch the gradients of the inputs; return the inputs to use."""

        def fn(grad_fn):
            self._set_user_hook(grad_fn)

        result, indices = self._apply_on_tensors(fn, args)
        self.n_inputs = len(args)
        self.input_tensors_index = indices
        return result

    def setup_output_hook(self, args):
        """Catch the gradients of the outputs; return the outputs to use."""

        def fn(grad_fn):
            def hook(grad_output):
                self.grad_outputs = self._pack_with_none(self.output_tensors_index, grad_output, self.n_outputs)
                if self.user_pre_hooks:
                    expected = len(self.grad_outputs)
                    for user_pre_hook in self.user_pre_hooks:
                        out = user_pre_hook(self.module, self.grad_outputs)
                        if out is None:
                            continue
                        if len(out) != expected:
                            raise RuntimeError(
                                f"Backward pre hook returned an invalid number of grad_output, got {len(out)}, "
                                f"but expected {expected}"
                            )
                        self.grad_outputs = out
                local = tuple(self.grad_outputs[i] for i in self.output_tensors_index)
                if self.input_tensors_index is None:
                    import warnings

                    warnings.warn(
                        "Full backward hook is firing when gradients are computed with respect to module outputs since "
                        "no inputs require gradients. See "
                        "https://docs.pytorch.org/docs/main/generated/torch.nn.Module.html"
                        "#torch.nn.Module.register_full_backward_hook for more details.",
                        stacklevel=5,
                    )
                    inputs = self._pack_with_none([], [], self.n_inputs)
                    for user_hook in self.user_hooks:
                        result = user_hook(self.module, inputs, self.grad_outputs)
                        if result is not None and not (isinstance(result, tuple) and all(r is None for r in result)):
                            raise RuntimeError(
                                "Backward hook for Modules where no input requires gradient should always return None "
                                "or None for all gradients."
                            )
                    self.grad_outputs = None
                return local

            grad_fn.register_prehook(hook)

        is_tuple = isinstance(args, tuple)
        if not is_tuple:
            args = (args,)
        result, indices = self._apply_on_tensors(fn, args)
        self.n_outputs = len(args)
        self.output_tensors_index = indices
        return result if is_tuple else result[0]
