"""Embeddings with quantised rows: ``torch.ops.quantized.embedding_byte`` and its kin."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .packed import _ScriptObject
from .tensor import QuantizedTensor


class EmbeddingPackedParams(_ScriptObject):
    """The rows of an embedding, each with a scale and a zero point of its own."""

    _kind = "EmbeddingPackedParamsBase"

    def __init__(self, weight: QuantizedTensor) -> None:
        scheme = weight.qscheme()
        if scheme is not torch.per_channel_affine_float_qparams:
            raise RuntimeError(
                "Expect embedding_bag weights to be quantized using kPerChannelAffineFloatQParams\n"
                f"They are quantized using {scheme}"
            )
        self._weight = weight

    def unpack(self) -> QuantizedTensor:
        """The rows."""
        return self._weight

    def bit_rate(self) -> int:
        """Bits per number."""
        return {torch.quint8: 8, torch.quint4x2: 4, torch.quint2x4: 2}[self._weight.dtype]

    def __reduce__(self) -> Any:
        return EmbeddingPackedParams, (self._weight,)

    def parts(self, indices: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of the rows at some indices the integers, the scale and what is added; float16 for less than a byte."""
        quantizer = self._weight._quantizer
        scales, offsets = quantizer.scales, -quantizer.zero_points * quantizer.scales
        if self.bit_rate() < 8:
            scales, offsets = scales.half(), offsets.half()
        chosen = indices.long()
        return (
            self._weight.integers[chosen].double(),
            scales.double()[chosen].unsqueeze(-1),
            offsets.double()[chosen].unsqueeze(-1),
        )


def embedding_bag_prepack(weight: QuantizedTensor) -> EmbeddingPackedParams:
    """Pack rows that are quantised each by its own scale and floating-point zero point."""
    return EmbeddingPackedParams(weight)


def embedding_bag_unpack(W_prepack: EmbeddingPackedParams) -> QuantizedTensor:
    """The rows of packed parameters."""
    return W_prepack.unpack()


def embedding(weight: EmbeddingPackedParams, indices: Tensor, pruned_weights: bool = False) -> Tensor:
    """The rows at some indices, in float32: (...) to (..., width)."""
    integers, scales, offsets = weight.parts(indices)
    return (integers * scales + offsets).float()


def embedding_bag(
    weight: EmbeddingPackedParams, indices: Tensor, offsets: Tensor | None = None, scale_grad_by_freq: bool = False,
    mode: int = 0, pruned_weights: bool = False, per_sample_weights: Tensor | None = None,
    compressed_indices_mapping: Tensor | None = None, include_last_offset: bool = False,
) -> Tensor:  # fmt: skip
    """Sums of rows, in float32: (bags, width).

    Args:
        weight: packed rows.
        indices: (N,) with ``offsets``, (bags, n) without.
        offsets: (bags,), where each bag starts; with ``include_last_offset`` also where the last one ends.
        scale_grad_by_freq: ignored: there are no gradients.
        mode: 0, for sums.
        pruned_weights: not supported.
        per_sample_weights: factors of the rows, as many as ``indices``.
        compressed_indices_mapping: not supported.
        include_last_offset: see ``offsets``.

    Raises:
        NotImplementedError: for pruned weights.
        RuntimeError: for another mode than 0, and without offsets where ``indices`` are a vector.
    """
    if pruned_weights or compressed_indices_mapping is not None:
        raise NotImplementedError("torch.ops.quantized.embedding_bag: pruned weights are not part of Tabula yet")
    if mode != 0:
        raise RuntimeError("embedding_bag_byte: only mode 0 (sum) is supported")
    starts = _starts(indices, offsets, include_last_offset)
    integers, scales, rest = weight.parts(indices.reshape(-1))
    if per_sample_weights is not None:
        factors = per_sample_weights.reshape(-1, 1).float()
        scales = (scales.float() * factors).double()
        rest = (rest.float() * factors).double()
    lengths = starts.diff()
    total = torch.zeros(lengths.numel(), integers.shape[-1])
    # one row of every bag at a time, each a fused multiplication and addition
    for k in range(int(lengths.max()) if lengths.numel() else 0):
        bags = (lengths > k).nonzero().flatten()
        at = starts[bags] + k
        shifted = (total[bags].double() + rest[at]).float().double()
        total[bags] = (integers[at] * scales[at] + shifted).float()
    return total


def _starts(indices: Tensor, offsets: Tensor | None, include_last_offset: bool) -> Tensor:
    """Where bags start, and where the last one ends."""
    if indices.dim() == 2:
        return torch.arange(indices.shape[0] + 1) * indices.shape[1]
    if offsets is None:
        raise RuntimeError("embedding_bag_byte expects offsets to be set for 1D indices.")
    offsets = offsets.long()
    return offsets if include_last_offset else torch.cat([offsets, torch.tensor([indices.numel()])])
