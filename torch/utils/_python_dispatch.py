"""Modes and subclasses that see every operation below autograd: ``TorchDispatchMode``, and helpers for
``__torch_dispatch__``."""

from __future__ import annotations

import contextlib
import functools

import torch
from torch._C import (
    _get_dispatch_stack_at,
    _len_torch_dispatch_stack,
    _pop_torch_dispatch_stack,
    _push_on_torch_dispatch_stack,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

__all__ = [
    "AliasInfo",
    "BaseTorchDispatchMode",
    "SchemaInfo",
    "TorchDispatchMode",
    "any_torch_dispatch_mode_on_stack",
    "autograd_would_have_decomposed",
    "get_alias_info",
    "is_in_any_mode_without_ignore_compile_internals",
    "is_in_torch_dispatch_mode",
    "is_traceable_wrapper_subclass",
    "is_traceable_wrapper_subclass_type",
    "return_and_correct_aliasing",
    "transform_subclass",
]


class TorchDispatchMode:
    """Inside ``with mode:`` every native operation goes to ``mode.__torch_dispatch__``, below autograd.

    The handler gets the overload (``torch.ops.aten.add.Tensor``), the dispatching subclasses among the arguments, the
    arguments and the keyword arguments, and returns the result. While it runs the mode is not active, so that it can
    call the operation itself; modes outside it are. A handler that returns ``NotImplemented`` leaves the call to the
    subclasses among the arguments; a TypeError is raised when all refuse.

    >>> class Names(torch.utils._python_dispatch.TorchDispatchMode):
    ...     def __torch_dispatch__(self, func, types, args=(), kwargs=None):
    ...         print(func)
    ...         return func(*args, **(kwargs or {}))
    >>> with Names():
    ...     x = torch.relu(torch.ones(2)) + 1
    aten.ones.default
    aten.relu.default
    aten.add.Tensor
    """

    supports_higher_order_operators = False

    def __init__(self, _dispatch_key: Any = None) -> None:
        if _dispatch_key is not None:
            raise NotImplementedError("TorchDispatchMode: modes are not tied to dispatch keys")

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise NotImplementedError

    def __enter__(self) -> Any:
        _push_mode(self)
        return self

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        _pop_mode()

    @classmethod
    def push(cls, *args: Any, **kwargs: Any) -> Any:
        import warnings

        warnings.warn(
            "`Mode.push()` is no longer necessary and can be replaced with just `with Mode()`",
            UserWarning,
            stacklevel=2,
        )
        return cls(*args, **kwargs)

    @classmethod
    def is_infra_mode(cls) -> bool:
        return False

    @classmethod
    def ignore_compile_internals(cls) -> bool:
        return False


class BaseTorchDispatchMode(TorchDispatchMode):
    """Changes nothing: a base for modes that only look at some calls."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **(kwargs or {}))


# ---- the stack of modes


def _push_mode(mode: TorchDispatchMode) -> None:
    _push_on_torch_dispatch_stack(mode)


def _pop_mode(k: Any = None) -> Any:
    return _pop_torch_dispatch_stack()


@contextlib.contextmanager
def _pop_mode_temporarily(k: Any = None) -> Iterator[Any]:
    mode = _pop_mode()
    try:
        yield mode
    finally:
        _push_mode(mode)


@contextlib.contextmanager
def _disable_current_modes() -> Iterator[list[Any]]:
    """No mode is active inside the block. Gives the list of those that were, outermost first."""
    modes = [_pop_mode() for _ in range(_len_torch_dispatch_stack())][::-1]
    try:
        yield modes
    finally:
        for mode in modes:
            _push_mode(mode)


def _get_current_dispatch_mode() -> Any:
    """The innermost active mode, or None."""
    depth = _len_torch_dispatch_stack()
    return _get_dispatch_stack_at(depth - 1) if depth else None


def _get_current_dispatch_mode_stack() -> list[Any]:
    return [_get_dispatch_stack_at(i) for i in range(_len_torch_dispatch_stack())]


def is_in_torch_dispatch_mode(include_infra_modes: bool = True) -> bool:
    return _len_torch_dispatch_stack() > 0


def any_torch_dispatch_mode_on_stack() -> bool:
    return _len_torch_dispatch_stack() > 0


def is_in_any_mode_without_ignore_compile_internals() -> bool:
    return any(not mode.ignore_compile_internals() for mode in _get_current_dispatch_mode_stack())


# ---- subclasses that hold other tensors


def _has_traceable_wrapper_subclass_protocol(t: object) -> bool:
    return hasattr(t, "__tensor_flatten__") and hasattr(t, "__tensor_unflatten__")


def is_traceable_wrapper_subclass(t: object) -> bool:
    """Whether this tensor is of a subclass that says, by ``__tensor_flatten__``, which tensors it holds.

    >>> torch.utils._python_dispatch.is_traceable_wrapper_subclass(torch.ones(2))
    False
    """
    return isinstance(t, torch.Tensor) and type(t) is not torch.Tensor and _has_traceable_wrapper_subclass_protocol(t)


def is_traceable_wrapper_subclass_type(t: type) -> bool:
    return issubclass(t, torch.Tensor) and t is not torch.Tensor and _has_traceable_wrapper_subclass_protocol(t)


def transform_subclass(
    t: Any, callback: Callable[[str, Any], Any], outer_size: Any = None, outer_stride: Any = None
) -> Any:
    """The same subclass with ``callback(name, inner)`` in place of each tensor that it holds."""
    outer_size = t.size() if outer_size is None else outer_size
    outer_stride = t.stride() if outer_stride is None else outer_stride
    names, context = t.__tensor_flatten__()
    inner = {name: callback(name, getattr(t, name)) for name in names}
    made = type(t).__tensor_unflatten__(inner, context, outer_size, outer_stride)
    if made.shape != outer_size:
        raise AssertionError(
            f"Expected return value from {type(t)}__tensor_unflatten__() to have shape equal to {outer_size}, "
            f"but got: {made.shape}"
        )
    if made.stride() != outer_stride:
        raise AssertionError(
            f"Expected return value from {type(t)}__tensor_unflatten__() to have stride equal to {outer_stride}, "
            f"but got: {made.stride()}"
        )
    return made


# ---- what an operation's results share with its arguments


class AliasInfo:
    """An argument or result of a schema: whose memory it shares, and whether that is written to."""

    def __init__(self, alias_set: set[str], is_write: bool, name: str | None) -> None:
        self.alias_set, self.is_write, self.name = alias_set, is_write, name

    def __repr__(self) -> str:
        return f"AliasInfo(alias_set={self.alias_set}, is_write={self.is_write}, name={self.name!r})"


class SchemaInfo:
    """The aliases of a schema."""

    def __init__(self, args: list[AliasInfo], outs: list[AliasInfo], is_inplace_view_op: bool) -> None:
        self.args, self.outs, self.is_inplace_view_op = args, outs, is_inplace_view_op
        writes = [_get_write_alias(out) for out in outs]
        self.outs_write_aliases = None if None in writes or not writes else writes
        self.read_only_alias_match_indexes = [
            (i, j)
            for i, arg in enumerate(args)
            for j, out in enumerate(outs)
            if arg.alias_set & out.alias_set and not arg.is_write
        ]


def _alias_info(argument: Any) -> AliasInfo:
    info = argument.alias_info
    if info is None:
        return AliasInfo(set(), False, argument.name or None)
    return AliasInfo(set(info.before_set), info.is_write, argument.name or None)


@functools.lru_cache(None)
def get_alias_info(func: Any) -> SchemaInfo:
    """What the results of an overload share with its arguments."""
    schema = func._schema
    return SchemaInfo(
        [_alias_info(a) for a in schema.arguments],
        [_alias_info(r) for r in schema.returns],
        torch.Tag.inplace_view in func.tags,
    )


def _get_write_alias(info: AliasInfo) -> str | None:
    return next(iter(info.alias_set)) if info.alias_set and info.is_write else None


def return_and_correct_aliasing(func: Any, args: Any, kwargs: Any, out: Any) -> Any:
    """The result a ``__torch_dispatch__`` of a wrapper subclass should return for ``out``, which it computed.

    An operation that writes to an argument returns that argument itself. Results that are views share their base's
    memory; the core sees to that when the handler returns.
    """
    info = get_alias_info(func)
    for i, j in info.read_only_alias_match_indexes:
        base = args[i] if i < len(args) else None
        result = out[j] if isinstance(out, (list, tuple)) and len(info.outs) > 1 else out
        if not isinstance(base, torch.Tensor):
            continue
        for one in result if isinstance(result, (list, tuple)) else [result]:
            if torch.utils._python_dispatch.is_traceable_wrapper_subclass(base) and type(one) is not type(base):
                raise AssertionError(
                    f"Called {func} with input of type {type(base)}\nand output of type {type(one)}. But "
                    "expected types "
                    "to match."
                )
    if info.is_inplace_view_op and args and is_traceable_wrapper_subclass(args[0]) and isinstance(out, torch.Tensor):
        torch._C._take_geometry(args[0], out)
        return args[0]
    if info.outs_write_aliases is None:
        return out
    written = []
    for alias in info.outs_write_aliases:
        at = next(i for i, arg in enumerate(info.args) if arg.is_write and alias in arg.alias_set)
        written.append(args[at] if at < len(args) else kwargs[info.args[at].name])
    if len(written) == 1 and not isinstance(out, (list, tuple)):
        return written[0]
    return type(out)(written) if isinstance(out, (list, tuple)) else tuple(written)


def autograd_would_have_decomposed(func: Any, flat_args: Any) -> bool:
    """Whether autograd, had one of the arguments required a gradient, would have run the overload in parts."""
    return "i" in func._letters and not any(isinstance(a, torch.Tensor) and a.requires_grad for a in flat_args)
