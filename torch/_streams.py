"""Streams and events. On the CPU operations finish before they return: a stream has nothing to wait for."""

from __future__ import annotations

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class AcceleratorError(RuntimeError):
    """An error that an accelerator reported."""


class FatalError(RuntimeError):
    """An error after which the process cannot go on."""


def _device(device: Any) -> torch.device:
    chosen = torch.device("cpu" if device is None else device)
    if chosen.type == "cuda":
        raise AssertionError("Torch not compiled with CUDA enabled")
    if chosen.type != "cpu":
        raise RuntimeError(f"there are no streams on {chosen.type}")
    return chosen


class Stream:
    """A queue of work; the CPU's is always empty.

    >>> torch.Stream().query()
    True
    """

    def __init__(self, device: Any = None, *, priority: int = 0, stream_id: int = 0) -> None:
        self.device, self.priority, self.stream_id = _device(device), priority, stream_id
        self.device_index, self.device_type = -1, 0

    def query(self) -> bool:
        """Whether all work is done."""
        return True

    def synchronize(self) -> None:
        """Wait until all work is done."""

    def wait_event(self, event: Any) -> None:
        """Let later work wait for an event."""

    def wait_stream(self, stream: Any) -> None:
        """Let later work wait for another stream."""

    def record_event(self, event: Any = None) -> Any:
        """Mark this point of the stream by an event."""
        event = Event() if event is None else event
        event.record(self)
        return event

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        pass

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stream) and (self.device, self.stream_id) == (other.device, other.stream_id)

    def __hash__(self) -> int:
        return hash((self.device, self.stream_id))

    def __repr__(self) -> str:
        return f"torch.Stream device_type={self.device.type}, device_index=-1, stream_id={self.stream_id}"


class Event:
    """A mark in a stream, with the time at which it was set.

    >>> e = torch.Event()
    >>> e.record()
    >>> e.query()
    True
    """

    def __init__(
        self, device: Any = None, *, enable_timing: bool = False, blocking: bool = False, interprocess: bool = False
    ) -> None:
        self.device, self.enable_timing = _device(device), enable_timing
        self.event_id = 0
        self._time: float | None = None

    def record(self, stream: Any = None) -> None:
        """Set the mark."""
        import time

        self._time = time.perf_counter()

    def query(self) -> bool:
        """Whether the work before the mark is done."""
        return True

    def wait(self, stream: Any = None) -> None:
        """Let a stream wait for the mark."""

    def synchronize(self) -> None:
        """Wait for the mark."""

    def elapsed_time(self, end_event: Event) -> float:
        """Milliseconds from this mark to another."""
        if not (self.enable_timing and end_event.enable_timing):
            raise ValueError("Both events must be created with argument 'enable_timing=True'.")
        if self._time is None or end_event._time is None:
            raise ValueError("Both events must be recorded before calculating elapsed time.")
        return (end_event._time - self._time) * 1000

    def __repr__(self) -> str:
        return f"torch.Event device_type={self.device.type}, device_index=-1, event_flag=0, event_id={self.event_id}"
