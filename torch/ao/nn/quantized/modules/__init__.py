"""Modules that compute with quantised tensors."""

from __future__ import annotations

import torch
from torch.nn.modules.pooling import MaxPool2d as MaxPool2d

from .activation import ELU, Hardswish, LeakyReLU, MultiheadAttention, PReLU, ReLU6, Sigmoid, Softmax
from .batchnorm import BatchNorm2d, BatchNorm3d
from .conv import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from .dropout import Dropout
from .embedding_ops import Embedding, EmbeddingBag
from .functional_modules import FloatFunctional, FXFloatFunctional, QFunctional
from .linear import Linear
from .normalization import GroupNorm, InstanceNorm1d, InstanceNorm2d, InstanceNorm3d, LayerNorm
from .rnn import LSTM
from .utils import activation_qparams

__all__ = [
    "BatchNorm2d",
    "BatchNorm3d",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "DeQuantize",
    "ELU",
    "Embedding",
    "EmbeddingBag",
    "GroupNorm",
    "Hardswish",
    "InstanceNorm1d",
    "InstanceNorm2d",
    "InstanceNorm3d",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LSTM",
    "MultiheadAttention",
    "Quantize",
    "ReLU6",
    "Sigmoid",
    "Softmax",
    "Dropout",
    "PReLU",
    "FloatFunctional",
    "FXFloatFunctional",
    "QFunctional",
]


class Quantize(torch.nn.Module):
    """Quantises its input with one scale and zero point.

    Args:
        scale: the scale.
        zero_point: the zero point.
        dtype: the quantised dtype.
        factory_kwargs: ``device`` of the buffers.

    >>> torch.ao.nn.quantized.Quantize(0.5, 1, torch.quint8)(torch.tensor([1.0])).int_repr()
    tensor([3], dtype=torch.uint8)
    """

    scale: torch.Tensor
    zero_point: torch.Tensor

    def __init__(self, scale, zero_point, dtype, factory_kwargs=None):
        options = torch.nn.factory_kwargs(factory_kwargs)
        super().__init__()
        self.register_buffer("scale", torch.tensor([scale], **options))
        integral = {key: value for key, value in options.items() if key != "dtype"}
        self.register_buffer("zero_point", torch.tensor([zero_point], dtype=torch.long, **integral))
        self.dtype = dtype

    def forward(self, X):
        """Quantise a float32 tensor of any shape."""
        return torch.quantize_per_tensor(X, float(self.scale), int(self.zero_point), self.dtype)

    @staticmethod
    def from_float(mod, use_precomputed_fake_quant=False):
        """Take the place of a stub, with what its observer says."""
        if not hasattr(mod, "activation_post_process"):
            raise AssertionError("mod must have activation_post_process attribute")
        scale, zero_point = activation_qparams(mod.activation_post_process)
        return Quantize(scale, zero_point, mod.activation_post_process.dtype)

    def extra_repr(self):
        return f"scale={self.scale}, zero_point={self.zero_point}, dtype={self.dtype}"


class DeQuantize(torch.nn.Module):
    """Gives the real numbers of its input."""

    def forward(self, Xq):
        """Dequantise a tensor of any shape; float32."""
        return Xq.dequantize()

    @staticmethod
    def from_float(mod, use_precomputed_fake_quant=False):
        """Take the place of a stub."""
        return DeQuantize()
