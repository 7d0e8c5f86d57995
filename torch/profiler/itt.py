"""Marks for Intel's VTune. Its library is not linked: the functions raise RuntimeError."""

from __future__ import annotations

from contextlib import contextmanager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

__all__ = ["is_available", "mark", "range", "range_pop", "range_push"]


def is_available() -> bool:
    """False: there is no ITT here."""
    return False


def _refuse() -> None:
    raise RuntimeError("ITT functions not installed. Are you sure you have a ITT build?")


def range_push(msg: str) -> None:
    """Open a range."""
    _refuse()


def range_pop() -> None:
    """Close the innermost range."""
    _refuse()


def mark(msg: str) -> None:
    """Mark a moment."""
    _refuse()


@contextmanager
def range(msg: str, *args: Any, **kwargs: Any) -> Iterator[None]:
    """A range around a block."""
    range_push(msg.format(*args, **kwargs))
    try:
        yield
    finally:
        range_pop()
