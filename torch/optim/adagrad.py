"""Adagrad (Duchi et al., 2011)."""

from __future__ import annotations

import torch

from ._functional import adagrad
from .optimizer import SingleTensor, _check, _check_lr, _get_value, _real, _step_tensor

__all__ = ["Adagrad", "adagrad"]


class Adagrad(SingleTensor):
    """Divides by the root of the sum of all squares."""

    _rule = "adagrad"
    _arrays = ("sum",)
    _options = ("lr", "weight_decay", "lr_decay", "eps")

    def __init__(
        self,
        params,
        lr=1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        _check_lr(lr)
        _check("lr_decay value", lr_decay, 0.0 <= lr_decay)
        _check("weight_decay value", weight_decay, 0.0 <= weight_decay)
        _check("initial_accumulator_value value", initial_accumulator_value, 0.0 <= initial_accumulator_value)
        _check("epsilon value", eps, 0.0 <= eps)
        if fused and differentiable:
            raise RuntimeError("`fused` does not support `differentiable`")
        if fused and foreach:
            raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "eps": eps,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)
        for group in self.param_groups:
            for p in group["params"]:
                self._start(p, None, self.state[p], group)

    def _start(self, p: torch.Tensor, grad: None, state: dict, group: dict) -> None:
        state["step"] = _step_tensor(p, fused=bool(group["fused"]))
        start = group["initial_accumulator_value"]
        value = complex(start, start) if torch.is_complex(p) else start
        state["sum"] = torch.full_like(p, value, memory_format=torch.preserve_format)

    def share_memory(self) -> None:
        """Move the state to shared memory."""
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p]["sum"].share_memory_()

    def _update(self, p, grad, state, group) -> None:
        if not state:
            self._start(p, None, state, group)
        state["step"] += 1
        if group["weight_decay"] != 0:
            if grad.is_sparse:
                raise RuntimeError("weight_decay option is not compatible with sparse gradients")
            grad = grad.add(p, alpha=group["weight_decay"])
        rate = _get_value(group["lr"]) / (1 + (_get_value(state["step"]) - 1) * group["lr_decay"])
        total = state["sum"]
        if grad.is_sparse:
            grad = grad.coalesce()
            indices, values, size = grad._indices(), grad._values(), grad.size()

            def rebuild(v):
                return torch.sparse_coo_tensor(indices, v, size, dtype=grad.dtype, device=grad.device)

            total.add_(rebuild(values.pow(2)))
            root = total.sparse_mask(grad)._values().sqrt_().add_(group["eps"])
            p.add_(rebuild(values / root), alpha=-rate)
            return
        p, grad, total = _real(p, grad, total)
        total.addcmul_(grad, grad, value=1)
        p.addcdiv_(grad, total.sqrt() + group["eps"], value=-rate)
