"""Distributions that are given either probabilities or logits."""

from __future__ import annotations

from numbers import Number
from typing import Any

import torch
from torch import Tensor

from .distribution import Distribution
from .utils import broadcast_all, lazy_property, logits_to_probs, probs_to_logits


def need_one(probs: Any, logits: Any) -> None:
    """Raise ValueError unless exactly one of the two is given."""
    if (probs is None) == (logits is None):
        raise ValueError("Either `probs` or `logits` must be specified, but not both.")


class BinaryParameter(Distribution):
    """A distribution with the probability of success, or its log odds, as a parameter; the other one follows from it.

    The one that was given is an attribute, and ``_param``.
    """

    _param: Tensor

    def _take(self, probs: Any, logits: Any) -> torch.Size:
        """Keep the one that is given and return the batch shape."""
        need_one(probs, logits)
        given, name = (probs, "probs") if probs is not None else (logits, "logits")
        (value,) = broadcast_all(given)
        setattr(self, name, value)
        self._param = value
        return torch.Size() if isinstance(given, Number) else value.size()

    def _new(self, *args: Any, **kwargs: Any) -> Tensor:
        return self._param.new(*args, **kwargs)

    @lazy_property
    def logits(self) -> Tensor:
        return probs_to_logits(self.probs, is_binary=True)

    @lazy_property
    def probs(self) -> Tensor:
        return logits_to_probs(self.logits, is_binary=True)

    @property
    def param_shape(self) -> torch.Size:
        """The shape of the parameter."""
        return self._param.size()

    def _expand_binary(self, cls: type, batch_shape: Any, _instance: Any, *names: str, **others: Any) -> Any:
        """Expand the parameter with what has been derived from it, and other parameters by name."""
        new = self._expand_named(
            cls, batch_shape, _instance, dict.fromkeys((*names, "probs", "logits"), 0), **others
        )
        new._param = new.probs if self._param is self.__dict__.get("probs") else new.logits
        return new
