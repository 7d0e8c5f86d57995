"""Adafactor (Shazeer and Stern, 2018)."""

from __future__ import annotations

import torch
from torch._C import _optim_adafactor

from ._functional import adafactor
from .optimizer import ByGroup, _get_value, _step_tensor

__all__ = ["Adafactor", "adafactor"]


class Adafactor(ByGroup):
    """Adam whose second moments are kept as row and column means."""

    _not_filled_in = ("lr", "differentiable")

    def __init__(
        self,
        params,
        lr=1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
    ) -> None:
        if isinstance(lr, torch.Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        if not 0.0 <= lr:
            raise ValueError(f"Learning rate should be >= 0 but is: {lr}")
        if not 0.0 >= beta2_decay:
            raise ValueError(f"beta2_decay should be <= 0 but is: {beta2_decay}")
        if eps[0] is not None and not 0.0 <= eps[0]:
            raise ValueError(f"epsilon1 should be >= 0 but is: {eps[0]}")
        if not 0.0 <= eps[1]:
            raise ValueError(f"epsilon2 should be >= 0 but is: {eps[1]}")
        if not 1.0 <= d:
            raise ValueError(f"Clipping threshold d should be >= 1 but is: {d}")
        if not 0.0 <= weight_decay:
            raise ValueError(f"weight_decay should be >= 0 but is: {weight_decay}")
        defaults = {
            "lr": lr,
            "beta2_decay": beta2_decay,
            "eps": eps,
            "d": d,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def _start(self, p, grad, state, group) -> None:
        state["step"] = _step_tensor(p)
        if grad.dim() > 1:
            rows, cols = list(grad.shape), list(grad.shape)
            rows[-1], cols[-2] = 1, 1
            state["row_var"] = grad.new_zeros(rows)
            state["col_var"] = grad.new_zeros(cols)
        else:
            state["variance"] = torch.zeros_like(grad, memory_format=torch.preserve_format)

    def _step_group(self, group) -> None:
        params, grads, states = self._started(group)
        kept = [[state.get(name) for state in states] for name in ("row_var", "col_var", "variance", "step")]
        _step(params, grads, kept, group)

    def _check(self, p, grad) -> None:
        if torch.is_complex(p):
            raise RuntimeError("Adafactor does not support complex parameters")
        if grad.is_sparse:
            raise RuntimeError("Adafactor does not support sparse gradients")


def _step(params, grads, kept, group) -> None:
    """Update all parameters of a group; kept: row means, column means, squares and counts, None where there is none."""
    eps1, eps2 = group["eps"]
    lr = float(_get_value(group["lr"]))
    numbers = lr, group["beta2_decay"], eps1, eps2, group["d"], group["weight_decay"], group["maximize"]
    _optim_adafactor(params, grads, *kept, *numbers)
