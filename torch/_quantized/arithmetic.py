"""Operations on quantised tensors that give new integers: ``torch.ops.quantized`` without its packed weights.

Results are PyTorch's on a processor with AVX-512, to the bit: there, whole blocks of 64 elements are computed with
fused multiplications and the zero point is added after rounding; the rest is computed one by one, and rounded with the
zero point in it. The two differ where a result lies halfway between two integers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - PyTorch's name here

from .quantizer import PerTensor, stored
from .tensor import QuantizedTensor, wrap

_BLOCK = 64

# What sigmoid and its like give: the range is known, and so is the map, for unsigned and signed bytes.
_FIXED: dict[str, dict[torch.dtype, tuple[float, int]]] = {
    "sigmoid": {torch.quint8: (1 / 256, 0), torch.qint8: (1 / 256, -128), torch.qint32: (2.0**-32, -(2**31))},
    "hardsigmoid": {torch.quint8: (1 / 256, 0), torch.qint8: (1 / 256, -128), torch.qint32: (2.0**-32, -(2**31))},
    "tanh": {torch.quint8: (2 / 256, 128), torch.qint8: (2 / 256, 0), torch.qint32: (2.0**-31, 0)},
}


def _single(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float32)


def _in_blocks(integers: Tensor) -> Tensor:
    """Which elements belong to whole blocks, in the order of the memory."""
    count = integers.numel()
    flags = torch.arange(count) < count // _BLOCK * _BLOCK
    if integers.is_contiguous() or 0 in integers.stride():
        return flags.view(integers.shape)
    dense = torch.empty_like(integers)
    return flags.as_strided(dense.shape, dense.stride())


def _fused(tensor: QuantizedTensor) -> Tensor:
    scale = _single(tensor.q_scale())
    offset = scale * -float(tensor.q_zero_point())
    return (tensor.integers.double() * scale.double() + offset.double()).float()


def _rounded(values: Tensor, scale: float, zero_point: int, dtype: torch.dtype) -> Tensor:
    """Integers with the zero point added after rounding."""
    kind, low, high = stored(dtype)
    inverse = 1.0 / _single(scale)
    return ((values * inverse).round().double() + zero_point).nan_to_num(low).clamp(low, high).to(kind)


def pointwise(
    formula: Callable[..., Tensor], tensors: tuple[QuantizedTensor, ...], scale: float, zero_point: int
) -> QuantizedTensor:
    """A function of real numbers, element by element, under a given map."""
    quantizer = PerTensor(scale, zero_point, tensors[0].dtype)
    one_by_one = quantizer.quantize(formula(*[t.dequantize() for t in tensors]))
    blocks = _in_blocks(one_by_one)
    if not blocks.numel() or not bool(blocks.any()):
        return wrap(one_by_one, quantizer)
    together = _rounded(formula(*[_fused(t) for t in tensors]), scale, zero_point, quantizer.dtype)
    return wrap(torch.where(blocks, together, one_by_one), quantizer)


def fixed_range(name: str, input: QuantizedTensor) -> QuantizedTensor:
    """``sigmoid``, ``tanh`` or ``hardsigmoid``, under the map that fits their range."""
    scale, zero_point = _FIXED[name][input.dtype]
    function = F.hardsigmoid if name == "hardsigmoid" else getattr(torch, name)
    quantizer = PerTensor(scale, zero_point, input.dtype)
    return wrap(quantizer.quantize(function(input.dequantize())), quantizer)


def relu(input: QuantizedTensor) -> QuantizedTensor:
    """Negative numbers become zero."""
    return input.like(input.integers.clamp(min=input.q_zero_point()))


def _check_pair(qa: Any, qb: Any, name: str) -> None:
    if not isinstance(qa, QuantizedTensor) or not isinstance(qb, QuantizedTensor):
        raise NotImplementedError(
            f"Could not run 'quantized::{name}' with arguments from the 'CPU' backend: both tensors must be quantized"
        )
    if qa.qscheme() is not torch.per_tensor_affine or qb.qscheme() is not qa.qscheme():
        raise RuntimeError("Only per tensor quantization is supported in Add.")
    if qa.dtype is not qb.dtype:
        raise RuntimeError("Both inputs must have the same dtype")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) or (isinstance(value, Tensor) and not isinstance(value, QuantizedTensor))


def add(qa: Any, qb: Any, scale: float = 1.0, zero_point: int = 0) -> QuantizedTensor:
    """The sum, under the given map; of a tensor and a number, see ``add_scalar``.

    Raises:
        NotImplementedError: if one is a tensor that is not quantised.
        RuntimeError: for maps per channel, and dtypes that differ.
    """
    if _is_number(qb):
        return add_scalar(qa, qb)
    if _is_number(qa):
        return add_scalar(qb, qa)
    _check_pair(qa, qb, "add")
    return pointwise(torch.add, (qa, qb), scale, zero_point)


def add_relu(qa: Any, qb: Any, scale: float = 1.0, zero_point: int = 0) -> QuantizedTensor:
    """The sum, without its negative numbers."""
    if _is_number(qb) or _is_number(qa):
        return relu(add(qa, qb))
    _check_pair(qa, qb, "add_relu")
    return pointwise(lambda a, b: (a + b).relu(), (qa, qb), scale, zero_point)


def mul(qa: Any, qb: Any, scale: float = 1.0, zero_point: int = 0) -> QuantizedTensor:
    """The product, under the given map: that of the integers, times one factor."""
    if _is_number(qb):
        return mul_scalar(qa, qb)
    if _is_number(qa):
        return mul_scalar(qb, qa)
    _check_pair(qa, qb, "mul")
    factor = _single(qa.q_scale()) * _single(qb.q_scale()) * (1.0 / _single(scale))
    product = (qa.integers.long() - qa.q_zero_point()) * (qb.integers.long() - qb.q_zero_point())
    quantizer = PerTensor(scale, zero_point, qa.dtype)
    kind, low, high = stored(qa.dtype)
    return wrap(((product.float() * factor).round().double() + zero_point).clamp(low, high).to(kind), quantizer)


def mul_relu(qa: Any, qb: Any, scale: float = 1.0, zero_point: int = 0) -> QuantizedTensor:
    """The product, without its negative numbers."""
    return relu(mul(qa, qb, scale, zero_point))


def add_scalar(qa: QuantizedTensor, b: Any) -> QuantizedTensor:
    """Add a number: the zero point moves, and where it would leave the range the scale grows."""
    _, low, high = stored(qa.dtype)
    scale, zero_point = qa.q_scale(), qa.q_zero_point()
    shift = round(float(b) / scale)
    moved = zero_point - shift
    if low <= moved <= high:
        return wrap(qa.integers.clone(), PerTensor(scale, moved, qa.dtype))
    if moved < low:
        grown, moved = scale * (high - moved) / (high - low), low
    else:
        grown, moved = scale * (moved - low) / (high - low), high
    quantizer = PerTensor(grown, moved, qa.dtype)
    shifted = qa.integers.double() - (zero_point - shift)
    return wrap(quantizer.quantize(shifted.float() * _single(scale)), quantizer)


def add_scalar_relu(qa: QuantizedTensor, b: Any) -> QuantizedTensor:
    """Add a number, without the negative results."""
    return relu(add_scalar(qa, b))


def mul_scalar(qa: QuantizedTensor, b: Any) -> QuantizedTensor:
    """Multiply with a number: the scale changes; a negative number turns the integers round."""
    kind, low, high = stored(qa.dtype)
    factor = float(b)
    if factor > 0:
        return wrap(qa.integers.clone(), PerTensor(qa.q_scale() * factor, qa.q_zero_point(), qa.dtype))
    if factor == 0:
        return wrap(torch.zeros_like(qa.integers), PerTensor(1.0, 0, qa.dtype))
    turned = (low + high - qa.integers.long()).to(kind)
    return wrap(turned, PerTensor(qa.q_scale() * -factor, low + high - qa.q_zero_point(), qa.dtype))


def mul_scalar_relu(qa: QuantizedTensor, b: Any) -> QuantizedTensor:
    """Multiply with a number, without the negative results."""
    return relu(mul_scalar(qa, b))


def matmul(qa: QuantizedTensor, qb: QuantizedTensor, scale: float, zero_point: int) -> QuantizedTensor:
    """The matrix product of real numbers, under the given map."""
    _check_pair(qa, qb, "matmul")
    quantizer = PerTensor(scale, zero_point, qa.dtype)
    return wrap(quantizer.quantize(qa.dequantize() @ qb.dequantize()), quantizer)


def cat(tensors: Any, dim: int, quantizer: PerTensor) -> QuantizedTensor:
    """Tensors behind each other, under the given map."""
    parts = [t.integers if t._quantizer.equals(quantizer) else quantizer.quantize(t.dequantize()) for t in tensors]
    return wrap(torch.cat(parts, dim), quantizer)


def cat_to(qx: Any, dim: int, scale: float | None = None, zero_point: int | None = None) -> QuantizedTensor:
    """Tensors behind each other, under the given map or the first tensor's."""
    return cat(qx, dim, _map_like(qx[0], scale, zero_point))


def cat_relu(qx: Any, dim: int, scale: float | None = None, zero_point: int | None = None) -> QuantizedTensor:
    """Tensors behind each other, without their negative numbers."""
    quantizer = _map_like(qx[0], scale, zero_point)
    return wrap(torch.cat([quantizer.quantize(t.dequantize().relu()) for t in qx], dim), quantizer)


def _map_like(first: QuantizedTensor, scale: float | None, zero_point: int | None) -> PerTensor:
    return PerTensor(
        first.q_scale() if scale is None else scale,
        first.q_zero_point() if zero_point is None else zero_point,
        first.dtype,
    )


# ---- activations


def leaky_relu(
    qx: QuantizedTensor, negative_slope: float, inplace: bool, output_scale: float, output_zero_point: int
) -> QuantizedTensor:
    """``F.leaky_relu`` under the given map."""
    slope = float(negative_slope)
    return pointwise(lambda x: torch.where(x > 0, x, x * slope), (qx,), output_scale, output_zero_point)


def elu(
    input: QuantizedTensor, output_scale: float, output_zero_point: int, alpha: float = 1, scale: float = 1,
    input_scale: float = 1,
) -> QuantizedTensor:  # fmt: skip
    """``F.elu`` under the given map."""

    def formula(x: Tensor) -> Tensor:
        return torch.where(x >= 0, x * scale, (x * input_scale).exp().sub(1) * (alpha * scale))

    return pointwise(formula, (input,), output_scale, output_zero_point)


def celu(input: QuantizedTensor, output_scale: float, output_zero_point: int, alpha: float = 1) -> QuantizedTensor:
    """``F.celu`` under the given map.

    Raises:
        RuntimeError: if ``alpha`` is 0.
    """
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError: alpha cannot be 0 for CELU")
    return elu(input, output_scale, output_zero_point, alpha, 1.0, 1.0 / alpha)


def hardswish(input: QuantizedTensor, output_scale: float, output_zero_point: int) -> QuantizedTensor:
    """``F.hardswish`` under the given map."""
    return pointwise(lambda x: x * (x + 3).clamp(0, 6) / 6, (input,), output_scale, output_zero_point)


def sigmoid(qx: QuantizedTensor, output_scale: float, output_zero_point: int) -> QuantizedTensor:
    """``torch.sigmoid`` under the given map."""
    return pointwise(torch.sigmoid, (qx,), output_scale, output_zero_point)


def softmax(qx: QuantizedTensor, dim: int, output_scale: float, output_zero_point: int) -> QuantizedTensor:
    """``torch.softmax`` under the given map."""
    quantizer = PerTensor(output_scale, output_zero_point, qx.dtype)
    return wrap(quantizer.quantize(qx.dequantize().softmax(dim)), quantizer)


def prelu(qx: QuantizedTensor, weight: QuantizedTensor, output_scale: float, output_zero_point: int) -> QuantizedTensor:
    """``F.prelu`` under the given map, with quantised weights: of the integers, rounded half away from zero."""
    output = _single(output_scale)
    upper = _single(qx.q_scale()) / output
    lower = _single(qx.q_scale()) * _single(weight.q_scale()) / output
    slopes = weight.integers.float() - weight.q_zero_point()
    if qx.dim() > 1:
        slopes = slopes.view([-1] + [1] * (qx.dim() - 2))
    centred = qx.integers.float() - qx.q_zero_point()
    values = torch.where(centred > 0, centred * upper, centred * slopes * lower)
    rounded = torch.where(values >= 0, (values + 0.5).floor(), (values - 0.5).ceil()) + output_zero_point
    kind, low, high = stored(qx.dtype)
    return wrap(rounded.clamp(low, high).to(kind), PerTensor(output_scale, output_zero_point, qx.dtype))


def clamp(qx: QuantizedTensor, min: Any = None, max: Any = None) -> QuantizedTensor:
    """``torch.clamp``; the map stays."""
    return torch.clamp(qx, min, max)


def relu6(qx: QuantizedTensor, inplace: bool = False) -> QuantizedTensor:
    """``F.relu6``; the map stays."""
    return F.hardtanh(qx, 0.0, 6.0, inplace)


def threshold(qx: QuantizedTensor, threshold: float, value: float) -> QuantizedTensor:
    """``F.threshold``; the map stays."""
    return F.threshold(qx, threshold, value)


def dropout(
    input: QuantizedTensor, output_scale: float, output_zero_point: int, p: float = 0.5, training: bool = False
) -> QuantizedTensor:
    """The tensor itself: quantised tensors are not trained.

    Raises:
        NotImplementedError: with ``training``.
    """
    return F.dropout(input, float(p), training)


# ---- pooling


def max_pool1d(
    qx: QuantizedTensor, kernel_size: Any, stride: Any = (), padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False,
) -> QuantizedTensor:  # fmt: skip
    """``F.max_pool1d``; the map stays."""
    return F.max_pool1d(qx, kernel_size, stride or None, padding, dilation, ceil_mode)


def max_pool2d(
    qx: QuantizedTensor, kernel_size: Any, stride: Any = (), padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False,
) -> QuantizedTensor:  # fmt: skip
    """``F.max_pool2d``; the map stays."""
    return F.max_pool2d(qx, kernel_size, stride or None, padding, dilation, ceil_mode)


def max_pool3d(
    qx: QuantizedTensor, kernel_size: Any, stride: Any = (), padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False,
) -> QuantizedTensor:  # fmt: skip
    """``F.max_pool3d``; the map stays."""
    return F.max_pool3d(qx, kernel_size, stride or None, padding, dilation, ceil_mode)
