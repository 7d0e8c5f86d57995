"""Results that may not be there yet."""

from __future__ import annotations

import threading
from typing import TypeVar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["Future", "collect_all", "wait_all"]

S, T = TypeVar("S"), TypeVar("T")


class Future:
    """A value or an exception that some thread sets once, and others wait for.

    >>> f = torch.futures.Future()
    >>> f.set_result(3)
    >>> f.wait()
    3
    """

    def __init__(self, *, devices: Any = None) -> None:
        self._lock = threading.Lock()
        self._event = threading.Event()
        self._value: Any = None
        self._error: BaseException | None = None
        self._callbacks: list[Callable[[Future], Any]] = []

    def __class_getitem__(cls, item: Any) -> Any:
        return cls

    def done(self) -> bool:
        """Whether there is a result or an exception."""
        return self._event.is_set()

    def value(self) -> Any:
        """The result, without waiting; raises the exception if that was set."""
        if not self.done():
            raise RuntimeError("Future is not complete yet")
        if self._error is not None:
            raise self._error
        return self._value

    def wait(self) -> Any:
        """Wait for the result; raises the exception if that was set."""
        self._event.wait()
        return self.value()

    def _finish(self, value: Any, error: BaseException | None) -> None:
        with self._lock:
            if self._event.is_set():
                raise RuntimeError("Future already completed")
            self._value, self._error = value, error
            self._event.set()
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback(self)

    def set_result(self, result: Any) -> None:
        """Set the result and run the callbacks."""
        self._finish(result, None)

    def set_exception(self, result: BaseException) -> None:
        """Set an exception, which ``wait`` will raise."""
        if not isinstance(result, Exception):
            raise AssertionError(f"{result} is of type {type(result)}, not an Exception.")
        self._finish(None, result)

    def add_done_callback(self, callback: Callable[[Future], Any]) -> None:
        """Call ``callback(self)`` when the future is done, at once if it is."""
        with self._lock:
            if not self._event.is_set():
                self._callbacks.append(callback)
                return
        callback(self)

    def then(self, callback: Callable[[Future], Any]) -> Future:
        """A future for what ``callback(self)`` returns."""
        result = Future()

        def run(source: Future) -> None:
            try:
                value = callback(source)
            except Exception as error:
                result.set_exception(error)
            else:
                result.set_result(value)

        self.add_done_callback(run)
        return result


def collect_all(futures: list[Future]) -> Future:
    """A future that is done, with the list of all, when all are."""
    result = Future()
    left = len(futures)
    lock = threading.Lock()
    if not left:
        result.set_result(futures)

    def one_done(_: Future) -> None:
        nonlocal left
        with lock:
            left -= 1
            last = left == 0
        if last:
            result.set_result(futures)

    for future in futures:
        future.add_done_callback(one_done)
    return result


def wait_all(futures: list[Future]) -> list[Any]:
    """Wait for all and return their results."""
    return [future.wait() for future in collect_all(futures).wait()]
