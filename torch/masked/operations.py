"""Operations that fill what the mask leaves out with the operation's identity, and then run as usual."""

from __future__ import annotations

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from torch import Tensor


def _lowest(dtype: torch.dtype) -> Any:
    if dtype == torch.bool:
        return False
    return float("-inf") if dtype.is_floating_point else torch.iinfo(dtype).min


def _highest(dtype: torch.dtype) -> Any:
    if dtype == torch.bool:
        return True
    return float("inf") if dtype.is_floating_point else torch.iinfo(dtype).max


def _cast(input: Tensor, dtype: Any, sums: bool = False) -> Tensor:
    """The input in the dtype that is computed in: sums of integers are int64."""
    if dtype is None and sums and not (input.is_floating_point() or input.is_complex()):
        dtype = torch.int64
    return input if dtype is None or input.dtype == dtype else input.to(dtype)


def _mask(input: Tensor, mask: Tensor | None) -> Tensor | None:
    if mask is None:
        return None
    if mask.dim() > input.dim():
        raise IndexError("_input_mask expected broadcastable mask (got mask dimensionality higher than of the input)")
    return mask.to(torch.bool).expand(input.shape) if mask.shape != input.shape else mask.to(torch.bool)


def _filled(input: Tensor, mask: Tensor | None, value: Any) -> Tensor:
    full = _mask(input, mask)
    return (
        input
        if full is None
        else torch.where(full, input, torch.full((), value, dtype=input.dtype, device=input.device))
    )


def _dims(input: Tensor, dim: Any) -> tuple[int, ...]:
    if dim is None or dim == ():
        return tuple(range(input.dim()))
    dims = (dim,) if isinstance(dim, int) else tuple(dim)
    result = []
    for d in dims:
        bound = max(input.dim(), 1)
        if not -bound <= d < bound:
            raise IndexError(
                f"Dimension out of range (expected to be in range of [{-bound}, {bound - 1}], but got {d})"
            )
        d %= bound
        if d in result:
            raise RuntimeError(f"dim={d} appears multiple times in the list of dims")
        result.append(d)
    return tuple(result)


def sum(
    input: Tensor, dim: Any = None, *, keepdim: bool | None = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """The sum of the selected elements.

    >>> torch.masked.sum(torch.tensor([1, 2]), mask=torch.tensor([True, False]))
    tensor(1)
    """
    data = _filled(_cast(input, dtype, True), mask, 0)
    return torch.sum(data, _dims(input, dim), bool(keepdim)) if input.dim() else data.sum()


def prod(
    input: Tensor, dim: Any = None, *, keepdim: bool | None = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """The product of the selected elements.

    >>> torch.masked.prod(torch.tensor([2, 3]), mask=torch.tensor([True, False]))
    tensor(2)
    """
    result = _filled(_cast(input, dtype, True), mask, 1)
    for d in sorted(_dims(input, dim), reverse=True):
        result = result.prod(d, bool(keepdim))
    return result


def cumsum(input: Tensor, dim: int, *, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """Running sums of the selected elements.

    >>> torch.masked.cumsum(torch.tensor([1, 2, 3]), 0, mask=torch.tensor([True, False, True]))
    tensor([1, 1, 4])
    """
    return _filled(_cast(input, dtype), mask, 0).cumsum(dim).to(dtype or input.dtype)


def cumprod(input: Tensor, dim: int, *, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """Running products of the selected elements.

    >>> torch.masked.cumprod(torch.tensor([2, 5, 3]), 0, mask=torch.tensor([True, False, True]))
    tensor([2, 2, 6])
    """
    return _filled(_cast(input, dtype), mask, 1).cumprod(dim).to(dtype or input.dtype)


def amax(
    input: Tensor, dim: Any = None, *, keepdim: bool | None = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """The largest selected element.

    >>> torch.masked.amax(torch.tensor([1, 2]), mask=torch.tensor([True, False]))
    tensor(1)
    """
    data = _cast(input, dtype)
    return torch.amax(_filled(data, mask, _lowest(data.dtype)), _dims(input, dim), bool(keepdim))


def amin(
    input: Tensor, dim: Any = None, *, keepdim: bool | None = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """The smallest selected element.

    >>> torch.masked.amin(torch.tensor([1, 2]), mask=torch.tensor([False, True]))
    tensor(2)
    """
    data = _cast(input, dtype)
    return torch.amin(_filled(data, mask, _highest(data.dtype)), _dims(input, dim), bool(keepdim))


def argmax(
    input: Tensor,
    dim: int | None = None,
    *,
    keepdim: bool | None = False,
    dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:
    """Where the largest selected element is.

    >>> torch.masked.argmax(torch.tensor([1, 2]), mask=torch.tensor([True, False]))
    tensor(0)
    """
    data = _cast(input, dtype)
    result = torch.argmax(_filled(data, mask, _lowest(data.dtype)), dim, bool(keepdim))
    return result.to(data.dtype)


def argmin(
    input: Tensor,
    dim: int | None = None,
    *,
    keepdim: bool | None = False,
    dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:
    """Where the smallest selected element is.

    >>> torch.masked.argmin(torch.tensor([1, 2]), mask=torch.tensor([False, True]))
    tensor(1)
    """
    data = _cast(input, dtype)
    result = torch.argmin(_filled(data, mask, _highest(data.dtype)), dim, bool(keepdim))
    return result.to(data.dtype)


def _count(input: Tensor, dims: tuple[int, ...], keepdim: bool, mask: Tensor | None, dtype: torch.dtype) -> Tensor:
    full = _mask(input, mask)
    there = torch.ones(input.shape, dtype=torch.bool, device=input.device) if full is None else full
    return there.sum(dims, keepdim).to(dtype) if input.dim() else there.to(dtype)


def mean(
    input: Tensor, dim: Any = None, *, keepdim: bool | None = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """The mean of the selected elements.

    >>> torch.masked.mean(torch.tensor([1., 2.]), mask=torch.tensor([True, False]))
    tensor(1.)
    """
    kind = dtype or input.dtype
    if not (kind.is_floating_point or kind.is_complex):
        raise ValueError(f"mean with dtype={kind} is not supported: give a floating dtype")
    data = _cast(input, dtype)
    dims = _dims(input, dim)
    return sum(data, dims, keepdim=keepdim, mask=mask) / _count(input, dims, bool(keepdim), mask, data.dtype)


def median(
    input: Tensor, dim: int = -1, *, keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """The median of the selected elements along a dimension.

    >>> torch.masked.median(torch.tensor([1., 9., 2.]), 0, mask=torch.tensor([True, False, True]))
    tensor(1.)
    """
    data = _cast(input, dtype)
    if not data.is_floating_point():
        raise ValueError(f"input must be a floating point tensor, got {data.dtype}")
    if bool(data.isnan().any()):
        raise ValueError("input expected to have no NaN: they stand for what the mask leaves out")
    return torch.nanmedian(_filled(data, mask, float("nan")), dim, keepdim)[0]


def logsumexp(
    input: Tensor, dim: Any = None, *, keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """The logarithm of the sum of the exponentials of the selected elements.

    >>> torch.masked.logsumexp(torch.tensor([0., 1.]), 0, mask=torch.tensor([True, False]))
    tensor(0.)
    """
    data = _cast(input, dtype)
    low = float("-inf") if data.is_complex() else _lowest(data.dtype)
    return torch.logsumexp(_filled(data, mask, low), _dims(input, dim), keepdim).to(data.dtype)


def logaddexp(
    input: Tensor,
    other: Tensor,
    *,
    dtype: Any = None,
    input_mask: Tensor | None = None,
    other_mask: Tensor | None = None,
) -> Tensor:
    """The logarithm of the sum of exponentials of two tensors; what a mask leaves out adds nothing.

    >>> torch.masked.logaddexp(torch.zeros(1), torch.zeros(1), other_mask=torch.tensor([False]))
    tensor([0.])
    """
    a, b = _cast(input, dtype), _cast(other, dtype)
    low = float("-inf")
    return torch.logaddexp(_filled(a, input_mask, low), _filled(b, other_mask, low))


def norm(
    input: Tensor, ord: float | None = 2.0, dim: Any = None, *, keepdim: bool | None = False, dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The p-norm of the selected elements.

    >>> torch.masked.norm(torch.tensor([3., 4.]), 2., mask=torch.tensor([True, False]))
    tensor(3.)
    """
    data = _cast(input, dtype)
    order = 2.0 if ord is None else ord
    return torch.linalg.vector_norm(
        _filled(data, mask, float("inf") if order < 0 else 0), order, _dims(input, dim), bool(keepdim)
    )


def _deviation(
    input: Tensor, dim: Any, unbiased: bool | None, correction: Any, keepdim: bool | None, dtype: Any,
    mask: Tensor | None, root: bool,
) -> Tensor:  # fmt: skip
    if unbiased is not None and correction is not None:
        raise ValueError("Only one of unbiased and correction may be given")
    less = correction if correction is not None else 1 if unbiased is None or unbiased else 0
    if dtype is None and not (input.is_floating_point() or input.is_complex()):
        dtype = torch.float32
    data = _cast(input, dtype)
    dims = _dims(input, dim)
    middle = sum(data, dims, keepdim=True, mask=mask) / _count(input, dims, True, mask, data.dtype)
    centred = data - middle
    square = centred * centred.conj() if centred.is_complex() else centred * centred
    total = sum(torch.real(square) if square.is_complex() else square, dims, keepdim=keepdim, mask=mask)
    count = _count(input, dims, bool(keepdim), mask, total.dtype) - less
    result = total / count.clamp_min(0)
    return (result.sqrt() if root else result).to(data.dtype)


def var(
    input: Tensor, dim: Any = None, unbiased: bool | None = None, *, correction: Any = None,
    keepdim: bool | None = False, dtype: Any = None, mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The variance of the selected elements.

    >>> torch.masked.var(torch.tensor([1., 3., 9.]), 0, False, mask=torch.tensor([True, True, False]))
    tensor(1.)
    """
    return _deviation(input, dim, unbiased, correction, keepdim, dtype, mask, False)


def std(
    input: Tensor, dim: Any = None, unbiased: bool | None = None, *, correction: Any = None,
    keepdim: bool | None = False, dtype: Any = None, mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The standard deviation of the selected elements.

    >>> torch.masked.std(torch.tensor([1., 3., 9.]), 0, False, mask=torch.tensor([True, True, False]))
    tensor(1.)
    """
    return _deviation(input, dim, unbiased, correction, keepdim, dtype, mask, True)


def softmax(input: Tensor, dim: int, *, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """Softmax over the selected elements; the others get zero.

    >>> torch.masked.softmax(torch.zeros(2), 0, mask=torch.tensor([True, False]))
    tensor([1., 0.])
    """
    return torch.softmax(_filled(_cast(input, dtype), mask, float("-inf")), dim)


def log_softmax(input: Tensor, dim: int, *, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """The logarithm of ``softmax``.

    >>> torch.masked.log_softmax(torch.zeros(2), 0, mask=torch.tensor([True, False]))
    tensor([0., -inf])
    """
    return torch.log_softmax(_filled(_cast(input, dtype), mask, float("-inf")), dim)


def softmin(input: Tensor, dim: int, *, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """Softmax of the negated elements.

    >>> torch.masked.softmin(torch.zeros(2), 0, mask=torch.tensor([True, False]))
    tensor([1., 0.])
    """
    return torch.softmax(-_filled(_cast(input, dtype), mask, float("inf")), dim)


def normalize(
    input: Tensor, ord: float, dim: int, *, eps: float = 1e-12, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """Divide by the norm of the selected elements along a dimension.

    >>> torch.masked.normalize(torch.tensor([3., 4.]), 2., 0, mask=torch.tensor([True, True]))
    tensor([0.6000, 0.8000])
    """
    data = _cast(input, dtype)
    size = norm(data, ord, dim, keepdim=True, mask=mask)
    return _filled(data, mask, 0) / size.clamp_min(eps)
