"""The CPU as a device among others, so that programs need no special case for it."""

from __future__ import annotations

from torch._accelerators import StreamContext
from torch._streams import Event as _Event
from torch._streams import Stream as _Stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "Event",
    "Stream",
    "StreamContext",
    "current_device",
    "current_stream",
    "device_count",
    "get_capabilities",
    "is_available",
    "is_initialized",
    "set_device",
    "stream",
    "synchronize",
]


class Stream(_Stream):
    """The CPU's stream: always empty."""

    def __init__(self, priority: int = -1) -> None:
        super().__init__(priority=priority)


class Event(_Event):
    """A mark in the CPU's stream."""

    def __init__(self) -> None:
        super().__init__(enable_timing=True)


_current = Stream()


def is_available() -> bool:
    """Always True."""
    return True


def is_initialized() -> bool:
    """Always True."""
    return True


def synchronize(device: Any = None) -> None:
    """Wait until all work is done: it is."""


def current_stream(device: Any = None) -> Stream:
    """The CPU's stream."""
    return _current


def stream(stream: Any) -> StreamContext:
    """A context that selects a stream; on the CPU they are all alike."""
    return StreamContext(stream)


def device_count() -> int:
    """Always 1."""
    return 1


def set_device(device: Any) -> None:
    """Select a device: there is one."""


def current_device() -> str:
    """Always "cpu"."""
    return "cpu"


def get_capabilities() -> dict[str, Any]:
    """The vector instructions of this processor, by name."""
    flags = set()
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            for line in file:
                if line.startswith(("flags", "Features")):
                    flags = set(line.partition(":")[2].split())
                    break
    except OSError:
        pass
    names = ("avx", "avx2", "avx512f", "avx512bw", "avx512vl", "avx512_bf16", "amx_tile", "fma", "neon", "sve")
    return {name: name in flags for name in names}
