"""The agent of a process: it sends calls, runs those of others in a pool of threads, and owns what others refer to."""

from __future__ import annotations

import io
import itertools
import pickle
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch.futures import Future

from .._stores import PrefixStore
from .._transport import Endpoint, bytes_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .._stores import Store

__all__ = ["Agent", "WorkerInfo", "current"]

_KEY = (b"rpc\0\0\0\0\0", 1, 0)
_local = threading.local()


@dataclass(frozen=True)
class WorkerInfo:
    """A worker's number and name."""

    id: int
    name: str

    def __repr__(self) -> str:
        return f"WorkerInfo(id={self.id}, name={self.name})"


class RemoteError:
    """An exception on its way back."""

    def __init__(self, worker: WorkerInfo, error: BaseException) -> None:
        text = "".join(traceback.format_exception(error))
        self.message = f"On {worker}:\n{error!r}\n{text}"
        self.kind = type(error) if isinstance(error, Exception) else RuntimeError

    def exception(self) -> Exception:
        """The same kind of exception, with the traceback there as its text."""
        try:
            return self.kind(self.message)
        except Exception:
            return RuntimeError(self.message)


class _Pickler(pickle.Pickler):
    """Notes whom a pickle is for: references in it tell their owners."""

    def __init__(self, file: Any, target: int) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self.target = target


def packed(value: Any, target: int) -> torch.Tensor:
    """A value as a tensor of bytes."""
    buffer = io.BytesIO()
    before = getattr(_local, "target", None)
    _local.target = target
    try:
        _Pickler(buffer, target).dump(value)
    finally:
        _local.target = before
    data = buffer.getbuffer()
    tensor = torch.empty(len(data), dtype=torch.uint8)
    bytes_of(tensor)[:] = data
    return tensor


class Agent:
    """A worker's side of all calls."""

    def __init__(self, store: Store, name: str, rank: int, size: int, threads: int, seconds: float) -> None:
        self.store = PrefixStore("rpc", store)
        self.info = WorkerInfo(rank, name)
        self.size = size
        self.seconds = seconds
        self.workers = self._meet(name, rank, size)
        self.by_name = {worker.name: worker for worker in self.workers}
        self.endpoint = Endpoint(PrefixStore("transport", self.store), rank, size, max(seconds, 60.0))
        self.pool = ThreadPoolExecutor(threads, thread_name_prefix="torch-rpc")
        self.waiting: dict[int, Future] = {}
        self.numbers = itertools.count()
        self.lock = threading.Condition()
        self.owned: dict[tuple[int, int], Future] = {}  # what others refer to
        self.counts: dict[tuple[int, int], int] = {}
        self.running = 0
        self.closed = False
        self.handlers: dict[str, Callable[..., Any]] = {}
        if size > 1:
            threading.Thread(target=self._serve, name="torch-rpc-serve", daemon=True).start()

    def _meet(self, name: str, rank: int, size: int) -> list[WorkerInfo]:
        if not name or not all(c.isalnum() or c in "-_:" for c in name) or len(name) > 128:
            raise ValueError(
                f"Worker name must match ^[A-Za-z0-9-_:]*$, and be 1 to 128 characters long, but got {name!r}"
            )
        self.store.set(f"name/{rank}", name)
        names = [self.store.get(f"name/{other}").decode() for other in range(size)]
        if len(set(names)) != size:
            raise RuntimeError(f"RPC worker name {name} is not unique: {names}")
        return [WorkerInfo(other, found) for other, found in enumerate(names)]

    def find(self, worker: Any) -> WorkerInfo:
        """The worker that is meant by a name, a number or itself."""
        if isinstance(worker, WorkerInfo):
            return worker
        if isinstance(worker, int):
            if not 0 <= worker < self.size:
                raise RuntimeError(f"there is no worker of rank {worker}: the world has {self.size}")
            return self.workers[worker]
        if worker not in self.by_name:
            raise RuntimeError(f"Unknown destination worker {worker}")
        return self.by_name[worker]

    # Sending

    def send(self, target: int, message: tuple[Any, ...]) -> None:
        """Send a message, or handle it here if it is for this worker."""
        if target == self.info.id:
            self._arrived(target, pickle.loads(bytes_of(packed(message, target))))
            return
        self.endpoint.send(target, _KEY, bytes_of(packed(message, target)))

    def call(self, target: WorkerInfo, kind: str, *parts: Any, seconds: float = -1) -> Future:
        """Ask a worker for something; a future of the answer."""
        future = Future()
        number = next(self.numbers)
        with self.lock:
            if self.closed:
                raise RuntimeError("RPC has been shut down")
            self.waiting[number] = future
        limit = self.seconds if seconds < 0 else seconds
        if limit > 0:
            timer = threading.Timer(limit, self._late, (number, limit))
            timer.daemon = True
            timer.start()
            future.add_done_callback(lambda done: timer.cancel())
        try:
            self.send(target.id, ("call", number, kind, parts))
        except Exception as error:
            self._settle(number, error)
        return future

    def _late(self, number: int, seconds: float) -> None:
        self._settle(
            number,
            RuntimeError(
                f"RPC ran for more than set timeout ({round(seconds * 1000)} ms) and will now be marked with an error"
            ),
        )

    def _settle(self, number: int, result: Any) -> None:
        with self.lock:
            future = self.waiting.pop(number, None)
            self.lock.notify_all()
        if future is None:
            return  # it was late
        if isinstance(result, RemoteError):
            result = result.exception()
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)

    # Serving

    def _serve(self) -> None:
        others = frozenset(range(self.size)) - {self.info.id}
        while not self.closed:
            receipt = self.endpoint.receive_any(others, _KEY, None)
            try:
                receipt.wait(None)
            except Exception:
                return
            if self.closed:
                return
            assert receipt.data is not None
            data = receipt.data
            # References in it may have to ask this thread's own connections: that is for another one.
            self.pool.submit(self._loaded, receipt.source, data) if len(data) else None

    def _loaded(self, source: int, data: torch.Tensor) -> None:
        try:
            self._arrived(source, pickle.loads(bytes_of(data)))
        except Exception:
            traceback.print_exc()

    def _arrived(self, source: int, message: tuple[Any, ...]) -> None:
        kind, number, *rest = message
        if kind == "answer":
            self._settle(number, rest[0])
            return
        with self.lock:
            self.running += 1
        if source == self.info.id:
            self.pool.submit(self._run, source, number, *rest)
        else:
            self._run(source, number, *rest)

    def _run(self, source: int, number: int, kind: str, parts: tuple[Any, ...]) -> None:
        try:
            result = self.handlers[kind](source, *parts)
        except BaseException as error:
            result = RemoteError(self.info, error)
        if isinstance(result, Future):
            result.add_done_callback(lambda done: self._answer(source, number, _value(done, self.info)))
        else:
            self._answer(source, number, result)

    def _answer(self, source: int, number: int, result: Any) -> None:
        try:
            self.send(source, ("answer", number, result))
        except Exception as error:
            try:
                self.send(source, ("answer", number, RemoteError(self.info, error)))
            except Exception:
                traceback.print_exc()  # the caller is gone
        finally:
            with self.lock:
                self.running -= 1
                self.lock.notify_all()

    # Ending

    def drain(self, seconds: float | None) -> None:
        """Wait until nothing is asked or run."""
        with self.lock:
            self.lock.wait_for(lambda: not self.waiting and not self.running, seconds)

    def stop(self) -> None:
        """Close the connections."""
        self.closed = True
        self.pool.shutdown(wait=False)
        self.endpoint.close()

    def meet_again(self, key: str, seconds: float | None) -> None:
        """Wait for all workers."""
        self.store.barrier(key, self.size, timedelta(seconds=seconds or 3600.0))


def _value(done: Future, worker: WorkerInfo) -> Any:
    try:
        return done.value()
    except Exception as error:
        return RemoteError(worker, error)


_agent: Agent | None = None


def current() -> Agent:
    """This process's agent.

    Raises:
        RuntimeError: ``init_rpc`` was not called.
    """
    if _agent is None:
        raise RuntimeError(
            "RPC has not been initialized. Call torch.distributed.rpc.init_rpc first."
        )
    return _agent


def set_current(agent: Agent | None) -> None:
    """Make an agent this process's."""
    global _agent
    _agent = agent
