"""Batch normalisation of quantised tensors, by the running statistics."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.ao.nn.intrinsic.modules import fused
from torch.nn.utils.parametrize import type_before_parametrizations

from .utils import activation_qparams

__all__ = ["BatchNorm2d", "BatchNorm3d"]


class _BatchNorm(nn.modules.batchnorm._BatchNorm):
    """What both share."""

    _operation = ""
    _NNI_BN_RELU_MODULE: Any

    def __init__(self, num_features, eps=1e-05, momentum=0.1, device=None, dtype=None) -> None:
        super().__init__(num_features, eps, momentum, True, True, device=device, dtype=dtype)
        self.register_buffer("scale", torch.tensor(1.0, device=device))
        self.register_buffer("zero_point", torch.tensor(0, device=device))

    def forward(self, input: Tensor) -> Tensor:
        """Normalise a quantised (N, C, ...); quantised."""
        return getattr(torch.ops.quantized, self._operation)(
            input, self.weight, self.bias, self.running_mean, self.running_var, self.eps, self.scale.item(),
            self.zero_point.item(),
        )  # fmt: skip

    @classmethod
    def from_float(cls, mod, use_precomputed_fake_quant=False):
        """Take the place of a normalisation after calibration, with or without ReLU."""
        scale, zero_point = activation_qparams(mod.activation_post_process)
        if type_before_parametrizations(mod) == cls._NNI_BN_RELU_MODULE:
            mod = mod[0]
        return cls.from_reference(mod, scale, zero_point)

    @classmethod
    def from_reference(cls, bn, output_scale, output_zero_point):
        """Take the place of a normalisation, with the given map of the output."""
        result = cls(bn.num_features, bn.eps, device=bn.weight.device, dtype=bn.weight.dtype)
        result.weight, result.bias = bn.weight, bn.bias
        result.running_mean, result.running_var = bn.running_mean, bn.running_var
        result.scale, result.zero_point = torch.tensor(float(output_scale)), torch.tensor(int(output_zero_point))
        return result


class BatchNorm2d(_BatchNorm):
    """``nn.BatchNorm2d`` of quantised tensors, by the running statistics."""

    _operation = "batch_norm2d"
    _NNI_BN_RELU_MODULE = fused.BNReLU2d

    def _get_name(self):
        return "QuantizedBatchNorm2d"

    def _check_input_dim(self, input):
        if len(input.shape) != 4:
            raise ValueError("Input shape must be `(N, C, H, W)`!")


class BatchNorm3d(_BatchNorm):
    """``nn.BatchNorm3d`` of quantised tensors, by the running statistics."""

    _operation = "batch_norm3d"
    _NNI_BN_RELU_MODULE = fused.BNReLU3d

    def _get_name(self):
        return "QuantizedBatchNorm3d"

    def _check_input_dim(self, input):
        if len(input.shape) != 5:
            raise ValueError("Input shape must be `(N, C, H, W)`!")
