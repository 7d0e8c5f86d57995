"""Functions that change modules in place."""

from __future__ import annotations

from .fsdp import fully_shard

__all__ = ["fully_shard"]
