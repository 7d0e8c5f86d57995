"""What profilers measure, as lists of events, and what can be made of them: averages, tables, stacks, traces."""

from __future__ import annotations

import bisect
import itertools
from collections import defaultdict, namedtuple
from operator import attrgetter
from typing import NamedTuple

from ._profiler_kinds import DeviceType
from ._profiler_table import (  # noqa: F401 - names are here to be found
    _build_table,
    _format_memory,
    _format_time,
    _format_time_share,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

__all__ = [
    "EventList",
    "EventMetadata",
    "FormattedTimesMixin",
    "FunctionEvent",
    "FunctionEventAvg",
    "Interval",
    "Kernel",
    "MemRecordsAcc",
    "StringTable",
]

MEMORY_EVENT_NAME = "[memory]"
OUT_OF_MEMORY_EVENT_NAME = "[OutOfMemory]"

_STACK_METRICS = ("self_cpu_time_total", "self_cuda_time_total", "self_xpu_time_total", "self_privateuse1_time_total")
_CALLS_OF_THE_PROFILER = frozenset(
    {
        MEMORY_EVENT_NAME,
        OUT_OF_MEMORY_EVENT_NAME,
        "profiler::_record_function_enter",
        "profiler::_record_function_enter_new",
        "profiler::_record_function_exit",
        "aten::is_leaf",
        "aten::output_nr",
        "aten::_version",
    }
)


class Interval:
    """From ``start`` to ``end``, in microseconds."""

    def __init__(self, start: float, end: float) -> None:
        self.start, self.end = start, end

    def elapsed_us(self) -> float:
        """The length, in microseconds."""
        return self.end - self.start


Kernel = namedtuple("Kernel", ["name", "device", "duration"])


class EventMetadata(NamedTuple):
    """What a device says of a kernel or of a collective call; None where it says nothing."""

    registers_per_thread: int | None
    shared_memory: int | None
    grid: list[int] | None
    block: list[int] | None
    priority: int | None
    blocks_per_sm: float | None
    warps_per_sm: float | None
    occupancy: dict[str, Any] | None
    est_occupancy_pct: float | None
    queued: int | None
    graph_id: int | None
    graph_node_id: int | None
    stream: int | None
    context: int | None
    channel: int | None
    channel_type: int | None
    bytes: int | None
    bandwidth_gb_s: float | None
    collective_name: str | None
    dtype: str | None
    in_msg_nelems: int | None
    out_msg_nelems: int | None
    in_split_size: str | None
    out_split_size: str | None
    global_rank_start: int | None
    global_rank_stride: int | None
    group_size: int | None
    process_group_name: str | None
    process_group_desc: str | None
    group_ranks: str | None
    rank: int | None
    src_rank: int | None
    dst_rank: int | None
    seq: int | None
    is_async: bool | None


def _filter_name(name: str) -> bool:
    """Whether averages leave the event out: it is not the user's."""
    return name in _CALLS_OF_THE_PROFILER


def _filter_stack_entry(entry: str) -> bool:
    """Whether a line of a stack is of interest: not one of autograd's own."""
    return not any(
        file in entry and name in entry
        for file, name in (("autograd/__init__", "_make_grads"), ("autograd/__init__", "backward"),
                           ("torch/tensor", "backward"), ("_internal/common_utils", "prof_callable"),
                           ("_internal/common_utils", "prof_func_call"), ("_internal/common_utils", "prof_meth_call"))
    )  # fmt: skip


def _rewrite_name(name: str, with_wildcard: bool = False) -> str:
    """``with_wildcard``: steps of a schedule share one name."""
    if with_wildcard and name.startswith("ProfilerStep#"):
        return "ProfilerStep*"
    return name


class StringTable(defaultdict):
    """Names as a compiler mangled them, and as people read them."""

    def __missing__(self, key: str) -> str:
        self[key] = _demangled(key) if len(key) > 1 else key
        return self[key]


def _demangled(name: str) -> str:
    if not name.startswith("_Z"):
        return name
    import ctypes
    import ctypes.util

    library = ctypes.CDLL(ctypes.util.find_library("stdc++") or "libstdc++.so.6")
    demangle, release = library.__cxa_demangle, ctypes.CDLL(None).free
    demangle.restype = ctypes.c_void_p
    demangle.argtypes = [ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
    release.argtypes = [ctypes.c_void_p]
    text = demangle(name.encode(), None, None, None)
    if not text:
        return name
    try:
        return ctypes.string_at(text).decode()
    finally:
        release(text)


class MemRecordsAcc:
    """Finds the records of memory within an interval. Records are pairs whose first has ``start_ns()``."""

    def __init__(self, mem_records: list[Any]) -> None:
        ordered = sorted(range(len(mem_records)), key=lambda i: mem_records[i][0].start_ns())
        self._mem_records = mem_records
        self._indices = ordered
        self._start_nses = [mem_records[i][0].start_ns() for i in ordered]

    def in_interval(self, start_ns: int, end_ns: int) -> Iterator[Any]:
        """The records that begin from ``start_ns`` to ``end_ns``, both included, in order."""
        first = bisect.bisect_left(self._start_nses, start_ns)
        last = bisect.bisect_right(self._start_nses, end_ns)
        for at in range(first, last):
            yield self._mem_records[self._indices[at]]


class FormattedTimesMixin:
    """Times as texts, and averages over ``count`` calls."""

    @property
    def cpu_time(self) -> float:
        return 0.0 if self.count == 0 else 1.0 * self.cpu_time_total / self.count

    @property
    def device_time(self) -> float:
        return 0.0 if self.count == 0 else 1.0 * self.device_time_total / self.count

    @property
    def cuda_time(self) -> float:
        return self.device_time

    cpu_time_str = property(lambda self: _format_time(self.cpu_time))
    device_time_str = property(lambda self: _format_time(self.device_time))
    cpu_time_total_str = property(lambda self: _format_time(self.cpu_time_total))
    device_time_total_str = property(lambda self: _format_time(self.device_time_total))
    self_cpu_time_total_str = property(lambda self: _format_time(self.self_cpu_time_total))
    self_device_time_total_str = property(lambda self: _format_time(self.self_device_time_total))


class FunctionEvent(FormattedTimesMixin):
    """One measured interval: an operation, a node of a backward pass, or a range that the user named.

    ``time_range`` is in microseconds since the measurement began. ``cpu_children`` lie inside it.
    """

    def __init__(
        self, id: int, name: str, thread: int, start_us: float, end_us: float, overload_name: str | None = None,
        fwd_thread: int | None = None, input_shapes: Any = None, stack: Any = None, scope: int = 0,
        use_device: str | None = None, cpu_memory_usage: int = 0, device_memory_usage: int = 0, is_async: bool = False,
        is_remote: bool = False, sequence_nr: int = -1, node_id: int = -1, device_type: Any = DeviceType.CPU,
        device_index: int = 0, device_resource_id: int | None = None, is_legacy: bool = False,
        flops: int | None = None, trace_name: str | None = None, concrete_inputs: Any = None, kwinputs: Any = None,
        is_user_annotation: bool = False, is_python_function: bool = False, activity_type: str | None = None,
        metadata_json: str | None = None, flow_id: int | None = None, flow_type: int | None = None,
        flow_start: bool | None = None, external_id: int = 0, linked_correlation_id: int = 0, extra_meta: Any = None,
        structured_input_shapes: Any = None, structured_input_strides: Any = None, input_dtypes: Any = None,
        python_id: int = -1, python_parent_id: int = -1, python_module_id: int = -1,
    ) -> None:  # fmt: skip
        self.id, self.node_id, self.name, self.overload_name = id, node_id, name, overload_name
        self.trace_name = trace_name
        self.time_range = Interval(start_us, end_us)
        self.thread, self.fwd_thread = thread, fwd_thread
        self.kernels: list[Kernel] = []
        self.count = 1
        self.cpu_children: list[FunctionEvent] = []
        self.cpu_parent: FunctionEvent | None = None
        self.input_shapes, self.concrete_inputs, self.kwinputs = input_shapes, concrete_inputs, kwinputs
        self.stack, self.scope, self.use_device = stack, scope, use_device
        self.cpu_memory_usage, self.device_memory_usage = cpu_memory_usage, device_memory_usage
        self.is_async, self.is_remote, self.sequence_nr = is_async, is_remote, sequence_nr
        self.device_type, self.device_index = device_type, device_index
        self.device_resource_id = thread if device_resource_id is None else device_resource_id
        self.is_legacy, self.flops = is_legacy, flops
        self.is_user_annotation, self.is_python_function = is_user_annotation, is_python_function
        self.activity_type = activity_type
        self.self_cpu_percent: Any = -1
        self.total_cpu_percent: Any = -1
        self.total_device_percent: Any = -1
        self._metadata_json = metadata_json
        self.flow_id, self.flow_type, self.flow_start = flow_id, flow_type, flow_start
        self.external_id, self.linked_correlation_id = external_id, linked_correlation_id
        self.event_metadata = _build_metadata(extra_meta)
        self.structured_input_shapes = structured_input_shapes
        self.structured_input_strides = structured_input_strides
        self.input_dtypes = input_dtypes
        self.python_id, self.python_parent_id, self.python_module_id = python_id, python_parent_id, python_module_id

    def append_kernel(self, name: str, device: int, duration: float) -> None:
        """Add a kernel that this event started on a device."""
        self._check_on_cpu("append_kernel")
        self.kernels.append(Kernel(name, device, duration))

    def append_cpu_child(self, child: FunctionEvent) -> None:
        """Add an event that lies inside this one."""
        self._check_on_cpu("append_cpu_child")
        if not isinstance(child, FunctionEvent):
            raise AssertionError("Expected child to be a FunctionEvent")
        if child.device_type != DeviceType.CPU:
            raise AssertionError("Expected child device_type to be CPU")
        self.cpu_children.append(child)

    def set_cpu_parent(self, parent: FunctionEvent) -> None:
        """Say which event this one lies in."""
        self._check_on_cpu("set_cpu_parent")
        if not isinstance(parent, FunctionEvent):
            raise AssertionError("Expected parent to be a FunctionEvent")
        if parent.device_type != DeviceType.CPU:
            raise AssertionError("Expected parent device_type to be CPU")
        self.cpu_parent = parent

    def _check_on_cpu(self, method: str) -> None:
        if self.device_type != DeviceType.CPU:
            raise AssertionError(f"Expected device_type to be CPU in {method}, but got {self.device_type}")

    def _own(self, whole: str) -> Any:
        """What is left of a quantity when that of the events inside is taken away; none where it was elsewhere."""
        if self.is_async or self.device_type != DeviceType.CPU:
            return 0
        return getattr(self, whole) - sum(getattr(child, whole) for child in self.cpu_children)

    @property
    def cpu_time_total(self) -> float:
        return self.time_range.elapsed_us() if self.device_type == DeviceType.CPU else 0

    @property
    def self_cpu_time_total(self) -> float:
        return self._own("cpu_time_total")

    @property
    def self_cpu_memory_usage(self) -> int:
        return self._own("cpu_memory_usage")

    @property
    def self_device_memory_usage(self) -> int:
        return self._own("device_memory_usage")

    @property
    def device_time_total(self) -> float:
        if self.is_async or not self.use_device:
            return 0
        if self.device_type != DeviceType.CPU:
            return self.time_range.elapsed_us()
        return sum(kernel.duration for kernel in self.kernels) + sum(c.device_time_total for c in self.cpu_children)

    @property
    def self_device_time_total(self) -> float:
        if self.is_async or not self.use_device:
            return 0
        if self.device_type != DeviceType.CPU:
            return self.device_time_total
        return self.device_time_total - sum(child.device_time_total for child in self.cpu_children)

    self_cuda_memory_usage = property(lambda self: self.self_device_memory_usage)
    cuda_time_total = property(lambda self: self.device_time_total)
    self_cuda_time_total = property(lambda self: self.self_device_time_total)

    @property
    def key(self) -> str:
        return self.name

    @property
    def metadata_json(self) -> str | None:
        import warnings

        warnings.warn("`metadata_json` is deprecated. Use `event_metadata` instead.", FutureWarning, stacklevel=2)
        return self._metadata_json

    def __repr__(self) -> str:
        device = self.use_device
        return (
            f"<FunctionEvent id={self.id} name={self.name} overload_name={self.overload_name} "
            f"device_type={self.device_type} node_id={self.node_id} cpu_time={self.cpu_time_str} "
            f"start_us={self.time_range.start} end_us={self.time_range.end} "
            f"cpu_children={[child.id for child in self.cpu_children]} {device}_time={self.device_time_str} "
            f"name={self.name} thread={self.thread} input_shapes={self.input_shapes} "
            f"cpu_memory_usage={self.cpu_memory_usage} {device}_memory_usage={self.device_memory_usage} "
            f"is_async={self.is_async} is_remote={self.is_remote} seq_nr={self.sequence_nr} "
            f"is_legacy={self.is_legacy}>"
        )


def _build_metadata(extra_meta: dict[str, Any] | None) -> EventMetadata | None:
    if not extra_meta:
        return None
    return EventMetadata(*(extra_meta.get(name) for name in EventMetadata._fields))


class FunctionEventAvg(FormattedTimesMixin):
    """Sums over events of one key. ``add`` and ``+=`` take events and other sums."""

    def __init__(self) -> None:
        self.key: str | None = None
        self.count = 0
        self.node_id = 0
        self.is_async = self.is_remote = False
        self.use_device: str | None = None
        self.cpu_time_total: float = 0
        self.device_time_total: float = 0
        self.self_cpu_time_total: float = 0
        self.self_device_time_total: float = 0
        self.input_shapes: Any = None
        self.overload_name: str | None = None
        self.stack: Any = None
        self.scope: int | None = None
        self.cpu_memory_usage = self.device_memory_usage = 0
        self.self_cpu_memory_usage = self.self_device_memory_usage = 0
        self.cpu_children: Any = None
        self.cpu_parent: Any = None
        self.device_type = DeviceType.CPU
        self.is_legacy = False
        self.flops = 0

    def add(self, other: Any) -> FunctionEventAvg:
        """Add an event, or the events of another sum, with the same key."""
        if self.key is None:
            for name in ("key", "node_id", "is_async", "is_remote", "cpu_parent", "cpu_children", "overload_name",
                         "input_shapes", "stack", "scope", "device_type", "is_legacy", "use_device"):  # fmt: skip
                setattr(self, name, getattr(other, name))
            self.is_user_annotation = other.is_user_annotation
        if not isinstance(other, (FunctionEvent, FunctionEventAvg)):
            raise AssertionError("Expected other to be a FunctionEvent or FunctionEventAvg")
        if other.key != self.key:
            raise AssertionError(f"Expected keys to match, but got {other.key} vs {self.key}")
        for name in ("cpu_time_total", "device_time_total", "self_cpu_time_total", "self_device_time_total",
                     "cpu_memory_usage", "device_memory_usage", "self_cpu_memory_usage", "self_device_memory_usage",
                     "count"):  # fmt: skip
            setattr(self, name, getattr(self, name) + getattr(other, name))
        if other.flops is not None:
            self.flops = other.flops if self.flops is None else self.flops + other.flops
        return self

    def __iadd__(self, other: Any) -> FunctionEventAvg:
        return self.add(other)

    def __repr__(self) -> str:
        device = self.use_device or "cuda"
        return (
            f"<FunctionEventAvg key={self.key} self_cpu_time={self.self_cpu_time_total_str} "
            f"cpu_time={self.cpu_time_str}  self_{device}_time={self.self_device_time_total_str} "
            f"{device}_time={self.device_time_str} input_shapes={self.input_shapes} "
            f"cpu_memory_usage={self.cpu_memory_usage} {device}_memory_usage={self.device_memory_usage}>"
        )


class EventList(list):
    """A list of events that can be averaged, printed and exported."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._use_device = kwargs.pop("use_device", None)
        self._profile_memory = kwargs.pop("profile_memory", False)
        self._with_flops = kwargs.pop("with_flops", False)
        super().__init__(*args, **kwargs)
        self._tree_built = False

    def _build_tree(self) -> None:
        self._populate_cpu_children()
        self._remove_dup_nodes()
        self._set_backward_stacktraces()
        self._tree_built = True

    def _populate_cpu_children(self) -> None:
        """Nest the events of each thread: one lies in another if its interval does."""
        inside = [e for e in self if not e.is_async and e.device_type == DeviceType.CPU and not _is_instant(e)]
        of_thread = attrgetter("thread", "node_id")
        for _, events in itertools.groupby(sorted(inside, key=of_thread), of_thread):
            enclosing: list[FunctionEvent] = []
            for event in sorted(events, key=lambda e: (e.time_range.start, -e.time_range.end)):
                while enclosing and not _contains(enclosing[-1].time_range, event.time_range):
                    enclosing.pop()
                if enclosing:
                    enclosing[-1].append_cpu_child(event)
                    event.set_cpu_parent(enclosing[-1])
                enclosing.append(event)

    def _remove_dup_nodes(self) -> None:
        """Of two events of one name, the inner being all that is inside the outer, only the outer stays."""
        while True:
            twice = set()
            for at, event in enumerate(self):
                outer = event.cpu_parent
                if outer is None or outer.name != event.name or len(outer.cpu_children) != 1:
                    continue
                outer.cpu_children, outer.kernels = event.cpu_children, event.kernels
                for child in event.cpu_children:
                    child.cpu_parent = outer
                twice.add(at)
            if not twice:
                return
            self[:] = [event for at, event in enumerate(self) if at not in twice]

    def _set_backward_stacktraces(self) -> None:
        """Events of a backward pass show where the forward operation was called."""
        stacks = {}
        for event in self:
            if _backward_of(event) is None and event.stack and event.sequence_nr >= 0:
                stacks.setdefault(event.sequence_nr, event.stack)
        for event in self:
            node = _backward_of(event)
            if node is not None:
                event.stack = stacks.get(node.sequence_nr, [])

    @property
    def self_cpu_time_total(self) -> float:
        return sum(event.self_cpu_time_total for event in self)

    def table(
        self, sort_by: str | None = None, row_limit: int = 100, max_src_column_width: int = 75,
        max_name_column_width: int = 55, max_shapes_column_width: int = 80, header: str | None = None,
        top_level_events_only: bool = False, time_unit: str | None = None,
    ) -> str:  # fmt: skip
        """The events as a table.

        ``sort_by``: an attribute of the events, largest first: ``cpu_time``, ``cpu_time_total``,
        ``self_cpu_time_total``, ``cpu_memory_usage``, ``self_cpu_memory_usage``, ``count`` ... ``row_limit`` -1 shows
        all. ``time_unit``: ``"s"``, ``"ms"`` or ``"us"`` instead of one for each time. AttributeError for an attribute
        that there is not.
        """
        return _build_table(
            self, sort_by=sort_by, header=header, row_limit=row_limit, max_src_column_width=max_src_column_width,
            max_name_column_width=max_name_column_width, max_shapes_column_width=max_shapes_column_width,
            with_flops=self._with_flops, profile_memory=self._profile_memory,
            top_level_events_only=top_level_events_only, time_unit=time_unit,
        )  # fmt: skip

    def __str__(self) -> str:
        return self.table()

    def export_chrome_trace(self, path: str) -> None:
        """Write the events as JSON that chrome://tracing and Perfetto read."""
        from ._profiler_trace import write_events

        write_events(path, self)

    def supported_export_stacks_metrics(self) -> list[str]:
        return list(_STACK_METRICS)

    def export_stacks(self, path: str, metric: str) -> None:
        """Write a line for each stack of Python calls, with the sum of a metric: the format of flame graphs.

        ValueError for a metric that is not one of ``supported_export_stacks_metrics()``.
        """
        if metric not in _STACK_METRICS:
            raise ValueError(f"metric should be one of: {list(_STACK_METRICS)}")
        attribute = metric if metric == "self_cpu_time_total" else "self_device_time_total"
        translate = str.maketrans(" ;\t\n", "____")
        with open(path, "w", encoding="utf-8") as file:
            for event in self:
                value = int(getattr(event, attribute)) if event.stack else 0
                if value > 0:
                    file.write(";".join(entry.translate(translate) for entry in reversed(event.stack)) + f" {value}\n")

    def key_averages(
        self, group_by_input_shapes: bool = False, group_by_stack_n: int = 0, group_by_overload_name: bool = False
    ) -> EventList:
        """Sums over events of the same name and, where asked for, input shapes, top ``group_by_stack_n`` lines of the
        stack, and overload."""
        if not self._tree_built:
            raise AssertionError("Expected tree to be built before calling key_averages")
        sums: dict[tuple[Any, ...], FunctionEventAvg] = defaultdict(FunctionEventAvg)
        for event in self:
            key = [event.key, event.node_id, event.device_type, event.is_legacy, event.is_user_annotation]
            key.append(event.overload_name if group_by_overload_name else "")
            key.append(str(event.input_shapes) if group_by_input_shapes else "")
            key.append(tuple(event.stack[:group_by_stack_n]) if group_by_stack_n > 0 else ())
            sums[tuple(key)].add(event)
        result = EventList(
            sums.values(), use_device=self._use_device, profile_memory=self._profile_memory, with_flops=self._with_flops
        )
        for one in result:
            one.stack = one.stack[:group_by_stack_n] if one.stack else []
            if not group_by_input_shapes:
                one.input_shapes = ""
            if not group_by_overload_name:
                one.overload_name = ""
        return result

    def total_average(self) -> FunctionEventAvg:
        """One sum over all events, with the key ``"Total"``."""
        total = FunctionEventAvg()
        for event in self:
            total += event
            total.key = None
        total.key = "Total"
        return total


def _contains(outer: Interval, inner: Interval) -> bool:
    return inner.start < outer.end and inner.end <= outer.end


def _is_instant(event: FunctionEvent) -> bool:
    return event.name in (MEMORY_EVENT_NAME, OUT_OF_MEMORY_EVENT_NAME)


def _backward_of(event: FunctionEvent | None) -> FunctionEvent | None:
    """The node of a backward pass that this event is, or lies in."""
    while event is not None:
        if event.scope == 1:
            return event
        event = event.cpu_parent
    return None
