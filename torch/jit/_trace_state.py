"""Which trace is being made in this thread, if any."""

from __future__ import annotations

import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._trace_record import Recorder

__all__ = ["TracerWarning", "current", "is_tracing", "set_current"]

_local = threading.local()


class TracerWarning(Warning):
    """The program did something that a trace cannot hold."""

    @staticmethod
    def ignore_lib_warnings() -> None:
        """Leave out warnings about what the library itself does. Nothing to do: those are not raised."""


TracerWarning.__module__ = "torch.jit._trace"


def current() -> Recorder | None:
    """The trace that is being made, or None."""
    return getattr(_local, "recorder", None)


def set_current(recorder: Recorder | None) -> Recorder | None:
    """Make this trace the current one; the one before."""
    before = current()
    _local.recorder = recorder
    return before


def is_tracing() -> bool:
    """Whether ``torch.jit.trace`` runs this code now."""
    return current() is not None
