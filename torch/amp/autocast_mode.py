"""``torch.autocast``. A context that is disabled does nothing; an enabled one says that it is missing."""

from __future__ import annotations

import functools

from . import _state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["autocast", "custom_bwd", "custom_fwd", "is_autocast_available"]


def is_autocast_available(device_type: str) -> bool:
    """Whether autocast works on a kind of device."""
    return False


class autocast:  # noqa: N801
    """Choose the precision of operations in a block.

    With ``enabled=False`` it changes nothing and can stay in programs. For a device that is not there, PyTorch warns
    and disables it; so does this. Enabling it on the CPU raises: convert modules and inputs with
    ``to(torch.bfloat16)``.
    """

    def __init__(
        self, device_type: str, dtype: Any = None, enabled: bool = True, cache_enabled: bool | None = None
    ) -> None:
        if not isinstance(device_type, str):
            raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
        self.device = device_type
        self.fast_dtype = _state.get_autocast_dtype(device_type) if dtype is None else dtype
        if enabled and device_type == "cuda":
            import warnings

            warnings.warn("User provided device_type of 'cuda', but CUDA is not available. Disabling", stacklevel=2)
            enabled = False
        self._enabled = enabled
        self._cache_enabled = _state.is_autocast_cache_enabled() if cache_enabled is None else cache_enabled

    def __enter__(self) -> autocast:
        if self._enabled:
            _state.refuse()
        return self

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        pass

    def __call__(self, func: Any) -> Any:
        @functools.wraps(func)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            with self:
                return func(*args, **kwargs)

        return wrapper


def custom_fwd(fwd: Any = None, *, device_type: str, cast_inputs: Any = None) -> Any:
    """Mark the forward of a custom Function; without autocast it runs as it is."""
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)

    @functools.wraps(fwd)
    def forward(*args: Any, **kwargs: Any) -> Any:
        args[0]._dtype, args[0]._fwd_used_autocast = _state.get_autocast_dtype(device_type), False
        return fwd(*args, **kwargs)

    return forward


def custom_bwd(bwd: Any = None, *, device_type: str) -> Any:
    """Mark the backward of a custom Function; without autocast it runs as it is."""
    return functools.partial(custom_bwd, device_type=device_type) if bwd is None else bwd
