"""Under ``debug=True``: which operations each run of a checkpointed function called, and from where."""

from __future__ import annotations

import contextlib
import traceback

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ._checkpoint_frames import CheckpointError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


def _described(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return f"{str(value.dtype).removeprefix('torch.')}{list(value.shape)}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_described, value)) + "]"
    return repr(value)


class _Log(TorchDispatchMode):
    """A line for each operation, and the Python calls that it was called from."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, str]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if func is torch.ops.aten.detach.default:  # what is saved is detached: that is not the user's call
            return out
        given = ", ".join([*map(_described, args), *(f"{k}={_described(v)}" for k, v in (kwargs or {}).items())])
        stack = "".join(traceback.format_list(traceback.extract_stack()[:-1]))
        self.calls.append((f"{_described(out)} = {func}({given})", stack))
        return out


def _titled(title: str) -> str:
    return f"+{'~' * 78}+\n|{title:^78}|\n+{'~' * 78}+\n"


class Logs:
    """What happened in the two runs."""

    def __init__(self) -> None:
        self._first, self._second = _Log(), _Log()

    @contextlib.contextmanager
    def first_run(self) -> Iterator[None]:
        """Log the operations of the block."""
        with self._first:
            yield

    @contextlib.contextmanager
    def second_run(self) -> Iterator[None]:
        """Log the operations of the block, instead of those of an earlier second run."""
        self._second.calls.clear()
        with self._second:
            yield

    @contextlib.contextmanager
    def told(self) -> Iterator[None]:
        """An error inside the block is told with both logs."""
        try:
            yield
        except CheckpointError as error:
            raise CheckpointError(self._text(error)) from error

    def _text(self, error: CheckpointError) -> str:
        parts = [
            " An error happened while unpacking tensors; dumping logs of latest computation\n"
            "because you passed `debug=True` to `torch.utils.checkpoint.checkpoint()`.\n"
            "The two lists at the end are the shortest way to what differs.\n\n"
        ]
        first, second = self._first.calls, self._second.calls
        runs = (("the original forward", "original", first), ("recomputation", "recompute", second))
        for number, (run, short, calls) in enumerate(runs, 1):
            parts.append(_titled(f"{number}. Stack traces of the operators that ran in {run}"))
            for at, (call, stack) in enumerate(calls, 1):
                parts.append(f"\n{call}   ({at} of {len(calls)} in {short})\n\n{stack}")
            parts.append("\n")
        for number, (run, _, calls) in enumerate(runs, 3):
            parts.append(_titled(f"{number}. Log of operators in {run}"))
            parts.append("\n" + "".join(f"{call}\n" for call, _ in calls) + "\n")
        return "".join(parts) + str(error)
