"""Groups, collectives and messages, all in one place as programs expect them."""

from __future__ import annotations

import sys

from ._backend_names import Backend, BackendConfig
from ._backends import BackendBase, ProcessGroup
from ._collectives import (
    _all_gather_base,
    _reduce_scatter_base,
    all_gather,
    all_gather_coalesced,
    all_gather_into_tensor,
    all_gather_single,
    all_reduce,
    all_reduce_coalesced,
    all_to_all,
    all_to_all_single,
    barrier,
    broadcast,
    gather,
    monitored_barrier,
    record_comm,
    reduce,
    reduce_scatter,
    reduce_scatter_single,
    reduce_scatter_tensor,
    scatter,
    supports_complex,
)
from ._errors import DistBackendError, DistError, DistNetworkError, DistStoreError, QueueEmptyError
from ._gloo import ProcessGroupGloo
from ._objects import (
    _object_to_tensor,
    _tensor_to_object,
    all_gather_object,
    broadcast_object_list,
    gather_object,
    recv_object_list,
    scatter_object_list,
    send_object_list,
)
from ._options import (
    AllgatherOptions,
    AllreduceCoalescedOptions,
    AllreduceOptions,
    AllToAllOptions,
    BarrierOptions,
    BroadcastOptions,
    DebugLevel,
    GatherOptions,
    ReduceOp,
    ReduceOptions,
    ReduceScatterOptions,
    ScatterOptions,
    _make_nccl_premul_sum,
    get_debug_level,
)
from ._point_to_point import (
    P2POp,
    _coalescing_manager,
    _CoalescingManager,
    batch_isend_irecv,
    irecv,
    isend,
    recv,
    send,
)
from ._stores import FileStore, HashStore, PrefixStore, Store
from ._subgroups import new_subgroups, new_subgroups_by_enumeration, shrink_group, split_group
from ._tcp_store import TCPStore
from ._work import Work
from ._world import (
    GroupMember,
    _get_default_group,
    _rank_not_in_group,
    _resolve_process_group,
    _warn_not_in_group,
    _world,
    destroy_process_group,
    get_backend,
    get_backend_config,
    get_default_backend_for_device,
    get_global_rank,
    get_group_rank,
    get_node_local_rank,
    get_pg_count,
    get_process_group_ranks,
    get_rank,
    get_world_size,
    group,
    init_process_group,
    is_backend_available,
    is_gloo_available,
    is_initialized,
    is_mpi_available,
    is_nccl_available,
    is_torchelastic_launched,
    is_ucc_available,
    is_xccl_available,
    new_group,
)
from .constants import default_pg_nccl_timeout, default_pg_timeout
from .rendezvous import register_rendezvous_handler, rendezvous

__all__ = [
    "AllToAllOptions", "AllreduceCoalescedOptions", "AllreduceOptions", "Backend", "BackendConfig", "BarrierOptions",
    "BroadcastOptions", "DebugLevel", "GatherOptions", "GroupMember", "GroupName", "P2POp", "PrefixStore",
    "ProcessGroup", "ProcessGroupGloo", "ReduceOp", "ReduceOptions", "ReduceScatterOptions", "ScatterOptions", "Store",
    "Work", "all_gather", "all_gather_coalesced", "all_gather_into_tensor", "all_gather_object", "all_gather_single",
    "all_reduce", "all_reduce_coalesced", "all_to_all", "all_to_all_single", "barrier", "batch_isend_irecv",
    "broadcast", "broadcast_object_list", "default_pg_timeout", "destroy_process_group", "gather", "gather_object",
    "get_backend", "get_backend_config", "get_debug_level", "get_default_backend_for_device", "get_global_rank",
    "get_group_rank", "get_node_local_rank", "get_pg_count", "get_process_group_ranks", "get_rank", "get_world_size",
    "group", "init_process_group", "irecv", "is_backend_available", "is_gloo_available", "is_initialized",
    "is_mpi_available", "is_nccl_available", "is_torchelastic_launched", "is_ucc_available", "is_xccl_available",
    "isend", "monitored_barrier", "new_group", "new_subgroups", "new_subgroups_by_enumeration", "record_comm", "recv",
    "recv_object_list", "reduce", "reduce_op", "reduce_scatter", "reduce_scatter_single", "reduce_scatter_tensor",
    "scatter", "scatter_object_list", "send", "send_object_list", "shrink_group", "split_group", "supports_complex",
]  # fmt: skip

# What programs take from here beyond `import *`.
_ALSO = (
    AllgatherOptions, BackendBase, DistBackendError, DistError, DistNetworkError, DistStoreError, FileStore, HashStore,
    QueueEmptyError, TCPStore, _CoalescingManager, _all_gather_base, _coalescing_manager, _get_default_group,
    _make_nccl_premul_sum, _object_to_tensor, _rank_not_in_group, _reduce_scatter_base, _resolve_process_group,
    _tensor_to_object, _warn_not_in_group, default_pg_nccl_timeout, register_rendezvous_handler, rendezvous,
)  # fmt: skip


def GroupName(name: str) -> str:  # noqa: N802
    """Mark text as the name of a group."""
    return name


class _reduce_op:  # noqa: N801
    """The older form of ``ReduceOp``."""

    def __init__(self) -> None:
        self.__members__ = ReduceOp.RedOpType.__members__

    def __getattr__(self, name: str) -> ReduceOp.RedOpType:
        import warnings

        if name not in ReduceOp.RedOpType.__members__:
            raise AttributeError(f"'_reduce_op' object has no attribute '{name}'")
        warnings.warn(
            "torch.distributed.reduce_op is deprecated, please use torch.distributed.ReduceOp instead",
            FutureWarning,
            stacklevel=2,
        )
        return ReduceOp.RedOpType[name]


reduce_op = _reduce_op()
# The function hides the module of the same name, which the imports above have put into the package.
sys.modules[__package__].rendezvous = rendezvous




def __getattr__(name: str) -> object:
    tables = {
        "_pg_map": "pg_map",
        "_pg_names": "pg_names",
        "_pg_group_ranks": "pg_group_ranks",
        "_pg_backend_map": "pg_backend_config",
    }
    if name in tables:
        return getattr(_world, tables[name])
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
