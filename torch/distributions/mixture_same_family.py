"""Mixtures of distributions of one family."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from . import constraints
from .categorical import Categorical
from .distribution import Distribution

__all__ = ["MixtureSameFamily"]


class MixtureSameFamily(Distribution):
    """Draws of one of k components, which are the last batch dimension of a distribution.

    Args:
        mixture_distribution: how probable each component is; its batch shape broadcasts with the components'.
        component_distribution: the components, with the batch shape ``(..., k)``.

    Raises:
        ValueError: one has a wrong type, or the shapes don't fit.

    Example::

        >>> D = torch.distributions
        >>> parts = D.Normal(torch.tensor([-1.0, 1.0]), 1.0)
        >>> D.MixtureSameFamily(D.Categorical(torch.ones(2)), parts).mean
        tensor(0.)
    """

    arg_constraints: dict[str, constraints.Constraint] = {}
    has_rsample = False

    def __init__(
        self,
        mixture_distribution: Categorical,
        component_distribution: Distribution,
        validate_args: bool | None = None,
    ) -> None:
        self._mixture_distribution = mixture_distribution
        self._component_distribution = component_distribution
        if not isinstance(mixture_distribution, Categorical):
            raise ValueError(
                " The Mixture distribution needs to be an  instance of torch.distributions.Categorical"
            )
        if not isinstance(component_distribution, Distribution):
            raise ValueError(
                "The Component distribution needs to be an instance of torch.distributions.Distribution"
            )
        mixing, batch = mixture_distribution.batch_shape, component_distribution.batch_shape[:-1]
        for a, b in zip(reversed(mixing), reversed(batch), strict=False):
            if a != 1 and b != 1 and a != b:
                raise ValueError(
                    f"`mixture_distribution.batch_shape` ({mixing}) is not compatible with "
                    f"`component_distribution.batch_shape`({batch})"
                )
        k, there = mixture_distribution.logits.shape[-1], component_distribution.batch_shape[-1]
        if k != there:
            raise ValueError(
                f"`mixture_distribution component` ({k}) does not equal `component_distribution.batch_shape[-1]` "
                f"({there})"
            )
        self._num_component = k
        event_shape = component_distribution.event_shape
        self._event_ndims = len(event_shape)
        super().__init__(batch_shape=batch, event_shape=event_shape, validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> MixtureSameFamily:
        batch_shape = torch.Size(batch_shape)
        return self._expand_named(
            MixtureSameFamily,
            batch_shape,
            _instance,
            {},
            _component_distribution=self._component_distribution.expand(batch_shape + (self._num_component,)),
            _mixture_distribution=self._mixture_distribution.expand(batch_shape),
            _num_component=self._num_component,
            _event_ndims=self._event_ndims,
        )

    @constraints.dependent_property
    def support(self) -> constraints.Constraint:
        return constraints.MixtureSameFamilyConstraint(self._component_distribution.support)

    @property
    def mixture_distribution(self) -> Categorical:
        return self._mixture_distribution

    @property
    def component_distribution(self) -> Distribution:
        return self._component_distribution

    def _weights(self) -> Tensor:
        return self._pad_mixture_dimensions(self.mixture_distribution.probs)

    @property
    def mean(self) -> Tensor:
        return torch.sum(self._weights() * self.component_distribution.mean, dim=-1 - self._event_ndims)

    @property
    def variance(self) -> Tensor:
        """The mean variance of the components and the variance of their means."""
        weights, dim = self._weights(), -1 - self._event_ndims
        within = torch.sum(weights * self.component_distribution.variance, dim=dim)
        distance = self.component_distribution.mean - self._pad(self.mean)
        return within + torch.sum(weights * distance.pow(2.0), dim=dim)

    def cdf(self, x: Tensor) -> Tensor:
        parts = self.component_distribution.cdf(self._pad(x))
        return torch.sum(parts * self.mixture_distribution.probs, dim=-1)

    def log_prob(self, x: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(x)
        parts = self.component_distribution.log_prob(self._pad(x))
        weights = torch.log_softmax(self.mixture_distribution.logits, dim=-1)
        return torch.logsumexp(parts + weights, dim=-1)

    def sample(self, sample_shape: Any = torch.Size()) -> Tensor:
        with torch.no_grad():
            dim = len(sample_shape) + len(self.batch_shape)
            chosen = self.mixture_distribution.sample(sample_shape)
            parts = self.component_distribution.sample(sample_shape)
            index = chosen.reshape(chosen.shape + (1,) * (self._event_ndims + 1))
            return parts.gather(dim, index.expand(chosen.shape + (1,) + self._event_shape)).squeeze(dim)

    def _pad(self, x: Tensor) -> Tensor:
        """A dimension for the components."""
        return x.unsqueeze(-1 - self._event_ndims)

    def _pad_mixture_dimensions(self, x: Tensor) -> Tensor:
        """Weights as wide as the components' means."""
        missing = len(self.batch_shape) - len(self.mixture_distribution.batch_shape)
        shape = x.shape[:-1]
        if shape:
            shape = (1,) * missing + tuple(shape)
        return x.reshape(tuple(shape) + x.shape[-1:] + (1,) * self._event_ndims)

    def __repr__(self) -> str:
        return f"MixtureSameFamily(\n  {self.mixture_distribution},\n  {self.component_distribution})"
