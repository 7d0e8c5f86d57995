"""Adadelta (Zeiler, 2012)."""

from __future__ import annotations

from ._functional import adadelta
from .optimizer import SingleTensor, _check, _check_lr, _get_value, _real, _step_tensor, _zeros

__all__ = ["Adadelta", "adadelta"]


class Adadelta(SingleTensor):
    """Scales steps by the ratio of the running means of updates and of gradients."""

    _rule = "adadelta"
    _arrays = ("square_avg", "acc_delta")
    _options = ("lr", "weight_decay", "rho", "eps")

    _captured_by_xla = (False, False)

    def __init__(
        self,
        params,
        lr=1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        _check_lr(lr)
        _check("rho value", rho, 0.0 <= rho <= 1.0)
        _check("epsilon value", eps, 0.0 <= eps)
        _check("weight_decay value", weight_decay, 0.0 <= weight_decay)
        defaults = {
            "lr": lr,
            "rho": rho,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "capturable": capturable,
            "foreach": foreach,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def _start(self, p, grad, state, group) -> None:
        state["step"] = _step_tensor(p, group["capturable"])
        state["square_avg"] = _zeros(p)
        state["acc_delta"] = _zeros(p)

    def _update(self, p, grad, state, group) -> None:
        if grad.is_sparse:
            raise RuntimeError("Adadelta does not support sparse gradients")
        if not state:
            self._start(p, grad, state, group)
        state["step"] += 1
        if group["weight_decay"] != 0:
            grad = grad.add(p, alpha=group["weight_decay"])
        rho, eps = group["rho"], group["eps"]
        p, grad, square, moved = _real(p, grad, state["square_avg"], state["acc_delta"])
        square.mul_(rho).addcmul_(grad, grad, value=1 - rho)
        delta = moved.add(eps).sqrt_().div_(square.add(eps).sqrt_()).mul_(grad)
        moved.mul_(rho).addcmul_(delta, delta, value=1 - rho)
        p.add_(delta, alpha=-_get_value(group["lr"]))
