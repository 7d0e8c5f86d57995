"""From one layout to another: each goes by way of (batch, row, column, value) entries, or of COO's keys."""

from __future__ import annotations

import torch

from ._parts import (
    BLOCKED,
    BY_ROWS,
    COMPRESSED,
    COO,
    CSR,
    TITLES,
    TRANSPOSED,
    cannot_run,
    compressed,
    coo,
    flat_keys,
    indices,
    is_compressed,
    line_numbers,
    nnz,
    plain,
    pointers_of,
    raw_values,
    split_keys,
    sums,
    title,
    values,
    with_values,
)  # fmt: skip

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from torch import Tensor


def coalesce(tensor: Tensor) -> Tensor:
    """COO with sorted and distinct indices; the values of equal ones added up. Itself if it is so already."""
    if tensor.layout is not COO:
        raise RuntimeError(f"coalesce expected sparse coordinate tensor layout but got {title(tensor)}")
    if tensor.is_coalesced():
        return tensor
    sizes = tensor.shape[: tensor.sparse_dim()]
    if nnz(tensor) < 2:
        return coo(indices(tensor), values(tensor), tensor.shape, True)
    keys, place = torch.unique(flat_keys(indices(tensor), sizes), return_inverse=True)
    value = values(tensor)
    value = sums(value, place, keys.numel()) if keys.numel() < place.numel() else value[place.argsort()]
    return coo(split_keys(keys, sizes), value, tensor.shape, True)


def distinct(tensor: Tensor) -> Tensor:
    """COO with sorted and distinct indices; of the values of equal ones, the first is kept."""
    if tensor.is_coalesced():
        return tensor
    sizes = tensor.shape[: tensor.sparse_dim()]
    keys, order = torch.sort(flat_keys(indices(tensor), sizes), stable=True)
    first = torch.ones_like(keys, dtype=torch.bool)
    first[1:] = keys[1:] != keys[:-1]
    return coo(split_keys(keys[first], sizes), values(tensor)[order[first]], tensor.shape, True)


def to_dense(tensor: Tensor) -> Tensor:
    """The strided tensor with the same elements."""
    if tensor.layout is not COO:
        return _compressed_to_dense(tensor)
    sparse = tensor.sparse_dim()
    sizes = tensor.shape[:sparse]
    count = 1
    for size in sizes:
        count *= size
    return sums(values(tensor), flat_keys(indices(tensor), sizes), count).reshape(tensor.shape)


def block_size(tensor: Tensor) -> tuple[int, int]:
    """The rows and columns of a block; (1, 1) where elements stand alone."""
    if tensor.layout not in BLOCKED:
        return 1, 1
    batch = indices(tensor).dim() - 1
    rows, columns = raw_values(tensor).shape[batch + 1 : batch + 3]
    return rows, columns


def entries(tensor: Tensor) -> tuple[Tensor, Tensor, Tensor, tuple[int, ...]]:
    """Of a compressed tensor: rows, columns (of blocks) [batch..., nnz], the values, and the shape of the batch."""
    pointers, index = indices(tensor), plain(tensor)
    lines = line_numbers(pointers, index.shape[-1])
    rows, columns = (lines, index) if tensor.layout in BY_ROWS else (index, lines)
    return rows, columns, values(tensor), tuple(pointers.shape[:-1])


def _batch_numbers(batch: tuple[int, ...], count: int, like: Tensor) -> Tensor:
    total = 1
    for size in batch:
        total *= size
    return torch.arange(total, device=like.device).repeat_interleave(count)


def _flat(tensor: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, tuple[int, ...]]:
    """As entries, with the batch flattened: batch numbers, rows, columns, values, each over all entries."""
    rows, columns, value, batch = entries(tensor)
    count = value.shape[len(batch)]
    value = value.reshape(-1, *value.shape[len(batch) + 1 :]) if batch else value
    return _batch_numbers(batch, count, rows), rows.reshape(-1).long(), columns.reshape(-1).long(), value, batch


def _spread(tensor: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, tuple[int, ...]]:
    """As _flat, with blocks taken apart into elements."""
    where, rows, columns, value, batch = _flat(tensor)
    if tensor.layout not in BLOCKED:
        return where, rows, columns, value, batch
    high, wide = value.shape[1:3]
    down = torch.arange(high, device=rows.device).unsqueeze(1).expand(high, wide).reshape(-1)
    across = torch.arange(wide, device=rows.device).repeat(high)
    rows = (rows.unsqueeze(1) * high + down).reshape(-1)
    columns = (columns.unsqueeze(1) * wide + across).reshape(-1)
    return where.repeat_interleave(high * wide), rows, columns, value.reshape(-1, *value.shape[3:]), batch


def _compressed_to_dense(tensor: Tensor) -> Tensor:
    where, rows, columns, value, batch = _spread(tensor)
    high, wide = tensor.shape[len(batch) : len(batch) + 2]
    count = high * wide
    for size in batch:
        count *= size
    return sums(value, (where * high + rows) * wide + columns, count).reshape(tensor.shape)


def compressed_to_coo(tensor: Tensor) -> Tensor:
    """COO of a compressed tensor: batch dimensions become sparse ones."""
    where, rows, columns, value, batch = _spread(tensor)
    sizes = tensor.shape[: len(batch) + 2]
    index = (
        torch.cat((split_keys(where, batch), torch.stack((rows, columns)))) if batch else torch.stack((rows, columns))
    )
    if tensor.layout is not CSR:
        order = flat_keys(index, sizes).argsort()
        index, value = index[:, order], value[order]
    return coo(index, value, tensor.shape, True)


def _block_argument(blocksize: Any, name: str) -> tuple[int, int]:
    if len(blocksize) != 2:
        raise RuntimeError(f"{name}: blocksize needs to be a tuple of size 2, but got {len(blocksize)}")
    high, wide = blocksize
    if high < 1 or wide < 1:
        raise RuntimeError(f"{name}: blocksize needs to be positive, but got [{high}, {wide}]")
    return high, wide


def _check_blocks(function: str, size: Sequence[int], blocksize: tuple[int, int]) -> None:
    high, wide = blocksize
    if size[0] % high or size[1] % wide:
        raise RuntimeError(
            f"{function}: tensor sparse size ({size[0]},{size[1]}) must be divisible by given blocksize ({high},{wide})"
        )


def _from_entries(
    layout: Any, where: Tensor, rows: Tensor, columns: Tensor, value: Tensor, batch: tuple[int, ...],
    size: Sequence[int], index_dtype: Any,
) -> Tensor:  # fmt: skip
    """A tensor of this layout from entries (of blocks) in any order; each batch must have as many."""
    blocks = value.shape[1:3] if layout in BLOCKED else (1, 1)
    high, wide = size[len(batch)] // blocks[0], size[len(batch) + 1] // blocks[1]
    lines, index, count, width = (rows, columns, high, wide) if layout in BY_ROWS else (columns, rows, wide, high)
    keys = (where * count + lines) * width + index
    if not bool((keys.diff() > 0).all()):
        order = keys.argsort()
        lines, index, value = lines[order], index[order], value[order]
    total = 1
    for entry in batch:
        total *= entry
    if batch:
        each = torch.bincount(where, minlength=total) if total else where
        if total and bool((each != each[0]).any()):
            raise RuntimeError("Expect the same number of specified elements per batch.")
        per = rows.numel() // total if total else 0
        lines, index = lines.reshape(*batch, per), index.reshape(*batch, per)
        value = value.reshape(*batch, per, *value.shape[1:])
    return compressed(layout, pointers_of(lines, count).to(index_dtype), index.to(index_dtype), value, size)


def _dense_to_compressed(tensor: Tensor, layout: Any, blocksize: Any, dense_dim: int | None) -> Tensor:
    name = f"dense_to_{str(layout).rpartition('.')[2]}"
    dense = dense_dim or 0
    batch = tensor.dim() - 2 - dense
    if tensor.dim() < 2 or batch < 0:
        raise RuntimeError(
            f"{name}: dimension of input must be at least {2 + dense}, but got {tensor.dim()}"
            if tensor.dim() >= 2
            else "Only batched sparse compressed tensors are supported, but got size " + str(list(tensor.shape))
        )
    shape = tuple(tensor.shape)
    high, wide = shape[batch : batch + 2]
    if layout in BLOCKED:
        blocks = _block_argument(blocksize, name)
        _check_blocks(name, (high, wide), blocks)
        cut = tensor.reshape(
            *shape[:batch], high // blocks[0], blocks[0], wide // blocks[1], blocks[1], *shape[batch + 2 :]
        )
        cut = cut.transpose(batch + 1, batch + 2)
    else:
        cut = tensor
    mask = cut.detach() != 0
    if mask.dim() > batch + 2:
        mask = mask.flatten(batch + 2).any(-1)
    place = mask.nonzero().unbind(1)
    sizes = shape[:batch]
    where = flat_keys(torch.stack(place[:batch]), sizes) if batch else torch.zeros_like(place[0])
    return _from_entries(layout, where, place[-2], place[-1], cut[place], sizes, shape, torch.int64)


def _coo_to_compressed(tensor: Tensor, layout: Any, blocksize: Any) -> Tensor:
    if tensor.sparse_dim() != 2:
        raise RuntimeError(
            f"coo_to_{str(layout).rpartition('.')[2]}: conversion from Sparse to {TITLES[layout]} for input tensors "
            "with sparse_dim()!=2 is not supported"
        )
    tensor = coalesce(tensor)
    rows, columns = indices(tensor)
    where = torch.zeros_like(rows)
    if layout in BLOCKED:
        return _gather_blocks(layout, where, rows, columns, values(tensor), (), tensor.shape, blocksize, torch.int64)
    return _from_entries(layout, where, rows, columns, values(tensor), (), tensor.shape, torch.int64)


def _gather_blocks(
    layout: Any, where: Tensor, rows: Tensor, columns: Tensor, value: Tensor, batch: tuple[int, ...],
    size: Sequence[int], blocksize: Any, index_dtype: Any,
) -> Tensor:  # fmt: skip
    name = f"to_{str(layout).rpartition('.')[2]}"
    high, wide = _block_argument(blocksize, name)
    sizes = size[len(batch) : len(batch) + 2]
    _check_blocks(name, sizes, (high, wide))
    count = sizes[0] // high, sizes[1] // wide
    keys = (where * count[0] + rows // high) * count[1] + columns // wide
    found, block = torch.unique(keys, return_inverse=True)
    place = (block * high + rows % high) * wide + columns % wide
    blocks = sums(value, place, found.numel() * high * wide).reshape(found.numel(), high, wide, *value.shape[1:])
    across = max(count[1], 1)
    down = max(count[0], 1)
    return _from_entries(
        layout, found // (across * down), found // across % down, found % across, blocks, batch, size, index_dtype
    )


def to_compressed(tensor: Tensor, layout: Any, blocksize: Any = None, dense_dim: int | None = None) -> Tensor:
    """The tensor in the CSR, CSC, BSR or BSC layout; itself if it is in it."""
    name = str(layout).rpartition(".")[2]
    if tensor.layout is torch.strided:
        return _dense_to_compressed(tensor, layout, blocksize, dense_dim)
    if dense_dim is not None:
        raise RuntimeError(
            f"to_{name}: conversion from {title(tensor)} to {TITLES[layout]} with dense_dim argument given is not "
            "supported"
        )
    if tensor.layout is COO:
        return _coo_to_compressed(tensor, layout, blocksize)
    blocks = block_size(tensor)
    if layout in BLOCKED and tensor.layout in BLOCKED:
        wanted = _block_argument(blocksize, f"to_{name}")
        if wanted != blocks:
            head = f"to_{name}" if tensor.layout is layout else f"sparse_compressed_to_{name}"
            raise RuntimeError(
                f"{head}: conversion from {title(tensor)} to {TITLES[layout]} with blocksize changed from "
                f"{list(blocks)} to {list(wanted)} is not supported"
            )
    if tensor.layout is layout:
        return tensor
    if tensor.layout in BLOCKED and layout not in BLOCKED:
        raise RuntimeError(
            f"sparse_compressed_to_{name}: expected SparseCsr or SparseCsc layout but got {title(tensor)}"
        )
    where, rows, columns, value, batch = _flat(tensor)
    dtype = indices(tensor).dtype
    if layout in BLOCKED and tensor.layout not in BLOCKED:
        return _gather_blocks(layout, where, rows, columns, value, batch, tensor.shape, blocksize, dtype)
    return _from_entries(layout, where, rows, columns, value, batch, tensor.shape, dtype)


def to_coo(tensor: Tensor, sparse_dim: int | None = None) -> Tensor:
    """The tensor in the COO layout; itself if it is in it."""
    if tensor.layout is COO:
        if sparse_dim is not None and sparse_dim != tensor.sparse_dim():
            raise RuntimeError(
                "sparse_to_sparse: conversion from Sparse to Sparse with sparse_dim argument !=self.sparse_dim() is "
                "not supported"
            )
        return tensor
    if tensor.layout in COMPRESSED:
        if sparse_dim is not None and sparse_dim != 2:
            raise RuntimeError(
                f"sparse_compressed_to_sparse: conversion from {title(tensor)} to Sparse with sparse_dim argument !=2 "
                "is not supported"
            )
        return compressed_to_coo(tensor)
    rank = tensor.dim()
    sparse = rank if sparse_dim is None else sparse_dim
    if not 0 <= sparse <= rank:
        raise RuntimeError(f"dense_to_sparse: sparse_dim argument must be in [0,{rank}] range, but {sparse} is given")
    if sparse == 0 and rank:
        raise RuntimeError("dense_to_sparse: sparse_dim argument must be in >0 when self.dim()>0")
    mask = tensor.detach() != 0
    if sparse < rank:
        mask = mask.flatten(sparse).any(-1)
    if rank == 0:
        count = int(mask)
        return coo(torch.empty((0, count), dtype=torch.int64), tensor.reshape(1)[:count], (), True)
    place = mask.nonzero().T
    return coo(place, tensor[tuple(place)], tensor.shape, True)


def to_layout(tensor: Tensor, layout: Any, blocksize: Any = None, dense_dim: int | None = None) -> Tensor:
    """``Tensor.to_sparse(layout=...)``."""
    given, wanted = title(tensor), TITLES[layout]
    name = {"Strided": "dense", "Sparse": "sparse"}.get(given, "sparse_compressed")
    head = f"{name}_to_sparse: conversion from {given} to {wanted}"
    if layout in BLOCKED and blocksize is None and tensor.layout not in BLOCKED:
        raise RuntimeError(f"{head} without blocksize argument given is not supported")
    if layout not in BLOCKED and blocksize is not None:
        raise RuntimeError(f"{head} with blocksize argument given is not supported")
    if layout is torch.strided:
        return tensor if tensor.layout is torch.strided else to_dense(tensor)
    if layout is COO:
        return to_coo(tensor)
    if blocksize is None and layout in BLOCKED:
        blocksize = block_size(tensor)
    return to_compressed(tensor, layout, blocksize, dense_dim)


# ---- patterns ----


def find(keys: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Where sorted ``keys`` hold each wanted one, and whether they do."""
    at = torch.searchsorted(keys, wanted)
    if not keys.numel():
        return torch.zeros_like(at), torch.zeros_like(wanted, dtype=torch.bool)
    at = at.clamp(max=keys.numel() - 1)
    return at, keys[at] == wanted


def project(tensor: Tensor, pattern: Tensor) -> Tensor:
    """The values of a pattern whose numbers come from ``tensor``, sparse or dense."""
    if pattern.layout is COO:
        return _at_keys(tensor, indices(pattern), tuple(pattern.shape[: pattern.sparse_dim()]))
    where, rows, columns, _, batch = _spread(pattern.detach())
    place = (
        torch.cat((split_keys(where, batch), torch.stack((rows, columns)))) if batch else torch.stack((rows, columns))
    )
    if tensor.layout in COMPRESSED:
        tensor = compressed_to_coo(tensor)
    value = _at_keys(tensor, place, tuple(pattern.shape[: len(batch) + 2]))
    return value.reshape(raw_values(pattern).shape)


def _at_keys(tensor: Tensor, place: Tensor, sizes: tuple[int, ...]) -> Tensor:
    if tensor.layout is torch.strided:
        if not sizes:
            return tensor.expand(place.shape[1])
        return tensor[tuple(place)]
    tensor = coalesce(to_coo(tensor))
    if tensor.sparse_dim() != len(sizes):
        return _at_keys(to_dense(tensor), place, sizes)
    if place.shape == indices(tensor).shape and torch.equal(place, indices(tensor)):
        return values(tensor)
    at, found = find(flat_keys(indices(tensor), sizes), flat_keys(place, sizes))
    value = values(tensor)
    if not value.shape[0]:
        return value.new_zeros((place.shape[1], *value.shape[1:]))
    found = found.reshape(-1, *(1,) * (value.dim() - 1))
    return torch.where(found, value[at], value.new_zeros(()))


def sparse_mask(tensor: Tensor, mask: Tensor) -> Tensor:
    """The elements of a tensor where a sparse one has some, in its layout."""
    if mask.layout is torch.strided:
        raise cannot_run("sparse_mask", tensor)
    if tensor.shape != mask.shape:
        raise RuntimeError(
            "sparse_mask(): operands have incompatible sizes; "
            f"self has size {list(tensor.shape)} but mask has size {list(mask.shape)}"
        )
    if is_compressed(tensor) and not is_compressed(mask):
        raise RuntimeError(
            f"sparse_mask_sparse_compressed expects mask to have sparse compressed layout, got {title(mask)}"
        )
    mask = mask.detach()
    if tensor.layout is COO and mask.layout is COO and indices(tensor).shape == indices(mask).shape:
        if torch.equal(indices(tensor), indices(mask)):
            return with_values(mask, values(tensor))
    return with_values(mask, project(tensor, mask))


def transposed(tensor: Tensor) -> Tensor:
    """The last two sparse dimensions of a compressed tensor exchanged: rows become columns without moving anything."""
    value = values(tensor)
    batch = indices(tensor).dim() - 1
    if tensor.layout in BLOCKED:
        value = value.transpose(batch + 1, batch + 2)
    size = list(tensor.shape)
    size[batch], size[batch + 1] = size[batch + 1], size[batch]
    return compressed(TRANSPOSED[tensor.layout], indices(tensor), plain(tensor), value, size)
