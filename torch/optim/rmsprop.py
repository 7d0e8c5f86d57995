"""RMSprop (Hinton, 2012; centred after Graves, 2013)."""

from __future__ import annotations

from ._functional import rmsprop
from .optimizer import SingleTensor, _check, _check_lr, _get_value, _real, _step_tensor, _zeros

__all__ = ["RMSprop", "rmsprop"]


class RMSprop(SingleTensor):
    """Divides by the root of the running mean of squares."""

    _rule = "rmsprop"
    _arrays = ("square_avg", "momentum_buffer", "grad_avg")
    _options = ("lr", "weight_decay", "alpha", "eps", "momentum")

    _captured_by_xla = (True, True)

    def __init__(
        self,
        params,
        lr=1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        _check_lr(lr)
        _check("epsilon value", eps, 0.0 <= eps)
        _check("momentum value", momentum, 0.0 <= momentum)
        _check("weight_decay value", weight_decay, 0.0 <= weight_decay)
        _check("alpha value", alpha, 0.0 <= alpha)
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "alpha": alpha,
            "eps": eps,
            "centered": centered,
            "weight_decay": weight_decay,
            "capturable": capturable,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def _start(self, p, grad, state, group) -> None:
        state["step"] = _step_tensor(p, group["capturable"])
        state["square_avg"] = _zeros(p)
        if group["momentum"] > 0:
            state["momentum_buffer"] = _zeros(p)
        if group["centered"]:
            state["grad_avg"] = _zeros(p)

    def _update(self, p, grad, state, group) -> None:
        if grad.is_sparse:
            raise RuntimeError("RMSprop does not support sparse gradients")
        if not state:
            self._start(p, grad, state, group)
        state["step"] += 1
        if group["weight_decay"] != 0:
            grad = grad.add(p, alpha=group["weight_decay"])
        alpha, lr = group["alpha"], _get_value(group["lr"])
        p, grad, square = _real(p, grad, state["square_avg"])
        square.mul_(alpha).addcmul_(grad, grad, value=1 - alpha)
        if group["centered"]:
            (mean,) = _real(state["grad_avg"])
            mean.lerp_(grad, 1 - alpha)
            root = square.addcmul(mean, mean, value=-1).sqrt_()
        else:
            root = square.sqrt()
        root = root.add(group["eps"])
        if group["momentum"] > 0:
            (buffer,) = _real(state["momentum_buffer"])
            buffer.mul_(group["momentum"]).addcdiv_(grad, root)
            p.add_(buffer, alpha=-lr)
        else:
            p.addcdiv_(grad, root, value=-lr)
