"""Muon: momentum, made orthogonal (Jordan et al., 2024)."""

from __future__ import annotations

import torch
from torch._C import _optim_muon

from .optimizer import ByGroup, _get_value, _zeros

__all__ = ["Muon"]


class Muon(ByGroup):
    """For matrices only: the update is the momentum with its singular values made equal."""

    _not_filled_in = ("lr", "differentiable")

    def __init__(
        self,
        params,
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:
        if isinstance(lr, torch.Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        if not 0.0 <= lr:
            raise ValueError(f"Learning rate should be >= 0 but is: {lr}")
        if not 0.0 <= momentum:
            raise ValueError(f"momentum should be >= 0 but is: {momentum}")
        if not 0.0 <= weight_decay:
            raise ValueError(f"weight decay should be >= 0 but is: {weight_decay}")
        if adjust_lr_fn is not None and adjust_lr_fn not in ("original", "match_rms_adamw"):
            raise ValueError(f"Adjust learning rate function {adjust_lr_fn} is not supported")
        defaults = {
            "lr": lr,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "nesterov": nesterov,
            "ns_coefficients": ns_coefficients,
            "eps": eps,
            "ns_steps": ns_steps,
            "adjust_lr_fn": adjust_lr_fn,
        }
        super().__init__(params, defaults)
        for group in self.param_groups:
            for p in group["params"]:
                if p.ndim != 2:
                    raise ValueError(
                        f"Muon only supports 2D parameters whereas we found a parameter with size: {p.size()}"
                    )

    def _start(self, p, grad, state, group) -> None:
        state["momentum_buffer"] = _zeros(grad)

    def _check(self, p, grad) -> None:
        if torch.is_complex(p):
            raise RuntimeError("Muon does not support complex parameters")
        if grad.is_sparse:
            raise RuntimeError("Muon does not support sparse gradients")

    def _step_group(self, group) -> None:
        params, grads, states = self._started(group)
        if group["ns_steps"] >= 100:
            raise ValueError("Number of steps must be less than 100 for computational efficiency")
        if len(group["ns_coefficients"]) != 3:
            raise ValueError("Coefficients must be a tuple of exactly 3 values")
        _optim_muon(
            params, grads, [state["momentum_buffer"] for state in states],
            float(_get_value(group["lr"])), group["weight_decay"], group["momentum"], *group["ns_coefficients"],
            group["eps"], group["ns_steps"], group["nesterov"], group["adjust_lr_fn"],
        )  # fmt: skip
