"""``profile``: measurements by a schedule, and what is done with each when it is ready."""

from __future__ import annotations

import json
import os
import warnings
from abc import ABC, abstractmethod
from enum import Enum
from warnings import warn

import torch
import torch.autograd.profiler as prof
from torch.autograd._profiler_kinds import ProfilerActivity, _ExperimentalConfig, _supported_activities

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from torch.autograd.profiler_util import EventList

__all__ = [
    "ExecutionTraceObserver",
    "ProfilerAction",
    "profile",
    "schedule",
    "supported_activities",
    "tensorboard_trace_handler",
]

PROFILER_STEP_NAME = "ProfilerStep"
_CUT = "the schedule stops in the middle of a cycle"


def supported_activities() -> set[ProfilerActivity]:
    """What can be measured: the CPU."""
    return _supported_activities()


class ProfilerAction(Enum):
    """What a profiler does in a step."""

    NONE = 0
    WARMUP = 1
    RECORD = 2
    RECORD_AND_SAVE = 3
    DEVICE_STOPPED = 4


def schedule(
    *, wait: int, warmup: int, active: int, repeat: int = 0, skip_first: int = 0, skip_first_wait: int = 0
) -> Callable[[int], ProfilerAction]:
    """A schedule for ``profile``: after ``skip_first`` steps, cycles of ``wait`` steps without and ``warmup`` and
    ``active`` steps with the profiler on, of which the active ones are kept.

    ``repeat`` is how many cycles there are, 0 for as many as the program has steps. ``skip_first_wait`` other than 0
    leaves out the waiting of the first cycle. AssertionError for numbers that make no schedule.

    >>> plan = torch.profiler.schedule(wait=1, warmup=1, active=2, repeat=1)
    >>> [plan(step).name for step in range(5)]
    ['NONE', 'WARMUP', 'RECORD', 'RECORD_AND_SAVE', 'NONE']
    """
    if wait < 0 or warmup < 0 or active <= 0 or repeat < 0 or skip_first < 0:
        raise AssertionError(
            f"Invalid profiler schedule arguments. Got wait={wait} (need >= 0), warmup={warmup} (need >= 0), "
            f"active={active} (need > 0), repeat={repeat} (need >= 0), skip_first={skip_first} (need >= 0)."
        )
    if warmup == 0:
        warn("Profiler won't be using warmup, this can skew profiler results", stacklevel=2)
    cycle = wait + warmup + active

    def action(step: int) -> ProfilerAction:
        if step < 0:
            raise AssertionError(f"Step must be non-negative. Got {step}.")
        if step < skip_first:
            return ProfilerAction.NONE
        step -= skip_first
        if skip_first_wait != 0:
            step += wait
        if repeat > 0 and step // cycle >= repeat:
            return ProfilerAction.NONE
        at = step % cycle
        if at < wait:
            return ProfilerAction.NONE
        if at < wait + warmup:
            return ProfilerAction.WARMUP
        return ProfilerAction.RECORD if at < cycle - 1 else ProfilerAction.RECORD_AND_SAVE

    return action


def _default_schedule_fn(_: int) -> ProfilerAction:
    return ProfilerAction.RECORD


def tensorboard_trace_handler(
    dir_name: str, worker_name: str | None = None, use_gzip: bool = False, use_python_export: bool = False
) -> Callable[[Any], None]:
    """An ``on_trace_ready`` that writes each timeline to a file of its own in a folder.

    Files are named ``worker.time.pt.trace.json``; ``worker_name`` should be another for each process, and is made of
    the names of host and process unless given. RuntimeError, when it is called, for a folder that cannot be made.
    """

    def handler(done: Any) -> None:
        import socket
        import time

        try:
            os.makedirs(dir_name, exist_ok=True)
        except Exception as error:
            raise RuntimeError("Can't create directory: " + dir_name) from error
        worker = worker_name or f"{socket.gethostname()}_{os.getpid()}"
        name = f"{worker}.{time.time_ns()}.pt.trace.json" + (".gz" if use_gzip else "")
        done.export_chrome_trace(os.path.join(dir_name, name))

    return handler


class _ITraceObserver(ABC):
    """Something that is on for as long as a profiler records."""

    @abstractmethod
    def start(self) -> None: ...

    @abstractmethod
    def stop(self) -> None: ...

    @abstractmethod
    def cleanup(self) -> None: ...


class _KinetoProfile:
    """A profiler without a schedule: ``start`` and ``stop`` say when it measures. See ``profile``."""

    def __init__(
        self, *, activities: Iterable[Any] | None = None, record_shapes: bool = False, profile_memory: bool = False,
        with_stack: bool = False, with_flops: bool = False, with_modules: bool = False,
        experimental_config: _ExperimentalConfig | None = None, execution_trace_observer: _ITraceObserver | None = None,
        acc_events: bool = False, custom_trace_id_callback: Callable[[], str] | None = None,
        post_processing_timeout_s: float | None = None,
    ) -> None:  # fmt: skip
        self.activities, self.activity_filters = _activities(activities)
        if not self.activities:
            raise AssertionError("No valid profiler activities found")
        self.record_shapes, self.with_flops, self.profile_memory = record_shapes, with_flops, profile_memory
        self.with_stack, self.with_modules = with_stack, with_modules
        self.experimental_config, self.execution_trace_observer = experimental_config, execution_trace_observer
        self.acc_events, self.custom_trace_id_callback = acc_events, custom_trace_id_callback
        self.post_processing_timeout_s = post_processing_timeout_s
        self.profiler: prof.profile | None = None
        self.use_device: str | None = None
        self.preset_metadata: dict[str, str] = {}
        self._trace_metadata: dict[str, Any] = {}

    def start(self) -> None:
        """Begin to measure."""
        self.prepare_trace()
        self.start_trace()

    def stop(self) -> None:
        """End the measurement."""
        self.stop_trace()

    def prepare_trace(self) -> None:
        """Make ready to measure."""
        if self.profiler is None or not self.acc_events:
            self.profiler = prof.profile(
                use_cpu=ProfilerActivity.CPU in self.activities, use_device=None, record_shapes=self.record_shapes,
                with_flops=self.with_flops, profile_memory=self.profile_memory, with_stack=self.with_stack,
                with_modules=self.with_modules, use_kineto=True, experimental_config=self.experimental_config,
                acc_events=self.acc_events, custom_trace_id_callback=self.custom_trace_id_callback,
                post_processing_timeout_s=self.post_processing_timeout_s,
            )  # fmt: skip
        self.profiler._prepare_trace()

    def start_trace(self) -> None:
        """Begin to record."""
        profiler, observer = self._needed("starting trace"), self.execution_trace_observer
        if isinstance(observer, ExecutionTraceObserver):
            profiler.record_shapes = True  # one session of the core serves both
        elif observer is not None:
            observer.start()
        profiler._start_trace()

    def stop_trace(self) -> None:
        """End the recording."""
        profiler, observer = self._needed("stopping trace"), self.execution_trace_observer
        profiler.__exit__(None, None, None)
        if isinstance(observer, ExecutionTraceObserver):
            observer._take(profiler.kineto_results)
        elif observer is not None:
            observer.stop()

    def _needed(self, purpose: str) -> prof.profile:
        if self.profiler is None:
            raise AssertionError(f"Profiler must be initialized before {purpose}")
        return self.profiler

    def export_chrome_trace(self, path: str, use_python_export: bool = False) -> None:
        """Write the timeline as JSON that chrome://tracing and Perfetto read; compressed for names in ``.gz``."""
        profiler = self._needed("exporting chrome trace")
        profiler.export_chrome_trace(path, metadata={**self.preset_metadata, **self._trace_metadata})

    def export_stacks(self, path: str, metric: str = "self_cpu_time_total") -> None:
        """Write stacks with a metric, for flame graphs; needs ``with_stack=True``."""
        self._needed("exporting stacks").export_stacks(path, metric)

    def toggle_collection_dynamic(self, enable: bool, activities: Iterable[ProfilerActivity]) -> None:
        """Nothing, as long as only the CPU is measured."""
        if self.profiler is not None:
            self.profiler.toggle_collection_dynamic(enable, activities)

    def key_averages(
        self, group_by_input_shape: bool = False, group_by_stack_n: int = 0, group_by_overload_name: bool = False
    ) -> EventList:
        """Sums over events of one name and, where asked for, of the same input shapes and the same top of the stack.

        Shapes need ``record_shapes=True``, stacks ``with_stack=True``.
        """
        return self._needed("getting key averages").key_averages(
            group_by_input_shape, group_by_stack_n, group_by_overload_name
        )

    def events(self) -> EventList:
        """The events, nested."""
        return self._needed("accessing events").function_events

    def add_metadata(self, key: str, value: str) -> None:
        """A text for the timeline's file."""
        self._trace_metadata[key] = value

    def add_metadata_json(self, key: str, value: str) -> None:
        """A value, as JSON, for the timeline's file."""
        self._trace_metadata[key] = json.loads(value)

    def preset_metadata_json(self, key: str, value: str) -> None:
        """The same, for all timelines."""
        self.preset_metadata[key] = json.loads(value)

    def get_trace_id(self) -> str | None:
        """The identifier of the timeline; None before the first."""
        return None if self.profiler is None else self.profiler.trace_id

    def set_custom_trace_id_callback(self, callback: Callable[[], str]) -> None:
        """A function that gives identifiers."""
        self.custom_trace_id_callback = callback

    def export_memory_timeline(self, path: str, device: str | None = None) -> None:
        """Not part of Tabula: NotImplementedError, or ValueError where not everything that it needs was recorded."""
        warnings.warn(
            "`export_memory_timeline` is deprecated and will be removed in a future version. Please use "
            "`torch.cuda.memory._record_memory_history` and `torch.cuda.memory._export_memory_snapshot` instead.",
            FutureWarning,
            stacklevel=2,
        )
        if not (self.record_shapes and self.profile_memory and self.with_stack):
            raise ValueError("record_shapes=True, profile_memory=True, with_stack=True required for memory profiling.")
        raise NotImplementedError(
            "export_memory_timeline is not part of Tabula: profile_memory=True gives the memory of each operation in "
            "key_averages().table(), and export_chrome_trace() writes what is allocated over time"
        )


def _activities(activities: Iterable[Any] | None) -> tuple[set[ProfilerActivity], dict[ProfilerActivity, set[str]]]:
    """The activities that are asked for, those that a dictionary gives filters for among them."""
    if activities is None:
        return supported_activities(), {}
    plain, filters = set(), {}
    for one in activities:
        if isinstance(one, dict):
            filters |= {kind: set(names) for kind, names in one.items()}
            plain |= one.keys()
        else:
            plain.add(one)
    for kind in sorted(plain - supported_activities()):
        warn(f"{kind.name} is not available, disabling {kind.name} profiling", stacklevel=4)
    return plain & supported_activities(), filters


class profile(_KinetoProfile):  # noqa: N801 - PyTorch's name
    """Measure a block, or, by a schedule, some of its steps.

    Args:
        activities: ``ProfilerActivity.CPU``; others are left out with a warning. AssertionError if none is left.
        schedule: step number to ``ProfilerAction``, see :func:`schedule`. The program calls ``step()`` after each step.
            Without one the whole block is measured.
        on_trace_ready: called with this object when a measurement is ready.
        record_shapes, profile_memory, with_stack, with_flops, with_modules: see ``torch.autograd.profiler.profile``.
        acc_events: keep the events of earlier cycles.

    >>> seen = []
    >>> with torch.profiler.profile(
    ...     schedule=torch.profiler.schedule(wait=1, warmup=1, active=2, repeat=1),
    ...     on_trace_ready=lambda p: seen.append(sum(e.name == "aten::relu" for e in p.events())),
    ... ) as p:
    ...     for _ in range(6):
    ...         y = torch.relu(torch.ones(2))
    ...         p.step()
    >>> seen
    [2]
    """

    def __init__(
        self, *, activities: Iterable[Any] | None = None, schedule: Callable[[int], ProfilerAction] | None = None,
        on_trace_ready: Callable[..., Any] | None = None, record_shapes: bool = False, profile_memory: bool = False,
        with_stack: bool = False, with_flops: bool = False, with_modules: bool = False,
        experimental_config: _ExperimentalConfig | None = None, execution_trace_observer: _ITraceObserver | None = None,
        acc_events: bool = False, use_cuda: bool | None = None,
        custom_trace_id_callback: Callable[[], str] | None = None, post_processing_timeout_s: float | None = None,
    ) -> None:  # fmt: skip
        if use_cuda is not None:
            warn("`use_cuda` is deprecated, use `activities` argument instead", FutureWarning, stacklevel=2)
        super().__init__(
            activities=activities, record_shapes=record_shapes, profile_memory=profile_memory, with_stack=with_stack,
            with_flops=with_flops, with_modules=with_modules, experimental_config=experimental_config,
            execution_trace_observer=execution_trace_observer, acc_events=acc_events,
            custom_trace_id_callback=custom_trace_id_callback, post_processing_timeout_s=post_processing_timeout_s,
        )  # fmt: skip
        self.record_steps = schedule is not None
        self.schedule = schedule or _default_schedule_fn
        self.on_trace_ready = on_trace_ready
        self.step_num = 0
        self.current_action = self.schedule(self.step_num)
        self.step_rec_fn: Any = None
        none, warmup, record, save = (ProfilerAction(i) for i in range(4))
        # what leads from one step's action to the next; None: the block ends
        prepare, begin, end, ready = self.prepare_trace, self.start_trace, self.stop_trace, self._trace_ready
        self.action_map: dict[Any, list[Any]] = {
            (none, none): [],
            (none, warmup): [prepare],
            (none, record): [prepare, begin],
            (none, save): [prepare, begin],
            (warmup, none): [_CUT, begin, end],
            (warmup, warmup): [],
            (warmup, record): [begin],
            (warmup, save): [begin],
            (record, none): [_CUT, end],
            (record, warmup): [_CUT, end],
            (record, record): [],
            (record, save): [],
            (save, none): [end, ready],
            (save, warmup): [end, ready, prepare],
            (save, record): [end, ready, prepare, begin],
            (save, save): [end, ready, prepare, begin],
            (warmup, None): [begin, end],
            (record, None): [end, ready],
            (save, None): [end, ready],
        }
        prof.KinetoStepTracker.init_step_count(PROFILER_STEP_NAME)

    def __enter__(self) -> profile:
        self.start()
        return self

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        self.stop()
        prof.KinetoStepTracker.erase_step_count(PROFILER_STEP_NAME)
        if self.execution_trace_observer is not None:
            self.execution_trace_observer.cleanup()

    def start(self) -> None:
        """Begin, with the schedule's first action."""
        self._transit_action(ProfilerAction.NONE, self.current_action)
        self._open_step()

    def stop(self) -> None:
        """End; what is being recorded is ready."""
        self._close_step()
        self._transit_action(self.current_action, None)

    def step(self) -> None:
        """Say that a step of the program is over."""
        self._close_step()
        before = self.current_action
        self.step_num += 1
        self.current_action = self.schedule(self.step_num)
        self._transit_action(before, self.current_action)
        prof.KinetoStepTracker.increment_step(PROFILER_STEP_NAME)
        self._open_step()

    def _open_step(self) -> None:
        if self.record_steps:
            self.step_rec_fn = prof.record_function(f"{PROFILER_STEP_NAME}#{self.step_num}")
            self.step_rec_fn.__enter__()

    def _close_step(self) -> None:
        if self.record_steps and self.step_rec_fn is not None:
            self.step_rec_fn.__exit__(None, None, None)
            self.step_rec_fn = None

    def _trace_ready(self) -> None:
        if self.on_trace_ready is not None:
            self.on_trace_ready(self)

    def _transit_action(self, prev_action: Any, current_action: Any) -> None:
        for action in self.action_map.get((prev_action, current_action), []):
            if action is _CUT:
                warn(f"Incorrect schedule: {prev_action.name} followed by {current_action.name}", stacklevel=3)
            else:
                action()


class ExecutionTraceObserver(_ITraceObserver):
    """Writes the operations of a program, with their arguments, to a file of JSON: a node for each, in order.

    ``register_callback(path)`` says where, ``start`` and ``stop`` or a profiler's ``execution_trace_observer`` when.
    A node has a name, its number ``id``, that of the node around it ``ctrl_deps``, and shapes, strides, types and
    values of its inputs. RuntimeError from ``start`` where this thread is measured by a profiler already.
    """

    def __init__(self) -> None:
        self._path: str | None = None
        self._running = False
        self._nodes: list[dict[str, Any]] = []
        self.extra_resources_collection = False

    def register_callback(self, output_file_path: str) -> ExecutionTraceObserver:
        """Say which file to write; the observer itself."""
        if self._path is None:
            self._path = output_file_path
        return self

    def get_output_file_path(self) -> str | None:
        """The file, or None where there is none yet."""
        return self._path

    @property
    def is_registered(self) -> bool:
        return self._path is not None

    def is_running(self) -> bool:
        """Whether operations are recorded now."""
        return self._running

    def set_extra_resource_collection(self, val: bool) -> None:
        """Whether to keep what else a replay needs: there is nothing, all operations are in the file."""
        self.extra_resources_collection = val

    def start(self) -> None:
        """Begin to record."""
        if self._path is None or self._running:
            return
        if torch._C._profiler_enabled():
            raise RuntimeError("ExecutionTraceObserver: this thread is measured by a profiler already")
        torch._C._profiler_start(True, False, False)
        self._running = True

    def stop(self) -> None:
        """End the recording and write the file."""
        if not self._running:
            return
        self._running = False
        from torch.autograd._profiler_records import Measured

        self._take(Measured(torch._C._profiler_stop()))

    def _take(self, measured: Any) -> None:
        """Add what was measured to the file."""
        if self._path is None or measured is None:
            return
        from torch.autograd._profiler_trace import trace_nodes

        first = len(self._nodes) + 2
        self._nodes += trace_nodes(measured, first)
        root = {"id": 1, "name": "[pytorch|profiler|execution_trace|process]", "ctrl_deps": 0, "inputs": {}}
        with open(self._path, "w", encoding="utf-8") as file:
            nodes = [root, *self._nodes]
            json.dump({"schema": "1.1.1-chakra.0.0.4", "pid": os.getpid(), "nodes": nodes}, file, indent=1)

    def unregister_callback(self) -> None:
        """End, and forget the file."""
        self.stop()
        self._path = None
        self._nodes.clear()

    def cleanup(self) -> None:
        """The same."""
        self.unregister_callback()
