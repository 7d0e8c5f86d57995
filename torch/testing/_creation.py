"""Random tensors for tests."""

from __future__ import annotations

import math

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["make_tensor"]


def _bounds(dtype: Any, low: float | None, high: float | None) -> tuple[float, float]:
    if dtype is torch.bool:
        default, limits = (0.0, 2.0), (0.0, 2.0)
    elif dtype.is_floating_point or dtype.is_complex:
        info = torch.finfo(dtype)
        default, limits = (-9.0, 9.0), (float(info.min), float(info.max))
    else:
        whole = torch.iinfo(dtype)
        default = (0.0, 10.0) if whole.min == 0 else (-9.0, 10.0)
        limits = (whole.min, whole.max)
    low = default[0] if low is None else low
    high = default[1] if high is None else high
    if math.isnan(low) or math.isnan(high):
        raise ValueError(f"`low` and `high` cannot be NaN, but got {low=} and {high=}")
    if low >= high:
        raise ValueError(f"`low` must be less than `high`, but got {low} >= {high}")
    if high < limits[0] or low > limits[1]:
        raise ValueError(
            f"The value interval specified by `low` and `high` is [{low}, {high}), but {dtype} only supports "
            f"[{limits[0]}, {limits[1]}]"
        )
    return max(low, limits[0]), min(high, limits[1])


def make_tensor(
    *shape: Any,
    dtype: Any,
    device: Any,
    low: float | None = None,
    high: float | None = None,
    requires_grad: bool = False,
    noncontiguous: bool = False,
    exclude_zero: bool = False,
    memory_format: Any = None,
) -> Any:
    """A tensor of uniform random values in ``[low, high)``; by default small values that suit ``dtype``."""
    if len(shape) == 1 and not isinstance(shape[0], int):
        shape = tuple(shape[0])
    if noncontiguous and memory_format is not None:
        raise ValueError("The parameters `noncontiguous` and `memory_format` are mutually exclusive")
    inexact = dtype.is_floating_point or dtype.is_complex
    if requires_grad and not inexact:
        raise ValueError(f"`requires_grad=True` is not supported for boolean and integral dtypes, but got {dtype=}")
    low, high = _bounds(dtype, low, high)
    # Every second element of a doubled last dimension: the strides then fit no contiguous layout.
    strided = noncontiguous and math.prod(shape) > 1
    full = (*shape[:-1], shape[-1] * 2) if strided else shape
    if dtype.is_complex:
        part = torch.float64 if dtype is torch.complex128 else torch.float32
        real, imag = (torch.empty(full, dtype=part, device=device).uniform_(low, high) for _ in range(2))
        result = torch.complex(real, imag).to(dtype)
    elif dtype.is_floating_point:
        wide = dtype if dtype.itemsize > 1 else torch.float32
        result = torch.empty(full, dtype=wide, device=device).uniform_(low, high).to(dtype)
    else:
        result = torch.randint(math.floor(low), math.ceil(high), full, device=device).to(dtype)
    if strided:
        result = result[..., ::2]
    elif memory_format is not None:
        result = result.clone(memory_format=memory_format)
    if exclude_zero:
        result[result == 0] = torch.finfo(dtype).tiny if inexact else 1
    return result.requires_grad_() if requires_grad else result
