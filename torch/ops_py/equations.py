"""Inverses, linear equations, determinants, least squares."""

from __future__ import annotations

import torch

from . import _numpy
from ._common import into, into_all, scalar_type
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


def _invert(values: Any) -> tuple[Any, Any]:
    """Inverses of a stack of matrices, and which of them are singular (1-based pivot, or 0)."""
    numpy = _numpy.numpy("torch.linalg")
    info = numpy.zeros(len(values), dtype=numpy.int32)
    try:
        return numpy.linalg.inv(values), info
    except numpy.linalg.LinAlgError:
        return _each_alone(values, None, info)


def _each_alone(values: Any, right: Any, info: Any) -> tuple[Any, Any]:
    """Solve matrix by matrix, so that a singular one does not spoil its neighbours."""
    from .triangular import _lu

    numpy = _numpy.numpy("torch.linalg")
    result = numpy.zeros_like(values if right is None else right)
    for i, matrix in enumerate(values):
        try:
            result[i] = numpy.linalg.inv(matrix) if right is None else numpy.linalg.solve(matrix, right[i])
        except numpy.linalg.LinAlgError:
            info[i] = _lu(matrix[None], True)[2][0]
            # LAPACK leaves its work half done; the identity's image under a singular matrix is not defined anyway.
            result[i] = numpy.inf
    return result, info


def _singular(name: str, info: Tensor) -> None:
    failed = info.reshape(-1).nonzero()
    if failed.numel():
        index = int(failed[0])
        order = int(info.reshape(-1)[index])
        verb = "The solver failed because the input matrix is singular." if "solve" in name else (
            f"The diagonal element {order} is zero, the inversion could not be completed because the input matrix is "
            "singular."
        )  # fmt: skip
        raise LinAlgError(which_matrix(name, tuple(info.shape), index) + verb)


class _Inverse(torch.autograd.function.TransposedFunction):
    @staticmethod
    def forward(ctx: Any, a: Tensor) -> tuple[Tensor, Tensor]:
        values, batch = batches(a)
        inverse, info = _invert(values)
        result = _numpy.tensor(inverse, a.dtype).reshape(a.shape)
        info_tensor = _numpy.tensor(info).reshape(batch)
        ctx.mark_non_differentiable(info_tensor)
        ctx.save_for_backward(result)
        return result, info_tensor

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Any) -> Tensor:
        (inverse,) = ctx.saved_tensors
        adjoint = hermitian(inverse)
        return -(adjoint @ grad @ adjoint)


def inv_ex(A: Tensor, *, check_errors: bool = False, out: Any = None) -> Any:  # noqa: N803
    """The inverse, and for each matrix 0 or which pivot is zero.

    >>> torch.linalg.inv_ex(torch.eye(2)).info
    tensor(0, dtype=torch.int32)
    """
    check_square("linalg.inv", A)
    check_values("linalg.inv", A)
    inverse, info = _Inverse.apply(A)
    if check_errors:
        _singular("linalg.inv_ex", info)
    return named("linalg_inv_ex", *into_all((inverse, info), out))


def inv(A: Tensor, *, out: Tensor | None = None) -> Tensor:  # noqa: N803
    """The inverse of a square matrix.

    >>> torch.linalg.inv(torch.tensor([[2.]]))
    tensor([[0.5000]])
    """
    inverse, info = inv_ex(A)
    _singular("linalg.inv", info)
    return into(inverse, out)


class _Solve(torch.autograd.function.TransposedFunction):
    """``A X = B`` with matrices on both sides and equal batches."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        numpy = _numpy.numpy("torch.linalg")
        values, batch = batches(a)
        right, _ = batches(b)
        info = numpy.zeros(len(values), dtype=numpy.int32)
        try:
            solution = numpy.linalg.solve(values, right)
        except numpy.linalg.LinAlgError:
            solution, info = _each_alone(values, right, info)
        result = _numpy.tensor(solution, b.dtype).reshape(b.shape)
        info_tensor = _numpy.tensor(info).reshape(batch)
        ctx.mark_non_differentiable(info_tensor)
        ctx.save_for_backward(a, result)
        return result, info_tensor

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Any) -> tuple[Any, ...]:
        a, x = ctx.saved_tensors
        grad_b = _Solve.apply(hermitian(a), grad)[0]
        grad_a = -(grad_b @ hermitian(x)) if ctx.needs_input_grad[0] else None
        return grad_a, grad_b


def solve_ex(
    A: Tensor,
    B: Tensor,
    *,
    left: bool = True,
    check_errors: bool = False,
    out: Any = None,  # noqa: N803
) -> Any:
    """The solution of ``A X = B``, and for each matrix 0 or which pivot is zero.

    >>> torch.linalg.solve_ex(torch.eye(2), torch.ones(2)).result
    tensor([1., 1.])
    """
    check_square("linalg.solve", A)
    check_values("linalg.solve", A)
    check_same("linalg.solve", A, B)
    vector = B.dim() == 1 or (A.dim() - 1 == B.dim() and A.shape[:-1] == B.shape)
    if vector and not left:
        raise RuntimeError("linalg.solve: Vector broadcasting of the left hand side is not supported for left=False. In"
                           " this case linalg.solve is equivalent to B / A.squeeze(-1)")  # fmt: skip
    right = B.unsqueeze(-1) if vector else B
    check_matrix("linalg.solve", right, "B")
    if (A.shape[-2] != right.shape[-2]) if left else (A.shape[-1] != right.shape[-1]):
        raise RuntimeError(
            f"linalg.solve: Incompatible shapes of A and B for the equation {'AX = B' if left else 'XA = B'} "
            f"({A.shape[-2]}x{A.shape[-1]} and {right.shape[-2]}x{right.shape[-1]})"
        )
    if vector and B.dim() == 1 and A.dim() > 2:
        right = right.expand(*A.shape[:-2], *right.shape)
    a, b = broadcast_batches(A, right)
    if left:
        solution, info = _Solve.apply(a, b)
    else:
        solution, info = _Solve.apply(a.mT, b.mT)
        solution = solution.mT
    if check_errors:
        _singular("torch.linalg.solve_ex", info)
    return named("linalg_solve_ex", *into_all((solution.squeeze(-1) if vector else solution, info), out))


def solve(A: Tensor, B: Tensor, *, left: bool = True, out: Tensor | None = None) -> Tensor:  # noqa: N803
    """Solve ``A X = B``, or ``X A = B``, for a square matrix ``A``.

    >>> torch.linalg.solve(torch.tensor([[2.]]), torch.tensor([6.]))
    tensor([3.])
    """
    solution, info = solve_ex(A, B, left=left)
    _singular("torch.linalg.solve", info)
    return into(solution, out)


# ---- determinants


class _LogDet(torch.autograd.function.TransposedFunction):
    @staticmethod
    def forward(ctx: Any, a: Tensor) -> tuple[Tensor, Tensor]:
        sign, log = _numpy.numpy("torch.linalg").linalg.slogdet(_numpy.array(a))
        sign_tensor, log_tensor = _numpy.tensor(sign, a.dtype), _numpy.tensor(log)
        ctx.save_for_backward(a, sign_tensor)
        return sign_tensor, log_tensor

    @staticmethod
    def backward(ctx: Any, grad_sign: Tensor, grad_log: Tensor) -> Tensor:
        a, sign = ctx.saved_tensors
        weight = grad_log
        if a.is_complex():
            weight = torch.complex(grad_log, -torch.imag(grad_sign.conj() * sign))
        eye = torch.eye(a.shape[-1], dtype=a.dtype, device=a.device)
        return torch.linalg.solve_ex(hermitian(a), weight.unsqueeze(-1).unsqueeze(-1) * eye)[0]


def linalg_slogdet(A: Tensor, *, out: Any = None) -> Any:  # noqa: N803
    """The sign (or phase) of the determinant and the logarithm of its magnitude.

    >>> torch.linalg.slogdet(torch.tensor([[-1.]]))[0]
    tensor(-1.)
    """
    check_square("linalg.slogdet", A)
    check_values("linalg.slogdet", A)
    return named("linalg_slogdet", *into_all(_LogDet.apply(A), out))


def slogdet(input: Tensor, *, out: Any = None) -> Any:
    """``torch.linalg.slogdet`` under its old name.

    >>> torch.slogdet(torch.eye(2)).logabsdet
    tensor(0.)
    """
    check_square("linalg.slogdet", input)
    check_values("linalg.slogdet", input)
    return named("slogdet", *into_all(_LogDet.apply(input), out))


def logdet(input: Tensor) -> Tensor:
    """The logarithm of the determinant; NaN if that is negative.

    >>> torch.logdet(torch.eye(2))
    tensor(0.)
    """
    check_square("logdet", input)
    check_values("logdet", input)
    sign, log = _LogDet.apply(input)
    if input.is_complex():
        return log + sign.log()
    return log.masked_fill(sign == -1, float("nan"))


class _Det(torch.autograd.function.TransposedFunction):
    @staticmethod
    def forward(ctx: Any, a: Tensor) -> Tensor:
        result = _numpy.tensor(_numpy.numpy("torch.linalg").linalg.det(_numpy.array(a)), a.dtype)
        ctx.save_for_backward(a, result)
        return result

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        a, det = ctx.saved_tensors
        weight = (grad * det.conj()).unsqueeze(-1).unsqueeze(-1)
        singular = det.detach() == 0
        if not bool(singular.any()):
            eye = torch.eye(a.shape[-1], dtype=a.dtype, device=a.device)
            return torch.linalg.solve_ex(hermitian(a), weight * eye)[0]
        return grad.unsqueeze(-1).unsqueeze(-1) * _cofactors(a).conj()


def _cofactors(a: Tensor) -> Tensor:
    """The matrix of cofactors, from the singular value decomposition: it exists for singular matrices too."""
    u, s, vh = torch.linalg.svd(a)
    size = s.shape[-1]
    rows = s.unsqueeze(-2).expand(*s.shape[:-1], size, size)
    others = rows.masked_fill(torch.eye(size, dtype=torch.bool, device=s.device), 1).prod(-1)
    turn = (torch.linalg.det(u) * torch.linalg.det(vh)).unsqueeze(-1)
    weight = turn * others.to(a.dtype)
    return (u.conj() * weight.unsqueeze(-2)) @ vh.conj()


def det(A: Tensor, *, out: Tensor | None = None) -> Tensor:  # noqa: N803
    """The determinant of a square matrix.

    >>> torch.linalg.det(torch.tensor([[2., 0.], [0., 3.]]))
    tensor(6.)
    """
    check_square("linalg.det", A)
    check_values("linalg.det", A)
    return into(_Det.apply(A), out)


# ---- pseudo-inverse and least squares


class _PseudoInverse(torch.autograd.function.TransposedFunction):
    """The derivative follows Golub and Pereyra, "The differentiation of pseudo-inverses" (1973)."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, atol: Tensor, rtol: Tensor, is_hermitian: bool) -> Tensor:
        if is_hermitian:
            values, vectors = torch.linalg.eigh(a)
            size = values.abs()
            cutoff = torch.maximum(atol.unsqueeze(-1), rtol.unsqueeze(-1) * size.amax(-1, keepdim=True))
            inverse = torch.where(size > cutoff, values.reciprocal(), torch.zeros_like(values))
            result = (vectors * inverse.unsqueeze(-2).to(a.dtype)) @ hermitian(vectors)
        else:
            u, s, vh = torch.linalg.svd(a, full_matrices=False)
            cutoff = torch.maximum(atol.unsqueeze(-1), rtol.unsqueeze(-1) * s.narrow(-1, 0, 1))
            inverse = torch.where(s > cutoff, s.reciprocal(), torch.zeros_like(s))
            result = (hermitian(vh) * inverse.unsqueeze(-2).to(a.dtype)) @ hermitian(u)
        ctx.save_for_backward(a, result)
        return result

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        a, p = ctx.saved_tensors
        ph, gh = hermitian(p), hermitian(grad)
        left = gh @ p
        right = p @ gh
        rows_side = left @ ph - a @ (p @ (left @ ph))
        columns_side = ph @ right - ((ph @ right) @ p) @ a
        return rows_side + columns_side - ph @ grad @ ph, None, None, None


def _tolerances(a: Tensor, atol: Any, rtol: Any) -> tuple[Tensor, Tensor]:
    """Absolute and relative tolerance as tensors; the relative one is for rounding unless an absolute one is given."""
    real = a.real.dtype if a.is_complex() else a.dtype
    given = atol is not None
    if atol is None:
        atol = 0.0
    if rtol is None:
        default = torch.finfo(real).eps * max(a.shape[-2:])
        if given and isinstance(atol, torch.Tensor):
            rtol = torch.where(atol > 0, 0.0, default)
        else:
            rtol = 0.0 if given and atol > 0 else default
    pair = []
    for value in (atol, rtol):
        if not isinstance(value, torch.Tensor):
            value = torch.full((), value, dtype=real, device=a.device)
        if value.is_complex():
            raise RuntimeError(f"linalg.pinv: atol tensor of complex type is not supported. Got {value.dtype}")
        pair.append(value.to(real))
    return pair[0], pair[1]


def pinv(
    A: Tensor,  # noqa: N803
    rcond: Any = None,
    hermitian: bool = False,
    *,
    atol: Any = None,
    rtol: Any = None,
    out: Tensor | None = None,
) -> Tensor:
    """The Moore-Penrose pseudo-inverse; singular values up to ``max(atol, rtol * largest)`` count as zero.

    >>> torch.linalg.pinv(torch.tensor([[2.], [0.]]))
    tensor([[0.5000, 0.0000]])
    """
    check_matrix("linalg.pinv", A)
    check_values("linalg.pinv", A)
    if A.numel() == 0:
        return into(A.mT.clone(), out)
    absolute, relative = _tolerances(A, atol, rcond if rtol is None else rtol)
    return into(_PseudoInverse.apply(A, absolute, relative, hermitian), out)


def pinverse(input: Tensor, rcond: float = 1e-15) -> Tensor:
    """``torch.linalg.pinv`` under its old name.

    >>> torch.pinverse(torch.tensor([[2.]]))
    tensor([[0.5000]])
    """
    return pinv(input, rcond)


_DRIVERS = ("gels", "gelsy", "gelsd", "gelss")


def lstsq(
    A: Tensor,
    B: Tensor,
    rcond: float | None = None,
    *,
    driver: str | None = None,
    out: Any = None,  # noqa: N803
) -> Any:
    """The solution of smallest norm among those that minimise ``|A X - B|``, with residuals, rank and singular values.

    >>> torch.linalg.lstsq(torch.tensor([[1.], [1.]]), torch.tensor([[1.], [3.]])).solution
    tensor([[2.0000]])
    """
    if A.dim() < 2:
        raise RuntimeError("torch.linalg.lstsq: input must have at least 2 dimensions.")
    if B.dim() < 1:
        raise RuntimeError("torch.linalg.lstsq: other must have at least 1 dimension.")
    if A.dtype != B.dtype:
        raise RuntimeError("torch.linalg.lstsq: Expected input and other to have the same dtype, but got input's dtype "
                           f"{scalar_type(A.dtype)} and other's dtype {scalar_type(B.dtype)}")  # fmt: skip
    check_values("torch.linalg.lstsq", A)
    chosen = driver or "gelsy"
    if chosen not in _DRIVERS:
        raise RuntimeError("torch.linalg.lstsq: parameter `driver` should be one of (gels, gelsy, gelsd, gelss)")
    vector = A.dim() - 1 == B.dim() and A.shape[:-1] == B.shape
    right = B.unsqueeze(-1) if vector else B
    if A.shape[-2] != right.shape[-2]:
        raise RuntimeError("torch.linalg.lstsq: input.size(-2) should match other.size(-2)" if not vector else
                           "torch.linalg.lstsq: input.size(-2) should match other.size(-1)")  # fmt: skip
    rows, columns = A.shape[-2:]
    real = A.real.dtype if A.is_complex() else A.dtype
    tolerance = torch.finfo(real).eps * max(rows, columns) if rcond is None else rcond
    a, b = broadcast_batches(A, right)
    solution = pinv(a, rtol=0.0 if chosen == "gels" else tolerance) @ b
    empty = A.new_empty(0, dtype=real)
    rank, singular = torch.empty(0, dtype=torch.int64), empty
    with torch.no_grad():
        values = torch.linalg.svdvals(A) if min(rows, columns) else A.new_zeros(*A.shape[:-2], 0, dtype=real)
        if chosen != "gels":
            largest = values.narrow(-1, 0, 1) if values.shape[-1] else values
            rank = (values > tolerance * largest).sum(-1)
            full_rank = bool((rank == columns).all())
        else:
            full_rank = True
        if chosen in ("gelsd", "gelss"):
            singular = values
    # Without residuals the result is empty, but still part of the graph.
    residuals = (solution.real if solution.is_complex() else solution).reshape(-1)[:0]
    if rows > columns and full_rank:
        residuals = (b - a @ solution).abs().square().sum(-2)
    if vector:
        solution = solution.squeeze(-1)
    return named("linalg_lstsq", *into_all((solution, residuals, rank, singular), out))
