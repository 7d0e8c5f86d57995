"""``torch.autocast``: mixed precision by context."""

from __future__ import annotations

import functools

import torch

from . import _state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["autocast", "custom_bwd", "custom_fwd", "is_autocast_available"]

_KINDS = ("cuda", "cpu", "xpu", "mps", "hpu", "mtia", "maia", "xla", "ipu")


def is_autocast_available(device_type: str) -> bool:
    """Whether autocast knows a kind of device; the device itself need not be there."""
    return torch.device(device_type).type in _KINDS


class autocast:  # noqa: N801
    """Choose the precision of operations in a block or a function.

    On the CPU matrix products, convolutions and attention compute in ``dtype`` (bfloat16 unless given; float16), losses
    and operations that need accuracy in float32, concatenations in the widest dtype among their arguments; the rest
    takes what comes. float64 arguments are never cast. Casts of weights are kept until the outermost block ends unless
    ``cache_enabled`` is False. Other dtypes, and devices that are not there, disable it with a warning. Source:
    Micikevicius et al., "Mixed precision training" (2018).

    Raises ValueError if ``device_type`` is no string, RuntimeError for a device that has no autocast.

    >>> with torch.autocast("cpu"):
    ...     (torch.ones(2, 2) @ torch.ones(2, 2)).dtype
    torch.bfloat16
    """

    def __init__(
        self, device_type: str, dtype: Any = None, enabled: bool = True, cache_enabled: bool | None = None
    ) -> None:
        if not isinstance(device_type, str):
            raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
        self.fast_dtype = _state.get_autocast_dtype(device_type) if dtype is None else dtype
        self.device = device_type
        if not is_autocast_available(device_type):
            raise RuntimeError("unsupported scalarType")
        self._cache_enabled = _state.is_autocast_cache_enabled() if cache_enabled is None else cache_enabled
        complaint = ""
        if enabled and device_type == "cuda":
            complaint = "CUDA is not available or torch_xla is imported. Disabling autocast."
        elif enabled and device_type == "cpu" and self.fast_dtype not in (torch.bfloat16, torch.float16):
            complaint = (
                "In CPU autocast, but the target dtype is not supported. Disabling autocast.\n"
                "CPU Autocast only supports dtypes of torch.bfloat16, torch.float16 currently."
            )
        if complaint:
            import warnings

            warnings.warn(complaint, stacklevel=2)
        self._enabled = enabled and not complaint

    def __enter__(self) -> autocast:
        self.prev = _state.is_autocast_enabled(self.device)
        self.prev_fastdtype = _state.get_autocast_dtype(self.device)
        self.prev_cache_enabled = _state.is_autocast_cache_enabled()
        _state.set_autocast_enabled(self.device, self._enabled)
        _state.set_autocast_dtype(self.device, self.fast_dtype)
        _state.autocast_increment_nesting()
        _state.set_autocast_cache_enabled(self._cache_enabled)
        return self

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> bool:
        if _state.autocast_decrement_nesting() == 0:
            _state.clear_autocast_cache()
        _state.set_autocast_enabled(self.device, self.prev)
        _state.set_autocast_dtype(self.device, self.prev_fastdtype)
        _state.set_autocast_cache_enabled(self.prev_cache_enabled)
        return False

    def __call__(self, func: Any) -> Any:
        @functools.wraps(func)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            with self:
                return func(*args, **kwargs)

        return wrapper


def _cast(value: Any, device_type: str, dtype: torch.dtype) -> Any:
    """The value with floating tensors of the device, doubles apart, in the dtype; containers likewise."""
    if isinstance(value, torch.Tensor):
        eligible = value.is_floating_point() and value.device.type == device_type and value.dtype != torch.float64
        return value.to(dtype) if eligible else value
    if isinstance(value, (str, bytes)):
        return value
    if isinstance(value, dict):
        return {
            _cast(key, device_type, dtype): _cast(item, device_type, dtype) for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return type(value)(_cast(item, device_type, dtype) for item in value)
    return value


def custom_fwd(fwd: Any = None, *, device_type: str, cast_inputs: Any = None) -> Any:
    """Mark the forward of a custom Function. Under autocast, ``cast_inputs`` gives its floating arguments that dtype
    and runs it with autocast off; its backward, marked by ``custom_bwd``, runs as it ran.

    Raises ValueError if ``device_type`` is no string.
    """
    if not isinstance(device_type, str):
        raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)

    @functools.wraps(fwd)
    def forward(*args: Any, **kwargs: Any) -> Any:
        args[0]._dtype = _state.get_autocast_dtype(device_type)
        enabled = _state.is_autocast_enabled(device_type)
        if cast_inputs is None:
            args[0]._fwd_used_autocast = enabled
            return fwd(*args, **kwargs)
        args[0]._fwd_used_autocast = False
        if not enabled:
            return fwd(*args, **kwargs)
        with autocast(device_type, enabled=False):
            return fwd(*_cast(args, device_type, cast_inputs), **_cast(kwargs, device_type, cast_inputs))

    return forward


def custom_bwd(bwd: Any = None, *, device_type: str) -> Any:
    """Mark the backward of a custom Function: it runs with autocast as its forward, marked by ``custom_fwd``, did.

    Raises ValueError if ``device_type`` is no string.
    """
    if not isinstance(device_type, str):
        raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
    if bwd is None:
        return functools.partial(custom_bwd, device_type=device_type)

    @functools.wraps(bwd)
    def backward(*args: Any, **kwargs: Any) -> Any:
        with autocast(device_type, enabled=args[0]._fwd_used_autocast, dtype=args[0]._dtype):
            return bwd(*args, **kwargs)

    return backward
