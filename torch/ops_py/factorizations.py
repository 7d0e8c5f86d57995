"""Cholesky, QR, eigenvalue and singular value decompositions, with their derivatives.

The derivative formulas follow M. Giles, "Collected matrix derivative results for forward and reverse mode algorithmic
differentiation" (2008), extended to complex matrices. Each backward is written in tensor operations: it has derivatives
itself.
"""

from __future__ import annotations

import torch

from . import _numpy
from ._common import into, into_all
from ._linalg_common import (
    LinAlgError,
    batches,
    check_matrix,
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


# ---- Cholesky


def _symmetric_half(t: Tensor) -> Tensor:
    """Half of the lower triangle of ``t``, mirrored with conjugation to the upper one."""
    low = t.tril(-1)
    return (low + hermitian(low) + torch.diag_embed(t.diagonal(0, -2, -1).conj())) * 0.5


class _Cholesky(torch.autograd.function.TransposedFunction):
    @staticmethod
    def forward(ctx: Any, a: Tensor) -> tuple[Tensor, Tensor]:
        linalg = _numpy.numpy("torch.linalg").linalg
        values, batch = batches(a.tril())
        factors = values.copy()
        info = torch.zeros(len(values), dtype=torch.int32)
        for i in range(len(values)):
            try:
                factors[i] = linalg.cholesky(values[i])
            except linalg.LinAlgError:
                factors[i], info[i] = _partial_cholesky(values[i])
        factor = _numpy.tensor(factors, a.dtype).reshape(a.shape)
        info = info.reshape(batch)
        ctx.mark_non_differentiable(info)
        ctx.save_for_backward(factor)
        return factor, info

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Any) -> Tensor:
        (factor,) = ctx.saved_tensors
        upper = hermitian(factor)
        middle = _symmetric_half(upper @ grad)
        left = torch.linalg.solve_triangular(upper, middle, upper=True)
        return torch.linalg.solve_triangular(factor, left, upper=False, left=False)


def _partial_cholesky(matrix: Any) -> tuple[Any, int]:
    """What is left in memory when a leading minor is not positive definite, and which one is not."""
    factor = matrix.copy()
    size = len(matrix)
    for j in range(size):
        pivot = (factor[j, j] - factor[j, :j] @ factor[j, :j].conj()).real
        if not pivot > 0:
            return factor, j + 1
        factor[j, j] = pivot**0.5
        factor[j + 1 :, j] = (factor[j + 1 :, j] - factor[j + 1 :, :j] @ factor[j, :j].conj()) / factor[j, j]
    return factor, size


def cholesky_ex(input: Tensor, *, upper: bool = False, check_errors: bool = False, out: Any = None) -> Any:
    """The Cholesky factor, and for each matrix 0 or the order of its first minor that is not positive definite.

    >>> torch.linalg.cholesky_ex(torch.eye(2)).info
    tensor(0, dtype=torch.int32)
    """
    check_square("linalg.cholesky", input)
    check_values("linalg.cholesky", input)
    factor, info = _Cholesky.apply(hermitian(input) if upper else input)
    if check_errors:
        _check_cholesky("torch.linalg.cholesky_ex", info)
    result = into_all((hermitian(factor) if upper else factor, info), out)
    return named("linalg_cholesky_ex", *result)


def _check_cholesky(name: str, info: Tensor) -> None:
    failed = info.reshape(-1).nonzero()
    if failed.numel():
        index = int(failed[0])
        order = int(info.reshape(-1)[index])
        raise LinAlgError(
            f"{which_matrix(name, tuple(info.shape), index)}The factorization could not be completed because the input "
            f"is not positive-definite (the leading minor of order {order} is not positive-definite)."
        )


def cholesky(input: Tensor, *, upper: bool = False, out: Tensor | None = None) -> Tensor:
    """The lower triangular ``L`` with ``L @ L.mH`` equal to a positive-definite matrix.

    >>> torch.linalg.cholesky(torch.tensor([[4.]]))
    tensor([[2.]])
    """
    result = cholesky_ex(input, upper=upper)
    _check_cholesky("linalg.cholesky", result[1])
    return into(result[0], out)


def torch_cholesky(input: Tensor, upper: bool = False, *, out: Tensor | None = None) -> Tensor:
    """The Cholesky factor (deprecated: use ``torch.linalg.cholesky``).

    >>> torch.cholesky(torch.tensor([[4.]]))
    tensor([[2.]])
    """
    check_square("cholesky", input)
    check_values("cholesky", input)
    source = hermitian(input) if upper else input
    factor, info = _Cholesky.apply(source)
    _check_cholesky("cholesky", info)
    return into(hermitian(factor) if upper else factor, out)


# ---- QR


class _QR(torch.autograd.function.TransposedFunction):
    @staticmethod
    def forward(ctx: Any, a: Tensor, mode: str) -> tuple[Tensor, Tensor]:
        linalg = _numpy.numpy("torch.linalg").linalg
        rows, columns = a.shape[-2:]
        inner = rows if mode == "complete" else min(rows, columns)
        if a.numel() == 0:
            q = torch.eye(rows, inner, dtype=a.dtype).expand(*a.shape[:-2], rows, inner).clone()
            r = a.new_zeros(*a.shape[:-2], inner, columns)
        else:
            parts = linalg.qr(_numpy.array(a), mode)
            q, r = (_numpy.tensor(part, a.dtype) for part in parts)
        ctx.mode = mode
        ctx.save_for_backward(q, r)
        return q, r

    @staticmethod
    def backward(ctx: Any, grad_q: Tensor, grad_r: Tensor) -> tuple[Any, ...]:
        q, r = ctx.saved_tensors
        rows, columns = q.shape[-2], r.shape[-1]
        if ctx.mode == "complete" and rows > columns:
            raise RuntimeError("The QR decomposition is not differentiable when mode='complete' and nrows > ncols")
        square = min(rows, columns)
        left = r.narrow(-1, 0, square)
        right_grad = None
        if columns > square:
            # The columns beyond the square part are Q times theirs of R.
            right = r.narrow(-1, square, columns - square)
            grad_right = grad_r.narrow(-1, square, columns - square)
            right_grad = q @ grad_right
            grad_q = grad_q + q @ right @ hermitian(grad_right)
            grad_r = grad_r.narrow(-1, 0, square)
        inner = grad_r @ hermitian(left)
        inner = (inner - hermitian(q) @ grad_q).triu()
        diagonal = inner.diagonal(0, -2, -1)
        strict = inner.triu(1)
        both = strict + hermitian(strict) + torch.diag_embed(torch.real(diagonal) if q.is_complex() else diagonal)
        grad = grad_q + q @ both
        grad = torch.linalg.solve_triangular(hermitian(left), grad, upper=False, left=False)
        return (grad if right_grad is None else torch.cat([grad, right_grad], -1)), None


def qr(A: Tensor, mode: str = "reduced", *, out: Any = None) -> Any:  # noqa: N803
    """``A = Q @ R`` with orthonormal columns in ``Q`` and an upper triangular ``R``.

    >>> Q, R = torch.linalg.qr(torch.eye(2))
    >>> torch.allclose(Q @ R, torch.eye(2))
    True
    """
    check_matrix("linalg.qr", A)
    check_values("linalg.qr", A)
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(
            f"qr received unrecognized mode '{mode}' but expected one of 'reduced' (default), 'r', or 'complete'"
        )
    if mode == "r":
        if A.requires_grad and torch.is_grad_enabled():
            raise RuntimeError(
                "The derivative of linalg.qr depends on Q, which is not computed when mode='r'. Please use "
                "linalg.qr(A, mode='reduced') if you are going to require gradients through linalg.qr."
            )
        return named("linalg_qr", *into_all((A.new_empty(0), _QR.apply(A, "reduced")[1]), out))
    return named("linalg_qr", *into_all(_QR.apply(A, mode), out))


def torch_qr(input: Tensor, some: bool = True, *, out: Any = None) -> Any:
    """``torch.linalg.qr`` under its old name.

    >>> torch.qr(torch.eye(2)).R.shape
    torch.Size([2, 2])
    """
    check_matrix("linalg.qr", input)
    check_values("linalg.qr", input)
    return named("qr", *into_all(_QR.apply(input, "reduced" if some else "complete"), out))


# ---- eigenvalues


def _eigen_error(name: str) -> LinAlgError:
    return LinAlgError(
        f"{name}: The algorithm failed to converge because the input matrix is ill-conditioned or has too many "
        "repeated "
        "eigenvalues."
    )


class _Eigh(torch.autograd.function.TransposedFunction):
    @staticmethod
    def forward(ctx: Any, a: Tensor, uplo: str) -> tuple[Tensor, Tensor]:
        linalg = _numpy.numpy("torch.linalg").linalg
        if a.numel() == 0:
            values, vectors = a.real.new_zeros(a.shape[:-1]), torch.empty_like(a)
        else:
            try:
                w, v = linalg.eigh(_numpy.array(a), uplo)
            except linalg.LinAlgError as error:
                raise _eigen_error("linalg.eigh") from error
            values, vectors = _numpy.tensor(w), _numpy.tensor(v, a.dtype)
        ctx.save_for_backward(values, vectors)
        ctx.set_materialize_grads(False)
        return values, vectors

    @staticmethod
    def backward(ctx: Any, grad_w: Tensor | None, grad_v: Tensor | None) -> tuple[Any, ...]:
        values, vectors = ctx.saved_tensors
        if grad_w is None:
            grad_w = torch.zeros_like(values)
        if grad_v is None:  # eigenvalues alone have derivatives where they are repeated, too
            return vectors @ torch.diag_embed(grad_w.to(vectors.dtype)) @ hermitian(vectors), None
        mixed = hermitian(vectors) @ grad_v
        if vectors.is_complex():
            phase = mixed.detach().diagonal(0, -2, -1).imag
            if phase.numel() and not torch.allclose(phase, torch.zeros_like(phase), 1e-2, 1e-2):
                raise RuntimeError(
                    "linalg_eigh_backward: The eigenvectors in the complex case are specified up to multiplication by "
                    "e^{i phi}. The specified loss function depends on this quantity, so it is ill-defined."
                )
        gaps = values.unsqueeze(-2) - values.unsqueeze(-1)
        gaps = gaps + torch.eye(gaps.shape[-1], dtype=gaps.dtype, device=gaps.device)
        # Of the rotation of the eigenvectors only the skew part is free; this keeps the gradient Hermitian.
        off_diagonal = (mixed - hermitian(mixed)) * 0.5 / gaps
        off_diagonal = off_diagonal - torch.diag_embed(off_diagonal.diagonal(0, -2, -1))
        return vectors @ (off_diagonal + torch.diag_embed(grad_w.to(vectors.dtype))) @ hermitian(vectors), None


def _check_uplo(uplo: str) -> None:
    if uplo.upper() not in ("L", "U"):
        raise RuntimeError(f"Expected UPLO argument to be 'L' or 'U', but got {uplo}")


def eigh(A: Tensor, UPLO: str = "L", *, out: Any = None) -> Any:  # noqa: N803
    """Eigenvalues in ascending order, and eigenvectors as columns, of a Hermitian matrix.

    >>> torch.linalg.eigh(torch.diag(torch.tensor([2., 1.]))).eigenvalues
    tensor([1., 2.])
    """
    check_square("linalg.eigh", A)
    check_values("linalg.eigh", A)
    _check_uplo(UPLO)
    return named("linalg_eigh", *into_all(_Eigh.apply(A, UPLO.upper()), out))


def eigvalsh(A: Tensor, UPLO: str = "L", *, out: Tensor | None = None) -> Tensor:  # noqa: N803
    """Eigenvalues in ascending order of a Hermitian matrix.

    >>> torch.linalg.eigvalsh(torch.diag(torch.tensor([2., 1.])))
    tensor([1., 2.])
    """
    check_square("linalg.eigh", A)
    check_values("linalg.eigh", A)
    _check_uplo(UPLO)
    return into(_Eigh.apply(A, UPLO.upper())[0], out)


_COMPLEX = {torch.float32: torch.complex64, torch.float64: torch.complex128}


class _Eig(torch.autograd.function.TransposedFunction):
    @staticmethod
    def forward(ctx: Any, a: Tensor) -> tuple[Tensor, Tensor]:
        linalg = _numpy.numpy("torch.linalg").linalg
        dtype = _COMPLEX.get(a.dtype, a.dtype)
        if a.numel() == 0:
            values, vectors = a.new_empty(a.shape[:-1], dtype=dtype), a.new_empty(a.shape, dtype=dtype)
        else:
            try:
                w, v = linalg.eig(_numpy.array(a))
            except linalg.LinAlgError as error:
                if "converge" in str(error):
                    raise _eigen_error("linalg.eig") from error
                raise RuntimeError("torch.linalg.eig: input tensor should not contain infs or NaNs.") from error
            values, vectors = _numpy.tensor(w, dtype), _numpy.tensor(v, dtype)
        ctx.real = not a.is_complex()
        ctx.save_for_backward(values, vectors)
        return values, vectors

    @staticmethod
    def backward(ctx: Any, grad_w: Tensor, grad_v: Tensor) -> Tensor:
        values, vectors = ctx.saved_tensors
        conjugate = hermitian(vectors)
        mixed = conjugate @ grad_v
        diagonal = mixed.diagonal(0, -2, -1)
        phase = diagonal.detach().imag
        if phase.numel() and not torch.allclose(phase, torch.zeros_like(phase), 1e-2, 1e-2):
            raise RuntimeError(
                "linalg_eig_backward: The eigenvectors in the complex case are specified up to multiplication by "
                "e^{i phi}. The specified loss function depends on this quantity, so it is ill-defined."
            )
        # Eigenvectors have unit norm: their component along themselves is taken out.
        mixed = mixed - (conjugate @ vectors) * torch.real(diagonal).unsqueeze(-2)
        gaps = (values.unsqueeze(-2) - values.unsqueeze(-1)).conj()
        gaps = gaps + torch.eye(gaps.shape[-1], dtype=gaps.dtype, device=gaps.device)
        mixed = mixed / gaps
        mixed = mixed - torch.diag_embed(mixed.diagonal(0, -2, -1)) + torch.diag_embed(grad_w)
        grad = torch.linalg.solve(conjugate, mixed @ conjugate)
        return torch.real(grad) if ctx.real else grad


def eig(A: Tensor, *, out: Any = None) -> Any:  # noqa: N803
    """Eigenvalues and eigenvectors (as columns) of a square matrix, always complex.

    >>> torch.linalg.eig(torch.diag(torch.tensor([2., 1.]))).eigenvalues
    tensor([2.+0.j, 1.+0.j])
    """
    check_square("linalg.eig", A)
    check_values("linalg.eig", A)
    return named("linalg_eig", *into_all(_Eig.apply(A), out))


def eigvals(A: Tensor, *, out: Tensor | None = None) -> Tensor:  # noqa: N803
    """Eigenvalues of a square matrix, always complex.

    >>> torch.linalg.eigvals(torch.diag(torch.tensor([2., 1.])))
    tensor([2.+0.j, 1.+0.j])
    """
    check_square("linalg.eigvals", A)
    check_values("linalg.eigvals", A)
    return into(_Eig.apply(A)[0], out)


# ---- singular values


class _SVD(torch.autograd.function.TransposedFunction):
    @staticmethod
    def forward(ctx: Any, a: Tensor, full: bool) -> tuple[Tensor, Tensor, Tensor]:
        linalg = _numpy.numpy("torch.linalg").linalg
        rows, columns = a.shape[-2:]
        inner = min(rows, columns)
        if a.numel() == 0:
            batch, eye = a.shape[:-2], torch.eye(max(rows, columns), dtype=a.dtype)
            wide = (rows, columns) if full else (inner, inner)
            u = eye[:rows, : wide[0]].expand(*batch, rows, wide[0]).clone()
            s = a.real.new_zeros(*batch, inner)
            vh = eye[: wide[1], :columns].expand(*batch, wide[1], columns).clone()
        else:
            try:
                parts = linalg.svd(_numpy.array(a), full)
            except linalg.LinAlgError as error:
                raise LinAlgError(
                    "linalg.svd: The algorithm failed to converge because the input matrix is ill-conditioned or has "
                    "too many repeated singular values."
                ) from error
            u, s, vh = _numpy.tensor(parts[0], a.dtype), _numpy.tensor(parts[1]), _numpy.tensor(parts[2], a.dtype)
        ctx.full = full
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(u, s, vh)
        return u, s, vh

    @staticmethod
    def backward(ctx: Any, grad_u: Any, grad_s: Any, grad_vh: Any) -> tuple[Any, ...]:
        u, s, vh = ctx.saved_tensors
        rows, columns, inner = u.shape[-2], vh.shape[-1], s.shape[-1]
        if grad_u is None and grad_s is None and grad_vh is None:
            return None, None
        u, vh = u.narrow(-1, 0, inner), vh.narrow(-2, 0, inner)
        if grad_u is None and grad_vh is None:
            return (u * grad_s.unsqueeze(-2)) @ vh, None
        grad_u = torch.zeros_like(u) if grad_u is None else grad_u.narrow(-1, 0, inner)
        grad_vh = torch.zeros_like(vh) if grad_vh is None else grad_vh.narrow(-2, 0, inner)
        v, grad_v = hermitian(vh), hermitian(grad_vh)
        from_u, from_v = hermitian(u) @ grad_u, vh @ grad_v
        if u.is_complex():
            phase = (from_u + from_v).detach().diagonal(0, -2, -1).imag
            if phase.numel() and not torch.allclose(phase, torch.zeros_like(phase), 1e-2, 1e-2):
                raise RuntimeError(
                    "svd_backward: The singular vectors in the complex case are specified up to multiplication by "
                    "e^{i phi}. The specified loss function depends on this phase term, making it ill-defined."
                )
        eye = torch.eye(inner, dtype=s.dtype, device=s.device)
        squares = s * s
        gaps = squares.unsqueeze(-2) - squares.unsqueeze(-1) + eye
        core = (from_u - hermitian(from_u)) / gaps * s.unsqueeze(-2)
        core = core + s.unsqueeze(-1) * ((from_v - hermitian(from_v)) / gaps)
        core = core - torch.diag_embed(core.diagonal(0, -2, -1))
        diagonal = torch.zeros_like(s) if grad_s is None else grad_s
        if u.is_complex():
            own = from_u.diagonal(0, -2, -1)
            diagonal = torch.complex(diagonal, torch.imag(own) / s)
        grad = u @ (core + torch.diag_embed(diagonal)) @ vh
        if rows > inner:
            rest = grad_u / s.unsqueeze(-2)
            grad = grad + (rest - u @ (hermitian(u) @ rest)) @ vh
        if columns > inner:
            rest = hermitian(grad_v / s.unsqueeze(-2))
            grad = grad + u @ (rest - (rest @ v) @ vh)
        return grad, None


def _check_driver(driver: str | None) -> None:
    if driver is not None:
        raise RuntimeError("torch.linalg.svd: keyword argument `driver=` is only supported on CUDA inputs with cuSOLVER"
                           " backend.")  # fmt: skip


def svd(A: Tensor, full_matrices: bool = True, *, driver: str | None = None, out: Any = None) -> Any:  # noqa: N803
    """``A = U @ diag(S) @ Vh``: singular values in descending order between orthonormal matrices.

    >>> torch.linalg.svd(torch.diag(torch.tensor([1., 2.]))).S
    tensor([2., 1.])
    """
    check_matrix("linalg.svd", A)
    check_values("linalg.svd", A)
    _check_driver(driver)
    return named("linalg_svd", *into_all(_SVD.apply(A, full_matrices), out))


def svdvals(A: Tensor, *, driver: str | None = None, out: Tensor | None = None) -> Tensor:  # noqa: N803
    """Singular values in descending order.

    >>> torch.linalg.svdvals(torch.diag(torch.tensor([1., 2.])))
    tensor([2., 1.])
    """
    check_matrix("linalg.svdvals", A)
    check_values("linalg.svdvals", A)
    _check_driver(driver)
    return into(_SVD.apply(A, False)[1], out)


def torch_svd(input: Tensor, some: bool = True, compute_uv: bool = True, *, out: Any = None) -> Any:
    """The singular value decomposition with ``V`` itself (deprecated: use ``torch.linalg.svd``).

    >>> torch.svd(torch.diag(torch.tensor([1., 2.]))).S
    tensor([2., 1.])
    """
    if input.dim() < 2:
        raise RuntimeError(
            f"linalg.svd: input should have at least 2 dimensions, but has {input.dim()} dimensions instead"
        )
    check_values("linalg.svd", input)
    if compute_uv:
        u, s, vh = _SVD.apply(input, not some)
        return named("svd", *into_all((u, s, hermitian(vh)), out))
    rows, columns = input.shape[-2:]
    s = _SVD.apply(input, False)[1]
    zeros = input.new_zeros(*input.shape[:-2], rows, rows), input.new_zeros(*input.shape[:-2], columns, columns)
    return named("svd", *into_all((zeros[0], s, zeros[1]), out))
