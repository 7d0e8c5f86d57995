"""Embeddings with quantised rows, which give float32."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .utils import _hide_packed_params_repr, _quantize_weight

__all__ = ["EmbeddingPackedParams", "Embedding", "EmbeddingBag"]

_DTYPES = (torch.quint8, torch.quint4x2)


class EmbeddingPackedParams(nn.Module):
    """Holds the packed rows of an embedding.

    Args:
        num_embeddings: the number of rows.
        embedding_dim: their length.
        dtype: ``torch.quint8`` or ``torch.quint4x2``.

    Raises:
        NotImplementedError: for other dtypes.
    """

    _version = 1

    def __init__(self, num_embeddings, embedding_dim, dtype=torch.quint8):
        super().__init__()
        self.dtype = dtype
        if dtype not in _DTYPES:
            raise NotImplementedError(
                f"Unsupported dtype on quantized embedding! Supports quint8 and quint4x2. Got dtype: {dtype}"
            )
        self.set_weight(_empty_rows(num_embeddings, embedding_dim, dtype))

    def set_weight(self, weight: Tensor) -> None:
        """Pack rows."""
        self._packed_weight = torch.ops.quantized.embedding_bag_prepack(weight)

    def _weight(self):
        return self._packed_weight.unpack()

    def forward(self, x):
        """Return the input."""
        return x

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[prefix + "dtype"] = self.dtype
        destination[prefix + "_packed_weight"] = self._weight()

    def _load_from_state_dict(
        self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
    ):
        self.dtype = state_dict.pop(prefix + "dtype")
        self.set_weight(state_dict.pop(prefix + "_packed_weight"))
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, False, missing_keys, unexpected_keys, error_msgs
        )

    def __repr__(self):
        return repr(self._weight())


def _empty_rows(count, width, dtype):
    return torch._empty_per_channel_affine_quantized(
        [count, width], scales=torch.ones(count), zero_points=torch.zeros(count, dtype=torch.float), axis=0, dtype=dtype
    )


class Embedding(nn.Module):
    """``nn.Embedding`` with quantised rows.

    Args:
        num_embeddings: the number of rows.
        embedding_dim: their length.
        padding_idx: ignored, as are the four after it: there are no gradients.
        max_norm: ignored.
        norm_type: ignored.
        scale_grad_by_freq: ignored.
        sparse: ignored.
        _weight: quantised rows.
        dtype: ``torch.quint8`` or ``torch.quint4x2``.

    Raises:
        AssertionError: if ``_weight`` has another shape.
    """

    _version = 1

    def __init__(
        self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None, max_norm: float | None = None,
        norm_type: float = 2.0, scale_grad_by_freq: bool = False, sparse: bool = False, _weight: Tensor | None = None,
        dtype=torch.quint8,
    ) -> None:  # fmt: skip
        super().__init__()
        self.num_embeddings, self.embedding_dim, self.dtype = num_embeddings, embedding_dim, dtype
        if _weight is None:
            weight = _empty_rows(num_embeddings, embedding_dim, dtype)
        else:
            if list(_weight.shape) != [num_embeddings, embedding_dim]:
                raise AssertionError("Shape of weight does not match num_embeddings and embedding_dim")
            weight = _weight
        self._packed_params = EmbeddingPackedParams(num_embeddings, embedding_dim, dtype)
        self._packed_params.set_weight(weight)

    def forward(self, indices: Tensor) -> Tensor:
        """The rows at indices (...), as float32 (..., width)."""
        name = "embedding_4bit" if self.dtype == torch.quint4x2 else "embedding_byte"
        return getattr(torch.ops.quantized, name)(self._packed_params._packed_weight, indices)

    def _get_name(self):
        return "QuantizedEmbedding"

    def __repr__(self):
        return _hide_packed_params_repr(self, EmbeddingPackedParams)

    def extra_repr(self):
        return (
            f"num_embeddings={self.num_embeddings}, embedding_dim={self.embedding_dim}, "
            f"dtype={self._packed_params.dtype}, qscheme={self.weight().qscheme()}"
        )

    def set_weight(self, w: Tensor) -> None:
        """Take quantised rows."""
        self._packed_params.set_weight(w)

    def weight(self):
        """The quantised rows."""
        return self._packed_params._weight()

    @classmethod
    def from_float(cls, mod, use_precomputed_fake_quant=False):
        """Take the place of an embedding, with its rows quantised each by its own range.

        Raises:
            AssertionError: for another module, and a qconfig whose weights are of another kind.
        """
        from torch.ao.quantization.qconfig import float_qparams_weight_only_qconfig

        rows = _rows_of(cls, mod, nn.Embedding, float_qparams_weight_only_qconfig, use_precomputed_fake_quant)
        result = cls(mod.num_embeddings, mod.embedding_dim, dtype=rows.dtype)
        result.set_weight(rows)
        return result

    @classmethod
    def from_reference(cls, ref_embedding):
        """Take the place of a reference module."""
        return cls(
            ref_embedding.num_embeddings, ref_embedding.embedding_dim, ref_embedding.padding_idx,
            ref_embedding.max_norm, ref_embedding.norm_type, ref_embedding.scale_grad_by_freq, ref_embedding.sparse,
            ref_embedding.get_quantized_weight(), ref_embedding.weight_dtype,
        )  # fmt: skip


def _rows_of(cls, mod, kind, default, use_precomputed_fake_quant):
    if hasattr(mod, "weight_fake_quant"):
        observer = mod.weight_fake_quant
    else:
        if type(mod) is not kind:
            raise AssertionError(f"nnq.{cls.__name__}.from_float only works for {kind.__name__}")
        if not hasattr(mod, "qconfig"):
            raise AssertionError(f"{kind.__name__} input float module must have qconfig defined")
        qconfig = mod.qconfig
        made = None if qconfig is None else qconfig.weight
        observer = default.weight() if made is None else made()
    if observer.dtype not in _DTYPES:
        raise AssertionError(
            f"The only supported dtype for {cls.__name__} weights is quint8 and quint4x2, got {observer.dtype}"
        )
    if not use_precomputed_fake_quant:
        observer(mod.weight)
    return _quantize_weight(mod.weight.float(), observer)


class EmbeddingBag(Embedding):
    """``nn.EmbeddingBag`` with quantised rows, for sums."""

    _version = 1

    def __init__(
        self, num_embeddings: int, embedding_dim: int, max_norm: float | None = None, norm_type: float = 2.0,
        scale_grad_by_freq: bool = False, mode: str = "sum", sparse: bool = False, _weight: Tensor | None = None,
        include_last_offset: bool = False, dtype=torch.quint8,
    ) -> None:  # fmt: skip
        super().__init__(num_embeddings, embedding_dim, _weight=_weight, dtype=dtype)
        self.mode, self.pruned_weights = mode, False
        self.include_last_offset = include_last_offset

    def forward(
        self, indices: Tensor, offsets: Tensor | None = None, per_sample_weights: Tensor | None = None,
        compressed_indices_mapping: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """Sums of rows, as ``torch.ops.quantized.embedding_bag_byte``."""
        name = "embedding_bag_4bit" if self.dtype == torch.quint4x2 else "embedding_bag_byte"
        return getattr(torch.ops.quantized, name)(
            self._packed_params._packed_weight, indices, offsets, False, 0, self.pruned_weights, per_sample_weights,
            compressed_indices_mapping, self.include_last_offset,
        )  # fmt: skip

    def _get_name(self):
        return "QuantizedEmbeddingBag"

    @classmethod
    def from_float(cls, mod, use_precomputed_fake_quant=False):
        """Take the place of an embedding bag, with its rows quantised each by its own range; as ``Embedding``."""
        from torch.ao.quantization.qconfig import float_qparams_weight_only_qconfig

        rows = _rows_of(cls, mod, nn.EmbeddingBag, float_qparams_weight_only_qconfig, use_precomputed_fake_quant)
        result = cls(
            mod.num_embeddings, mod.embedding_dim, mod.max_norm, mod.norm_type, mod.scale_grad_by_freq, mod.mode,
            mod.sparse, include_last_offset=mod.include_last_offset, dtype=rows.dtype,
        )  # fmt: skip
        result.set_weight(rows)
        return result

    @classmethod
    def from_reference(cls, ref_embedding_bag):
        """Take the place of a reference module."""
        return cls(
            ref_embedding_bag.num_embeddings, ref_embedding_bag.embedding_dim, ref_embedding_bag.max_norm,
            ref_embedding_bag.norm_type, ref_embedding_bag.scale_grad_by_freq, ref_embedding_bag.mode,
            ref_embedding_bag.sparse, ref_embedding_bag.get_quantized_weight(), ref_embedding_bag.include_last_offset,
            ref_embedding_bag.weight_dtype,
        )  # fmt: skip
