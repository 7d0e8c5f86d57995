"""Products of sparse tensors with dense and sparse ones."""

from __future__ import annotations

import torch
from torch import _C

from ..ops_py._common import scalar_type
from ._arithmetic import add
from ._convert import coalesce, to_compressed, to_coo, to_dense
from ._parts import (
    BLOCKED,
    BSR,
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
        _need_elements(matrix, "addmm: ")
        matrix = coalesce(matrix)
        rows, columns = indices(matrix)
        return pointers_of(rows, matrix.shape[0]), columns, values(matrix), False
    return indices(matrix), plain(matrix), values(matrix), matrix.layout is CSC


def _need_elements(matrix: Tensor, where: str) -> None:
    """A COO matrix whose two dimensions are both sparse."""
    if matrix.sparse_dim() != 2:
        raise RuntimeError(f"{where}matrices expected, got {matrix.sparse_dim()}D tensor")
    if matrix.dense_dim():
        raise RuntimeError(f"{where}scalar values expected, got {matrix.dense_dim()}D values")


def _same_dtypes(first: Tensor, second: Tensor) -> None:
    if first.dtype is not second.dtype:
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


class Mm(torch.autograd.Function):
    """The product with a dense matrix whose gradient to the sparse one is dense, as torch.mm's is."""

    @staticmethod
    def forward(ctx: Any, matrix: Tensor, dense: Tensor, first: bool) -> Tensor:
        ctx.save_for_backward(matrix, dense)
        ctx.save_for_forward(matrix, dense)
        ctx.first = first
        return times_dense(matrix, dense) if first else _dense_times(dense, matrix)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        matrix, dense = ctx.saved_tensors
        to_matrix = to_dense = None
        if ctx.needs_input_grad[0]:
            to_matrix = grad @ dense.mH if ctx.first else dense.mH @ grad
        if ctx.needs_input_grad[1]:
            to_dense = mm(matrix.mH, grad) if ctx.first else mm(grad, matrix.mH)
        return to_matrix, to_dense, None

    @staticmethod
    def jvp(ctx: Any, matrix_tangent: Tensor | None, dense_tangent: Tensor | None, _: None) -> Tensor:
        matrix, dense = ctx.saved_tensors
        pairs = ((matrix_tangent, dense), (matrix, dense_tangent))
        terms = [torch.mm(m, d) if ctx.first else torch.mm(d, m) for m, d in pairs if m is not None and d is not None]
        return terms[0] if len(terms) == 1 else terms[0] + terms[1]


def _product(matrix: Tensor, dense: Tensor, masked: bool, first: bool = True) -> Tensor:
    if not masked and matrix.requires_grad and torch.is_grad_enabled():
        return Mm.apply(matrix, dense, first)  # type: ignore[no-any-return]
    return times_dense(matrix, dense) if first else _dense_times(dense, matrix)


def times_sparse(first: Tensor, second: Tensor) -> Tensor:
    """The product of two sparse matrices, coalesced COO."""
    a, b = to_coo(first), to_coo(second)
    for one in (a, b):
        if one.dense_dim():
            raise RuntimeError(f"sparse_sparse_matmul_cpu: scalar values expected, got {one.dense_dim()}D values")
    a, b = coalesce(a), coalesce(b)
    rows, inner = indices(a)
    across = indices(b)[1]
    begin = pointers_of(indices(b)[0], b.shape[0])
    counts = begin.diff()[inner]
    left = torch.arange(inner.numel(), device=rows.device).repeat_interleave(counts)
    right = begin[inner[left]] + torch.arange(left.numel(), device=rows.device) - (counts.cumsum(0) - counts)[left]
    sizes = (a.shape[0], b.shape[1])
    keys = flat_keys(torch.stack((rows[left], across[right])), sizes)
    terms = values(a)[left] * values(b)[right]
    if sizes[0] * sizes[1] <= 4 * keys.numel():
        # so many terms that the whole matrix is no larger than what sorting them would take
        cells = sizes[0] * sizes[1]
        held = torch.zeros(cells, dtype=torch.bool, device=keys.device).index_fill_(0, keys, True).nonzero().squeeze(1)
        return coo(split_keys(held, sizes), sums(terms, keys, cells)[held], sizes, True)
    keys, place = torch.unique(keys, return_inverse=True)
    value = sums(terms, place, keys.numel())
    return coo(split_keys(keys, sizes), value, sizes, True)


def _not_implemented(first: Tensor, second: Tensor, result: str) -> RuntimeError:
    place = "CPU" if not first.is_meta else "Meta"
    return RuntimeError(
        f"addmm: computation on {place} is not implemented for {result} + {title(first)} @ {title(second)}"
    )


def mm(input: Tensor, mat2: Tensor, masked: bool = False) -> Tensor:
    """The product of two matrices, at least one of them sparse; sparse if both are.

    The gradient to a sparse matrix is dense, or, ``masked``, has that one's pattern.
    """
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
        return _product(input, mat2, masked)
    if not is_sparse(input):
        if mat2.layout is BSR:
            raise _not_implemented(input, mat2, "Strided")
        return _product(mat2, input, masked, False)
    if input.layout is COO or mat2.layout is COO:
        if input.layout is not mat2.layout:
            raise _not_implemented(input, mat2, title(input))
        return times_sparse(input, mat2)
    if input.layout in BLOCKED or mat2.layout in BLOCKED:
        blocked = input if input.layout in BLOCKED else mat2
        raise RuntimeError(
            f"zeros_sparse_compressed expected sparse compressed (non-block) tensor layout but got {title(blocked)}"
        )
    return to_compressed(times_sparse(input, mat2), CSR)


def mv(input: Tensor, vec: Tensor) -> Tensor:
    """A sparse matrix times a dense vector."""
    if is_sparse(vec):
        raise cannot_run("as_strided", vec)
    if input.dim() != 2 or vec.dim() != 1:
        raise RuntimeError(
            f"mv: two tensor dim should be 2 and 1, but got SparseTensor Dim: {input.dim()}Tensor Dim: {vec.dim()}"
        )
    if input.shape[1] != vec.shape[0]:
        raise RuntimeError("mv: expected self.size(-1) == vec.size(-1)")
    _same_dtypes(input, vec)
    return _product(input, vec.unsqueeze(1), False).squeeze(1)


def matmul(input: Tensor, other: Tensor) -> Tensor:
    """The ``@`` operator."""
    if input.dim() == 2 and other.dim() == 2:
        return torch.mm(input, other)
    if input.dim() == 2 and other.dim() == 1:
        return torch.mv(input, other)
    if input.dim() == 1 and other.dim() == 2 and not is_sparse(input):
        return torch.mm(input.unsqueeze(0), other).squeeze(0)
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


def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, beta: Any = 1, alpha: Any = 1, masked: bool = False) -> Tensor:
    """beta * input + alpha * mat1 @ mat2."""
    if any(is_compressed(one) for one in (input, mat1, mat2)):
        if any(one.layout is COO for one in (input, mat1, mat2)):
            raise _not_implemented(mat1, mat2, title(input))
        product = mm(mat1, mat2, masked)
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
    product = mm(mat1, mat2, masked)
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
        product = matmul(input, weight.t())
        return product if bias is None else product + bias
    flat = input.reshape(-1, input.shape[-1])
    weight.t()  # refuses what cannot be transposed
    if bias is None:
        result = _product(weight, flat.t(), False).t()
    else:
        if weight.layout is COO:
            raise RuntimeError(
                "addmm_sparse_dense: expected either 'mat1' to have sparse layout and 'mat2' to have strided layout, "
                "got 'mat1' with layout Strided and 'mat2' with layout Sparse"
            )
        result = _product(weight, flat.t(), False).t() + bias
    return result.reshape(*input.shape[:-1], weight.shape[0])


def embedding(weight: Tensor, indices: Tensor, *options: Any) -> Tensor:
    """Rows of a sparse weight."""
    if indices.dim() == 1:
        return weight.index_select(0, indices)
    raise RuntimeError("reshape is not implemented for sparse tensors")


# ---- operations that are there for sparse tensors alone ----


def _masked_mm(mat1: Tensor, mat2: Tensor) -> Tensor:
    return mm(mat1, mat2, True) if is_sparse(mat1) or is_sparse(mat2) else torch.mm(mat1, mat2)


def _reduced_mm(mat1: Tensor, mat2: Tensor, reduce: str) -> Tensor:
    """Row i of the result reduces ``mat1[i, j] * mat2[j]`` over the j that ``mat1`` holds."""
    if not is_compressed(mat1):
        raise cannot_run("_sparse_mm_reduce_impl", mat1)
    if mat1.layout is not CSR:
        raise RuntimeError(f"sparse_mm_reduce: expect self to be SparseCsr, got {title(mat1)}")
    if not mat1.dtype.is_floating_point:
        raise NotImplementedError(f"\"spmm_reduce_kernel\" not implemented for '{scalar_type(mat1.dtype)}'")
    if reduce not in ("sum", "mean", "amax", "amin"):
        raise RuntimeError(f"sparse_mm_reduce: reduce type of {reduce} has not been enabled.")
    if mat2.dim() != 2 or mat2.shape[0] != mat1.shape[1]:
        raise RuntimeError(
            f"Expected a tensor of dimension 2 and tensor.size[0] == {mat1.shape[1]} but got: dimension {mat2.dim()} "
            f"and tensor.size[0] = {mat2.shape[0]}"
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


def sampled_addmm(input: Tensor, mat1: Tensor, mat2: Tensor, beta: Any, alpha: Any) -> Tensor:
    """``alpha * (mat1 @ mat2) + beta * input`` at the places that the CSR tensor ``input`` holds, and only there."""
    if not is_compressed(input):
        raise cannot_run("sparse_sampled_addmm", input)
    if input.layout is not CSR:
        raise RuntimeError(f"sampled_addmm: Expected result to have sparse csr layout, but got {title(input)}")
    if not (input.dtype.is_floating_point or input.dtype.is_complex):
        raise RuntimeError(
            "sparse_sampled_addmm: Expected self to be a floating-point or complex tensor, but got "
            + scalar_type(input.dtype)
        )
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
    return with_values(input, _scaled(products, alpha) + (value * beta if beta else 0))


def _masked_addmm(mat: Tensor, mat1: Tensor, mat2: Tensor, beta: Any, alpha: Any) -> Tensor:
    if is_sparse(mat) or is_sparse(mat1) or is_sparse(mat2):
        return addmm(mat, mat1, mat2, beta, alpha, True)
    return torch.addmm(mat, mat1, mat2, beta=beta, alpha=alpha)


def sspaddmm(input: Tensor, mat1: Tensor, mat2: Tensor, beta: Any, alpha: Any) -> Tensor:
    """``beta * input + alpha * (mat1 @ mat2)`` with ``input`` and ``mat1`` COO and ``mat2`` dense, as COO."""
    if input.layout is not COO or mat1.layout is not COO:
        raise RuntimeError("tensor.sspaddmm(...) can only be called on sparse tensors")
    if is_sparse(mat2):
        raise RuntimeError(f"sspaddmm: expected 'mat2' to have strided layout, got 'mat2' with layout {title(mat2)}")
    _need_elements(mat1, "sspaddmm: Argument #2: ")
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
    return coo(index, value, input.shape)


def hspmm(mat1: Tensor, mat2: Tensor) -> Tensor:
    """The product of a COO matrix and a dense one as a COO tensor of rows: only rows that are not zero are there."""
    if not is_sparse(mat1) or is_compressed(mat1):
        raise cannot_run("hspmm", mat1)
    if is_sparse(mat2):
        raise RuntimeError(f"addmm_sparse_dense: expected strided result tensor, got tensor with layout {title(mat2)}")
    _need_elements(mat1, "hspmm: Argument #2: ")
    if mat1.shape[1] != mat2.shape[0]:
        raise RuntimeError(f"hspmm: Argument #3: Expected dim 0 size {mat1.shape[1]}, got {mat2.shape[0]}")
    mat1 = coalesce(mat1)
    rows = indices(mat1)[0]
    held, place = torch.unique(rows, return_inverse=True)
    value = _rows_times(pointers_of(place, held.numel()), indices(mat1)[1], values(mat1), mat2, held.numel(), False)
    return coo(held.unsqueeze(0), value, (mat1.shape[0], mat2.shape[1]), True)


def smm(input: Tensor, mat: Tensor) -> Tensor:
    """The product of a COO matrix and a dense one, as COO."""
    if not is_sparse(input) or is_compressed(input):
        raise RuntimeError("tensor.sspaddmm(...) can only be called on sparse tensors")
    size = (input.shape[0], mat.shape[-1])
    empty = coo(indices(input).new_empty((2, 0)), values(input).detach().new_empty(0), size, True)
    return sspaddmm(empty, input, mat, 1, 1)


def _spsolve(input: Tensor, other: Tensor, left: bool = True) -> Tensor:
    raise cannot_run("_spsolve", input)


RULES: dict[str, Any] = {
    "mm": mm, "mv": mv, "matmul": matmul, "bmm": bmm, "addmm": addmm, "addmv": addmv, "linear": linear,
    "embedding": embedding, "smm": smm, "spmm": torch.mm, "dsmm": torch.mm, "hspmm": hspmm, "hsmm": hspmm,
    "sspaddmm": sspaddmm, "saddmm": sspaddmm, "_sparse_mm": _masked_mm, "_sparse_mm.reduce": _reduced_mm,
    "_sparse_addmm": _masked_addmm, "sparse_sampled_addmm": sampled_addmm, "_spsolve": _spsolve,
}  # fmt: skip
