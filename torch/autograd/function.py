"""Custom operations: ``torch.autograd.Function``.

The object that ``forward`` gets as ``ctx`` is also the Python side of the node in the graph: its class is made next
to each Function, under the name ``<Name>Backward``.
"""

from __future__ import annotations

import functools

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = [
    "BackwardCFunction",
    "Function",
    "FunctionCtx",
    "FunctionMeta",
    "InplaceFunction",
    "NestedIOFunction",
    "once_differentiable",
]

_RELEASED = (
    "Trying to backward through the graph a second time (or directly access saved tensors after they have already "
    "been freed). Saved intermediate values of the graph are freed when you call .backward() or autograd.grad(). "
    "Specify retain_graph=True if you need to backward through the graph a second time or if you need to access "
    "saved tensors after calling backward."
)


class FunctionCtx:
    """What ``forward`` and ``setup_context`` tell the graph about an operation."""

    to_save: tuple[Any, ...] | None = None
    saved_for_forward: tuple[Any, ...] | None = None
    dirty_tensors: tuple[Any, ...] = ()
    non_differentiable: tuple[Any, ...] = ()
    materialize_grads = True

    def save_for_backward(self, *tensors: Any) -> None:
        """Keep tensors (or ``None``) for backward. Only tensors saved this way are checked for later changes."""
        self.to_save = tensors

    def save_for_forward(self, *tensors: Any) -> None:
        """Keep tensors for ``jvp``."""
        for tensor in tensors:
            if not isinstance(tensor, torch.Tensor) and tensor is not None:
                raise AssertionError(
                    "save_for_forward expects all arguments to be tensors; you should save non-tensors as attributes "
                    "on ctx."
                )
        self.saved_for_forward = tensors

    def mark_dirty(self, *args: Any) -> None:
        """Declare inputs that ``forward`` changed in place."""
        self.dirty_tensors = args

    def mark_non_differentiable(self, *args: Any) -> None:
        """Declare outputs that have no gradient."""
        self.non_differentiable = args

    def mark_shared_storage(self, *pairs: Any) -> None:
        import warnings

        warnings.warn(
            "function 'mark_shared_storage' is deprecated. Tensors with shared storages are automatically tracked. "
            "Note that calls to `set_()` are not tracked",
            stacklevel=2,
        )

    def set_materialize_grads(self, value: bool) -> None:
        """Whether undefined gradients reach backward as zeros (the default) or as ``None``."""
        self.materialize_grads = value


class BackwardCFunction(torch._C._FunctionBase, FunctionCtx):  # type: ignore[name-defined, misc]
    """Base of the generated node classes."""

    _forward_cls: Any
    needs_input_grad: tuple[bool, ...] = ()
    _packed: Any = None
    _released = False
    _tensor_positions: tuple[int, ...] = ()
    _num_inputs = 0

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        if self.saved_for_forward is not None:
            return self.saved_for_forward
        if self._released:
            raise RuntimeError(_RELEASED)
        if self._packed is None:
            return self.to_save or ()
        return tuple(torch._C._saved_unpack(self._packed, self))

    saved_variables = saved_tensors

    def release_variables(self) -> None:
        """Called by the engine once the graph may be freed."""
        if self._packed is not None:
            self._packed = None
            self._released = True

    def name(self) -> str:
        return type(self).__name__

    def apply_backward(self, *grads: Any) -> tuple[Any, ...]:
        """Run the user's backward; returns one gradient (or ``None``) per tensor among the inputs."""
        result = _user_backward(self._forward_cls)(self, *grads)
        if not isinstance(result, tuple):
            result = tuple(result) if isinstance(result, list) else (result,)
        count = self._num_inputs
        if len(result) != count:
            # Trailing None values are harmless: they stand for arguments that forward filled in itself.
            if len(result) < count or any(grad is not None for grad in result[count:]):
                raise RuntimeError(
                    f"function {self.name()} returned an incorrect number of gradients (expected {count}, got "
                    f"{len(result)})"
                )
            result = result[:count]
        tensors = set(self._tensor_positions)
        for i, grad in enumerate(result):
            if grad is not None and i not in tensors:
                raise RuntimeError(
                    f"function {self.name()} returned a gradient different from None at position {i + 1}, but the "
                    "corresponding forward input was not a Variable"
                )
        return tuple(result[i] for i in self._tensor_positions)


def _user_backward(cls: Any) -> Callable[..., Any]:
    own_backward = cls.backward is not Function.backward
    if own_backward and cls.vjp is not Function.vjp:
        raise RuntimeError(
            "Implementing both 'backward' and 'vjp' for a custom Function is not allowed. You should only implement "
            "one of them."
        )
    function: Callable[..., Any] = cls.backward if own_backward else cls.vjp
    return function


class FunctionMeta(type):
    """Gives each Function the class of its graph nodes."""

    def __init__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> None:
        node = type(name + "Backward", (BackwardCFunction,), {"_forward_cls": cls})
        cls._backward_cls = node
        super().__init__(name, bases, namespace)


class Function(metaclass=FunctionMeta):
    """Base of custom differentiable operations.

    Define the static methods ``forward`` (with ``ctx`` first, or without it and with ``setup_context``) and
    ``backward``, and call the operation through ``apply``.
    """

    _backward_cls: Any
    generate_vmap_rule = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        import warnings

        warnings.warn(
            f"{type(self)} should not be instantiated. Methods on autograd functions are all static, so you should "
            "invoke them on the class itself. Instantiating an autograd function will raise an error in a future "
            "version of PyTorch.",
            DeprecationWarning,
            stacklevel=2,
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(
            "Legacy autograd function with non-static forward method is deprecated. Please use new-style autograd "
            "function with static forward method. (Example: "
            "https://pytorch.org/docs/stable/autograd.html#torch.autograd.Function)"
        )

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """Compute the result. Runs without recording."""
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> Any:
        """Fill ``ctx`` when ``forward`` does not take it."""
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """Map gradients of the outputs to one gradient, or ``None``, per argument of ``forward``."""
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom autograd.Function to use it with "
            "backward mode AD."
        )

    @staticmethod
    def vjp(ctx: Any, *grad_outputs: Any) -> Any:
        """Another name for ``backward``."""
        return Function.backward(ctx, *grad_outputs)

    @staticmethod
    def jvp(ctx: Any, *grad_inputs: Any) -> Any:
        """Map tangents of the inputs to tangents of the outputs, for forward mode."""
        raise NotImplementedError(
            "You must implement the jvp function for custom autograd.Function to use it with forward mode AD."
        )

    @staticmethod
    def vmap(info: Any, in_dims: Any, *args: Any) -> Any:
        """How the operation acts on batches under ``torch.vmap``."""
        raise NotImplementedError(
            "To use autograd.Function with vmap, you must either override the vmap staticmethod or set "
            "generate_vmap_rule=True."
        )

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Run the operation and connect its outputs to the graph."""
        if kwargs and cls.setup_context is not Function.setup_context:
            args, kwargs = _bind_defaults(cls.forward, args, kwargs), {}
        if torch._C._vmap_depth() and any(isinstance(a, torch.Tensor) and torch._C._vmap_parts(a) for a in args):
            from . import _function_vmap

            return _function_vmap.apply(cls, args)
        levels = torch._C._dual_levels(args)
        if levels is not None:
            from torch.autograd import _function_forward

            return _function_forward.apply(cls, args, kwargs, levels)
        ctx, output = _record(cls, args, kwargs)
        ctx.saved_for_forward = None
        return output


def _record(cls: Any, args: tuple[Any, ...], kwargs: dict[str, Any], keep: bool = False) -> tuple[Any, Any]:
    """The ctx, and the results with their history. ``keep``: what is saved for backward is there for ``jvp`` too."""
    tensor_type = torch.Tensor
    needs_grad = tuple([isinstance(arg, tensor_type) and arg.requires_grad for arg in args])
    recording = torch.is_grad_enabled()
    ctx = cls._backward_cls()
    ctx.needs_input_grad = needs_grad
    torch._C._set_grad_enabled(False)
    limit = torch._C._set_forward_limit(0)
    try:
        if cls.setup_context is Function.setup_context:
            output = cls.forward(ctx, *args, **kwargs)
        else:
            output = cls.forward(*args)
            cls.setup_context(ctx, args, output)
        if keep:
            ctx.saved_for_forward = ctx.to_save
        torch._C._set_grad_enabled(recording)
        return ctx, _connect(cls, ctx, args, output, recording and True in needs_grad)
    finally:
        torch._C._set_grad_enabled(recording)
        torch._C._set_forward_limit(limit)


class TransposedFunction(Function):
    """A custom operation whose ``backward`` is made of differentiable operations: ``jvp`` follows from it."""

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        from torch.autograd import _function_forward

        return _function_forward.transposed(ctx, tangents)


def _bind_defaults(forward: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
    """Turn keyword arguments into positional ones, since ``setup_context`` sees one tuple of inputs."""
    import inspect

    bound = inspect.signature(forward).bind(*args, **kwargs)
    bound.apply_defaults()
    return bound.args


def _connect(cls: Any, ctx: Any, args: tuple[Any, ...], output: Any, recording: bool) -> Any:
    tensor_type = torch.Tensor
    positions = tuple([i for i, arg in enumerate(args) if isinstance(arg, tensor_type)])
    inputs = tuple([args[i] for i in positions])
    single = not isinstance(output, tuple)
    outputs = (output,) if single else output
    if any(not isinstance(t, tensor_type) for t in ctx.dirty_tensors):
        raise TypeError("mark_dirty only accepts input tensors")
    if not recording:
        # An input that comes back must be a tensor of its own unless it was changed in place.
        dirty = {id(t) for t in ctx.dirty_tensors}
        given = {id(t) for t in inputs} - dirty
        if given:
            with torch.no_grad():
                outputs = tuple([o.view_as(o) if id(o) in given else o for o in outputs])
        ctx.to_save = None
        return outputs[0] if single else outputs
    ctx._tensor_positions = positions
    ctx._num_inputs = len(args)
    outputs = torch._C._function_wrap(
        ctx, cls, inputs, outputs, set(ctx.dirty_tensors), set(ctx.non_differentiable), ctx.materialize_grads
    )
    saved = ctx.to_save
    if saved:
        for i, tensor in enumerate(saved):
            if tensor is not None and not isinstance(tensor, tensor_type):
                raise TypeError(
                    f"save_for_backward can only save variables, but argument {i} is of type {type(tensor).__name__}"
                )
        # Packed only now: an output that was saved must know its node, or it would keep the graph alive in a cycle.
        ctx._packed = torch._C._saved_pack(saved, ctx)
        ctx.to_save = None
    return outputs[0] if single else outputs


class _DelayedError(Function):
    """Identity whose backward fails: it marks gradients that must not be differentiated again."""

    @staticmethod
    def forward(ctx: Any, message: str, *tensors: Any) -> Any:  # type: ignore[override]
        ctx.message = message
        return tuple(tensor.detach() for tensor in tensors)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        raise RuntimeError(ctx.message)


def once_differentiable(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a ``backward`` whose own operations cannot be differentiated; double backward then raises an error."""

    @functools.wraps(fn)
    def wrapper(ctx: Any, *args: Any) -> Any:
        with torch.no_grad():
            outputs = fn(ctx, *args)
        if not torch.is_grad_enabled():
            return outputs
        if not any(isinstance(arg, torch.Tensor) and arg.requires_grad for arg in args):
            return outputs
        single = not isinstance(outputs, tuple)
        items = (outputs,) if single else outputs
        marked = iter(
            _DelayedError.apply(
                "trying to differentiate twice a function that was marked with @once_differentiable",
                *[item.detach().requires_grad_() for item in items if item is not None],
            )
        )
        items = tuple(None if item is None else next(marked) for item in items)
        return items[0] if single else items

    return wrapper


class InplaceFunction(Function):
    """Kept for old programs."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace


class NestedIOFunction(Function):
    """Kept for old programs that check for it: functions with nested inputs are written with ``apply`` today."""
