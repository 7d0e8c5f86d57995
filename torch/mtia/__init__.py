"""Meta's accelerators: there is no backend for them."""

from __future__ import annotations

from torch import _accelerators

_accelerators.fill(
    globals(),
    "current_device current_stream get_device_capability init mem_get_info set_device synchronize",
    _accelerators.refusing("Torch not compiled with MTIA enabled."),
)
__all__ = sorted(_n for _n in globals() if not _n.startswith("_") and _n != "annotations")
