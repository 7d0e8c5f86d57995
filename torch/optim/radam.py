"""RAdam: Adam with a rectified learning rate (Liu et al., 2019)."""

from __future__ import annotations

from ._functional import radam
from .optimizer import SingleTensor, _check, _check_betas, _check_lr, _get_value, _real, _step_tensor, _zeros

__all__ = ["RAdam", "radam"]


class RAdam(SingleTensor):
    """Adam that trusts its second moment only once enough gradients were seen."""

    _rule = "radam"
    _arrays = ("exp_avg", "exp_avg_sq")
    _options = ("lr", "weight_decay", "betas", "eps")

    def __init__(
        self,
        params,
        lr=1e-3,
        betas=(0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
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
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "decoupled_weight_decay": decoupled_weight_decay,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def _start(self, p, grad, state, group) -> None:
        state["step"] = _step_tensor(p, group["capturable"])
        state["exp_avg"] = _zeros(p)
        state["exp_avg_sq"] = _zeros(p)

    def _update(self, p, grad, state, group) -> None:
        if grad.is_sparse:
            raise RuntimeError("RAdam does not support sparse gradients")
        if not state:
            self._start(p, grad, state, group)
        state["step"] += 1
        step = _get_value(state["step"])
        lr = group["lr"] if group["differentiable"] else _get_value(group["lr"])
        beta1, beta2 = group["betas"]
        if group["weight_decay"] != 0:
            if group["decoupled_weight_decay"]:
                p.mul_(1 - lr * group["weight_decay"])
            else:
                grad = grad.add(p, alpha=group["weight_decay"])
        p, grad, mean, square = _real(p, grad, state["exp_avg"], state["exp_avg_sq"])
        mean.lerp_(grad, 1 - beta1)
        square.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        correction1, correction2 = 1 - beta1**step, 1 - beta2**step
        update = mean / correction1
        rho_inf = 2 / (1 - beta2) - 1
        rho = rho_inf - 2 * step * (beta2**step) / correction2
        if rho > 5.0:
            rectifier = ((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho)) ** 0.5
            root = square.sqrt().add(group["eps"])
            p.add_(update * lr * (correction2**0.5 / root) * rectifier, alpha=-1.0)
        else:
            p.add_(update * lr, alpha=-1.0)
