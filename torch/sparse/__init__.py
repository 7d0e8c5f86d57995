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

from .._missing import missing_class as _missing_class
from ._make import check_sparse_tensor_invariants
from ._products import sampled_addmm
from ._products import sparse_addmm as addmm
from ._products import sparse_mm as mm

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from torch import Tensor

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

for _name in (
    "SparseSemiStructuredTensor", "SparseSemiStructuredTensorCUSPARSELT", "SparseSemiStructuredTensorCUTLASS",
):  # fmt: skip
    globals()[_name] = _missing_class(f"torch.sparse.{_name}", "semi-structured sparsity needs a CUDA device")
del _name


def sum(input: Tensor, dim: Any = None, dtype: Any = None) -> Tensor:
    """The sum of a COO tensor, over all dimensions or those in ``dim``; COO again if a sparse dimension is left.

    Raises NotImplementedError for other layouts.

    >>> held = torch.tensor([[0, 2], [3, 4]]).to_sparse()
    >>> torch.sparse.sum(held), torch.sparse.sum(held, 0).to_dense()
    (tensor(9), tensor([3, 6]))
    """
    if dim is None:
        return _torch.sum(input, dtype=dtype)
    if input.layout is not _torch.sparse_coo:
        from ._parts import cannot_run

        raise cannot_run("_indices", input)
    dims = (dim,) if isinstance(dim, int) else tuple(dim)
    if not dims:
        raise RuntimeError("Sparse dimension list is empty")
    return _torch.sum(input, dims, dtype=dtype)


def softmax(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """softmax along ``dim`` over the elements that a COO tensor holds; the others count as minus infinity.

    Raises IndexError for a wrong dimension and NotImplementedError for other layouts.

    >>> torch.sparse.softmax(torch.tensor([[0.0, 2.0], [3.0, 3.0]]).to_sparse(), 1).to_dense()
    tensor([[0.0000, 1.0000],
            [0.5000, 0.5000]])
    """
    from ._reduce import softmax as over_elements

    return over_elements(input, dim, dtype)


def log_softmax(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """The logarithm of ``torch.sparse.softmax``.

    >>> torch.sparse.log_softmax(torch.tensor([[0.0, 2.0]]).to_sparse(), 1).values()
    tensor([0.])
    """
    from ._reduce import softmax as over_elements

    return over_elements(input, dim, dtype, True)


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
    from ..ops_py._common import scalar_type
    from ._parts import TITLES, coo

    if diagonals.dim() not in (1, 2):
        raise RuntimeError("Diagonals must be vector or matrix")
    if len(shape) != 2:
        raise RuntimeError("Output shape must be 2d")
    rows = diagonals.reshape(1, -1) if diagonals.dim() == 1 else diagonals
    places = offsets.reshape(-1)
    if offsets.dim() > 1:
        raise RuntimeError("Offsets must be scalar or vector")
    if offsets.dtype is not _torch.int64:
        raise RuntimeError(f"Offset Tensor must have dtype Long but got {scalar_type(offsets.dtype)}")
    if rows.shape[0] != places.shape[0]:
        raise RuntimeError(
            f"Number of diagonals ({rows.shape[0]}) does not match the number of offsets ({places.shape[0]})"
        )
    if layout not in (None, _torch.sparse_coo, _torch.sparse_csc, _torch.sparse_csr):
        raise RuntimeError(
            f"Only output layouts (Sparse, SparseCsc, SparseCsr) are supported, got {TITLES.get(layout, layout)}"
        )
    if places.unique().numel() != places.numel():
        raise RuntimeError("Offset tensor contains duplicate values")
    columns = _torch.arange(rows.shape[1]).expand(rows.shape)
    lines = columns - places.unsqueeze(1)
    held = ((lines >= 0) & (lines < shape[0]) & (columns < shape[1])).nonzero(as_tuple=True)
    result = coo(_torch.stack((lines[held], columns[held])), rows[held], shape)
    if layout is _torch.sparse_csr:
        return result.to_sparse_csr()
    return result.to_sparse_csc() if layout is _torch.sparse_csc else result


def spsolve(input: Tensor, other: Tensor, *, left: bool = True) -> Tensor:
    """The solution x of ``input @ x = other`` for a CSR matrix: only cuDSS on a GPU has it, so this raises."""
    from ._parts import cannot_run

    raise cannot_run("_spsolve", input)


solve = spsolve


def to_sparse_semi_structured(original_tensor: Tensor, transposed: bool = False) -> Tensor:
    """Two of four elements in each row, for GPUs: raises RuntimeError on the CPU."""
    raise RuntimeError(
        f"Error original_tensor.device= {original_tensor.device} is not supported! Only CUDA tensors are currently "
        "supported."
    )


def as_sparse_gradcheck(gradcheck: Callable[..., bool]) -> Callable[..., bool]:
    """A gradcheck that takes functions of sparse tensors: it varies the values that the inputs hold.

    >>> check = torch.sparse.as_sparse_gradcheck(torch.autograd.gradcheck)
    >>> x = torch.tensor([[0.0, 2.0], [3.0, 0.0]], dtype=torch.float64).to_sparse().requires_grad_()
    >>> check(lambda x: x.to_dense() ** 2, x)
    True
    """

    def check(func: Callable[..., Any], inputs: Any, **options: Any) -> bool:
        masked = options.pop("masked", False)
        given = inputs if isinstance(inputs, (list, tuple)) else (inputs,)
        patterns: list[Any] = []
        flat: list[Any] = []
        for one in given:
            sparse = isinstance(one, _torch.Tensor) and one.layout is not _torch.strided and one.requires_grad
            if sparse:
                one = one.detach().coalesce() if one.layout is _torch.sparse_coo else one.detach()
            patterns.append(one if sparse else None)
            flat.append(one.values().clone().requires_grad_() if sparse else one)
        del masked  # what the tensor does not hold is not varied either way

        def dense(result: Any) -> Any:
            if isinstance(result, (list, tuple)):
                return tuple(dense(part) for part in result)
            if isinstance(result, _torch.Tensor) and result.layout is not _torch.strided:
                return result.to_dense()
            return result

        def on_values(*args: Any) -> Any:
            from ._parts import with_values

            pairs = zip(patterns, args, strict=True)
            return dense(func(*(a if p is None else with_values(p, a) for p, a in pairs)))

        return gradcheck(on_values, tuple(flat), **options)

    check.__name__ = gradcheck.__name__
    return check
