"""The multinomial distribution."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from . import constraints
from .binomial import Binomial
from .categorical import Categorical
from .distribution import Distribution
from .utils import broadcast_all

__all__ = ["Multinomial"]


class Multinomial(Distribution):
    """How often each of k categories comes up in a number of draws.

    Args:
        total_count: the number of draws, one for the whole batch.
        probs: weights ``(..., k)``, see :class:`Categorical`.
        logits: log weights ``(..., k)``; exactly one of the two is given.

    Raises:
        NotImplementedError: ``total_count`` is no int.
    """

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}

    def __init__(
        self,
        total_count: int = 1,
        probs: Tensor | None = None,
        logits: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        if not isinstance(total_count, int):
            raise NotImplementedError("inhomogeneous total_count is not supported")
        self.total_count = total_count
        self._categorical = Categorical(probs=probs, logits=logits)
        self._binomial = Binomial(total_count=total_count, probs=self.probs)
        shape = self._categorical.param_shape
        super().__init__(shape[:-1], shape[-1:], validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Multinomial:
        return self._expand_named(
            Multinomial,
            batch_shape,
            _instance,
            {},
            total_count=self.total_count,
            _categorical=self._categorical.expand(batch_shape),
            _binomial=self._binomial.expand(torch.Size(batch_shape) + self._event_shape),
        )

    def _new(self, *args: Any, **kwargs: Any) -> Tensor:
        return self._categorical._new(*args, **kwargs)

    @constraints.dependent_property(is_discrete=True, event_dim=1)
    def support(self) -> constraints.Constraint:
        return constraints.multinomial(self.total_count)

    @property
    def mean(self) -> Tensor:
        return self.probs * self.total_count

    @property
    def variance(self) -> Tensor:
        return self.total_count * self.probs * (1 - self.probs)

    @property
    def logits(self) -> Tensor:
        return self._categorical.logits

    @property
    def probs(self) -> Tensor:
        return self._categorical.probs

    @property
    def param_shape(self) -> torch.Size:
        """The shape of the parameter."""
        return self._categorical.param_shape

    def sample(self, sample_shape: Any = torch.Size()) -> Tensor:
        sample_shape = torch.Size(sample_shape)
        places = self._categorical.sample(torch.Size((self.total_count,)) + sample_shape)
        places = places.permute(*range(1, places.dim()), 0)
        counts = places.new(self._extended_shape(sample_shape)).zero_()
        counts.scatter_add_(-1, places, torch.ones_like(places))
        return counts.type_as(self.probs)

    def entropy(self) -> Tensor:
        categories = self.total_count * self._categorical.entropy() - math.lgamma(self.total_count + 1)
        # the mean of log k! of each category's count, which is binomial
        counts = self._binomial.enumerate_support(expand=False)[1:]
        weights = torch.exp(self._binomial.log_prob(counts))
        return categories + (weights * torch.lgamma(counts + 1)).sum([0, -1])

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        logits, value = broadcast_all(self.logits, value)
        orders = torch.lgamma(value.sum(-1) + 1) - torch.lgamma(value + 1).sum(-1)
        # nothing drawn of an impossible category is no surprise
        logits = logits.masked_fill((value == 0) & (logits == -torch.inf), 0)
        return orders + (logits * value).sum(-1)
