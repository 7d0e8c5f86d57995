"""From one set of placements to another."""

from __future__ import annotations

import torch

from .. import _functional_collectives as functional
from .placement_types import Partial, Placement, Replicate, Shard, _StridedShard

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from torch import Tensor

__all__ = ["local_shape_and_offset", "redistribute_local"]


def local_shape_and_offset(
    shape: Sequence[int], mesh: Any, placements: Sequence[Placement], coordinate: Sequence[int] | None = None
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The shape of this process's piece, and where it begins in the whole."""
    at = mesh.get_coordinate() if coordinate is None else coordinate
    sizes, offsets = list(shape), [0] * len(shape)
    if at is None:
        return (0,), ()
    for mesh_dim, placement in enumerate(placements):
        if isinstance(placement, _StridedShard):
            whole = torch.empty(sizes[placement.dim], device="meta")
            sizes[placement.dim] = placement_of_line(placement).take(whole, mesh.size(mesh_dim), at[mesh_dim]).numel()
        elif isinstance(placement, Shard):
            dim = placement.dim
            sizes[dim], start = Shard.local_shard_size_and_offset(sizes[dim], mesh.size(mesh_dim), at[mesh_dim])
            offsets[dim] += start
    return tuple(sizes), tuple(offsets)


def placement_of_line(placement: _StridedShard) -> _StridedShard:
    """The same cut of a tensor with that dimension only."""
    return _StridedShard(0, split_factor=placement.split_factor)


def _gather(local: Tensor, mesh: Any, mesh_dim: int, placement: Shard, whole: int) -> Tensor:
    """The pieces of one dimension of the mesh as one tensor with ``whole`` rows."""
    size, dim = mesh.size(mesh_dim), placement.dim
    if isinstance(placement, _StridedShard):
        return _gather_strided(local, mesh, mesh_dim, placement, whole)
    each = -(-whole // size)
    missing = each - local.shape[dim]
    if missing:
        padding = list(local.shape)
        padding[dim] = missing
        local = torch.cat([local, local.new_zeros(padding)], dim)
    gathered = functional.all_gather_tensor(local.contiguous(), dim, mesh.get_group(mesh_dim))
    return gathered.narrow(dim, 0, whole) if gathered.shape[dim] != whole else gathered


def _gather_strided(local: Tensor, mesh: Any, mesh_dim: int, placement: _StridedShard, whole: int) -> Tensor:
    from ..distributed_c10d import all_gather

    dim, size = placement.dim, mesh.size(mesh_dim)
    order = torch.arange(whole)
    line = placement_of_line(placement)
    indices = [line.take(order, size, rank) for rank in range(size)]
    shapes = [[*local.shape[:dim], len(index), *local.shape[dim + 1 :]] for index in indices]
    most = max(len(index) for index in indices)
    padded = local.new_zeros([*local.shape[:dim], most, *local.shape[dim + 1 :]])
    padded.narrow(dim, 0, local.shape[dim]).copy_(local)
    pieces = [torch.empty_like(padded) for _ in range(size)]
    all_gather(pieces, padded, group=mesh.get_group(mesh_dim))
    joined = torch.cat([piece.narrow(dim, 0, shape[dim]) for piece, shape in zip(pieces, shapes, strict=True)], dim)
    return joined.index_select(dim, torch.argsort(torch.cat(indices)))


def _to_partial(local: Tensor, placement: Partial, size: int, rank: int) -> Tensor:
    """A contribution of each process, that together are ``local``."""
    if placement.reduce_op == "sum" and rank:
        return torch.zeros_like(local)
    if placement.reduce_op in ("sum", "avg", "max", "min"):
        return local.clone()
    raise RuntimeError(f"nothing can be made partial for '{placement.reduce_op}'")


def redistribute_local(
    local: Tensor,
    shape: Sequence[int],
    mesh: Any,
    source: Sequence[Placement],
    target: Sequence[Placement],
) -> Tensor:
    """This process's piece under other placements; all processes of the mesh call it."""
    source, target = tuple(source), tuple(target)
    if source == target:
        return local
    if mesh.get_coordinate() is None:
        return local  # not in the mesh: it has nothing
    now = list(source)
    at = mesh.get_coordinate()

    def sizes_before(mesh_dim: int) -> list[int]:
        """The shape of the pieces that this dimension of the mesh cuts."""
        return list(local_shape_and_offset(shape, mesh, now[:mesh_dim])[0])

    # What an outer dimension of the mesh changes, inner ones have cut further: those are undone first.
    for mesh_dim in reversed(range(mesh.ndim)):
        have, want = now[mesh_dim], target[mesh_dim]
        outer_changes = [one for one in range(mesh_dim) if source[one] != target[one]]
        nested = isinstance(have, Shard) and any(
            isinstance(p, Shard) and p.dim == have.dim for one in outer_changes for p in (source[one], target[one])
        )
        if have == want and not nested:
            continue
        size = mesh.size(mesh_dim)
        if isinstance(have, Shard):
            local = _gather(local, mesh, mesh_dim, have, sizes_before(mesh_dim)[have.dim])
        elif isinstance(have, Partial):
            free = isinstance(want, Shard) and not isinstance(want, _StridedShard) and not outer_changes
            inner = [p.dim for p in now[mesh_dim + 1 :] if isinstance(p, Shard)]
            if free and want.dim not in inner and local.shape[want.dim] % size == 0 and size > 1:
                group = mesh.get_group(mesh_dim)
                local = functional.reduce_scatter_tensor(local, have.reduce_op, want.dim, group)
                now[mesh_dim] = want
                continue
            local = functional.all_reduce(local, have.reduce_op, mesh.get_group(mesh_dim))
        now[mesh_dim] = Replicate()
    for mesh_dim, want in enumerate(target):
        if now[mesh_dim] == want:
            continue
        size = mesh.size(mesh_dim)
        if isinstance(want, Shard):
            local = want.take(local, size, at[mesh_dim])
        elif isinstance(want, Partial):
            local = _to_partial(local, want, size, at[mesh_dim])
        now[mesh_dim] = want
    return local.contiguous()
