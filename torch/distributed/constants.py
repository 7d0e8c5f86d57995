"""Times that hold where nobody says otherwise."""

from __future__ import annotations

from datetime import timedelta

__all__ = ["default_pg_timeout", "default_pg_nccl_timeout"]

default_pg_timeout = timedelta(minutes=30)
# There are no CUDA devices here.
default_pg_nccl_timeout = None
