"""Rules of the operations that concern sparse layouts only: conversions, parts, resizing."""

from __future__ import annotations

import torch

from ..ops_py._common import scalar_type
from . import _convert, _shape
from ._parts import (
    BSC,
    BSR,
    BY_ROWS,
    COMPRESSED,
    COO,
    CSC,
    CSR,
    TITLES,
    cannot_run,
    coo,
    is_sparse,
    title,
)  # fmt: skip
from ._parts import (
    indices as _indices_of,
)
from ._parts import (
    nnz as _nnz_of,
)
from ._parts import (
    plain as _plain_of,
)
from ._parts import (
    values as _values_of,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from torch import Tensor


def to_sparse(input: Tensor, layout: Any, blocksize: Any, dense_dim: Any) -> Tensor:
    """The tensor in any sparse layout."""
    if layout is None and blocksize is None and dense_dim is None:
        return _convert.to_coo(input)
    return _convert.to_layout(input, COO if layout is None else layout, blocksize, dense_dim)


def _to(layout: Any) -> Any:
    return lambda input, dense_dim: _convert.to_compressed(input, layout, None, dense_dim)


def _to_blocks(layout: Any) -> Any:
    return lambda input, blocksize, dense_dim: _convert.to_compressed(input, layout, blocksize, dense_dim)


class _Unmasked(torch.autograd.Function):
    """to_dense whose gradient is the dense one, with numbers where the sparse tensor has none."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        return _convert.to_dense(tensor)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor) -> Tensor:
        return _convert.to_dense(tangent) if is_sparse(tangent) else tangent


def to_dense(input: Tensor, dtype: Any, masked_grad: bool | None) -> Tensor:
    """The strided tensor with the same elements."""
    if not is_sparse(input):
        return input if dtype is None else input.to(dtype)
    if dtype is not None:
        name = "sparse_to_dense" if input.layout is COO else "sparse_csr_to_dense"
        raise RuntimeError(f"dtype argument is not supported by {name}")
    if masked_grad is False and input.requires_grad:
        return _Unmasked.apply(input)  # type: ignore[no-any-return]
    return _convert.to_dense(input)


def indices(input: Tensor) -> Tensor:
    """The indices of a coalesced COO tensor."""
    if input.layout is not COO:
        raise RuntimeError(f"indices expected sparse coordinate tensor layout but got {title(input)}")
    if not input.is_coalesced():
        raise RuntimeError("Cannot get indices on an uncoalesced tensor, please call .coalesce() first")
    return _indices_of(input)  # type: ignore[no-any-return]


def values(input: Tensor) -> Tensor:
    """The values of a tensor whose indices are distinct."""
    if not is_sparse(input):
        raise RuntimeError(f"values expected sparse tensor layout but got {title(input)}")
    if input.layout is COO and not input.is_coalesced():
        raise RuntimeError("Cannot get values on an uncoalesced tensor, please call .coalesce() first")
    return _values_of(input)  # type: ignore[no-any-return]


def _raw_indices(input: Tensor) -> Tensor:
    if input.layout is not COO:
        raise cannot_run("_indices", input)
    return _indices_of(input)  # type: ignore[no-any-return]


def _raw_values(input: Tensor) -> Tensor:
    if input.layout is not COO:
        raise cannot_run("_values", input)
    return torch._C._sparse_raw_values(input).detach()  # type: ignore[no-any-return]


def _nnz(input: Tensor) -> int:
    if not is_sparse(input):
        raise cannot_run("_nnz", input)
    return _nnz_of(input)  # type: ignore[no-any-return]


def _mark(input: Tensor, coalesced: bool) -> Tensor:
    if input.layout is not COO:
        raise cannot_run("_coalesced_", input)
    return torch._C._sparse_mark_coalesced(input, coalesced)  # type: ignore[no-any-return]


def _spdiags(diagonals: Tensor, offsets: Tensor, shape: Any, layout: Any) -> Tensor:
    if diagonals.dim() not in (1, 2):
        raise RuntimeError("Diagonals must be vector or matrix")
    if len(shape) != 2:
        raise RuntimeError("Output shape must be 2d")
    rows = diagonals.reshape(1, -1) if diagonals.dim() == 1 else diagonals
    places = offsets.reshape(-1)
    if offsets.dim() > 1:
        raise RuntimeError("Offsets must be scalar or vector")
    if offsets.dtype is not torch.int64:
        raise RuntimeError(f"Offset Tensor must have dtype Long but got {scalar_type(offsets.dtype)}")
    if rows.shape[0] != places.shape[0]:
        raise RuntimeError(
            f"Number of diagonals ({rows.shape[0]}) does not match the number of offsets ({places.shape[0]})"
        )
    if layout not in (None, torch.sparse_coo, torch.sparse_csc, torch.sparse_csr):
        raise RuntimeError(
            f"Only output layouts (Sparse, SparseCsc, SparseCsr) are supported, got {TITLES.get(layout, layout)}"
        )
    if places.unique().numel() != places.numel():
        raise RuntimeError("Offset tensor contains duplicate values")
    columns = torch.arange(rows.shape[1]).expand(rows.shape)
    lines = columns - places.unsqueeze(1)
    held = ((lines >= 0) & (lines < shape[0]) & (columns < shape[1])).nonzero(as_tuple=True)
    result = coo(torch.stack((lines[held], columns[held])), rows[held], shape)
    if layout is torch.sparse_csr:
        return result.to_sparse_csr()
    return result.to_sparse_csc() if layout is torch.sparse_csc else result


def _part(name: str, by_rows: bool, take: Any) -> Any:
    kind = "row" if by_rows else "column"

    def rule(input: Tensor) -> Tensor:
        if input.layout not in COMPRESSED or (input.layout in BY_ROWS) is not by_rows:
            raise RuntimeError(f"{name} expected sparse {kind} compressed tensor layout but got {title(input)}")
        return take(input)  # type: ignore[no-any-return]

    return rule


_PARTS: dict[str, Any] = {
    "crow_indices": _part("crow_indices", True, _indices_of), "col_indices": _part("col_indices", True, _plain_of),
    "ccol_indices": _part("ccol_indices", False, _indices_of), "row_indices": _part("row_indices", False, _plain_of),
    "indices": indices, "values": values,
}  # fmt: skip


def _copied(function: Any) -> Any:
    return lambda input: function(input).clone()


RULES: dict[str, Any] = {
    "to_dense": to_dense, "to_sparse": to_sparse, "to_sparse.sparse_dim": _convert.to_coo, "to_sparse_csr": _to(CSR),
    "to_sparse_csc": _to(CSC), "to_sparse_bsr": _to_blocks(BSR), "to_sparse_bsc": _to_blocks(BSC),
    "sparse_mask": _convert.sparse_mask, "coalesce": _convert.coalesce, "_indices": _raw_indices,
    "_values": _raw_values, "_nnz": _nnz, "_dimI": lambda input: input.sparse_dim(),
    "_dimV": lambda input: input.dense_dim(), "_spdiags": _spdiags, **_PARTS,
    **{f"{name}_copy": _copied(function) for name, function in _PARTS.items()},
    "_sparse_project": _convert.project, "_sparse_distinct": _convert.distinct,
}  # fmt: skip
IN_PLACE: dict[str, Any] = {
    "_coalesced_": _mark, "sparse_resize_": _shape.sparse_resize_, "resize_as_sparse_": _shape.resize_as_sparse_,
    "sparse_resize_and_clear_": _shape.sparse_resize_and_clear_,
}  # fmt: skip
