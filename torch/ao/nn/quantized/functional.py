"""Functions of quantised tensors."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - PyTorch's name here
from torch.nn.modules.utils import _pair, _single, _triple

__all__ = [
    "avg_pool2d",
    "avg_pool3d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "conv1d",
    "conv2d",
    "conv3d",
    "interpolate",
    "linear",
    "max_pool1d",
    "max_pool2d",
    "celu",
    "leaky_relu",
    "hardtanh",
    "hardswish",
    "threshold",
    "elu",
    "hardsigmoid",
    "clamp",
    "upsample",
    "upsample_bilinear",
    "upsample_nearest",
]


def _check(input: Tensor, name: str) -> None:
    if not input.is_quantized:
        raise ValueError(f"Input to 'quantized.{name}' must be quantized!")


def avg_pool2d(
    input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None
):
    """``F.avg_pool2d`` of a quantised (N, C, H, W); ValueError for others."""
    _check(input, "avg_pool2d")
    return F.avg_pool2d(input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def avg_pool3d(
    input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None
):
    """``F.avg_pool3d`` of a quantised (N, C, D, H, W); ValueError for others."""
    _check(input, "avg_pool3d")
    return F.avg_pool3d(input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def adaptive_avg_pool2d(input: Tensor, output_size: Any) -> Tensor:
    """``F.adaptive_avg_pool2d`` of a quantised (N, C, H, W); ValueError for others."""
    _check(input, "functional.adaptive_avg_pool2d")
    return F.adaptive_avg_pool2d(input, output_size)


def adaptive_avg_pool3d(input: Tensor, output_size: Any) -> Tensor:
    """``F.adaptive_avg_pool3d`` of a quantised (N, C, D, H, W); ValueError for others."""
    _check(input, "functional.adaptive_avg_pool3d")
    return F.adaptive_avg_pool3d(input, output_size)


def _conv(
    spatial, size, input, weight, bias, stride, padding, dilation, groups, padding_mode, scale, zero_point, dtype
):
    if padding_mode != "zeros":
        raise NotImplementedError("Only zero-padding is supported!")
    if input.dtype != torch.quint8:
        raise NotImplementedError("Only torch.quint8 is supported for activation tensor!")
    if weight.dtype != torch.qint8:
        raise NotImplementedError("Only torch.qint8 is supported for weight tensor!")
    if input.ndim != spatial + 2:
        raise ValueError(f"Input shape must be of {spatial + 2} dimensions")
    operations = torch.ops.quantized
    prepack = getattr(operations, f"conv{spatial}d_prepack")
    packed = prepack(weight, bias, size(stride), size(padding), size(dilation), groups)
    return getattr(operations, f"conv{spatial}d")(input, packed, scale, zero_point)


def conv1d(
    input, weight, bias, stride=1, padding=0, dilation=1, groups=1, padding_mode="zeros", scale=1.0, zero_point=0,
    dtype=torch.quint8,
):  # fmt: skip
    """``F.conv1d`` of a quantised (N, C, L) with a quantised weight, under the given map.

    Raises:
        NotImplementedError: for other dtypes than quint8 and qint8, and other padding than zeros.
    """
    return _conv(
        1, _single, input, weight, bias, stride, padding, dilation, groups, padding_mode, scale, zero_point, dtype
    )


def conv2d(
    input, weight, bias, stride=1, padding=0, dilation=1, groups=1, padding_mode="zeros", scale=1.0, zero_point=0,
    dtype=torch.quint8,
):  # fmt: skip
    """``F.conv2d`` of a quantised (N, C, H, W) with a quantised weight, under the given map; see ``conv1d``."""
    return _conv(
        2, _pair, input, weight, bias, stride, padding, dilation, groups, padding_mode, scale, zero_point, dtype
    )


def conv3d(
    input, weight, bias, stride=1, padding=0, dilation=1, groups=1, padding_mode="zeros", scale=1.0, zero_point=0,
    dtype=torch.quint8,
):  # fmt: skip
    """``F.conv3d`` of a quantised (N, C, D, H, W) with a quantised weight, under the given map; see ``conv1d``."""
    return _conv(
        3, _triple, input, weight, bias, stride, padding, dilation, groups, padding_mode, scale, zero_point, dtype
    )


def interpolate(input, size=None, scale_factor=None, mode="nearest", align_corners=None):
    """``F.interpolate`` of a quantised tensor; ValueError for others."""
    _check(input, "interpolate")
    return F.interpolate(input, size, scale_factor, mode, align_corners)


def linear(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, scale: float | None = None, zero_point: int | None = None
) -> Tensor:
    """``F.linear`` of a quantised tensor with a quantised weight, under the given map or the input's."""
    scale = input.q_scale() if scale is None else scale
    zero_point = input.q_zero_point() if zero_point is None else zero_point
    packed = torch.ops.quantized.linear_prepack(weight, bias)
    return torch.ops.quantized.linear(input, packed, scale, zero_point)


def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """``F.max_pool1d`` of a quantised tensor; NotImplementedError with ``return_indices``."""
    if return_indices:
        raise NotImplementedError("return_indices is not yet implemented!")
    return F.max_pool1d(input, kernel_size, stride, padding, dilation, ceil_mode=ceil_mode)


def max_pool2d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """``F.max_pool2d`` of a quantised tensor; NotImplementedError with ``return_indices``."""
    if return_indices:
        raise NotImplementedError("return_indices is not yet implemented!")
    return F.max_pool2d(input, kernel_size, stride, padding, dilation, ceil_mode=ceil_mode)


def celu(input: Tensor, scale: float, zero_point: int, alpha: float = 1.0) -> Tensor:
    """``F.celu`` of a quantised tensor, under the given map; ValueError for others."""
    _check(input, "celu")
    return torch.ops.quantized.celu(input, scale, zero_point, alpha)


def leaky_relu(
    input: Tensor, negative_slope: float = 0.01, inplace: bool = False, scale: float | None = None,
    zero_point: int | None = None,
):  # fmt: skip
    """``F.leaky_relu`` of a quantised tensor, under the given map or the input's."""
    if scale is not None and zero_point is not None:
        if inplace:
            raise AssertionError("Cannot rescale with `inplace`")
        return torch.ops.quantized.leaky_relu(input, negative_slope, False, scale, zero_point)
    return F.leaky_relu(input, negative_slope, inplace)


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """``F.hardtanh`` of a quantised tensor; ValueError for others."""
    _check(input, "hardtanh")
    return F.hardtanh(input, min_val, max_val, inplace)


def hardswish(input: Tensor, scale: float, zero_point: int) -> Tensor:
    """``F.hardswish`` of a quantised tensor, under the given map; ValueError for others."""
    _check(input, "hardswish")
    return torch.ops.quantized.hardswish(input, scale, zero_point)


def threshold(input: Tensor, threshold: float, value: float) -> Tensor:
    """``F.threshold`` of a quantised tensor; ValueError for others."""
    _check(input, "threshold")
    return torch.ops.quantized.threshold(input, threshold, value)


def elu(input: Tensor, scale: float, zero_point: int, alpha: float = 1.0) -> Tensor:
    """``F.elu`` of a quantised tensor, under the given map; ValueError for others."""
    _check(input, "elu")
    return torch.ops.quantized.elu(input, scale, zero_point, alpha)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """``F.hardsigmoid`` of a quantised tensor; ValueError for others."""
    _check(input, "hardsigmoid")
    return F.hardsigmoid(input)


def clamp(input: Tensor, min_: float, max_: float) -> Tensor:
    """``torch.clamp`` of a quantised tensor; ValueError for others."""
    _check(input, "clamp")
    return torch.clamp(input, min_, max_)


def upsample(input, size=None, scale_factor=None, mode="nearest", align_corners=None):
    """``interpolate`` under an old name."""
    warnings.warn("nn.quantized.functional.upsample is deprecated. Use nn.quantized.functional.interpolate instead.",
                  stacklevel=2)  # fmt: skip
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_bilinear(input, size=None, scale_factor=None):
    """``interpolate`` with mode "bilinear" and aligned corners, under an old name."""
    warnings.warn(
        "nn.quantized.functional.upsample_bilinear is deprecated. Use nn.quantized.functional.interpolate instead.",
        stacklevel=2,
    )
    return interpolate(input, size, scale_factor, mode="bilinear", align_corners=True)


def upsample_nearest(input, size=None, scale_factor=None):
    """``interpolate`` with mode "nearest", under an old name."""
    warnings.warn(
        "nn.quantized.functional.upsample_nearest is deprecated. Use nn.quantized.functional.interpolate instead.",
        stacklevel=2,
    )
    return interpolate(input, size, scale_factor, mode="nearest")
