"""What an agent does: it meets the others, starts its workers, watches them, and starts all again when one fails."""

from __future__ import annotations

import abc
import json
import logging
import os
import time
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum

from torch.distributed.elastic.multiprocessing import ProcessFailure, SignalException

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from torch.distributed import Store
    from torch.distributed.elastic.rendezvous import RendezvousHandler

__all__ = [
    "ElasticAgent",
    "RunResult",
    "SimpleElasticAgent",
    "Worker",
    "WorkerGroup",
    "WorkerSpec",
    "WorkerState",
]

_log = logging.getLogger(__name__)


@dataclass
class WorkerSpec:
    """What is to be run: how many workers on this machine, what they run, and how the machines meet."""

    role: str
    local_world_size: int
    rdzv_handler: RendezvousHandler
    fn: Callable[..., Any] | None = None
    entrypoint: Callable[..., Any] | str | None = None
    args: tuple[Any, ...] = ()
    max_restarts: int = 3
    monitor_interval: float = 0.1
    master_port: int | None = None
    master_addr: str | None = None
    local_addr: str | None = None
    event_log_handler: str = "null"
    numa_options: Any = None
    duplicate_stdout_filters: list[str] | None = None
    duplicate_stderr_filters: list[str] | None = None
    virtual_local_rank: bool = False

    def __post_init__(self) -> None:
        assert self.local_world_size > 0
        assert self.monitor_interval > 0
        if self.fn is not None:
            self.entrypoint = self.fn
        assert self.entrypoint

    def get_entrypoint_name(self) -> str:
        """The name of what is run."""
        if isinstance(self.entrypoint, str):
            return self.entrypoint.rsplit("/", 1)[-1]
        return self.entrypoint.__qualname__  # type: ignore[union-attr]


class Worker:
    """One worker and its ranks."""

    def __init__(
        self,
        local_rank: int,
        global_rank: int = -1,
        role_rank: int = -1,
        world_size: int = -1,
        role_world_size: int = -1,
    ) -> None:
        self.id: Any = None
        self.local_rank = local_rank
        self.global_rank = global_rank
        self.role_rank = role_rank
        self.world_size = world_size
        self.role_world_size = role_world_size

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value}" for name, value in vars(self).items())
        return f"Worker({fields})"


class WorkerState(str, Enum):
    """How a group of workers stands."""

    UNKNOWN = "UNKNOWN"
    INIT = "INIT"
    HEALTHY = "HEALTHY"
    UNHEALTHY = "UNHEALTHY"
    STOPPED = "STOPPED"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"

    @staticmethod
    def is_running(state: WorkerState) -> bool:
        """Whether workers with this state run."""
        return state in (WorkerState.HEALTHY, WorkerState.UNHEALTHY)


class WorkerGroup:
    """The workers of one machine."""

    def __init__(self, spec: WorkerSpec) -> None:
        self.spec = spec
        self.workers = [Worker(local_rank) for local_rank in range(spec.local_world_size)]
        self.store: Store | None = None
        self.group_rank: int | None = None
        self.group_world_size: int | None = None
        self.master_addr: str | None = None
        self.master_port: int | None = None
        self.state = WorkerState.INIT


@dataclass
class RunResult:
    """How it ended: what the workers returned or how they failed, by global rank."""

    state: WorkerState
    return_values: dict[int, Any] = field(default_factory=dict)
    failures: dict[int, ProcessFailure] = field(default_factory=dict)

    def is_failed(self) -> bool:
        """Whether the workers failed."""
        return self.state is WorkerState.FAILED


class ElasticAgent(abc.ABC):
    """What manages the workers of a machine."""

    @abc.abstractmethod
    def run(self, role: str = "default") -> RunResult:
        """Run the workers to their end."""

    @abc.abstractmethod
    def get_worker_group(self, role: str = "default") -> WorkerGroup:
        """The workers."""


class SimpleElasticAgent(ElasticAgent):
    """An agent for workers of one role; a subclass says how they are started, watched and stopped."""

    def __init__(self, spec: WorkerSpec, exit_barrier_timeout: float = 300, shutdown_timeout: int = 30) -> None:
        self._worker_group = WorkerGroup(spec)
        self._remaining_restarts = spec.max_restarts
        self._exit_barrier_timeout = exit_barrier_timeout
        self._shutdown_timeout = shutdown_timeout
        self._store: Store | None = None

    @abc.abstractmethod
    def _start_workers(self, worker_group: WorkerGroup) -> dict[int, Any]: ...

    @abc.abstractmethod
    def _stop_workers(self, worker_group: WorkerGroup) -> None: ...

    @abc.abstractmethod
    def _monitor_workers(self, worker_group: WorkerGroup) -> RunResult: ...

    @abc.abstractmethod
    def _shutdown(self, death_sig: Any = None, timeout: int = 30) -> None: ...

    def get_worker_group(self, role: str = "default") -> WorkerGroup:
        return self._worker_group

    def _rendezvous(self, group: WorkerGroup) -> None:
        spec = group.spec
        info = spec.rdzv_handler.next_rendezvous()
        group.store = self._store = info.store
        group.group_rank, group.group_world_size = info.rank, info.world_size
        place = info.bootstrap_store_info
        assert place is not None
        group.master_addr = spec.master_addr or place.master_addr
        group.master_port = spec.master_port or place.master_port
        # Each machine tells how many workers it has; ranks follow from that.
        mine = {"role": spec.role, "workers": spec.local_world_size}
        info.store.set(f"agent/{info.rank}", json.dumps(mine))
        agents = [json.loads(info.store.get(f"agent/{rank}")) for rank in range(info.world_size)]
        world = sum(agent["workers"] for agent in agents)
        before = sum(agent["workers"] for agent in agents[: info.rank])
        same = [agent["workers"] if agent["role"] == spec.role else 0 for agent in agents]
        group.workers = [
            Worker(rank, before + rank, sum(same[: info.rank]) + rank, world, sum(same))
            for rank in range(spec.local_world_size)
        ]

    def _initialize_workers(self, group: WorkerGroup) -> None:
        self._rendezvous(group)
        for local_rank, worker_id in self._start_workers(group).items():
            group.workers[local_rank].id = worker_id
        group.state = WorkerState.HEALTHY

    def _restart_workers(self, group: WorkerGroup) -> None:
        self._stop_workers(group)
        group.state = WorkerState.STOPPED
        self._initialize_workers(group)

    def run(self, role: str = "default") -> RunResult:
        stopped = False
        try:
            result = self._invoke_run(role)
            stopped = True
            return result
        except SignalException as told:
            self._shutdown(told.sigval, self._shutdown_timeout)
            stopped = True
            raise
        finally:
            if not stopped:
                self._shutdown(timeout=self._shutdown_timeout)
            self._worker_group.spec.rdzv_handler.shutdown()

    def _others_restart(self) -> bool:
        return self._store is not None and self._store.check(["restart"])

    def _invoke_run(self, role: str = "default") -> RunResult:
        group = self._worker_group
        spec = group.spec
        self._initialize_workers(group)
        while True:
            time.sleep(spec.monitor_interval)
            result = self._monitor_workers(group)
            group.state = result.state
            if result.state is WorkerState.SUCCEEDED:
                self._exit_barrier()
                return result
            if result.state in (WorkerState.UNHEALTHY, WorkerState.FAILED):
                if self._remaining_restarts <= 0:
                    self._stop_workers(group)
                    group.state = WorkerState.FAILED
                    return result
                _log.info("starting the workers again; %s more times are left", self._remaining_restarts - 1)
                self._remaining_restarts -= 1
                if self._store is not None:
                    self._store.set("restart", "1")
                self._restart_workers(group)
            elif self._others_restart() or spec.rdzv_handler.num_nodes_waiting() > 0:
                self._restart_workers(group)

    def _exit_barrier(self) -> None:
        """Wait for the other agents: the one that serves the store must not leave before them."""
        size = self._worker_group.group_world_size or 1
        if size == 1 or self._store is None:
            return
        try:
            self._store.barrier("exit", size, timedelta(seconds=self._exit_barrier_timeout))
        except RuntimeError:
            _log.warning("not all agents came to the end in time", exc_info=True)

    def _environment(self, worker: Worker, group: WorkerGroup) -> dict[str, str]:
        spec = group.spec
        values = {
            "LOCAL_RANK": 0 if spec.virtual_local_rank else worker.local_rank,
            "RANK": worker.global_rank,
            "GROUP_RANK": group.group_rank,
            "ROLE_RANK": worker.role_rank,
            "ROLE_NAME": spec.role,
            "LOCAL_WORLD_SIZE": spec.local_world_size,
            "WORLD_SIZE": worker.world_size,
            "GROUP_WORLD_SIZE": group.group_world_size,
            "ROLE_WORLD_SIZE": worker.role_world_size,
            "MASTER_ADDR": group.master_addr,
            "MASTER_PORT": group.master_port,
            "TORCHELASTIC_RESTART_COUNT": spec.max_restarts - self._remaining_restarts,
            "TORCHELASTIC_MAX_RESTARTS": spec.max_restarts,
            "TORCHELASTIC_RUN_ID": spec.rdzv_handler.get_run_id(),
            "TORCHELASTIC_USE_AGENT_STORE": spec.rdzv_handler.use_agent_store and spec.master_port is None,
            "TORCH_NCCL_ASYNC_ERROR_HANDLING": os.environ.get("TORCH_NCCL_ASYNC_ERROR_HANDLING", "1"),
        }
        if "OMP_NUM_THREADS" in os.environ:
            values["OMP_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"]
        return {name: str(value) for name, value in values.items()}
