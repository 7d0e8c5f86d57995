"""Tensors with masks, and reductions and normalisations of the elements that a mask selects."""

from __future__ import annotations

from .operations import (
    amax,
    amin,
    argmax,
    argmin,
    cumprod,
    cumsum,
    log_softmax,
    logaddexp,
    logsumexp,
    mean,
    median,
    norm,
    normalize,
    prod,
    softmax,
    softmin,
    std,
    sum,
    var,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from torch import Tensor

    from ._masked_tensor import MaskedTensor


def __getattr__(name: str) -> Any:
    if name == "MaskedTensor":
        from ._masked_tensor import MaskedTensor

        return MaskedTensor
    raise AttributeError(f"module 'torch.masked' has no attribute '{name}'")


def masked_tensor(data: Tensor, mask: Tensor, requires_grad: bool = False) -> MaskedTensor:
    """Wrap data and a mask of the same shape, without history.

    Args:
        data: a dense tensor of one of the dtypes float16 to float64, bool and int8 to int64.
        mask: bool, True where an element is there.
        requires_grad: whether gradients are wanted.

    Raises:
        TypeError: for anything else.
        ValueError: if the shapes differ.

    >>> torch.masked.masked_tensor(torch.tensor([1, 2]), torch.tensor([True, False]))
    MaskedTensor(
      [1,       --]
    )
    """
    from ._masked_tensor import MaskedTensor

    return MaskedTensor(data, mask, requires_grad)


def as_masked_tensor(data: Tensor, mask: Tensor) -> MaskedTensor:
    """Wrap data and a mask so that gradients flow back to the data, where the mask is True.

    Takes and raises what ``masked_tensor`` does.

    >>> x = torch.tensor([0., 4.], requires_grad=True)
    >>> torch.masked.as_masked_tensor(x, x > 0).sqrt().sum().backward()
    >>> x.grad
    tensor([0.0000, 0.2500])
    """
    from ._masked_tensor import tied

    return tied(data, mask)


def is_masked_tensor(obj: Any, /) -> bool:
    """Whether ``obj`` is a masked tensor.

    >>> torch.masked.is_masked_tensor(torch.ones(1))
    False
    """
    from ._masked_tensor import MaskedTensor

    return isinstance(obj, MaskedTensor)


__all__ = [
    "MaskedTensor",
    "amax",
    "amin",
    "argmax",
    "argmin",
    "as_masked_tensor",
    "cumprod",
    "cumsum",
    "is_masked_tensor",
    "log_softmax",
    "logaddexp",
    "logsumexp",
    "masked_tensor",
    "mean",
    "median",
    "norm",
    "normalize",
    "prod",
    "softmax",
    "softmin",
    "std",
    "sum",
    "var",
]
