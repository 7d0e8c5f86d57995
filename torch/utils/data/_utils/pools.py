"""Where workers run: processes or threads. Both take requests and give answers in the same way."""

from __future__ import annotations

import os
import queue
import select
import threading
import time

import torch

from . import MP_STATUS_CHECK_INTERVAL, channel, worker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def _serve_process(job: worker.Job, worker_id: int, link: channel.Channel) -> None:
    """What runs in a worker process."""
    # Workers divide the processors between them.
    torch.set_num_threads(1)
    worker.seed_process(job.base_seed, worker_id)
    where = f"in DataLoader worker process {worker_id}"

    def receive() -> Any:
        try:
            return link.receive()
        except (EOFError, ConnectionError):
            # The loader is done, or its process is gone.
            return None

    def send(epoch: int, number: int, data: Any) -> None:
        try:
            link.send((epoch, number, data))
        except ConnectionError:
            raise
        except Exception:
            if isinstance(data, torch._utils.ExceptionWrapper):
                # The loader cannot know the class. The message, which has its name, goes on its way.
                data.exc_type = RuntimeError
            else:
                data = torch._utils.ExceptionWrapper(where=where)
            link.send((epoch, number, data))

    try:
        worker.run(job, worker_id, receive, send, "multiprocessing")
    except (KeyboardInterrupt, ConnectionError):
        # Whoever interrupts the program interrupts the loader as well, which says so.
        pass
    finally:
        link.close()


class ProcessPool:
    """Worker processes, each with a socket of its own.

    A worker whose loader's process is killed reads the end of its socket and leaves.
    """

    def __init__(self, job: worker.Job, context: Any) -> None:
        self._owner = os.getpid()
        self.workers: list[Any] = []
        self.links: list[channel.Channel] = []
        self._poll = select.poll()
        self._by_fileno: dict[int, int] = {}
        try:
            for worker_id in range(job.num_workers):
                ours, theirs = channel.pair()
                channel.keep_from_children(ours)
                self.links.append(ours)
                process = context.Process(target=_serve_process, args=(job, worker_id, theirs), daemon=True)
                process.start()
                theirs.close()
                self.workers.append(process)
                for fileno in (ours.fileno(), process.sentinel):
                    self._poll.register(fileno, select.POLLIN)
                    self._by_fileno[fileno] = worker_id
        except BaseException:
            self.shut_down()
            raise

    def post(self, worker_id: int, request: Any) -> None:
        """Send a request to a worker, or as much of it as goes without waiting."""
        link = self.links[worker_id]
        try:
            link.post(request)
        except ConnectionError:
            # The worker is gone; take() finds out who and why.
            return
        self._watch(link)

    def _watch(self, link: channel.Channel) -> None:
        self._poll.modify(link.fileno(), select.POLLIN | (select.POLLOUT if link.has_more else 0))

    def take(self, timeout: float) -> Any:
        """Wait for an answer of any worker.

        Raises:
            TimeoutError: there was none for ``timeout`` seconds (0: wait for ever).
            RuntimeError: a worker died.
        """
        end = time.monotonic() + timeout if timeout > 0 else None
        while True:
            left = None if end is None else max(0.0, end - time.monotonic()) * 1000
            events = self._poll.poll(left)
            if not events:
                raise TimeoutError
            dead = []
            for fileno, event in events:
                worker_id = self._by_fileno[fileno]
                link = self.links[worker_id]
                if fileno != link.fileno():
                    dead.append(worker_id)
                    continue
                try:
                    if event & select.POLLOUT:
                        link.flush()
                        self._watch(link)
                    if event & (select.POLLIN | select.POLLHUP | select.POLLERR):
                        return link.receive()
                except (EOFError, ConnectionError):
                    dead.append(worker_id)
            if dead:
                self._report(dead)

    def _report(self, dead: list[int]) -> None:
        # A socket closes a moment before its process has ended.
        for worker_id in dead:
            self.workers[worker_id].join(timeout=1)
        pids = ", ".join(str(self.workers[worker_id].pid) for worker_id in sorted(set(dead)))
        raise RuntimeError(f"DataLoader worker (pid(s) {pids}) exited unexpectedly")

    def shut_down(self, patience: float = MP_STATUS_CHECK_INTERVAL) -> None:
        """End the workers, by force those that do not end within so many seconds."""
        if os.getpid() != self._owner:
            return
        for link in self.links:
            link.close()
        end = time.monotonic() + patience
        for process in self.workers:
            process.join(timeout=max(0.0, end - time.monotonic()))
            if process.is_alive():
                process.terminate()
                process.join(timeout=1)
                if process.is_alive():
                    process.kill()
                    process.join()
            process.close()
        self.workers, self.links = [], []


class ThreadPool:
    """Worker threads. Nothing is pickled or copied; the dataset is one and the same object for all of them."""

    def __init__(self, job: worker.Job, context: Any = None) -> None:
        self._answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._requests: list[queue.SimpleQueue[Any]] = [queue.SimpleQueue() for _ in range(job.num_workers)]
        # Threads that outlive the loader, in the middle of a long batch, must not start another.
        self._stop = threading.Event()
        self.workers = [
            threading.Thread(
                target=_serve_thread,
                args=(job, worker_id, self._requests[worker_id], self._answers, self._stop),
                name=f"DataLoader-{worker_id}",
                daemon=True,
            )
            for worker_id in range(job.num_workers)
        ]
        for thread in self.workers:
            thread.start()

    def post(self, worker_id: int, request: Any) -> None:
        self._requests[worker_id].put(request)

    def take(self, timeout: float) -> Any:
        try:
            answer = self._answers.get(timeout=timeout if timeout > 0 else None)
        except queue.Empty:
            raise TimeoutError from None
        if isinstance(answer, BaseException):
            raise RuntimeError("DataLoader worker thread exited unexpectedly") from answer
        return answer

    def shut_down(self, patience: float = MP_STATUS_CHECK_INTERVAL) -> None:
        """Tell the workers to end, and wait so many seconds at most: threads cannot be ended by force."""
        self._stop.set()
        for requests in self._requests:
            requests.put(None)
        end = time.monotonic() + patience
        for thread in self.workers:
            if thread is not threading.current_thread():
                thread.join(timeout=max(0.0, end - time.monotonic()))


def _serve_thread(
    job: worker.Job, worker_id: int, requests: Any, answers: Any, stop: threading.Event
) -> None:
    def receive() -> Any:
        request = requests.get()
        return None if stop.is_set() else request

    try:
        worker.run(job, worker_id, receive, lambda *answer: answers.put(answer), "thread")
    except BaseException as error:
        answers.put(error)
