"""Decompositions that are made of others: ``torch.lu`` and approximations of low rank."""

from __future__ import annotations

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from torch import Tensor


def _adjoint(t: Tensor) -> Tensor:
    return t.mT.conj() if t.is_complex() else t.mT


def lu(A: Tensor, pivot: bool = True, get_infos: bool = False, out: Any = None) -> Any:  # noqa: N803
    """Packed LU factors and pivots (deprecated: use ``torch.linalg.lu_factor``).

    Shape: ``(..., m, n)`` and ``(..., min(m, n))``; with ``get_infos`` also ``(...)``: 0 or the first zero pivot.

    >>> torch.lu(torch.eye(2))[1]
    tensor([1, 2], dtype=torch.int32)
    """
    result = torch._lu_with_info(A, pivot=pivot, check_errors=not get_infos)
    if out is not None:
        count = 3 if get_infos else 2
        if not isinstance(out, (tuple, list)):
            raise TypeError(f"argument 'out' must be tuple of Tensors, not {type(out).__name__}")
        if len(out) != count:
            raise TypeError(f"expected tuple of {count} elements but got {len(out)}")
        return tuple(target.resize_as_(part).copy_(part) for target, part in zip(out, result, strict=False))
    return result if get_infos else (result.LU, result.pivots)


def lu_method(self: Tensor, pivot: bool = True, get_infos: bool = False) -> Any:
    """See :func:`torch.lu`."""
    return lu(self, pivot, get_infos)


def _random_range(A: Tensor, q: int, niter: int, M: Tensor | None) -> Tensor:  # noqa: N803
    """An orthonormal basis for most of the range: Halko, Martinsson and Tropp (2011), algorithm 4.4."""
    data = A if M is None else A - M
    test = torch.randn(A.shape[-1], q, dtype=A.dtype, device=A.device)
    basis = torch.linalg.qr(data @ test).Q
    for _ in range(niter):
        basis = torch.linalg.qr(_adjoint(data) @ basis).Q
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
        basis = _random_range(_adjoint(data), count, steps, None)
        u, s, vh = torch.linalg.svd(data @ basis, full_matrices=False)
        return u, s, basis @ _adjoint(vh)
    basis = _random_range(data, count, steps, None)
    u, s, vh = torch.linalg.svd(_adjoint(basis) @ data, full_matrices=False)
    return basis @ u, s, _adjoint(vh)


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
