"""The LKJ distribution of correlation matrices, as Cholesky factors."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from . import constraints
from .beta import Beta
from .distribution import Distribution
from .utils import broadcast_all

__all__ = ["LKJCholesky"]


class LKJCholesky(Distribution):
    """Lower Cholesky factors of correlation matrices M with densities proportional to ``det(M)^(concentration - 1)``
    (Lewandowski, Kurowicka and Joe, "Generating random correlation matrices based on vines and extended onion method",
    2009).

    Args:
        dim: the number of rows, at least 2.
        concentration: 1 is uniform over correlation matrices, more prefers those near the identity.

    Raises:
        ValueError: ``dim`` is less than 2.
    """

    arg_constraints = {"concentration": constraints.positive}
    support = constraints.corr_cholesky

    def __init__(self, dim: int, concentration: Tensor | float = 1.0, validate_args: bool | None = None) -> None:
        if dim < 2:
            raise ValueError(f"Expected dim to be an integer greater than or equal to 2. Found dim={dim}.")
        self.dim = dim
        (self.concentration,) = broadcast_all(concentration)
        batch_shape = self.concentration.size()
        event_shape = torch.Size((dim, dim))
        # the onion method: the squared length of a row before its diagonal
        marginal = self.concentration + 0.5 * (self.dim - 2)
        kind = {"dtype": self.concentration.dtype, "device": self.concentration.device}
        row = torch.cat([torch.zeros(1, **kind), torch.arange(self.dim - 1, **kind)])
        self._beta = Beta(row + 0.5, marginal.unsqueeze(-1) - 0.5 * row)
        super().__init__(batch_shape, event_shape, validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> LKJCholesky:
        new = self._expand_named(LKJCholesky, batch_shape, _instance, {"concentration": 0}, dim=self.dim)
        new._beta = self._beta.expand(new._batch_shape + (self.dim,))
        return new

    def sample(self, sample_shape: Any = torch.Size()) -> Tensor:
        with torch.no_grad():
            shape = self._extended_shape(sample_shape)
            squares = self._beta.sample(sample_shape).unsqueeze(-1)
            kind = {"dtype": self.concentration.dtype, "device": self.concentration.device}
            normal = torch.randn(shape, **kind).tril(-1)
            direction = normal / normal.norm(dim=-1, keepdim=True)
            direction[..., 0, :].fill_(0.0)  # the first row has nothing before its diagonal: 0 / 0
            rows = torch.sqrt(squares) * direction
            left = torch.clamp(1 - torch.sum(rows**2, dim=-1), min=torch.finfo(rows.dtype).tiny)
            return rows + torch.diag_embed(left.sqrt())

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        diagonal = value.diagonal(dim1=-1, dim2=-2)[..., 1:]
        order = torch.arange(2, self.dim + 1, device=self.concentration.device)
        order = 2 * (self.concentration - 1).unsqueeze(-1) + self.dim - order
        unnormalised = torch.sum(order * diagonal.log(), dim=-1)
        rows = self.dim - 1
        alpha = self.concentration + 0.5 * rows
        log_volume = 0.5 * rows * math.log(math.pi) + torch.mvlgamma(alpha - 0.5, rows) - torch.lgamma(alpha) * rows
        return unnormalised - log_volume
