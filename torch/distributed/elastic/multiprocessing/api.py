"""Starting several workers, waiting for them, ending them."""

from __future__ import annotations

import abc
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from enum import IntFlag

from .errors import ProcessFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = [
    "DefaultLogsSpecs",
    "LogsDest",
    "LogsSpecs",
    "MultiprocessContext",
    "PContext",
    "RunProcsResult",
    "SignalException",
    "Std",
    "SubprocessContext",
    "start_processes",
    "to_map",
]

_SIGNALS = "SIGTERM,SIGINT,SIGHUP,SIGQUIT"
_FORM = re.compile(r"^(\d:[0123],)*(\d:[0123])$")
_SHUTDOWN_SECONDS = 30


class SignalException(Exception):
    """This process was told to end."""

    def __init__(self, msg: str, sigval: signal.Signals) -> None:
        super().__init__(msg)
        self.sigval = sigval


class Std(IntFlag):
    """Streams of a worker that go to a file."""

    NONE = 0
    OUT = 1
    ERR = 2
    ALL = OUT | ERR

    @classmethod
    def from_str(cls, vm: str) -> Std | dict[int, Std]:
        """``"3"`` is both streams of all workers, ``"0:1,1:2"`` says it for each; ValueError for anything else."""
        if vm.isdigit() and int(vm) <= 3:
            return Std(int(vm))
        if _FORM.match(vm):
            return {int(rank): Std(int(value)) for rank, value in (pair.split(":") for pair in vm.split(","))}
        raise ValueError(f"{vm} does not match: <{_FORM.pattern}>")


def to_map(val_or_map: Std | dict[int, Std], local_world_size: int) -> dict[int, Std]:
    """What holds for each worker."""
    if isinstance(val_or_map, Std):
        return dict.fromkeys(range(local_world_size), val_or_map)
    return {rank: val_or_map.get(rank, Std.NONE) for rank in range(local_world_size)}


@dataclass
class LogsDest:
    """Files for each worker's streams and error; an empty name is the console."""

    stdouts: dict[int, str] = field(default_factory=dict)
    stderrs: dict[int, str] = field(default_factory=dict)
    tee_stdouts: dict[int, str] = field(default_factory=dict)
    tee_stderrs: dict[int, str] = field(default_factory=dict)
    error_files: dict[int, str] = field(default_factory=dict)
    filtered_stdout: str = ""
    filtered_stderr: str = ""


class LogsSpecs(abc.ABC):
    """Which streams of which workers go to files: instead of the console (``redirects``) or besides it (``tee``)."""

    def __init__(
        self,
        log_dir: str | None = None,
        redirects: Std | dict[int, Std] = Std.NONE,
        tee: Std | dict[int, Std] = Std.NONE,
        local_ranks_filter: set[int] | None = None,
    ) -> None:
        self._root_log_dir = log_dir
        self._redirects = redirects
        self._tee = tee
        self._local_ranks_filter = local_ranks_filter

    @abc.abstractmethod
    def reify(self, envs: dict[int, dict[str, str]]) -> LogsDest:
        """The files of workers with these environments."""

    @property
    @abc.abstractmethod
    def root_log_dir(self) -> str:
        """The folder of all files."""


class DefaultLogsSpecs(LogsSpecs):
    """Files ``stdout.log``, ``stderr.log`` and ``error.json`` in ``DIR/RUN_.../attempt_N/LOCAL_RANK``."""

    def __init__(
        self,
        log_dir: str | None = None,
        redirects: Std | dict[int, Std] = Std.NONE,
        tee: Std | dict[int, Std] = Std.NONE,
        local_ranks_filter: set[int] | None = None,
    ) -> None:
        if log_dir is not None and log_dir != os.devnull:
            if os.path.isfile(log_dir):
                raise NotADirectoryError(f"log_dir: {log_dir} is a file")
            os.makedirs(log_dir, exist_ok=True)
        super().__init__(log_dir, redirects, tee, local_ranks_filter)
        self._run_log_dir: str | None = None
        self._own_dir: str | None = None

    @property
    def root_log_dir(self) -> str:
        return str(self._root_log_dir)

    def _run_dir(self, run_id: str) -> str:
        if self._run_log_dir is None:
            base = self._root_log_dir
            if not base or base == os.devnull:
                base = self._own_dir = tempfile.mkdtemp(prefix="torchelastic_")
            self._root_log_dir = base
            self._run_log_dir = tempfile.mkdtemp(prefix=f"{run_id}_", dir=base)
        return self._run_log_dir

    def reify(self, envs: dict[int, dict[str, str]]) -> LogsDest:
        found = LogsDest()
        if not envs:
            return found
        first = next(iter(envs.values()))
        run_id, attempt = first.get("TORCHELASTIC_RUN_ID", "run"), first.get("TORCHELASTIC_RESTART_COUNT", "0")
        folder = os.path.join(self._run_dir(run_id), f"attempt_{attempt}")
        shutil.rmtree(folder, ignore_errors=True)
        redirects, tee = to_map(self._redirects, len(envs)), to_map(self._tee, len(envs))
        for rank in envs:
            place = os.path.join(folder, str(rank))
            os.makedirs(place)
            to_file = redirects.get(rank, Std.NONE) | tee.get(rank, Std.NONE)
            hidden = self._local_ranks_filter is not None and rank not in self._local_ranks_filter
            for stream, name, files, tees in (
                (Std.OUT, "stdout.log", found.stdouts, found.tee_stdouts),
                (Std.ERR, "stderr.log", found.stderrs, found.tee_stderrs),
            ):
                path = os.path.join(place, name)
                files[rank] = path if to_file & stream else (os.devnull if hidden else "")
                tees[rank] = path if tee.get(rank, Std.NONE) & stream and not hidden else ""
            found.error_files[rank] = os.path.join(place, "error.json")
            envs[rank]["TORCHELASTIC_ERROR_FILE"] = found.error_files[rank]
        return found

    def __del__(self) -> None:
        own = getattr(self, "_own_dir", None)
        if own is not None:
            shutil.rmtree(own, ignore_errors=True)


@dataclass
class RunProcsResult:
    """What the workers returned, or how they failed, and the files of their streams."""

    return_values: dict[int, Any] = field(default_factory=dict)
    failures: dict[int, ProcessFailure] = field(default_factory=dict)
    stdouts: dict[int, str] = field(default_factory=dict)
    stderrs: dict[int, str] = field(default_factory=dict)

    def is_failed(self) -> bool:
        """Whether any worker failed."""
        return bool(self.failures)


class _Tail(threading.Thread):
    """Shows what is written to files, line by line, with a prefix for each."""

    def __init__(self, files: dict[int, str], prefixes: dict[int, str], stream: Any) -> None:
        super().__init__(daemon=True)
        self._files = {rank: path for rank, path in files.items() if path}
        self._prefixes = prefixes
        self._stream = stream
        self._stopping = threading.Event()
        if self._files:
            self.start()

    def run(self) -> None:
        opened: dict[int, Any] = {}
        last = False
        while True:
            stopping = self._stopping.is_set()
            for rank, path in self._files.items():
                if rank not in opened and os.path.exists(path):
                    opened[rank] = open(path, encoding="utf-8", errors="replace")  # noqa: SIM115
                for line in opened[rank] if rank in opened else ():
                    self._stream.write(f"{self._prefixes.get(rank, '')}{line}")
            self._stream.flush()
            if last:
                break
            last = stopping
            self._stopping.wait(0.1)
        for file in opened.values():
            file.close()

    def finish(self) -> None:
        if self._files:
            self._stopping.set()
            self.join()


class PContext(abc.ABC):
    """Workers that were started together."""

    def __init__(
        self,
        name: str,
        entrypoint: Callable[..., Any] | str,
        args: dict[int, tuple[Any, ...]],
        envs: dict[int, dict[str, str]],
        logs_specs: LogsSpecs,
        log_line_prefixes: dict[int, str] | None = None,
        **options: Any,
    ) -> None:
        if args.keys() != envs.keys():
            raise RuntimeError(f"Args and envs have to be for the same local ranks: {list(args)} and {list(envs)}")
        self.name = name
        self.entrypoint = entrypoint
        self.args = args
        self.envs = envs
        self.logs = logs_specs.reify(envs)
        self.nprocs = len(args)
        prefixes = log_line_prefixes or {rank: f"[{name}{rank}]:" for rank in args}
        self._tails = [
            _Tail(self.logs.tee_stdouts, prefixes, sys.stdout),
            _Tail(self.logs.tee_stderrs, prefixes, sys.stderr),
        ]

    def start(self) -> None:
        """Start the workers; a signal that ends this process ends them too, by SignalException."""
        if threading.current_thread() is threading.main_thread():
            for name in os.environ.get("TORCHELASTIC_SIGNALS_TO_HANDLE", _SIGNALS).split(","):
                number = getattr(signal, name.strip(), None)
                if number is not None:
                    signal.signal(number, _told_to_end)
        self._start()

    @abc.abstractmethod
    def _start(self) -> None: ...

    @abc.abstractmethod
    def _poll(self) -> RunProcsResult | None: ...

    @abc.abstractmethod
    def pids(self) -> dict[int, int]:
        """The workers' process identifiers."""

    @abc.abstractmethod
    def _close(self, death_sig: signal.Signals, timeout: int) -> None: ...

    def wait(self, timeout: float = -1, period: float = 1) -> RunProcsResult | None:
        """Wait until all have ended well or one has failed; None if ``timeout`` seconds (0 or more) pass before."""
        if timeout == 0:
            return self._poll()
        end = time.monotonic() + timeout if timeout > 0 else float("inf")
        while time.monotonic() < end:
            result = self._poll()
            if result is not None:
                return result
            time.sleep(min(period, max(0.0, end - time.monotonic())))
        return None

    def close(self, death_sig: signal.Signals | None = None, timeout: int = _SHUTDOWN_SECONDS) -> None:
        """End those that still run, by a signal and, ``timeout`` seconds later, for good."""
        self._close(signal.SIGTERM if death_sig is None else death_sig, timeout)
        for tail in self._tails:
            tail.finish()

    def _failure(self, rank: int, pid: int, code: int) -> ProcessFailure:
        return ProcessFailure(rank, pid, code, self.logs.error_files.get(rank, ""))

    def _result(self, failures: dict[int, ProcessFailure], values: dict[int, Any]) -> RunProcsResult:
        return RunProcsResult(values, failures, self.logs.stdouts, self.logs.stderrs)


def _told_to_end(number: int, frame: Any) -> None:
    name = signal.Signals(number)
    raise SignalException(f"Process {os.getpid()} got signal: {name}", sigval=name)


class SubprocessContext(PContext):
    """Workers that are programs."""

    _processes: dict[int, subprocess.Popen[bytes]]

    def _start(self) -> None:
        self._processes = {}
        for rank, args in self.args.items():
            streams = []
            for path in (self.logs.stdouts.get(rank), self.logs.stderrs.get(rank)):
                streams.append(open(path, "wb") if path else None)  # noqa: SIM115
            self._processes[rank] = subprocess.Popen(
                [str(self.entrypoint), *map(str, args)],
                env=os.environ | self.envs[rank],
                stdout=streams[0],
                stderr=streams[1],
            )
            for stream in streams:
                if stream is not None:
                    stream.close()

    def pids(self) -> dict[int, int]:
        return {rank: process.pid for rank, process in self._processes.items()}

    def _poll(self) -> RunProcsResult | None:
        codes = {rank: process.poll() for rank, process in self._processes.items()}
        failed = {rank: code for rank, code in codes.items() if code}
        if failed:
            # the others are ended now, so that they count as failed too
            found = {rank: self._failure(rank, self._processes[rank].pid, code) for rank, code in failed.items()}
            self._close(signal.SIGTERM, _SHUTDOWN_SECONDS)
            for rank, process in self._processes.items():
                if rank not in found and process.returncode:
                    found[rank] = self._failure(rank, process.pid, process.returncode)
            self.close()
            return self._result(found, {})
        if all(code == 0 for code in codes.values()):
            self.close()
            return self._result({}, dict.fromkeys(codes))
        return None

    def _close(self, death_sig: signal.Signals, timeout: int) -> None:
        running = [process for process in getattr(self, "_processes", {}).values() if process.poll() is None]
        for process in running:
            process.send_signal(death_sig)
        end = time.monotonic() + timeout
        for process in running:
            try:
                process.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _run_function(
    function: Callable[..., Any], args: tuple[Any, ...], env: dict[str, str], paths: tuple[str, str], results: Any
) -> None:
    """In a worker: set it up, run the function, hand its value back."""
    from .errors import record

    os.environ.update(env)
    for path, stream in zip(paths, (sys.stdout, sys.stderr), strict=True):
        if path:
            with open(path, "wb") as file:
                os.dup2(file.fileno(), stream.fileno())
    results.put(record(function)(*args))


class MultiprocessContext(PContext):
    """Workers that run a function, each in an interpreter of its own."""

    def __init__(
        self,
        name: str,
        entrypoint: Callable[..., Any],
        args: dict[int, tuple[Any, ...]],
        envs: dict[int, dict[str, str]],
        start_method: str,
        logs_specs: LogsSpecs,
        log_line_prefixes: dict[int, str] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(name, entrypoint, args, envs, logs_specs, log_line_prefixes, **options)
        import torch.multiprocessing as mp

        self._context = mp.get_context(start_method)
        self._values: dict[int, Any] = {}

    def _start(self) -> None:
        self._results = {rank: self._context.SimpleQueue() for rank in self.args}
        self._processes = {}
        for rank, args in self.args.items():
            paths = self.logs.stdouts.get(rank, ""), self.logs.stderrs.get(rank, "")
            process = self._context.Process(
                target=_run_function, args=(self.entrypoint, args, self.envs[rank], paths, self._results[rank])
            )
            process.start()
            self._processes[rank] = process

    def pids(self) -> dict[int, int]:
        return {rank: process.pid for rank, process in self._processes.items()}

    def _poll(self) -> RunProcsResult | None:
        for rank, results in self._results.items():
            if rank not in self._values and not results.empty():
                self._values[rank] = results.get()
        codes = {rank: process.exitcode for rank, process in self._processes.items()}
        failed = {rank: code for rank, code in codes.items() if code}
        if failed:
            found = {rank: self._failure(rank, self._processes[rank].pid, code) for rank, code in failed.items()}
            self.close()
            return self._result(found, {})
        if all(code == 0 for code in codes.values()) and self._values.keys() == codes.keys():
            self.close()
            return self._result({}, self._values)
        return None

    def _close(self, death_sig: signal.Signals, timeout: int) -> None:
        running = [process for process in getattr(self, "_processes", {}).values() if process.is_alive()]
        for process in running:
            os.kill(process.pid, death_sig)
        end = time.monotonic() + timeout
        for process in running:
            process.join(max(0.0, end - time.monotonic()))
            if process.is_alive():
                process.kill()
                process.join()


def start_processes(
    name: str,
    entrypoint: Callable[..., Any] | str,
    args: dict[int, tuple[Any, ...]],
    envs: dict[int, dict[str, str]],
    logs_specs: LogsSpecs,
    log_line_prefixes: dict[int, str] | None = None,
    start_method: str = "spawn",
    numa_options: Any = None,
    duplicate_stdout_filters: list[str] | None = None,
    duplicate_stderr_filters: list[str] | None = None,
) -> PContext:
    """Start a worker for each local rank: a program if ``entrypoint`` is text, else a function.

    Raises:
        NotImplementedError: for options about NUMA and about filters of output, which are not supported.
    """
    if numa_options is not None or duplicate_stdout_filters or duplicate_stderr_filters:
        raise NotImplementedError("binding to NUMA nodes and filtered copies of output are not supported")
    context: PContext
    if isinstance(entrypoint, str):
        context = SubprocessContext(name, entrypoint, args, envs, logs_specs, log_line_prefixes)
    else:
        context = MultiprocessContext(name, entrypoint, args, envs, start_method, logs_specs, log_line_prefixes)
    try:
        context.start()
    except BaseException:
        context.close()
        raise
    return context
