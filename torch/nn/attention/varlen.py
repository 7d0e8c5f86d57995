"""Attention within sequences of different lengths that lie one after the other."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["varlen_attn", "varlen_attn_out", "AuxRequest"]


class AuxRequest(NamedTuple):
    """What ``varlen_attn`` shall return beside the output."""

    lse: bool = False


def _window(queries: int, keys: int, window_size: tuple[int, int], device: torch.device) -> Tensor | None:
    """Which keys each query sees; places are counted from the end of both. None if it sees all."""
    left, right = window_size
    if left < 0 and right < 0:
        return None
    at = torch.arange(queries, device=device).unsqueeze(1) + (keys - queries)
    places = torch.arange(keys, device=device)
    seen = torch.ones(queries, keys, dtype=torch.bool, device=device)
    if left >= 0:
        seen &= places >= at - left
    if right >= 0:
        seen &= places <= at + right
    return seen


def varlen_attn(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    cu_seq_q: Tensor,
    cu_seq_k: Tensor | None,
    max_q: int,
    max_k: int,
    *,
    return_aux: AuxRequest | None = None,
    scale: float | None = None,
    window_size: tuple[int, int] = (-1, -1),
    enable_gqa: bool = False,
    seqused_k: Tensor | None = None,
    block_table: Tensor | None = None,
    num_splits: int | None = None,
) -> Tensor | tuple[Tensor, Tensor]:
    """Attention of each sequence to its own keys.

    ``query`` is (all queries, Hq, D), ``key`` and ``value`` (all keys, Hkv, D); sequence i has the rows from
    ``cu_seq_q[i]`` to ``cu_seq_q[i + 1]``, and so for the keys, of which only the first ``seqused_k[i]`` count if that
    is given. ``window_size`` is how many keys before and after its place a query sees, -1 for all: (-1, 0) is causal.
    The output is (all queries, Hq, D); with ``return_aux=AuxRequest(lse=True)`` the log-sum-exp (Hq, all queries)
    follows, in float32. ``max_q``, ``max_k`` and ``num_splits`` are for GPU kernels and change nothing here.

    Raises NotImplementedError for keys in blocks (``block_table``); ValueError if the numbers of heads don't fit.

    >>> from torch.nn.attention.varlen import varlen_attn
    >>> x = torch.tensor([[[1.0]], [[2.0]], [[5.0]]])
    >>> varlen_attn(torch.zeros(3, 1, 1), x, x, torch.tensor([0, 2, 3]), torch.tensor([0, 2, 3]), 2, 2).flatten()
    tensor([1.5000, 1.5000, 5.0000])
    """
    if block_table is not None:
        raise NotImplementedError("varlen_attn: keys in blocks (block_table) are not supported")
    heads, kv_heads = query.shape[1], key.shape[1]
    if heads != kv_heads and not (enable_gqa and heads % kv_heads == 0):
        raise ValueError(
            f"varlen_attn: expected as many heads in query and key, or enable_gqa=True and a multiple, but got {heads} "
            f"and {kv_heads}"
        )
    scale = 1.0 / math.sqrt(query.shape[-1]) if scale is None else scale
    bounds_q = cu_seq_q.tolist()
    bounds_k = bounds_q if cu_seq_k is None else cu_seq_k.tolist()
    used = None if seqused_k is None else seqused_k.tolist()
    parts, sums = [], []
    for i, (start, stop) in enumerate(zip(bounds_q, bounds_q[1:], strict=False)):
        first, last = bounds_k[i], bounds_k[i + 1]
        last = last if used is None else first + used[i]
        q = query[start:stop].transpose(0, 1)
        k, v = (t[first:last].transpose(0, 1).repeat_interleave(heads // kv_heads, 0) for t in (key, value))
        working = torch.promote_types(query.dtype, torch.float32)
        scores = (q.to(working) @ k.to(working).mT) * scale
        seen = _window(stop - start, last - first, window_size, query.device)
        if seen is not None:
            scores = scores.masked_fill(~seen, -math.inf)
        total = torch.logsumexp(scores, -1)
        # A query that sees no key has no weights at all.
        weights = (scores - total.masked_fill(total == -math.inf, 0.0).unsqueeze(-1)).exp()
        parts.append((weights @ v.to(working)).to(query.dtype).transpose(0, 1))
        sums.append(total)
    out = torch.cat(parts) if parts else query.new_zeros(0, heads, value.shape[-1])
    if return_aux is None or not return_aux.lse:
        return out
    return out, (torch.cat(sums, 1) if sums else query.new_zeros(heads, 0)).to(torch.float32)


def varlen_attn_out(
    out: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    cu_seq_q: Tensor,
    cu_seq_k: Tensor | None,
    max_q: int,
    max_k: int,
    *,
    return_aux: AuxRequest | None = None,
    scale: float | None = None,
    window_size: tuple[int, int] = (-1, -1),
    enable_gqa: bool = False,
    seqused_k: Tensor | None = None,
    block_table: Tensor | None = None,
    num_splits: int | None = None,
) -> Tensor | tuple[Tensor, Tensor]:
    """``varlen_attn`` into the tensor ``out``, without gradients."""
    with torch.no_grad():
        result = varlen_attn(
            query,
            key,
            value,
            cu_seq_q,
            cu_seq_k,
            max_q,
            max_k,
            return_aux=return_aux,
            scale=scale,
            window_size=window_size,
            enable_gqa=enable_gqa,
            seqused_k=seqused_k,
            block_table=block_table,
            num_splits=num_splits,
        )
        if isinstance(result, tuple):
            return out.copy_(result[0]), result[1]
        return out.copy_(result)
