"""Counting instructions: the names of ``torch.utils.benchmark``."""

from __future__ import annotations

from torch.utils.benchmark._callgrind import CallgrindStats, CopyIfCallgrind, FunctionCount, FunctionCounts

__all__ = ["CallgrindStats", "CopyIfCallgrind", "FunctionCount", "FunctionCounts"]
