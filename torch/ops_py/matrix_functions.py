"""Powers, exponentials and products of matrices."""

from __future__ import annotations

import torch

from ._common import into, scalar_type, wrap_dim
from ._linalg_common import check_square

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from torch import Tensor


def matrix_power(input: Tensor, n: int, *, out: Tensor | None = None) -> Tensor:
    """The n-th power of a square matrix, by repeated squaring; a negative one of its inverse.

    >>> torch.linalg.matrix_power(torch.tensor([[1, 1], [0, 1]]), 3)
    tensor([[1, 3],
            [0, 1]])
    """
    check_square("linalg.matrix_power", input)
    if n == 0:
        return into(input.clone().copy_(torch.eye(input.shape[-1], dtype=input.dtype, device=input.device)), out)
    base = torch.linalg.inv(input) if n < 0 else input
    left, result = abs(n), None
    while True:
        if left & 1:
            result = base if result is None else result @ base
        left >>= 1
        if not left:
            return into(result.clone() if result is input else result, out)
        base = base @ base


# Degree of the Taylor polynomial and the largest norm for which it is exact to rounding; after Bader, Blanes and Casas,
# "Computing the matrix exponential with an optimized Taylor polynomial approximation" (2019).
_DEGREE = 18
_REACH = {torch.float32: 3.010066362817634, torch.float64: 1.090863719290036}


def matrix_exp(input: Tensor) -> Tensor:
    """The exponential of a square matrix, by scaling, a Taylor polynomial and squaring.

    >>> torch.matrix_exp(torch.zeros(2, 2))
    tensor([[1., 0.],
            [0., 1.]])
    """
    check_square("linalg.matrix_exp", input)
    if not (input.is_floating_point() or input.is_complex()):
        raise RuntimeError(
            f"linalg.matrix_exp: Expected a floating point or complex tensor as input. Got {scalar_type(input.dtype)}"
        )
    size = input.shape[-1]
    if not input.numel():
        return input.clone()
    if size == 1:
        return input.exp()
    detached = input.detach()
    real = detached.abs()
    largest = float(real.sum(-2).amax())
    reach = _REACH[torch.float32 if real.dtype != torch.float64 else torch.float64]
    squarings = 0
    while largest > reach and squarings < 1100:
        largest *= 0.5
        squarings += 1
    x = input * 2.0**-squarings if squarings < 1000 else input * float("nan")
    eye = torch.eye(size, dtype=input.dtype, device=input.device)
    # Paterson and Stockmeyer: six powers, then Horner's rule in the sixth.
    powers = [eye.expand(x.shape), x]
    for i in range(2, 7):
        powers.append(powers[i // 2] @ powers[i - i // 2])
    factorial = [1.0]
    for i in range(1, _DEGREE + 1):
        factorial.append(factorial[-1] * i)
    result = None
    for block in range(_DEGREE // 6 - 1, -1, -1):
        part = powers[0] / factorial[6 * block]
        for j in range(1, 6):
            part = part + powers[j] / factorial[6 * block + j]
        if result is None:
            part = part + powers[6] / factorial[_DEGREE]
            result = part
        else:
            result = part + powers[6] @ result
    for _ in range(squarings):
        result = result @ result
    return result


def linalg_matrix_exp(A: Tensor) -> Tensor:  # noqa: N803
    """``torch.matrix_exp``."""
    return matrix_exp(A)


def _best_order(shapes: list[int]) -> list[list[int]]:
    """Where to split each run of factors so that the products cost least."""
    count = len(shapes) - 1
    cost = [[0] * count for _ in range(count)]
    split = [[0] * count for _ in range(count)]
    for length in range(1, count):
        for i in range(count - length):
            j = i + length
            choices = [
                (cost[i][k] + cost[k + 1][j] + shapes[i] * shapes[k + 1] * shapes[j + 1], k) for k in range(i, j)
            ]
            cost[i][j], split[i][j] = min(choices)
    return split


def multi_dot(tensors: Sequence[Tensor], *, out: Tensor | None = None) -> Tensor:
    """The product of several matrices in the cheapest order; the first and last may be vectors.

    >>> torch.linalg.multi_dot([torch.eye(2), torch.ones(2)])
    tensor([1., 1.])
    """
    factors = list(tensors)
    if len(factors) < 2:
        raise RuntimeError(f"multi_dot(): expected at least 2 tensors but got {len(factors)}")
    for i, t in enumerate(factors):
        edge = i in (0, len(factors) - 1)
        if edge and t.dim() not in (1, 2):
            raise RuntimeError(
                f"multi_dot(): the {'first' if i == 0 else 'last'} tensor must be 1D or 2D but got {t.dim()}D"
            )
        if not edge and t.dim() != 2:
            raise RuntimeError(f"multi_dot(): tensor {i} must be 2D but got {t.dim()}D")
        if t.dtype != factors[0].dtype:
            raise RuntimeError("multi_dot(): all tensors must have be the same dtype but tensor 0 is "
                               f"{scalar_type(factors[0].dtype)} and tensor {i} {scalar_type(t.dtype)}")  # fmt: skip
    shape = []
    if factors[0].dim() == 1:
        factors[0] = factors[0].unsqueeze(0)
    else:
        shape.append(factors[0].shape[0])
    if factors[-1].dim() == 1:
        factors[-1] = factors[-1].unsqueeze(-1)
    else:
        shape.append(factors[-1].shape[1])
    for i in range(len(factors) - 1):
        a, b = factors[i], factors[i + 1]
        if a.shape[1] != b.shape[0]:
            raise RuntimeError(
                f"multi_dot(): tensors {i} and {i + 1} with shapes {list(tensors[i].shape)} and "
                f"{list(tensors[i + 1].shape)} cannot be multiplied"
            )
    split = _best_order([factors[0].shape[0], *(t.shape[1] for t in factors)])

    def product(i: int, j: int) -> Tensor:
        if i == j:
            return factors[i]
        k = split[i][j]
        return torch.mm(product(i, k), product(k + 1, j))

    return into(product(0, len(factors) - 1).reshape(shape), out)


def linalg_vander(x: Tensor, *, N: int | None = None) -> Tensor:  # noqa: N803
    """Powers 0 to N - 1 of each element, along a new last dimension.

    >>> torch.linalg.vander(torch.tensor([2, 3]))
    tensor([[1, 2],
            [1, 3]])
    """
    if x.dim() < 1:
        x = x.reshape(1)
    count = x.shape[-1] if N is None else N
    if count <= 1 and N is not None:
        raise RuntimeError("N must be greater than 1.")
    if x.dtype == torch.bool:
        x = x.to(torch.int64)
    elif not (x.is_floating_point() or x.is_complex()):
        x = x.to(torch.int64)
    ones = torch.ones_like(x).unsqueeze(-1)
    if count <= 1:
        return ones
    powers = x.unsqueeze(-1).expand(*x.shape, count - 1).cumprod(-1)
    return torch.cat([ones, powers], -1)


def vander(x: Tensor, N: int | None = None, increasing: bool = False) -> Tensor:  # noqa: N803
    """Powers of each element of a vector, a row each; the highest first unless ``increasing``.

    >>> torch.vander(torch.tensor([2, 3]))
    tensor([[2, 1],
            [3, 1]])
    """
    if x.dim() != 1:
        raise RuntimeError("x must be a one-dimensional tensor.")
    count = x.numel() if N is None else N
    if count < 0:
        raise RuntimeError("N must be non-negative.")
    if not (x.is_floating_point() or x.is_complex()):
        x = x.to(torch.int64)
    result = torch.ones(x.numel(), count, dtype=x.dtype, device=x.device)
    if count > 1:
        powers = x.unsqueeze(-1).expand(x.numel(), count - 1).cumprod(-1)
        result = torch.cat([result.narrow(1, 0, 1), powers], 1)
    return result if increasing else result.flip(1)


def vecdot(x: Tensor, y: Tensor, *, dim: int = -1, out: Tensor | None = None) -> Tensor:
    """Dot products of vectors along a dimension; complex ones conjugate the first.

    >>> torch.linalg.vecdot(torch.tensor([1., 2.]), torch.tensor([3., 4.]))
    tensor(11.)
    """
    _check_vecdot(x, y)
    return into((x.conj() * y).sum(dim), out)


def _check_vecdot(x: Tensor, y: Tensor) -> None:
    for t in (x, y):
        if not (t.is_floating_point() or t.is_complex()):
            raise RuntimeError(
                f"linalg.vecdot: Expected a floating point or complex tensor as input. Got {scalar_type(t.dtype)}"
            )


def linalg_matmul(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """``torch.matmul``.

    >>> torch.linalg.matmul(torch.eye(2), torch.ones(2))
    tensor([1., 1.])
    """
    return into(torch.matmul(input, other), out)


def tensorinv(A: Tensor, ind: int = 2, *, out: Tensor | None = None) -> Tensor:  # noqa: N803
    """The inverse of the linear map that ``tensordot`` with ``A`` over ``ind`` dimensions is.

    >>> torch.linalg.tensorinv(torch.eye(4).reshape(2, 2, 2, 2)).shape
    torch.Size([2, 2, 2, 2])
    """
    if ind <= 0:
        raise RuntimeError("Expected a strictly positive integer for 'ind'")
    first, last = list(A.shape[:ind]), list(A.shape[ind:])
    rows, columns = torch.Size(first).numel(), torch.Size(last).numel()
    if rows != columns:
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[ind:]) == prod(self.shape[:ind]), but got "
            f"{columns} != {rows}"
        )
    return into(torch.linalg.inv(A.reshape(rows, columns)).reshape(last + first), out)


def tensorsolve(
    A: Tensor,
    B: Tensor,
    dims: Any = None,
    *,
    out: Tensor | None = None,  # noqa: N803
) -> Tensor:
    """Solve ``tensordot(A, X, X.dim()) = B``.

    >>> torch.linalg.tensorsolve(torch.eye(4).reshape(2, 2, 4), torch.ones(2, 2))
    tensor([1., 1., 1., 1.])
    """
    a = A
    if dims is not None:
        moved = [wrap_dim(d, A.dim()) for d in ([dims] if isinstance(dims, int) else dims)]
        a = A.movedim(moved, list(range(A.dim() - len(moved), A.dim())))
    shape = list(a.shape[B.dim() :])
    unknowns = torch.Size(shape).numel()
    if unknowns != B.numel():
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[other.ndim:]) == prod(self.shape[:other.ndim]), "
            f"but got {unknowns} != {B.numel()}"
        )
    return into(torch.linalg.solve(a.reshape(B.numel(), unknowns), B.reshape(-1)).reshape(shape), out)
