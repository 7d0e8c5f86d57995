"""Adam (Kingma and Ba, 2014)."""

from __future__ import annotations

import torch
from torch._C import _optim_adam

from .optimizer import (
    Optimizer,
    _check,
    _check_betas,
    _check_lr,
    _real,
    _refuse_scaling,
    _scalar_dtype,
    _step_tensor,
    _zeros,
)

__all__ = ["Adam", "adam"]

Tensor = torch.Tensor


class Adam(Optimizer):
    """Steps by the mean of the gradients over the root of the mean of their squares."""

    def __init__(
        self,
        params,
        lr=1e-3,
        betas=(0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        _check_lr(lr, foreach, capturable)
        _check("epsilon value", eps, 0.0 <= eps)
        _check_betas(betas)
        _check("weight_decay value", weight_decay, 0.0 <= weight_decay)
        tensors = [isinstance(beta, Tensor) for beta in betas]
        if any(tensors) and not all(tensors) or not all(isinstance(beta, (float, Tensor)) for beta in betas):
            if not all(isinstance(beta, (int, float)) for beta in betas):
                raise ValueError("betas must be either both floats or both Tensors")
        for index, beta in enumerate(betas):
            if isinstance(beta, Tensor):
                if not capturable and foreach:
                    raise ValueError(
                        f"betas[{index}] as a Tensor is not supported for capturable=False and foreach=True"
                    )
                if beta.numel() != 1:
                    raise ValueError(f"Tensor betas[{index}] must be 1-element")
        if fused and differentiable:
            raise RuntimeError("`fused` does not support `differentiable`")
        if fused and foreach:
            raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(params, defaults)

    def __setstate__(self, state) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            group.setdefault("amsgrad", False)
            group.setdefault("maximize", False)
            group.setdefault("foreach", None)
            group.setdefault("capturable", False)
            group.setdefault("differentiable", False)
            group.setdefault("decoupled_weight_decay", False)
            group.setdefault("fused", None)
            for p in group["params"]:
                p_state = self.state.get(p, {})
                if p_state and not torch.is_tensor(p_state["step"]):
                    p_state["step"] = torch.tensor(float(p_state["step"]), dtype=_scalar_dtype(bool(group["fused"])))

    def _start(self, p: Tensor, state: dict, group: dict) -> None:
        state["step"] = _step_tensor(p, group["capturable"], bool(group["fused"]))
        state["exp_avg"] = _zeros(p)
        state["exp_avg_sq"] = _zeros(p)
        if group["amsgrad"]:
            state["max_exp_avg_sq"] = _zeros(p)

    def step(self, closure=None):
        """Update every parameter that has a gradient; return the closure's loss."""
        loss = None if closure is None else self._closure_loss(closure)
        states = self.state
        for group in self.param_groups:
            self._check_capturable(group)
            params, grads, means, squares, peaks, steps = [], [], [], [], [], []
            amsgrad = group["amsgrad"]
            for p in group["params"]:
                grad = p.grad
                if grad is None:
                    continue
                if grad.is_sparse:
                    raise RuntimeError("Adam does not support sparse gradients, please consider SparseAdam instead")
                state = states[p]
                if not state:
                    self._start(p, state, group)
                params.append(p)
                grads.append(grad)
                means.append(state["exp_avg"])
                squares.append(state["exp_avg_sq"])
                steps.append(state["step"])
                if amsgrad:
                    peaks.append(state["max_exp_avg_sq"])
            if not params:
                continue
            beta1, beta2 = group["betas"]
            adam(
                params,
                grads,
                means,
                squares,
                peaks,
                steps,
                differentiable=group["differentiable"],
                amsgrad=amsgrad,
                beta1=beta1,
                beta2=beta2,
                lr=group["lr"],
                weight_decay=group["weight_decay"],
                eps=group["eps"],
                maximize=group["maximize"],
                decoupled_weight_decay=group["decoupled_weight_decay"],
            )
        return loss


def adam(
    params,
    grads,
    exp_avgs,
    exp_avg_sqs,
    max_exp_avg_sqs,
    state_steps,
    foreach: bool | None = None,
    capturable: bool = False,
    differentiable: bool = False,
    fused: bool | None = None,
    grad_scale=None,
    found_inf=None,
    has_complex: bool = False,
    decoupled_weight_decay: bool = False,
    *,
    amsgrad: bool,
    beta1,
    beta2,
    lr,
    weight_decay: float,
    eps: float,
    maximize: bool,
) -> None:
    """One step of ``Adam``, in place."""
    _refuse_scaling(grad_scale, found_inf)
    if not params:
        return
    if not differentiable:
        _optim_adam(
            params,
            grads,
            exp_avgs,
            exp_avg_sqs,
            max_exp_avg_sqs,
            state_steps,
            amsgrad,
            float(beta1),
            float(beta2),
            float(lr),
            weight_decay,
            eps,
            maximize,
            decoupled_weight_decay,
            bool(fused),
        )
        return
    for i, p in enumerate(params):
        grad = -grads[i] if maximize else grads[i]
        step = state_steps[i]
        step += 1
        if weight_decay != 0:
            if decoupled_weight_decay:
                p.mul_(1 - lr * weight_decay)
            else:
                grad = grad.add(p, alpha=weight_decay)
        target, grad, mean, square = _real(p, grad, exp_avgs[i], exp_avg_sqs[i])
        mean.lerp_(grad, 1 - beta1)
        square.mul_(beta2).add_(grad * grad, alpha=1 - float(beta2))
        correction1, correction2 = 1 - beta1**step, 1 - beta2**step
        if amsgrad:
            (peak,) = _real(max_exp_avg_sqs[i])
            peak.copy_(torch.maximum(peak.clone(), square))
            square = peak
        # The mean goes on changing in place; what this step's derivative needs is how it is now.
        target.add_(-(lr / correction1) * mean.clone() / (square.sqrt() / correction2.sqrt() + eps))
