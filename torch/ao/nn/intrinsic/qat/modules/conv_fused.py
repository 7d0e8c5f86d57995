"""Convolutions with batch normalisation and ReLU that round their weight as quantising would.

The weight that is rounded is the one that the running statistics will be folded into; the batch's own statistics
normalise the result all the same (Krishnamoorthi, "Quantizing deep convolutional networks for efficient inference",
2018).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's name here
from torch import nn
from torch.ao.nn.intrinsic.modules import fused
from torch.ao.nn.qat.modules import conv as qat_conv
from torch.ao.nn.qat.modules.linear import check_qat_source
from torch.nn.modules.utils import _pair, _single, _triple
from torch.nn.utils import fuse_conv_bn_weights

from ._normalised import NormalisedLayer

_BATCH_NORMS = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


class _ConvBnNd(NormalisedLayer, nn.modules.conv._ConvNd, fused._FusedModule):
    """What convolutions with batch normalisation share."""

    _version = 2
    _FLOAT_MODULE: Any
    _FLOAT_CONV_MODULE: Any
    _FLOAT_BN_MODULE: Any = None
    _FLOAT_RELU_MODULE: Any = None
    _FUSED_FLOAT_MODULE: Any = None

    def __init__(
        self, in_channels, out_channels, kernel_size, stride, padding, dilation, transposed, output_padding, groups,
        bias, padding_mode, eps=1e-05, momentum=0.1, freeze_bn=False, qconfig=None, dim=2,
    ):  # fmt: skip
        nn.modules.conv._ConvNd.__init__(
            self, in_channels, out_channels, kernel_size, stride, padding, dilation, transposed, output_padding, groups,
            False, padding_mode,
        )  # fmt: skip
        if not qconfig:
            raise AssertionError("qconfig must be provided for QAT module")
        self.qconfig = qconfig
        self.freeze_bn = freeze_bn if self.training else True
        self.bn = _BATCH_NORMS[dim](out_channels, eps, momentum, True, True)
        self.weight_fake_quant = qconfig.weight()
        if bias:
            self.bias = nn.Parameter(torch.empty(out_channels))
        else:
            self.register_parameter("bias", None)
        self.reset_bn_parameters()
        if self.training:
            self.freeze_bn_stats() if freeze_bn else self.update_bn_stats()
        else:
            self.freeze_bn_stats()
        self._enable_slow_path_for_better_numerical_stability = False

    def _forward(self, input):
        factor = self.bn.weight / torch.sqrt(self.bn.running_var + self.bn.eps)
        rows = [-1] + [1] * (self.weight.dim() - 1)
        channels = [1, -1] + [1] * (self.weight.dim() - 2)
        weight = self.weight_fake_quant(self.weight * factor.reshape(rows))
        conv = self._conv_forward(input, weight, None if self.bias is None else torch.zeros_like(self.bias))
        original = conv / factor.reshape(channels)
        if self.bias is not None:
            original = original + self.bias.reshape(channels)
        return self.bn(original)

    def forward(self, input):
        """The convolution with the rounded weight, normalised."""
        return self._forward(input)

    def _load_from_state_dict(
        self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
    ):
        version = local_metadata.get("version")
        if version is None or version == 1:
            # the batch normalisation was no module of its own then
            old = {"gamma": "weight", "beta": "bias"}
            for name in ("gamma", "beta", "running_mean", "running_var", "num_batches_tracked"):
                if prefix + name in state_dict:
                    state_dict[f"{prefix}bn.{old.get(name, name)}"] = state_dict.pop(prefix + name)
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )

    @classmethod
    def from_float(cls, mod, use_precomputed_fake_quant=False):
        """Take the place of a fused convolution, and have its parameters and statistics.

        Raises:
            AssertionError: for another class of module, and without a qconfig.
        """
        check_qat_source(mod, (cls, cls._FLOAT_MODULE))
        qconfig, conv, bn = mod.qconfig, mod[0], mod[1]
        result = cls(
            conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, conv.padding, conv.dilation,
            conv.groups, conv.bias is not None, conv.padding_mode, bn.eps, bn.momentum, False, qconfig,
        )  # fmt: skip
        result.weight, result.bias = conv.weight, conv.bias
        result.bn.weight, result.bn.bias = bn.weight, bn.bias
        result.bn.running_mean, result.bn.running_var = bn.running_mean, bn.running_var
        result.bn.num_batches_tracked = bn.num_batches_tracked
        return result

    def to_float(self):
        """A convolution that does what the module does in evaluation, with ReLU where it belongs to the module."""
        cls = type(self)
        conv = cls._FLOAT_CONV_MODULE(
            self.in_channels, self.out_channels, self.kernel_size, self.stride, self.padding, self.dilation,
            self.groups, self.bias is not None, self.padding_mode,
        )  # fmt: skip
        conv.weight = nn.Parameter(self.weight.detach())
        if self.bias is not None:
            conv.bias = nn.Parameter(self.bias.detach())
        if cls._FLOAT_BN_MODULE:
            conv.weight, conv.bias = fuse_conv_bn_weights(
                conv.weight, conv.bias, self.bn.running_mean, self.bn.running_var, self.bn.eps, self.bn.weight,
                self.bn.bias,
            )  # fmt: skip
        if cls._FLOAT_RELU_MODULE:
            result = cls._FUSED_FLOAT_MODULE(conv, cls._FLOAT_RELU_MODULE())
            result.train(self.training)
            return result
        conv.train(self.training)
        return conv


def _build(size, module, args, freeze_bn, qconfig, dim):
    (in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, eps, momentum) = (
        args
    )
    padding = padding if isinstance(padding, str) else size(padding)
    _ConvBnNd.__init__(
        module, in_channels, out_channels, size(kernel_size), size(stride), padding, size(dilation), False, size(0),
        groups, bias, padding_mode, eps, momentum, freeze_bn, qconfig, dim=dim,
    )  # fmt: skip


class ConvBn1d(_ConvBnNd, nn.Conv1d):
    """A convolution and its batch normalisation, with a rounded weight."""

    _FLOAT_BN_MODULE = nn.BatchNorm1d
    _FLOAT_MODULE = fused.ConvBn1d
    _FLOAT_CONV_MODULE = nn.Conv1d

    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=None,
        padding_mode="zeros", eps=1e-05, momentum=0.1, freeze_bn=False, qconfig=None,
    ):  # fmt: skip
        args = (in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, eps)
        _build(_single, self, (*args, momentum), freeze_bn, qconfig, 1)


class ConvBn2d(_ConvBnNd, nn.Conv2d):
    """A convolution and its batch normalisation, with a rounded weight."""

    _FLOAT_BN_MODULE = nn.BatchNorm2d
    _FLOAT_MODULE = fused.ConvBn2d
    _FLOAT_CONV_MODULE = nn.Conv2d

    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=None,
        padding_mode="zeros", eps=1e-05, momentum=0.1, freeze_bn=False, qconfig=None,
    ):  # fmt: skip
        args = (in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, eps)
        _build(_pair, self, (*args, momentum), freeze_bn, qconfig, 2)


class ConvBn3d(_ConvBnNd, nn.Conv3d):
    """A convolution and its batch normalisation, with a rounded weight."""

    _FLOAT_BN_MODULE = nn.BatchNorm3d
    _FLOAT_MODULE = fused.ConvBn3d
    _FLOAT_CONV_MODULE = nn.Conv3d

    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=None,
        padding_mode="zeros", eps=1e-05, momentum=0.1, freeze_bn=False, qconfig=None,
    ):  # fmt: skip
        args = (in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, eps)
        _build(_triple, self, (*args, momentum), freeze_bn, qconfig, 3)


class _WithReLU:
    """ReLU behind the normalisation."""

    def forward(self, input):
        """The convolution with the rounded weight, normalised, without negative results."""
        return F.relu(self._forward(input))


class ConvBnReLU1d(_WithReLU, ConvBn1d):
    """A convolution, its batch normalisation and ReLU, with a rounded weight."""

    _FLOAT_MODULE = fused.ConvBnReLU1d
    _FLOAT_RELU_MODULE = nn.ReLU
    _FUSED_FLOAT_MODULE = fused.ConvReLU1d


class ConvBnReLU2d(_WithReLU, ConvBn2d):
    """A convolution, its batch normalisation and ReLU, with a rounded weight."""

    _FLOAT_MODULE = fused.ConvBnReLU2d
    _FLOAT_RELU_MODULE = nn.ReLU
    _FUSED_FLOAT_MODULE = fused.ConvReLU2d


class ConvBnReLU3d(_WithReLU, ConvBn3d):
    """A convolution, its batch normalisation and ReLU, with a rounded weight."""

    _FLOAT_MODULE = fused.ConvBnReLU3d
    _FLOAT_RELU_MODULE = nn.ReLU
    _FUSED_FLOAT_MODULE = fused.ConvReLU3d


class _ConvReLU(fused._FusedModule):
    """What convolutions with ReLU share."""

    _FLOAT_BN_MODULE: Any = None
    _FLOAT_RELU_MODULE: Any = nn.ReLU

    def forward(self, input):
        """The convolution with the rounded weight, without negative results."""
        return F.relu(self._conv_forward(input, self.weight_fake_quant(self.weight), self.bias))


class ConvReLU1d(_ConvReLU, qat_conv.Conv1d):
    """A convolution and ReLU, with a rounded weight."""

    _FLOAT_MODULE = fused.ConvReLU1d

    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True,
        padding_mode="zeros", qconfig=None,
    ):  # fmt: skip
        qat_conv.Conv1d.__init__(
            self, in_channels, out_channels, kernel_size, stride=stride, padding=padding, dilation=dilation,
            groups=groups, bias=bias, padding_mode=padding_mode, qconfig=qconfig,
        )  # fmt: skip


class ConvReLU2d(_ConvReLU, qat_conv.Conv2d):
    """A convolution and ReLU, with a rounded weight."""

    _FLOAT_MODULE = fused.ConvReLU2d

    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True,
        padding_mode="zeros", qconfig=None,
    ):  # fmt: skip
        qat_conv.Conv2d.__init__(
            self, in_channels, out_channels, kernel_size, stride=stride, padding=padding, dilation=dilation,
            groups=groups, bias=bias, padding_mode=padding_mode, qconfig=qconfig,
        )  # fmt: skip


class ConvReLU3d(_ConvReLU, qat_conv.Conv3d):
    """A convolution and ReLU, with a rounded weight."""

    _FLOAT_MODULE = fused.ConvReLU3d

    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True,
        padding_mode="zeros", qconfig=None,
    ):  # fmt: skip
        qat_conv.Conv3d.__init__(
            self, in_channels, out_channels, kernel_size, stride=stride, padding=padding, dilation=dilation,
            groups=groups, bias=bias, padding_mode=padding_mode, qconfig=qconfig,
        )  # fmt: skip


def update_bn_stats(mod):
    """Let a module with batch normalisation use the batch's statistics: for ``model.apply``."""
    if type(mod) in _WITH_BATCH_NORM:
        mod.update_bn_stats()


def freeze_bn_stats(mod):
    """Let a module with batch normalisation use the running statistics: for ``model.apply``."""
    if type(mod) in _WITH_BATCH_NORM:
        mod.freeze_bn_stats()


_WITH_BATCH_NORM = (ConvBn1d, ConvBn2d, ConvBn3d, ConvBnReLU1d, ConvBnReLU2d, ConvBnReLU3d)

__all__ = [
    "ConvBn1d",
    "ConvBnReLU1d",
    "ConvReLU1d",
    "ConvBn2d",
    "ConvBnReLU2d",
    "ConvReLU2d",
    "ConvBn3d",
    "ConvBnReLU3d",
    "ConvReLU3d",
    "update_bn_stats",
    "freeze_bn_stats",
]
