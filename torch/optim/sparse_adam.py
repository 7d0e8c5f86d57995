"""Adam for sparse gradients."""

from __future__ import annotations

import torch

from .optimizer import SingleTensor, _check_betas, _zeros

__all__ = ["SparseAdam"]


class SparseAdam(SingleTensor):
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

    def _update(self, p, grad, state, group) -> None:
        if not grad.is_sparse:
            raise RuntimeError("SparseAdam does not support dense gradients, please consider Adam instead")
        if not state:
            state["step"] = 0
            state["exp_avg"] = _zeros(p)
            state["exp_avg_sq"] = _zeros(p)
        state["step"] += 1
        grad = grad.coalesce()
        indices, values, size = grad._indices(), grad._values(), grad.size()
        if values.numel() == 0:
            return
        mean, square = state["exp_avg"], state["exp_avg_sq"]
        beta1, beta2 = group["betas"]

        def rebuild(v):
            return torch.sparse_coo_tensor(indices, v, size, dtype=grad.dtype, device=grad.device)

        old_mean = mean.sparse_mask(grad)._values()
        mean_change = values.sub(old_mean).mul_(1 - beta1)
        mean.add_(rebuild(mean_change))
        old_square = square.sparse_mask(grad)._values()
        square_change = values.pow(2).sub_(old_square).mul_(1 - beta2)
        square.add_(rebuild(square_change))
        root = square_change.add_(old_square).sqrt_().add_(group["eps"])
        step = state["step"]
        size_ = group["lr"] * (1 - beta2**step) ** 0.5 / (1 - beta1**step)
        p.add_(rebuild(-size_ * mean_change.add_(old_mean).div_(root)))
