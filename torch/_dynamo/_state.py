"""What a thread is doing: whether it runs a compiled function, and how compiled functions behave."""

from __future__ import annotations

import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class _State(threading.local):
    def __init__(self) -> None:
        self.compiling = False
        self.capture: Any = None


state = _State()


class Stance:
    """How compiled functions behave; the same for all threads."""

    def __init__(self, stance: str = "default", force_backend: Any = None) -> None:
        self.stance, self.force_backend = stance, force_backend


stance = [Stance()]


class running:  # noqa: N801
    """Inside, ``torch.compiler.is_compiling()`` is this."""

    __slots__ = ("before", "value")

    def __init__(self, value: bool) -> None:
        self.value = value

    def __enter__(self) -> None:
        self.before = state.compiling
        state.compiling = self.value

    def __exit__(self, *exc: Any) -> None:
        state.compiling = self.before
