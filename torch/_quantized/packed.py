"""Linear layers and convolutions with quantised weights: ``torch.ops.quantized`` with packed parameters.

Products of integers are summed exactly, in float32 where no sum can leave its 24 bits and in float64 elsewhere; what
becomes of a sum is FBGEMM's formula: ``round((sum + bias / (s_x s_w)) * (s_x s_w / s_y)) + z_y`` in float32. (Khudia
et al., "FBGEMM: Enabling High-Performance Low-Precision Deep Learning Inference", 2021.)
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - PyTorch's name here

from .make import _choose_qparams_per_tensor, quantize_per_tensor
from .quantizer import PerChannel, PerTensor, stored
from .tensor import QuantizedTensor, wrap

_EXACT = 2**24


class _ScriptObject:
    """What PyTorch shows of an object of a C++ class."""

    _namespace, _kind = "quantized", ""

    def __str__(self) -> str:
        return f"ScriptObject <__torch__.torch.classes.{self._namespace}.{self._kind}>"

    def __repr__(self) -> str:
        return f"<torch.ScriptObject object at {id(self):#x}>"

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: Any) -> Any:
        return self


class _Weights(_ScriptObject):
    """A quantised weight and a float32 bias."""

    _output_dim = 0

    def __init__(self, weight: QuantizedTensor, bias: Tensor | None) -> None:
        if not isinstance(weight, QuantizedTensor):
            raise NotImplementedError(f"{type(self).__name__}: the weight must be quantized")
        # the bias may be a parameter, which a module's state shows as such
        self._weight, self._bias = weight, bias
        self._centred: Tensor | None = None

    def unpack(self) -> tuple[QuantizedTensor, Tensor | None]:
        """The weight and the bias."""
        return self._weight, self._bias

    def bias(self) -> Tensor | None:
        """The bias, without history."""
        return None if self._bias is None else self._bias.detach()

    def __reduce__(self) -> Any:
        return type(self), (self._weight, self._bias)

    def centred(self) -> Tensor:
        """The weight's integers without their zero point, in the dtype in which their products sum exactly.

        The tensor is kept: layers that run step by step would make it again and again.
        """
        if self._centred is None:
            quantizer, integers = self._weight._quantizer, self._weight.integers.float()
            zero_points: Any = quantizer.zero_point if isinstance(quantizer, PerTensor) else None
            if zero_points is None:
                shape = [1] * integers.dim()
                shape[quantizer.axis] = -1
                zero_points = quantizer.zero_points.float().view(shape)
            centred = integers - zero_points
            # no sum that belongs to one output can be larger
            most = centred.abs().movedim(self._output_dim, 0).flatten(1).sum(1).max() if centred.numel() else 0
            self._centred = centred if most * 255 < _EXACT else centred.double()
        return self._centred

    def scales(self) -> Tensor:
        """The weight's scale, or one per output channel, in float32."""
        quantizer = self._weight._quantizer
        if isinstance(quantizer, PerChannel):
            return quantizer.scales.float()
        return torch.tensor(quantizer.scale, dtype=torch.float32)


class LinearPackedParams(_Weights):
    """The weight (out, in) and the bias of a linear layer."""

    _kind = "LinearPackedParamsBase"

    def unpack(self) -> tuple[QuantizedTensor, Tensor | None]:
        """The weight, whose only scale has been rounded to float32, and the bias."""
        quantizer = self._weight._quantizer
        if isinstance(quantizer, PerTensor):
            scale = float(torch.tensor(quantizer.scale, dtype=torch.float32))
            return wrap(self._weight.integers, PerTensor(scale, quantizer.zero_point, quantizer.dtype)), self._bias
        return self._weight, self._bias


class HalfLinearPackedParams(_ScriptObject):
    """The weight of a linear layer, rounded to float16, and its bias."""

    _kind = "LinearPackedParamsBase"

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self._weight = weight.detach().to(torch.float16).float()
        self._bias = bias

    def unpack(self) -> tuple[Tensor, Tensor | None]:
        """The weight, in float32, and the bias."""
        return self._weight, self._bias

    def bias(self) -> Tensor | None:
        """The bias, without history."""
        return None if self._bias is None else self._bias.detach()

    def __reduce__(self) -> Any:
        return HalfLinearPackedParams, (self._weight, self._bias)


class ConvPackedParams(_Weights):
    """The weight of a convolution, its bias and its geometry."""

    def __init__(
        self, weight: QuantizedTensor, bias: Tensor | None, stride: Any, padding: Any, output_padding: Any,
        dilation: Any, groups: int, transposed: bool, spatial: int,
    ) -> None:  # fmt: skip
        super().__init__(weight, bias)
        if transposed and isinstance(weight._quantizer, PerChannel):
            raise RuntimeError("Per Channel Quantization is currently disabled for transposed conv")
        self._stride, self._padding, self._dilation = list(stride), list(padding), list(dilation)
        self._output_padding, self._groups, self._transposed = list(output_padding), groups, transposed
        self._output_dim = int(transposed)
        self._spatial = spatial
        self._kind = f"Conv{max(spatial, 2)}dPackedParamsBase"

    def __reduce__(self) -> Any:
        return ConvPackedParams, (
            self._weight, self._bias, self._stride, self._padding, self._output_padding, self._dilation, self._groups,
            self._transposed, self._spatial,
        )  # fmt: skip

    def stride(self) -> list[int]:
        """The stride in each dimension."""
        return self._stride

    def padding(self) -> list[int]:
        """The padding in each dimension."""
        return self._padding

    def output_padding(self) -> list[int]:
        """The additional size of a transposed convolution's result."""
        return self._output_padding

    def dilation(self) -> list[int]:
        """The distance of the kernel's points in each dimension."""
        return self._dilation

    def groups(self) -> int:
        """The number of groups of channels."""
        return self._groups

    def transpose(self) -> bool:
        """Whether the convolution is transposed."""
        return self._transposed


# ---- linear


def linear_prepack(W: QuantizedTensor, B: Tensor | None = None) -> LinearPackedParams:
    """Pack a quantised weight (out, in) and a bias (out,) for ``linear``."""
    return LinearPackedParams(W, B)


def linear_prepack_fp16(W: Tensor, B: Tensor | None = None) -> HalfLinearPackedParams:
    """Pack a weight rounded to float16 for ``linear_dynamic_fp16``."""
    return HalfLinearPackedParams(W, B)


def linear_unpack(W_prepack: Any) -> tuple[Tensor, Tensor | None]:
    """The weight and the bias of packed parameters."""
    return W_prepack.unpack()


def _check_input(input: Any, name: str) -> None:
    if not isinstance(input, QuantizedTensor):
        raise NotImplementedError(
            f"Could not run 'quantized::{name}' with arguments from the 'CPU' backend: the input must be quantized "
            "(torch.quantize_per_tensor, or a QuantStub in the model)"
        )
    input.q_scale()


def _linear_sums(integers: Tensor, zero_point: int, packed: LinearPackedParams) -> Tensor:
    weight = packed.centred()
    return F.linear(integers.to(weight.dtype) - zero_point, weight).float()


def _finish(
    sums: Tensor, packed: _Weights, channel: list[int], x_scale: float, quantizer: PerTensor, low: int
) -> QuantizedTensor:
    factor = torch.tensor(x_scale, dtype=torch.float32) * packed.scales()
    factor = factor.view(channel) if factor.dim() else factor
    bias = packed.bias()
    if bias is not None:
        sums = sums + bias.view(channel) / factor
    kind, lowest, high = stored(quantizer.dtype)
    scaled = (sums * (factor / torch.tensor(quantizer.scale, dtype=torch.float32))).round()
    return wrap((scaled + quantizer.zero_point).clamp(max(low, lowest), high).to(kind), quantizer)


def _linear(name: str, relu: bool) -> Any:
    def run(X: QuantizedTensor, W_prepack: LinearPackedParams, Y_scale_i: float, Y_zero_point_i: int) -> Any:
        """A linear layer of quantised numbers: (..., in) to (..., out) under the given map."""
        _check_input(X, name)
        quantizer = PerTensor(Y_scale_i, Y_zero_point_i, X.dtype)
        sums = _linear_sums(X.integers, X.q_zero_point(), W_prepack)
        low = quantizer.zero_point if relu else -(2**31)
        return _finish(sums, W_prepack, [-1], X.q_scale(), quantizer, low)

    return run


linear = _linear("linear", False)
linear_relu = _linear("linear_relu", True)


def _linear_then(function: Any) -> Any:
    def run(
        X: QuantizedTensor, W_prepack: LinearPackedParams, Y_scale_i: float, Y_zero_point_i: int, *args: Any
    ) -> Any:  # fmt: skip
        """A linear layer and an activation, quantised once."""
        _check_input(X, "linear")
        values = _linear_reals(X.integers, X.q_scale(), X.q_zero_point(), W_prepack)
        quantizer = PerTensor(Y_scale_i, Y_zero_point_i, X.dtype)
        return wrap(quantizer.quantize(function(values, *args)), quantizer)

    return run


linear_leaky_relu = _linear_then(lambda values, negative_slope: F.leaky_relu(values, float(negative_slope)))
linear_tanh = _linear_then(torch.tanh)


def _linear_reals(integers: Tensor, scale: float, zero_point: int, packed: LinearPackedParams) -> Tensor:
    """The linear layer in float32: sum times scales plus bias, rounded once."""
    sums = _linear_sums(integers, zero_point, packed)
    factor = torch.tensor(scale, dtype=torch.float32) * packed.scales()
    bias = packed.bias()
    if bias is None:
        return sums * factor
    return (sums.double() * factor.double() + bias.double()).float()


def linear_dynamic(X: Tensor, W_prepack: LinearPackedParams, reduce_range: bool = False) -> Tensor:
    """A linear layer of float32 numbers, which are quantised by their own range: (..., in) to (..., out).

    Raises:
        RuntimeError: if the input is not float32, or its last dimension is not the weight's.
    """
    if isinstance(X, QuantizedTensor) or X.dtype is not torch.float32:
        raise RuntimeError("The operation linear_dynamic takes a float32 input")
    if X.shape[-1] != W_prepack.unpack()[0].shape[1]:
        raise RuntimeError(
            "The number of rows in the packB should be equal to K: "
            f"{W_prepack.unpack()[0].shape[1]}, the input has {X.shape[-1]}"
        )
    scale, zero_point = _choose_qparams_per_tensor(X, reduce_range)
    integers = quantize_per_tensor(X, scale, zero_point, torch.quint8).integers
    return _linear_reals(integers, scale, zero_point, W_prepack)


def linear_relu_dynamic(X: Tensor, W_prepack: LinearPackedParams, reduce_range: bool = False) -> Tensor:
    """``linear_dynamic``, without the negative results."""
    return linear_dynamic(X, W_prepack, reduce_range).relu()


def linear_dynamic_fp16(X: Tensor, W_prepack: HalfLinearPackedParams) -> Tensor:
    """A linear layer of float32 numbers with weights that were rounded to float16."""
    return F.linear(X, W_prepack.unpack()[0], W_prepack.bias())


def linear_relu_dynamic_fp16(X: Tensor, W_prepack: HalfLinearPackedParams) -> Tensor:
    """``linear_dynamic_fp16``, without the negative results."""
    return linear_dynamic_fp16(X, W_prepack).relu()


# ---- convolution


def _one_dimensional(weight: QuantizedTensor, dims: tuple[Any, ...]) -> None:
    if weight.dim() != 3 or any(len(d) != 1 for d in dims):
        raise RuntimeError("quantized::conv1d_prepack: the weight must have 3 dimensions, and the lists one entry")


def conv_prepack(spatial: int) -> Any:
    """``convNd_prepack`` for a number of spatial dimensions."""

    def prepack(
        weight: QuantizedTensor, bias: Tensor | None, stride: Any, padding: Any, dilation: Any, groups: int
    ) -> ConvPackedParams:
        """Pack a quantised weight (out, in / groups, ...), a bias (out,) and the geometry."""
        if spatial == 1:
            _one_dimensional(weight, (stride, padding, dilation))
        return ConvPackedParams(weight, bias, stride, padding, [0] * spatial, dilation, groups, False, spatial)

    return prepack


def conv_transpose_prepack(spatial: int) -> Any:
    """``conv_transposeNd_prepack`` for a number of spatial dimensions."""

    def prepack(
        weight: QuantizedTensor, bias: Tensor | None, stride: Any, padding: Any, output_padding: Any, dilation: Any,
        groups: int,
    ) -> ConvPackedParams:  # fmt: skip
        """Pack a quantised weight (in, out / groups, ...), a bias (out,) and the geometry."""
        return ConvPackedParams(weight, bias, stride, padding, output_padding, dilation, groups, True, spatial)

    return prepack


_CONVOLUTIONS = {
    (1, False): F.conv1d, (2, False): F.conv2d, (3, False): F.conv3d,
    (1, True): F.conv_transpose1d, (2, True): F.conv_transpose2d, (3, True): F.conv_transpose3d,
}  # fmt: skip


def _conv_sums(input: QuantizedTensor, packed: ConvPackedParams) -> Tensor:
    weight = packed.centred()
    centred = input.integers.to(weight.dtype) - input.q_zero_point()
    function = _CONVOLUTIONS[packed._spatial, packed._transposed]
    if packed._transposed:
        return function(
            centred, weight, None, packed._stride, packed._padding, packed._output_padding, packed._groups,
            packed._dilation,
        ).float()  # fmt: skip
    return function(centred, weight, None, packed._stride, packed._padding, packed._dilation, packed._groups).float()


def _channels_last(result: QuantizedTensor) -> QuantizedTensor:
    integers = result.integers
    if integers.dim() == 3:
        integers = integers.transpose(1, 2).contiguous().transpose(1, 2)
    else:
        format = torch.channels_last if integers.dim() == 4 else torch.channels_last_3d
        integers = integers.contiguous(memory_format=format)
    return result.like(integers)


def _run_conv(
    qx: QuantizedTensor, packed: ConvPackedParams, scale: float, zero_point: int, relu: bool, name: str
) -> QuantizedTensor:
    _check_input(qx, name)
    if qx.dim() != packed._spatial + 2:
        raise RuntimeError(
            f"quantized::{name}: Expected activation tensor to have {packed._spatial + 2} dimensions, got {qx.dim()}"
        )
    quantizer = PerTensor(scale, zero_point, qx.dtype)
    low = quantizer.zero_point if relu else -(2**31)
    channel = [1, -1] + [1] * packed._spatial
    return _channels_last(_finish(_conv_sums(qx, packed), packed, channel, qx.q_scale(), quantizer, low))


def conv(name: str, relu: bool = False) -> Any:
    """A convolution under the name of its operation."""

    def run(qx: QuantizedTensor, packed_weight: ConvPackedParams, *rest: Any) -> QuantizedTensor:
        """A convolution of quantised numbers, under the map (scale, zero point) that comes last."""
        return _run_conv(qx, packed_weight, *rest[-2:], relu, name)

    return run


def conv_dynamic(qx: Tensor, packed_weight: ConvPackedParams, reduce_range: bool = False) -> Tensor:
    """A convolution of float32 numbers, which are quantised by their own range; the result takes the same map."""
    scale, zero_point = _choose_qparams_per_tensor(qx, reduce_range)
    input = quantize_per_tensor(qx, scale, zero_point, torch.quint8)
    return _run_conv(input, packed_weight, scale, zero_point, False, "conv_dynamic").dequantize()


def conv2d_add(
    qx: QuantizedTensor, qaccum: QuantizedTensor, packed_weight: ConvPackedParams, output_scale: float,
    output_zero_point: int,
) -> QuantizedTensor:  # fmt: skip
    """A convolution plus another tensor, under the given map."""
    return _conv_add(qx, qaccum, packed_weight, output_scale, output_zero_point, False)


def conv2d_add_relu(
    qx: QuantizedTensor, qaccum: QuantizedTensor, packed_weight: ConvPackedParams, output_scale: float,
    output_zero_point: int,
) -> QuantizedTensor:  # fmt: skip
    """A convolution plus another tensor, without the negative results, under the given map."""
    return _conv_add(qx, qaccum, packed_weight, output_scale, output_zero_point, True)


def _conv_add(
    qx: QuantizedTensor, qaccum: QuantizedTensor, packed: ConvPackedParams, scale: float, zero_point: int, relu: bool
) -> QuantizedTensor:
    _check_input(qx, "conv2d_add")
    factor = torch.tensor(qx.q_scale(), dtype=torch.float32) * packed.scales()
    values = _conv_sums(qx, packed) * (factor.view(1, -1, 1, 1) if factor.dim() else factor)
    bias = packed.bias()
    if bias is not None:
        values = values + bias.view(1, -1, 1, 1)
    values = values + qaccum.dequantize()
    quantizer = PerTensor(scale, zero_point, qx.dtype)
    return _channels_last(wrap(quantizer.quantize(values.relu() if relu else values), quantizer))
