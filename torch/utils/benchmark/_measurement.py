"""What a timing is: runs, their statistics, and how they are printed."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import statistics
import textwrap
from collections.abc import Iterable, Iterator
from typing import Any

import torch

_WORDS = {"s": "second", "ms": "millisecond", "us": "microsecond", "ns": "nanosecond"}
_MOST_FIGURES = 4
_QUANTILE = 1.645  # of the normal distribution: both tails have a twentieth
_LEAST_INTERVAL = 25e-9  # seconds: the clock itself


@dataclasses.dataclass(init=True, repr=False, eq=True, frozen=True)
class TaskSpec:
    """What was timed."""

    stmt: str
    setup: str
    global_setup: str = ""
    label: str | None = None
    sub_label: str | None = None
    description: str | None = None
    env: str | None = None
    num_threads: int = 1

    @property
    def title(self) -> str:
        """The label, or the statement, with the sub-label."""
        if self.label is not None:
            return self.label + (f": {self.sub_label}" if self.sub_label else "")
        return self.stmt if "\n" not in self.stmt else "stmt:\n" + textwrap.indent(self.stmt, "  ")

    def setup_str(self) -> str:
        """The setup, if it does anything."""
        if self.setup == "pass" or not self.setup:
            return ""
        return f"setup: {self.setup}" if "\n" not in self.setup else "setup:\n" + textwrap.indent(self.setup, "  ")

    def summarize(self) -> str:
        """Title, description and setup; parts of several lines have an empty one after them."""
        parts = [self.title, self.description or "", self.setup_str()]
        return "\n".join(part + "\n" if "\n" in part else part for part in parts if part)


def select_unit(t: float) -> tuple[str, float]:
    """The unit in which ``t`` seconds read best, and its length in seconds.

    >>> from torch.utils.benchmark import select_unit
    >>> select_unit(3e-5)
    ('us', 1e-06)
    """
    power = math.floor(math.log10(t)) // 3 if t > 0 else 0
    return {-1: ("ms", 1e-3), -2: ("us", 1e-6), -3: ("ns", 1e-9)}.get(power, ("s", 1))


def unit_to_english(u: str) -> str:
    """The word for a unit.

    >>> from torch.utils.benchmark import unit_to_english
    >>> unit_to_english("us")
    'microsecond'
    """
    return _WORDS[u]


def trim_sigfig(x: float, n: int) -> float:
    """``x`` rounded to ``n`` significant figures.

    >>> from torch.utils.benchmark import trim_sigfig
    >>> trim_sigfig(1234.567, 3)
    1230.0
    """
    if x == 0 or n < 1:
        return x
    digits = n - 1 - math.floor(math.log10(abs(x)))
    return float(round(x, digits)) if digits > 0 else float(round(x / 10**-digits) * 10**-digits)


def ordered_unique(elements: Iterable[Any]) -> list[Any]:
    """Each element once, in order of appearance."""
    return list(dict.fromkeys(elements))


@contextlib.contextmanager
def set_torch_threads(n: int) -> Iterator[None]:
    """Use ``n`` threads inside the block."""
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(n)
        yield
    finally:
        torch.set_num_threads(before)


def _quartiles(times: list[float]) -> tuple[float, float]:
    ordered = sorted(times)

    def at(share: float) -> float:
        place = share * (len(ordered) - 1)
        low = math.floor(place)
        high = min(low + 1, len(ordered) - 1)
        return ordered[low] + (ordered[high] - ordered[low]) * (place - low)

    return at(0.25), at(0.75)


@dataclasses.dataclass(init=True, repr=False)
class Measurement:
    """Times of one statement: ``raw_times`` are the seconds of ``number_per_run`` runs each."""

    number_per_run: int
    raw_times: list[float]
    task_spec: TaskSpec
    metadata: dict[Any, Any] | None = None

    def __getattr__(self, name: str) -> Any:
        # the task's facts are the measurement's
        if not name.startswith("_") and name in TaskSpec.__dataclass_fields__:
            return getattr(self.task_spec, name)
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    @property
    def times(self) -> list[float]:
        """Seconds per run."""
        return [t / self.number_per_run for t in self.raw_times]

    @property
    def median(self) -> float:
        """The median of the seconds per run."""
        return statistics.median(self.times)

    @property
    def mean(self) -> float:
        """The mean of the seconds per run."""
        return sum(self.times) / len(self.raw_times)

    @property
    def iqr(self) -> float:
        """The distance between the quartiles."""
        low, high = _quartiles(self.times)
        return high - low

    @property
    def significant_figures(self) -> int:
        """How many figures of the median the spread of the times in the middle leaves significant: from 1 to 4."""
        count = len(self.raw_times)
        middle = sorted(self.times)[count // 4 : count - count // 4]
        interval = max(_QUANTILE * statistics.pstdev(middle) / math.sqrt(len(middle)), _LEAST_INTERVAL)
        return max(1, min(math.floor(-math.log10(interval / self.median)), _MOST_FIGURES))

    @property
    def has_warnings(self) -> bool:
        """Whether the times spread so much that the machine was probably not quiet."""
        return len(self.raw_times) > 1 and not self.meets_confidence()

    def meets_confidence(self, threshold: float = 0.1) -> bool:
        """Whether the distance between the quartiles is less than this share of the median."""
        return self.iqr / self.median < threshold

    @property
    def title(self) -> str:
        """The title of the task."""
        return self.task_spec.title

    @property
    def as_row_name(self) -> str:
        """The name of its row in a table."""
        return self.task_spec.sub_label or self.task_spec.stmt or "[Unknown]"

    def __repr__(self) -> str:
        unit, size = select_unit(self.median)
        count = len(self.raw_times)
        lines = [object.__repr__(self), self.task_spec.summarize()]
        if count > 1:
            low, high = (q / size for q in _quartiles(self.times))
            lines += [
                f"  Median: {self.median / size:.2f} {unit}",
                f"  IQR:    {self.iqr / size:.2f} {unit} ({low:.2f} to {high:.2f})",
            ]
        else:
            lines.append(f"  {self.median / size:.2f} {unit}")
        runs = f"{count} measurement{'s' if count > 1 else ''}, {self.number_per_run} runs "
        threads = self.task_spec.num_threads
        lines.append(f"  {runs}{'per measurement' if count > 1 else ''}, {threads} thread{'s' if threads > 1 else ''}")
        if self.has_warnings:
            share = self.iqr / self.median
            strong = "could indicate system fluctuation"
            if share > 0.25:
                strong = "suggests significant environmental influence"
            lines += [
                f"  WARNING: Interquartile range is {share * 100:.1f}% of the median measurement.",
                f"           This {strong}.",
            ]
        return "\n".join(lines)

    @staticmethod
    def merge(measurements: Iterable[Measurement]) -> list[Measurement]:
        """All times of equal tasks as one measurement each."""
        groups: dict[TaskSpec, list[float]] = {}
        for m in measurements:
            groups.setdefault(m.task_spec, []).extend(m.times)
        return [Measurement(1, times, task) for task, times in groups.items()]
