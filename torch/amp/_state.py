"""What autocast is set to: dtypes per kind of device, and whether it is on. It can be off only: see ``autocast``."""

from __future__ import annotations

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_DEFAULT = {"cuda": torch.float16, "xpu": torch.float16, "mps": torch.float16}
_dtypes: dict[str, Any] = {}
_cache = True


def get_autocast_dtype(device_type: str) -> torch.dtype:
    """The dtype that autocast computes in on a kind of device."""
    return _dtypes.get(device_type, _DEFAULT.get(device_type, torch.bfloat16))


def set_autocast_dtype(device_type: str, dtype: torch.dtype) -> None:
    """Set the dtype that autocast computes in."""
    _dtypes[device_type] = dtype


def is_autocast_enabled(device_type: str | None = None) -> bool:
    """Whether autocast is on."""
    return False


def set_autocast_enabled(device_type: Any, enabled: bool | None = None) -> None:
    """Switch autocast; only off is possible."""
    if enabled if enabled is not None else device_type:
        refuse()


def refuse() -> None:
    raise torch._missing.not_available(
        "autocast", "mixed precision by context; convert the module with module.to(dtype)"
    )


def is_autocast_cache_enabled() -> bool:
    """Whether casts of weights are kept."""
    return _cache


def set_autocast_cache_enabled(enabled: bool) -> None:
    """Whether casts of weights are kept."""
    global _cache
    _cache = bool(enabled)


def clear_autocast_cache() -> None:
    """Forget casts of weights: there are none."""


def autocast_increment_nesting() -> int:
    """The number of autocast contexts that are open: none ever is."""
    return 0


def autocast_decrement_nesting() -> int:
    """The number of autocast contexts that are open: none ever is."""
    return 0


def _per_device(device: str, suffix: str) -> None:
    """The old functions with the device in their name."""

    def get_dtype() -> torch.dtype:
        return get_autocast_dtype(device)

    def set_dtype(dtype: torch.dtype) -> None:
        set_autocast_dtype(device, dtype)

    def is_enabled() -> bool:
        return False

    def set_enabled(enabled: bool) -> None:
        set_autocast_enabled(device, enabled)

    for name, function in (
        (f"get_autocast_{suffix}_dtype", get_dtype), (f"set_autocast_{suffix}_dtype", set_dtype),
        (f"is_autocast_{suffix}_enabled", is_enabled), (f"set_autocast_{suffix}_enabled", set_enabled),
    ):  # fmt: skip
        function.__name__ = function.__qualname__ = name
        function.__doc__ = f"The old form of the function without ``_{suffix}``, which takes the device."
        globals()[name] = function


for _device, _suffix in (("cpu", "cpu"), ("cuda", "gpu"), ("ipu", "ipu"), ("xla", "xla")):
    _per_device(_device, _suffix)
