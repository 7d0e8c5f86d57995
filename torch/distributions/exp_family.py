"""Exponential families."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .distribution import Distribution

__all__ = ["ExponentialFamily"]


class ExponentialFamily(Distribution):
    """Distributions with densities ``h(x) exp(<theta, t(x)> - A(theta))``.

    A subclass says what the natural parameters theta, the log normalizer A and the mean of ``log h`` are; entropy and
    divergence follow from them, since the gradient of A is the mean of t (Nielsen and Nock, "Entropies and
    cross-entropies of exponential families", ICIP 2010).
    """

    @property
    def _natural_params(self) -> tuple[Tensor, ...]:
        """theta."""
        raise NotImplementedError

    def _log_normalizer(self, *natural_params: Tensor) -> Tensor:
        """A(theta)."""
        raise NotImplementedError

    @property
    def _mean_carrier_measure(self) -> float:
        """The mean of log h(x)."""
        raise NotImplementedError

    def entropy(self) -> Tensor:
        """``A(theta) - <theta, grad A(theta)>`` less the mean of ``log h``."""
        carrier = self._mean_carrier_measure
        theta = [p.detach().requires_grad_() for p in self._natural_params]
        normalizer = self._log_normalizer(*theta)
        gradients = torch.autograd.grad(normalizer.sum(), theta, create_graph=True)
        result: Any = normalizer - carrier
        for parameter, gradient in zip(theta, gradients, strict=True):
            result = result - (parameter * gradient).reshape(self._batch_shape + (-1,)).sum(-1)
        return result
