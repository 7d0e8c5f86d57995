"""What ``DistributedDataParallel`` can do with its buckets instead of averaging them."""

from __future__ import annotations

from enum import Enum
from functools import partial

from . import default_hooks as default
from . import post_localSGD_hook as post_localSGD
from . import powerSGD_hook as powerSGD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["DDPCommHookType", "register_ddp_comm_hook"]


class DDPCommHookType(Enum):
    """The hooks by name."""

    ALLREDUCE = partial(default.allreduce_hook)
    FP16_COMPRESS = partial(default.fp16_compress_hook)
    BF16_COMPRESS = partial(default.bf16_compress_hook)
    POWER_SGD = partial(powerSGD.powerSGD_hook)
    POWER_SGD_RANK2 = partial(powerSGD.powerSGD_hook)
    BATCHED_POWER_SGD = partial(powerSGD.batched_powerSGD_hook)
    BATCHED_POWER_SGD_RANK2 = partial(powerSGD.batched_powerSGD_hook)
    NOOP = partial(default.noop_hook)


_RANKS = {DDPCommHookType.POWER_SGD_RANK2: 2, DDPCommHookType.BATCHED_POWER_SGD_RANK2: 2}
_POWER = {DDPCommHookType.POWER_SGD, DDPCommHookType.BATCHED_POWER_SGD, *_RANKS}


def register_ddp_comm_hook(comm_hook_type: DDPCommHookType, model: Any, state: Any = None) -> None:
    """Give a hook to a ``DistributedDataParallel`` model; ``state`` is the group (or the hook's state)."""
    if comm_hook_type in _POWER:
        rank = _RANKS.get(comm_hook_type, 1)
        state = powerSGD.PowerSGDState(process_group=state, matrix_approximation_rank=rank)
    model.register_comm_hook(state, comm_hook_type.value.func)


_ALSO = (post_localSGD,)
