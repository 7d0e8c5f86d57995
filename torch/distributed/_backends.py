"""``ProcessGroup``, which hands each collective to the backend of its tensors' device, and what a backend is."""

from __future__ import annotations

from datetime import timedelta
from enum import Enum

import torch

from ._options import (
    AllgatherOptions,
    AllreduceCoalescedOptions,
    AllreduceOptions,
    AllToAllOptions,
    BarrierOptions,
    BroadcastOptions,
    GatherOptions,
    ReduceOp,
    ReduceOptions,
    ReduceScatterOptions,
    ScatterOptions,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ._stores import Store
    from ._work import Work

__all__ = ["BackendBase", "ProcessGroup"]


class BackendBase:
    """What carries out the collectives of one group for some devices; a new backend is a subclass."""

    class Options:
        """How a backend is set up."""

        def __init__(self, backend: str, timeout: timedelta = timedelta(minutes=30)) -> None:
            self.backend = backend
            self._timeout = timeout
            self.global_ranks_in_group: list[int] = []
            self.group_name = ""

    supports_splitting = False
    supports_coalescing = False
    supports_shrinking = False

    def __init__(self, rank: int, size: int) -> None:
        self._rank = rank
        self._size = size

    def rank(self) -> int:
        return self._rank

    def size(self) -> int:
        return self._size

    def name(self) -> str:
        return type(self).__name__

    def getBackendName(self) -> str:  # noqa: N802
        return self.name()

    def shutdown(self) -> None:
        """Give back what the backend holds."""

    def abort(self) -> None:
        """Stop at once."""
        self.shutdown()


class BackendType(Enum):
    UNDEFINED = 0
    GLOO = 1
    NCCL = 2
    UCC = 3
    MPI = 4
    XCCL = 5
    CUSTOM = 6


def _first_tensor(value: Any) -> torch.Tensor:
    while isinstance(value, (list, tuple)):
        if not value:
            return torch.empty(0)
        value = value[0]
    return value


def _forwarded(name: str, options: Callable[[], Any] | None, leading: int) -> Callable[..., Any]:
    """A method that finds the backend by the first tensors, and fills in the options."""

    def method(self: ProcessGroup, *args: Any, **kwargs: Any) -> Any:
        if "opts" in kwargs:
            args = (*args, kwargs.pop("opts"))
        args = tuple([arg] if isinstance(arg, torch.Tensor) and name in _LISTS else arg for arg in args)
        tensors = next((arg for arg in args[:leading] if not isinstance(arg, (list, tuple)) or arg), args[0])
        backend = self._get_backend(_first_tensor(tensors).device)
        if options is not None and len(args) == leading:
            chosen = options()
            chosen.asyncOp = True
            args = (*args, chosen)
        elif isinstance(args[-1], (ReduceOp, ReduceOp.RedOpType)):
            chosen = options()  # type: ignore[misc]
            chosen.reduceOp = args[-1]
            args = (*args[:-1], chosen)
        return getattr(backend, name)(*args, **kwargs)

    method.__name__ = name
    method.__qualname__ = f"ProcessGroup.{name}"
    method.__doc__ = f"``{name}`` of the backend for the tensors' device; returns its Work."
    return method


_LISTS = frozenset({"allreduce", "broadcast", "reduce", "allreduce_coalesced"})


class ProcessGroup:
    """Some of the processes, numbered from 0, that communicate with each other.

    Made by ``init_process_group`` and ``new_group``. A backend written in Python may be a subclass of it; it then
    does the collectives that it defines itself.
    """

    BackendType = BackendType
    UNDEFINED = BackendType.UNDEFINED
    GLOO = BackendType.GLOO
    NCCL = BackendType.NCCL
    UCC = BackendType.UCC
    MPI = BackendType.MPI
    XCCL = BackendType.XCCL
    CUSTOM = BackendType.CUSTOM

    def __init__(self, *args: Any) -> None:
        if len(args) == 2:
            store, (rank, size) = None, args
        elif len(args) == 3:
            store, rank, size = args
        else:
            raise TypeError(f"ProcessGroup(rank, size) or ProcessGroup(store, rank, size), not {len(args)} arguments")
        self._store: Store | None = store
        self._rank = int(rank)
        self._size = int(size)
        self._name = ""
        self._desc = "undefined"
        self._backends: dict[str, Any] = {}
        self.bound_device_id: torch.device | None = None

    def rank(self) -> int:
        """This process's number in the group."""
        return self._rank

    def size(self) -> int:
        """How many processes there are."""
        return self._size

    def name(self) -> str:
        """The name of the backend for most devices."""
        return self._get_backend_name()

    def get_group_store(self) -> Store:
        """The store that the group was made with."""
        if self._store is None:
            raise RuntimeError("this process group was made without a store")
        return self._store

    @property
    def group_name(self) -> str:
        return self._name

    def _set_group_name(self, name: str) -> None:
        self._name = name

    @property
    def group_desc(self) -> str:
        return self._desc

    def _set_group_desc(self, desc: str) -> None:
        self._desc = desc

    def _id(self) -> int:
        return id(self)

    def boxed(self) -> ProcessGroup:
        """This object."""
        return self

    @staticmethod
    def unbox(group: ProcessGroup) -> ProcessGroup:
        """The same object."""
        return group

    def _register_backend(self, device: torch.device | str, kind: Any, backend: Any = None) -> None:
        self._backends[torch.device(device).type] = backend

    def _set_default_backend(self, kind: Any) -> None:
        self._default = kind

    def _get_backend(self, device: torch.device | str) -> Any:
        kind = torch.device(device).type
        backend = self._backends.get(kind)
        if backend is None:
            if type(self) is not ProcessGroup and not self._backends:
                return self
            raise RuntimeError(f"No backend type associated with device type {kind}")
        return backend

    def _distinct_backends(self) -> list[Any]:
        return list({id(backend): backend for backend in self._backends.values() if backend is not None}.values())

    @property
    def _device_types(self) -> list[torch.device]:
        return [torch.device(kind) for kind in self._backends]

    def _get_backend_name(self) -> str:
        for backend in self._distinct_backends():
            return backend.getBackendName() if hasattr(backend, "getBackendName") else backend.name()
        return "undefined"

    def _backend_id(self, kind: Any) -> int:
        return id(self._backends.get("cpu"))

    def barrier(self, opts: BarrierOptions | None = None) -> Work:
        """Wait for all processes of the group."""
        opts = BarrierOptions() if opts is None else opts
        backends = self._distinct_backends()
        if not backends:
            raise RuntimeError("this process group has no backend")
        if opts.device is not None:
            return self._get_backend(opts.device).barrier(opts)
        return backends[0].barrier(opts)

    def monitored_barrier(self, timeout: timedelta | None = None, wait_all_ranks: bool = False) -> None:
        """Wait for all processes; rank 0 says which have not come in time."""
        return self._get_backend("cpu").monitored_barrier(timeout, wait_all_ranks)

    def recv_anysource(self, tensors: list[torch.Tensor], tag: int) -> Work:
        """Receive from whichever process sends first."""
        return self._get_backend(tensors[0].device).recv_anysource(tensors, tag)

    def set_timeout(self, timeout: timedelta) -> None:
        """How long later collectives may take."""
        for backend in self._distinct_backends():
            backend._set_timeout(timeout)

    def _start_coalescing(self, device: torch.device) -> None:
        start = getattr(self._get_backend(device), "_start_coalescing", None)
        if start is not None:
            start()

    def _end_coalescing(self, device: torch.device) -> Work | None:
        end = getattr(self._get_backend(device), "_end_coalescing", None)
        return end() if end is not None else None

    def shutdown(self) -> None:
        """Give back what the backends hold; no collective may follow."""
        for backend in self._distinct_backends():
            if backend is not self and hasattr(backend, "shutdown"):
                backend.shutdown()

    def abort(self) -> None:
        """The same, at once."""
        self.shutdown()

    allreduce = _forwarded("allreduce", AllreduceOptions, 1)
    allreduce_coalesced = _forwarded("allreduce_coalesced", AllreduceCoalescedOptions, 1)
    broadcast = _forwarded("broadcast", BroadcastOptions, 1)
    reduce = _forwarded("reduce", ReduceOptions, 1)
    allgather = _forwarded("allgather", AllgatherOptions, 2)
    allgather_coalesced = _forwarded("allgather_coalesced", AllgatherOptions, 2)
    _allgather_base = _forwarded("_allgather_base", AllgatherOptions, 2)
    all_gather_single = _forwarded("_allgather_base", AllgatherOptions, 2)
    allgather_into_tensor_coalesced = _forwarded("allgather_into_tensor_coalesced", AllgatherOptions, 2)
    gather = _forwarded("gather", GatherOptions, 2)
    scatter = _forwarded("scatter", ScatterOptions, 2)
    reduce_scatter = _forwarded("reduce_scatter", ReduceScatterOptions, 2)
    _reduce_scatter_base = _forwarded("_reduce_scatter_base", ReduceScatterOptions, 2)
    reduce_scatter_single = _forwarded("_reduce_scatter_base", ReduceScatterOptions, 2)
    reduce_scatter_tensor_coalesced = _forwarded("reduce_scatter_tensor_coalesced", ReduceScatterOptions, 2)
    alltoall = _forwarded("alltoall", AllToAllOptions, 2)
    alltoall_base = _forwarded("alltoall_base", AllToAllOptions, 4)
    all_to_all_single = _forwarded("alltoall_base", AllToAllOptions, 4)
    send = _forwarded("send", None, 3)
    recv = _forwarded("recv", None, 3)


ProcessGroup.__module__ = "torch.distributed.distributed_c10d"
