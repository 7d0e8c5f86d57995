"""CUDA devices. This build has no CUDA backend: the module can be asked what there is, and refuses the rest as PyTorch
does without CUDA."""

from __future__ import annotations

import sys as _sys
import types as _types

from torch import _accelerators, _legacy_tensors
from torch._accelerators import StreamContext
from torch.storage import _LEGACY_CLASSES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

device = device_of = _accelerators.DeviceGuard
_MESSAGE = "Torch not compiled with CUDA enabled"

_accelerators.fill(
    globals(),
    """
    caching_allocator_alloc caching_allocator_delete change_current_allocator check_error clock_rate cudart
    current_blas_handle current_device current_solver_handle current_stream default_stream device_memory_used
    get_device_capability get_device_name get_device_properties get_per_process_memory_fraction get_rng_state
    get_stream_from_external get_sync_debug_mode graph_pool_handle host_memory_stats host_memory_stats_as_nested_dict
    init initial_seed ipc_collect list_gpu_processes make_graphed_callables mem_get_info memory_snapshot memory_summary
    memory_usage power_draw reset_accumulated_host_memory_stats reset_peak_host_memory_stats set_device
    set_per_process_memory_fraction set_rng_state set_sync_debug_mode synchronize temperature use_mem_pool utilization
    get_allocator_backend caching_allocator_enable
    """,
    _accelerators.refusing(_MESSAGE),
)
max_memory_cached, memory_cached = max_memory_reserved, memory_reserved  # noqa: F821
reset_max_memory_allocated = reset_max_memory_cached = reset_peak_memory_stats  # noqa: F821
is_current_stream_capturing = _accelerators.constant("is_current_stream_capturing", False, "Always False.")

default_generators: tuple[Any, ...] = ()
has_half, has_magma = False, False

for _name in (
    "CUDAGraph", "CUDAPluggableAllocator", "Event", "ExternalStream", "GreenContext", "MemPool", "Stream", "graph",
):  # fmt: skip
    globals()[_name] = _accelerators.refusing_class(_name, "torch.cuda", f"torch.cuda.{_name} requires CUDA support")

globals().update(_legacy_tensors.make(cuda=True))
for _name in _LEGACY_CLASSES:
    globals().setdefault(_name, _accelerators.refusing_class(_name, "torch.cuda", _MESSAGE))


class CudaError(RuntimeError):
    """An error that the CUDA runtime reported."""


class DeferredCudaCallError(Exception):
    """An error in work that waited for CUDA to start."""


class cudaStatus:  # noqa: N801
    """Codes of the CUDA runtime."""

    SUCCESS: int = 0
    ERROR_NOT_READY: int = 34


def stream(stream: Any) -> StreamContext:
    """A context that selects a stream; without devices it selects nothing."""
    return StreamContext(stream)


def caching_allocator_disabled(*args: Any) -> Any:
    """A context without the caching allocator: there is none."""
    return StreamContext()


def _submodule(name: str, **members: Any) -> _types.ModuleType:
    module = _types.ModuleType(f"torch.cuda.{name}", f"``torch.cuda.{name}``: nothing without CUDA devices.")
    module.__dict__.update(members)
    _sys.modules[module.__name__] = module
    return module


_refuse = _accelerators.refusing(_MESSAGE)
graphs = _submodule("graphs", CUDAGraph=CUDAGraph, graph=graph)  # noqa: F821
jiterator = _submodule("jiterator", **{n: _refuse(n) for n in ("_create_jit_fn", "_create_multi_output_jit_fn")})
memory = _submodule("memory", **{n: globals()[n] for n in (*_accelerators.NOTHING, "memory_summary", "mem_get_info")})
nccl = _submodule("nccl", is_available=_accelerators.constant("is_available", False, "Always False."))
_no_nvtx = _accelerators.refusing("NVTX functions not installed. Are you sure you have a CUDA build?", RuntimeError)
nvtx = _submodule(
    "nvtx", **{n: _no_nvtx(n) for n in ("mark", "range", "range_end", "range_pop", "range_push", "range_start")}
)
profiler = _submodule("profiler", **{n: _refuse(n) for n in ("init", "start", "stop", "profile")})
random = _submodule(
    "random", **{n: globals()[n] for n in ("get_rng_state", "get_rng_state_all", "initial_seed", "manual_seed",
                                           "manual_seed_all", "seed", "seed_all", "set_rng_state", "set_rng_state_all")}
)  # fmt: skip
sparse = _submodule("sparse")
streams = _submodule("streams", Event=Event, ExternalStream=ExternalStream, Stream=Stream)  # noqa: F821
tunable = _submodule("tunable", is_enabled=_accelerators.constant("is_enabled", False, "Always False."))

__all__ = sorted(_n for _n in globals() if not _n.startswith("_") and _n not in ("annotations", "TYPE_CHECKING"))


def __getattr__(name: str) -> Any:
    if name == "amp":
        from importlib import import_module

        return import_module("torch.cuda.amp")
    if name in ("AcceleratorError", "OutOfMemoryError", "classproperty"):  # names of torch too
        import torch

        return getattr(torch, name)
    raise AttributeError(f"module 'torch.cuda' has no attribute '{name}'")
