"""Convolutions of quantised tensors, and the sum with another one."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's name here
from torch.ao.nn.intrinsic.modules import fused
from torch.ao.nn.quantized.modules import conv
from torch.nn.modules.utils import _reverse_repeat_tuple


class _ConvAdd(conv.Conv2d):
    """What both share."""

    _added = ""

    def forward(self, input, extra_input):
        """The convolution of ``input``, plus ``extra_input``; quantised."""
        if input.dim() != 4:
            raise ValueError("Input shape must be `(N, C, H, W)`!")
        if self.padding_mode != "zeros":
            input = F.pad(input, _reverse_repeat_tuple(self.padding, 2), mode=self.padding_mode)
        operation = getattr(torch.ops.quantized, self._added)
        return operation(input, extra_input, self._packed_params, self.scale, self.zero_point)

    @classmethod
    def from_reference(cls, ref_qconv, output_scale, output_zero_point):
        """Take the place of a fused reference module, with the given map of the output."""
        return super().from_reference(ref_qconv[0], output_scale, output_zero_point)


class ConvAdd2d(_ConvAdd):
    """``torch.ao.nn.quantized.Conv2d`` and the sum with another quantised tensor."""

    _added = "conv2d_add"
    _FLOAT_MODULE = fused.ConvAdd2d

    def _get_name(self):
        return "QuantizedConvAdd2d"


class ConvAddReLU2d(_ConvAdd):
    """``torch.ao.nn.quantized.Conv2d``, the sum with another quantised tensor, and ReLU."""

    _added = "conv2d_add_relu"
    _FLOAT_MODULE = fused.ConvAddReLU2d

    def _get_name(self):
        return "QuantizedConvAddReLU2d"
