"""Resilient backpropagation (Riedmiller and Braun, 1993)."""

from __future__ import annotations

import torch

from ._functional import rprop
from .optimizer import SingleTensor, _check_lr, _get_value, _real, _step_tensor, _zeros

__all__ = ["Rprop", "rprop"]


class Rprop(SingleTensor):
    """Steps by the sign of the gradient; the step grows while the sign stays."""

    _rule = "rprop"
    _arrays = ("prev", "step_size")
    _options = ("lr", "etas", "step_sizes")

    _captured_by_xla = (True, True)

    def __init__(
        self,
        params,
        lr=1e-2,
        etas=(0.5, 1.2),
        step_sizes=(1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        _check_lr(lr)
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ValueError(f"Invalid eta values: {etas[0]}, {etas[1]}")
        defaults = {
            "lr": lr,
            "etas": etas,
            "step_sizes": step_sizes,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def _start(self, p, grad, state, group) -> None:
        state["step"] = _step_tensor(p, group["capturable"])
        state["prev"] = _zeros(p)
        lr = _get_value(group["lr"])
        # A complex parameter is stepped in both of its parts.
        state["step_size"] = torch.full_like(grad, complex(lr, lr) if p.dtype.is_complex else lr)

    def _update(self, p, grad, state, group) -> None:
        if grad.is_sparse:
            raise RuntimeError("Rprop does not support sparse gradients")
        if not state:
            self._start(p, grad, state, group)
        state["step"] += 1
        low, high = group["etas"]
        smallest, largest = group["step_sizes"]
        p, grad, prev, size = _real(p, grad, state["prev"], state["step_size"])
        sign = grad.mul(prev).sign()
        factor = torch.ones_like(size).masked_fill(sign > 0, high).masked_fill(sign < 0, low)
        size.mul_(factor).clamp_(smallest, largest)
        grad = torch.where(sign < 0, torch.zeros_like(grad), grad)
        p.addcmul_(grad.sign(), size, value=-1)
        prev.copy_(grad)
