"""Normalisations of quantised tensors: ``torch.ops.quantized.batch_norm`` and its kin."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - PyTorch's name here

from .quantizer import PerTensor, stored
from .tensor import QuantizedTensor, wrap


def _single(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float32)


def _batch_norm(dims: tuple[int, ...], relu: bool) -> Any:
    def run(
        qx: QuantizedTensor, weight: Tensor | None, bias: Tensor | None, mean: Tensor, var: Tensor, eps: float,
        output_scale: float, output_zero_point: int,
    ) -> QuantizedTensor:  # fmt: skip
        """Batch normalisation by known statistics, one multiplication and one sum per channel, under the given map."""
        if qx.dim() not in dims:
            raise RuntimeError(
                f"Expecting the input tensor of {' or '.join(map(str, dims))} dimensions, got {qx.dim()}"
            )
        if mean.numel() != qx.shape[1] or var.numel() != qx.shape[1]:
            raise RuntimeError(f"Expect mean and var sizes to be {qx.shape[1]}")
        slope = 1.0 / (var + eps).sqrt() if weight is None else weight / (var + eps).sqrt()
        offset = -mean * slope if bias is None else bias - mean * slope
        shape = [1, -1] + [1] * (qx.dim() - 2)
        factor = (slope * (_single(qx.q_scale()) / _single(output_scale))).detach().view(shape)
        shift = (offset / _single(output_scale)).detach().view(shape)
        centred = qx.integers.double() - qx.q_zero_point()
        kind, low, high = stored(qx.dtype)
        rounded = (centred * factor.double() + shift.double()).float().round() + output_zero_point
        low = output_zero_point if relu else low
        integers = rounded.clamp(low, high).to(kind)
        if qx.dim() == 4:
            integers = integers.contiguous(memory_format=torch.channels_last)
        return wrap(integers, PerTensor(output_scale, output_zero_point, qx.dtype))

    return run


batch_norm, batch_norm_relu = _batch_norm((2, 3, 4, 5), False), _batch_norm((2, 3, 4, 5), True)
batch_norm1d, batch_norm1d_relu = _batch_norm((2, 3), False), _batch_norm((2, 3), True)
batch_norm2d, batch_norm2d_relu = _batch_norm((4,), False), _batch_norm((4,), True)
batch_norm3d, batch_norm3d_relu = _batch_norm((5,), False), _batch_norm((5,), True)


def _quantized(
    values: Tensor, like: QuantizedTensor, scale: float, zero_point: int, channels_last: bool = True
) -> QuantizedTensor:
    quantizer = PerTensor(scale, zero_point, like.dtype)
    integers = quantizer.quantize(values.detach())
    if channels_last and like.dim() == 4 and like.is_contiguous(memory_format=torch.channels_last):
        integers = integers.contiguous(memory_format=torch.channels_last)
    return wrap(integers, quantizer)


def layer_norm(
    input: QuantizedTensor, normalized_shape: Any, weight: Tensor | None, bias: Tensor | None, eps: float,
    output_scale: float, output_zero_point: int,
) -> QuantizedTensor:  # fmt: skip
    """``F.layer_norm`` under the given map."""
    values = F.layer_norm(input.dequantize(), normalized_shape, weight, bias, eps)
    return _quantized(values, input, output_scale, output_zero_point, channels_last=False)


def group_norm(
    input: QuantizedTensor, num_groups: int, weight: Tensor | None, bias: Tensor | None, eps: float,
    output_scale: float, output_zero_point: int,
) -> QuantizedTensor:  # fmt: skip
    """``F.group_norm`` under the given map."""
    values = F.group_norm(input.dequantize(), num_groups, weight, bias, eps)
    return _quantized(values, input, output_scale, output_zero_point)


def instance_norm(
    input: QuantizedTensor, weight: Tensor | None, bias: Tensor | None, eps: float, output_scale: float,
    output_zero_point: int,
) -> QuantizedTensor:  # fmt: skip
    """``F.instance_norm`` under the given map."""
    values = F.instance_norm(input.dequantize(), None, None, weight, bias, True, 0.1, eps)
    return _quantized(values, input, output_scale, output_zero_point)
