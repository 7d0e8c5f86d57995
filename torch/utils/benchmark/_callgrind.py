"""Counting instructions by Valgrind's Callgrind: what a statement executes, function by function."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch

from ._measurement import TaskSpec

_SHOWN = (9, 9)  # rows at the beginning and the end of a long table
# Functions of CPython that differ from run to run: they look up names, and collect garbage.
_NOISE = frozenset(
    {
        "dictobject.c:lookdict_unicode", "dictobject.c:lookdict_unicode_nodummy", "unicodeobject.c:unicode_eq",
        "dictobject.c:unicode_get_hash", "gcmodule.c:gc_collect_main", "gcmodule.c:collect",
    }
)  # fmt: skip


class FunctionCount(NamedTuple):
    """A function, and how many instructions it executed."""

    count: int
    function: str


@dataclasses.dataclass(repr=False, eq=False, frozen=True)
class FunctionCounts:
    """Counts of instructions by function. ``+`` and ``-`` join two by name, and sort them by size.

    ``inclusive``: with what the functions call. ``truncate_rows``: leave the middle of long tables out of the text.
    """

    _data: tuple[FunctionCount, ...]
    inclusive: bool
    truncate_rows: bool = True
    _linewidth: int | None = None

    def __iter__(self) -> Iterator[FunctionCount]:
        return iter(self._data)

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, item: Any) -> FunctionCount | FunctionCounts:
        data = self._data[item]
        return dataclasses.replace(self, _data=data) if isinstance(data, tuple) and isinstance(item, slice) else data

    def __repr__(self) -> str:
        width = max((len(str(count)) for count, _ in self), default=0) + 2
        lines = [f"{count:>{width}}  {function}" for count, function in self]
        if self.truncate_rows and len(lines) > sum(_SHOWN):
            lines[_SHOWN[0] : -_SHOWN[1]] = ["...".rjust(width)]
        if self._linewidth is not None:
            lines = [line[: self._linewidth - 3] + "..." if len(line) > self._linewidth else line for line in lines]
        total = [] if self.inclusive else ["", f"Total: {self.sum()}"]
        return "\n".join([object.__repr__(self), *lines, *total])

    def _joined(self, other: FunctionCounts, sign: int) -> FunctionCounts:
        if self.inclusive is not other.inclusive:
            raise AssertionError("Cannot merge inclusive and exclusive counts.")
        counts: dict[str, int] = defaultdict(int)
        for count, function in self:
            counts[function] += count
        for count, function in other:
            counts[function] += sign * count
        return self._of(counts)

    def _of(self, counts: dict[str, int]) -> FunctionCounts:
        found = [FunctionCount(count, function) for function, count in counts.items() if count]
        return dataclasses.replace(self, _data=tuple(sorted(found, reverse=True)))

    def __add__(self, other: FunctionCounts) -> FunctionCounts:
        return self._joined(other, 1)

    def __sub__(self, other: FunctionCounts) -> FunctionCounts:
        return self._joined(other, -1)

    def transform(self, map_fn: Callable[[str], str]) -> FunctionCounts:
        """Rename functions; counts of one name are added."""
        counts: dict[str, int] = defaultdict(int)
        for count, function in self:
            counts[map_fn(function)] += count
        return self._of(counts)

    def filter(self, filter_fn: Callable[[str], bool]) -> FunctionCounts:
        """The functions whose names fulfil a condition."""
        return dataclasses.replace(self, _data=tuple(one for one in self if filter_fn(one.function)))

    def sum(self) -> int:
        """All instructions."""
        return sum(count for count, _ in self)

    def denoise(self) -> FunctionCounts:
        """Without functions of CPython whose counts differ from run to run."""
        return self.filter(lambda function: function.split(" [")[0] not in _NOISE)


@dataclasses.dataclass(repr=False, eq=False, frozen=True)
class CallgrindStats:
    """What Callgrind counted in ``number_per_run`` runs of a statement, and in as many of ``pass``."""

    task_spec: TaskSpec
    number_per_run: int
    built_with_debug_symbols: bool
    baseline_inclusive_stats: FunctionCounts
    baseline_exclusive_stats: FunctionCounts
    stmt_inclusive_stats: FunctionCounts
    stmt_exclusive_stats: FunctionCounts
    stmt_callgrind_out: str | None

    def stats(self, inclusive: bool = False) -> FunctionCounts:
        """The statement's counts: those of its runs less those of ``pass``."""
        if inclusive:
            return self.stmt_inclusive_stats - self.baseline_inclusive_stats
        return self.stmt_exclusive_stats - self.baseline_exclusive_stats

    def counts(self, *, denoise: bool = False) -> int:
        """All instructions of the runs; see ``FunctionCounts.denoise``."""
        stats = self.stats()
        return (stats.denoise() if denoise else stats).sum()

    def delta(self, other: CallgrindStats, inclusive: bool = False) -> FunctionCounts:
        """How another measurement differs from this one."""
        return self.stats(inclusive=inclusive) - other.stats(inclusive=inclusive)

    def as_standardized(self) -> CallgrindStats:
        """Without the folders of files, which differ from machine to machine."""

        def plain(counts: FunctionCounts) -> FunctionCounts:
            return counts.transform(lambda function: re.sub(r"(^|\[)[^\s\[\]]*/", r"\1", function))

        return dataclasses.replace(
            self, baseline_inclusive_stats=plain(self.baseline_inclusive_stats),
            baseline_exclusive_stats=plain(self.baseline_exclusive_stats),
            stmt_inclusive_stats=plain(self.stmt_inclusive_stats),
            stmt_exclusive_stats=plain(self.stmt_exclusive_stats),
        )  # fmt: skip

    def __repr__(self) -> str:
        total, baseline = self.stmt_exclusive_stats.sum(), self.baseline_exclusive_stats.sum()
        runs = f"{self.number_per_run} run{'s' if self.number_per_run > 1 else ''} per measurement"
        threads = f"{self.task_spec.num_threads} thread{'s' if self.task_spec.num_threads > 1 else ''}"
        return "\n".join(
            [
                object.__repr__(self), self.task_spec.summarize(),
                f"  {'':>25}All{'':>10}Noisy symbols removed",
                f"    Instructions: {total - baseline:>13}{self.counts(denoise=True):>26}",
                f"    Baseline:     {baseline:>13}{self.baseline_exclusive_stats.denoise().sum():>26}",
                f"{runs}, {threads}",
            ]
        )  # fmt: skip


class CopyIfCallgrind:
    """Marks an entry of a timer's ``globals`` that the process under Callgrind gets as a copy, by pickle.

    ``setup`` is run there first, for classes that have to be imported. Numbers, texts and tensors need no mark.
    """

    def __init__(self, value: Any, *, setup: str | None = None) -> None:
        self._value, self._setup = value, setup

    @property
    def value(self) -> Any:
        return self._value

    @property
    def setup(self) -> str | None:
        return self._setup

    @staticmethod
    def unwrap_all(globals: dict[str, Any]) -> dict[str, Any]:
        """The entries without the marks."""
        return {k: v.value if isinstance(v, CopyIfCallgrind) else v for k, v in globals.items()}


_PROGRAM = """
import torch
torch.set_num_threads({threads})
{setups}
given = torch.load({globals!r}, weights_only=False)
import timeit
timer = timeit.Timer({stmt!r}, {setup!r}, globals={{"torch": torch, **given}})
timer.timeit(1)
timer.timeit({number})
"""


def collect(task: TaskSpec, globals: dict[str, Any], number: int, repeats: int, retain: bool) -> list[CallgrindStats]:
    """Run the statement under Callgrind, ``repeats`` times, and ``pass`` once.

    OSError without Valgrind; ValueError for a global that is not to be copied; RuntimeError when the run fails.
    """
    for program in ("valgrind", "callgrind_annotate"):
        if shutil.which(program) is None:
            raise OSError(f"Could not find `{program}`: Timer.collect_callgrind needs Valgrind (apt install valgrind)")
    for name, value in globals.items():
        if not isinstance(value, (CopyIfCallgrind, int, float, str, bytes, complex, type(None), torch.Tensor)):
            raise ValueError(
                f"`{name}` is of type {type(value).__name__}, which the process under Callgrind gets only as a copy: "
                "mark it by CopyIfCallgrind, or make it in `setup`"
            )
    setups = [v.setup for v in globals.values() if isinstance(v, CopyIfCallgrind) and v.setup]
    with tempfile.TemporaryDirectory() as folder:
        kept = os.path.join(folder, "globals.pt")
        torch.save(CopyIfCallgrind.unwrap_all(globals), kept)

        def run(stmt: str, name: str) -> tuple[FunctionCounts, FunctionCounts, str]:
            program = _PROGRAM.format(
                threads=task.num_threads, setups="\n".join(setups), globals=kept, stmt=stmt, setup=task.setup,
                number=number,
            )  # fmt: skip
            return _counted(program, folder, name)

        baseline = run("pass", "baseline")
        found = []
        for i in range(repeats):
            inclusive, exclusive, out = run(task.stmt, f"stmt{i}")
            kept_out = out if retain else None
            found.append(CallgrindStats(task, number, False, *baseline[:2], inclusive, exclusive, kept_out))
    return found


def _counted(program: str, folder: str, name: str) -> tuple[FunctionCounts, FunctionCounts, str]:
    """Counts with and without what functions call, and Callgrind's own file."""
    script, out = os.path.join(folder, name + ".py"), os.path.join(folder, name + ".out")
    with open(script, "w", encoding="utf-8") as file:
        file.write(program)
    package = os.path.dirname(os.path.dirname(torch.__file__))
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")])), "PYTHONHASHSEED": "0",
    }  # fmt: skip
    valgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "--dump-line=no"]
    command = [*valgrind, sys.executable, "-P", script]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"Failed to collect callgrind profile:\n{done.stdout}{done.stderr}")
    counts = [_annotated(out, inclusive) for inclusive in (True, False)]
    with open(out, encoding="utf-8", errors="replace") as file:
        return counts[0], counts[1], file.read()


def _annotated(out: str, inclusive: bool) -> FunctionCounts:
    options = [f"--inclusive={'yes' if inclusive else 'no'}", "--threshold=100", "--show-percs=no"]
    text = subprocess.run(["callgrind_annotate", *options, out], capture_output=True, text=True, check=True).stdout
    # "1,234  file.c:function'2 [/lib/library.so]": levels of recursion are one function
    rows = re.findall(r"^ *([\d,]+) +(\S.*:.+)$", text, re.MULTILINE)
    counts: dict[str, int] = defaultdict(int)
    for count, function in rows:
        counts[re.sub(r"'\d+(?= |$)", "", function)] += int(count.replace(",", ""))
    return FunctionCounts((), inclusive)._of(counts)
