"""Averaged stochastic gradient descent (Polyak and Juditsky, 1992)."""

from __future__ import annotations

import torch

from ._functional import asgd
from .optimizer import SingleTensor, _check, _check_lr, _get_value, _real, _scalar_dtype, _step_tensor, _zeros

__all__ = ["ASGD", "asgd"]


class ASGD(SingleTensor):
    """Gradient descent that also keeps the average of the parameters."""

    _rule = "asgd"
    _arrays = ("ax",)
    _own = ("eta", "mu")
    _options = ("lr", "weight_decay", "lambd", "alpha", "t0")

    _captured = ("params, mus, etas, and state_steps",) * 2

    def __init__(
        self,
        params,
        lr=1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        _check_lr(lr)
        _check("weight_decay value", weight_decay, 0.0 <= weight_decay)
        defaults = {
            "lr": lr,
            "lambd": lambd,
            "alpha": alpha,
            "t0": t0,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def _start(self, p, grad, state, group) -> None:
        lr = _get_value(group["lr"])
        state["step"] = _step_tensor(p, on_device=True)
        state["eta"] = torch.as_tensor(lr, device=p.device, dtype=_scalar_dtype()).clone().detach()
        state["mu"] = torch.ones((), dtype=_scalar_dtype(), device=p.device)
        state["ax"] = _zeros(p)

    def _update(self, p, grad, state, group) -> None:
        if grad.is_sparse:
            raise RuntimeError("ASGD does not support sparse gradients")
        lr = _get_value(group["lr"])
        if not state:
            self._start(p, grad, state, group)
        state["step"] += 1
        step = _get_value(state["step"])
        p, grad, average = _real(p, grad, state["ax"])
        if group["weight_decay"] != 0:
            grad = grad.add(p, alpha=group["weight_decay"])
        eta, mu = _get_value(state["eta"]), _get_value(state["mu"])
        p.mul_(1 - group["lambd"] * eta)
        p.add_(grad, alpha=-eta)
        if mu == 1:
            average.copy_(p)
        else:
            average.add_(p.sub(average).mul_(mu))
        state["eta"].copy_(torch.as_tensor(lr / ((1 + group["lambd"] * lr * step) ** group["alpha"])))
        state["mu"].copy_(torch.as_tensor(1 / max(1, step - group["t0"])))
