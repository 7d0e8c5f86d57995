"""Special functions."""

from __future__ import annotations

from torch import _C

__all__ = sorted(name for name in vars(_C._special) if not name.startswith("_"))
globals().update({name: getattr(_C._special, name) for name in __all__})
