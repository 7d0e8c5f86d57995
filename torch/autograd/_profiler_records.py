"""What the core measured, as events: names of operations as PyTorch calls them, shapes, stacks, FLOPs."""

from __future__ import annotations

import math
import os
import sys
import threading

import torch

from ._profiler_kinds import RecordScope
from .profiler_util import MEMORY_EVENT_NAME, EventList, FunctionEvent, _rewrite_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Kinds of records (src/interp/profile.h).
_OPERATION, _EVALUATE, _DERIVATIVE, _RANGE = range(4)
_SCOPES = {_OPERATION: RecordScope.FUNCTION, _EVALUATE: RecordScope.FUNCTION,
           _DERIVATIVE: RecordScope.BACKWARD_FUNCTION, _RANGE: RecordScope.USER_SCOPE}  # fmt: skip
_OF_RANGES = os.path.join(os.path.dirname(__file__), "profiler.py")  # opens ranges: of no interest in stacks
_MODULE_PREFIX = "nn.Module: "
_TYPE_NAMES = {
    torch.float32: "float", torch.float64: "double", torch.float16: "c10::Half", torch.bfloat16: "c10::BFloat16",
    torch.int64: "long int", torch.int32: "int", torch.int16: "short int", torch.int8: "signed char",
    torch.uint8: "unsigned char", torch.bool: "bool", torch.complex64: "c10::complex<float>",
    torch.complex128: "c10::complex<double>",
}  # fmt: skip


class Measured:
    """What one session of the core's profiler gave, with ``names``, ``inputs`` and so on per record."""

    def __init__(self, session: tuple[Any, ...], modules: bool = False) -> None:
        operations, self.records, self.memory, self._stacks, self.start_ns, self.end_ns = session
        self._operations = operations
        self._names: dict[tuple[int, int], str] = {}
        self.pid, self.tid = os.getpid(), threading.get_native_id()
        self.with_modules = modules

    def name(self, record: tuple[Any, ...]) -> str:
        kind, form, what = record[:3]
        if kind != _OPERATION:
            return what
        if (what, form) not in self._names:
            from torch._dispatch import operation_name

            text, surface = self._operations[what]
            self._names[what, form] = "aten::" + operation_name(text, form, surface)
        return self._names[what, form]

    def stack(self, record: tuple[Any, ...]) -> list[str]:
        """The Python calls that a record was opened in, innermost first."""
        if record[9] < 0:
            return []
        pairs = self._stacks[record[9]]
        frames = zip(pairs[::2], pairs[1::2], strict=True)
        return [_frame_text(code, line) for code, line in frames if code.co_filename != _OF_RANGES]

    def events(self, with_flops: bool, with_memory: bool) -> list[FunctionEvent]:
        """An event for each record, and one for each block of memory that was taken or given back outside of all."""
        made = [self._event(number, record, with_flops) for number, record in enumerate(self.records)]
        for time, _, change, _, inside in self.memory if with_memory else ():
            if inside < 0:
                at = (time - self.start_ns) / 1000
                made.append(self._plain(0, MEMORY_EVENT_NAME, at, at, cpu_memory_usage=change))
        return sorted(made, key=lambda event: event.time_range.start)

    def _plain(self, id: int, name: str, start: float, end: float, **more: Any) -> FunctionEvent:
        defaults: dict[str, Any] = {
            "overload_name": "", "trace_name": name, "fwd_thread": 0, "input_shapes": [], "concrete_inputs": [],
            "kwinputs": {}, "stack": [], "flops": 0, "device_index": self.pid, "device_resource_id": self.tid,
            "activity_type": "cpu_op", "metadata_json": "", "flow_id": 0, "flow_type": 0, "flow_start": False,
            "structured_input_shapes": [], "structured_input_strides": [], "input_dtypes": [],
        }  # fmt: skip
        shown = _rewrite_name(name, with_wildcard=True)
        return FunctionEvent(id=id, name=shown, thread=1, start_us=start, end_us=end, **(defaults | more))

    def _event(self, number: int, record: tuple[Any, ...], with_flops: bool) -> FunctionEvent:
        kind, _, _, _, begin, end, allocated, sequence, inputs, _ = record
        name = self.name(record)
        module = kind == _RANGE and self.with_modules and name.startswith(_MODULE_PREFIX)
        more: dict[str, Any] = {}
        if inputs is not None:
            more = dict(input_shapes=[_sizes(i) for i in inputs], concrete_inputs=[_concrete(i) for i in inputs],
                        structured_input_shapes=[_structured_sizes(i) for i in inputs],
                        structured_input_strides=[_strides(i) for i in inputs],
                        input_dtypes=[type_name(i) for i in inputs])  # fmt: skip
            if with_flops:
                more["flops"] = count_flops(name, inputs)
        activity = "python_function" if module else "user_annotation" if kind == _RANGE else "cpu_op"
        return self._plain(
            number + 1, name, (begin - self.start_ns) / 1000, (end - self.start_ns) / 1000,
            scope=int(_SCOPES[kind]), cpu_memory_usage=allocated, sequence_nr=sequence, stack=self.stack(record),
            is_user_annotation=kind == _RANGE and not module, is_python_function=module, external_id=number + 1,
            activity_type=activity, **more,
        )  # fmt: skip


def event_list(measured: Measured, *, with_flops: bool, with_memory: bool) -> EventList:
    """The events of a session, nested."""
    events = measured.events(with_flops, with_memory)
    made = EventList(events, use_device=None, profile_memory=with_memory, with_flops=with_flops)
    made._build_tree()
    return made


def _frame_text(code: Any, line: int) -> str:
    path = code.co_filename
    for folder in sorted(filter(None, sys.path), key=len, reverse=True):
        prefix = folder.rstrip(os.sep) + os.sep
        if path.startswith(prefix):
            path = path[len(prefix) :]
            break
    return f"{path}({line}): {code.co_name}"


# ---- arguments: None, a number, a list of integers, a tensor (dtype, sizes, strides), or ("list", tensor, ...)


def _is_list(note: Any) -> bool:
    return isinstance(note, tuple) and note[0] == "list"


def _sizes(note: Any) -> list[Any]:
    if _is_list(note):
        return []
    return note[1] if isinstance(note, tuple) else []


def _structured_sizes(note: Any) -> list[Any]:
    """The sizes of an argument, with those of the tensors of a list."""
    return [one and one[1] for one in note[1:]] if _is_list(note) else _sizes(note)


def _strides(note: Any) -> list[Any]:
    if _is_list(note):
        return [one and one[2] for one in note[1:]]
    return note[2] if isinstance(note, tuple) else []


def _concrete(note: Any) -> Any:
    return None if isinstance(note, tuple) else note


def type_name(note: Any) -> str:
    """What a trace calls the type of an argument."""
    if _is_list(note):
        return "TensorList"
    if isinstance(note, tuple):
        return _TYPE_NAMES.get(note[0], str(note[0]).removeprefix("torch."))
    if isinstance(note, list):
        return "ScalarList"
    return "" if note is None else "Scalar"


# ---- FLOPs: a multiplication and an addition each count as one


def _product_flops(left: list[int], right: list[int]) -> int:
    return 2 * math.prod(left) * right[-1]


def _convolution_flops(notes: list[Any]) -> int:
    (_, image, _), (_, weight, _), _, stride, padding, dilation = notes[:6]
    rank = len(weight) - 2
    if len(image) != len(weight) or not all(isinstance(x, list) for x in (stride, padding, dilation)):
        return 0
    stride, padding, dilation = (x * rank if len(x) == 1 else x for x in (stride, padding, dilation))
    out = [
        (size + 2 * p - d * (k - 1) - 1) // s + 1
        for size, k, s, p, d in zip(image[2:], weight[2:], stride, padding, dilation, strict=True)
    ]
    # the weight's second size is already that of one group
    return 2 * image[0] * math.prod(weight) * math.prod(out)


def count_flops(name: str, notes: list[Any]) -> int:
    """The floating point operations of a call, 0 where they are not counted.

    Counted are mm, bmm, addmm, baddbmm, conv2d, add and mul, as PyTorch's profiler does; only the outermost of
    operations that call each other is (``conv2d``, not ``convolution`` inside it).
    """
    tensors = [note for note in notes if isinstance(note, tuple) and not _is_list(note)]
    operation = name.removeprefix("aten::")
    if operation in ("mm", "bmm") and len(tensors) >= 2:
        return _product_flops(tensors[0][1], tensors[1][1])
    if operation in ("addmm", "baddbmm") and len(tensors) >= 3:
        return _product_flops(tensors[1][1], tensors[2][1])
    if operation == "conv2d" and len(tensors) >= 2:
        return _convolution_flops(notes)
    if operation in ("add", "mul") and tensors:
        return math.prod(tensors[0][1])
    return 0
