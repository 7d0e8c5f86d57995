"""Convolutions and ReLU of quantised tensors."""

from __future__ import annotations

from torch.ao.nn.intrinsic.modules import fused
from torch.ao.nn.quantized.modules import conv

__all__ = ["ConvReLU1d", "ConvReLU2d", "ConvReLU3d"]


class _ConvReLU:
    """What the three share."""

    def forward(self, input):
        """The convolution of a quantised tensor, without negative results; quantised."""
        return self._run(input, f"{self._operation}_relu")

    @classmethod
    def from_reference(cls, ref_qconv, output_scale, output_zero_point):
        """Take the place of a fused reference module, with the given map of the output."""
        return super().from_reference(ref_qconv[0], output_scale, output_zero_point)


class ConvReLU1d(_ConvReLU, conv.Conv1d):
    """``torch.ao.nn.quantized.Conv1d`` and ReLU."""

    _FLOAT_MODULE = fused.ConvReLU1d

    def _get_name(self):
        return "QuantizedConvReLU1d"


class ConvReLU2d(_ConvReLU, conv.Conv2d):
    """``torch.ao.nn.quantized.Conv2d`` and ReLU."""

    _FLOAT_MODULE = fused.ConvReLU2d

    def _get_name(self):
        return "QuantizedConvReLU2d"


class ConvReLU3d(_ConvReLU, conv.Conv3d):
    """``torch.ao.nn.quantized.Conv3d`` and ReLU."""

    _FLOAT_MODULE = fused.ConvReLU3d

    def _get_name(self):
        return "QuantizedConvReLU3d"
