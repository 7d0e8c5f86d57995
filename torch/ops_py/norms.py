"""Norms of vectors and matrices, condition numbers and ranks."""

from __future__ import annotations

import torch

from ._common import into, scalar_type, wrap_dim, wrap_dims
from ._linalg_common import check_matrix, check_square, check_values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from torch import Tensor

_INF = float("inf")


def _check_norm(name: str, x: Tensor, dtype: Any) -> None:
    if not (x.is_floating_point() or x.is_complex()):
        raise RuntimeError(f"{name}: Expected a floating point or complex tensor as input. Got {scalar_type(x.dtype)}")
    if dtype is not None:
        if not (dtype.is_floating_point or dtype.is_complex):
            raise RuntimeError(f"{name}: dtype should be floating point or complex. Got {scalar_type(dtype)}")
        if dtype.is_complex != x.is_complex():
            kind = "complex" if x.is_complex() else "real"
            raise RuntimeError(f"{name}: dtype should be {kind} for {kind} inputs, but got {scalar_type(dtype)}")
        if torch.promote_types(x.dtype, dtype) != dtype:
            raise RuntimeError(f"{name}: the dtype of the input ({scalar_type(x.dtype)}) should be convertible without "
                               f"narrowing to the specified dtype ({scalar_type(dtype)})")  # fmt: skip


def matrix_norm(
    A: Tensor, ord: Any = "fro", dim: Any = (-2, -1), keepdim: bool = False, *, dtype: Any = None,  # noqa: N803
    out: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """A norm of the matrices that two dimensions span: "fro", "nuc", 1, -1, 2, -2, inf or -inf.

    >>> torch.linalg.matrix_norm(torch.tensor([[3., 0.], [0., 4.]]))
    tensor(5.)
    """
    if A.dim() < 2:
        raise RuntimeError("linalg.matrix_norm: The input tensor A must have at least 2 dimensions.")
    if isinstance(dim, int) or len(dim) != 2:
        raise RuntimeError(f"linalg.matrix_norm: dim must be a 2-tuple. Got {dim}")
    _check_norm("linalg.matrix_norm", A, dtype)
    first, second = wrap_dim(dim[0], A.dim()), wrap_dim(dim[1], A.dim())
    if first == second:
        raise RuntimeError(f"linalg.matrix_norm: dims must be different. Got ({dim[0]}, {dim[1]})")
    if isinstance(ord, str):
        if ord not in ("fro", "nuc"):
            raise RuntimeError(f"linalg.matrix_norm: Order {ord} not supported.")
    elif abs(ord) not in (1, 2, _INF):
        raise RuntimeError(f"linalg.matrix_norm: Order {ord} not supported.")
    if ord == "fro":
        return into(torch.linalg.vector_norm(A, 2, (first, second), keepdim, dtype=dtype), out)
    x = A if dtype is None else A.to(dtype)
    if ord in ("nuc", 2, -2):
        singular = torch.linalg.svdvals(x.movedim((first, second), (-2, -1)))
        if ord == "nuc":
            result = singular.sum(-1)
        else:
            if not singular.shape[-1]:
                _refuse_empty(ord)
            result = singular.amax(-1) if ord == 2 else singular.amin(-1)
        if keepdim:
            for d in sorted((first, second)):
                result = result.unsqueeze(d)
        return into(result, out)
    summed, kept = (first, second) if abs(ord) == 1 else (second, first)
    sums = torch.linalg.vector_norm(x, 1, summed, keepdim=True)
    if not sums.shape[kept]:
        _refuse_empty(ord)
    result = sums.amax(kept, keepdim=True) if ord > 0 else sums.amin(kept, keepdim=True)
    if not keepdim:
        for d in sorted((first, second), reverse=True):
            result = result.squeeze(d)
    return into(result, out)


def _refuse_empty(order: Any) -> None:
    raise IndexError(f"linalg.matrix_norm: the norm of order {order} of an empty matrix has no identity")


def norm(
    A: Tensor, ord: Any = None, dim: Any = None, keepdim: bool = False, *, dtype: Any = None,  # noqa: N803
    out: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """A vector norm or, for two dimensions and an order, a matrix norm.

    >>> torch.linalg.norm(torch.tensor([3., 4.]))
    tensor(5.)
    """
    _check_norm("linalg.norm", A, dtype)
    dims = None if dim is None else [dim] if isinstance(dim, int) else list(dim)
    if dims is not None and ord is not None and len(dims) not in (1, 2):
        raise RuntimeError(f"linalg.norm: If dim is specified, it must be of length 1 or 2. Got {dims}")
    if dims is None and ord is not None and A.dim() not in (1, 2):
        raise RuntimeError(
            f"linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got {A.dim()}D."
        )
    if ord is not None and ((dims is not None and len(dims) == 2) or (dims is None and A.dim() == 2)):
        return into(matrix_norm(A, ord, (0, 1) if dims is None else dims, keepdim, dtype=dtype), out)
    if isinstance(ord, str):
        raise RuntimeError(f"linalg.norm: Order {ord} not supported for vectors.")
    return into(torch.linalg.vector_norm(A, 2 if ord is None else ord, dims, keepdim, dtype=dtype), out)


def torch_norm(
    input: Tensor, p: Any = "fro", dim: Any = None, keepdim: bool = False, out: Tensor | None = None, dtype: Any = None
) -> Tensor:
    """A norm over all elements or some dimensions (its successors are in ``torch.linalg``).

    >>> torch.norm(torch.tensor([3., 4.]))
    tensor(5.)
    """
    if input.layout is not torch.strided:
        from ..sparse._reduce import norm

        return into(norm(input, p, dim, keepdim, dtype), out)
    dims = None if dim is None else wrap_dims([dim] if isinstance(dim, int) else dim, input.dim())
    if isinstance(p, str):
        if p == "nuc":
            if dims is None:
                dims = [0, 1]
            elif len(dims) != 2:
                raise ValueError(f"Expected a dim specification with 2 elements, got {len(dims)}")
            return into(matrix_norm(input, "nuc", dims, keepdim, dtype=dtype), out)
        if p != "fro":
            raise RuntimeError(f"linalg.matrix_norm: Order {p} not supported.")
        p = 2.0
    return into(torch.linalg.vector_norm(input, 2.0 if p is None else p, dims, keepdim, dtype=dtype), out)


def frobenius_norm(input: Tensor, dim: Any, keepdim: bool = False, *, out: Tensor | None = None) -> Tensor:
    """The root of the sum of squares over one or two dimensions.

    >>> torch.frobenius_norm(torch.tensor([3., 4.]), 0)
    tensor(5.)
    """
    return into(torch.linalg.vector_norm(input, 2, dim, keepdim), out)


def nuclear_norm(input: Tensor, dim: Any = None, keepdim: bool = False, *, out: Tensor | None = None) -> Tensor:
    """The sum of a matrix's singular values.

    >>> torch.nuclear_norm(torch.eye(2))
    tensor(2.)
    """
    if isinstance(dim, bool):
        dim, keepdim = None, dim
    return into(matrix_norm(input, "nuc", (-2, -1) if dim is None else dim, keepdim), out)


def cond(A: Tensor, p: Any = None, *, out: Tensor | None = None) -> Tensor:  # noqa: N803
    """The condition number: by how much a matrix can magnify relative errors.

    >>> torch.linalg.cond(torch.diag(torch.tensor([1., 4.])))
    tensor(4.)
    """
    check_matrix("linalg.cond", A)
    if p is None or p in (2, -2):
        check_values("linalg.cond", A)
        if not A.shape[-1] or not A.shape[-2] or not A.numel():
            real = A.real.dtype if A.is_complex() else A.dtype
            return into(torch.zeros(A.shape[:-2], dtype=real, device=A.device), out)
        values = torch.linalg.svdvals(A)
        high, low = values.select(-1, 0), values.select(-1, -1)
        return into(low / high if p == -2 else high / low, out)
    check_square("linalg.cond", A)
    if isinstance(p, str) and p not in ("fro", "nuc"):
        raise RuntimeError(f"linalg.cond got an invalid norm type: {p}")
    if not isinstance(p, str) and abs(p) not in (1, _INF):
        raise RuntimeError(f"linalg.cond got an invalid norm type: {p}")
    if not A.numel():
        real = A.real.dtype if A.is_complex() else A.dtype
        return into(torch.zeros(A.shape[:-2], dtype=real, device=A.device), out)
    inverse, info = torch.linalg.inv_ex(A)
    inverse = inverse.masked_fill((info != 0).unsqueeze(-1).unsqueeze(-1), _INF)
    if p == "nuc" and bool((info != 0).any()):
        raise RuntimeError("linalg.cond: the nuclear norm needs invertible matrices")
    return into(matrix_norm(A, p) * matrix_norm(inverse, p), out)


def matrix_rank(
    A: Tensor, tol: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None,  # noqa: N803
    out: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """How many singular values exceed ``max(atol, rtol * largest)``.

    >>> torch.linalg.matrix_rank(torch.ones(2, 2))
    tensor(1)
    """
    from .equations import _tolerances

    check_matrix("torch.linalg.matrix_rank", A)
    check_values("torch.linalg.matrix_rank", A)
    if not A.numel():
        return into(torch.zeros(A.shape[:-2], dtype=torch.int64, device=A.device), out)
    if tol is not None and not isinstance(tol, bool):
        atol, rtol = tol, 0.0
    absolute, relative = _tolerances(A, atol, rtol)
    data = A.detach()
    if hermitian:
        values = torch.linalg.eigvalsh(data).abs()
        largest = values.amax(-1)
    else:
        values = torch.linalg.svdvals(data)
        largest = values.select(-1, 0)
    cutoff = torch.maximum(absolute, relative * largest)
    return into((values > cutoff.unsqueeze(-1)).sum(-1), out)
