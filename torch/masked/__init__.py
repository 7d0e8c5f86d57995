"""Reductions and normalisations of the elements that a mask selects."""

from __future__ import annotations

from torch._missing import missing_class, missing_function

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

_REASON = "tensors do not carry masks; pass mask= to the functions of torch.masked"
MaskedTensor = missing_class("torch.masked.MaskedTensor", _REASON)
as_masked_tensor = missing_function("torch.masked.as_masked_tensor", _REASON)
masked_tensor = missing_function("torch.masked.masked_tensor", _REASON)


def is_masked_tensor(obj: Any, /) -> bool:
    """Whether ``obj`` is a masked tensor: there are none."""
    return False


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
