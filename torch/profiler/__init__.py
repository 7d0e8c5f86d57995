"""Measures what a program does: the times, memory and arguments of its operations, forwards and backwards.

>>> from torch.profiler import ProfilerActivity, profile, record_function
>>> model = torch.nn.Linear(8, 2)
>>> with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as prof:
...     with record_function("forward"):
...         y = model(torch.ones(4, 8))
...     y.sum().backward()
>>> table = prof.key_averages().table(sort_by="cpu_time_total", row_limit=10)
>>> [title for title in table.splitlines()[1].split("  ") if title][-2:]
['CPU time avg', '# of Calls']
"""
# ruff: noqa: F401 - names are here to be found

from __future__ import annotations

from torch.autograd._profiler_kinds import (
    DeviceType,
    ProfilerActivity,
    RecordScope,
    _supported_activities,
    kineto_available,
)
from torch.autograd.profiler import KinetoStepTracker, record_function

from . import itt
from .profiler import (
    ExecutionTraceObserver,
    ProfilerAction,
    _KinetoProfile,
    profile,
    schedule,
    supported_activities,
    tensorboard_trace_handler,
)

__all__ = [
    "DeviceType",
    "ExecutionTraceObserver",
    "ProfilerAction",
    "ProfilerActivity",
    "kineto_available",
    "profile",
    "record_function",
    "schedule",
    "supported_activities",
    "tensorboard_trace_handler",
]
