"""Measurements as JSON for chrome://tracing and Perfetto (the Trace Event Format)."""

from __future__ import annotations

import gzip
import json
import os
import socket

from ._profiler_records import (
    _DERIVATIVE,
    _MODULE_PREFIX,
    _OPERATION,
    _RANGE,
    _concrete,
    _strides,
    _structured_sizes,
    type_name,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._profiler_records import Measured
    from .profiler_util import EventList


def _open(path: str) -> Any:
    return gzip.open(path, "wt", encoding="utf-8") if str(path).endswith(".gz") else open(path, "w", encoding="utf-8")


def _write(path: str, document: Any) -> None:
    with _open(path) as file:
        json.dump(document, file, indent=1)
        file.write("\n")


def write_events(path: str, events: EventList) -> None:
    """Events alone: an array, each with its name, begin and length."""
    made = []
    for event in events:
        made.append(
            {
                "name": event.trace_name or event.name, "ph": "X", "ts": event.time_range.start,
                "dur": event.time_range.elapsed_us(), "tid": event.thread, "pid": "CPU functions", "args": {},
            }
        )  # fmt: skip
        for kernel in event.kernels:
            made.append(
                {
                    "name": kernel.name, "ph": "X", "ts": event.time_range.start, "dur": kernel.duration,
                    "tid": kernel.device, "pid": "device functions", "args": {},
                }
            )  # fmt: skip
    _write(path, made)


def write_measured(path: str, measured: Measured, facts: dict[str, Any]) -> None:
    """A whole session: operations, annotations, memory, and an arrow from each forward call to its derivative."""
    place = {"pid": measured.pid, "tid": measured.tid}
    base = measured.start_ns // 10**9 * 10**9

    def micros(ns: int) -> float:
        return (ns - base) / 1000

    traced: list[dict[str, Any]] = [
        {"ph": "M", "name": "process_name", "ts": micros(measured.start_ns), "pid": measured.pid, "tid": 0,
         "args": {"name": "python"}},
        {"ph": "M", "name": "process_labels", "ts": micros(measured.start_ns), "pid": measured.pid, "tid": 0,
         "args": {"labels": "CPU"}},
        {"ph": "M", "name": "thread_name", "ts": micros(measured.start_ns), **place,
         "args": {"name": f"thread {measured.tid} (python)"}},
    ]  # fmt: skip
    for number, record in enumerate(measured.records):
        traced.append(_complete(measured, number, record, micros, place))
    traced += _arrows(measured, micros, place)
    for time, block, change, total, _ in measured.memory:
        traced.append(
            {
                "ph": "i", "cat": "cpu_instant_event", "s": "t", "name": "[memory]", **place, "ts": micros(time),
                "args": {"Total Reserved": 0, "Total Allocated": total, "Bytes": change, "Device Id": -1,
                         "Device Type": 0, "Addr": block},
            }
        )  # fmt: skip
    span = measured.end_ns - measured.start_ns
    traced.append(
        {"ph": "X", "cat": "Trace", "ts": micros(measured.start_ns), "dur": span / 1000, "pid": "Spans",
         "tid": "PyTorch Profiler", "name": "PyTorch Profiler (0)", "args": {"Op count": 0}}
    )  # fmt: skip
    document = {
        "schemaVersion": 1, "deviceProperties": [], **facts, "host_name": socket.gethostname(), "displayTimeUnit": "ms",
        "baseTimeNanoseconds": base, "traceEvents": traced, "traceName": os.fspath(path),
    }  # fmt: skip
    _write(path, document)


def _complete(measured: Measured, number: int, record: Any, micros: Any, place: dict[str, int]) -> dict[str, Any]:
    kind, _, _, _, begin, end, _, sequence, inputs, _ = record
    name = measured.name(record)
    arguments: dict[str, Any] = {"External id": number + 1, "Record function id": 0, "Ev Idx": number}
    if sequence >= 0:
        arguments |= {"Sequence number": sequence, "Fwd thread id": int(kind not in (_OPERATION, _RANGE))}
    if inputs is not None:
        arguments["Concrete Inputs"] = ["" if (c := _concrete(i)) is None else str(c) for i in inputs]
        arguments["Input type"] = [type_name(i) for i in inputs]
        arguments["Input Strides"] = [_strides(i) for i in inputs]
        arguments["Input Dims"] = [_structured_sizes(i) for i in inputs]
    if stack := measured.stack(record):
        arguments["Call stack"] = ";".join(stack)
    category = "cpu_op" if kind != _RANGE else "user_annotation"
    if category == "user_annotation" and name.startswith(_MODULE_PREFIX):
        category = "python_function"
    return {"ph": "X", "cat": category, "name": name, **place, "ts": micros(begin), "dur": (end - begin) / 1000,
            "args": arguments}  # fmt: skip


def _arrows(measured: Measured, micros: Any, place: dict[str, int]) -> list[dict[str, Any]]:
    """From the innermost forward call with a node's number to the node's derivative."""
    forward: dict[int, int] = {}
    made: list[dict[str, Any]] = []
    for record in measured.records:
        kind, sequence, begin = record[0], record[7], record[4]
        if sequence < 0:
            continue
        if kind == _OPERATION:
            forward[sequence] = begin
        elif kind == _DERIVATIVE and sequence in forward:
            common = {"id": sequence, **place, "cat": "fwdbwd", "name": "fwdbwd"}
            made.append({"ph": "s", **common, "ts": micros(forward[sequence])})
            made.append({"ph": "f", **common, "ts": micros(begin), "bp": "e"})
    return made


def trace_nodes(measured: Measured, first: int) -> list[dict[str, Any]]:
    """The records as nodes of an execution trace, numbered from ``first``; the outermost hang on node 1."""
    made = []
    for number, record in enumerate(measured.records):
        parent, notes = record[3], record[8] or []
        made.append(
            {
                "id": first + number, "name": measured.name(record), "ctrl_deps": first + parent if parent >= 0 else 1,
                "inputs": {
                    "values": [_concrete(note) for note in notes], "types": [type_name(note) for note in notes],
                    "shapes": [_structured_sizes(n) for n in notes], "strides": [_strides(note) for note in notes],
                },
            }
        )  # fmt: skip
    return made
