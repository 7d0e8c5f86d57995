"""The agent whose workers are processes of its machine."""

from __future__ import annotations

from torch.distributed.elastic.multiprocessing import LogsSpecs, PContext, start_processes
from torch.distributed.elastic.utils import macros

from .api import RunResult, SimpleElasticAgent, WorkerGroup, WorkerSpec, WorkerState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["TORCHELASTIC_ENABLE_FILE_TIMER", "TORCHELASTIC_TIMER_FILE", "LocalElasticAgent"]

TORCHELASTIC_ENABLE_FILE_TIMER = "TORCHELASTIC_ENABLE_FILE_TIMER"
TORCHELASTIC_TIMER_FILE = "TORCHELASTIC_TIMER_FILE"


class LocalElasticAgent(SimpleElasticAgent):
    """Starts workers as processes: programs, or functions by ``start_method``."""

    def __init__(
        self,
        spec: WorkerSpec,
        logs_specs: LogsSpecs,
        start_method: str = "spawn",
        exit_barrier_timeout: float = 300,
        log_line_prefix_template: str | None = None,
        health_check_server: Any = None,
        shutdown_timeout: int = 30,
    ) -> None:
        super().__init__(spec, exit_barrier_timeout, shutdown_timeout)
        self._start_method = start_method
        self._logs_specs = logs_specs
        self._template = log_line_prefix_template
        self._context: PContext | None = None

    def _start_workers(self, worker_group: WorkerGroup) -> dict[int, Any]:
        spec = worker_group.spec
        args, envs, prefixes = {}, {}, {}
        for worker in worker_group.workers:
            rank = worker.local_rank
            args[rank] = tuple(macros.substitute(list(spec.args), str(rank)))
            envs[rank] = self._environment(worker, worker_group)
            if self._template is not None:
                from string import Template

                names = {"role_name": spec.role, "rank": worker.global_rank, "local_rank": rank}
                prefixes[rank] = Template(self._template).safe_substitute(names)
        assert spec.entrypoint is not None
        self._context = start_processes(
            spec.role, spec.entrypoint, args, envs, self._logs_specs, prefixes or None, self._start_method,
            spec.numa_options, spec.duplicate_stdout_filters, spec.duplicate_stderr_filters,
        )  # fmt: skip
        return self._context.pids()

    def _stop_workers(self, worker_group: WorkerGroup) -> None:
        self._shutdown(timeout=self._shutdown_timeout)

    def _shutdown(self, death_sig: Any = None, timeout: int = 30) -> None:
        if self._context is not None:
            self._context.close(death_sig, timeout)
            self._context = None

    def _monitor_workers(self, worker_group: WorkerGroup) -> RunResult:
        assert self._context is not None
        result = self._context.wait(0)
        if result is None:
            return RunResult(WorkerState.HEALTHY)
        ranks = {worker.local_rank: worker.global_rank for worker in worker_group.workers}
        if result.is_failed():
            failures = {ranks[local]: failure for local, failure in result.failures.items()}
            return RunResult(WorkerState.FAILED, failures=failures)
        values = {ranks[local]: value for local, value in result.return_values.items()}
        return RunResult(WorkerState.SUCCEEDED, return_values=values)
