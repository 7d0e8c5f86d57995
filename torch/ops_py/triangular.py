"""LU factors, triangular systems and what follows from a Cholesky factor."""

from __future__ import annotations

import torch

from . import _numpy
from ._common import into, into_all
from ._linalg_common import (
    LinAlgError,
    batches,
    broadcast_batches,
    check_matrix,
    check_same,
    check_square,
    check_values,
    hermitian,
    named,
    which_matrix,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from torch import Tensor


# ---- triangular systems


def _substitute(a: Any, b: Any) -> Any:
    """Solve upper triangular systems from the last unknown to the first; zero pivots give infinities, as in LAPACK."""
    numpy = _numpy.numpy("torch.linalg")
    size = a.shape[-1]
    x = numpy.array(b)
    # Blocks bound the number of Python steps: inside a block rows are eliminated, the rest is one matrix product.
    block = 64
    with numpy.errstate(all="ignore"):
        for end in range(size, 0, -block):
            start = max(0, end - block)
            for i in range(end - 1, start - 1, -1):
                x[..., i, :] /= a[..., i, i, None]
                if i > start:
                    x[..., start:i, :] -= a[..., start:i, i, None] * x[..., None, i, :]
            if start:
                x[..., :start, :] -= a[..., :start, start:end] @ x[..., start:end, :]
    return x


class _SolveTriangular(torch.autograd.function.TransposedFunction):
    """``A X = B``; the side and the transposition are the caller's business."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, upper: bool, unitriangular: bool) -> Tensor:
        numpy = _numpy.numpy("torch.linalg")
        matrix, right = _numpy.array(a), _numpy.array(b)
        if unitriangular:
            matrix = matrix.copy()
            index = numpy.arange(matrix.shape[-1])
            matrix[..., index, index] = 1
        if upper:
            x = _substitute(matrix, right)
        else:
            # Both orders reversed, a lower triangle is an upper one.
            x = _substitute(matrix[..., ::-1, ::-1], right[..., ::-1, :])[..., ::-1, :]
        result = _numpy.tensor(x, b.dtype)
        ctx.arguments = upper, unitriangular
        ctx.save_for_backward(a, result)
        return result

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        upper, unitriangular = ctx.arguments
        a, x = ctx.saved_tensors
        grad_b = _SolveTriangular.apply(hermitian(a), grad, not upper, unitriangular)
        grad_a = None
        if ctx.needs_input_grad[0]:
            grad_a = -(grad_b @ hermitian(x))
            edge = 1 if unitriangular else 0
            grad_a = grad_a.triu(edge) if upper else grad_a.tril(-edge)
        return grad_a, grad_b, None, None


def solve_triangular(
    A: Tensor,  # noqa: N803
    B: Tensor,  # noqa: N803
    *,
    upper: bool,
    left: bool = True,
    unitriangular: bool = False,
    out: Tensor | None = None,
) -> Tensor:
    """Solve ``A X = B``, or ``X A = B``, for a triangular ``A``; its other triangle is not read.

    >>> torch.linalg.solve_triangular(torch.tensor([[2.]]), torch.tensor([[6.]]), upper=True)
    tensor([[3.]])
    """
    check_same("linalg.solve_triangular", A, B)
    check_square("linalg.solve_triangular", A)
    check_matrix("linalg.solve_triangular", B, "B")
    check_values("linalg.solve_triangular", A)
    inner = B.shape[-2] if left else B.shape[-1]
    if A.shape[-1] != inner:
        raise RuntimeError(
            f"linalg.solve_triangular: Incompatible shapes of A and B for the equation {'AX = B' if left else 'XA = B'}"
            f" ({A.shape[-2]}x{A.shape[-1]} and {B.shape[-2]}x{B.shape[-1]})"
        )
    a, b = broadcast_batches(A, B)
    if left:
        return into(_SolveTriangular.apply(a, b, upper, unitriangular), out)
    return into(_SolveTriangular.apply(a.mT, b.mT, not upper, unitriangular).mT, out)


def triangular_solve(
    input: Tensor,
    A: Tensor,  # noqa: N803
    upper: bool = True,
    transpose: bool = False,
    unitriangular: bool = False,
    *,
    out: Any = None,
) -> Any:
    """Solve ``A X = input`` (deprecated: use ``torch.linalg.solve_triangular``).

    >>> torch.triangular_solve(torch.tensor([[6.]]), torch.tensor([[2.]])).solution
    tensor([[3.]])
    """
    if input.dim() < 2 or A.dim() < 2:
        which, t = ("b", input) if input.dim() < 2 else ("A", A)
        raise RuntimeError(
            f"torch.triangular_solve: Expected {which} to have at least 2 dimensions, but it has {t.dim()} dimensions "
            "instead"
        )
    check_values("triangular_solve", input)
    a, b = broadcast_batches(A, input)
    matrix = a.mT if transpose else a
    solution = _SolveTriangular.apply(matrix, b, upper != transpose, unitriangular)
    return named("triangular_solve", *into_all((solution, a.clone()), out))


# ---- LU


def _lu(matrices: Any, pivot: bool) -> tuple[Any, Any, Any]:
    """Packed factors, pivots counted from 1 and infos of a stack of matrices: right-looking elimination."""
    numpy = _numpy.numpy("torch.linalg")
    packed = numpy.array(matrices)
    count, rows, columns = packed.shape
    inner = min(rows, columns)
    pivots = numpy.tile(numpy.arange(1, inner + 1, dtype=numpy.int32), (count, 1))
    info = numpy.zeros(count, dtype=numpy.int32)
    if not count:
        return packed, pivots, info
    each = numpy.arange(count)
    with numpy.errstate(all="ignore"):
        for j in range(inner):
            if pivot:
                column = packed[:, j:, j]
                # LAPACK measures complex numbers by the sum of both parts' magnitudes.
                size = abs(column.real) + abs(column.imag) if numpy.iscomplexobj(column) else abs(column)
                best = numpy.argmax(size, 1) + j
                pivots[:, j] = best + 1
                rows_j, rows_best = packed[each, j].copy(), packed[each, best].copy()
                packed[each, best], packed[each, j] = rows_j, rows_best
            diagonal = packed[:, j, j]
            zero = diagonal == 0
            info = numpy.where((info == 0) & zero, j + 1, info).astype(numpy.int32)
            if j + 1 < rows:
                packed[:, j + 1 :, j] /= numpy.where(zero, 1, diagonal)[:, None]
                packed[:, j + 1 :, j + 1 :] -= packed[:, j + 1 :, j, None] * packed[:, None, j, j + 1 :]
    return packed, pivots, info


def _permutation(pivots: Tensor, rows: int) -> Tensor:
    """Row i of P @ B is row result[i] of B, for the exchanges that LAPACK recorded."""
    exchanges = pivots.reshape(pivots.shape[:-1].numel(), pivots.shape[-1]).tolist()
    orders = []
    for swaps in exchanges:
        order = list(range(rows))
        for i, j in enumerate(swaps):
            order[i], order[j - 1] = order[j - 1], order[i]
        orders.append(order)
    return torch.tensor(orders, dtype=torch.int64, device=pivots.device).reshape(*pivots.shape[:-1], rows)


def _permutation_matrix(pivots: Tensor, rows: int, dtype: torch.dtype) -> Tensor:
    """P of ``A = P @ L @ U``."""
    order = _permutation(pivots, rows)
    result = torch.zeros(*order.shape, rows, dtype=dtype, device=order.device)
    return result.scatter_(-1, order.unsqueeze(-1), 1).mT.contiguous() if rows else result


class _LU(torch.autograd.function.TransposedFunction):
    """Packed factors, pivots and infos."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, pivot: bool) -> tuple[Tensor, Tensor, Tensor]:
        values, batch = batches(a)
        packed, pivots, info = _lu(values, pivot)
        inner = min(a.shape[-2:])
        result = _numpy.tensor(packed, a.dtype).reshape(a.shape)
        pivot_tensor = _numpy.tensor(pivots).reshape(*batch, inner)
        info_tensor = _numpy.tensor(info).reshape(batch)
        ctx.mark_non_differentiable(pivot_tensor, info_tensor)
        ctx.save_for_backward(result, pivot_tensor)
        return result, pivot_tensor, info_tensor

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _pivots: Any, _info: Any) -> tuple[Any, ...]:
        packed, pivots = ctx.saved_tensors
        rows, columns = packed.shape[-2:]
        inner = min(rows, columns)
        lower = _unit_lower(packed.narrow(-1, 0, inner).narrow(-2, 0, inner))
        upper = packed.narrow(-1, 0, inner).narrow(-2, 0, inner).triu()
        square = grad.narrow(-1, 0, inner).narrow(-2, 0, inner)
        from_lower = hermitian(lower) @ square.tril(-1)
        from_upper = square.triu() @ hermitian(upper)
        right_grad = below_grad = None
        if columns > inner:
            # Columns beyond the square are L times theirs of U.
            right = packed.narrow(-1, inner, columns - inner)
            grad_right = grad.narrow(-1, inner, columns - inner)
            from_lower = from_lower - grad_right @ hermitian(right)
            right_grad = solve_triangular(hermitian(lower), grad_right, upper=True, unitriangular=True)
        if rows > inner:
            below = packed.narrow(-2, inner, rows - inner)
            grad_below = grad.narrow(-2, inner, rows - inner)
            from_upper = from_upper - hermitian(below) @ grad_below
            below_grad = solve_triangular(hermitian(upper), grad_below, upper=False, left=False)
        middle = from_lower.tril(-1) + from_upper.triu()
        middle = solve_triangular(hermitian(lower), middle, upper=True, unitriangular=True)
        result = solve_triangular(hermitian(upper), middle, upper=False, left=False)
        if right_grad is not None:
            result = torch.cat([result, right_grad], -1)
        if below_grad is not None:
            result = torch.cat([result, below_grad], -2)
        order = _permutation(pivots, rows).argsort(-1)
        return result.gather(-2, order.unsqueeze(-1).expand(result.shape)), None


def _unit_lower(packed: Tensor) -> Tensor:
    eye = torch.eye(packed.shape[-2], packed.shape[-1], dtype=packed.dtype, device=packed.device)
    return packed.tril(-1) + eye


def _check_lu(name: str, info: Tensor) -> None:
    failed = info.reshape(-1).nonzero()
    if failed.numel():
        index = int(failed[0])
        order = int(info.reshape(-1)[index])
        raise LinAlgError(
            f"{which_matrix(name, tuple(info.shape), index)}U[{order},{order}] is zero and using it on lu_solve would "
            "result in a division by zero. If you still want to perform the factorization, consider calling "
            "linalg.lu(A, pivot) or linalg.lu_factor_ex(A, pivot)"
        )


def _check_pivot(name: str, pivot: bool) -> None:
    if not pivot:
        raise RuntimeError(f"{name}: LU without pivoting is not implemented on the CPU")


def lu_factor_ex(
    A: Tensor,
    *,
    pivot: bool = True,
    check_errors: bool = False,
    out: Any = None,  # noqa: N803
) -> Any:
    """LU factors in one matrix, pivots counted from 1, and for each matrix 0 or the first pivot that is zero.

    >>> torch.linalg.lu_factor_ex(torch.eye(2)).pivots
    tensor([1, 2], dtype=torch.int32)
    """
    check_matrix("linalg.lu_factor", A)
    check_values("linalg.lu_factor", A)
    _check_pivot("linalg.lu_factor", pivot)
    result = _LU.apply(A, pivot)
    if check_errors:
        _check_lu("torch.linalg.lu_factor_ex", result[2])
    return named("linalg_lu_factor_ex", *into_all(result, out))


def lu_factor(A: Tensor, *, pivot: bool = True, out: Any = None) -> Any:  # noqa: N803
    """LU factors in one matrix, and pivots counted from 1.

    >>> torch.linalg.lu_factor(torch.eye(2)).pivots
    tensor([1, 2], dtype=torch.int32)
    """
    packed, pivots, info = lu_factor_ex(A, pivot=pivot)
    _check_lu("torch.linalg.lu_factor", info)
    return named("linalg_lu_factor", *into_all((packed, pivots), out))


def _unpack(packed: Tensor) -> tuple[Tensor, Tensor]:
    rows, columns = packed.shape[-2:]
    inner = min(rows, columns)
    return _unit_lower(packed.narrow(-1, 0, inner)), packed.narrow(-2, 0, inner).triu()


def linalg_lu(A: Tensor, *, pivot: bool = True, out: Any = None) -> Any:  # noqa: N803
    """``A = P @ L @ U``: a permutation, a unit lower and an upper triangular matrix.

    >>> P, L, U = torch.linalg.lu(torch.tensor([[0., 1.], [2., 0.]]))
    >>> P @ L @ U
    tensor([[0., 1.],
            [2., 0.]])
    """
    check_matrix("linalg.lu", A)
    check_values("linalg.lu", A)
    _check_pivot("linalg.lu", pivot)
    packed, pivots, _ = _LU.apply(A, pivot)
    lower, upper = _unpack(packed)
    return named("linalg_lu", *into_all((_permutation_matrix(pivots, A.shape[-2], A.dtype), lower, upper), out))


def lu_unpack(
    LU_data: Tensor,  # noqa: N803
    LU_pivots: Tensor,  # noqa: N803
    unpack_data: bool = True,
    unpack_pivots: bool = True,
    *,
    out: Any = None,
) -> Any:
    """``P``, ``L`` and ``U`` from packed LU factors and pivots.

    >>> torch.lu_unpack(*torch.linalg.lu_factor(torch.eye(2))).U
    tensor([[1., 0.],
            [0., 1.]])
    """
    if LU_pivots.dtype != torch.int32:
        raise RuntimeError(
            "torch.lu_unpack: LU_pivots is expected to be a contiguous tensor of torch.int32 dtype.\nNote: this "
            "function "
            "is intended to be used with the output produced by torch.linalg.lu_factor"
        )
    empty = LU_data.new_empty(0)
    permutation = _permutation_matrix(LU_pivots, LU_data.shape[-2], LU_data.dtype) if unpack_pivots else empty
    lower, upper = _unpack(LU_data) if unpack_data else (empty, empty)
    return named("lu_unpack", *into_all((permutation, lower, upper), out))


def linalg_lu_solve(
    LU: Tensor,  # noqa: N803
    pivots: Tensor,
    B: Tensor,  # noqa: N803
    *,
    left: bool = True,
    adjoint: bool = False,
    out: Tensor | None = None,
) -> Tensor:
    """Solve ``A X = B`` (or ``X A = B``, or with the adjoint of ``A``) from packed LU factors.

    >>> LU, pivots = torch.linalg.lu_factor(torch.tensor([[2.]]))
    >>> torch.linalg.lu_solve(LU, pivots, torch.tensor([[6.]]))
    tensor([[3.]])
    """
    check_values("linalg.lu_solve", LU)
    if pivots.dtype != torch.int32:
        raise RuntimeError(f"linalg.lu_solve: pivots should be a Tensor of scalar type torch.int32. Got {pivots.dtype}")
    check_square("torch.linalg.lu_solve", LU, "LU")
    check_same("linalg.lu_solve", LU, B)
    if not left:
        return into(hermitian(linalg_lu_solve(LU, pivots, hermitian(B), adjoint=not adjoint)), out)
    if LU.shape[-1] != B.shape[-2]:
        raise RuntimeError(
            f"linalg.lu_solve: Incompatible shapes of A and B for the equation AX = B ({LU.shape[-2]}x{LU.shape[-1]} "
            "and "
            f"{B.shape[-2]}x{B.shape[-1]})"
        )
    packed, right = broadcast_batches(LU, B)
    order = _permutation(pivots, LU.shape[-1]).expand(*packed.shape[:-1])
    if adjoint:
        x = _SolveTriangular.apply(hermitian(packed), right, False, False)
        x = _SolveTriangular.apply(hermitian(packed), x, True, True)
        back = order.argsort(-1)
        return into(x.gather(-2, back.unsqueeze(-1).expand(x.shape)), out)
    x = right.gather(-2, order.unsqueeze(-1).expand(right.shape))
    x = _SolveTriangular.apply(packed, x, False, True)
    return into(_SolveTriangular.apply(packed, x, True, False), out)


def lu_solve(b: Tensor, LU_data: Tensor, LU_pivots: Tensor, *, out: Tensor | None = None) -> Tensor:  # noqa: N803
    """Solve from packed LU factors (deprecated: use ``torch.linalg.lu_solve``).

    >>> torch.lu_solve(torch.tensor([[6.]]), *torch.linalg.lu_factor(torch.tensor([[2.]])))
    tensor([[3.]])
    """
    return linalg_lu_solve(LU_data, LU_pivots, b, out=out)


def lu(A: Tensor, pivot: bool = True, get_infos: bool = False, out: Any = None) -> Any:  # noqa: N803
    """Packed LU factors and pivots (deprecated: use ``torch.linalg.lu_factor``).

    >>> torch.lu(torch.eye(2))[1]
    tensor([1, 2], dtype=torch.int32)
    """
    packed, pivots, info = lu_factor_ex(A, pivot=pivot)
    if not get_infos:
        _check_lu("torch.linalg.lu_factor", info)
    if get_infos:
        return named("_lu_with_info", *into_all((packed, pivots, info), out))
    return into_all((packed, pivots), out)


# ---- from a Cholesky factor


def cholesky_solve(
    B: Tensor,
    L: Tensor,
    upper: bool = False,
    *,
    out: Tensor | None = None,  # noqa: N803
) -> Tensor:
    """Solve ``A X = B`` for the ``A`` that ``L`` is the Cholesky factor of.

    >>> torch.cholesky_solve(torch.tensor([[8.]]), torch.tensor([[2.]]))
    tensor([[2.]])
    """
    if B.dim() < 2 or L.dim() < 2:
        which, t = ("b", B) if B.dim() < 2 else ("u", L)
        raise RuntimeError(f"{which} should have at least 2 dimensions, but has {t.dim()} dimensions instead")
    if L.shape[-1] != L.shape[-2]:
        raise RuntimeError(
            f"cholesky_solve: A must be batches of square matrices, but they are {L.shape[-2]} by {L.shape[-1]} "
            "matrices"
        )
    if L.shape[-1] != B.shape[-2]:
        raise RuntimeError(
            f"Incompatible matrix sizes for cholesky_solve: each A matrix is {L.shape[-1]} by {L.shape[-1]} but each "
            f"b matrix is {B.shape[-2]} by {B.shape[-1]}"
        )
    check_values("cholesky_solve", L, B)
    factor, right = broadcast_batches(L, B)
    return into(_CholeskySolve.apply(factor, right, upper), out)


class _CholeskySolve(torch.autograd.function.TransposedFunction):
    """The gradient of the factor is not cut to its triangle: the other one counts as the mirror image."""

    @staticmethod
    def forward(ctx: Any, factor: Tensor, right: Tensor, upper: bool) -> Tensor:
        lower = hermitian(factor) if upper else factor
        x = _SolveTriangular.apply(hermitian(lower), _SolveTriangular.apply(lower, right, False, False), True, False)
        ctx.upper = upper
        ctx.save_for_backward(factor, x)
        return x

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        factor, x = ctx.saved_tensors
        grad_right = _CholeskySolve.apply(factor, grad, ctx.upper)
        both = grad_right @ hermitian(x)
        both = both + hermitian(both)
        return -(factor @ both if ctx.upper else both @ factor), grad_right, None


def cholesky_inverse(L: Tensor, upper: bool = False, *, out: Tensor | None = None) -> Tensor:  # noqa: N803
    """The inverse of the matrix that ``L`` is the Cholesky factor of.

    >>> torch.cholesky_inverse(torch.tensor([[2.]]))
    tensor([[0.2500]])
    """
    check_square("cholesky_inverse", L)
    check_values("cholesky_inverse", L)
    eye = torch.eye(L.shape[-1], dtype=L.dtype, device=L.device).expand(L.shape)
    return into(cholesky_solve(eye, L, upper), out)


def lu_method(self: Tensor, pivot: bool = True, get_infos: bool = False) -> Any:
    """See :func:`torch.lu`."""
    return lu(self, pivot, get_infos)
