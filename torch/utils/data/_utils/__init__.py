"""The parts of the loader: collating, fetching, pinning, workers and how they are talked to."""

from __future__ import annotations

# Seconds that a loader waits for workers to end before it ends them.
MP_STATUS_CHECK_INTERVAL = 5.0

from . import collate, fetch, pin_memory, worker  # noqa: E402

__all__ = ["MP_STATUS_CHECK_INTERVAL", "collate", "fetch", "pin_memory", "worker"]
