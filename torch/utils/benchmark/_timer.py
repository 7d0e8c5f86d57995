"""Timing a statement."""

from __future__ import annotations

import enum
import sys
import time
import timeit
from collections.abc import Callable
from typing import Any

from torch._missing import not_available

from ._measurement import Measurement, TaskSpec, set_torch_threads

timer = time.perf_counter


class Language(enum.Enum):
    """The language of a statement."""

    PYTHON = 0
    CPP = 1


class Timer:
    """Time a Python statement with a given number of threads.

    Args:
        stmt: the statement, run in a loop.
        setup: run before it.
        global_setup: of C++ statements, which are not supported.
        timer: what the seconds are read from.
        globals: the names that the statement sees.
        label: what tables are grouped by.
        sub_label: what their rows are named by.
        description: what their columns are named by.
        env: another mark of rows.
        num_threads: for operations inside the statement.
        language: ``"python"``.

    Raises:
        NotImplementedError: for C++.

    >>> from torch.utils.benchmark import Timer
    >>> Timer("x + x", globals={"x": torch.ones(2)}).timeit(10).number_per_run
    10
    """

    def __init__(
        self, stmt: str = "pass", setup: str = "pass", global_setup: str = "", timer: Callable[[], float] = timer,
        globals: dict[str, Any] | None = None, label: str | None = None, sub_label: str | None = None,
        description: str | None = None, env: str | None = None, num_threads: int = 1,
        language: Language | str = Language.PYTHON,
    ) -> None:  # fmt: skip
        if language not in (Language.PYTHON, "py", "python"):
            if language not in (Language.CPP, "cpp", "c++"):
                raise ValueError(f"Invalid language `{language}`.")
            raise not_available(
                "torch.utils.benchmark.Timer(language='c++')", "there is no C++ API for statements to call"
            )
        if global_setup:
            raise ValueError(
                f"global_setup is C++ only, got `{global_setup}`. Most likely this code can simply be moved to `setup`."
            )
        import torch

        stmt, setup = (_dedent(text) for text in (stmt, setup))
        self._globals = dict(globals or {})
        names = {"torch": torch, **unmarked(self._globals)}
        self._timer = timeit.Timer(stmt=stmt, setup=setup, timer=timer, globals=names)
        self._task_spec = TaskSpec(stmt, setup, "", label, sub_label, description, env, num_threads)

    def _seconds(self, number: int) -> float:
        return max(self._timer.timeit(number), 1e-9)

    def timeit(self, number: int = 1000000) -> Measurement:
        """Run the statement ``number`` times, after a few runs that are not counted."""
        with set_torch_threads(self._task_spec.num_threads):
            self._seconds(max(int(number // 100), 2))
            return Measurement(number, [self._seconds(number)], self._task_spec)

    def _block(self, least: float) -> int:
        """How many runs take so many seconds at least: a power of ten."""
        number = 1
        while self._seconds(number) < least and number < 10**9:
            number *= 10
        return number

    def blocked_autorange(
        self, callback: Callable[[int, float], Any] | None = None, min_run_time: float = 0.2
    ) -> Measurement:
        """Measure blocks of runs, each long against the clock's resolution, until ``min_run_time`` seconds are over."""
        with set_torch_threads(self._task_spec.num_threads):
            number = self._block(min_run_time / 1000)
            times: list[float] = []
            while sum(times) < min_run_time:
                times.append(self._seconds(number))
                if callback is not None:
                    callback(number, times[-1])
        return Measurement(number, times, self._task_spec)

    def adaptive_autorange(
        self, threshold: float = 0.1, *, min_run_time: float = 0.01, max_run_time: float = 10.0,
        callback: Callable[[int, float], Any] | None = None,
    ) -> Measurement:  # fmt: skip
        """Measure blocks of runs until the quartiles lie within ``threshold``, or ``max_run_time`` is over."""
        with set_torch_threads(self._task_spec.num_threads):
            number = self._block(min_run_time / 10)
            times: list[float] = []
            while True:
                times.append(self._seconds(number))
                if callback is not None:
                    callback(number, times[-1])
                result = Measurement(number, times, self._task_spec)
                if sum(times) >= min_run_time and len(times) > 3 and result.meets_confidence(threshold):
                    return result
                if sum(times) >= max_run_time:
                    return result

    def autorange(self, callback: Callable[[int, float], Any] | None = None) -> None:
        """Raise NotImplementedError: see ``blocked_autorange``."""
        raise NotImplementedError("See `Timer.blocked_autorange.`")

    def repeat(self, repeat: int = -1, number: int = -1) -> None:
        """Raise NotImplementedError: see ``blocked_autorange``."""
        raise NotImplementedError("See `Timer.blocked_autorange.`")

    def collect_callgrind(
        self,
        number: int = 100,
        *,
        repeats: int | None = None,
        collect_baseline: bool = True,
        retain_out_file: bool = False,
    ) -> Any:
        """Count the instructions of ``number`` runs, by Valgrind's Callgrind in a process of its own.

        Args:
            number: of runs.
            repeats: measure so often, and return a tuple.
            collect_baseline: has no effect: the same number of runs of ``pass`` is always counted, and taken away.
            retain_out_file: keep the text of Callgrind's file in ``stmt_callgrind_out``.

        The statement is run once before. Raises OSError without Valgrind, ValueError for globals other than numbers,
        texts and tensors that are not marked by ``CopyIfCallgrind``.
        """
        from ._callgrind import collect

        found = collect(self._task_spec, self._globals, number, repeats or 1, retain_out_file)
        return found[0] if repeats is None else tuple(found)


def unmarked(names: dict[str, Any]) -> dict[str, Any]:
    """The names without the marks that only counting instructions needs."""
    if "torch.utils.benchmark._callgrind" not in sys.modules:
        return names  # nobody can have made a mark
    from ._callgrind import CopyIfCallgrind

    return CopyIfCallgrind.unwrap_all(names)


def _dedent(text: str) -> str:
    import textwrap

    return textwrap.dedent(text.strip("\n")).rstrip() if "\n" in text else text
