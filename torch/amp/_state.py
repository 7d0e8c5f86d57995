"""What autocast is set to: on or off, and dtypes, per kind of device. The CPU's is per thread and native."""

from __future__ import annotations

import torch

from .. import _C

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_DEFAULT = {"cuda": torch.float16, "xpu": torch.float16, "mps": torch.float16}
_dtypes: dict[str, Any] = {}
_enabled: set[str] = set()  # kinds of devices that are not there: it is remembered, and changes nothing
_nesting = 0


def get_autocast_dtype(device_type: str) -> torch.dtype:
    """The dtype that autocast computes in on a kind of device."""
    if device_type == "cpu":
        return _C._autocast_get_dtype()
    return _dtypes.get(device_type, _DEFAULT.get(device_type, torch.bfloat16))


def set_autocast_dtype(device_type: str, dtype: torch.dtype) -> None:
    """Set the dtype that autocast computes in."""
    if device_type == "cpu":
        _C._autocast_set_dtype(dtype)
    else:
        _dtypes[device_type] = dtype


def is_autocast_enabled(device_type: str | None = None) -> bool:
    """Whether autocast is on; without an argument, on the GPU."""
    return _C._autocast_is_enabled() if device_type == "cpu" else (device_type or "cuda") in _enabled


def set_autocast_enabled(device_type: Any, enabled: bool | None = None) -> None:
    """Switch autocast; without a kind of device, that of the GPU."""
    if enabled is None:
        device_type, enabled = "cuda", device_type
    if device_type == "cpu":
        _C._autocast_set_enabled(enabled)
    elif enabled:
        _enabled.add(device_type)
    else:
        _enabled.discard(device_type)


def is_autocast_cache_enabled() -> bool:
    """Whether casts of weights are kept until the outermost context ends."""
    return _C._autocast_is_cache_enabled()


def set_autocast_cache_enabled(enabled: bool) -> None:
    """Whether casts of weights are kept until the outermost context ends."""
    _C._autocast_set_cache_enabled(enabled)


def clear_autocast_cache() -> None:
    """Forget casts of weights."""
    _C._autocast_clear_cache()


def autocast_increment_nesting() -> int:
    """Count one more open context; return how many there are."""
    global _nesting
    _nesting += 1
    return _nesting


def autocast_decrement_nesting() -> int:
    """Count one open context less; return how many there are."""
    global _nesting
    _nesting -= 1
    return _nesting


def _per_device(device: str, suffix: str) -> None:
    """The old functions with the device in their name."""

    def get_dtype() -> torch.dtype:
        return get_autocast_dtype(device)

    def set_dtype(dtype: torch.dtype) -> None:
        set_autocast_dtype(device, dtype)

    def is_enabled() -> bool:
        return is_autocast_enabled(device)

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
