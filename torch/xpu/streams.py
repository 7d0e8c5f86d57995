"""Streams and events of Intel GPUs: the names of ``torch.xpu``."""

from __future__ import annotations

from . import Event, Stream

__all__ = ["Event", "Stream"]
