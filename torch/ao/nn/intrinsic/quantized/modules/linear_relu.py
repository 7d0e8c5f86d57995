"""Linear layers and activations of quantised tensors."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.ao.nn.intrinsic.modules import fused
from torch.ao.nn.quantized.modules.linear import Linear

__all__ = ["LinearReLU", "LinearLeakyReLU", "LinearTanh"]


class _Fused(Linear):
    """What the three share."""

    @classmethod
    def from_reference(cls, ref_mod, output_scale, output_zero_point):
        """Take the place of a fused reference module, with the given map of the output."""
        return super().from_reference(ref_mod[0], output_scale, output_zero_point)


class LinearReLU(_Fused):
    """``torch.ao.nn.quantized.Linear`` and ReLU."""

    _FLOAT_MODULE = fused.LinearReLU

    def __init__(self, in_features, out_features, bias=True, dtype=torch.qint8):
        super().__init__(in_features, out_features, bias, dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Quantised (..., in) to quantised (..., out), without negative results."""
        return torch.ops.quantized.linear_relu(x, self._packed_params._packed_params, self.scale, self.zero_point)

    def _get_name(self):
        return "QuantizedLinearReLU"


class LinearLeakyReLU(_Fused):
    """``torch.ao.nn.quantized.Linear`` and a leaky ReLU."""

    _FLOAT_MODULE = fused.LinearLeakyReLU

    def __init__(self, in_features, out_features, negative_slope, bias=True, dtype=torch.qint8):
        super().__init__(in_features, out_features, bias, dtype)
        self.negative_slope = negative_slope

    def forward(self, x: Tensor) -> Tensor:
        """Quantised (..., in) to quantised (..., out)."""
        packed = self._packed_params._packed_params
        return torch.ops.quantized.linear_leaky_relu(x, packed, self.scale, self.zero_point, self.negative_slope)

    def _get_name(self):
        return "QuantizedLinearLeakyReLU"

    @classmethod
    def from_float(cls, mod, use_precomputed_fake_quant=False):
        """Take the place of a fused linear layer after calibration."""
        result = super().from_float(mod, use_precomputed_fake_quant)
        result.negative_slope = mod[1].negative_slope
        return result

    @classmethod
    def from_reference(cls, ref_mod, output_scale, output_zero_point):
        """Take the place of a fused reference module, with the given map of the output."""
        result = super().from_reference(ref_mod, output_scale, output_zero_point)
        result.negative_slope = ref_mod[1].negative_slope
        return result

    @classmethod
    def _make(cls, mod, dtype):
        return cls(mod.in_features, mod.out_features, 0.01, dtype=dtype)


class LinearTanh(_Fused):
    """``torch.ao.nn.quantized.Linear`` and tanh."""

    _FLOAT_MODULE = fused.LinearTanh

    def __init__(self, in_features, out_features, bias=True, dtype=torch.qint8):
        super().__init__(in_features, out_features, bias, dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Quantised (..., in) to quantised (..., out)."""
        return torch.ops.quantized.linear_tanh(x, self._packed_params._packed_params, self.scale, self.zero_point)

    def _get_name(self):
        return "QuantizedLinearTanh"
