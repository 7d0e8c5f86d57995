"""A linear layer with ReLU that rounds its weight as quantising would."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's name here
from torch.ao.nn.intrinsic.modules import fused
from torch.ao.nn.qat.modules.linear import Linear


class LinearReLU(Linear, fused._FusedModule):
    """``torch.ao.nn.qat.Linear`` and ReLU.

    Args:
        in_features: size of the inputs.
        out_features: size of the outputs.
        bias: whether there is a bias.
        qconfig: a QConfig whose ``weight`` makes a fake quantiser.
    """

    _FLOAT_MODULE = fused.LinearReLU

    def __init__(self, in_features, out_features, bias=True, qconfig=None):
        super().__init__(in_features, out_features, bias, qconfig)

    def forward(self, input):
        """The linear map with the rounded weight, without negative results."""
        return F.relu(F.linear(input, self.weight_fake_quant(self.weight), self.bias))

    @classmethod
    def from_float(cls, mod, use_precomputed_fake_quant=False):
        """Take the place of a fused linear layer with ReLU."""
        return super().from_float(mod, use_precomputed_fake_quant)

    def to_float(self):
        """A fused linear layer with ReLU and these parameters."""
        linear = torch.nn.Linear(self.in_features, self.out_features, self.bias is not None)
        linear.weight = torch.nn.Parameter(self.weight.detach())
        if self.bias is not None:
            linear.bias = torch.nn.Parameter(self.bias.detach())
        return fused.LinearReLU(linear, torch.nn.ReLU())
