"""Numbers about a job, by group and name."""

from __future__ import annotations

import abc
import time
from functools import wraps
from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = [
    "ConsoleMetricHandler",
    "MetricData",
    "MetricHandler",
    "MetricsConfig",
    "NullMetricHandler",
    "configure",
    "getStream",
    "get_elapsed_time_ms",
    "initialize_metrics",
    "prof",
    "profile",
    "publish_metric",
    "put_metric",
]


class MetricData(NamedTuple):
    """One number, when it was taken, and what it is called."""

    timestamp: float
    group_name: str
    name: str
    value: float


class MetricsConfig:
    """Parameters of a handler."""

    def __init__(self, params: dict[str, str] | None = None) -> None:
        self.params = {} if params is None else params


class MetricHandler(abc.ABC):
    """Where numbers go."""

    @abc.abstractmethod
    def emit(self, metric_data: MetricData) -> None:
        """Take one."""


class ConsoleMetricHandler(MetricHandler):
    """Prints each."""

    def emit(self, metric_data: MetricData) -> None:
        print(f"[{metric_data.timestamp}][{metric_data.group_name}]: {metric_data.name}={metric_data.value}")


class NullMetricHandler(MetricHandler):
    """Forgets each."""

    def emit(self, metric_data: MetricData) -> None:
        """Nothing is kept."""


class _Stream:
    def __init__(self, group_name: str, handler: MetricHandler) -> None:
        self.group_name = group_name
        self.handler = handler

    def add_value(self, metric_name: str, metric_value: float) -> None:
        self.handler.emit(MetricData(time.time(), self.group_name, metric_name, metric_value))


_default: MetricHandler = NullMetricHandler()
_handlers: dict[str, MetricHandler] = {}


def configure(handler: MetricHandler, group: str | None = None) -> None:
    """Send the numbers of a group, or all others, to a handler."""
    global _default
    if group is None:
        _default = handler
    else:
        _handlers[group] = handler


def initialize_metrics(cfg: MetricsConfig | None = None) -> None:
    """Nothing has to be set up; there for programs that call it."""


def getStream(group: str) -> _Stream:  # noqa: N802
    """What takes the numbers of a group."""
    return _Stream(group, _handlers.get(group, _default))


def put_metric(metric_name: str, metric_value: int, metric_group: str = "torchelastic") -> None:
    """Give one number."""
    getStream(metric_group).add_value(metric_name, metric_value)


def publish_metric(metric_group: str, metric_name: str, metric_value: int) -> None:
    """The older form of ``put_metric``."""
    put_metric(metric_name, metric_value, metric_group)


def get_elapsed_time_ms(start_time_in_seconds: float) -> int:
    """Milliseconds since ``time.time()`` gave this."""
    return int((time.time() - start_time_in_seconds) * 1000)


def prof(fn: Callable[..., Any] | None = None, group: str = "torchelastic") -> Any:
    """Count a function's successes and failures, and how long it takes."""

    def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
        name = function.__qualname__

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            start = time.time()
            try:
                result = function(*args, **kwargs)
            except Exception:
                put_metric(f"{name}.failure", 1, group)
                raise
            finally:
                put_metric(f"{name}.duration.ms", get_elapsed_time_ms(start), group)
            put_metric(f"{name}.success", 1, group)
            return result

        return call

    return wrap if fn is None else wrap(fn)


def profile(group: str | None = None) -> Any:
    """The older form of ``prof``."""
    return prof(group="torchelastic" if group is None else group)
