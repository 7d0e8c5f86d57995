"""Calling a module that has hooks."""

from __future__ import annotations

import torch

from .. import _hooks
from .._hooks import (
    _global_backward_hooks,
    _global_backward_pre_hooks,
    _global_forward_hooks,
    _global_forward_hooks_always_called,
    _global_forward_hooks_with_kwargs,
    _global_forward_pre_hooks,
)

_Tensor = torch.Tensor
_NONE: dict = {}


class ModuleCall:
    """The part of ``Module`` that runs hooks around ``forward``."""

    def _call_with_hooks(self, args, kwargs):
        done = set()
        try:
            return self._run_with_hooks(args, kwargs, done)
        except Exception:
            self._run_always_called(args, kwargs, done)
            raise

    def _run_with_hooks(self, args, kwargs, done):
        # The tables are read from __dict__: to ask for them by name would create the ones that are not there.
        table = self.__dict__.get
        full_hooks, plain_hooks = [], []
        pre_hooks = [*_global_backward_pre_hooks.values(), *table("_backward_pre_hooks", _NONE).values()]
        if _global_backward_hooks or table("_backward_hooks", _NONE):
            full_hooks, plain_hooks = self._get_backward_hooks()
        with_kwargs = table("_forward_pre_hooks_with_kwargs", _NONE)
        for key, hook in (*_global_forward_pre_hooks.items(), *table("_forward_pre_hooks", _NONE).items()):
            if key in with_kwargs:
                result = hook(self, args, kwargs)
                if result is not None:
                    if not (isinstance(result, tuple) and len(result) == 2):
                        raise RuntimeError(
                            f"forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got {result}."
                        )
                    args, kwargs = result
            else:
                result = hook(self, args)
                if result is not None:
                    args = result if isinstance(result, tuple) else (result,)
        backward = None
        if full_hooks or pre_hooks:
            backward = _hooks.BackwardHook(self, full_hooks, pre_hooks)
            args = backward.setup_input_hook(args)
        output = self.forward(*args, **kwargs)
        always = table("_forward_hooks_always_called", _NONE)
        with_kwargs = table("_forward_hooks_with_kwargs", _NONE)
        for key, hook in (*_global_forward_hooks.items(), *table("_forward_hooks", _NONE).items()):
            if key in always or key in _global_forward_hooks_always_called:
                done.add(key)
            if key in with_kwargs or key in _global_forward_hooks_with_kwargs:
                result = hook(self, args, kwargs, output)
            else:
                result = hook(self, args, output)
            if result is not None:
                output = result
        if backward is not None:
            if not isinstance(output, (_Tensor, tuple)):
                import warnings

                warnings.warn(
                    "For backward hooks to be called, module output should be a Tensor or a tuple of Tensors "
                    f"but received {type(output)}",
                    stacklevel=4,
                )
            output = backward.setup_output_hook(output)
        if plain_hooks:
            self._attach_plain_backward_hooks(plain_hooks, args, output)
        return output

    def _attach_plain_backward_hooks(self, hooks, args, output) -> None:
        tensor = output
        while not isinstance(tensor, _Tensor):
            if isinstance(tensor, dict):
                tensor = next(value for value in tensor.values() if isinstance(value, _Tensor))
            else:
                tensor = tensor[0]
        grad_fn = tensor.grad_fn
        if grad_fn is None:
            return
        from functools import partial, update_wrapper

        for hook in hooks:
            grad_fn.register_hook(update_wrapper(partial(hook, self), hook))
        self._maybe_warn_non_full_backward_hook(args, output, grad_fn)

    def _run_always_called(self, args, kwargs, done) -> None:
        """Run the hooks that shall also see failures; their own failures only warn."""
        table = self.__dict__.get
        for kind, hooks, always, with_kwargs in (
            (
                "global ",
                _global_forward_hooks,
                _global_forward_hooks_always_called,
                _global_forward_hooks_with_kwargs,
            ),
            (
                "",
                table("_forward_hooks", _NONE),
                table("_forward_hooks_always_called", _NONE),
                table("_forward_hooks_with_kwargs", _NONE),
            ),
        ):
            for key, hook in hooks.items():
                if key not in always or key in done:
                    continue
                try:
                    hook(self, args, kwargs, None) if key in with_kwargs else hook(self, args, None)
                except Exception as error:
                    import warnings

                    warnings.warn(
                        f"{kind}module forward hook with ``always_call=True`` raised an exception that was silenced "
                        f"as another error was raised in forward: {error}",
                        stacklevel=3,
                    )

    def _get_backward_hooks(self):
        full, plain = [], []
        if _hooks._BackwardKind.full is True:
            full += _global_backward_hooks.values()
        if self._is_full_backward_hook is True:
            full += self._backward_hooks.values()
        if _hooks._BackwardKind.full is False:
            plain += _global_backward_hooks.values()
        if self._is_full_backward_hook is False:
            plain += self._backward_hooks.values()
        return full, plain

    def _maybe_warn_non_full_backward_hook(self, inputs, result, grad_fn) -> None:
        import warnings

        text = None
        if not isinstance(result, _Tensor) and not (
            isinstance(result, tuple) and all(isinstance(r, _Tensor) for r in result)
        ):
            text = (
                "Using non-full backward hooks on a Module that does not return a single Tensor or a tuple of Tensors "
                "is deprecated and will be removed in future versions. This hook will be missing some of the "
                "grad_output. Please use register_full_backward_hook to get the documented behavior."
            )
        elif not all(isinstance(i, _Tensor) for i in inputs):
            text = (
                "Using non-full backward hooks on a Module that does not take as input a single Tensor or a tuple of "
                "Tensors is deprecated and will be removed in future versions. This hook will be missing some of the "
                "grad_input. Please use register_full_backward_hook to get the documented behavior."
            )
        elif isinstance(result, tuple) and len({r.grad_fn for r in result}) > 1:
            text = (
                "Using a non-full backward hook when outputs are generated by different autograd Nodes is deprecated "
                "and will be removed in future versions. This hook will be missing some grad_output. Please use "
                "register_full_backward_hook to get the documented behavior."
            )
        else:
            nodes = {i.grad_fn for i in inputs if i.grad_fn is not None}
            if nodes != {fn[0] for fn in grad_fn.next_functions}:
                text = (
                    "Using a non-full backward hook when the forward contains multiple autograd Nodes is deprecated "
                    "and will be removed in future versions. This hook will be missing some grad_input. Please use "
                    "register_full_backward_hook to get the documented behavior."
                )
        if text is not None:
            warnings.warn(text, FutureWarning, stacklevel=2)
