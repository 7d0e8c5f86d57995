"""Running a module on several devices."""

from __future__ import annotations

from .data_parallel import DataParallel, data_parallel

__all__ = ["DataParallel", "data_parallel", "replicate", "scatter", "gather"]


def __getattr__(name: str):
    if name in ("replicate", "scatter", "gather", "parallel_apply"):
        from . import _steps

        return getattr(_steps, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
