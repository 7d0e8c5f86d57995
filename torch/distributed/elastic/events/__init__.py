"""What happens to a job, as records that go to a log."""

from __future__ import annotations

import json
import logging
import os
import socket
import time
import traceback
from dataclasses import asdict, dataclass, field
from enum import Enum

__all__ = [
    "Event",
    "EventMetadataValue",
    "EventSource",
    "NodeState",
    "RdzvEvent",
    "construct_and_record_rdzv_event",
    "get_logging_handler",
    "record",
    "record_rdzv_event",
]

EventMetadataValue = str | int | float | bool | None


class EventSource(str, Enum):
    """Who says so."""

    AGENT = "AGENT"
    WORKER = "WORKER"


class NodeState(str, Enum):
    """How a machine stands in a rendezvous."""

    INIT = "INIT"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


class _Record:
    def __str__(self) -> str:
        return self.serialize()

    def serialize(self) -> str:
        """The record as JSON."""
        return json.dumps(asdict(self))  # type: ignore[call-overload]


@dataclass
class Event(_Record):
    """Something that happened; ``metadata`` says more."""

    name: str
    source: EventSource
    timestamp: int = 0
    metadata: dict[str, EventMetadataValue] = field(default_factory=dict)

    __str__ = _Record.__str__

    @staticmethod
    def deserialize(data: str | Event) -> Event:
        """The event of a JSON text."""
        if isinstance(data, Event):
            return data
        fields = json.loads(data)
        fields["source"] = EventSource[fields["source"]]
        return Event(**fields)


@dataclass
class RdzvEvent(_Record):
    """Something that happened while machines met."""

    name: str
    run_id: str
    message: str
    hostname: str
    pid: int
    node_state: NodeState
    master_endpoint: str = ""
    rank: int | None = None
    local_id: int | None = None
    error_trace: str = ""

    __str__ = _Record.__str__

    @staticmethod
    def deserialize(data: str | RdzvEvent) -> RdzvEvent:
        """The event of a JSON text."""
        if isinstance(data, RdzvEvent):
            return data
        fields = json.loads(data)
        fields["node_state"] = NodeState[fields["node_state"]]
        return RdzvEvent(**fields)


_handlers: dict[str, logging.Handler] = {"null": logging.NullHandler(), "console": logging.StreamHandler()}
_loggers: dict[str, logging.Logger] = {}


def get_logging_handler(destination: str = "null") -> logging.Handler:
    """The handler of a destination: ``"null"``, ``"console"``, or one that was added."""
    return _handlers[destination]


def _logger(destination: str) -> logging.Logger:
    if destination not in _loggers:
        logger = logging.getLogger(f"torchelastic-event-{destination}")
        logger.setLevel(os.environ.get("LOGLEVEL", "INFO"))
        logger.propagate = False
        logger.addHandler(get_logging_handler(destination))
        _loggers[destination] = logger
    return _loggers[destination]


def record(event: Event, destination: str = "null") -> None:
    """Write an event to a destination."""
    event.timestamp = event.timestamp or int(time.time())
    _logger(destination).info(event.serialize())


def record_rdzv_event(event: RdzvEvent) -> None:
    """Write an event of a rendezvous to where those go."""
    _logger("dynamic_rendezvous" if "dynamic_rendezvous" in _handlers else "null").info(event.serialize())


def construct_and_record_rdzv_event(
    run_id: str,
    message: str,
    node_state: NodeState,
    name: str = "",
    hostname: str = "",
    pid: int | None = None,
    master_endpoint: str = "",
    local_id: int | None = None,
    rank: int | None = None,
) -> None:
    """Make an event of a rendezvous and write it."""
    trace = traceback.format_exc() if node_state is NodeState.FAILED else ""
    record_rdzv_event(
        RdzvEvent(
            name=name,
            run_id=run_id,
            message=message,
            hostname=hostname or socket.getfqdn(),
            pid=os.getpid() if pid is None else pid,
            node_state=node_state,
            master_endpoint=master_endpoint,
            rank=rank,
            local_id=local_id,
            error_trace=trace,
        )
    )
