"""Operations that fill what the mask leaves out with the operation's identity, and then run as usual."""

from __future__ import annotations

import torch

from ._neutral import neutral

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from torch import Tensor

    from ._masked_tensor import MaskedTensor


def _parts(input: Tensor | MaskedTensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """The dense input, and its own mask and the given one as one mask of its shape."""
    own = getattr(input, "_mask", None)
    if own is not None:
        input = input.get_data()
        mask = own if mask is None else own & mask
    if mask is None:
        return input, None
    if mask.dim() > input.dim():
        raise IndexError("_input_mask expected broadcastable mask (got mask dimensionality higher than of the input)")
    mask = mask.to(torch.bool)
    return input, mask.expand(input.shape) if mask.shape != input.shape else mask


def _prepared(name: str, input: Tensor, dtype: Any, mask: Tensor | None, fill: Any = None) -> Tensor:
    """The input in the dtype that is computed in (sums and products of integers are int64), filled."""
    data, full = _parts(input, mask)
    if dtype is None and name in ("sum", "prod") and not (data.is_floating_point() or data.is_complex()):
        dtype = torch.int64
    if dtype is not None and data.dtype != dtype:
        data = data.to(dtype)
    if full is None:
        return data
    value = neutral(name, data.dtype) if fill is None else fill
    return torch.where(full, data, torch.full((), value, dtype=data.dtype, device=data.device))


def _dims(input: Tensor, dim: Any) -> tuple[int, ...]:
    if dim is None or dim == ():
        return tuple(range(input.dim()))
    result: list[int] = []
    bound = max(input.dim(), 1)
    for d in (dim,) if isinstance(dim, int) else tuple(dim):
        if not -bound <= d < bound:
            raise IndexError(
                f"Dimension out of range (expected to be in range of [{-bound}, {bound - 1}], but got {d})"
            )
        if d % bound in result:
            raise RuntimeError(f"dim={d % bound} appears multiple times in the list of dims")
        result.append(d % bound)
    return tuple(result)


def _published(function: Any, name: str, text: str, example: str) -> Any:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{text}\n\n    >>> {example}\n    "
    return function


# ---- reductions ----

_REDUCES = """

    Args:
        input: a tensor of any shape; a masked tensor's own mask counts too.
        dim: the dimensions to reduce; all by default.
        keepdim: whether they stay, with size 1.
        dtype: to compute in, and of the result.
        mask: bool, broadcastable to ``input``; True where an element counts.

    Raises:
        IndexError: for a dimension that ``input`` does not have, and for a mask of more dimensions.
"""


def _reduction(name: str, run: Callable[[Tensor, Any, bool], Tensor], text: str, example: str) -> Any:
    def reduction(
        input: Tensor, dim: Any = None, *, keepdim: bool | None = False, dtype: Any = None, mask: Tensor | None = None
    ) -> Tensor:
        return run(_prepared(name, input, dtype, mask), dim, bool(keepdim))

    return _published(reduction, name, text + _REDUCES, f"torch.masked.{example}")


def _product(data: Tensor, dim: Any, keepdim: bool) -> Tensor:
    for d in sorted(_dims(data, dim), reverse=True):
        data = data.prod(d, keepdim)
    return data


sum = _reduction(
    "sum",
    lambda data, dim, keep: torch.sum(data, _dims(data, dim), keep) if data.dim() else data.sum(),
    "The sum of the selected elements; 0 where there is none.",
    "sum(torch.tensor([1, 2]), mask=torch.tensor([True, False]))\n    tensor(1)",
)
prod = _reduction(
    "prod",
    _product,
    "The product of the selected elements; 1 where there is none.",
    "prod(torch.tensor([2, 3]), mask=torch.tensor([True, False]))\n    tensor(2)",
)
amax = _reduction(
    "amax",
    lambda data, dim, keep: torch.amax(data, _dims(data, dim), keep),
    "The largest selected element; the dtype's lowest value where there is none.",
    "amax(torch.tensor([1, 2]), mask=torch.tensor([True, False]))\n    tensor(1)",
)
amin = _reduction(
    "amin",
    lambda data, dim, keep: torch.amin(data, _dims(data, dim), keep),
    "The smallest selected element; the dtype's highest value where there is none.",
    "amin(torch.tensor([1, 2]), mask=torch.tensor([False, True]))\n    tensor(2)",
)
argmax = _reduction(
    "argmax",
    lambda data, dim, keep: torch.argmax(data, dim, keep).to(data.dtype),
    "Where the largest selected element is, along one dimension or in the flattened tensor; in the input's dtype.",
    "argmax(torch.tensor([1, 2]), mask=torch.tensor([True, False]))\n    tensor(0)",
)
argmin = _reduction(
    "argmin",
    lambda data, dim, keep: torch.argmin(data, dim, keep).to(data.dtype),
    "Where the smallest selected element is, along one dimension or in the flattened tensor; in the input's dtype.",
    "argmin(torch.tensor([1, 2]), mask=torch.tensor([False, True]))\n    tensor(1)",
)
logsumexp = _reduction(
    "logsumexp",
    lambda data, dim, keep: torch.logsumexp(data, _dims(data, dim), keep).to(data.dtype),
    "The logarithm of the sum of the exponentials of the selected elements.",
    "logsumexp(torch.tensor([0., 1.]), 0, mask=torch.tensor([True, False]))\n    tensor(0.)",
)


def _count(input: Tensor, dims: Any, keepdim: bool, mask: Tensor | None, dtype: torch.dtype) -> Tensor:
    data, full = _parts(input, mask)
    there = torch.ones(data.shape, dtype=torch.bool, device=data.device) if full is None else full
    return there.sum(dims, keepdim).to(dtype) if data.dim() else there.to(dtype)


def mean(
    input: Tensor, dim: Any = None, *, keepdim: bool | None = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """The mean of the selected elements; NaN where there is none.

    Takes what ``torch.masked.sum`` takes. Raises ValueError for integers, unless ``dtype`` is a floating one.

    >>> torch.masked.mean(torch.tensor([1., 2.]), mask=torch.tensor([True, False]))
    tensor(1.)
    """
    kind = dtype or input.dtype
    if not (kind.is_floating_point or kind.is_complex):
        raise ValueError(f"mean with dtype={kind} is not supported: give a floating dtype")
    dims = _dims(input, dim)
    return sum(input, dims, keepdim=keepdim, dtype=kind, mask=mask) / _count(input, dims, bool(keepdim), mask, kind)


def median(
    input: Tensor, dim: int = -1, *, keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """The median of the selected elements along a dimension, the lower one of two.

    Raises ValueError for other dtypes than floating ones, and for NaN in the input.

    >>> torch.masked.median(torch.tensor([1., 9., 2.]), 0, mask=torch.tensor([True, False, True]))
    tensor(1.)
    """
    plain = _prepared("median", _parts(input, None)[0], dtype, None)
    if not plain.is_floating_point():
        raise ValueError(f"input must be a floating point tensor, got {plain.dtype}")
    if bool(plain.isnan().any()):
        raise ValueError("input expected to have no NaN: they stand for what the mask leaves out")
    return torch.nanmedian(_prepared("median", input, dtype, mask), dim, keepdim)[0]


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
    pair = (input, input_mask), (other, other_mask)
    return torch.logaddexp(*(_prepared("logaddexp", x, dtype, mask) for x, mask in pair))


def norm(
    input: Tensor, ord: float | None = 2.0, dim: Any = None, *, keepdim: bool | None = False, dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The p-norm of the selected elements, for p = ``ord``.

    >>> torch.masked.norm(torch.tensor([3., 4.]), 2., mask=torch.tensor([True, False]))
    tensor(3.)
    """
    order = 2.0 if ord is None else ord
    data = _prepared("norm", input, dtype, mask, float("inf") if order < 0 else 0)
    return torch.linalg.vector_norm(data, order, _dims(data, dim), bool(keepdim))


def _deviation(
    input: Tensor, dim: Any, unbiased: bool | None, correction: Any, keepdim: bool | None, dtype: Any,
    mask: Tensor | None, root: bool,
) -> Tensor:  # fmt: skip
    if unbiased is not None and correction is not None:
        raise ValueError("Only one of unbiased and correction may be given")
    less = correction if correction is not None else 1 if unbiased is None or unbiased else 0
    if dtype is None:
        dtype = input.dtype if input.is_floating_point() or input.is_complex() else torch.float32
    dims = _dims(input, dim)
    centred = _parts(input, None)[0].to(dtype) - mean(input, dims, keepdim=True, dtype=dtype, mask=mask)
    square = centred * centred.conj() if centred.is_complex() else centred * centred
    _, full = _parts(input, mask)
    total = sum(torch.real(square) if square.is_complex() else square, dims, keepdim=keepdim, mask=full)
    result = total / (_count(input, dims, bool(keepdim), mask, total.dtype) - less).clamp_min(0)
    return (result.sqrt() if root else result).to(dtype)


def var(
    input: Tensor, dim: Any = None, unbiased: bool | None = None, *, correction: Any = None,
    keepdim: bool | None = False, dtype: Any = None, mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The variance of the selected elements; their number less ``correction`` (1 by default) is the divisor.

    Takes what ``torch.masked.sum`` takes. Raises ValueError if both ``unbiased`` and ``correction`` are given.

    >>> torch.masked.var(torch.tensor([1., 3., 9.]), 0, False, mask=torch.tensor([True, True, False]))
    tensor(1.)
    """
    return _deviation(input, dim, unbiased, correction, keepdim, dtype, mask, False)


def std(
    input: Tensor, dim: Any = None, unbiased: bool | None = None, *, correction: Any = None,
    keepdim: bool | None = False, dtype: Any = None, mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The standard deviation of the selected elements, the root of ``torch.masked.var``.

    >>> torch.masked.std(torch.tensor([1., 3., 9.]), 0, False, mask=torch.tensor([True, True, False]))
    tensor(1.)
    """
    return _deviation(input, dim, unbiased, correction, keepdim, dtype, mask, True)


# ---- along one dimension, of the same shape ----

_KEEPS = """

    Args:
        input: a tensor of any shape; a masked tensor's own mask counts too.
        dim: the dimension.
        dtype: to compute in, and of the result.
        mask: bool, broadcastable to ``input``; True where an element counts.

    Raises:
        IndexError: for a dimension that ``input`` does not have, and for a mask of more dimensions.
"""


def _along(name: str, run: Callable[[Tensor, int], Tensor], text: str, example: str) -> Any:
    def operation(input: Tensor, dim: int, *, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
        return run(_prepared(name, input, dtype, mask), dim)

    return _published(operation, name, text + _KEEPS, f"torch.masked.{example}")


cumsum = _along(
    "cumsum",
    lambda data, dim: data.cumsum(dim).to(data.dtype),
    "Running sums of the selected elements.",
    "cumsum(torch.tensor([1, 2, 3]), 0, mask=torch.tensor([True, False, True]))\n    tensor([1, 1, 4])",
)
cumprod = _along(
    "cumprod",
    lambda data, dim: data.cumprod(dim).to(data.dtype),
    "Running products of the selected elements.",
    "cumprod(torch.tensor([2, 5, 3]), 0, mask=torch.tensor([True, False, True]))\n    tensor([2, 2, 6])",
)
softmax = _along(
    "softmax",
    torch.softmax,
    "Softmax over the selected elements; the others get zero, NaN where none is selected.",
    "softmax(torch.zeros(2), 0, mask=torch.tensor([True, False]))\n    tensor([1., 0.])",
)
log_softmax = _along(
    "log_softmax",
    torch.log_softmax,
    "The logarithm of ``torch.masked.softmax``.",
    "log_softmax(torch.zeros(2), 0, mask=torch.tensor([True, False]))\n    tensor([0., -inf])",
)
softmin = _along(
    "softmin",
    lambda data, dim: torch.softmax(-data, dim),
    "Softmax of the negated elements.",
    "softmin(torch.zeros(2), 0, mask=torch.tensor([True, False]))\n    tensor([1., 0.])",
)


def normalize(
    input: Tensor, ord: float, dim: int, *, eps: float = 1e-12, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """Divide by the norm of the selected elements along a dimension, or by ``eps`` if that is larger.

    >>> torch.masked.normalize(torch.tensor([3., 4.]), 2., 0, mask=torch.tensor([True, True]))
    tensor([0.6000, 0.8000])
    """
    size = norm(input, ord, dim, keepdim=True, dtype=dtype, mask=mask)
    return _prepared("normalize", input, dtype, mask) / size.clamp_min(eps)
