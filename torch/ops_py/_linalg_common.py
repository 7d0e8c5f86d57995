"""Argument checks and result types that the linear algebra functions share."""

from __future__ import annotations

import torch

from . import _numpy
from ._common import scalar_type

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from torch import Tensor

LinAlgError = torch._C._LinAlgError


def check_values(name: str, *tensors: Tensor) -> None:
    """LAPACK knows float and double, real and complex."""
    for t in tensors:
        if not (t.is_floating_point() or t.is_complex()):
            raise RuntimeError(
                f"{name}: Expected a floating point or complex tensor as input. Got {scalar_type(t.dtype)}"
            )
        if t.dtype not in (torch.float32, torch.float64, torch.complex64, torch.complex128):
            raise RuntimeError(f"{name}: Low precision dtypes not supported. Got {scalar_type(t.dtype)}")


def check_matrix(name: str, t: Tensor, argument: str = "A") -> None:
    if t.dim() < 2:
        raise RuntimeError(f"{name}: The input tensor {argument} must have at least 2 dimensions.")


def check_square(name: str, t: Tensor, argument: str = "A") -> None:
    check_matrix(name, t, argument)
    if t.shape[-1] != t.shape[-2]:
        raise RuntimeError(
            f"{name}: {argument} must be batches of square matrices, but they are {t.shape[-2]} by {t.shape[-1]} "
            "matrices"
        )


def check_same(name: str, a: Tensor, b: Tensor) -> None:
    if a.dtype != b.dtype:
        raise RuntimeError(f"{name}: Expected A and B to have the same dtype, but found A of type "
                           f"{scalar_type(a.dtype)} and B of type {scalar_type(b.dtype)} instead")  # fmt: skip


def broadcast_batches(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Both with the batch dimensions that they broadcast to."""
    batch = torch.broadcast_shapes(tuple(a.shape[:-2]), tuple(b.shape[:-2]))
    return a.expand(*batch, *a.shape[-2:]), b.expand(*batch, *b.shape[-2:])


def batches(t: Tensor) -> tuple[Any, tuple[int, ...]]:
    """The matrices one after the other as a three-dimensional array, and the batch shape."""
    shape = tuple(t.shape[:-2])
    count = 1
    for size in shape:
        count *= size
    return _numpy.array(t).reshape(count, t.shape[-2], t.shape[-1]), shape


def named(name: str, *values: Any) -> Any:
    """Results under the names of ``torch.return_types``."""
    return getattr(torch.return_types, name)(values)


def hermitian(t: Tensor) -> Tensor:
    """Conjugate transpose."""
    return t.mT.conj() if t.is_complex() else t.mT


def which_matrix(name: str, batch: tuple[int, ...], index: int) -> str:
    """The beginning of an error message about one matrix of a batch."""
    return f"{name}: (Batch element {index}): " if batch else f"{name}: "


def sum_to(t: Tensor, like: Tensor) -> Tensor:
    """Undo a broadcast of batch dimensions."""
    return t if t.shape == like.shape else t.sum_to_size(like.shape)
