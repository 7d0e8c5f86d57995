"""Pieces that overlap."""

from __future__ import annotations

from .metadata import ChunkStorageMetadata

__all__ = ["overlap"]


def overlap(mine: ChunkStorageMetadata, stored: ChunkStorageMetadata) -> tuple[list[int], list[int], list[int]] | None:
    """Where two pieces of one tensor overlap: its beginning in each of them, and its lengths; None if they do not.

    >>> from torch import Size
    >>> from torch.distributed.checkpoint import ChunkStorageMetadata
    >>> from torch.distributed.checkpoint.resharding import overlap
    >>> overlap(ChunkStorageMetadata(Size([2]), Size([4])), ChunkStorageMetadata(Size([4]), Size([4])))
    ([2], [0], [2])
    """
    pairs = list(zip(mine.offsets, mine.sizes, stored.offsets, stored.sizes, strict=True))
    starts = [max(a, b) for a, _, b, _ in pairs]
    lengths = [min(a + m, b + n) - start for start, (a, m, b, n) in zip(starts, pairs, strict=True)]
    if any(length <= 0 for length in lengths):
        return None
    here = [start - offset for start, offset in zip(starts, mine.offsets, strict=True)]
    there = [start - offset for start, offset in zip(starts, stored.offsets, strict=True)]
    return here, there, lengths
