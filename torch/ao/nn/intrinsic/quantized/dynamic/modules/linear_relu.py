"""A linear layer with ReLU that quantises its input by its own range."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.ao.nn.intrinsic.modules import fused
from torch.ao.nn.quantized.dynamic.modules.linear import Linear

__all__ = ["LinearReLU"]


class LinearReLU(Linear):
    """``torch.ao.nn.quantized.dynamic.Linear`` and ReLU."""

    _FLOAT_MODULE = fused.LinearReLU

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, dtype: torch.dtype = torch.qint8
    ) -> None:
        super().__init__(in_features, out_features, bias, dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Float32 (..., in) to float32 (..., out), without negative results."""
        packed = self._packed_params._packed_params
        if self._packed_params.dtype == torch.qint8:
            return torch.ops.quantized.linear_relu_dynamic(x, packed, reduce_range=True).to(x.dtype)
        return torch.ops.quantized.linear_relu_dynamic_fp16(x, packed).to(x.dtype)

    def _get_name(self):
        return "DynamicQuantizedLinearReLU"

    @classmethod
    def from_reference(cls, ref_qlinear_relu):
        """Take the place of a fused reference module."""
        return super().from_reference(ref_qlinear_relu[0])
