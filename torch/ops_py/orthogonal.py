"""Householder reflections, symmetric indefinite factors and low-rank approximations."""

from __future__ import annotations

import torch

from . import _numpy
from ._common import into, into_all
from ._linalg_common import batches, check_matrix, check_square, check_values, hermitian, named

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from torch import Tensor


def _reflectors(a: Tensor, tau: Tensor) -> list[Tensor]:
    """The vectors of the reflections: a unit, then what is below the diagonal of ``a``."""
    below = a.tril(-1)
    eye = torch.eye(a.shape[-2], a.shape[-1], dtype=a.dtype, device=a.device)
    vectors = below + eye
    return [vectors.narrow(-1, i, 1) for i in range(tau.shape[-1])]


def _apply_reflections(a: Tensor, tau: Tensor, x: Tensor, adjoint: bool) -> Tensor:
    """The product of all reflections, or its adjoint, applied to ``x`` from the left."""
    vectors = _reflectors(a, tau)
    order = range(len(vectors)) if adjoint else range(len(vectors) - 1, -1, -1)
    for i in order:
        v = vectors[i]
        scale = tau.narrow(-1, i, 1).unsqueeze(-1)
        x = x - (scale.conj() if adjoint else scale) * v @ (hermitian(v) @ x)
    return x


def _check_reflections(name: str, a: Tensor, tau: Tensor) -> None:
    check_matrix(name, a, "input")
    if a.shape[-2] < a.shape[-1]:
        raise RuntimeError(f"{name}: input.shape[-2] must be greater than or equal to input.shape[-1]")
    if a.shape[-1] < tau.shape[-1]:
        raise RuntimeError(f"{name}: input.shape[-1] must be greater than or equal to tau.shape[-1]")
    if a.dim() - tau.dim() != 1:
        raise RuntimeError(f"{name}: Expected tau to have one dimension less than input, but got tau.ndim equal to "
                           f"{tau.dim()} and input.ndim is equal to {a.dim()}")  # fmt: skip
    if a.shape[:-2] != tau.shape[:-1]:
        raise RuntimeError(f"{name}: Expected batch dimensions of tau to be equal to input.shape[:-2], but got "
                           f"{list(tau.shape[:-1])}")  # fmt: skip
    if a.dtype != tau.dtype:
        raise RuntimeError(f"{name}: tau dtype {tau.dtype} does not match input dtype {a.dtype}")


def householder_product(input: Tensor, tau: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The first columns of a product of Householder reflections, as ``torch.geqrf`` encodes them.

    >>> torch.linalg.householder_product(*torch.geqrf(torch.eye(2))).abs()
    tensor([[1., 0.],
            [0., 1.]])
    """
    _check_reflections("torch.linalg.householder_product", input, tau)
    check_values("torch.linalg.householder_product", input)
    eye = torch.eye(input.shape[-2], input.shape[-1], dtype=input.dtype, device=input.device)
    return into(_apply_reflections(input, tau, eye.expand(input.shape), False).contiguous(), out)


def ormqr(
    input: Tensor, tau: Tensor, other: Tensor, left: bool = True, transpose: bool = False, *, out: Tensor | None = None
) -> Tensor:
    """``other`` times the orthogonal matrix that reflections encode, from the left or right.

    >>> torch.ormqr(*torch.geqrf(torch.eye(2)), torch.eye(2)).abs()
    tensor([[1., 0.],
            [0., 1.]])
    """
    check_matrix("torch.ormqr", input, "input")
    check_matrix("torch.ormqr", other, "other")
    side = other.shape[-2] if left else other.shape[-1]
    if side < tau.shape[-1]:
        raise RuntimeError(
            f"torch.ormqr: other.shape[{-2 if left else -1}] must be greater than or equal to tau.shape[-1]"
        )
    if side != input.shape[-2]:
        raise RuntimeError(f"torch.ormqr: other.shape[{-2 if left else -1}] must be equal to input.shape[-2]")
    if tau.shape[-1] != min(input.shape[-1], input.shape[-2]):
        raise RuntimeError("torch.ormqr: tau.shape[-1] must be equal to min(other.shape[-2], input.shape[-1])")
    check_values("torch.ormqr", input)
    if left:
        return into(_apply_reflections(input, tau, other, transpose), out)
    return into(hermitian(_apply_reflections(input, tau, hermitian(other), not transpose)), out)


def _geqrf(values: Any) -> tuple[Any, Any]:
    """Householder's reduction of a stack of matrices, in LAPACK's convention."""
    numpy = _numpy.numpy("torch.geqrf")
    a = numpy.array(values)
    count, rows, columns = a.shape
    inner = min(rows, columns)
    tau = numpy.zeros((count, inner), dtype=a.dtype)
    for i in range(count):
        for j in range(inner):
            head, tail = a[i, j, j], a[i, j + 1 :, j]
            rest = numpy.linalg.norm(tail)
            if rest == 0 and numpy.imag(head) == 0:
                continue
            beta = -numpy.copysign(numpy.hypot(abs(head), rest), numpy.real(head))
            tau[i, j] = (beta - head) / beta
            tail /= head - beta
            a[i, j, j] = beta
            if j + 1 < columns:
                v = numpy.concatenate([numpy.ones(1, dtype=a.dtype), tail])
                a[i, j:, j + 1 :] -= numpy.conj(tau[i, j]) * numpy.outer(v, v.conj() @ a[i, j:, j + 1 :])
    return a, tau


def geqrf(input: Tensor, *, out: Any = None) -> Any:
    """The QR decomposition in LAPACK's compact form: R above the diagonal, reflections below it.

    >>> torch.geqrf(torch.eye(2)).tau
    tensor([0., 0.])
    """
    check_matrix("torch.geqrf", input, "input")
    check_values("torch.geqrf", input)
    values, batch = batches(input)
    a, tau = _geqrf(values)
    packed = _numpy.tensor(a, input.dtype).reshape(input.shape)
    scales = _numpy.tensor(tau, input.dtype).reshape(*batch, min(input.shape[-2:]))
    return named("geqrf", *into_all((packed, scales), out))


# ---- low rank


def _random_range(A: Tensor, q: int, niter: int, M: Tensor | None) -> Tensor:  # noqa: N803
    """An orthonormal basis for most of the range: Halko, Martinsson and Tropp (2011), algorithm 4.4."""
    data = A if M is None else A - M
    test = torch.randn(A.shape[-1], q, dtype=A.dtype, device=A.device)
    basis = torch.linalg.qr(data @ test).Q
    for _ in range(niter):
        basis = torch.linalg.qr(hermitian(data) @ basis).Q
        basis = torch.linalg.qr(data @ basis).Q
    return basis


def svd_lowrank(
    A: Tensor,
    q: int | None = 6,
    niter: int | None = 2,
    M: Tensor | None = None,  # noqa: N803
) -> tuple[Tensor, Tensor, Tensor]:
    """The largest ``q`` singular values and their vectors, by a random projection.

    >>> torch.svd_lowrank(torch.eye(3), q=2)[1]
    tensor([1., 1.])
    """
    count = 6 if q is None else q
    steps = 2 if niter is None else niter
    rows, columns = A.shape[-2:]
    data = A if M is None else A - M.broadcast_to(A.shape)
    if rows < columns:
        basis = _random_range(hermitian(data), count, steps, None)
        u, s, vh = torch.linalg.svd(data @ basis, full_matrices=False)
        return u, s, basis @ hermitian(vh)
    basis = _random_range(data, count, steps, None)
    u, s, vh = torch.linalg.svd(hermitian(basis) @ data, full_matrices=False)
    return basis @ u, s, hermitian(vh)


def pca_lowrank(
    A: Tensor,
    q: int | None = None,
    center: bool = True,
    niter: int = 2,  # noqa: N803
) -> tuple[Tensor, Tensor, Tensor]:
    """Principal components of the rows of ``A``: ``svd_lowrank`` of the centred matrix.

    >>> torch.pca_lowrank(torch.eye(3), q=2)[1].shape
    torch.Size([2])
    """
    rows, columns = A.shape[-2:]
    if q is None:
        q = min(6, rows, columns)
    elif not (q >= 0 and q <= min(rows, columns)):
        raise ValueError(f"q(={q}) must be non-negative integer and not greater than min(m, n)={min(rows, columns)}")
    if not niter >= 0:
        raise ValueError(f"niter(={niter}) must be non-negative integer")
    return svd_lowrank(A - A.mean(-2, keepdim=True) if center else A, q, niter)


# ---- symmetric indefinite


def _ldl(matrix: Any, is_hermitian: bool) -> tuple[Any, Any, int]:
    """Bunch and Kaufman's factorization ("Some stable methods", 1977) of one lower triangle, in LAPACK's format."""
    numpy = _numpy.numpy("torch.linalg")
    a = numpy.tril(matrix)
    size = len(a)
    pivots = numpy.zeros(size, dtype=numpy.int32)
    info, k = 0, 0
    alpha = (1 + 17**0.5) / 8

    def star(x: Any) -> Any:
        return x.conj() if is_hermitian else x

    def magnitude(x: Any) -> Any:
        return abs(x.real) + abs(x.imag) if numpy.iscomplexobj(x) else abs(x)

    def exchange(p: int, q: int) -> None:
        """Swap rows and columns p < q of the symmetric matrix kept in the lower triangle from row k on."""
        a[q + 1 :, [p, q]] = a[q + 1 :, [q, p]]
        between = a[p + 1 : q, p].copy()
        a[p + 1 : q, p] = star(a[q, p + 1 : q])
        a[q, p + 1 : q] = star(between)
        a[q, p] = star(a[q, p])
        a[p, p], a[q, q] = a[q, q], a[p, p]

    while k < size:
        step, target = 1, k
        own = magnitude(a[k, k].real if is_hermitian else a[k, k])
        column = magnitude(a[k + 1 :, k])
        low = k + 1 + int(numpy.argmax(column)) if len(column) else k
        largest = column.max() if len(column) else 0
        if max(own, largest) == 0 or own != own:
            info = info or k + 1
        elif own < alpha * largest:
            across = magnitude(a[low, k:low])
            below = magnitude(a[low + 1 :, low])
            row_largest = max(across.max(), below.max() if len(below) else 0)
            if own >= alpha * largest * (largest / row_largest):
                target = k
            elif magnitude(a[low, low].real if is_hermitian else a[low, low]) >= alpha * row_largest:
                target = low
            else:
                target, step = low, 2
        place = k + step - 1
        if target != place:
            exchange(place, target)
            if step == 2:
                a[k + 1, k], a[target, k] = a[target, k], a[k + 1, k]
        if max(own, largest) != 0:
            if step == 1:
                v = a[k + 1 :, k].copy()
                if len(v):
                    pivot = a[k, k].real if is_hermitian else a[k, k]
                    a[k + 1 :, k + 1 :] -= numpy.tril(numpy.outer(v, star(v)) / pivot)
                    a[k + 1 :, k] = v / pivot
            elif k + 2 < size:
                block = numpy.array([[a[k, k], star(a[k + 1, k])], [a[k + 1, k], a[k + 1, k + 1]]])
                v = a[k + 2 :, k : k + 2].copy()
                w = numpy.linalg.solve(block.T, v.T).T
                a[k + 2 :, k + 2 :] -= numpy.tril(w @ star(v).T)
                a[k + 2 :, k : k + 2] = w
        if step == 1:
            pivots[k] = target + 1
        else:
            pivots[k] = pivots[k + 1] = -(target + 1)
        k += step
    return a, pivots, info


def ldl_factor_ex(
    A: Tensor,
    *,
    hermitian: bool = False,
    check_errors: bool = False,
    out: Any = None,  # noqa: N803
) -> Any:
    """``L D L^T`` factors of a symmetric (or Hermitian) matrix in LAPACK's compact form, pivots and infos.

    >>> torch.linalg.ldl_factor_ex(torch.eye(2)).pivots
    tensor([1, 2], dtype=torch.int32)
    """
    check_square("torch.linalg.ldl_factor_ex", A)
    check_values("torch.linalg.ldl_factor_ex", A)
    numpy = _numpy.numpy("torch.linalg")
    values, batch = batches(A)
    factors, pivots = numpy.zeros_like(values), numpy.zeros(values.shape[:2], dtype=numpy.int32)
    info = numpy.zeros(len(values), dtype=numpy.int32)
    for i, matrix in enumerate(values):
        factors[i], pivots[i], info[i] = _ldl(matrix, hermitian and A.is_complex())
    results = (
        _numpy.tensor(factors, A.dtype).reshape(A.shape),
        _numpy.tensor(pivots).reshape(A.shape[:-1]),
        _numpy.tensor(info).reshape(batch),
    )
    if check_errors and bool(info.any()):
        raise torch._C._LinAlgError(
            f"torch.linalg.ldl_factor_ex: D[{info.max()},{info.max()}] is zero and using it in ldl_solve would result "
            "in "
            "a division by zero."
        )
    return named("linalg_ldl_factor_ex", *into_all(results, out))


def ldl_factor(A: Tensor, *, hermitian: bool = False, out: Any = None) -> Any:  # noqa: N803
    """``L D L^T`` factors of a symmetric (or Hermitian) matrix in LAPACK's compact form, and pivots.

    >>> torch.linalg.ldl_factor(torch.eye(2)).pivots
    tensor([1, 2], dtype=torch.int32)
    """
    factors, pivots, _ = ldl_factor_ex(A, hermitian=hermitian, check_errors=True)
    return named("linalg_ldl_factor", *into_all((factors, pivots), out))


def ldl_solve(
    LD: Tensor,
    pivots: Tensor,
    B: Tensor,
    *,
    hermitian: bool = False,
    out: Tensor | None = None,  # noqa: N803
) -> Tensor:
    """Solve ``A X = B`` from the factors of ``ldl_factor``.

    >>> torch.linalg.ldl_solve(*torch.linalg.ldl_factor(2 * torch.eye(2)), torch.ones(2, 1))
    tensor([[0.5000],
            [0.5000]])
    """
    check_square("torch.linalg.ldl_solve", LD, "LD")
    check_matrix("torch.linalg.ldl_solve", B, "B")
    check_values("torch.linalg.ldl_solve", LD)
    batch = torch.broadcast_shapes(LD.shape[:-2], B.shape[:-2])
    packed, _ = batches(LD.expand(*batch, *LD.shape[-2:]))
    right, _ = batches(B.expand(*batch, *B.shape[-2:]))
    marks = _numpy.array(pivots.expand(*batch, pivots.shape[-1])).reshape(len(packed), pivots.shape[-1])
    result = right.copy()
    for i in range(len(packed)):
        result[i] = _ldl_solve(packed[i], marks[i], right[i], hermitian and LD.is_complex())
    return into(_numpy.tensor(result, B.dtype).reshape(*batch, *B.shape[-2:]), out)


def _ldl_solve(a: Any, pivots: Any, b: Any, is_hermitian: bool) -> Any:
    numpy = _numpy.numpy("torch.linalg")
    x, size = b.copy(), len(a)
    k, steps = 0, []
    while k < size:
        width = 1 if pivots[k] > 0 else 2
        steps.append((k, width, abs(int(pivots[k])) - 1))
        k += width

    def star(v: Any) -> Any:
        return v.conj() if is_hermitian else v

    def swap(place: int, target: int) -> None:
        if place != target:
            x[[place, target]] = x[[target, place]]

    for k, width, target in steps:
        swap(k + width - 1, target)
        x[k + width :] -= a[k + width :, k : k + width] @ x[k : k + width]
        if width == 1:
            x[k] = x[k] / (a[k, k].real if is_hermitian else a[k, k])
        else:
            block = numpy.array([[a[k, k], star(a[k + 1, k])], [a[k + 1, k], a[k + 1, k + 1]]])
            x[k : k + 2] = numpy.linalg.solve(block, x[k : k + 2])
    for k, width, target in reversed(steps):
        x[k : k + width] -= star(a[k + width :, k : k + width]).T @ x[k + width :]
        swap(k + width - 1, target)
    return x
