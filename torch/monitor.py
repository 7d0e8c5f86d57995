"""Counting what happens in a program over windows of time, and telling handlers of it as events."""

from __future__ import annotations

import enum
import threading
import time
from datetime import datetime, timedelta, timezone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch.utils.tensorboard import SummaryWriter

__all__ = [
    "Aggregation",
    "Event",
    "EventHandlerHandle",
    "Stat",
    "TensorboardEventHandler",
    "data_value_t",
    "log_event",
    "register_event_handler",
    "unregister_event_handler",
]

STAT_EVENT = "torch.monitor.Stat"
data_value_t = str | float | int | bool


class Aggregation(enum.IntEnum):
    """What is kept of the values of a window."""

    VALUE = 0
    """The last one."""
    MEAN = 2
    COUNT = 3
    SUM = 4
    MAX = 5
    MIN = 6

    __str__ = enum.Enum.__str__
    __repr__ = enum.Enum.__repr__


VALUE, MEAN, COUNT, SUM, MAX, MIN = Aggregation


class Event:
    """Something that happened: a name, a time, and data, which are texts and numbers.

    TypeError for other data.

    >>> import datetime
    >>> torch.monitor.Event("start", datetime.datetime(2024, 1, 1), {"epoch": 3}).data
    {'epoch': 3}
    """

    def __init__(self, name: str, timestamp: datetime, data: dict[str, data_value_t]) -> None:
        for key, value in data.items():
            if not isinstance(key, str) or not isinstance(value, (str, float, int)):
                raise TypeError(f"Event: data has names and texts or numbers, but {key!r} is {value!r}")
        self.name, self.timestamp = name, timestamp
        # as PyTorch, which has no truth values here
        self.data = {key: float(value) if isinstance(value, bool) else value for key, value in data.items()}


class EventHandlerHandle:
    """Stands for a registered handler."""

    def __init__(self, handler: Callable[[Event], None]) -> None:
        self._handler = handler


_lock = threading.Lock()
_handlers: list[EventHandlerHandle] = []


def register_event_handler(callback: Callable[[Event], None]) -> EventHandlerHandle:
    """Call a function with each event from now on, in the thread that logs it."""
    handle = EventHandlerHandle(callback)
    with _lock:
        _handlers.append(handle)
    return handle


def unregister_event_handler(handler: EventHandlerHandle) -> None:
    """Stop calling a handler."""
    with _lock:
        _handlers[:] = [handle for handle in _handlers if handle is not handler]


def log_event(event: Event) -> None:
    """Tell all handlers of an event."""
    with _lock:
        handlers = list(_handlers)
    for handle in handlers:
        handle._handler(event)


class Stat:
    """Values over windows of time; at the end of each an event ``"torch.monitor.Stat"`` tells what they came to.

    Args:
        name: of the statistic: the event's data are ``NAME.mean`` and so on.
        aggregations: what is kept of the values.
        window_size: how long a window is. It ends with the first call after that time.
        max_samples: a window of so many values ends at once, and takes no more until its time is over.

    >>> import datetime
    >>> stat = torch.monitor.Stat("loss", [torch.monitor.Aggregation.MEAN], datetime.timedelta(hours=1), 2)
    >>> stat.add(1.0), stat.add(3.0)
    (None, None)
    >>> stat.get()
    {<Aggregation.MEAN: 2>: 2.0}
    """

    def __init__(
        self, name: str, aggregations: Sequence[Aggregation], window_size: timedelta, max_samples: int = 2**63 - 1
    ) -> None:
        self.name = name
        self._aggregations = list(dict.fromkeys(Aggregation(one) for one in aggregations))
        self._window, self._max_samples = window_size.total_seconds(), max_samples
        self._lock = threading.Lock()
        self._number = self._current()
        self._full = False
        self._done: dict[Aggregation, float] = dict.fromkeys(self._aggregations, 0.0)
        self._restart()

    def _current(self) -> int:
        return int(time.monotonic() // self._window) if self._window > 0 else 0

    def _restart(self) -> None:
        self._count, self._sum, self._last = 0, 0.0, 0.0
        self._most, self._least = float("-inf"), float("inf")

    @property
    def count(self) -> int:
        """How many values the window has so far."""
        with self._lock:
            return self._count

    def add(self, v: float) -> None:
        """Add a value. TypeError for what is no number."""
        v = float(v) if not isinstance(v, str) else _refuse(v)
        with self._lock:
            event = self._moved_on()
            if not self._full:
                self._count, self._sum, self._last = self._count + 1, self._sum + v, v
                self._most, self._least = max(self._most, v), min(self._least, v)
                if self._count >= self._max_samples:
                    event, self._full = self._ended(), True
        if event is not None:
            log_event(event)

    def get(self) -> dict[Aggregation, float]:
        """What the last window that is over came to; zeros before the first is."""
        with self._lock:
            event = self._moved_on()
            found = dict(self._done)
        if event is not None:
            log_event(event)
        return found

    def _moved_on(self) -> Event | None:
        """The event of the window, if its time is over."""
        number = self._current()
        if number == self._number:
            return None
        self._number, full = number, self._full
        self._full = False
        return None if full or not self._count else self._ended()

    def _ended(self) -> Event:
        values = {
            Aggregation.VALUE: self._last, Aggregation.COUNT: float(self._count), Aggregation.SUM: self._sum,
            Aggregation.MEAN: self._sum / self._count, Aggregation.MAX: self._most, Aggregation.MIN: self._least,
        }  # fmt: skip
        self._done = {one: values[one] for one in self._aggregations}
        self._restart()
        now = datetime.now(timezone.utc).replace(tzinfo=None)
        return Event(STAT_EVENT, now, {f"{self.name}.{one.name.lower()}": v for one, v in self._done.items()})

    def __del__(self) -> None:
        # a window that is under way is not lost
        if getattr(self, "_count", 0):
            log_event(self._ended())


def _refuse(value: object) -> float:
    raise TypeError(f"Stat.add(): a number is needed, not {value!r}")


class TensorboardEventHandler:
    """A handler that writes the numbers of statistics as scalars by a ``SummaryWriter``."""

    def __init__(self, writer: SummaryWriter) -> None:
        self._writer = writer

    def __call__(self, event: Event) -> None:
        if event.name != STAT_EVENT:
            return
        for name, value in event.data.items():
            if not isinstance(value, str):
                self._writer.add_scalar(name, value, walltime=event.timestamp.timestamp())
