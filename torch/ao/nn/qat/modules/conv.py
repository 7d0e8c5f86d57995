"""Convolutions that round their weight as quantising would."""

from __future__ import annotations

from torch import nn
from torch.ao.nn.intrinsic.modules.fused import _FusedModule

from .linear import _factory, _with_qconfig, check_qat_source


class _ConvNd(nn.modules.conv._ConvNd):
    """What the three convolutions share."""

    _FLOAT_MODULE: type
    _FLOAT_CONV_MODULE: type

    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True,
        padding_mode="zeros", qconfig=None, device=None, dtype=None,
    ) -> None:  # fmt: skip
        super().__init__(
            in_channels, out_channels, kernel_size, stride=stride, padding=padding, dilation=dilation, groups=groups,
            bias=bias, padding_mode=padding_mode, device=device, dtype=dtype,
        )  # fmt: skip
        if not qconfig:
            raise AssertionError("qconfig must be provided for QAT module")
        self.qconfig = qconfig
        self.weight_fake_quant = qconfig.weight(**_factory(device, dtype))

    def forward(self, input):
        """The convolution with the rounded weight."""
        return self._conv_forward(input, self.weight_fake_quant(self.weight), self.bias)

    @classmethod
    def from_float(cls, mod, use_precomputed_fake_quant=False):
        """Take the place of a convolution, or of a fused one, and have its parameters.

        Raises:
            AssertionError: for another class of module, and without a qconfig.
        """
        check_qat_source(mod, (cls, cls._FLOAT_MODULE))
        if isinstance(mod, _FusedModule):
            mod = _with_qconfig(mod[0], mod.qconfig)
        result = cls(
            mod.in_channels, mod.out_channels, mod.kernel_size, stride=mod.stride, padding=mod.padding,
            dilation=mod.dilation, groups=mod.groups, bias=mod.bias is not None, padding_mode=mod.padding_mode,
            qconfig=mod.qconfig,
        )  # fmt: skip
        result.weight, result.bias = mod.weight, mod.bias
        return result

    def to_float(self):
        """A convolution with these parameters, and ReLU behind it where it belongs to the module."""
        cls = type(self)
        conv = cls._FLOAT_CONV_MODULE(
            self.in_channels, self.out_channels, self.kernel_size, self.stride, self.padding, self.dilation,
            self.groups, self.bias is not None, self.padding_mode,
        )  # fmt: skip
        conv.weight = nn.Parameter(self.weight.detach())
        if self.bias is not None:
            conv.bias = nn.Parameter(self.bias.detach())
        if issubclass(cls, _FusedModule):
            parts = [conv]
            if getattr(cls, "_FLOAT_RELU_MODULE", None) is not None:
                parts.append(cls._FLOAT_RELU_MODULE())
            fused = cls._FLOAT_MODULE(*parts)
            fused.train(self.training)
            return fused
        return conv


class Conv1d(_ConvNd, nn.Conv1d):
    """``nn.Conv1d`` whose weight is rounded by ``weight_fake_quant`` each time it is used."""

    _FLOAT_MODULE = nn.Conv1d
    _FLOAT_CONV_MODULE = nn.Conv1d


class Conv2d(_ConvNd, nn.Conv2d):
    """``nn.Conv2d`` whose weight is rounded by ``weight_fake_quant`` each time it is used."""

    _FLOAT_MODULE = nn.Conv2d
    _FLOAT_CONV_MODULE = nn.Conv2d


class Conv3d(_ConvNd, nn.Conv3d):
    """``nn.Conv3d`` whose weight is rounded by ``weight_fake_quant`` each time it is used."""

    _FLOAT_MODULE = nn.Conv3d
    _FLOAT_CONV_MODULE = nn.Conv3d
