"""Stochastic gradient descent."""

from __future__ import annotations

import torch
from torch._C import _optim_sgd

from .optimizer import Optimizer, _check_lr, _refuse_scaling

TYPE_CHECKING = False
if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["SGD", "sgd"]


class SGD(Optimizer):
    """Gradient descent, with momentum (Sutskever et al., 2013)."""

    def __init__(
        self,
        params,
        lr=1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay=0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        _check_lr(lr)
        if momentum < 0.0:
            raise ValueError(f"Invalid momentum value: {momentum}")
        if weight_decay < 0.0:
            raise ValueError(f"Invalid weight_decay value: {weight_decay}")
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        if fused and differentiable:
            raise RuntimeError("`fused` does not support `differentiable`")
        if fused and foreach:
            raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
            "foreach": foreach,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)

    def __setstate__(self, state) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            group.setdefault("nesterov", False)
            group.setdefault("maximize", False)
            group.setdefault("foreach", None)
            group.setdefault("differentiable", False)
            group.setdefault("fused", False)

    def step(self, closure=None):
        """Update every parameter that has a gradient; return the closure's loss."""
        loss = None if closure is None else self._closure_loss(closure)
        states = self.state
        for group in self.param_groups:
            params, grads, sparse = [], [], False
            for p in group["params"]:
                grad = p.grad
                if grad is not None:
                    params.append(p)
                    grads.append(grad)
                    sparse = sparse or grad.is_sparse
            momentum = group["momentum"]
            buffers = [states[p].get("momentum_buffer") for p in params] if momentum != 0 else [None] * len(params)
            new = _update(
                params,
                grads,
                buffers,
                has_sparse_grad=sparse,
                fused=group["fused"],
                differentiable=group["differentiable"],
                weight_decay=group["weight_decay"],
                momentum=momentum,
                lr=group["lr"],
                dampening=group["dampening"],
                nesterov=group["nesterov"],
                maximize=group["maximize"],
            )
            if momentum != 0:
                for p, buffer in zip(params, new, strict=True):
                    states[p]["momentum_buffer"] = buffer
        return loss


def sgd(
    params: list[Tensor],
    d_p_list: list[Tensor],
    momentum_buffer_list: list[Tensor | None],
    has_sparse_grad: bool = False,
    foreach: bool | None = None,
    fused: bool | None = None,
    grad_scale: Tensor | None = None,
    found_inf: Tensor | None = None,
    *,
    weight_decay: float,
    momentum: float,
    lr: float | Tensor,
    dampening: float,
    nesterov: bool,
    maximize: bool,
) -> None:
    """One step of ``SGD``, in place; buffers of momentum come to stand in place of None."""
    _refuse_scaling(grad_scale, found_inf)
    _update(
        params,
        d_p_list,
        momentum_buffer_list,
        has_sparse_grad=has_sparse_grad,
        fused=fused,
        differentiable=False,
        weight_decay=weight_decay,
        momentum=momentum,
        lr=lr,
        dampening=dampening,
        nesterov=nesterov,
        maximize=maximize,
    )


def _update(
    params, d_p_list, momentum_buffer_list, *,
    has_sparse_grad, fused, differentiable, weight_decay, momentum, lr, dampening, nesterov, maximize,
):  # fmt: skip
    """One step; return the momentum buffers, new ones in place of None."""
    if not params:
        return momentum_buffer_list
    if has_sparse_grad and fused:
        raise RuntimeError("`_fused_sgd` does not support sparse gradients")
    if has_sparse_grad or differentiable:
        options = (weight_decay, momentum, lr, dampening, nesterov, maximize)
        with torch.set_grad_enabled(differentiable and torch.is_grad_enabled()):
            new = [_one(p, g, b, *options) for p, g, b in zip(params, d_p_list, momentum_buffer_list, strict=True)]
    else:
        lr, weight_decay = float(lr), float(weight_decay)
        new = _optim_sgd(
            params, d_p_list, momentum_buffer_list,
            lr, momentum, dampening, weight_decay, nesterov, maximize, bool(fused),
        )  # fmt: skip
    momentum_buffer_list[:] = new
    return momentum_buffer_list


def _one(p, grad, buffer, weight_decay, momentum, lr, dampening, nesterov, maximize):
    if maximize:
        grad = -grad
    if weight_decay != 0:
        grad = (
            grad.add(p, alpha=weight_decay) if not isinstance(weight_decay, torch.Tensor) else grad + p * weight_decay
        )
    if momentum != 0:
        if buffer is None:
            buffer = grad.detach().clone()
        else:
            buffer.mul_(momentum).add_(grad, alpha=1 - dampening)
        grad = grad.add(buffer, alpha=momentum) if nesterov else buffer
    if isinstance(lr, torch.Tensor):
        p.addcmul_(grad, lr, value=-1)
    else:
        p.add_(grad, alpha=-lr)
    return buffer
