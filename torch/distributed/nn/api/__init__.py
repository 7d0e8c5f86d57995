"""Modules that live in another process."""

from __future__ import annotations

from .remote_module import RemoteModule

__all__ = ["RemoteModule"]
