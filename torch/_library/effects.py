"""What operations do besides giving results."""

from __future__ import annotations

import enum

__all__ = ["EffectType"]


class EffectType(enum.Enum):
    """ORDERED: calls of the operation keep their order, and stay in graphs where nobody uses their results."""

    ORDERED = "Ordered"
