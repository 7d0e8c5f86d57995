"""What goes wrong between processes, by kind."""

from __future__ import annotations

__all__ = ["DistBackendError", "DistError", "DistNetworkError", "DistStoreError", "QueueEmptyError"]


class DistError(RuntimeError):
    """Something went wrong in ``torch.distributed``."""


class DistBackendError(DistError):
    """A backend failed."""


class DistNetworkError(DistError):
    """A connection failed or was refused."""


class DistStoreError(DistError):
    """A store gave no answer in time, or not the one that was asked for."""


class QueueEmptyError(DistStoreError):
    """``Store.queue_pop`` without waiting found nothing."""


for _kind in (DistBackendError, DistError, DistNetworkError, DistStoreError, QueueEmptyError):
    _kind.__module__ = "torch.distributed"
