"""Switches of warnings about broadcasting of very old programs. They are kept, and warn of nothing."""

from __future__ import annotations

__all__ = ["broadcast_warning", "keepdim_warning"]


class Warning:
    """A switch."""

    def __init__(self) -> None:
        self.enabled = False


broadcast_warning, keepdim_warning = Warning(), Warning()
