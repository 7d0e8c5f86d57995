"""Settings of ``torch.save`` and ``torch.load``: see ``config``."""

from __future__ import annotations

from . import config

__all__ = ["config"]
