"""Calling functions in other processes, and referring to what lives there."""

from __future__ import annotations

from enum import Enum

from ._agent import WorkerInfo
from ._references import RRef, method_factory, new_method
from .api import (
    AllGatherStates,
    _is_current_rpc_agent_set,
    get_worker_info,
    init_rpc,
    remote,
    rpc_async,
    rpc_sync,
    shutdown,
)
from .options import RpcBackendOptions, TensorPipeRpcBackendOptions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "AllGatherStates",
    "BackendType",
    "RRef",
    "RpcBackendOptions",
    "TensorPipeRpcBackendOptions",
    "WorkerInfo",
    "get_worker_info",
    "init_rpc",
    "is_available",
    "method_factory",
    "new_method",
    "remote",
    "rpc_async",
    "rpc_sync",
    "shutdown",
]


class BackendType(Enum):
    """What carries calls; our own connections answer to the name."""

    TENSORPIPE = "tensorpipe"


def is_available() -> bool:
    """Whether calls can be made: they can."""
    return True


def get_rpc_timeout() -> float:
    """Seconds that a call may take."""
    from ._agent import current

    return current().seconds


def _set_rpc_timeout(seconds: float) -> None:
    from ._agent import current

    current().seconds = seconds


_ALSO = (_is_current_rpc_agent_set,)


def __getattr__(name: str) -> Any:
    if name in ("functions", "options", "api"):
        from importlib import import_module

        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
