"""Scaling of losses where gradients lie in pieces."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch.amp import GradScaler

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["ShardedGradScaler"]


class ShardedGradScaler(GradScaler):
    """``GradScaler`` for gradients in pieces: one that overflows in any process makes all skip the step."""

    def __init__(
        self,
        device: str = "cpu",
        init_scale: float = 2.0**16,
        backoff_factor: float = 0.5,
        growth_factor: float = 2.0,
        growth_interval: int = 2000,
        enabled: bool = True,
        process_group: Any = None,
    ) -> None:
        super().__init__(device, init_scale, growth_factor, backoff_factor, growth_interval, enabled)
        self.process_group = dist.group.WORLD if process_group is None else process_group

    def unscale_(self, optimizer: torch.optim.Optimizer) -> None:
        """Divide the gradients by the scale, and agree on whether any is infinite."""
        super().unscale_(optimizer)
        if not self.is_enabled():
            return
        state = self._per_optimizer_states[id(optimizer)]
        for found in state["found_inf_per_device"].values():
            dist.all_reduce(found, dist.ReduceOp.MAX, group=self.process_group)
