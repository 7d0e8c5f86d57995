"""Affine maps between integers and float32: ``x = (q - zero_point) * scale``, for a whole tensor or per channel.

Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", CVPR 2018.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from . import qscheme

# dtype of the quantised tensor: that of its integers, and their range
_STORED: dict[torch.dtype, tuple[torch.dtype, int, int]] = {
    torch.quint8: (torch.uint8, 0, 255),
    torch.qint8: (torch.int8, -128, 127),
    torch.qint32: (torch.int32, -(2**31), 2**31 - 1),
    torch.quint4x2: (torch.uint8, 0, 15),
    torch.quint2x4: (torch.uint8, 0, 3),
}


def stored(dtype: torch.dtype) -> tuple[torch.dtype, int, int]:
    """The dtype of a quantised dtype's integers, the least and the greatest of them.

    Raises:
        RuntimeError: for a dtype that is not quantised.
    """
    if dtype not in _STORED:
        raise RuntimeError(f"ScalarType {title(dtype)} is not supported in new_qtensor.")
    return _STORED[dtype]


_TITLES = {
    "bool": "Bool", "uint8": "Byte", "int8": "Char", "int16": "Short", "int32": "Int", "int64": "Long",
    "float16": "Half", "float32": "Float", "float64": "Double", "bfloat16": "BFloat16", "quint8": "QUInt8",
    "qint8": "QInt8", "qint32": "QInt32", "quint4x2": "QUInt4x2", "quint2x4": "QUInt2x4",
}  # fmt: skip


def title(dtype: torch.dtype) -> str:
    """What PyTorch's messages call a dtype."""
    name = str(dtype).removeprefix("torch.")
    return _TITLES.get(name, name)


def to_integers(values: Tensor, scale: Any, zero_point: Any, dtype: torch.dtype) -> Tensor:
    """Round ``values / scale + zero_point`` half to even, clamped to the dtype's range; NaN becomes the largest.

    As in PyTorch the division is a product with a float32 reciprocal, fused with the sum: it is made in float64, where
    it is exact, and rounded to float32 once.
    """
    kind, low, high = stored(dtype)
    inverse = 1.0 / torch.as_tensor(scale, dtype=torch.float32)
    shifted = values.double() * inverse.double() + torch.as_tensor(zero_point, dtype=torch.float64)
    rounded = shifted.float().round()
    if kind is torch.int32:
        # float32 cannot tell the largest int32, and NaN is the least
        return rounded.double().nan_to_num(low, high, low).clamp(low, high).to(kind)
    return rounded.nan_to_num(high, high, low).clamp(low, high).to(kind)


class PerTensor:
    """One scale and one zero point."""

    __slots__ = ("scale", "zero_point", "dtype")
    qscheme = qscheme.per_tensor_affine

    def __init__(self, scale: float, zero_point: int, dtype: torch.dtype) -> None:
        self.scale, self.zero_point, self.dtype = float(scale), int(zero_point), dtype

    def quantize(self, values: Tensor) -> Tensor:
        """The nearest integers."""
        return to_integers(values, self.scale, self.zero_point, self.dtype)

    def dequantize(self, integers: Tensor) -> Tensor:
        """What integers stand for, in float32."""
        if integers.dtype is torch.int32:
            return (integers.long() - self.zero_point).float() * self.scale
        return (integers.float() - self.zero_point) * self.scale

    def parameters(self) -> tuple[Any, ...]:
        """What a pickle keeps of it."""
        return self.qscheme, self.scale, self.zero_point

    def suffixes(self) -> list[str]:
        """What it adds to the text of a tensor."""
        return [f"scale={self.scale}", f"zero_point={self.zero_point}"]

    def equals(self, other: Any) -> bool:
        """Whether it is the same map."""
        same = type(other) is PerTensor and self.dtype is other.dtype
        return same and self.scale == other.scale and self.zero_point == other.zero_point

    def with_shape(self, shape: Any) -> PerTensor:
        """The map for another shape of the same elements."""
        return self


class PerChannel:
    """A scale and a zero point for each index of the dimension ``axis``.

    With floating-point zero points it is ``torch.per_channel_affine_float_qparams``.
    """

    __slots__ = ("scales", "zero_points", "axis", "dtype")

    def __init__(self, scales: Tensor, zero_points: Tensor, axis: int, dtype: torch.dtype) -> None:
        if zero_points.is_floating_point():
            self.scales, self.zero_points = scales.float(), zero_points.float()
        else:
            self.scales, self.zero_points = scales.double(), zero_points.long()
        self.axis, self.dtype = axis, dtype

    @property
    def qscheme(self) -> Any:
        """``torch.per_channel_affine`` or ``torch.per_channel_affine_float_qparams``."""
        if self.zero_points.is_floating_point():
            return qscheme.per_channel_affine_float_qparams
        return qscheme.per_channel_affine

    def _spread(self, values: Tensor) -> tuple[Tensor, Tensor]:
        shape = [1] * values.dim()
        shape[self.axis] = -1
        return self.scales.float().view(shape), self.zero_points.view(shape)

    def quantize(self, values: Tensor) -> Tensor:
        """The nearest integers."""
        return to_integers(values, *self._spread(values), self.dtype)

    def dequantize(self, integers: Tensor) -> Tensor:
        """What integers stand for, in float32."""
        scales, zero_points = self._spread(integers)
        if zero_points.is_floating_point():
            return (integers.float() - zero_points) * scales
        return (integers.long() - zero_points).float() * scales

    def parameters(self) -> tuple[Any, ...]:
        """What a pickle keeps of it."""
        return self.qscheme, self.scales, self.zero_points, self.axis

    def suffixes(self) -> list[str]:
        """What it adds to the text of a tensor."""
        return [f"scale={self.scales}", f"zero_point={self.zero_points}", f"axis={self.axis}"]

    def equals(self, other: Any) -> bool:
        """Whether it is the same map."""
        return (
            type(other) is PerChannel
            and self.dtype is other.dtype
            and self.axis == other.axis
            and torch.equal(self.scales, other.scales)
            and torch.equal(self.zero_points, other.zero_points)
        )

    def at(self, axis: int, channels: Any = None) -> PerChannel | PerTensor:
        """The map with its dimension at another place, and only some of the channels; one channel needs no axis."""
        scales, zero_points = self.scales, self.zero_points
        if channels is not None:
            scales, zero_points = scales[channels], zero_points[channels]
        if scales.numel() == 1 and self.qscheme is qscheme.per_channel_affine:
            return PerTensor(scales.item(), int(zero_points.item()), self.dtype)
        return PerChannel(scales, zero_points, axis, self.dtype)

    def with_shape(self, shape: Any) -> PerChannel:
        """The map for another shape of the same elements.

        Raises:
            RuntimeError: if the dimension ``axis`` has another size there.
        """
        size = shape[self.axis] if self.axis < len(shape) else 0
        if size != self.scales.numel():
            raise RuntimeError(f"length of scales must equal to channel, expected {size} got, {self.scales.numel()}")
        return self
