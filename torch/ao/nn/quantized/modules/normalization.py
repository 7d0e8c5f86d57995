"""Normalisations of quantised tensors by their own statistics."""

from __future__ import annotations

import torch
from torch import nn

from .utils import activation_qparams

__all__ = ["LayerNorm", "GroupNorm", "InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d"]


def _set(module, weight, bias, scale, zero_point, device):
    module.weight, module.bias = weight, bias
    options = {} if device is None else {"device": device}
    module.register_buffer("scale", torch.tensor(scale, **options))
    module.register_buffer("zero_point", torch.tensor(zero_point, **options))


class LayerNorm(nn.LayerNorm):
    """``nn.LayerNorm`` of quantised tensors; ``scale`` and ``zero_point`` are those of the output."""

    def __init__(
        self, normalized_shape, weight, bias, scale, zero_point, eps=1e-5, elementwise_affine=True, device=None,
        dtype=None,
    ) -> None:  # fmt: skip
        super().__init__(normalized_shape, eps=eps, elementwise_affine=elementwise_affine, device=device, dtype=dtype)
        _set(self, weight, bias, scale, zero_point, device)

    def forward(self, input):
        """Normalise a quantised tensor; quantised."""
        return torch.ops.quantized.layer_norm(
            input, self.normalized_shape, self.weight, self.bias, self.eps, float(self.scale), int(self.zero_point)
        )

    def _get_name(self):
        return "QuantizedLayerNorm"

    @classmethod
    def from_float(cls, mod, use_precomputed_fake_quant=False):
        """Take the place of a normalisation after calibration."""
        return cls.from_reference(mod, *activation_qparams(mod.activation_post_process))

    @classmethod
    def from_reference(cls, mod, scale, zero_point):
        """Take the place of a normalisation, with the given map of the output."""
        return cls(
            mod.normalized_shape, mod.weight, mod.bias, float(scale), int(zero_point), mod.eps, mod.elementwise_affine
        )


class GroupNorm(nn.GroupNorm):
    """``nn.GroupNorm`` of quantised tensors; ``scale`` and ``zero_point`` are those of the output."""

    __constants__ = ["num_groups", "num_channels", "eps", "affine"]

    def __init__(
        self, num_groups, num_channels, weight, bias, scale, zero_point, eps=1e-5, affine=True, device=None, dtype=None
    ) -> None:
        super().__init__(num_groups, num_channels, eps, affine, device=device, dtype=dtype)
        _set(self, weight, bias, scale, zero_point, device)

    def forward(self, input):
        """Normalise a quantised tensor; quantised."""
        return torch.ops.quantized.group_norm(
            input, self.num_groups, self.weight, self.bias, self.eps, float(self.scale), int(self.zero_point)
        )

    def _get_name(self):
        return "QuantizedGroupNorm"

    @classmethod
    def from_float(cls, mod, use_precomputed_fake_quant=False):
        """Take the place of a normalisation after calibration."""
        scale, zero_point = activation_qparams(mod.activation_post_process)
        return cls(mod.num_groups, mod.num_channels, mod.weight, mod.bias, scale, zero_point, mod.eps, mod.affine)


class _InstanceNorm:
    """What the three instance normalisations share."""

    def __init__(
        self, num_features, weight, bias, scale, zero_point, eps=1e-5, momentum=0.1, affine=False,
        track_running_stats=False, device=None, dtype=None,
    ) -> None:  # fmt: skip
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device=device, dtype=dtype)
        _set(self, weight, bias, scale, zero_point, device)

    def forward(self, input):
        """Normalise a quantised tensor; quantised."""
        return torch.ops.quantized.instance_norm(
            input, self.weight, self.bias, self.eps, float(self.scale), int(self.zero_point)
        )

    @classmethod
    def from_float(cls, mod, use_precomputed_fake_quant=False):
        """Take the place of a normalisation after calibration."""
        return cls.from_reference(mod, *activation_qparams(mod.activation_post_process))

    @classmethod
    def from_reference(cls, mod, scale, zero_point):
        """Take the place of a normalisation, with the given map of the output."""
        return cls(mod.num_features, mod.weight, mod.bias, float(scale), int(zero_point), mod.eps, mod.affine)


class InstanceNorm1d(_InstanceNorm, nn.InstanceNorm1d):
    """``nn.InstanceNorm1d`` of quantised tensors; ``scale`` and ``zero_point`` are those of the output."""

    def _get_name(self):
        return "QuantizedInstanceNorm1d"


class InstanceNorm2d(_InstanceNorm, nn.InstanceNorm2d):
    """``nn.InstanceNorm2d`` of quantised tensors; ``scale`` and ``zero_point`` are those of the output."""

    def _get_name(self):
        return "QuantizedInstanceNorm2d"


class InstanceNorm3d(_InstanceNorm, nn.InstanceNorm3d):
    """``nn.InstanceNorm3d`` of quantised tensors; ``scale`` and ``zero_point`` are those of the output."""

    def _get_name(self):
        return "QuantizedInstanceNorm3d"
