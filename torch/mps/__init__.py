"""Apple GPUs: there is no backend for them."""

from __future__ import annotations

from torch import _accelerators

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_refuse = _accelerators.refusing("Cannot execute this without MPS backend.", RuntimeError)
for _name in """
    compile_shader current_allocated_memory driver_allocated_memory empty_cache get_rng_state load_metallib manual_seed
    recommended_max_memory seed set_per_process_memory_fraction set_rng_state synchronize
    """.split():
    globals()[_name] = _refuse(_name)
Event = _accelerators.refusing_class("Event", "torch.mps", "torch.mps.Event requires MPS support")
is_available = _accelerators.constant("is_available", False, "Whether there is a device: there is none.")
device_count = _accelerators.constant("device_count", 0, "The number of devices.")


def __getattr__(name: str) -> Any:
    if name not in ("event", "profiler"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return import_module(f"{__name__}.{name}")


__all__ = sorted(_n for _n in globals() if not _n.startswith("_") and _n not in ("annotations", "TYPE_CHECKING"))
