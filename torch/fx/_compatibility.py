"""Marks what is meant to keep its behaviour between versions."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")

_MARKED_WITH_COMPATIBILITY: dict[object, bool] = {}


def compatibility(is_backward_compatible: bool) -> Callable[[T], T]:
    """A decorator that notes whether an interface keeps its behaviour between versions."""

    def mark(fn: T) -> T:
        _MARKED_WITH_COMPATIBILITY.setdefault(fn, is_backward_compatible)
        return fn

    return mark
