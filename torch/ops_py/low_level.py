"""The forms of public functions that take numbers where those take names."""

from __future__ import annotations

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

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
) -> Tensor:
    """``torch.nn.functional.embedding_bag`` with the weight first and the mode as a number; the bags alone."""
    return torch.nn.functional.embedding_bag(
        indices, weight, offsets, None, 2.0, scale_grad_by_freq, _BAG_MODES[mode], sparse, per_sample_weights,
        include_last_offset, padding_idx,
    )  # fmt: skip


def native_channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """``torch.nn.functional.channel_shuffle``."""
    return torch.nn.functional.channel_shuffle(input, groups)


def unsafe_chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Any, ...]:
    """``torch.chunk``; PyTorch's own may be written to in place more freely."""
    return input.chunk(chunks, dim)


def unsafe_split(input: Tensor, split_size: int, dim: int = 0) -> tuple[Any, ...]:
    """``torch.split``; PyTorch's own may be written to in place more freely."""
    return input.split(split_size, dim)


def unsafe_split_with_sizes(input: Tensor, split_sizes: Sequence[int], dim: int = 0) -> tuple[Any, ...]:
    """``torch.split`` with a list of sizes; PyTorch's own may be written to in place more freely."""
    return input.split(list(split_sizes), dim)


def detach_(input: Tensor) -> Tensor:
    """``Tensor.detach_``."""
    return input.detach_()


def as_strided_(input: Tensor, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None) -> Tensor:
    """``Tensor.as_strided_``."""
    return input.as_strided_(size, stride, storage_offset)


def ldexp_(input: Tensor, other: Tensor) -> Tensor:
    """``Tensor.ldexp_``."""
    return input.ldexp_(other)
