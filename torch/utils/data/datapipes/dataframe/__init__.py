"""Streams of data frames: the base for pipes of one's own. Those over pandas are not part of Tabula."""

from __future__ import annotations

from ..datapipe import DFIterDataPipe

__all__ = ["DFIterDataPipe"]
