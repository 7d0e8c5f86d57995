"""Adamax (Kingma and Ba, 2014, section 7)."""

from __future__ import annotations

import torch

from ._functional import adamax
from .optimizer import SingleTensor, _check, _check_betas, _check_lr, _get_value, _real, _step_tensor, _zeros

__all__ = ["Adamax", "adamax"]


class Adamax(SingleTensor):
    """Adam with the infinity norm."""

    _rule = "adamax"
    _arrays = ("exp_avg", "exp_inf")
    _options = ("lr", "weight_decay", "betas", "eps")

    def __init__(
        self,
        params,
        lr=2e-3,
        betas=(0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        _check_lr(lr)
        _check("epsilon value", eps, 0.0 <= eps)
        _check_betas(betas)
        _check("weight_decay value", weight_decay, 0.0 <= weight_decay)
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def _start(self, p, grad, state, group) -> None:
        state["step"] = _step_tensor(p, group["capturable"])
        state["exp_avg"] = _zeros(p)
        state["exp_inf"] = _zeros(p)

    def _update(self, p, grad, state, group) -> None:
        if grad.is_sparse:
            raise RuntimeError("Adamax does not support sparse gradients")
        if not state:
            self._start(p, grad, state, group)
        state["step"] += 1
        if group["weight_decay"] != 0:
            grad = grad.add(p, alpha=group["weight_decay"])
        beta1, beta2 = group["betas"]
        p, grad, mean, peak = _real(p, grad, state["exp_avg"], state["exp_inf"])
        mean.lerp_(grad, 1 - beta1)
        peak.copy_(torch.maximum(peak * beta2, grad.abs().add_(group["eps"])))
        correction = 1 - beta1 ** _get_value(state["step"])
        p.addcdiv_(mean, peak, value=-_get_value(group["lr"]) / correction)
