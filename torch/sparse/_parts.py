"""Sparse tensors taken apart and put together, and what error messages call them."""

from __future__ import annotations

import torch
from torch import _C

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from torch import Tensor

COO, CSR, CSC, BSR, BSC = torch.sparse_coo, torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr, torch.sparse_bsc
COMPRESSED = (CSR, CSC, BSR, BSC)
BY_ROWS = (CSR, BSR)
BLOCKED = (BSR, BSC)
TITLES = {
    torch.strided: "Strided",
    COO: "Sparse",
    CSR: "SparseCsr",
    CSC: "SparseCsc",
    BSR: "SparseBsr",
    BSC: "SparseBsc",
}
TRANSPOSED = {CSR: CSC, CSC: CSR, BSR: BSC, BSC: BSR}

values = _C._ops._sparse_values
raw_values = _C._sparse_raw_values
indices = _C._sparse_indices
plain = _C._sparse_plain
nnz = _C._sparse_nnz


def coo(index: Tensor, value: Tensor, size: Sequence[int], coalesced: bool = False) -> Tensor:
    """A COO tensor, unchecked; differentiable in the values."""
    result: Tensor = _C._ops._sparse_coo(index, value, tuple(size), coalesced)
    return result


def compressed(layout: Any, pointers: Tensor, index: Tensor, value: Tensor, size: Sequence[int]) -> Tensor:
    """A CSR, CSC, BSR or BSC tensor, unchecked; differentiable in the values."""
    result: Tensor = _C._ops._sparse_compressed(pointers, index, value, tuple(size), layout)
    return result


def with_values(tensor: Tensor, value: Tensor, size: Sequence[int] | None = None) -> Tensor:
    """The pattern of a tensor with other values."""
    size = tensor.shape if size is None else size
    if tensor.layout is COO:
        return coo(indices(tensor), value, size, tensor.is_coalesced())
    return compressed(tensor.layout, indices(tensor), plain(tensor), value, size)


def assign(target: Tensor, source: Tensor) -> Tensor:
    """Let a sparse tensor become another, as every in-place operation on one does."""
    result: Tensor = _C._ops._sparse_assign(target, source)
    return result


def is_sparse(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.layout is not torch.strided


def is_compressed(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.layout in COMPRESSED


def title(tensor: Tensor) -> str:
    """The layout, as messages name it."""
    return TITLES[tensor.layout]


def backend(tensor: Tensor) -> str:
    """The dispatch key of a tensor, as messages name it."""
    kind = "" if tensor.layout is torch.strided else "Sparse" if tensor.layout is COO else "SparseCsr"
    return kind + ("Meta" if tensor.is_meta else "CPU")


def cannot_run(name: str, tensor: Tensor) -> NotImplementedError:
    """What PyTorch raises for an operation that a layout lacks."""
    return NotImplementedError(
        f"Could not run 'aten::{name}' with arguments from the '{backend(tensor)}' backend. This could be because the "
        "operator doesn't exist for this backend, or was omitted during the selective/custom build process (if using "
        "custom build)."
    )


def strides(sizes: Sequence[int]) -> list[int]:
    """Row-major steps of an array with these sizes."""
    steps = [1] * len(sizes)
    for d in range(len(sizes) - 2, -1, -1):
        steps[d] = steps[d + 1] * sizes[d + 1]
    return steps


def flat_keys(index: Tensor, sizes: Sequence[int]) -> Tensor:
    """One number for each column of indices, in their lexicographic order."""
    if len(sizes) == 1:
        return index[0]
    steps = torch.tensor(strides(sizes), dtype=torch.int64, device=index.device)
    return (index * steps.unsqueeze(1)).sum(0)


def split_keys(keys: Tensor, sizes: Sequence[int]) -> Tensor:
    """The columns of indices that flat_keys made these numbers from."""
    if len(sizes) == 1:
        return keys.unsqueeze(0)
    rest, rows = keys, []
    for step in strides(sizes):
        rows.append(rest // max(step, 1))
        rest = rest % max(step, 1)
    return torch.stack(rows) if rows else keys.new_empty((0, keys.numel()))


def sums(value: Tensor, place: Tensor, count: int) -> Tensor:
    """[count, ...]: the sum of the values that fall on each place; for bool, whether one is true."""
    if value.dtype is torch.bool:
        return sums(value.to(torch.int64), place, count) != 0
    zeros = torch.zeros((count, *value.shape[1:]), dtype=value.dtype, device=value.device)
    return zeros.index_add(0, place, value)


def line_numbers(pointers: Tensor, count: int) -> Tensor:
    """[batch..., count]: the compressed index of each element, from [batch..., lines + 1] pointers."""
    lines = pointers.shape[-1] - 1
    counts = pointers.diff(dim=-1).reshape(-1)
    which = torch.arange(lines, device=pointers.device, dtype=pointers.dtype)
    which = which.repeat(counts.numel() // lines if lines else 0)
    return which.repeat_interleave(counts).reshape(*pointers.shape[:-1], count)


def pointers_of(lines: Tensor, count: int) -> Tensor:
    """[batch..., count + 1] pointers for sorted line numbers [batch..., nnz]."""
    batch = lines.shape[:-1]
    if not batch:
        counts = torch.bincount(lines, minlength=count) if lines.numel() else lines.new_zeros(count)
        return torch.cat((counts.new_zeros(1), counts.cumsum(0))).to(lines.dtype)
    rows = [pointers_of(line, count) for line in lines.reshape(-1, lines.shape[-1])] or [lines.new_zeros(count + 1)]
    if 0 in batch:
        return lines.new_zeros((*batch, count + 1))
    return torch.stack(rows).reshape(*batch, count + 1)
