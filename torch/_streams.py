"""Streams and events of accelerators. The CPU has neither; making one says so."""

from __future__ import annotations

from ._missing import not_available

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class AcceleratorError(RuntimeError):
    """An error that an accelerator reported."""


class FatalError(RuntimeError):
    """An error after which the process cannot go on."""


class Stream:
    """A queue of work on an accelerator."""

    def __new__(cls, device: Any = None, *, priority: int = 0) -> Any:
        raise not_available("torch.Stream", "there is no accelerator backend with streams")


class Event:
    """A mark in a stream."""

    def __new__(
        cls, device: Any = None, *, enable_timing: bool = False, blocking: bool = False, interprocess: bool = False
    ) -> Any:
        raise not_available("torch.Event", "there is no accelerator backend with streams")
