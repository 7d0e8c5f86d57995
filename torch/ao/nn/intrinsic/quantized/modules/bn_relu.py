"""Batch normalisation and ReLU of quantised tensors."""

from __future__ import annotations

from torch.ao.nn.intrinsic.modules import fused
from torch.ao.nn.quantized.modules import batchnorm

__all__ = ["BNReLU2d", "BNReLU3d"]


class BNReLU2d(batchnorm.BatchNorm2d):
    """``torch.ao.nn.quantized.BatchNorm2d`` and ReLU."""

    _operation = "batch_norm2d_relu"
    _FLOAT_MODULE = fused.BNReLU2d

    def _get_name(self):
        return "QuantizedBNReLU2d"

    @classmethod
    def from_reference(cls, bn_relu, output_scale, output_zero_point):
        """Take the place of a fused normalisation, with the given map of the output."""
        bn = bn_relu[0] if isinstance(bn_relu, fused.BNReLU2d) else bn_relu
        return super().from_reference(bn, output_scale, output_zero_point)


class BNReLU3d(batchnorm.BatchNorm3d):
    """``torch.ao.nn.quantized.BatchNorm3d`` and ReLU."""

    _operation = "batch_norm3d_relu"
    _FLOAT_MODULE = fused.BNReLU3d

    def _get_name(self):
        return "QuantizedBNReLU3d"

    @classmethod
    def from_reference(cls, bn_relu, output_scale, output_zero_point):
        """Take the place of a fused normalisation, with the given map of the output."""
        bn = bn_relu[0] if isinstance(bn_relu, fused.BNReLU3d) else bn_relu
        return super().from_reference(bn, output_scale, output_zero_point)
