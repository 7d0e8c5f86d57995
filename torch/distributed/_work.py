"""Work: a collective that was asked for and may still run, and the thread that runs a group's, one after another."""

from __future__ import annotations

import queue
import threading
from datetime import timedelta

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from torch.futures import Future

    from ._transport import Receipt

__all__ = ["Lane", "Work"]


class Work:
    """A collective that was asked for. Its tensors must be left alone until ``wait`` has returned."""

    def is_completed(self) -> bool:
        """Whether it is over, well or not."""
        raise NotImplementedError(f"{type(self).__name__} has no is_completed()")

    def is_success(self) -> bool:
        """Whether it is over without an error."""
        return self.is_completed() and self.exception() is None

    def exception(self) -> BaseException | None:
        """The error it ended with, if any."""
        return None

    def wait(self, timeout: timedelta = timedelta(0)) -> bool:
        """Wait until it is over and return True, or raise its error. A timeout of 0 is none."""
        raise NotImplementedError(f"{type(self).__name__} has no wait()")

    def synchronize(self) -> None:
        """Make what follows wait for it; here the same as ``wait``."""
        self.wait()

    def block_current_stream(self) -> None:
        """Make what follows on this stream wait for it; here the same as ``wait``."""
        self.wait()

    def result(self) -> list[Any]:
        """The tensors it wrote."""
        raise RuntimeError("result() not implemented.")

    def source_rank(self) -> int:
        """The rank that a message came from."""
        raise RuntimeError(
            "sourceRank() may only be called on work objects that correspond to a recv or recv-from-any call."
        )

    _source_rank = source_rank

    def get_future(self) -> Future:
        """A future with the tensors it writes."""
        raise RuntimeError("Work::getFuture not implemented.")

    def boxed(self) -> Work:
        """This object."""
        return self


Work.__module__ = "torch.distributed.distributed_c10d"


class DoneWork(Work):
    """Work that was over when its function returned."""

    def __init__(self, result: list[Any]) -> None:
        self._result = result

    def is_completed(self) -> bool:
        return True

    def wait(self, timeout: timedelta = timedelta(0)) -> bool:
        return True

    def result(self) -> list[Any]:
        return self._result

    def get_future(self) -> Future:
        from torch.futures import Future

        future = Future()
        future.set_result(self._result)
        return future


class TaskWork(Work):
    """Work that a lane's thread does."""

    def __init__(self, task: Callable[[], Any], result: list[Any]) -> None:
        self._task: Callable[[], Any] | None = task
        self._result = result
        self._error: BaseException | None = None
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._futures: list[Future] = []

    def run(self) -> None:
        assert self._task is not None
        try:
            self._task()
        except BaseException as error:
            self._error = error
        self._task = None  # it holds tensors
        with self._lock:
            self._over.set()
            futures, self._futures = self._futures, []
        for future in futures:
            self._settle(future)

    def _settle(self, future: Future) -> None:
        if self._error is None:
            future.set_result(self._result)
        else:
            future.set_exception(
                self._error if isinstance(self._error, Exception) else RuntimeError(str(self._error))
            )

    def is_completed(self) -> bool:
        return self._over.is_set()

    def exception(self) -> BaseException | None:
        return self._error

    def wait(self, timeout: timedelta = timedelta(0)) -> bool:
        seconds = timeout.total_seconds()
        if not self._over.wait(seconds if seconds > 0 else None):
            raise RuntimeError(f"Timed out waiting {round(seconds * 1000)}ms for a collective to complete")
        if self._error is not None:
            raise self._error
        return True

    def result(self) -> list[Any]:
        if self._error is not None:
            raise self._error
        if not self.is_completed():
            raise RuntimeError(
                "Work needs to be completed before calling result(). Should call wait() before result()."
            )
        return self._result

    def get_future(self) -> Future:
        from torch.futures import Future

        future = Future()
        with self._lock:
            if not self._over.is_set():
                self._futures.append(future)
                return future
        self._settle(future)
        return future


class MessageWork(Work):
    """A message that is being sent or received."""

    def __init__(self, receipt: Receipt, finish: Callable[[float | None], Any], seconds: float, incoming: bool) -> None:
        self._receipt = receipt
        self._finish: Callable[[float | None], Any] | None = finish
        self._seconds = seconds
        self._incoming = incoming

    def is_completed(self) -> bool:
        return self._receipt.done()

    def exception(self) -> BaseException | None:
        return self._receipt.error

    def wait(self, timeout: timedelta = timedelta(0)) -> bool:
        finish = self._finish
        if finish is not None:
            given = timeout.total_seconds()
            finish(given if given > 0 else self._seconds)
            self._finish = None
        return True

    def source_rank(self) -> int:
        if not self._incoming:
            return super().source_rank()
        return self._receipt.source

    _source_rank = source_rank


class Lane:
    """Runs tasks in the order in which they were given: at once where nothing is before them, else in a thread."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()  # of the counter
        self._running = threading.Lock()
        self._waiting = 0
        self._tasks: queue.SimpleQueue[TaskWork | None] | None = None

    def run(self, task: Callable[[], Any], result: list[Any], asynchronous: bool) -> Work:
        """Do the task now, or have it done."""
        if not asynchronous:
            with self._lock:
                free = not self._waiting and self._running.acquire(blocking=False)
            if free:
                try:
                    task()
                finally:
                    self._running.release()
                return DoneWork(result)
        work = TaskWork(task, result)
        with self._lock:
            self._waiting += 1
            if self._tasks is None:
                self._tasks = queue.SimpleQueue()
                threading.Thread(target=self._loop, name=self._name, daemon=True).start()
            self._tasks.put(work)
        return work

    def _loop(self) -> None:
        import torch

        assert self._tasks is not None
        with torch.no_grad():
            while True:
                work = self._tasks.get()
                if work is None:
                    return
                with self._running:
                    work.run()
                with self._lock:
                    self._waiting -= 1
                del work  # not to be kept until the next one comes

    def close(self) -> None:
        """Let the thread end after what is waiting."""
        with self._lock:
            if self._tasks is not None:
                self._tasks.put(None)
                self._tasks = None
