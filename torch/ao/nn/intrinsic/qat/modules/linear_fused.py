"""A linear layer with batch normalisation that rounds its weight as quantising would."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's name here
from torch import nn
from torch.ao.nn.intrinsic.modules import fused
from torch.ao.nn.qat.modules.linear import check_qat_source
from torch.nn.utils.fusion import fuse_linear_bn_weights

from ._normalised import NormalisedLayer

__all__ = ["LinearBn1d"]


class LinearBn1d(NormalisedLayer, nn.Linear, fused._FusedModule):
    """A linear layer and its batch normalisation; the weight that is rounded holds the running statistics' scale.

    Args:
        in_features: size of the inputs.
        out_features: size of the outputs.
        bias: whether there is a bias.
        eps: see ``nn.BatchNorm1d``.
        momentum: see ``nn.BatchNorm1d``.
        freeze_bn: use the running statistics from the start.
        qconfig: a QConfig whose ``weight`` makes a fake quantiser.

    Raises:
        AssertionError: without ``qconfig``.
    """

    def __init__(
        self, in_features, out_features, bias=True, eps=1e-05, momentum=0.1, freeze_bn=False, qconfig=None
    ):  # fmt: skip
        nn.modules.linear.Linear.__init__(self, in_features, out_features, bias)
        if not qconfig:
            raise AssertionError("qconfig must be provided for QAT module")
        self.qconfig = qconfig
        self.freeze_bn = freeze_bn if self.training else True
        self.bn = nn.BatchNorm1d(out_features, eps, momentum, True, True)
        self.weight_fake_quant = qconfig.weight()
        if bias:
            self.bias = nn.Parameter(torch.empty(out_features))
        else:
            self.register_parameter("bias", None)
        self.reset_bn_parameters()
        if self.training:
            self.freeze_bn_stats() if freeze_bn else self.update_bn_stats()
        else:
            self.freeze_bn_stats()

    def forward(self, input):
        """The linear map with the rounded weight, normalised."""
        factor = self.bn.weight / torch.sqrt(self.bn.running_var + self.bn.eps)
        weight = self.weight_fake_quant(self.weight * factor.reshape(-1, 1))
        original = F.linear(input, weight, torch.zeros_like(factor)) / factor.reshape(1, -1)
        if self.bias is not None:
            original = original + self.bias.reshape(1, -1)
        return self.bn(original)

    @classmethod
    def from_float(cls, mod, use_precomputed_fake_quant=False):
        """Take the place of a fused linear layer, and have its parameters and statistics.

        Raises:
            AssertionError: for another class of module, and without a qconfig.
        """
        check_qat_source(mod, (cls, fused.LinearBn1d))
        linear, bn = mod[0], mod[1]
        result = cls(
            linear.in_features, linear.out_features, linear.bias is not None, bn.eps, bn.momentum, False, mod.qconfig
        )
        result.weight, result.bias = linear.weight, linear.bias
        result.bn.weight, result.bn.bias = bn.weight, bn.bias
        result.bn.running_mean, result.bn.running_var = bn.running_mean, bn.running_var
        result.bn.num_batches_tracked = bn.num_batches_tracked
        return result

    def to_float(self):
        """A linear layer that does what the module does in evaluation."""
        linear = nn.Linear(self.in_features, self.out_features)
        linear.weight, linear.bias = fuse_linear_bn_weights(
            self.weight, self.bias, self.bn.running_mean, self.bn.running_var, self.bn.eps, self.bn.weight,
            self.bn.bias,
        )  # fmt: skip
        return linear
