"""Methods of Tensor that concern sparse layouts."""

from __future__ import annotations

import torch

from . import _convert, _shape
from ._parts import (
    BSC,
    BSR,
    BY_ROWS,
    COMPRESSED,
    COO,
    CSC,
    CSR,
    cannot_run,
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
from ._products import smm, sspaddmm

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from torch import Tensor

__all__ = ["smm", "sspaddmm"]


def _check_float_layout(name: str, layout: Any) -> None:
    if not isinstance(layout, torch.layout):
        raise TypeError(f"{name}(): argument 'layout' must be torch.layout, not {type(layout).__name__}")


def to_sparse(
    self: Tensor, sparse_dim: Any = None, *, layout: Any = None, blocksize: Any = None, dense_dim: Any = None
) -> Tensor:
    """The tensor in a sparse layout, COO unless told otherwise; gradients flow back to the elements that it holds.

    Args:
        sparse_dim: of COO, how many of the first dimensions are sparse; all by default.
        layout: torch.sparse_coo, torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr or torch.sparse_bsc.
        blocksize: [rows, columns] of the blocks of BSR and BSC.
        dense_dim: of the compressed layouts, how many of the last dimensions are dense; 0 by default.

    Raises RuntimeError for numbers of dimensions or blocks that do not fit.

    >>> torch.tensor([[0, 2], [3, 0]]).to_sparse()
    tensor(indices=tensor([[0, 1],
                           [1, 0]]),
           values=tensor([2, 3]),
           size=(2, 2), nnz=2, layout=torch.sparse_coo)
    """
    if isinstance(sparse_dim, torch.layout):
        sparse_dim, layout = None, sparse_dim
    if layout is None and blocksize is None and dense_dim is None:
        return _convert.to_coo(self, sparse_dim)
    if sparse_dim is not None:
        raise TypeError("to_sparse(): sparse_dim goes with no other argument")
    return _convert.to_layout(self, COO if layout is None else layout, blocksize, dense_dim)


def _to(layout: Any, blocked: bool) -> Any:
    name = f"to_{str(layout).rpartition('.')[2]}"

    def with_blocks(self: Tensor, blocksize: Any, dense_dim: int | None = None) -> Tensor:
        return _convert.to_compressed(self, layout, blocksize, dense_dim)

    def plain_layout(self: Tensor, dense_dim: int | None = None) -> Tensor:
        return _convert.to_compressed(self, layout, None, dense_dim)

    method = with_blocks if blocked else plain_layout
    method.__name__, method.__qualname__ = name, f"Tensor.{name}"
    method.__doc__ = f"``to_sparse(layout={layout})``. Raises RuntimeError where the tensor does not fit the layout."
    return method


to_sparse_csr, to_sparse_csc = _to(CSR, False), _to(CSC, False)
to_sparse_bsr, to_sparse_bsc = _to(BSR, True), _to(BSC, True)


def to_sparse_coo(self: Tensor) -> Tensor:
    """The tensor in the COO layout."""
    return to_sparse(self)


class _Unmasked(torch.autograd.Function):
    """to_dense whose gradient is the dense one, with numbers where the sparse tensor has none."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        return _convert.to_dense(tensor)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad


def to_dense(self: Tensor, dtype: Any = None, *, masked_grad: bool | None = None) -> Tensor:
    """The strided tensor with the same elements; itself if it is strided.

    The gradient to a sparse tensor has its pattern, unless ``masked_grad=False`` asks for all of it. Raises
    RuntimeError for a dtype with a sparse tensor.

    >>> torch.sparse_coo_tensor([[1]], [2.0], (3,)).to_dense()
    tensor([0., 2., 0.])
    """
    if not is_sparse(self):
        return self if dtype is None else self.to(dtype)
    if dtype is not None:
        name = "sparse_to_dense" if self.layout is COO else "sparse_csr_to_dense"
        raise RuntimeError(f"dtype argument is not supported by {name}")
    if masked_grad is False and self.requires_grad:
        return _Unmasked.apply(self)  # type: ignore[no-any-return]
    return _convert.to_dense(self)


def coalesce(self: Tensor) -> Tensor:
    """COO with sorted, distinct indices: the values of equal ones are added up. Itself if it is so already.

    >>> torch.sparse_coo_tensor([[1, 1]], [2.0, 3.0], (3,)).coalesce().values()
    tensor([5.])
    """
    return _convert.coalesce(self)


def indices(self: Tensor) -> Tensor:
    """[sparse dimensions, nnz]: the indices of a coalesced COO tensor. RuntimeError for others."""
    if self.layout is not COO:
        raise RuntimeError(f"indices expected sparse coordinate tensor layout but got {title(self)}")
    if not self.is_coalesced():
        raise RuntimeError("Cannot get indices on an uncoalesced tensor, please call .coalesce() first")
    return _indices_of(self)


def values(self: Tensor) -> Tensor:
    """The values of a sparse tensor, over the same memory; RuntimeError for an uncoalesced COO tensor."""
    if not is_sparse(self):
        raise RuntimeError(f"values expected sparse tensor layout but got {title(self)}")
    if self.layout is COO and not self.is_coalesced():
        raise RuntimeError("Cannot get values on an uncoalesced tensor, please call .coalesce() first")
    return _values_of(self)  # type: ignore[no-any-return]


def _indices(self: Tensor) -> Tensor:
    """The indices of a COO tensor, coalesced or not."""
    if self.layout is not COO:
        raise cannot_run("_indices", self)
    return _indices_of(self)


def _values(self: Tensor) -> Tensor:
    """The values of a COO tensor, coalesced or not, without history."""
    if self.layout is not COO:
        raise cannot_run("_values", self)
    return torch._C._sparse_raw_values(self).detach()


def _nnz(self: Tensor) -> int:
    """How many elements (of the compressed layouts: in each batch) a sparse tensor holds."""
    if not is_sparse(self):
        raise cannot_run("_nnz", self)
    return _nnz_of(self)


def _coalesced_(self: Tensor, coalesced: bool) -> Tensor:
    """Declare a COO tensor coalesced, or not."""
    return torch._C._sparse_mark_coalesced(self, coalesced)  # type: ignore[no-any-return]


def _dimI(self: Tensor) -> int:  # noqa: N802
    """``sparse_dim``."""
    return self.sparse_dim()


def _dimV(self: Tensor) -> int:  # noqa: N802
    """``dense_dim``."""
    return self.dense_dim()


def _part(name: str, by_rows: bool, take: Any) -> Any:
    kind = "row" if by_rows else "column"

    def method(self: Tensor) -> Tensor:
        if self.layout not in COMPRESSED or (self.layout in BY_ROWS) is not by_rows:
            raise RuntimeError(f"{name} expected sparse {kind} compressed tensor layout but got {title(self)}")
        return take(self)  # type: ignore[no-any-return]

    method.__name__, method.__qualname__ = name, f"Tensor.{name}"
    method.__doc__ = f"Indices of a {kind}-compressed tensor; RuntimeError for other layouts."
    return method


crow_indices, col_indices = _part("crow_indices", True, _indices_of), _part("col_indices", True, _plain_of)
ccol_indices, row_indices = _part("ccol_indices", False, _indices_of), _part("row_indices", False, _plain_of)


def sparse_mask(self: Tensor, mask: Tensor) -> Tensor:
    """The elements of this tensor at the places that the sparse tensor ``mask`` holds, in its layout.

    Raises RuntimeError for another size than the mask's.

    >>> torch.ones(2, 2).sparse_mask(torch.eye(2).to_sparse()).to_dense()
    tensor([[1., 0.],
            [0., 1.]])
    """
    return _convert.sparse_mask(self, mask)


sparse_resize_, sparse_resize_and_clear_ = _shape.sparse_resize_, _shape.sparse_resize_and_clear_
resize_as_sparse_ = _shape.resize_as_sparse_


def _copied(function: Any) -> Any:
    name = f"{function.__name__}_copy"

    def copied(input: Tensor) -> Tensor:
        return function(input).clone()  # type: ignore[no-any-return]

    copied.__name__ = copied.__qualname__ = name
    copied.__doc__ = f"A copy of ``Tensor.{function.__name__}()``."
    return copied


ccol_indices_copy, col_indices_copy = _copied(ccol_indices), _copied(col_indices)
crow_indices_copy, row_indices_copy = _copied(crow_indices), _copied(row_indices)
indices_copy, values_copy = _copied(indices), _copied(values)
