"""Timing statements: the names of ``torch.utils.benchmark``."""

from __future__ import annotations

from torch.utils.benchmark._timer import Language, Timer, timer

__all__ = ["Language", "Timer", "timer"]
