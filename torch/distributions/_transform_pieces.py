"""Transforms of the pieces of a tensor."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from functools import reduce

import torch
from torch import Tensor

from . import constraints
from ._transform_base import Transform
from .constraints import Constraint
from .utils import _sum_rightmost, lazy_property


class _Several(Transform):
    """Transforms of pieces along a dimension."""

    transforms: list[Transform]
    dim: int

    def _take(self, tseq: Iterable[Transform], cache_size: int) -> list[Transform]:
        transforms = list(tseq)
        if not all(isinstance(t, Transform) for t in transforms):
            raise AssertionError("All elements of tseq must be Transform instances")
        return [t.with_cache(cache_size) for t in transforms] if cache_size else transforms

    def _need_dim(self, x: Tensor) -> None:
        if not -x.dim() <= self.dim < x.dim():
            raise AssertionError(f"dim {self.dim} out of range for tensor with {x.dim()} dimensions")

    @property
    def bijective(self) -> bool:  # type: ignore[override]
        return all(t.bijective for t in self.transforms)


class CatTransform(_Several):
    """Transforms of pieces of given lengths along a dimension, in the manner of :func:`torch.cat`.

    Args:
        tseq: the transforms.
        dim: the dimension.
        lengths: how much of the dimension each one gets; 1 by default.
        cache_size: 1 gives a cache to each transform.

    Raises:
        AssertionError: a part is no transform, or sizes don't fit.
    """

    def __init__(
        self, tseq: Sequence[Transform], dim: int = 0, lengths: Sequence[int] | None = None, cache_size: int = 0
    ) -> None:
        parts = self._take(tseq, cache_size)
        super().__init__(cache_size=cache_size)
        self.transforms = parts
        self.lengths = [1] * len(parts) if lengths is None else list(lengths)
        if len(self.lengths) != len(parts):
            raise AssertionError(f"lengths ({len(self.lengths)}) must match transforms ({len(parts)})")
        self.dim = dim

    @lazy_property
    def event_dim(self) -> int:
        return max(t.event_dim for t in self.transforms)

    @lazy_property
    def length(self) -> int:
        """The size of the dimension."""
        return sum(self.lengths)

    def with_cache(self, cache_size: int = 1) -> Transform:
        if self._cache_size == cache_size:
            return self
        return CatTransform(self.transforms, self.dim, self.lengths, cache_size)

    def _pieces(self, x: Tensor, name: str = "x") -> tuple[Tensor, ...]:
        self._need_dim(x)
        if x.size(self.dim) != self.length:
            raise AssertionError(f"{name}.size({self.dim}) = {x.size(self.dim)} must equal length {self.length}")
        return x.split(self.lengths, self.dim)

    def _call(self, x: Tensor) -> Tensor:
        pieces = self._pieces(x)
        return torch.cat([t(piece) for t, piece in zip(self.transforms, pieces, strict=True)], dim=self.dim)

    def _inverse(self, y: Tensor) -> Tensor:
        pieces = self._pieces(y, "y")
        return torch.cat([t.inv(piece) for t, piece in zip(self.transforms, pieces, strict=True)], dim=self.dim)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        parts = []
        for t, a, b in zip(self.transforms, self._pieces(x), self._pieces(y, "y"), strict=True):
            part = t.log_abs_det_jacobian(a, b)
            parts.append(_sum_rightmost(part, self.event_dim - t.event_dim) if t.event_dim < self.event_dim else part)
        dim = self.dim - x.dim() if self.dim >= 0 else self.dim
        dim += self.event_dim
        # inside the values the pieces add up, outside of them they lie side by side
        return torch.cat(parts, dim=dim) if dim < 0 else reduce(operator.add, parts)

    @constraints.dependent_property
    def domain(self) -> Constraint:
        return constraints.cat([t.domain for t in self.transforms], self.dim, self.lengths)

    @constraints.dependent_property
    def codomain(self) -> Constraint:
        return constraints.cat([t.codomain for t in self.transforms], self.dim, self.lengths)


class StackTransform(_Several):
    """A transform for each slice along a dimension, in the manner of :func:`torch.stack`.

    Args:
        tseq: the transforms.
        dim: the dimension, of as many slices.
        cache_size: 1 gives a cache to each transform.

    Raises:
        AssertionError: a part is no transform, or sizes don't fit.
    """

    def __init__(self, tseq: Sequence[Transform], dim: int = 0, cache_size: int = 0) -> None:
        parts = self._take(tseq, cache_size)
        super().__init__(cache_size=cache_size)
        self.transforms = parts
        self.dim = dim

    def with_cache(self, cache_size: int = 1) -> Transform:
        return self if self._cache_size == cache_size else StackTransform(self.transforms, self.dim, cache_size)

    def _slices(self, x: Tensor, name: str = "x") -> list[Tensor]:
        self._need_dim(x)
        if x.size(self.dim) != len(self.transforms):
            raise AssertionError(
                f"{name}.size({self.dim}) = {x.size(self.dim)} must equal len(transforms) {len(self.transforms)}"
            )
        return [x.select(self.dim, i) for i in range(x.size(self.dim))]

    def _each(self, function: Callable[..., Tensor], *tensors: Sequence[Tensor]) -> Tensor:
        return torch.stack([function(*row) for row in zip(self.transforms, *tensors, strict=True)], dim=self.dim)

    def _call(self, x: Tensor) -> Tensor:
        return self._each(lambda t, v: t(v), self._slices(x))

    def _inverse(self, y: Tensor) -> Tensor:
        return self._each(lambda t, v: t.inv(v), self._slices(y, "y"))

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return self._each(lambda t, a, b: t.log_abs_det_jacobian(a, b), self._slices(x), self._slices(y, "y"))

    @constraints.dependent_property
    def domain(self) -> Constraint:
        return constraints.stack([t.domain for t in self.transforms], self.dim)

    @constraints.dependent_property
    def codomain(self) -> Constraint:
        return constraints.stack([t.codomain for t in self.transforms], self.dim)
