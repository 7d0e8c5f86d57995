"""``torch.quantize_per_tensor`` and the other functions that make quantised tensors or take them apart."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .quantizer import PerChannel, PerTensor, stored, title
from .tensor import QuantizedTensor, no_kernel, wrap


def _needs_float(input: Tensor) -> None:
    if isinstance(input, QuantizedTensor) or input.dtype is not torch.float32:
        raise RuntimeError(f"Quantize only works on Float Tensor, got {title(input.dtype)}")


def _check_zero_point(zero_point: int, dtype: torch.dtype, name: str) -> None:
    _, low, high = stored(dtype)
    if zero_point < low:
        raise RuntimeError(f"{name} zero_point {zero_point} is below lower bound.")
    if zero_point > high:
        raise RuntimeError(f"{name} zero_point {zero_point} is above upper bound.")


def quantize_per_tensor(
    input: Any, scale: Any = None, zero_point: Any = None, dtype: Any = None, *, scales: Any = None,
    zero_points: Any = None, tensors: Any = None,
) -> Any:  # fmt: skip
    """Quantise a tensor with one scale and one zero point: ``q = round(x / scale) + zero_point``.

    Args:
        input: float32, any shape; or a list of such tensors, with a vector of scales and one of zero points.
        scale: a number, or a tensor of one element.
        zero_point: an integer of the dtype's range, or a tensor of one element.
        dtype: ``torch.quint8``, ``torch.qint8`` or ``torch.qint32``.

    Returns:
        A quantised tensor, or a tuple of them.

    Raises:
        RuntimeError: for another dtype than float32, a ``dtype`` that is not quantised, and a zero point out of range.

    >>> torch.quantize_per_tensor(torch.tensor([-1.0, 0.0, 1.0]), 0.1, 10, torch.quint8).int_repr()
    tensor([ 0, 10, 20], dtype=torch.uint8)
    """
    scale, zero_point = (scales if scale is None else scale), (zero_points if zero_point is None else zero_point)
    input = tensors if input is None else input
    if isinstance(input, (list, tuple)):
        triples = zip(input, scale.tolist(), zero_point.tolist(), strict=True)
        return tuple(quantize_per_tensor(x, s, int(z), dtype) for x, s, z in triples)
    _needs_float(input)
    stored(dtype)
    quantizer = PerTensor(float(scale), int(zero_point), dtype)
    _check_zero_point(quantizer.zero_point, dtype, "quantize_tensor_per_tensor_affine")
    return wrap(quantizer.quantize(input.detach()), quantizer)


def quantize_per_tensor_dynamic(input: Tensor, dtype: torch.dtype, reduce_range: bool) -> QuantizedTensor:
    """Quantise a tensor with the scale and zero point that fit its own range.

    Args:
        input: float32.
        dtype: ``torch.quint8`` or ``torch.qint8``.
        reduce_range: use one bit less.

    Raises:
        RuntimeError: for other dtypes.

    >>> torch.quantize_per_tensor_dynamic(torch.tensor([0.0, 255.0]), torch.quint8, False).q_scale()
    1.0
    """
    _needs_float(input)
    if dtype not in (torch.quint8, torch.qint8):
        raise RuntimeError(f"dtype {dtype} not supported")
    _, low, high = stored(dtype)
    if reduce_range:
        low, high = -(-low // 2) if low < 0 else low, high // 2
    scale, zero_point = choose_qparams(*_extremes(input), low, high)
    return quantize_per_tensor(input, scale, zero_point, dtype)


def _extremes(input: Tensor) -> tuple[float, float]:
    if not input.numel():
        return 0.0, 0.0
    least, greatest = input.aminmax()
    return float(least), float(greatest)


_SMALLEST_SCALE = 6.0999998822808266e-05  # 6.1e-5 in float32


def choose_qparams(least: float, greatest: float, low: int, high: int, symmetric: bool = False) -> tuple[float, int]:
    """The scale and the zero point that map a range of real numbers, widened to hold zero, onto integers.

    Of the two ends, the one whose rounding does less harm fixes the zero point, and zero itself is exact.
    """
    if least < 0 and greatest > 0 and symmetric:
        below, above = -((high - low) // 2 + 1), (high - low) // 2
        most = max(abs(least / below), abs(greatest / above))
        least, greatest = most * below, most * above
    least, greatest = min(least, 0.0), max(greatest, 0.0)
    scale = (greatest - least) / (high - low)
    single = float(torch.tensor(scale, dtype=torch.float32))
    if single == 0.0 or 1.0 / single > 3.4028234663852886e38:
        scale = 0.1
    if scale < _SMALLEST_SCALE:
        original, scale = scale, _SMALLEST_SCALE
        if least == 0.0:
            greatest = _SMALLEST_SCALE * (high - low)
        elif greatest == 0.0:
            least = -_SMALLEST_SCALE * (high - low)
        else:
            least, greatest = least * _SMALLEST_SCALE / original, greatest * _SMALLEST_SCALE / original
    from_least, from_greatest = low - least / scale, high - greatest / scale
    error_least, error_greatest = abs(low) - abs(least / scale), abs(high) - abs(greatest / scale)
    zero_point = from_least if error_least < error_greatest else from_greatest
    if least < 0 and greatest > 0 and symmetric:
        zero_point = (low + high) / 2
    return scale, max(low, min(high, round(zero_point)))


def quantize_per_channel(
    input: Tensor, scales: Tensor, zero_points: Tensor, axis: int, dtype: torch.dtype
) -> QuantizedTensor:
    """Quantise a tensor with a scale and a zero point for each index of the dimension ``axis``.

    Args:
        input: float32.
        scales: (C,), where C is the size of that dimension.
        zero_points: (C,), integers; floating-point numbers give ``torch.per_channel_affine_float_qparams``.
        axis: the dimension.
        dtype: as for ``quantize_per_tensor``.

    Raises:
        RuntimeError: for another dtype than float32, and where sizes do not go together.

    >>> q = torch.quantize_per_channel(torch.ones(2, 1), torch.tensor([0.5, 0.1]), torch.tensor([0, 1]), 0, torch.qint8)
    >>> q.int_repr()
    tensor([[ 2],
            [11]], dtype=torch.int8)
    """
    _needs_float(input)
    stored(dtype)
    if scales.dim() != 1 or zero_points.dim() != 1:
        raise RuntimeError("scale tensor must have dimension 1" if scales.dim() != 1 else "zero_points tensor must "
                           "have dimension 1")  # fmt: skip
    if scales.numel() != zero_points.numel():
        raise RuntimeError("number of elements in scales and zero_points must match")
    if not 0 <= axis < input.dim():
        raise RuntimeError("Channel axis out of range in per channel affine quantization. "
                           f"Got:{axis} Expected: [0, {input.dim()})")  # fmt: skip
    if scales.numel() != input.shape[axis]:
        raise RuntimeError(
            f"length of scales must equal to channel, expected {input.shape[axis]} got, {scales.numel()}"
        )
    quantizer = PerChannel(scales.detach(), zero_points.detach(), axis, dtype)
    return wrap(quantizer.quantize(input.detach()), quantizer)


def dequantize(input: Any = None, *, tensors: Any = None) -> Any:
    """The real numbers that a quantised tensor, or each of a list, stands for, in float32.

    >>> torch.dequantize(torch.quantize_per_tensor(torch.tensor([0.26]), 0.5, 0, torch.quint8))
    tensor([0.5000])
    """
    input = tensors if input is None else input
    if isinstance(input, (list, tuple)):
        return tuple(map(dequantize, input))
    return input.dequantize() if isinstance(input, QuantizedTensor) else input.to(torch.float32)


def _empty_affine_quantized(
    size: Any, *sizes: int, scale: float = 1, zero_point: int = 0, dtype: Any = None, layout: Any = None,
    device: Any = None, pin_memory: bool = False, memory_format: Any = torch.contiguous_format,
) -> QuantizedTensor:  # fmt: skip
    """A quantised tensor of this size whose integers are not set."""
    size = (size, *sizes) if isinstance(size, int) else size
    integers = torch.empty(size, dtype=stored(dtype)[0], device=device, memory_format=memory_format)
    return wrap(integers, PerTensor(scale, zero_point, dtype))


def _empty_per_channel_affine_quantized(
    size: Any, *, scales: Tensor, zero_points: Tensor, axis: int, dtype: Any = None, layout: Any = None,
    device: Any = None, pin_memory: bool = False, memory_format: Any = torch.contiguous_format,
) -> QuantizedTensor:  # fmt: skip
    """A tensor of this size, quantised per channel, whose integers are not set."""
    integers = torch.empty(size, dtype=stored(dtype)[0], device=device, memory_format=memory_format)
    return wrap(integers, PerChannel(scales, zero_points, axis, dtype).with_shape(integers.shape))


def empty_quantized(size: Any, qtensor: QuantizedTensor, **options: Any) -> QuantizedTensor:
    """A tensor of this size under the map of another one, whose integers are not set."""
    integers = torch.empty(size, dtype=qtensor.integers.dtype)
    return wrap(integers, qtensor._quantizer.with_shape(integers.shape))


_QUANTIZED = {torch.uint8: torch.quint8, torch.int8: torch.qint8, torch.int32: torch.qint32}


def _quantized_dtype(input: Tensor) -> torch.dtype:
    if input.dtype not in _QUANTIZED:
        raise RuntimeError(f"integers of a quantized tensor are uint8, int8 or int32, not {input.dtype}")
    return _QUANTIZED[input.dtype]


def _make_per_tensor_quantized_tensor(input: Tensor, scale: float, zero_point: int) -> QuantizedTensor:
    """A quantised tensor with a copy of these integers."""
    return wrap(input.clone(), PerTensor(scale, zero_point, _quantized_dtype(input)))


def _make_per_channel_quantized_tensor(input: Tensor, scale: Tensor, zero_point: Tensor, axis: int) -> QuantizedTensor:
    """A tensor quantised per channel with a copy of these integers."""
    return wrap(input.clone(), PerChannel(scale, zero_point, axis, _quantized_dtype(input)).with_shape(input.shape))


def _choose_qparams_per_tensor(input: Tensor, reduce_range: bool = False) -> tuple[float, int]:
    """The scale and zero point of ``quantize_per_tensor_dynamic`` for ``torch.quint8``."""
    return choose_qparams(*_extremes(input), 0, 127 if reduce_range else 255)


def choose_qparams_optimized(
    input: Tensor, numel: int, n_bins: int, ratio: float, bit_width: int
) -> tuple[Tensor, Tensor]:
    """The range of which a row of ``numel`` numbers loses least when it is quantised, found by a greedy search.

    Starting from the extremes, the end whose step inwards costs less (in squared error) moves by one of ``n_bins``
    steps, until ``ratio`` of the range is gone.

    Returns:
        The range's upper and lower ends, tensors of shape (1,).

    Raises:
        RuntimeError: if the tensor has fewer than ``numel`` elements.
    """
    if numel > input.numel():
        raise RuntimeError(f"numel out of the bound of input tensor: {numel} > {input.numel()}")
    row = input.reshape(-1)[:numel].float()
    low, high = row.min(), row.max()
    step = (high - low) / n_bins
    best, at, until = _loss(row, low, high, bit_width), (low, high), (n_bins * (1.0 - ratio)) * step
    while bool(at[0] + until < at[1]):
        left, right = (at[0] + step, at[1]), (at[0], at[1] - step)
        left_loss, right_loss = _loss(row, *left, bit_width), _loss(row, *right, bit_width)
        at, loss = (left, left_loss) if left_loss < right_loss else (right, right_loss)
        if loss < best:
            best, low, high = loss, *at
    return high.reshape(1), low.reshape(1)


def _loss(row: Tensor, low: Tensor, high: Tensor, bit_width: int) -> float:
    top = (1 << bit_width) - 1
    span = high - low
    scale = span / top if float(span) != 0 else torch.ones(())
    rounded = ((row - low) * (1.0 / scale)).round().clamp(0, top) * scale + low
    return float((row - rounded).square().sum())


def _part(name: str, doc: str) -> Any:
    def function(input: Tensor) -> Any:
        if not isinstance(input, QuantizedTensor):
            raise no_kernel(name, "CPU")
        return getattr(input, name)()

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function


int_repr = _part("int_repr", "The integers of a quantised tensor.")
q_scale = _part("q_scale", "The scale of a quantised tensor.")
q_zero_point = _part("q_zero_point", "The zero point of a quantised tensor.")
q_per_channel_scales = _part("q_per_channel_scales", "The scales of a tensor quantised per channel.")
q_per_channel_zero_points = _part("q_per_channel_zero_points", "The zero points of a tensor quantised per channel.")
q_per_channel_axis = _part("q_per_channel_axis", "The dimension of the channels of a tensor quantised per channel.")
qscheme = _part("qscheme", "The kind of map of a quantised tensor.")
