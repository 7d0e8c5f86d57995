"""Dropout where there is none: quantised models are not trained."""

from __future__ import annotations

from torch import nn

__all__ = ["Dropout"]


class Dropout(nn.Dropout):
    """Returns its input."""

    def forward(self, input):
        """Return the input."""
        return input

    def _get_name(self):
        return "QuantizedDropout"

    @classmethod
    def from_float(cls, mod, use_precomputed_fake_quant=False):
        """Take the place of dropout."""
        return cls(mod.p, mod.inplace)

    @classmethod
    def from_reference(cls, mod, scale, zero_point):
        """Take the place of dropout."""
        return cls(mod.p, mod.inplace)
