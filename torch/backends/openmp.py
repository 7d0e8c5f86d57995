"""OpenMP, which is not used: the thread pool is Tabula's own."""

from __future__ import annotations

__all__ = ["is_available"]


def is_available() -> bool:
    """Always False."""
    return False
