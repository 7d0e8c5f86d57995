"""The forms of public functions that take numbers where those take names."""

from __future__ import annotations

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torch import Tensor

_GRID_MODES, _PADDINGS = ("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection")
_BAG_MODES = ("sum", "mean", "max")


def grid_sampler(
    input: Tensor, grid: Tensor, interpolation_mode: int, padding_mode: int, align_corners: bool
) -> Tensor:
    """``torch.nn.functional.grid_sample`` with modes as numbers."""
    return torch.nn.functional.grid_sample(
        input, grid, _GRID_MODES[interpolation_mode], _PADDINGS[padding_mode], align_corners
    )


grid_sampler_2d = grid_sampler_3d = grid_sampler


def affine_grid_generator(theta: Tensor, size: Sequence[int], align_corners: bool) -> Tensor:
    """``torch.nn.functional.affine_grid``."""
    return torch.nn.functional.affine_grid(theta, size, align_corners)


def _largest_rows(weight: Tensor, indices: Tensor, bag: Tensor, bags: int, counted: Tensor) -> Tensor:
    """Return, per bag and column, the row of ``weight`` that holds the maximum; 0 for an empty bag."""
    count, columns = indices.numel(), weight.shape[1]
    rows = weight.detach()[indices].masked_fill(~counted.unsqueeze(1), -torch.inf)
    spread = bag.long().unsqueeze(1).expand(count, columns)
    lowest = torch.full((bags, columns), -torch.inf, dtype=rows.dtype)
    best = lowest.scatter_reduce(0, spread, rows, "amax")
    places = torch.arange(count).unsqueeze(1).expand(count, columns)
    places = places.masked_fill((rows != best[bag.long()]) | ~counted.unsqueeze(1), count)
    first = torch.full((bags, columns), count).scatter_reduce(0, spread, places, "amin")
    return torch.cat([indices, indices.new_zeros(1)])[first]


def embedding_bag(
    weight: Tensor,
    indices: Tensor,
    offsets: Tensor,
    scale_grad_by_freq: bool = False,
    mode: int = 0,
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Sums (mode 0), means (1) or maxima (2) of rows of ``weight``, with what they were made of.

    Returns the bags (B, D); the bag of each index; how many rows each bag has; and for maxima the row (B, D) that each
    came from, the sizes again otherwise. Sums keep no record: their counts are zeros, and plain sums of floating rows
    leave the bags of the indices out as well. Raises RuntimeError for another mode.

    Example::

        >>> indices, offsets = torch.tensor([0, 1, 1]), torch.tensor([0, 2])
        >>> bags, of, sizes, _ = torch.embedding_bag(torch.eye(2), indices, offsets, mode=1)
        >>> bags
        tensor([[0.5000, 0.5000],
                [0.0000, 1.0000]])
        >>> of.tolist(), sizes.tolist()
        ([0, 0, 1], [2, 1])
    """
    if mode not in (0, 1, 2):
        raise RuntimeError("`mode` must be sum, mean, or max.")
    result = torch.nn.functional.embedding_bag(
        indices, weight, offsets, None, 2.0, scale_grad_by_freq, _BAG_MODES[mode], sparse, per_sample_weights,
        include_last_offset, padding_idx,
    )  # fmt: skip
    if mode == 0 and padding_idx is None and weight.dtype != torch.float64:
        sizes = torch.zeros_like(offsets)
        return result, indices.new_empty(0), sizes, sizes.clone()
    bags = result.shape[0]
    bag = torch.searchsorted(offsets[:bags].contiguous(), torch.arange(indices.numel()), right=True) - 1
    bag = bag.to(indices.dtype)
    if mode == 0:
        sizes = offsets.new_zeros(bags)
        return result, bag, sizes, sizes.clone()
    counted = torch.ones_like(indices, dtype=torch.bool)
    if padding_idx is not None:
        counted = indices != padding_idx % weight.shape[0]
    sizes = offsets.new_zeros(bags).index_add(0, bag, counted.to(offsets.dtype))
    if mode == 1:
        return result, bag, sizes, sizes.clone()
    return result, bag, sizes, _largest_rows(weight, indices, bag, bags, counted)


def native_channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """``torch.nn.functional.channel_shuffle``."""
    return torch.nn.functional.channel_shuffle(input, groups)


def _parts(input: Tensor, sizes: Iterable[int], dim: int) -> tuple[Tensor, ...]:
    """Parts that may be written to one by one: each has memory of its own, so that no write spoils what is saved."""
    parts, start = [], 0
    for size in sizes:
        parts.append(input.narrow(dim, start, size).clone())
        start += size
    return tuple(parts)


def unsafe_chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """``torch.chunk`` whose results may be written to."""
    return _parts(input, (part.size(dim) for part in input.detach().chunk(chunks, dim)), dim)


def unsafe_split(input: Tensor, split_size: int, dim: int = 0) -> tuple[Tensor, ...]:
    """``torch.split`` whose results may be written to."""
    return _parts(input, (part.size(dim) for part in input.detach().split(split_size, dim)), dim)


def unsafe_split_with_sizes(input: Tensor, split_sizes: Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """``torch.split`` with a list of sizes, whose results may be written to."""
    return _parts(input, (part.size(dim) for part in input.detach().split(list(split_sizes), dim)), dim)


def detach_(input: Tensor) -> Tensor:
    """``Tensor.detach_``."""
    return input.detach_()


def as_strided_(input: Tensor, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None) -> Tensor:
    """``Tensor.as_strided_``."""
    return input.as_strided_(size, stride, storage_offset)


def ldexp_(input: Tensor, other: Tensor) -> Tensor:
    """``Tensor.ldexp_``."""
    return input.ldexp_(other)
