"""Stepping each parameter as soon as its gradient is there, so that gradients need not be kept."""

from __future__ import annotations

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

__all__: list[str] = []


def _apply_optimizer_in_backward(
    optimizer_class: type[torch.optim.Optimizer],
    params: Iterable[torch.nn.Parameter],
    optimizer_kwargs: dict[str, Any],
    register_hook: bool = True,
) -> None:
    """Give each parameter an optimizer that steps in the backward pass and then drops the gradient."""
    for param in params:
        optimizer = optimizer_class([param], **optimizer_kwargs)
        param._in_backward_optimizers = [*getattr(param, "_in_backward_optimizers", []), optimizer]  # type: ignore
        if not register_hook:
            continue

        def step(ready: torch.Tensor, optimizer: Any = optimizer) -> None:
            optimizer.step()
            ready.grad = None

        param.register_post_accumulate_grad_hook(step)


def _get_in_backward_optimizers(module: torch.nn.Module) -> list[torch.optim.Optimizer]:
    """The optimizers of a module's parameters."""
    found: list[torch.optim.Optimizer] = []
    for param in module.parameters():
        found.extend(getattr(param, "_in_backward_optimizers", []))
    return found
