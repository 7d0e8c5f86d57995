"""NAdam: Adam with Nesterov momentum (Dozat, 2016)."""

from __future__ import annotations

import torch

from ._functional import nadam
from .optimizer import (
    SingleTensor,
    _check,
    _check_betas,
    _check_lr,
    _get_value,
    _real,
    _scalar_dtype,
    _step_tensor,
    _zeros,
)

__all__ = ["NAdam", "nadam"]


class NAdam(SingleTensor):
    """Adam that looks ahead by its momentum."""

    _rule = "nadam"
    _arrays = ("exp_avg", "exp_avg_sq")
    _own = ("mu_product",)
    _options = ("lr", "weight_decay", "betas", "eps", "momentum_decay")

    _captured = ("params, mu_products and state_steps", "params, mu_products, and state_steps")

    def __init__(
        self,
        params,
        lr=2e-3,
        betas=(0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        _check_lr(lr)
        _check("epsilon value", eps, 0.0 <= eps)
        _check_betas(betas)
        _check("weight_decay value", weight_decay, 0.0 <= weight_decay)
        _check("momentum_decay value", momentum_decay, 0.0 <= momentum_decay)
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def _start(self, p, grad, state, group) -> None:
        state["step"] = _step_tensor(p, group["capturable"])
        state["mu_product"] = torch.ones((), dtype=_scalar_dtype())
        state["exp_avg"] = _zeros(p)
        state["exp_avg_sq"] = _zeros(p)

    def _update(self, p, grad, state, group) -> None:
        if grad.is_sparse:
            raise RuntimeError("NAdam does not support sparse gradients")
        if not state:
            self._start(p, grad, state, group)
        state["step"] += 1
        step = _get_value(state["step"])
        lr, (beta1, beta2) = _get_value(group["lr"]), group["betas"]
        if group["weight_decay"] != 0:
            if group["decoupled_weight_decay"]:
                p.mul_(1 - lr * group["weight_decay"])
            else:
                grad = grad.add(p, alpha=group["weight_decay"])
        p, grad, mean, square = _real(p, grad, state["exp_avg"], state["exp_avg_sq"])
        mu = beta1 * (1.0 - 0.5 * 0.96 ** (step * group["momentum_decay"]))
        mu_next = beta1 * (1.0 - 0.5 * 0.96 ** ((step + 1) * group["momentum_decay"]))
        state["mu_product"] *= mu
        mu_product = _get_value(state["mu_product"])
        mean.lerp_(grad, 1 - beta1)
        square.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        denominator = square.div(1 - beta2**step).sqrt().add(group["eps"])
        p.addcdiv_(grad, denominator, value=-lr * (1.0 - mu) / (1.0 - mu_product))
        p.addcdiv_(mean, denominator, value=-lr * mu_next / (1.0 - mu_product * mu_next))
