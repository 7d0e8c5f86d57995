"""Deadlines for parts of a worker's program: a server ends the workers that miss one."""

from __future__ import annotations

import abc
import inspect
import json
import logging
import os
import queue
import signal
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

__all__ = [
    "FileTimerClient",
    "FileTimerRequest",
    "FileTimerServer",
    "LocalTimerClient",
    "LocalTimerServer",
    "TimerClient",
    "TimerRequest",
    "TimerServer",
    "configure",
    "expires",
]

_log = logging.getLogger(__name__)


@dataclass
class TimerRequest:
    """A worker's deadline for a scope, in seconds since 1970; a negative one takes it back."""

    worker_id: Any
    scope_id: str
    expiration_time: float


@dataclass
class FileTimerRequest:
    """The same, with the signal that is to end the worker."""

    worker_pid: int
    scope_id: str
    expiration_time: float
    signal: int = 0

    @property
    def worker_id(self) -> int:
        return self.worker_pid

    def to_json(self) -> str:
        """The request as text."""
        fields = {"pid": self.worker_pid, "scope_id": self.scope_id}
        return json.dumps(fields | {"expiration_time": self.expiration_time, "signal": self.signal})


class TimerClient(abc.ABC):
    """The worker's side."""

    @abc.abstractmethod
    def acquire(self, scope_id: str, expiration_time: float) -> None:
        """Set a deadline."""

    @abc.abstractmethod
    def release(self, scope_id: str) -> None:
        """Take it back."""


class TimerServer(abc.ABC):
    """The side that ends workers: ``start`` has a thread look at the requests every ``max_interval`` seconds."""

    def __init__(self, request_queue: Any, max_interval: float, daemon: bool = True) -> None:
        self._queue = request_queue
        self._interval = max_interval
        self._daemon = daemon
        self._timers: dict[tuple[Any, str], Any] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @abc.abstractmethod
    def _take(self) -> list[Any]:
        """The requests that have come since."""

    def register_timers(self, timer_requests: list[Any]) -> None:
        """Note the requests."""
        for request in timer_requests:
            key = request.worker_id, request.scope_id
            if request.expiration_time < 0:
                self._timers.pop(key, None)
            else:
                self._timers[key] = request

    def clear_timers(self, worker_ids: set[Any]) -> None:
        """Forget the deadlines of workers."""
        for key in [key for key in self._timers if key[0] in worker_ids]:
            del self._timers[key]

    def get_expired_timers(self, deadline: float) -> dict[Any, list[Any]]:
        """The requests that have expired, by worker."""
        found: dict[Any, list[Any]] = {}
        for request in self._timers.values():
            if request.expiration_time <= deadline:
                found.setdefault(request.worker_id, []).append(request)
        return found

    def _reap_worker(self, worker_id: Any, requests: list[Any]) -> bool:
        number = next((r.signal for r in requests if getattr(r, "signal", 0)), signal.SIGKILL)
        try:
            os.kill(worker_id, number)
        except ProcessLookupError:
            _log.info("worker %s had ended when its deadline passed", worker_id)
        return True

    def _run_watchdog(self) -> None:
        self.register_timers(self._take())
        for worker, requests in self.get_expired_timers(time.time()).items():
            _log.info("ending worker %s, which missed %s", worker, [request.scope_id for request in requests])
            if self._reap_worker(worker, requests):
                self.clear_timers({worker})

    def _watch(self) -> None:
        while not self._stop.is_set():
            try:
                self._run_watchdog()
            except Exception:
                _log.exception("deadlines could not be looked at")
            self._stop.wait(min(self._interval, 0.2))

    def start(self) -> None:
        """Begin to watch."""
        self._stop.clear()
        self._thread = threading.Thread(target=self._watch, daemon=self._daemon, name="torch-timer")
        self._thread.start()

    def stop(self) -> None:
        """Watch no more."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None


class LocalTimerClient(TimerClient):
    """Sends requests through a queue of ``multiprocessing``."""

    def __init__(self, mp_queue: Any) -> None:
        self._queue = mp_queue

    def acquire(self, scope_id: str, expiration_time: float) -> None:
        self._queue.put(TimerRequest(os.getpid(), scope_id, expiration_time))

    def release(self, scope_id: str) -> None:
        self._queue.put(TimerRequest(os.getpid(), scope_id, -1))


class LocalTimerServer(TimerServer):
    """Takes requests from a queue of ``multiprocessing``."""

    def __init__(self, mp_queue: Any, max_interval: float = 60, daemon: bool = True) -> None:
        super().__init__(mp_queue, max_interval, daemon)

    def _take(self) -> list[Any]:
        found = []
        while True:
            try:
                found.append(self._queue.get(block=False))
            except queue.Empty:
                return found


class FileTimerClient(TimerClient):
    """Writes requests to a named pipe that a ``FileTimerServer`` reads."""

    def __init__(self, file_path: str, signal: int = signal.SIGKILL) -> None:
        self._path = file_path
        self.signal = int(signal)

    def _write(self, scope_id: str, expiration_time: float) -> None:
        request = FileTimerRequest(os.getpid(), scope_id, expiration_time, self.signal)
        with open(self._path, "w", encoding="utf-8") as file:
            file.write(request.to_json() + "\n")

    def acquire(self, scope_id: str, expiration_time: float) -> None:
        self._write(scope_id, expiration_time)

    def release(self, scope_id: str) -> None:
        self._write(scope_id, -1)


class FileTimerServer(TimerServer):
    """Reads requests from a named pipe that it makes."""

    def __init__(
        self,
        file_path: str,
        run_id: str,
        max_interval: float = 10,
        daemon: bool = True,
        log_event: Callable[[str, FileTimerRequest | None], None] | None = None,
    ) -> None:
        super().__init__(None, max_interval, daemon)
        self._path = file_path
        self._run_id = run_id
        self._log_event = log_event
        if os.path.exists(file_path):
            os.remove(file_path)
        os.mkfifo(file_path)
        # Open for both, so that there is always a writer and reads never see an end.
        self._descriptor = os.open(file_path, os.O_RDWR | os.O_NONBLOCK)
        self._rest = ""

    def _take(self) -> list[Any]:
        try:
            while data := os.read(self._descriptor, 1 << 16):
                self._rest += data.decode()
        except BlockingIOError:
            pass  # that is all for now
        *lines, self._rest = self._rest.split("\n")
        found = []
        for line in lines:
            fields = json.loads(line)
            fields["worker_pid"] = fields.pop("pid")
            found.append(FileTimerRequest(**fields))
        return found

    def _reap_worker(self, worker_id: Any, requests: list[Any]) -> bool:
        if self._log_event is not None:
            self._log_event("kill worker process", requests[0])
        return super()._reap_worker(worker_id, requests)

    def stop(self) -> None:
        super().stop()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
            os.remove(self._path)


_client: TimerClient | None = None


def configure(timer_client: TimerClient) -> None:
    """The client that ``expires`` uses unless it is given one."""
    global _client
    _client = timer_client


@contextmanager
def expires(after: float, scope: str | None = None, client: TimerClient | None = None) -> Iterator[None]:
    """A block that has to be over ``after`` seconds from now.

    Raises:
        RuntimeError: no client was configured or given.
    """
    chosen = _client if client is None else client
    if chosen is None:
        raise RuntimeError("Configure timer client before using countdown timer.")
    if scope is None:
        caller = inspect.stack()[2]
        scope = f"{caller.filename}#{caller.lineno}"
    chosen.acquire(scope, time.time() + after)
    try:
        yield
    finally:
        chosen.release(scope)
