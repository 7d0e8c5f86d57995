"""The process groups of this process: the default one, those made from it, and what is known of each."""

from __future__ import annotations

import os
import warnings
from datetime import timedelta

import torch

from ._backend_names import Backend, BackendConfig
from ._backends import ProcessGroup
from ._options import BarrierOptions
from ._stores import PrefixStore, Store
from .constants import default_pg_timeout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._transport import Endpoint

__all__ = [
    "GroupMember",
    "destroy_process_group",
    "get_backend",
    "get_backend_config",
    "get_default_backend_for_device",
    "get_global_rank",
    "get_group_rank",
    "get_node_local_rank",
    "get_pg_count",
    "get_process_group_ranks",
    "get_rank",
    "get_world_size",
    "group",
    "init_process_group",
    "is_backend_available",
    "is_gloo_available",
    "is_initialized",
    "is_mpi_available",
    "is_nccl_available",
    "is_torchelastic_launched",
    "is_ucc_available",
    "is_xccl_available",
    "new_group",
]

_NOT_INITIALIZED = "Default process group has not been initialized, please make sure to call init_process_group."


class _World:
    """Everything that is known about groups; emptied when the default one is destroyed."""

    def __init__(self) -> None:
        self.default_pg: ProcessGroup | None = None
        self.forget()

    def forget(self) -> None:
        self.default_pg = None
        self.pg_map: dict[ProcessGroup, tuple[str, Store]] = {}
        self.pg_names: dict[ProcessGroup, str] = {}
        self.pg_group_ranks: dict[ProcessGroup, dict[int, int]] = {}
        self.pg_backend_config: dict[ProcessGroup, str] = {}
        self.pg_to_tag: dict[ProcessGroup, str] = {}
        self.tags_to_pg: dict[str, list[ProcessGroup]] = {}
        self.pg_coalesce_state: dict[ProcessGroup, list[Any]] = {}
        self.group_count = 0
        self.endpoint: Endpoint | None = None


_world = _World()


class _WorldMeta(type):
    """``group.WORLD`` is the default group of the moment."""

    @property
    def WORLD(cls) -> ProcessGroup | None:  # noqa: N802
        return _world.default_pg

    @WORLD.setter
    def WORLD(cls, value: ProcessGroup | None) -> None:  # noqa: N802
        _world.default_pg = value


class group(metaclass=_WorldMeta):  # noqa: N801
    """``group.WORLD`` is the default process group, or None before there is one."""


class GroupMember(metaclass=_WorldMeta):
    """``GroupMember.NON_GROUP_MEMBER`` stands for a group that this process is no part of."""

    NON_GROUP_MEMBER = -100


for _kind in (group, GroupMember):
    _kind.__module__ = "torch.distributed.distributed_c10d"


def is_initialized() -> bool:
    """Whether there is a default process group."""
    return _world.default_pg is not None


def is_gloo_available() -> bool:
    """Whether the backend for processors is there: it is."""
    return True


def is_nccl_available() -> bool:
    """Whether NCCL is there: it is not."""
    return False


def is_ucc_available() -> bool:
    """Whether UCC is there: it is not."""
    return False


def is_xccl_available() -> bool:
    """Whether XCCL is there: it is not."""
    return False


def is_mpi_available() -> bool:
    """Whether the package mpi4py is there, by which the backend ``"mpi"`` works."""
    from importlib.util import find_spec

    return find_spec("mpi4py") is not None


def is_backend_available(backend: str) -> bool:
    """Whether a backend of this name can be used."""
    known = {"gloo": True, "fake": True, "mpi": is_mpi_available()}
    return known.get(backend.lower(), backend.upper() in Backend._plugins)


def is_torchelastic_launched() -> bool:
    """Whether torchrun started this process."""
    return os.environ.get("TORCHELASTIC_RUN_ID") is not None


def get_default_backend_for_device(device: str | torch.device) -> str:
    """The name of the backend that serves a device unless another one is asked for."""
    kind = device.type if isinstance(device, torch.device) else torch.device(device).type
    name = Backend.default_device_backend_map.get(kind)
    if name is None:
        raise ValueError(f"Default backend not registered for device : {device}")
    return name


# Members and numbers


def _get_default_group() -> ProcessGroup:
    if _world.default_pg is None:
        raise ValueError(_NOT_INITIALIZED)
    return _world.default_pg


def _rank_not_in_group(group: Any) -> bool:
    return group is not None and group == GroupMember.NON_GROUP_MEMBER


def _warn_not_in_group(name: str) -> None:
    rank = _get_default_group().rank()
    warnings.warn(
        f"Running {name} on global rank {rank} which does not belong to the given group.", stacklevel=4
    )


def _known(group: Any) -> ProcessGroup:
    pg = _get_default_group() if group is None else group
    if pg not in _world.pg_map:
        raise ValueError("Invalid process group specified")
    return pg


def get_rank(group: ProcessGroup | None = None) -> int:
    """This process's rank in a group (the default one without argument), or -1 if it is no member."""
    if _rank_not_in_group(group):
        return -1
    default = _get_default_group()
    return default.rank() if group is None or group is default else group.rank()


def get_world_size(group: ProcessGroup | None = None) -> int:
    """How many processes a group has, or -1 if this one is no member."""
    if _rank_not_in_group(group):
        return -1
    return (_get_default_group() if group is None else group).size()


def get_backend_config(group: ProcessGroup | None = None) -> str:
    """Devices and backends of a group, as ``"cpu:gloo,cuda:gloo"``."""
    return _world.pg_backend_config[_known(group)]


def get_backend(group: ProcessGroup | None = None) -> Backend:
    """The name of a group's backend."""
    return Backend(_world.pg_map[_known(group)][0])


def get_pg_count() -> int:
    """How many groups there are."""
    return len(_world.pg_map)


def get_process_group_ranks(group: ProcessGroup | None) -> list[int]:
    """The global ranks of a group's members, in the order of their ranks in it."""
    return list(_world.pg_group_ranks[_get_default_group() if group is None else group])


def get_group_rank(group: ProcessGroup, global_rank: int) -> int:
    """The rank in a group of a global rank; ValueError if it is no member."""
    if group is GroupMember.WORLD:
        return global_rank
    if group not in _world.pg_group_ranks:
        raise ValueError(f"Group {group} is not registered, please create group with torch.distributed.new_group API")
    ranks = _world.pg_group_ranks[group]
    if global_rank not in ranks:
        raise ValueError(f"Global rank {global_rank} is not part of group {group}")
    return ranks[global_rank]


def get_global_rank(group: ProcessGroup, group_rank: int) -> int:
    """The global rank of a rank in a group; ValueError if there is no such rank."""
    if group is GroupMember.WORLD:
        return group_rank
    if group not in _world.pg_group_ranks:
        raise ValueError(f"Group {group} is not registered, please create group with torch.distributed.new_group API")
    for global_rank, rank in _world.pg_group_ranks[group].items():
        if rank == group_rank:
            return global_rank
    raise ValueError(f"Group rank {group_rank} is not part of group {group}")


def get_node_local_rank(fallback_rank: int | None = None) -> int:
    """This process's number on its machine, which torchrun puts into ``LOCAL_RANK``.

    Raises:
        RuntimeError: it is not there, and no other number is given.
    """
    if "LOCAL_RANK" in os.environ:
        return int(os.environ["LOCAL_RANK"])
    if fallback_rank is not None:
        return int(fallback_rank)
    raise RuntimeError(
        "LOCAL_RANK is not in the environment. Consider passing fallback_rank to allow `get_node_local_rank` to work, "
        "assuming you are not running in a multi-device context and want the code to run locally instead."
    )


def _resolve_process_group(name: str) -> ProcessGroup:
    """The group with this name; RuntimeError if there is none."""
    for pg, other in _world.pg_names.items():
        if other == name:
            return pg
    raise RuntimeError(f"Could not resolve the process group registered under the name {name}")


# Making groups


def _check_timeout(timeout: Any) -> timedelta:
    if timeout is None:
        return default_pg_timeout
    if not isinstance(timeout, timedelta):
        raise TypeError(f"Expected timeout argument to be of type datetime.timedelta, got {timeout}")
    return timeout


class _BackendOptions:
    """What the function that makes a registered backend with ``extended_api`` is told."""

    def __init__(self, store: Store, rank: int, ranks: list[int], timeout: timedelta, name: str) -> None:
        self.store = store
        self.group_rank = rank
        self.group_size = len(ranks)
        self.timeout = timeout
        self.group_id = name
        self.global_ranks_in_group = ranks


def _make_backend(
    name: str, kind: str, store: Store, rank: int, ranks: list[int], timeout: timedelta, group: str, options: Any
) -> Any:
    upper = name.upper()
    if upper in Backend._plugins:
        plugin = Backend._plugins[upper]
        if plugin.extended_api:
            return plugin.creator_fn(_BackendOptions(store, rank, ranks, timeout, group), options)
        return plugin.creator_fn(store, rank, len(ranks), timeout)
    if name == Backend.GLOO:
        from ._gloo import ProcessGroupGloo

        if options is not None and getattr(options, "_timeout", None) is not None:
            timeout = options._timeout
        endpoint = _world_endpoint(timeout)
        return ProcessGroupGloo(
            store, rank, len(ranks), timeout, endpoint=endpoint, ranks=ranks, name=f"{group}/{kind}"
        )
    if name == Backend.FAKE:
        from ._fake import FakeProcessGroup

        return FakeProcessGroup(rank, len(ranks))
    if name == Backend.NCCL:
        raise RuntimeError("Distributed package doesn't have NCCL built in")
    if name == Backend.XCCL:
        raise RuntimeError("Distributed package doesn't have XCCL built in")
    assert name != Backend.UCC, "Unknown c10d backend type UCC"
    raise AssertionError(f"Unknown backend type {name}")


def _world_endpoint(timeout: timedelta) -> Endpoint:
    """The connections that all groups of this world share; every process has to ask for them at the same time."""
    from ._transport import Endpoint

    if _world.endpoint is None:
        store = _world_store
        assert store is not None
        _world.endpoint = Endpoint(PrefixStore("transport", store), _world_rank, _world_size, timeout.total_seconds())
    return _world.endpoint


_world_store: Store | None = None
_world_rank, _world_size = 0, 1


def _register(
    pg: ProcessGroup, name: str, backend: str, config: BackendConfig, store: Store, ranks: list[int], desc: str | None
) -> None:
    pg._set_group_name(name)
    pg._set_group_desc("undefined" if desc is None else desc)
    _world.pg_map[pg] = (backend, store)
    _world.pg_names[pg] = name
    _world.pg_group_ranks[pg] = {rank: index for index, rank in enumerate(ranks)}
    _world.pg_backend_config[pg] = str(config)
    tag = f"ptd:{name}"
    _world.tags_to_pg.setdefault("", []).append(pg)
    _world.tags_to_pg.setdefault(tag, []).append(pg)
    _world.pg_to_tag[pg] = tag


def _make_group(
    ranks: list[int],
    rank: int,
    backend: str,
    store: Store,
    name: str,
    timeout: timedelta,
    options: Any,
    desc: str | None,
) -> ProcessGroup:
    prefixed = PrefixStore(f"{name}/", store)
    if backend == Backend.MPI:
        from ._mpi import ProcessGroupMPI

        found = ProcessGroupMPI.of(ranks)
        config = BackendConfig(Backend(backend))
        pg = ProcessGroup(prefixed, rank, len(ranks))
        for kind in config.device_backend_map:
            pg._register_backend(torch.device(kind), None, found)
        _register(pg, name, backend, config, store, ranks, desc)
        return pg
    config = BackendConfig(Backend(backend))
    pg = ProcessGroup(prefixed, rank, len(ranks))
    made: dict[str, Any] = {}
    for kind, which in config.device_backend_map.items():
        if which not in made:
            made[which] = _make_backend(which, kind, prefixed, rank, ranks, timeout, name, options)
            if type(made[which]) is not ProcessGroup and isinstance(made[which], ProcessGroup):
                # A group written in Python takes the place of ours, and is asked for everything itself.
                pg = made[which] if len(config.device_backend_map) == 1 or len(set(made)) == 1 else pg
                if not hasattr(pg, "_backends"):
                    ProcessGroup.__init__(pg, rank, len(ranks))
        if pg is not made[which]:
            pg._register_backend(kind, Backend.backend_type_map.get(which), made[which])
    _register(pg, name, backend, config, store, ranks, desc)
    return pg


def _named_store(pg: ProcessGroup) -> Store:
    return _world.pg_map[pg][1]


def init_process_group(
    backend: str | None = None,
    init_method: str | None = None,
    timeout: timedelta | None = None,
    world_size: int = -1,
    rank: int = -1,
    store: Store | None = None,
    group_name: str = "",
    pg_options: Any = None,
    device_id: torch.device | int | None = None,
    _ranks: list[int] | None = None,
) -> None:
    """Make the default process group; returns when all ``world_size`` processes have come.

    They meet by ``store``, or by ``init_method``: ``"env://"`` (the default) reads RANK, WORLD_SIZE, MASTER_ADDR and
    MASTER_PORT of the environment, ``"tcp://host:port"`` is served by rank 0, ``"file:///path"`` is a file that all
    can write. ``backend`` is ``"gloo"`` (the default), ``"mpi"`` where mpi4py is installed, ``"fake"`` for trials in
    one process, or one that was registered. ``timeout`` (30 minutes) holds for each collective.

    Raises:
        ValueError: there is a default group already, or something is missing from the URL or the environment.
        RuntimeError: the backend is not there, or the processes did not meet.
    """
    global _world_store, _world_rank, _world_size
    if _world.default_pg is not None:
        raise ValueError("trying to initialize the default process group twice!")
    assert store is None or init_method is None, "Cannot specify both init_method and store."
    if store is not None:
        assert world_size > 0, "world_size must be positive if using store"
        assert rank >= 0, "rank must be non-negative if using store"
    name = Backend(Backend.UNDEFINED if backend is None else backend)
    seconds = _check_timeout(timeout)
    if name == Backend.MPI:
        from ._mpi import ProcessGroupMPI

        _world_rank, _world_size = ProcessGroupMPI.world()
        from ._stores import HashStore

        store = HashStore()
    elif name == Backend.FAKE and store is None and rank >= 0 and world_size > 0:
        from ._stores import HashStore

        store, _world_rank, _world_size = HashStore(), rank, world_size
    else:
        if store is None:
            from .rendezvous import rendezvous

            store, rank, world_size = next(
                rendezvous("env://" if init_method is None else init_method, rank, world_size, timeout=seconds)
            )
            store.set_timeout(seconds)
            store = PrefixStore("default_pg", store)
        _world_rank, _world_size = rank, world_size
    _world_store = store
    try:
        ranks = list(range(_world_size))
        pg = _make_group(ranks, _world_rank, name, store, "0", seconds, pg_options, "default_pg")
    except BaseException:
        _world.forget()
        raise
    if device_id is not None:
        pg.bound_device_id = torch.device(device_id)
    _world.group_count = 1
    _world.default_pg = pg


def new_group(
    ranks: list[int] | None = None,
    timeout: timedelta | None = None,
    backend: str | None = None,
    pg_options: Any = None,
    use_local_synchronization: bool = False,
    group_desc: str | None = None,
    device_id: torch.device | None = None,
    sort_ranks: bool = True,
) -> Any:
    """Make a group of some processes; all of the default group have to call it, members or not.

    Returns the group, or ``GroupMember.NON_GROUP_MEMBER``. With ``use_local_synchronization`` only members call it.
    ``sort_ranks=False`` numbers the members as they are listed.

    Raises:
        ValueError: ranks out of range or listed twice.
    """
    default = _get_default_group()
    seconds = _check_timeout(timeout)
    default_backend, default_store = _world.pg_map[default]
    size = default.size()
    name = Backend(default_backend if backend is None else backend)
    if ranks is None:
        members = list(range(size))
    else:
        members = [int(rank) for rank in ranks]
        if len(set(members)) != len(members):
            raise ValueError(f"ranks list must not contain duplicate entries, got {members}")
        for member in members:
            if not 0 <= member < size:
                raise ValueError(f"Rank {member} is out of range. Valid ranks are 0 to {size - 1} (world_size={size})")
        if sort_ranks:
            members.sort()
    if use_local_synchronization:
        from hashlib import sha1

        base = sha1("_".join(map(str, members)).encode()).hexdigest()
        taken = set(_world.pg_names.values())
        group_name, again = base, 0
        while group_name in taken:
            again += 1
            group_name = f"{base}_{again}"
    else:
        group_name = str(_world.group_count)
        _world.group_count += 1
    if name == Backend.MPI:
        # all processes have to make the communicator
        from ._mpi import ProcessGroupMPI

        ProcessGroupMPI.of(members)
    me = default.rank()
    if me not in members:
        # what is wrong with the backend is an error for everybody
        for which in BackendConfig(Backend(name)).device_backend_map.values():
            if which in (Backend.NCCL, Backend.XCCL, Backend.UCC):
                _make_backend(which, "cpu", default_store, 0, members, seconds, group_name, pg_options)
            if which == Backend.GLOO and not use_local_synchronization:
                _world_endpoint(seconds)  # the members wait for everybody's, if there is none yet
        # those who are no members may ask for the last group's ranks
        _world.pg_group_ranks[GroupMember.NON_GROUP_MEMBER] = {rank: at for at, rank in enumerate(members)}  # type: ignore[index]
        return GroupMember.NON_GROUP_MEMBER
    return _make_group(
        members, members.index(me), name, default_store, group_name, seconds, pg_options, group_desc
    )


def destroy_process_group(group: ProcessGroup | None = None) -> None:
    """Forget a group; without argument all of them, and close the connections.

    Raises:
        AssertionError: there is none.
        ValueError: it is no group.
    """
    if group is not None and _rank_not_in_group(group):
        return
    pg = _world.default_pg if group is None else group
    assert pg is not None, "Process group cannot be None"
    if pg not in _world.pg_map:
        raise ValueError("Invalid process group specified")
    if pg is _world.default_pg:
        for other in reversed(list(_world.pg_map)):
            other.shutdown()
        if _world.endpoint is not None:
            _world.endpoint.close()
        _forget_all()
        return
    pg.shutdown()
    for table in (_world.pg_map, _world.pg_names, _world.pg_group_ranks, _world.pg_backend_config):
        table.pop(pg, None)
    tag = _world.pg_to_tag.pop(pg)
    for key in ("", tag):
        if pg in _world.tags_to_pg.get(key, []):
            _world.tags_to_pg[key].remove(pg)


def _forget_all() -> None:
    global _world_store
    _world.forget()
    _world_store = None


def _barrier_of_all(group: ProcessGroup | None = None) -> None:
    opts = BarrierOptions()
    opts.asyncOp = False
    (_get_default_group() if group is None else group).barrier(opts).wait()
