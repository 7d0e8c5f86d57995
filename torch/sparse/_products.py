"""Products of sparse tensors with dense and sparse ones."""

from __future__ import annotations

import torch
from torch import _C

from ._arithmetic import add, store
from ._convert import coalesce, to_compressed, to_coo, to_dense
from ._parts import (
    BLOCKED,
    COO,
    CSC,
    CSR,
    cannot_run,
    coo,
    flat_keys,
    indices,
    is_compressed,
    is_sparse,
    line_numbers,
    plain,
    pointers_of,
    split_keys,
    sums,
    title,
    values,
    with_values,
)  # fmt: skip

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from torch import Tensor

_rows_times = _C._ops._sparse_rows_times
_row_products = _C._ops._sparse_row_products


def _lines(matrix: Tensor) -> tuple[Tensor, Tensor, Tensor, bool]:
    """Pointers, indices, values of a matrix, element by element; whether its lines are columns."""
    if matrix.layout in BLOCKED:
        matrix = to_coo(matrix)
    if matrix.layout is COO:
        matrix = coalesce(matrix)
        rows, columns = indices(matrix)
        return pointers_of(rows, matrix.shape[0]), columns, values(matrix), False
    return indices(matrix), plain(matrix), values(matrix), matrix.layout is CSC


def _same_dtypes(first: Tensor, second: Tensor) -> None:
    if first.dtype is not second.dtype:
        from ..ops_py._common import scalar_type

        raise RuntimeError(f"expected scalar type {scalar_type(first.dtype)} but found {scalar_type(second.dtype)}")


def _need_matrix(tensor: Tensor, name: str) -> None:
    if tensor.dim() != 2:
        raise RuntimeError(f"{name} must be a matrix, got {tensor.dim()}-D tensor")


def times_dense(matrix: Tensor, dense: Tensor) -> Tensor:
    """A sparse matrix [m, k] times a dense one [k, n]."""
    pointers, index, value, columns = _lines(matrix)
    return _rows_times(pointers, index, value, dense, matrix.shape[0], columns)  # type: ignore[no-any-return]


def _dense_times(dense: Tensor, matrix: Tensor) -> Tensor:
    pointers, index, value, columns = _lines(matrix)
    return _rows_times(pointers, index, value, dense.t(), matrix.shape[1], not columns).t()  # type: ignore[no-any-return]


def times_sparse(first: Tensor, second: Tensor) -> Tensor:
    """The product of two sparse matrices, coalesced COO."""
    a, b = coalesce(to_coo(first)), coalesce(to_coo(second))
    rows, inner = indices(a)
    across = indices(b)[1]
    begin = pointers_of(indices(b)[0], b.shape[0])
    counts = begin.diff()[inner]
    left = torch.arange(inner.numel(), device=rows.device).repeat_interleave(counts)
    right = begin[inner[left]] + torch.arange(left.numel(), device=rows.device) - (counts.cumsum(0) - counts)[left]
    sizes = (a.shape[0], b.shape[1])
    keys, place = torch.unique(flat_keys(torch.stack((rows[left], across[right])), sizes), return_inverse=True)
    value = sums(values(a)[left] * values(b)[right], place, keys.numel())
    return coo(split_keys(keys, sizes), value, sizes, True)


def _not_implemented(first: Tensor, second: Tensor, result: str) -> RuntimeError:
    place = "CPU" if not first.is_meta else "Meta"
    return RuntimeError(
        f"addmm: computation on {place} is not implemented for {result} + {title(first)} @ {title(second)}"
    )


def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """The product of two matrices, at least one of them sparse; sparse if both are."""
    if is_sparse(input) and input.layout is COO and mat2.dim() == 1:
        raise IndexError("Dimension out of range (expected to be in range of [-1, 0], but got 1)")
    for one, name in ((input, "self"), (mat2, "mat2")):
        _need_matrix(one, name)
    _same_dtypes(input, mat2)
    if input.shape[1] != mat2.shape[0]:
        if input.layout is COO and not is_sparse(mat2):
            raise RuntimeError(f"addmm: Argument #3 (dense): Expected dim 0 size {input.shape[1]}, got {mat2.shape[0]}")
        raise RuntimeError(
            f"mat1 and mat2 shapes cannot be multiplied ({input.shape[0]}x{input.shape[1]} and "
            f"{mat2.shape[0]}x{mat2.shape[1]})"
        )
    if not is_sparse(mat2):
        return times_dense(input, mat2)
    if not is_sparse(input):
        if mat2.layout in BLOCKED:
            raise _not_implemented(input, mat2, "Strided")
        return _dense_times(input, mat2)
    if input.layout is COO or mat2.layout is COO:
        if input.layout is not mat2.layout:
            raise _not_implemented(input, mat2, title(input))
        return times_sparse(input, mat2)
    if input.layout in BLOCKED or mat2.layout in BLOCKED:
        blocked = input if input.layout in BLOCKED else mat2
        raise RuntimeError(
            f"zeros_sparse_compressed expected sparse compressed (non-block) tensor layout but got {title(blocked)}"
        )
    layout = CSC if input.layout is CSC and mat2.layout is CSC else CSR
    return to_compressed(times_sparse(input, mat2), layout)


def mv(input: Tensor, vec: Tensor) -> Tensor:
    """A sparse matrix times a dense vector."""
    if is_sparse(vec):
        raise cannot_run("as_strided", vec)
    if input.dim() != 2 or vec.dim() != 1:
        raise RuntimeError(f"vector + matrix @ vector expected, got {input.dim()}, {vec.dim()}")
    if input.shape[1] != vec.shape[0]:
        raise RuntimeError("mv: expected self.size(-1) == vec.size(-1)")
    _same_dtypes(input, vec)
    return times_dense(input, vec.unsqueeze(1)).squeeze(1)


def matmul(input: Tensor, other: Tensor) -> Tensor:
    """The ``@`` operator."""
    if input.dim() == 2 and other.dim() == 2:
        return mm(input, other)
    if input.dim() == 2 and other.dim() == 1:
        return mv(input, other)
    if input.dim() == 1 and other.dim() == 2 and not is_sparse(input):
        return mm(input.unsqueeze(0), other).squeeze(0)
    sparse = input if is_sparse(input) else other
    raise RuntimeError(f"expand is unsupported for {title(sparse)} tensors")


def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """A batch of sparse matrices times a batch of dense ones."""
    for position, one in ((1, input), (2, mat2)):
        if one.dim() != 3:
            raise RuntimeError(f"batch{position} must be a 3D tensor")
    if is_sparse(mat2):
        raise RuntimeError("bmm_sparse: Tensor 'mat2' must be dense")
    if input.layout is not COO:
        raise cannot_run("bmm", input)
    if input.shape[0] != mat2.shape[0]:
        raise RuntimeError("bmm_sparse: 'self.size(0)' and 'mat2.size(0)' must match")
    if input.shape[2] != mat2.shape[1]:
        raise RuntimeError("bmm_sparse: 'self.size(2)' and 'mat2.size(1)' must match")
    if input.dense_dim():
        raise RuntimeError("bmm_sparse: Tensor 'self' must have 0 dense dims, but has " + str(input.dense_dim()))
    _same_dtypes(input, mat2)
    input = coalesce(input)
    batch, high, wide = input.shape
    where, rows, columns = indices(input)
    pointers = pointers_of(where * high + rows, batch * high)
    flat = mat2.reshape(batch * wide, mat2.shape[2])
    product = _rows_times(pointers, where * wide + columns, values(input), flat, batch * high, False)
    return product.reshape(batch, high, mat2.shape[2])  # type: ignore[no-any-return]


def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * mat1 @ mat2."""
    if any(is_compressed(one) for one in (input, mat1, mat2)):
        if any(one.layout is COO for one in (input, mat1, mat2)):
            raise _not_implemented(mat1, mat2, title(input))
        product = mm(mat1, mat2)
        if is_sparse(product) and is_sparse(input):
            return add(_scaled(input, beta), product, alpha)
        if is_sparse(input):
            raise _not_implemented(mat1, mat2, title(input))
        return _scaled(_expanded(input, product), beta) + _scaled(
            to_dense(product) if is_sparse(product) else product, alpha
        )
    if not is_sparse(mat1) or is_sparse(mat2):
        raise RuntimeError(
            "addmm_sparse_dense: expected either 'mat1' to have sparse layout and 'mat2' to have strided layout, got "
            f"'mat1' with layout {title(mat1)} and 'mat2' with layout {title(mat2)}"
            if not is_sparse(input)
            else f"addmm_sparse_dense: expected strided result tensor, got tensor with layout {title(input)}"
        )
    if is_sparse(input):
        raise RuntimeError(f"addmm_sparse_dense: expected strided result tensor, got tensor with layout {title(input)}")
    product = mm(mat1, mat2)
    return _scaled(_expanded(input, product), beta) + _scaled(product, alpha)


def _expanded(input: Tensor, product: Tensor) -> Tensor:
    return input.expand(product.shape)


def _scaled(tensor: Tensor, factor: Any) -> Tensor:
    return tensor if factor == 1 else tensor * factor


def addmv(input: Tensor, mat: Tensor, vec: Tensor, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * mat @ vec."""
    if not is_compressed(mat):
        raise cannot_run("addmv", mat if is_sparse(mat) else vec)
    return _scaled(input, beta) + _scaled(mv(mat, vec), alpha)


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """input @ weight.T + bias with a sparse weight."""
    if is_sparse(input):
        raise cannot_run("linear", input) if input.dim() != 2 else _refuse_linear(input, weight)
    flat = input.reshape(-1, input.shape[-1])
    if bias is None:
        result = times_dense(weight, flat.t()).t()
    else:
        if weight.layout is COO:
            raise RuntimeError(
                "addmm_sparse_dense: expected either 'mat1' to have sparse layout and 'mat2' to have strided layout, "
                "got "
                "'mat1' with layout Strided and 'mat2' with layout Sparse"
            )
        result = times_dense(weight, flat.t()).t() + bias
    return result.reshape(*input.shape[:-1], weight.shape[0])


def _refuse_linear(input: Tensor, weight: Tensor) -> Exception:
    return NotImplementedError(
        f"linear: the input has the layout {title(input)}; write torch.sparse.mm(input, weight.t()) instead"
    )


def embedding(weight: Tensor, indices: Tensor, *options: Any) -> Tensor:
    """Rows of a sparse weight."""
    if indices.dim() == 1:
        return weight.index_select(0, indices)
    raise RuntimeError("reshape is not implemented for sparse tensors")


# ---- operations of torch.sparse and torch alone ----


def sparse_mm(mat1: Tensor, mat2: Tensor, reduce: str | None = None) -> Tensor:
    """``torch.sparse.mm``: the product of two matrices; its gradient to a sparse one has that one's pattern.

    With ``reduce`` ("sum", "mean", "amax" or "amin"), ``mat1`` [m, k] is CSR and ``mat2`` [k, n] dense, and row i of
    the result reduces ``mat1[i, j] * mat2[j]`` over the j that ``mat1`` holds. Raises RuntimeError for sizes or dtypes
    that do not fit.

    >>> torch.sparse.mm(torch.eye(2).to_sparse(), torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[1., 2.],
            [3., 4.]])
    """
    if reduce is None:
        return mm(mat1, mat2) if is_sparse(mat1) or is_sparse(mat2) else torch.mm(mat1, mat2)
    if mat1.layout is not CSR:
        raise cannot_run("_sparse_mm_reduce_impl", mat1)
    if reduce not in ("sum", "mean", "amax", "amin"):
        raise RuntimeError(f"sparse_mm_reduce: reduce type of {reduce} has not been enabled.")
    if mat2.dim() != 2 or mat2.shape[0] != mat1.shape[1]:
        raise RuntimeError(
            f"Expected a tensor of dimension 2 and tensor.size[0] == {mat1.shape[1]} but got: dimension {mat2.dim()} "
            "and "
            f"tensor.size[0] = {mat2.shape[0]}"
        )
    _same_dtypes(mat1, mat2)
    if reduce in ("sum", "mean"):
        product = times_dense(mat1, mat2)
        if reduce == "sum":
            return product
        counts = indices(mat1).diff().clamp(min=1).to(product.dtype)
        return product / counts.unsqueeze(1)
    pointers, index = indices(mat1), plain(mat1)
    rows = line_numbers(pointers, index.numel())
    terms = values(mat1).unsqueeze(1) * mat2[index]
    if not terms.shape[0]:
        return terms.new_zeros((mat1.shape[0], mat2.shape[1])) + terms.sum(0)
    where = rows.unsqueeze(1).expand(terms.shape)
    zeros = terms.new_zeros((mat1.shape[0], terms.shape[1])).detach()
    best = zeros.scatter_reduce(0, where, terms.detach(), reduce, include_self=False)
    # the gradient goes to the first of equal terms
    numbers = torch.arange(terms.shape[0], device=rows.device).unsqueeze(1).expand(terms.shape)
    taken = torch.where(terms.detach() == best[rows], numbers, terms.shape[0])
    first = torch.full(zeros.shape, terms.shape[0], device=rows.device).scatter_reduce(0, where, taken, "amin")
    held = first < terms.shape[0]
    return torch.where(held, terms.gather(0, first.clamp(max=terms.shape[0] - 1)), zeros)


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
    if not isinstance(input, torch.Tensor) or not is_compressed(input):
        raise cannot_run("sparse_sampled_addmm", input)
    if input.layout is not CSR:
        raise RuntimeError(f"sampled_addmm: Expected self to have sparse csr layout, but got {title(input)}")
    for one, name in ((mat1, "mat1"), (mat2, "mat2")):
        if one.layout is not torch.strided:
            raise RuntimeError(f"sampled_addmm: Expected {name} to be strided, but got {title(one)}")
        if one.dtype is not input.dtype:
            raise RuntimeError(f"sampled_addmm: Expected {name} and self to have the same dtype")
        if one.dim() < 2:
            raise RuntimeError(f"sampled_addmm: Expected {name} to be a matrix, got {one.dim()}-D tensor")
    if mat1.shape[-1] != mat2.shape[-2]:
        raise RuntimeError(
            f"sampled_addmm: mat1 and mat2 shapes cannot be multiplied ({mat1.shape[-2]}x{mat1.shape[-1]} and "
            f"{mat2.shape[-2]}x{mat2.shape[-1]})"
        )
    if input.shape[-2] != mat1.shape[-2]:
        raise RuntimeError("sampled_addmm: self.shape[-2] must match mat1.shape[-2]")
    if input.shape[-1] != mat2.shape[-1]:
        raise RuntimeError("sampled_addmm: self.shape[-1] must match mat2.shape[-1]")
    pointers, index, value = indices(input), plain(input), values(input)
    batch = pointers.shape[:-1]
    if batch:
        count = index.shape[-1]
        rows = line_numbers(pointers, count)
        columns = mat2.transpose(-1, -2)
        picks = rows.unsqueeze(-1).expand(*rows.shape, mat1.shape[-1])
        other = index.unsqueeze(-1).expand(*index.shape, mat1.shape[-1])
        left = mat1.expand(*batch, *mat1.shape[-2:]).gather(-2, picks.long())
        right = columns.expand(*batch, *columns.shape[-2:]).gather(-2, other.long())
        products = (left * right).sum(-1)
    else:
        products = _row_products(pointers, index, mat1, mat2.t(), False)
    result = with_values(input, _scaled(products, alpha) + (value * beta if beta else 0))
    return result if out is None else store(out, result)


def sparse_addmm(mat: Tensor, mat1: Tensor, mat2: Tensor, beta: Any = 1.0, alpha: Any = 1.0) -> Tensor:
    """``beta * mat + alpha * (mat1 @ mat2)``: ``mat`` [m, n] dense, ``mat1`` [m, k] sparse, ``mat2`` [k, n] dense.

    The gradient to a sparse matrix has its pattern. Raises RuntimeError for sizes that do not fit.

    >>> torch.sparse.addmm(torch.ones(2, 2), torch.eye(2).to_sparse(), torch.ones(2, 2))
    tensor([[2., 2.],
            [2., 2.]])
    """
    return torch.addmm(mat, mat1, mat2, beta=beta, alpha=alpha)


def sspaddmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Any = 1, alpha: Any = 1, out: Any = None) -> Tensor:
    """``beta * input + alpha * (mat1 @ mat2)`` with ``input`` and ``mat1`` COO and ``mat2`` dense; the result is COO.

    Raises RuntimeError for other layouts and for sizes that do not fit.

    >>> eye = torch.eye(2).to_sparse()
    >>> torch.sspaddmm(eye, eye, torch.ones(2, 2)).to_dense()
    tensor([[2., 1.],
            [1., 2.]])
    """
    if input.layout is not COO or mat1.layout is not COO:
        raise RuntimeError("tensor.sspaddmm(...) can only be called on sparse tensors")
    if is_sparse(mat2):
        raise RuntimeError(f"sspaddmm: expected 'mat2' to have strided layout, got 'mat2' with layout {title(mat2)}")
    if mat1.shape[1] != mat2.shape[0]:
        raise RuntimeError(f"sspaddmm: Argument #3: Expected dim 0 size {mat1.shape[1]}, got {mat2.shape[0]}")
    if tuple(input.shape) != (mat1.shape[0], mat2.shape[1]):
        raise RuntimeError(
            f"sspaddmm: Argument #1: Expected dim 0 size {mat1.shape[0]}, got {input.shape[0]}"
            if input.shape[0] != mat1.shape[0]
            else f"sspaddmm: Argument #1: Expected dim 1 size {mat2.shape[1]}, got {input.shape[1]}"
        )
    product = hspmm(mat1, mat2)
    rows, wide = indices(product)[0], mat2.shape[1]
    index = torch.stack((rows.repeat_interleave(wide), torch.arange(wide, device=rows.device).repeat(rows.numel())))
    index = torch.cat((indices(input), index), 1)
    value = torch.cat((_scaled(values(input), beta), _scaled(values(product).reshape(-1), alpha)))
    result = coo(index, value, input.shape)
    return result if out is None else store(out, result)


def hspmm(mat1: Tensor, mat2: Tensor, *, out: Any = None) -> Tensor:
    """The product of a COO matrix and a dense one as a COO tensor of rows: only rows that are not zero are there.

    Raises RuntimeError for sizes that do not fit, NotImplementedError for a dense ``mat1``.

    >>> torch.hspmm(torch.eye(2).to_sparse(), torch.ones(2, 3)).values()
    tensor([[1., 1., 1.],
            [1., 1., 1.]])
    """
    if not is_sparse(mat1) or is_compressed(mat1):
        raise cannot_run("hspmm", mat1)
    if mat1.shape[1] != mat2.shape[0]:
        raise RuntimeError(f"hspmm: Argument #3: Expected dim 0 size {mat1.shape[1]}, got {mat2.shape[0]}")
    mat1 = coalesce(mat1)
    rows = indices(mat1)[0]
    held, place = torch.unique(rows, return_inverse=True)
    value = _rows_times(pointers_of(place, held.numel()), indices(mat1)[1], values(mat1), mat2, held.numel(), False)
    result = coo(held.unsqueeze(0), value, (mat1.shape[0], mat2.shape[1]), True)
    return result if out is None else store(out, result)


def smm(input: Tensor, mat: Tensor) -> Tensor:
    """The product of a COO matrix and a dense one, as COO.

    >>> torch.smm(torch.eye(2).to_sparse(), torch.ones(2, 2)).to_dense()
    tensor([[1., 1.],
            [1., 1.]])
    """
    if not is_sparse(input) or is_compressed(input):
        raise RuntimeError("tensor.sspaddmm(...) can only be called on sparse tensors")
    size = (input.shape[0], mat.shape[-1])
    empty = coo(indices(input).new_empty((2, 0)), values(input).detach().new_empty(0), size, True)
    return sspaddmm(empty, input, mat)


def spmm(input: Tensor, mat2: Tensor) -> Tensor:
    """``torch.mm`` under another name.

    >>> torch.spmm(torch.eye(2).to_sparse(), torch.ones(2, 1))
    tensor([[1.],
            [1.]])
    """
    return torch.mm(input, mat2)


def saddmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Any = 1, alpha: Any = 1, out: Any = None) -> Tensor:
    """``sspaddmm`` under another name."""
    return sspaddmm(input, mat1, mat2, beta=beta, alpha=alpha, out=out)


dsmm, hsmm = spmm, hspmm

RULES: dict[str, Any] = {
    "mm": mm, "mv": mv, "matmul": matmul, "bmm": bmm, "addmm": addmm, "addmv": addmv, "linear": linear,
    "embedding": embedding,
}  # fmt: skip
