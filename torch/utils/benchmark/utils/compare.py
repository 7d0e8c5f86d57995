"""Tables of measurements: the names of ``torch.utils.benchmark``."""

from __future__ import annotations

from torch.utils.benchmark._compare import Colorize, Compare

__all__ = ["Colorize", "Compare"]
