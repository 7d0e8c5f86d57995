"""Adam for sparse gradients."""

from __future__ import annotations

import torch
from torch._C import _optim_sparse_adam

from .optimizer import ByGroup, _check_betas, _get_value, _zeros

__all__ = ["SparseAdam"]


class SparseAdam(ByGroup):
    """``Adam`` that touches only the entries that have a gradient."""

    _not_filled_in = ("lr", "differentiable")

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps: float = 1e-8, maximize: bool = False) -> None:
        if isinstance(lr, torch.Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        if not 0.0 < lr:
            raise ValueError(f"Invalid learning rate: {lr}")
        if not 0.0 < eps:
            raise ValueError(f"Invalid epsilon value: {eps}")
        _check_betas(betas)
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "maximize": maximize})
        sparse, complex_ = [], []
        for number, group in enumerate(self.param_groups):
            for place, p in enumerate(group["params"]):
                if p.is_sparse:
                    sparse.append([number, place])
                if p.is_complex():
                    complex_.append([number, place])
        if sparse:
            raise ValueError(f"Sparse params at indices {sparse}: SparseAdam requires dense parameter tensors")
        if complex_:
            raise ValueError(f"Complex params at indices {complex_}: SparseAdam does not support complex parameters")

    def _start(self, p, grad, state, group) -> None:
        state["step"] = 0
        state["exp_avg"] = _zeros(p)
        state["exp_avg_sq"] = _zeros(p)

    def _check(self, p, grad) -> None:
        if not grad.is_sparse:
            raise RuntimeError("SparseAdam does not support dense gradients, please consider Adam instead")

    def _step_group(self, group) -> None:
        params, grads, states = self._started(group)
        for state in states:
            state["step"] += 1
        grads = [grad.coalesce() for grad in grads]
        kept = [[state[name] for state in states] for name in ("exp_avg", "exp_avg_sq", "step")]
        _optim_sparse_adam(
            params, [grad._indices() for grad in grads], [grad._values() for grad in grads], *kept,
            float(_get_value(group["lr"])), *group["betas"], group["eps"], group["maximize"],
        )  # fmt: skip
