"""What an element that is left out of an operation must be for it not to count."""

from __future__ import annotations

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def lowest(dtype: torch.dtype) -> Any:
    """What no value of a dtype is below."""
    if dtype == torch.bool:
        return False
    return float("-inf") if dtype.is_floating_point or dtype.is_complex else torch.iinfo(dtype).min


def _highest(dtype: torch.dtype) -> Any:
    if dtype == torch.bool:
        return True
    return float("inf") if dtype.is_floating_point else torch.iinfo(dtype).max


# A number, or a function of the dtype.
_NEUTRAL = {
    **dict.fromkeys(("sum", "cumsum", "norm", "normalize"), 0),
    **dict.fromkeys(("prod", "cumprod"), 1),
    **dict.fromkeys(("amax", "argmax", "max", "logsumexp"), lowest),
    **dict.fromkeys(("amin", "argmin", "min"), _highest),
    **dict.fromkeys(("softmax", "log_softmax", "logaddexp"), float("-inf")),
    "softmin": float("inf"),
    "median": float("nan"),
    "any": False,
    "all": True,
}


def neutral(name: str, dtype: torch.dtype) -> Any:
    """The value that the operation of this name passes over."""
    value = _NEUTRAL[name]
    return value(dtype) if callable(value) else value
