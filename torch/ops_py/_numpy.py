"""The bridge to NumPy, for LAPACK and FFT: arrays share a tensor's memory, results become tensors without a copy."""

from __future__ import annotations

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from torch import Tensor


def numpy(purpose: str) -> Any:
    """NumPy, loaded at first use."""
    try:
        import numpy
    except ImportError as error:
        raise ImportError(f"{purpose} needs NumPy: pip install numpy") from error
    return numpy


def array(t: Tensor) -> Any:
    """The tensor's elements as an array, without its history."""
    values = t.detach().resolve_conj().resolve_neg()
    # A view without elements may start beyond its memory.
    return (values if values.numel() else torch.zeros(values.shape, dtype=values.dtype)).numpy()


def tensor(values: Any, dtype: torch.dtype | None = None) -> Tensor:
    """An array as a tensor with rows in order; ``dtype`` if a routine may have widened it."""
    import numpy

    values = numpy.require(values, requirements=("C", "W"))
    if any(step < 0 for step in values.strides):
        # Arrays of at most one element count as contiguous whatever their steps are.
        values = values.copy()
    result = torch.from_numpy(values)
    return result if dtype is None or result.dtype == dtype else result.to(dtype)
