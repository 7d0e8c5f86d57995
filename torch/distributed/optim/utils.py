"""Optimizers that are given their gradients."""

from __future__ import annotations

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["as_functional_optim"]


class _GivenGradients:
    """An optimizer's ``step(gradients)``: one for each parameter, or None."""

    def __init__(self, params: list[Any], optim_cls: type, **settings: Any) -> None:
        self._params = list(params)
        self._inner = optim_cls(self._params, **settings)
        self.param_group = self._inner.param_groups[0]

    @property
    def state(self) -> Any:
        return self._inner.state

    def step(self, gradients: list[Any]) -> None:
        """Step by these gradients; the parameters' own are left as they are."""
        if len(gradients) != len(self._params):
            raise ValueError(
                "the gradients passed in does not equal to the size of the parameters!"
                f"Params length: {len(self._params)}. Gradients length: {len(gradients)}"
            )
        kept = [param.grad for param in self._params]
        try:
            for param, grad in zip(self._params, gradients, strict=True):
                param.grad = grad
            self._inner.step()
        finally:
            for param, grad in zip(self._params, kept, strict=True):
                param.grad = grad


def as_functional_optim(optim_cls: type, *args: Any, **kwargs: Any) -> Any:
    """An optimizer of a class of ``torch.optim`` whose ``step`` takes the gradients.

    Raises:
        ValueError: it is none of those.
    """
    if not issubclass(optim_cls, torch.optim.Optimizer):
        raise ValueError(f"Optimizer {optim_cls} does not have a functional counterpart!")
    return _GivenGradients(*args, optim_cls=optim_cls, **kwargs)
