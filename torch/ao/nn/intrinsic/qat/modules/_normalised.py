"""What layers with batch normalisation share while they are trained for quantisation."""

from __future__ import annotations

import math

from torch.nn import init

__all__ = ["NormalisedLayer"]


class NormalisedLayer:
    """A layer with ``weight``, ``bias`` and a batch normalisation ``bn``, whose statistics can be frozen."""

    def reset_running_stats(self):
        """Forget the running statistics."""
        self.bn.reset_running_stats()

    def reset_bn_parameters(self):
        """Initialise the batch normalisation, and the bias."""
        self.bn.reset_running_stats()
        init.uniform_(self.bn.weight)
        init.zeros_(self.bn.bias)
        if self.bias is not None:
            fan_in, _ = init._calculate_fan_in_and_fan_out(self.weight)
            bound = 1 / math.sqrt(fan_in)
            init.uniform_(self.bias, -bound, bound)

    def update_bn_stats(self):
        """Normalise by the batch's statistics from now on."""
        self.freeze_bn = False
        self.bn.training = True
        return self

    def freeze_bn_stats(self):
        """Normalise by the running statistics from now on."""
        self.freeze_bn = True
        self.bn.training = False
        return self

    def train(self, mode=True):
        """Switch between training and evaluation; frozen statistics stay frozen."""
        self.training = mode
        if not self.freeze_bn:
            for module in self.children():
                module.train(mode)
        return self
