"""The current accelerator, whatever its kind: there is none yet, so programs that ask fall back to the CPU."""

from __future__ import annotations

from torch import _accelerators

TYPE_CHECKING = False
if TYPE_CHECKING:
    import torch

device_index = _accelerators.DeviceGuard
_refuse = _accelerators.refusing("Cannot access accelerator device when none is available.", RuntimeError)
for _name in """
    current_device_idx current_device_index current_stream empty_host_cache get_device_capability get_memory_info
    set_device_idx set_device_index set_stream synchronize
    """.split():
    globals()[_name] = _refuse(_name)
for _name in """
    device_count empty_cache is_available max_memory_allocated max_memory_reserved memory_allocated memory_reserved
    memory_stats reset_accumulated_memory_stats reset_peak_memory_stats
    """.split():
    globals()[_name] = _accelerators.constant(_name, *_accelerators.NOTHING[_name])
Graph = _accelerators.refusing_class(
    "Graph", "torch.accelerator", "Cannot access accelerator device when none is available."
)


def current_accelerator(check_available: bool = False) -> torch.device | None:
    """The accelerator's device without an index, or None."""
    return None


__all__ = sorted(_n for _n in globals() if not _n.startswith("_") and _n not in ("annotations", "TYPE_CHECKING"))
