"""Attention over the rows of a block mask, each with all its blocks at once."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ._block_mask import noop_mask, ordered_to_dense

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from ._block_mask import BlockMask, MaskMod

    ScoreMod = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]


def over_places(function: Callable[..., Any], leading: int) -> Callable[..., Any]:
    """``function(*scores, b, h, q, kv)`` of numbers, as one of (B, H, Q, K) and four lists of indices."""
    for place in (3, 2, 1, 0):
        in_dims = (0,) * leading + tuple(0 if i == place else None for i in range(4))
        function = torch.vmap(function, in_dims=in_dims)
    return function


_QUERIES = 256


class Row(NamedTuple):
    """One row of blocks: which queries and keys take part, and which blocks of them need a mask."""

    queries: slice
    keys: Tensor | None
    mask: Tensor | None


class Attention:
    """Attention over the rows of a block mask. ``score_mod`` and ``mask_mod`` see the places of the whole matrix."""

    def __init__(
        self, query: Tensor, key: Tensor, value: Tensor, score_mod: ScoreMod | None, mask_mod: MaskMod, scale: float
    ) -> None:
        working = torch.float64 if query.dtype == torch.float64 else torch.float32
        batches, heads, self.q_len, _ = query.shape
        self.kv_heads, self.kv_len = key.shape[1:3]
        self.batches, self.heads = batches, heads
        self.result_dtype = query.dtype
        self.group = heads // self.kv_heads if self.kv_heads else 1
        self.query, self.key, self.value = query.to(working), key.to(working), value.to(working)
        self.score_mod, self.mask_mod, self.scale = score_mod, mask_mod, scale
        self.places = [torch.arange(size, device=query.device) for size in (batches, heads, self.q_len, self.kv_len)]

    def _grouped(self, tensor: Tensor, other: Tensor) -> Tensor:
        """The product of (B, H, Q, ...) with keys or values whose heads serve ``group`` queries' heads each."""
        if self.group == 1:
            return tensor @ other
        split = tensor.unflatten(1, (self.kv_heads, self.group))
        return (split @ other.unsqueeze(2)).flatten(1, 2)

    def _scores(self, row: Row) -> Tensor:
        key = self.key if row.keys is None else self.key.index_select(2, row.keys)
        scores = self._grouped(self.query[:, :, row.queries], key.transpose(-2, -1)) * self.scale
        if self.score_mod is None and row.mask is None:
            return scores
        b, h, q, kv = self.places
        at = (b, h, q[row.queries], kv if row.keys is None else row.keys)
        if self.score_mod is not None:
            scores = over_places(self.score_mod, 1)(scores, *at).to(scores.dtype)
        if row.mask is not None:
            scores = scores.masked_fill(~(row.mask & over_places(self.mask_mod, 0)(*at)), -math.inf)
        return scores

    def row(self, row: Row, want_lse: bool, want_max: bool) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Outputs (B, H, q, Ev), log-sum-exp and maxima (B, H, q) of one row of blocks."""
        value = self.value if row.keys is None else self.value.index_select(2, row.keys)
        scores = self._scores(row)
        if not scores.shape[-1]:
            raise IndexError("max(): Expected reduction dim 3 to have non-zero size.")
        highest = scores.amax(-1, keepdim=True)
        lse = largest = None
        if self.score_mod is None and row.mask is None:
            weights = torch.softmax(scores, -1)
            if want_lse:
                lse = torch.logsumexp(scores, -1)
        else:
            # A query that sees nothing has the output 0 and the log-sum-exp -inf, and no gradient that isn't a number.
            blind = highest == -math.inf
            seen = scores.masked_fill(blind, 0.0)
            weights = torch.softmax(seen, -1).masked_fill(blind, 0.0)
            if want_lse:
                lse = torch.logsumexp(seen, -1).masked_fill(blind.squeeze(-1), -math.inf)
        if want_max:
            largest = highest.squeeze(-1)
        return self._grouped(weights, value).to(self.result_dtype), lse, largest

    def nothing(self, queries: slice, want_lse: bool, want_max: bool) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """The result of queries that see no block: a sum over no keys, whose gradients are zero."""
        query = self.query[:, :, queries]
        scores = self._grouped(query, self.key[:, :, :0].transpose(-2, -1))
        out = self._grouped(scores, self.value[:, :, :0]).to(self.result_dtype)
        low = self.query.new_full(out.shape[:3], -math.inf)
        return out, low if want_lse else None, low if want_max else None


def _matched(flags: Tensor, size: int, dim: int) -> Tensor:
    """Repeat (or cut) a dimension of a mask to the number of batches or heads."""
    if flags.shape[dim] in (1, size):
        return flags
    return flags.index_select(dim, torch.arange(size, device=flags.device) % flags.shape[dim])


def _rows(block_mask: BlockMask, attention: Attention) -> Iterator[Row | slice]:
    """The rows of a mask, one after the other; of one without blocks only the queries."""
    height, width = block_mask.BLOCK_SIZE
    some = ordered_to_dense(block_mask.kv_num_blocks, block_mask.kv_indices).bool()
    full = torch.zeros_like(some)
    if block_mask.full_kv_num_blocks is not None and block_mask.full_kv_indices is not None:
        full = ordered_to_dense(block_mask.full_kv_num_blocks, block_mask.full_kv_indices).bool()
    some, full = (_matched(_matched(x, attention.batches, 0), attention.heads, 1) for x in (some, full))
    used = (some | full).flatten(0, 1).any(0)
    complete = full.flatten(0, 1).all(0)
    places = attention.places[3]
    always = block_mask.mask_mod is noop_mask
    for index, top in enumerate(range(0, attention.q_len, height)):
        queries = slice(top, min(top + height, attention.q_len))
        chosen = used[index].nonzero().flatten().tolist() if index < used.shape[0] else []
        parts = [places[c * width : (c + 1) * width] for c in chosen]
        keys = torch.cat(parts) if parts else places[:0]
        if not keys.numel():
            yield queries
            continue
        everything = keys.numel() == attention.kv_len
        needs_mask = [c for c in chosen if not complete[index, c]]
        mask = None
        if needs_mask and not (always and bool((some | full)[:, :, index, chosen].all())):
            computed = (some | full)[:, :, index].index_select(-1, keys // width)
            mask = computed.unsqueeze(-2)
        yield Row(queries, None if everything else keys, mask)


def attend(
    attention: Attention, block_mask: BlockMask | None, want_lse: bool, want_max: bool
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    if block_mask is None:
        # Without a mask the rows are cut for the cache's sake alone.
        starts = range(0, max(attention.q_len, 1), _QUERIES)
        rows = (Row(slice(start, start + _QUERIES), None, None) for start in starts)
    else:
        rows = _rows(block_mask, attention)
    parts = [
        attention.nothing(row, want_lse, want_max) if isinstance(row, slice) else attention.row(row, want_lse, want_max)
        for row in rows
    ]
    if not parts:
        return attention.nothing(slice(0), want_lse, want_max)
    out, lse, largest = zip(*parts, strict=True)
    return torch.cat(out, 2), torch.cat(lse, 2) if want_lse else None, torch.cat(largest, 2) if want_max else None


def laid_out_like(result: Tensor, query: Tensor) -> Tensor:
    """The result with its dimensions in the memory order of the query's."""
    strides = query.stride()
    order = sorted(range(result.dim()), key=lambda dim: (-strides[dim], dim))
    if order == [0, 1, 2, 3]:
        return result
    back = sorted(range(result.dim()), key=order.__getitem__)
    return result.permute(order).contiguous().permute(back)
