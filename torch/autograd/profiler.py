"""Measures the operations of this thread: their times, memory and arguments, forwards and backwards.

``torch.profiler`` has the newer interface, with schedules. The core records at its choke point
(``src/interp/profile.h``); while nothing is measured that costs nothing.
"""

from __future__ import annotations

import uuid
import warnings
from collections import defaultdict
from contextlib import ContextDecorator

import torch

from ._profiler_kinds import (
    ProfilerActivity,
    ProfilerConfig,
    ProfilerState,
    _ExperimentalConfig,
)
from .profiler_util import (  # noqa: F401 - names are here to be found
    MEMORY_EVENT_NAME,
    OUT_OF_MEMORY_EVENT_NAME,
    EventList,
    FunctionEvent,
    MemRecordsAcc,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from ._profiler_records import Measured

__all__ = [
    "EnforceUnique",
    "EventList",
    "FunctionEvent",
    "KinetoStepTracker",
    "MemRecordsAcc",
    "emit_itt",
    "emit_nvtx",
    "load_nvprof",
    "parse_nvprof_trace",
    "profile",
    "record_function",
]

_is_profiler_enabled = False


def _set_is_profiler_enabled(enable: bool) -> None:
    global _is_profiler_enabled
    _is_profiler_enabled = enable


class _Ranges:
    """While it is on, steps of optimizers are ranges, and on demand so is each call of a module, named after its class
    and the number of its instance."""

    def __init__(self, modules: bool) -> None:
        self._modules = modules
        self._handles: list[Any] = []
        self._numbers: dict[int, int] = {}
        self._counts: dict[str, int] = defaultdict(int)
        self._open: list[int] = []

    def _name(self, module: Any) -> str:
        kind = type(module).__name__
        if id(module) not in self._numbers:
            self._numbers[id(module)] = self._counts[kind]
            self._counts[kind] += 1
        return f"nn.Module: {kind}_{self._numbers[id(module)]}"

    def _before(self, module: Any, args: Any) -> None:
        self._open.append(torch._C._profiler_begin(self._name(module)))

    def _after(self, module: Any, args: Any, output: Any) -> None:
        if self._open:
            torch._C._profiler_end(self._open.pop())

    def _before_step(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        kind = type(optimizer).__name__
        self._open.append(torch._C._profiler_begin(f"Optimizer.step#{kind}.step"))

    def start(self) -> None:
        from torch.optim import optimizer

        self._handles = [
            optimizer.register_optimizer_step_pre_hook(self._before_step),
            optimizer.register_optimizer_step_post_hook(self._after),
        ]
        if self._modules:
            from torch.nn.modules import module

            self._handles += [
                module.register_module_forward_pre_hook(self._before),
                module.register_module_forward_hook(self._after, always_call=True),
            ]

    def stop(self) -> None:
        for handle in self._handles:
            handle.remove()


class profile:  # noqa: N801 - PyTorch's name
    """Measure what this thread does inside a block.

    Args:
        enabled: False makes the block do nothing.
        use_device: a kind of device; None, since only the CPU is measured.
        record_shapes: keep the shapes of the arguments.
        with_flops: estimate the floating point operations of products and convolutions (keeps the shapes too).
        profile_memory: keep what operations allocate and give back.
        with_stack: keep the Python calls that each operation was called from.
        with_modules: make each call of an ``nn.Module`` an event.
        acc_events: keep the events of earlier uses of the same object.

    Raises:
        RuntimeError: when the object is already in use, or when this thread is measured already.

    >>> x = torch.ones(2, 3, requires_grad=True)
    >>> with torch.autograd.profiler.profile(record_shapes=True) as prof:
    ...     (x * 2).sum().backward()
    >>> [(e.name, e.input_shapes) for e in prof.function_events if e.name in ("aten::mul", "MulBackward0")]
    [('aten::mul', [[2, 3], []]), ('MulBackward0', []), ('aten::mul', [[2, 3], []])]
    """

    def __init__(
        self, enabled: bool = True, *, use_cuda: bool = False, use_device: str | None = None,
        record_shapes: bool = False, with_flops: bool = False, profile_memory: bool = False, with_stack: bool = False,
        with_modules: bool = False, use_kineto: bool = False, use_cpu: bool = True,
        experimental_config: _ExperimentalConfig | None = None, acc_events: bool = False,
        custom_trace_id_callback: Callable[[], str] | None = None, post_processing_timeout_s: float | None = None,
        activity_filters: dict[Any, set[str]] | None = None,
    ) -> None:  # fmt: skip
        self.enabled = enabled
        if not enabled:
            return
        if use_cuda:
            warnings.warn(
                "The attribute `use_cuda` will be deprecated soon, please use ``use_device = 'cuda'`` instead.",
                FutureWarning,
                stacklevel=2,
            )
            use_device = "cuda"
        if use_device not in (None, "cpu"):
            name = use_device.upper()
            warnings.warn(f"{name} is not available, disabling {name} profiling", stacklevel=2)
        self.use_cuda, self.use_device = False, None
        self._function_events: EventList | None = None
        self._old_function_events: EventList | None = None
        self.entered = False
        self.record_shapes = record_shapes or with_flops
        self.with_flops, self.profile_memory = with_flops, profile_memory
        self.with_stack, self.with_modules = with_stack, with_modules
        self.use_cpu, self.acc_events = use_cpu, acc_events
        self.experimental_config = experimental_config or _ExperimentalConfig()
        self.kineto_results: Measured | None = None
        self.profiling_start_time_ns = self.profiling_end_time_ns = 0
        self.custom_trace_id_callback, self.trace_id = custom_trace_id_callback, ""
        self.post_processing_timeout_s, self.activity_filters = post_processing_timeout_s, activity_filters
        self.kineto_activities = {ProfilerActivity.CPU} if use_cpu else set()
        if not self.kineto_activities:
            raise AssertionError("No activities specified for the profiler")
        self.profiler_kind = ProfilerState.KINETO
        self._ranges: _Ranges | None = None

    def default_trace_id(self) -> str:
        """A new identifier: 32 hexadecimal digits."""
        return uuid.uuid4().hex.upper()

    def create_trace_id(self) -> str:
        """What the user's function gives, or a new identifier."""
        return self.custom_trace_id_callback() if self.custom_trace_id_callback else self.default_trace_id()

    def config(self, create_trace_id: bool = False) -> ProfilerConfig:
        """What is measured."""
        if create_trace_id:
            self.trace_id = self.create_trace_id()
        return ProfilerConfig(
            self.profiler_kind, self.record_shapes, self.profile_memory, self.with_stack, self.with_flops,
            self.with_modules, self.experimental_config, self.trace_id,
        )  # fmt: skip

    def __enter__(self) -> profile | None:
        if not self.enabled:
            return None
        if self.entered:
            raise RuntimeError("Profiler context manager is not reentrant")
        self._prepare_trace()
        self._start_trace()
        return self

    def _prepare_trace(self) -> None:
        self.entered = True
        self.config(create_trace_id=True)

    def _start_trace(self) -> None:
        self.entered = True
        if torch._C._profiler_enabled():
            raise RuntimeError("Profiler is already enabled on this thread.")
        _set_is_profiler_enabled(True)
        self._ranges = _Ranges(self.with_modules)
        self._ranges.start()
        torch._C._profiler_start(self.record_shapes, self.profile_memory, self.with_stack)

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> bool:
        if not self.enabled:
            return False
        session = torch._C._profiler_stop() if torch._C._profiler_enabled() else None
        _set_is_profiler_enabled(False)
        self.entered = False
        if self._ranges is not None:
            self._ranges.stop()
            self._ranges = None
        if session is None:
            return False
        from ._profiler_records import Measured

        if self.acc_events and self.kineto_results is not None:
            self._old_function_events = self._ensure_function_events()
        self.kineto_results = Measured(session, self.with_modules)
        self.profiling_start_time_ns = self.kineto_results.start_ns
        self.profiling_end_time_ns = self.kineto_results.end_ns
        self._function_events = None
        return False

    def _ensure_function_events(self) -> EventList:
        """The events, which are made when they are first asked for."""
        if not self.enabled:
            raise AttributeError("'NoneType' object has no attribute 'function_events': the profiler was not enabled")
        if self._function_events is None:
            from ._profiler_records import event_list

            if self.kineto_results is None:
                return EventList([])
            self._function_events = event_list(
                self.kineto_results, with_flops=self.with_flops, with_memory=self.profile_memory
            )
            if self._old_function_events:
                self._function_events[:0] = self._old_function_events
                self._old_function_events = None
        return self._function_events

    @property
    def function_events(self) -> EventList:
        return self._ensure_function_events()

    def __repr__(self) -> str:
        return repr(self._ensure_function_events())

    def __str__(self) -> str:
        return str(self._ensure_function_events())

    def table(
        self, sort_by: str | None = None, row_limit: int = 100, max_src_column_width: int = 75,
        max_name_column_width: int = 55, max_shapes_column_width: int = 80, header: str | None = None,
        top_level_events_only: bool = False,
    ) -> str:  # fmt: skip
        """The events as a table; see :meth:`EventList.table`."""
        return self._ensure_function_events().table(
            sort_by=sort_by, row_limit=row_limit, max_src_column_width=max_src_column_width,
            max_name_column_width=max_name_column_width, max_shapes_column_width=max_shapes_column_width,
            header=header, top_level_events_only=top_level_events_only,
        )  # fmt: skip

    def export_chrome_trace(
        self, path: str, metadata: dict[str, Any] | None = None, use_python_export: bool = False
    ) -> None:
        """Write a timeline that chrome://tracing and Perfetto read; compressed where ``path`` ends in ``.gz``.

        ``metadata`` is added to the document. AssertionError when nothing was measured.
        """
        if not self.enabled or self.kineto_results is None:
            raise AssertionError("Expected kineto_results to be set before exporting chrome trace")
        from ._profiler_trace import write_measured

        facts = {
            "trace_id": self.trace_id, "with_stack": int(self.with_stack), "profile_memory": int(self.profile_memory),
            "record_shapes": int(self.record_shapes), "with_modules": int(self.with_modules),
            "with_flops": int(self.with_flops), **(metadata or {}),
        }  # fmt: skip
        write_measured(path, self.kineto_results, facts)

    def export_stacks(self, path: str, metric: str = "self_cpu_time_total") -> None:
        """Write stacks with a metric, for flame graphs; see :meth:`EventList.export_stacks`."""
        events = self._ensure_function_events()
        if not self.with_stack:
            raise AssertionError("export_stacks() requires with_stack=True")
        events.export_stacks(path, metric)

    def toggle_collection_dynamic(self, enabled: bool, activities: Iterable[Any]) -> None:
        """Nothing: the CPU is measured from the beginning to the end of the block."""

    def key_averages(
        self, group_by_input_shape: bool = False, group_by_stack_n: int = 0, group_by_overload_name: bool = False
    ) -> EventList:
        """Sums over events of one name; see :meth:`EventList.key_averages`."""
        events = self._ensure_function_events()
        return events.key_averages(group_by_input_shape, group_by_stack_n, group_by_overload_name)

    def total_average(self) -> Any:
        """One sum over all events."""
        return self._ensure_function_events().total_average()

    @property
    def self_cpu_time_total(self) -> float:
        """The time, in microseconds, inside events."""
        return self._ensure_function_events().self_cpu_time_total


class record_function(ContextDecorator):  # noqa: N801 - PyTorch's name
    """Give a block, or each call of a function, a name in what profilers measure.

    ``args``: a text beside the name, in PyTorch's traces; kept here. TypeError when the name is no text.

    >>> with torch.profiler.profile() as prof:
    ...     with torch.profiler.record_function("forward"):
    ...         y = torch.ones(2) + 1
    >>> [e.name for e in prof.events() if e.cpu_parent is None]
    ['forward']
    """

    def __init__(self, name: str, args: str | None = None) -> None:
        self.name, self.args = name, args
        self.run_callbacks_on_exit = True
        self.record: int | None = None

    def __enter__(self) -> record_function:
        if not isinstance(self.name, str):
            raise TypeError(f"record_function: the name must be a str, not {type(self.name).__name__}")
        self.record = torch._C._profiler_begin(self.name)
        return self

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        if not self.run_callbacks_on_exit:
            return
        self._end()

    def _recreate_cm(self) -> record_function:
        # a decorated function may call itself
        return type(self)(self.name, self.args)

    def _end(self) -> None:
        if self.record is None:
            raise AssertionError("Expected record to be set")
        torch._C._profiler_end(self.record)
        self.record = None

    def _call_end_callbacks_on_future(self, fut: Any) -> Any:
        """The range ends when the future is done; a future with the same value."""
        if not self.run_callbacks_on_exit:
            raise RuntimeError("_call_end_callbacks_on_future can only be called once.")
        self.run_callbacks_on_exit = False

        def done(finished: Any) -> Any:
            self._end()
            return finished.wait()

        return fut.then(done)


class _Markers:
    """A block whose operations would be marked for a tool that watches from outside."""

    _missing = ""

    def __init__(self, enabled: bool = True, record_shapes: bool = False) -> None:
        self.enabled, self.record_shapes, self.entered = enabled, record_shapes, False

    def __enter__(self) -> _Markers | None:
        if not self.enabled:
            return None
        if self.entered:
            raise RuntimeError(f"{type(self).__name__} context manager is not reentrant")
        raise AssertionError(self._missing)

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> bool:
        return False


class emit_nvtx(_Markers):  # noqa: N801 - PyTorch's name
    """Mark operations for NVIDIA's Nsight. AssertionError when it is entered: there is no CUDA here."""

    _missing = "Torch not compiled with CUDA enabled"


class emit_itt(_Markers):  # noqa: N801 - PyTorch's name
    """Mark operations for Intel's VTune. AssertionError when it is entered: the library for it is not linked."""

    _missing = "Torch not compiled with ITT enabled: torch.profiler.profile measures operations without it"


class EnforceUnique:
    """Raises RuntimeError at a key that was seen before."""

    def __init__(self) -> None:
        self.seen: set[tuple[Any, ...]] = set()

    def see(self, *key: Any) -> None:
        """Note a key."""
        if key in self.seen:
            raise RuntimeError("duplicate key: " + str(key))
        self.seen.add(key)


def load_nvprof(path: str) -> EventList:
    """The events of a file that ``nvprof`` wrote; see :func:`parse_nvprof_trace`."""
    return EventList(parse_nvprof_trace(path))


def parse_nvprof_trace(path: str) -> list[FunctionEvent]:
    """The ranges of NVTX, and the kernels that were started in them, of a database that ``nvprof`` wrote.

    RuntimeError for a range that occurs twice; sqlite3.OperationalError for a file without nvprof's tables.
    """
    import sqlite3

    from .profiler_util import StringTable

    with sqlite3.connect(path) as connection:
        connection.row_factory = sqlite3.Row
        strings = StringTable()
        rows = connection.execute("SELECT _id_ AS id, value FROM StringTable")
        texts = {row["id"]: strings[row["value"]] for row in rows}
        functions = {}
        unique = EnforceUnique()
        for row in connection.execute(
            "SELECT s.id AS marker, s.name AS name, s.timestamp AS begun, e.timestamp AS ended "
            "FROM CUPTI_ACTIVITY_KIND_MARKER AS s JOIN CUPTI_ACTIVITY_KIND_MARKER AS e ON s.id = e.id "
            "WHERE s.name != 0 AND e.name = 0"
        ):
            unique.see(row["marker"])
            functions[row["marker"]] = FunctionEvent(
                id=row["marker"], node_id=0, name=texts[row["name"]], start_us=row["begun"], end_us=row["ended"],
                thread=0,
            )  # fmt: skip
        unique = EnforceUnique()
        for row in connection.execute(
            "SELECT m.id AS marker, k.correlationId AS runtime, k.name AS name, k.start AS begun, k.end AS ended "
            "FROM CUPTI_ACTIVITY_KIND_MARKER AS m "
            "JOIN CUPTI_ACTIVITY_KIND_RUNTIME AS r ON m.timestamp < r.start AND m.name != 0 "
            "JOIN CUPTI_ACTIVITY_KIND_MARKER AS o ON o.id = m.id AND o.name = 0 AND o.timestamp > r.end "
            "JOIN CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL AS k ON k.correlationId = r.correlationId"
        ):
            unique.see(row["marker"], row["runtime"])
            functions[row["marker"]].append_kernel(row["name"], 0, row["ended"] - row["begun"])
    return sorted(functions.values(), key=lambda event: event.time_range.start)


class KinetoStepTracker:
    """Counts steps of training by whoever counts them; the number of the step is the largest count."""

    _current_step = 0
    _step_dict: dict[str, int] = defaultdict(int)

    @classmethod
    def init_step_count(cls, requester: str) -> None:
        """Begin to count, at the number of the current step."""
        cls._step_dict[requester] = cls._current_step

    @classmethod
    def erase_step_count(cls, requester: str) -> bool:
        """Stop counting; whether this one counted."""
        return cls._step_dict.pop(requester, None) is not None

    @classmethod
    def increment_step(cls, requester: str) -> int:
        """One more step by this one; the number of the current step."""
        if requester not in cls._step_dict:
            cls.init_step_count(requester)
        cls._step_dict[requester] += 1
        newest = max(cls._step_dict.values())
        if newest > cls._current_step:
            if newest - cls._current_step > 1:
                warnings.warn(
                    f"Profiler step count has increased more than 1 - current_step = {cls._current_step} step dict =  "
                    f"{cls._step_dict}",
                    stacklevel=2,
                )
            cls._current_step = newest
        return cls._current_step

    @classmethod
    def current_step(cls) -> int:
        """The number of the current step."""
        return cls._current_step
