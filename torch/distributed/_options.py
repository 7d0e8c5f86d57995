"""What collectives are told: reductions, options, levels of debugging."""

from __future__ import annotations

import os
from datetime import timedelta
from enum import Enum

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "AllToAllOptions",
    "AllgatherOptions",
    "AllreduceCoalescedOptions",
    "AllreduceOptions",
    "BarrierOptions",
    "BroadcastOptions",
    "BuiltinCommHookType",
    "DebugLevel",
    "GatherOptions",
    "ReduceOp",
    "ReduceOptions",
    "ReduceScatterOptions",
    "ScatterOptions",
    "get_debug_level",
    "set_debug_level",
    "set_debug_level_from_env",
]

_UNSET = timedelta(milliseconds=-1)


class ReduceOp:
    """How the values of several processes become one: ``ReduceOp.SUM``, ``AVG``, ``PRODUCT``, ``MIN``, ``MAX``, and
    ``BAND``, ``BOR``, ``BXOR`` for integers. ``PREMUL_SUM`` multiplies by a factor before it adds.
    """

    class RedOpType(Enum):
        SUM = 0
        AVG = 1
        PRODUCT = 2
        MIN = 3
        MAX = 4
        BAND = 5
        BOR = 6
        BXOR = 7
        PREMUL_SUM = 8

        def __str__(self) -> str:
            return f"RedOpType.{self.name}"

        def __repr__(self) -> str:
            return f"<RedOpType.{self.name}: {self.value}>"

    SUM = RedOpType.SUM
    AVG = RedOpType.AVG
    PRODUCT = RedOpType.PRODUCT
    MIN = RedOpType.MIN
    MAX = RedOpType.MAX
    BAND = RedOpType.BAND
    BOR = RedOpType.BOR
    BXOR = RedOpType.BXOR
    PREMUL_SUM = RedOpType.PREMUL_SUM

    def __init__(self, op: RedOpType | ReduceOp, factor: Any = None) -> None:
        if isinstance(op, ReduceOp):
            op, factor = op.op, op.factor
        if not isinstance(op, ReduceOp.RedOpType):
            raise TypeError(f"incompatible function arguments: expected ReduceOp.RedOpType or ReduceOp, got {op!r}")
        self.op = op
        self.factor = factor

    def __eq__(self, other: object) -> bool:
        if isinstance(other, ReduceOp.RedOpType):
            return self.op == other
        return isinstance(other, ReduceOp) and (self.op, self.factor) == (other.op, other.factor)

    def __hash__(self) -> int:
        return hash(self.op)


ReduceOp.__module__ = "torch.distributed.distributed_c10d"
ReduceOp.RedOpType.__module__ = "torch._C._distributed_c10d"


def _make_nccl_premul_sum(factor: Any) -> ReduceOp:
    """A sum of everything times ``factor``, a number or a tensor."""
    return ReduceOp(ReduceOp.PREMUL_SUM, factor)


class _Options:
    """How long a collective may take (a negative time: as long as its group says), and whether it returns at once."""

    def __init__(self) -> None:
        self.timeout = _UNSET
        self.asyncOp = True


class _Reducing(_Options):
    def __init__(self) -> None:
        super().__init__()
        self.reduceOp = ReduceOp(ReduceOp.SUM)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "reduceOp":
            value = ReduceOp(value)
        object.__setattr__(self, name, value)


class _Rooted(_Options):
    def __init__(self) -> None:
        super().__init__()
        self.rootRank = 0


class AllreduceOptions(_Reducing):
    """Options of ``ProcessGroup.allreduce``."""


class AllreduceCoalescedOptions(AllreduceOptions):
    """Options of ``ProcessGroup.allreduce_coalesced``."""


class AllgatherOptions(_Options):
    """Options of ``ProcessGroup.allgather``."""


class AllToAllOptions(_Options):
    """Options of ``ProcessGroup.alltoall``."""


class BarrierOptions(_Options):
    """Options of ``ProcessGroup.barrier``."""

    def __init__(self) -> None:
        super().__init__()
        self.device_ids: list[int] = []
        self.device = None


class BroadcastOptions(_Rooted):
    """Options of ``ProcessGroup.broadcast``."""

    def __init__(self) -> None:
        super().__init__()
        self.rootTensor = 0


class GatherOptions(_Rooted):
    """Options of ``ProcessGroup.gather``."""


class ScatterOptions(_Rooted):
    """Options of ``ProcessGroup.scatter``."""


class ReduceOptions(_Rooted, _Reducing):
    """Options of ``ProcessGroup.reduce``."""

    def __init__(self) -> None:
        super().__init__()
        self.rootTensor = 0


class ReduceScatterOptions(_Reducing):
    """Options of ``ProcessGroup.reduce_scatter``."""


class DebugLevel(Enum):
    """How much is checked and reported; the environment's ``TORCH_DISTRIBUTED_DEBUG`` sets it."""

    OFF = 0
    INFO = 1
    DETAIL = 2


class BuiltinCommHookType(Enum):
    """Communication hooks of ``DistributedDataParallel`` that need no Python."""

    ALLREDUCE = 0
    FP16_COMPRESS = 1


_level = DebugLevel.OFF


def get_debug_level() -> DebugLevel:
    """Return the level in force."""
    return _level


def set_debug_level(level: DebugLevel) -> None:
    """Set the level."""
    global _level
    _level = DebugLevel(level)


def set_debug_level_from_env() -> None:
    """Set the level that ``TORCH_DISTRIBUTED_DEBUG`` asks for: OFF, INFO or DETAIL.

    Raises:
        RuntimeError: it asks for another one.
    """
    text = os.environ.get("TORCH_DISTRIBUTED_DEBUG", "OFF").upper()
    if text not in DebugLevel.__members__:
        raise RuntimeError("The value of TORCH_DISTRIBUTED_DEBUG must be OFF, INFO, or DETAIL.")
    set_debug_level(DebugLevel[text])


set_debug_level_from_env()
for _kind in (
    AllToAllOptions, AllreduceCoalescedOptions, AllreduceOptions, BarrierOptions, BroadcastOptions, DebugLevel,
    GatherOptions, ReduceOptions, ReduceScatterOptions, ScatterOptions,
):  # fmt: skip
    _kind.__module__ = "torch.distributed.distributed_c10d"
