"""Intel GPUs: there is no backend for them yet. The module can be asked, and refuses the rest as PyTorch does."""

from __future__ import annotations

from torch import _accelerators
from torch._accelerators import StreamContext

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

device = device_of = _accelerators.DeviceGuard
_accelerators.fill(
    globals(),
    """
    change_current_allocator clock_rate current_device current_stream device_memory_used get_device_capability
    get_device_name get_device_properties get_per_process_memory_fraction get_rng_state get_stream_from_external
    graph_pool_handle init initial_seed make_graphed_callables mem_get_info memory_snapshot memory_usage power_draw
    set_device set_per_process_memory_fraction set_rng_state synchronize temperature use_mem_pool utilization
    """,
    _accelerators.refusing("Torch not compiled with XPU enabled"),
)
is_current_stream_capturing = _accelerators.constant("is_current_stream_capturing", False, "Always False.")
default_generators: tuple[Any, ...] = ()
for _name in ("Event", "MemPool", "Stream", "XPUGraph", "XPUPluggableAllocator", "graph"):
    globals()[_name] = _accelerators.refusing_class(_name, "torch.xpu", f"torch.xpu.{_name} requires XPU support")


def stream(stream: Any) -> StreamContext:
    """A context that selects a stream; without devices it selects nothing."""
    return StreamContext(stream)


def __getattr__(name: str) -> Any:
    if name not in ("memory", "random", "streams"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return import_module(f"{__name__}.{name}")


__all__ = sorted(_n for _n in globals() if not _n.startswith("_") and _n not in ("annotations", "TYPE_CHECKING"))
