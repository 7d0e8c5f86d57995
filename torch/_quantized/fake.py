"""Fake quantisation: numbers rounded to those that a quantised tensor could hold, with gradients past the rounding.

The gradient is that of the identity where a number was in range, and zero where it was clamped (the straight-through
estimator: Bengio, Léonard, Courville, "Estimating or Propagating Gradients Through Stochastic Neurons", 2013).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .make import choose_qparams
from .quantizer import title

_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


class _FakeQuantize(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, input: Tensor, scale: Tensor, zero_point: Tensor, quant_min: int, quant_max: int) -> Tensor:
        rounded = (input.float() * (1.0 / scale)).round() + zero_point
        # NaN is out of range, and becomes the least number
        ctx.save_for_backward((rounded >= quant_min) & (rounded <= quant_max))
        clamped = rounded.nan_to_num(quant_min, quant_max, quant_min).clamp(quant_min, quant_max)
        return ((clamped - zero_point) * scale).to(input.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        (inside,) = ctx.saved_tensors
        return grad * inside, None, None, None, None


def _check_range(quant_min: int, quant_max: int, zero_point: Tensor) -> None:
    if quant_min > quant_max:
        raise RuntimeError("`quant_min` should be less than or         equal to `quant_max`.")
    if zero_point.numel() and (int(zero_point.min()) < quant_min or int(zero_point.max()) > quant_max):
        raise RuntimeError("`zero_point` must be between `quant_min` and `quant_max`.")


def _check_dtype(input: Tensor, name: str) -> None:
    if input.dtype not in _FLOATS:
        raise NotImplementedError(f"\"{name}\" not implemented for '{title(input.dtype)}'")


def fake_quantize_per_tensor_affine(
    input: Tensor, scale: Any, zero_point: Any, quant_min: int, quant_max: int
) -> Tensor:
    """Round to the numbers that a scale, a zero point and a range of integers can show.

    Args:
        input: any shape, floating-point.
        scale: a number, or a tensor of one element.
        zero_point: an integer, or a tensor of one element.
        quant_min: the least integer.
        quant_max: the greatest integer.

    Raises:
        RuntimeError: for an empty range, and a zero point outside of it.
        NotImplementedError: for other dtypes.

    >>> torch.fake_quantize_per_tensor_affine(torch.tensor([0.26, 9.0]), 0.5, 0, 0, 3)
    tensor([0.5000, 1.5000])
    """
    _check_dtype(input, "fake_quantize_tensor_cachemask_kernel_type_handling")
    scales = torch.as_tensor(scale, dtype=torch.float32).detach().reshape(())
    zero_points = torch.as_tensor(zero_point).detach().reshape(()).to(torch.int64)
    _check_range(quant_min, quant_max, zero_points)
    result: Tensor = _FakeQuantize.apply(input, scales, zero_points, quant_min, quant_max)
    return result


def fake_quantize_per_channel_affine(
    input: Tensor, scale: Tensor, zero_point: Tensor, axis: int, quant_min: int, quant_max: int
) -> Tensor:
    """Round to the numbers that a scale and a zero point per channel and a range of integers can show.

    Args:
        input: floating-point.
        scale: (C,), float32, where C is the size of the dimension ``axis``.
        zero_point: (C,), int32, or floating-point numbers.
        axis: the dimension of the channels.
        quant_min: the least integer.
        quant_max: the greatest integer.

    Raises:
        RuntimeError: for another dtype or size of the parameters, an empty range, and zero points outside of it.
        IndexError: if there is no dimension ``axis``.

    >>> torch.fake_quantize_per_channel_affine(
    ...     torch.ones(2, 2), torch.tensor([0.3, 0.4]), torch.zeros(2, dtype=torch.int32), 0, 0, 255)
    tensor([[0.9000, 0.9000],
            [0.8000, 0.8000]])
    """
    if scale.dtype not in (torch.float32, torch.bfloat16):
        raise RuntimeError(f"Scale must be Float or BFloat16, found {title(scale.dtype)}")
    if zero_point.dtype not in (torch.int32, torch.float32, torch.float16):
        raise RuntimeError(f"Zero-point must be Int32, Float or Half, found {title(zero_point.dtype)}")
    if scale.dim() != 1 or zero_point.dim() != 1:
        raise RuntimeError("scale should be a 1-D tensor" if scale.dim() != 1 else "zero point should be a 1-D tensor")
    if scale.numel() != zero_point.numel():
        raise RuntimeError("scale and zero-point need to have the same dimensions")
    _check_dtype(input, "fake_quantize_channel_cachemask_cpu_type_handling")
    n = input.dim()
    if not -n <= axis < n:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-n}, {n - 1}], but got {axis})")
    if scale.numel() != input.shape[axis]:
        raise RuntimeError("dimensions of scale and zero-point are not consistent with input tensor")
    integral = not zero_point.is_floating_point()
    _check_range(quant_min, quant_max, zero_point if integral else zero_point.new_full((1,), quant_min))
    shape = [1] * n
    shape[axis] = -1
    spread = zero_point.detach().view(shape)
    result: Tensor = _FakeQuantize.apply(
        input, scale.detach().float().view(shape), spread.long() if integral else spread.float(), quant_min, quant_max
    )
    return result


def fused_moving_avg_obs_fake_quant(
    input: Tensor, observer_on: Tensor, fake_quant_on: Tensor, running_min: Tensor, running_max: Tensor,
    scale: Tensor, zero_point: Tensor, averaging_const: float, quant_min: int, quant_max: int, ch_axis: int,
    per_row_fake_quant: bool = False, symmetric_quant: bool = False,
) -> Tensor:  # fmt: skip
    """Observe a tensor's range, take a scale and a zero point from its moving average, and round by them.

    ``running_min``, ``running_max``, ``scale`` and ``zero_point`` are written to; for one set per index of ``ch_axis``
    they take its size at the first call.

    Args:
        input: floating-point.
        observer_on: whether to observe.
        fake_quant_on: whether to round; without, ``input`` is the result.
        running_min: (1,) or, with ``per_row_fake_quant``, (C,) or empty.
        running_max: likewise.
        scale: likewise.
        zero_point: likewise, int32.
        averaging_const: the part of the new range in the average.
        quant_min: the least integer.
        quant_max: the greatest integer.
        ch_axis: the dimension of the channels.
        per_row_fake_quant: a range per channel.
        symmetric_quant: ranges around zero.

    Raises:
        IndexError: if there is no dimension ``ch_axis`` and channels are wanted.
    """
    if per_row_fake_quant and not -input.dim() <= ch_axis < input.dim():
        raise IndexError("Error in fused_moving_avg_obs_fake_quant_cpu: ch_axis must be < self.dim()")
    if int(observer_on.reshape(-1)[0]):
        _observe(input.detach(), running_min, running_max, averaging_const, ch_axis if per_row_fake_quant else None)
        pairs = zip(running_min.reshape(-1).tolist(), running_max.reshape(-1).tolist(), strict=True)
        found = [choose_qparams(low, high, quant_min, quant_max, symmetric_quant) for low, high in pairs]
        for target, values in zip((scale, zero_point), zip(*found, strict=True), strict=True):
            target.resize_(len(found)).copy_(torch.tensor(values))
    if not int(fake_quant_on.reshape(-1)[0]):
        return input
    if per_row_fake_quant:
        return fake_quantize_per_channel_affine(input, scale, zero_point, ch_axis, quant_min, quant_max)
    return fake_quantize_per_tensor_affine(input, scale, zero_point, quant_min, quant_max)


def _observe(input: Tensor, running_min: Tensor, running_max: Tensor, part: float, axis: int | None) -> None:
    if axis is None:
        least, greatest = (x.to(running_min.dtype).reshape(running_min.shape) for x in input.aminmax())
    else:
        rows = input.movedim(axis, 0).flatten(1)
        least, greatest = (x.to(running_min.dtype) for x in rows.aminmax(dim=1))
    if axis is not None and running_min.numel() != least.numel():
        running_min.resize_(least.numel()).fill_(float("inf"))
        running_max.resize_(least.numel()).fill_(float("-inf"))
    fresh = running_min.isinf() & running_max.isinf()
    running_min.copy_(torch.where(fresh, least, running_min + part * (least - running_min)))
    running_max.copy_(torch.where(fresh, greatest, running_max + part * (greatest - running_max)))
