"""Sparse tensors: products, sums and softmax that look only at the elements a tensor holds.

A sparse tensor is made by ``torch.sparse_coo_tensor``, ``torch.sparse_csr_tensor`` and their neighbours, or by
``Tensor.to_sparse``. One shares memory with SciPy's arrays in both directions, as its parts do with NumPy's:

>>> import numpy, scipy.sparse
>>> matrix = scipy.sparse.csr_array(numpy.array([[0.0, 2.0], [3.0, 0.0]]))
>>> parts = (torch.from_numpy(part) for part in (matrix.indptr, matrix.indices, matrix.data))
>>> tensor = torch.sparse_csr_tensor(*parts, size=matrix.shape)
>>> tensor.values()[0] = 5.0
>>> float(matrix[0, 1])
5.0
>>> parts = [part.numpy() for part in (tensor.values(), tensor.col_indices(), tensor.crow_indices())]
>>> back = scipy.sparse.csr_array(tuple(parts), shape=tuple(tensor.shape))
>>> numpy.shares_memory(back.data, matrix.data)
True
"""

from __future__ import annotations

import torch as _torch
from torch import Tensor

from .._legacy_tensors import make as _legacy_types
from ._make import check_sparse_tensor_invariants
from .semi_structured import (
    SparseSemiStructuredTensor,
    SparseSemiStructuredTensorCUSPARSELT,
    SparseSemiStructuredTensorCUTLASS,
    to_sparse_semi_structured,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = [
    "SparseSemiStructuredTensor",
    "SparseSemiStructuredTensorCUSPARSELT",
    "SparseSemiStructuredTensorCUTLASS",
    "addmm",
    "as_sparse_gradcheck",
    "check_sparse_tensor_invariants",
    "log_softmax",
    "mm",
    "sampled_addmm",
    "softmax",
    "solve",
    "spdiags",
    "spsolve",
    "sum",
    "to_sparse_semi_structured",
]

globals().update(_legacy_types(False, True))
DType = int


_rows = _torch._C._ops


def mm(mat1: Tensor, mat2: Tensor, reduce: str | None = None) -> Tensor:
    """The product of two matrices; its gradient to a sparse one has that one's pattern.

    With ``reduce`` ("sum", "mean", "amax" or "amin"), ``mat1`` [m, k] is CSR and ``mat2`` [k, n] dense, and row i of
    the result reduces ``mat1[i, j] * mat2[j]`` over the j that ``mat1`` holds. Raises RuntimeError for sizes or dtypes
    that do not fit.

    >>> torch.sparse.mm(torch.eye(2).to_sparse(), torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[1., 2.],
            [3., 4.]])
    """
    return _rows._sparse_mm(mat1, mat2) if reduce is None else _rows._sparse_mm(mat1, mat2, reduce)


def addmm(mat: Tensor, mat1: Tensor, mat2: Tensor, beta: Any = 1.0, alpha: Any = 1.0) -> Tensor:
    """``beta * mat + alpha * (mat1 @ mat2)``: ``mat`` [m, n] dense, ``mat1`` [m, k] sparse, ``mat2`` [k, n] dense.

    The gradient to a sparse matrix has its pattern. Raises RuntimeError for sizes that do not fit.

    >>> torch.sparse.addmm(torch.ones(2, 2), torch.eye(2).to_sparse(), torch.ones(2, 2))
    tensor([[2., 2.],
            [2., 2.]])
    """
    return _rows._sparse_addmm(mat, mat1, mat2, beta=beta, alpha=alpha)


def sampled_addmm(
    input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Any = 1.0, alpha: Any = 1.0, out: Tensor | None = None
) -> Tensor:
    """``alpha * (mat1 @ mat2) + beta * input`` at the places that the CSR tensor ``input`` holds, and only there.

    ``input`` is [..., m, n] and CSR, ``mat1`` [..., m, k] and ``mat2`` [..., k, n] are dense, all of one dtype. Raises
    RuntimeError for sizes that do not fit, and NotImplementedError for other layouts.

    >>> held = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).to_sparse_csr()
    >>> torch.sparse.sampled_addmm(held, torch.ones(2, 3), torch.ones(3, 2)).values()
    tensor([4., 4.])
    """
    return _rows.sparse_sampled_addmm(input, mat1, mat2, beta=beta, alpha=alpha, out=out)


def sum(input: Tensor, dim: Any = None, dtype: Any = None) -> Tensor:
    """The sum of a COO tensor, over all dimensions or those in ``dim``; COO again if a sparse dimension is left.

    Raises NotImplementedError for other layouts.

    >>> held = torch.tensor([[0, 2], [3, 4]]).to_sparse()
    >>> torch.sparse.sum(held), torch.sparse.sum(held, 0).to_dense()
    (tensor(9), tensor([3, 6]))
    """
    if dim is None:
        return _rows._sparse_sum(input, dtype=dtype)
    return _rows._sparse_sum(input, dim, dtype=dtype)


def softmax(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """softmax along ``dim`` over the elements that a COO tensor holds; the others count as minus infinity.

    Raises IndexError for a wrong dimension and NotImplementedError for other layouts.

    >>> torch.sparse.softmax(torch.tensor([[0.0, 2.0], [3.0, 3.0]]).to_sparse(), 1).to_dense()
    tensor([[0.0000, 1.0000],
            [0.5000, 0.5000]])
    """
    return _rows._sparse_softmax(input, dim, dtype=dtype)


def log_softmax(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """The logarithm of ``torch.sparse.softmax``.

    >>> torch.sparse.log_softmax(torch.tensor([[0.0, 2.0]]).to_sparse(), 1).values()
    tensor([0.])
    """
    return _rows._sparse_log_softmax(input, dim, dtype=dtype)


def spdiags(diagonals: Tensor, offsets: Tensor, shape: Any, layout: Any = None) -> Tensor:
    """A matrix of ``shape`` whose diagonal ``offsets[i]`` is taken from row ``diagonals[i]``, column by column.

    Args:
        diagonals: [n, width], or one row.
        offsets: [n], int64, distinct: 0 is the main diagonal, negative ones lie below it.
        layout: torch.sparse_coo (the default), torch.sparse_csr or torch.sparse_csc.

    Raises RuntimeError for arguments that do not fit.

    >>> torch.sparse.spdiags(torch.tensor([[1, 2], [3, 4]]), torch.tensor([0, 1]), (2, 2)).to_dense()
    tensor([[1, 4],
            [0, 2]])
    """
    return _rows._spdiags(diagonals, offsets, shape, layout)


def spsolve(input: Tensor, other: Tensor, *, left: bool = True) -> Tensor:
    """The solution x of ``input @ x = other`` for a CSR matrix: only cuDSS on a GPU has it, so this raises."""
    return _rows._spsolve(input, other, left=left)


solve = spsolve


def as_sparse_gradcheck(gradcheck: Callable[..., bool]) -> Callable[..., bool]:
    """A gradcheck that takes functions of sparse tensors, and sparse results.

    With ``masked=True`` it varies what the inputs hold, otherwise all of their elements.

    >>> check = torch.sparse.as_sparse_gradcheck(torch.autograd.gradcheck)
    >>> x = torch.tensor([[0.0, 2.0], [3.0, 0.0]], dtype=torch.float64).to_sparse().requires_grad_()
    >>> check(lambda x: x.to_dense() ** 2, x)
    True
    """

    def check(func: Callable[..., Any], inputs: Any, **options: Any) -> bool:
        from ._gradcheck import strided

        given = tuple(inputs) if isinstance(inputs, (list, tuple)) else (inputs,)
        return gradcheck(*strided(func, given, options.pop("masked", False), True), **options)

    check.__name__ = gradcheck.__name__
    return check
