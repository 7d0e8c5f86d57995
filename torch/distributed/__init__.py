"""Several processes that work on one thing: groups, collectives, and what is built on them.

Nothing of it is loaded before its first use.
"""

from __future__ import annotations

from importlib import import_module

from ._errors import DistBackendError, DistError, DistNetworkError, DistStoreError, QueueEmptyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Module to the names that are taken from it.
_PLACES = {
    "distributed_c10d": """
        AllToAllOptions AllgatherOptions AllreduceCoalescedOptions AllreduceOptions Backend BackendConfig
        BarrierOptions BroadcastOptions DebugLevel FileStore GatherOptions GroupName HashStore P2POp PrefixStore
        ProcessGroup ProcessGroupGloo ReduceOp ReduceOptions ReduceScatterOptions ScatterOptions Store TCPStore
        Work _CoalescingManager _all_gather_base _coalescing_manager _make_nccl_premul_sum _reduce_scatter_base
        all_gather all_gather_coalesced all_gather_into_tensor all_gather_object all_gather_single all_reduce
        all_reduce_coalesced all_to_all all_to_all_single barrier batch_isend_irecv broadcast
        broadcast_object_list default_pg_timeout gather gather_object get_debug_level irecv isend
        monitored_barrier new_subgroups new_subgroups_by_enumeration record_comm recv recv_object_list reduce
        reduce_op reduce_scatter reduce_scatter_single reduce_scatter_tensor scatter scatter_object_list send
        send_object_list shrink_group split_group supports_complex
        """,
    "_world": """
        GroupMember _rank_not_in_group destroy_process_group get_backend get_backend_config
        get_default_backend_for_device get_global_rank get_group_rank get_node_local_rank get_pg_count
        get_process_group_ranks get_rank get_world_size group init_process_group is_backend_available
        is_gloo_available is_initialized is_mpi_available is_nccl_available is_torchelastic_launched
        is_ucc_available is_xccl_available new_group
        """,
    "_options": "BuiltinCommHookType set_debug_level set_debug_level_from_env",
    "rendezvous": "register_rendezvous_handler rendezvous",
}
_NAMES = {name: module for module, names in _PLACES.items() for name in names.split()}
_MODULES = frozenset(
    """
    _composable _functional_collectives _shard _symmetric_memory _tensor algorithms autograd c10d_logger checkpoint
    collective_utils config constants device_mesh distributed_c10d elastic fsdp launch launcher logging_handlers nn
    optim pipelining remote_device rpc run tensor utils
    """.split()
)

__all__ = [
    "DistBackendError", "DistError", "DistNetworkError", "DistStoreError", "QueueEmptyError", "is_available",
    *sorted(name for name in _NAMES if not name.startswith("_")),
]  # fmt: skip


def is_available() -> bool:
    """Whether this package can be used: it can."""
    return True


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        value = getattr(import_module(f"{__name__}.{_NAMES[name]}"), name)
        globals()[name] = value
        return value
    if name in _MODULES:
        path = f"{__name__}.{name}"
        try:
            return import_module(path)
        except ModuleNotFoundError as error:
            if error.name != path:
                raise
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_NAMES, *_MODULES})
