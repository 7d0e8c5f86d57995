"""Convolutions with a weight that is quantised and dequantised."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812 - PyTorch's name here
from torch import Tensor, nn

from .utils import ReferenceQuantizedModule

__all__ = ["Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]


class _ConvNd(ReferenceQuantizedModule):
    """What all six share."""

    _IS_REFERENCE = True

    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True,
        padding_mode="zeros", device=None, dtype=None, weight_qparams=None,
    ):  # fmt: skip
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, device, dtype
        )
        self._init_weight_qparams(weight_qparams, device)

    def _get_name(self):
        return f"Quantized{type(self).__name__}(Reference)"

    def forward(self, x: Tensor) -> Tensor:
        """The convolution, in float32."""
        return self._conv_forward(x, self.get_weight(), self.bias)

    @classmethod
    def _make(cls, mod, weight_qparams):
        return cls(
            mod.in_channels, mod.out_channels, mod.kernel_size, mod.stride, mod.padding, mod.dilation, mod.groups,
            mod.bias is not None, mod.padding_mode, device=mod.weight.device, dtype=mod.weight.dtype,
            weight_qparams=weight_qparams,
        )  # fmt: skip

    @classmethod
    def from_float(cls, float_conv, weight_qparams):
        """Take the place of a convolution, and have its parameters."""
        result = cls._make(float_conv, weight_qparams)
        result.weight = nn.Parameter(float_conv.weight.detach())
        if float_conv.bias is not None:
            result.bias = nn.Parameter(float_conv.bias.detach())
        return result


class Conv1d(_ConvNd, nn.Conv1d):
    """``nn.Conv1d`` whose weight is quantised and dequantised by ``weight_qparams`` each time."""


class Conv2d(_ConvNd, nn.Conv2d):
    """``nn.Conv2d`` whose weight is quantised and dequantised by ``weight_qparams`` each time."""


class Conv3d(_ConvNd, nn.Conv3d):
    """``nn.Conv3d`` whose weight is quantised and dequantised by ``weight_qparams`` each time."""


class _ConvTransposeNd(_ConvNd):
    """What the transposed ones share."""

    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, output_padding=0, groups=1, bias=True,
        dilation=1, padding_mode="zeros", device=None, dtype=None, weight_qparams=None,
    ):  # fmt: skip
        super(_ConvNd, self).__init__(
            in_channels, out_channels, kernel_size, stride, padding, output_padding, groups, bias, dilation,
            padding_mode, device, dtype,
        )  # fmt: skip
        self._init_weight_qparams(weight_qparams, device)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """The transposed convolution, in float32."""
        spatial = len(self.kernel_size)
        extra = self._output_padding(
            x, output_size, self.stride, self.padding, self.kernel_size, spatial, self.dilation
        )
        function = getattr(F, f"conv_transpose{spatial}d")
        return function(x, self.get_weight(), self.bias, self.stride, self.padding, extra, self.groups, self.dilation)

    @classmethod
    def _make(cls, mod, weight_qparams):
        return cls(
            mod.in_channels, mod.out_channels, mod.kernel_size, mod.stride, mod.padding, mod.output_padding, mod.groups,
            mod.bias is not None, mod.dilation, mod.padding_mode, device=mod.weight.device, dtype=mod.weight.dtype,
            weight_qparams=weight_qparams,
        )  # fmt: skip


class ConvTranspose1d(_ConvTransposeNd, nn.ConvTranspose1d):
    """``nn.ConvTranspose1d`` whose weight is quantised and dequantised by ``weight_qparams`` each time."""


class ConvTranspose2d(_ConvTransposeNd, nn.ConvTranspose2d):
    """``nn.ConvTranspose2d`` whose weight is quantised and dequantised by ``weight_qparams`` each time."""


class ConvTranspose3d(_ConvTransposeNd, nn.ConvTranspose3d):
    """``nn.ConvTranspose3d`` whose weight is quantised and dequantised by ``weight_qparams`` each time."""
