"""Convolutions that quantise their input by its own range."""

from __future__ import annotations

import warnings

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's name here
from torch import Tensor
from torch.ao.nn.quantized.modules import conv
from torch.nn.modules.utils import _reverse_repeat_tuple

__all__ = ["Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]


class _Dynamic:
    """What the six share."""

    _NNIQAT_CONV_BN_MODULE = None
    _NNI_CONV_RELU_MODULE = None

    def __init__(self, *args, **kwargs):
        warnings.warn(
            f"The current implementation of the {self._get_name()} module has poor numerical accuracy and its use is "
            "not recommended",
            stacklevel=2,
        )
        super().__init__(*args, **kwargs)

    def forward(self, input: Tensor, reduce_range: bool = True) -> Tensor:
        """The convolution of a float32 tensor, float32; the result has the scale that the input is quantised with."""
        dims = len(self.kernel_size) + 2
        if input.dim() != dims:
            shape = "(N, C, L)" if dims == 3 else "(N, C, H, W)" if dims == 4 else "(N, C, D, H, W)"
            raise ValueError(f"Input shape must be `{shape}`!")
        if self.padding_mode != "zeros":
            input = F.pad(input, _reverse_repeat_tuple(self.padding, 2), mode=self.padding_mode)
        return getattr(torch.ops.quantized, f"{self._operation}_dynamic")(input, self._packed_params, reduce_range)

    def _get_name(self):
        return "Dynamic" + super()._get_name()


class Conv1d(_Dynamic, conv.Conv1d):
    """``nn.Conv1d`` of float32 tensors with a quantised weight."""


class Conv2d(_Dynamic, conv.Conv2d):
    """``nn.Conv2d`` of float32 tensors with a quantised weight."""


class Conv3d(_Dynamic, conv.Conv3d):
    """``nn.Conv3d`` of float32 tensors with a quantised weight."""


class ConvTranspose1d(_Dynamic, conv.ConvTranspose1d):
    """``nn.ConvTranspose1d`` of float32 tensors with a quantised weight."""


class ConvTranspose2d(_Dynamic, conv.ConvTranspose2d):
    """``nn.ConvTranspose2d`` of float32 tensors with a quantised weight."""


class ConvTranspose3d(_Dynamic, conv.ConvTranspose3d):
    """``nn.ConvTranspose3d`` of float32 tensors with a quantised weight."""
