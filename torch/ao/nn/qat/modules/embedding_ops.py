"""Embeddings that round their rows as quantising would."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's name here
from torch import Tensor, nn

from .linear import _factory, check_qat_source


def _check_qscheme(name, qconfig):
    if not qconfig:
        raise AssertionError("qconfig must be provided for QAT module")
    scheme = qconfig.weight().qscheme
    if scheme is not torch.per_channel_affine_float_qparams:
        raise AssertionError(
            f"{name} weights requires a qscheme of torch.per_channel_affine_float_qparams Got " + str(scheme)
        )


class Embedding(nn.Embedding):
    """``nn.Embedding`` whose rows are rounded by ``weight_fake_quant``, each with a scale of its own.

    Raises:
        AssertionError: without ``qconfig``, or if its weights are of another kind than
            ``torch.per_channel_affine_float_qparams``.
    """

    _FLOAT_MODULE = nn.Embedding

    def __init__(
        self, num_embeddings, embedding_dim, padding_idx=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False,
        sparse=False, _weight=None, device=None, dtype=None, qconfig=None,
    ) -> None:  # fmt: skip
        super().__init__(
            num_embeddings, embedding_dim, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse, _weight,
            device=device, dtype=dtype,
        )  # fmt: skip
        _check_qscheme("Embedding", qconfig)
        self.qconfig = qconfig
        self.weight_fake_quant = qconfig.weight(**_factory(device, dtype))

    def forward(self, input) -> Tensor:
        """The rounded rows at the given indices."""
        return F.embedding(
            input, self.weight_fake_quant(self.weight), self.padding_idx, self.max_norm, self.norm_type,
            self.scale_grad_by_freq, self.sparse,
        )  # fmt: skip

    @classmethod
    def from_float(cls, mod, use_precomputed_fake_quant=False):
        """Take the place of an embedding, and have its rows; AssertionError for another module."""
        check_qat_source(mod, (cls, cls._FLOAT_MODULE))
        _check_qscheme("Embedding", mod.qconfig)
        return cls(
            mod.num_embeddings, mod.embedding_dim, mod.padding_idx, mod.max_norm, mod.norm_type,
            mod.scale_grad_by_freq, mod.sparse, mod.weight, mod.weight.device, mod.weight.dtype, mod.qconfig,
        )  # fmt: skip

    def to_float(self):
        """An embedding with these rows."""
        return nn.Embedding(
            self.num_embeddings, self.embedding_dim, self.padding_idx, self.max_norm, self.norm_type,
            self.scale_grad_by_freq, self.sparse, self.weight.detach(), self.weight.device, self.weight.dtype,
        )  # fmt: skip


class EmbeddingBag(nn.EmbeddingBag):
    """``nn.EmbeddingBag`` whose rows are rounded by ``weight_fake_quant``, each with a scale of its own.

    Raises:
        AssertionError: as ``Embedding``.
    """

    _FLOAT_MODULE = nn.EmbeddingBag

    def __init__(
        self, num_embeddings, embedding_dim, max_norm=None, norm_type=2.0, scale_grad_by_freq=False, mode="mean",
        sparse=False, _weight=None, include_last_offset=False, padding_idx=None, qconfig=None, device=None, dtype=None,
    ) -> None:  # fmt: skip
        super().__init__(
            num_embeddings, embedding_dim, max_norm, norm_type, scale_grad_by_freq, mode, sparse, _weight,
            include_last_offset, padding_idx, device=device, dtype=dtype,
        )  # fmt: skip
        _check_qscheme("Embedding Bag", qconfig)
        self.qconfig = qconfig
        self.weight_fake_quant = qconfig.weight(**_factory(device, dtype))

    def forward(self, input, offsets=None, per_sample_weights=None) -> Tensor:
        """Sums or means of the rounded rows at the given indices."""
        return F.embedding_bag(
            input, self.weight_fake_quant(self.weight), offsets, self.max_norm, self.norm_type,
            self.scale_grad_by_freq, self.mode, self.sparse, per_sample_weights, self.include_last_offset,
            self.padding_idx,
        )  # fmt: skip

    @classmethod
    def from_float(cls, mod, use_precomputed_fake_quant=False):
        """Take the place of an embedding bag, and have its rows; AssertionError for another module."""
        check_qat_source(mod, (cls, cls._FLOAT_MODULE))
        _check_qscheme("Embedding Bag", mod.qconfig)
        return cls(
            mod.num_embeddings, mod.embedding_dim, mod.max_norm, mod.norm_type, mod.scale_grad_by_freq, mod.mode,
            mod.sparse, mod.weight, mod.include_last_offset, mod.padding_idx, mod.qconfig, mod.weight.device,
            mod.weight.dtype,
        )  # fmt: skip

    def to_float(self):
        """An embedding bag with these rows."""
        return nn.EmbeddingBag(
            self.num_embeddings, self.embedding_dim, self.max_norm, self.norm_type, self.scale_grad_by_freq, self.mode,
            self.sparse, self.weight.detach(), self.include_last_offset, self.padding_idx, self.weight.device,
            self.weight.dtype,
        )  # fmt: skip
