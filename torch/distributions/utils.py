"""What the distributions share: parameters of one shape, attributes computed at first use, triangles as vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Number
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

__all__ = [
    "broadcast_all",
    "logits_to_probs",
    "clamp_probs",
    "probs_to_logits",
    "lazy_property",
    "tril_matrix_to_vec",
    "vec_to_tril_matrix",
]

euler_constant = 0.57721566490153286060

T = TypeVar("T", contravariant=True)
R = TypeVar("R", covariant=True)


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Tensor) or hasattr(type(value), "__torch_function__")


def broadcast_all(*values: Tensor | Number) -> tuple[Tensor, ...]:
    """Give numbers and tensors one common shape.

    Numbers become tensors of the first tensor's dtype and device, or of the default dtype where none is a tensor.

    Raises:
        ValueError: an argument is neither a number nor a tensor.

    Example::

        >>> torch.distributions.utils.broadcast_all(1, torch.zeros(2))
        (tensor([1., 1.]), tensor([0., 0.]))
    """
    if not all(_is_tensor(v) or isinstance(v, Number) for v in values):
        raise ValueError(
            "Input arguments must all be instances of Number, torch.Tensor or objects implementing __torch_function__."
        )
    if all(map(_is_tensor, values)):
        return torch.broadcast_tensors(*values)
    first = next((v for v in values if isinstance(v, Tensor)), None)
    kind = {"dtype": torch.get_default_dtype()} if first is None else {"dtype": first.dtype, "device": first.device}
    return torch.broadcast_tensors(*(v if _is_tensor(v) else torch.tensor(v, **kind) for v in values))


def _standard_normal(shape: Sequence[int], dtype: torch.dtype | None, device: Any) -> Tensor:
    """Draws of N(0, 1)."""
    return torch.empty(shape, dtype=dtype, device=device).normal_()


def _sum_rightmost(value: Tensor, dim: int) -> Tensor:
    """Sum over the last ``dim`` dimensions; with 0 the value itself."""
    if dim == 0:
        return value
    return value.reshape(value.shape[:-dim] + (-1,)).sum(-1)


def logits_to_probs(logits: Tensor, is_binary: bool = False) -> Tensor:
    """Probabilities of logits: the sigmoid if binary, else the softmax over the last dimension."""
    return torch.sigmoid(logits) if is_binary else torch.softmax(logits, -1)


def clamp_probs(probs: Tensor) -> Tensor:
    """Keep probabilities one rounding error away from 0 and 1, so that their logarithms are finite."""
    eps = torch.finfo(probs.dtype).eps
    return probs.clamp(min=eps, max=1 - eps)


def probs_to_logits(probs: Tensor, is_binary: bool = False) -> Tensor:
    """Logits of clamped probabilities: log odds if binary, else logarithms."""
    p = clamp_probs(probs)
    return torch.log(p) - torch.log1p(-p) if is_binary else torch.log(p)


class lazy_property(Generic[T, R]):  # noqa: N801
    """A method as an attribute that is computed, with gradients enabled, when it is first read, and then kept."""

    def __init__(self, wrapped: Callable[[T], R]) -> None:
        self.wrapped = wrapped
        self.__doc__ = wrapped.__doc__
        self.__name__ = wrapped.__name__

    def __get__(self, instance: T | None, obj_type: Any = None) -> Any:
        if instance is None:
            return _lazy_property_and_property(self.wrapped)
        with torch.enable_grad():
            value = self.wrapped(instance)
        # not a data descriptor: the instance's own entry hides it from now on
        setattr(instance, self.__name__, value)
        return value


class _lazy_property_and_property(lazy_property[T, R], property):  # noqa: N801
    """What a class shows for a lazy property, so that tools which look for properties find one."""

    def __init__(self, wrapped: Callable[[T], R]) -> None:
        property.__init__(self, wrapped)


def tril_matrix_to_vec(mat: Tensor, diag: int = 0) -> Tensor:
    """The entries on and below a diagonal, row by row: ``(..., n, n)`` to ``(..., k)``.

    Raises:
        ValueError: the matrix has no such diagonal.
    """
    n = mat.shape[-1]
    if diag < -n or diag >= n:
        raise ValueError(f"diag ({diag}) provided is outside [{-n}, {n - 1}].")
    rows, columns = torch.tril_indices(n, n, diag, device=mat.device)
    return mat[..., rows, columns]


def vec_to_tril_matrix(vec: Tensor, diag: int = 0) -> Tensor:
    """The inverse of :func:`tril_matrix_to_vec`; what is above the diagonal is 0.

    For k entries, the number of rows n solves k = (n + d)(n + d + 1) / 2 with a diagonal d <= 0, and
    k = n (n + 1 + 2 d) / 2 - d (d + 1) / 2 with one above.
    """
    k = vec.shape[-1]
    n = (-(1 + 2 * diag) + ((1 + 2 * diag) ** 2 + 8 * k + 4 * abs(diag) * (diag + 1)) ** 0.5) / 2
    n = int(round(n, 14))
    mat = torch.zeros(vec.shape[:-1] + (n, n), dtype=vec.dtype, device=vec.device)
    rows, columns = torch.tril_indices(n, n, diag, device=vec.device)
    mat[..., rows, columns] = vec
    return mat


def _is_number(*values: Any) -> bool:
    """Whether all are numbers: then a distribution has no batch."""
    return all(isinstance(v, Number) for v in values)


def _all_true(flags: Tensor) -> bool:
    """Whether all are true; of an example of ``vmap``, in the whole batch."""
    while (parts := torch._C._vmap_parts(flags)) is not None:
        flags = parts[0]
    return bool(flags.all())
