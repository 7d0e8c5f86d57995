"""Measurements side by side."""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable
from typing import Any

from ._measurement import Measurement, ordered_unique, select_unit, trim_sigfig, unit_to_english

_SEPARATOR = "  |  "
_END = "\033[0m"
# Below which multiple of the best a time has which colour.
_BEST = "\033[92m\033[1m"
_COLORS = ((1.1, "\033[34m\033[1m"), (2.0, ""), (5.0, "\033[2m\033[91m"))
_WORST = "\033[31m\033[1m"


class Colorize(enum.Enum):
    """Whose times are compared by colour."""

    NONE = "none"
    COLUMNWISE = "columnwise"
    ROWWISE = "rowwise"


class Compare:
    """A table of measurements: a row per sub-label and number of threads, a column per description.

    >>> from torch.utils.benchmark import Compare, Measurement, TaskSpec
    >>> Compare([Measurement(1, [2.05e-5], TaskSpec("x", "", "", "sum", "small", "ours"))]).print()
    [------ sum -------]
                 |  ours
    1 threads: ---------
          small  |  20.5
    <BLANKLINE>
    Times are in microseconds (us).
    <BLANKLINE>
    """

    def __init__(self, results: Iterable[Measurement]) -> None:
        self._results: list[Measurement] = []
        self._trim = False
        self._colors = Colorize.NONE
        self._warnings = False
        self.extend_results(results)

    def __str__(self) -> str:
        return "\n".join(self._tables())

    def extend_results(self, results: Iterable[Measurement]) -> None:
        """Add measurements.

        Raises:
            ValueError: for anything else.
        """
        for result in results:
            if not isinstance(result, Measurement):
                raise ValueError(f"Expected an instance of `Measurement`, got {type(result)} instead.")
            self._results.append(result)

    def trim_significant_figures(self) -> None:
        """Leave out figures that the spread of the times makes meaningless."""
        self._trim = True

    def colorize(self, rowwise: bool = False) -> None:
        """Colour times by how they compare with the best of their column, or of their row."""
        self._colors = Colorize.ROWWISE if rowwise else Colorize.COLUMNWISE

    def highlight_warnings(self) -> None:
        """Mark times that spread much."""
        self._warnings = True

    def print(self) -> None:
        """Print the tables."""
        print(self)

    def _tables(self) -> Iterable[str]:
        merged = Measurement.merge(self._results)
        for label in ordered_unique(m.task_spec.label for m in merged):
            group = [m for m in merged if m.task_spec.label == label]
            yield str(_Table(group, self._colors, self._trim, self._warnings))


class _Table:
    """The measurements of one label."""

    def __init__(self, group: list[Measurement], colors: Colorize, trim: bool, warnings: bool) -> None:
        self._group, self._colors, self._trim, self._warnings = group, colors, trim, warnings
        self._unit, self._size = select_unit(min(m.median for m in group))
        self._columns = ordered_unique(m.task_spec.description for m in group)
        self._found = {(*_row_of(m), m.task_spec.description): m for m in group}
        self._digits = [self._decimals(column) for column in self._columns]

    def _decimals(self, column: Any) -> int:
        """Decimal places of a column: one, or none where the figures before the point are all that is significant."""
        if not self._trim:
            return 1
        own = [m for m in self._group if m.task_spec.description == column]
        before = [math.ceil(math.log10(m.median / self._size)) for m in own]
        return min([max(m.significant_figures - d, 0) for m, d in zip(own, before, strict=True)] + [1])

    def _texts(self, number: int, rows: list[Any]) -> list[str]:
        """The cells of a column, of one width, without colours."""
        values, marks = [], []
        for row in rows:
            m = self._found.get((*row, self._columns[number]))
            value = None if m is None else m.median / self._size
            if m is not None and self._trim:
                value = trim_sigfig(value, m.significant_figures)
            values.append("" if value is None else f"{value:.{self._digits[number]}f}")
            spread = m is not None and self._warnings and m.has_warnings
            marks.append(f" (! {m.iqr / m.median * 100:.0f}%)" if spread else "")
        wide, more = max(map(len, values)), max(map(len, marks))
        return [v and v.rjust(wide) + mark.ljust(more) for v, mark in zip(values, marks, strict=True)]

    def _color(self, row: Any, column: Any, text: str) -> str:
        m = self._found.get((*row, column))
        if m is None or self._colors is Colorize.NONE:
            return text
        threads = row[0]
        rivals = [
            other.median
            for other in self._group
            if other.task_spec.num_threads == threads
            and (_row_of(other) == row if self._colors is Colorize.ROWWISE else other.task_spec.description == column)
        ]
        best = min(rivals)
        if m.median == best:
            return f"{_BEST}{text}{_END * 2}"
        for limit, codes in _COLORS:
            if m.median < best * limit:
                return f"{codes}{text}{_END * 2}" if codes else text
        return f"{_WORST}{text}{_END * 2}"

    def __str__(self) -> str:
        rows = ordered_unique(_row_of(m) for m in self._group)
        threads = ordered_unique(row[0] for row in rows)
        rows = [row for count in threads for row in rows if row[0] == count]
        titles = self._titles(rows)
        cells = [self._texts(i, rows) for i in range(len(self._columns))]
        widths = [max(len(name or ""), *map(len, texts)) for name, texts in zip(self._columns, cells, strict=True)]
        stub = max(map(len, titles))
        head = [(name or "").center(width) for name, width in zip(self._columns, widths, strict=True)]
        lines = [_SEPARATOR.join([" " * stub, *head])]
        width = len(lines[0])
        count = None
        for i, (row, title) in enumerate(zip(rows, titles, strict=True)):
            if row[0] != count:
                count = row[0]
                text = f"{count} threads: "
                lines.append(text + "-" * (width - len(text)))
            shown = [
                self._color(row, column, texts[i].center(w))
                for column, texts, w in zip(self._columns, cells, widths, strict=True)
            ]
            lines.append(_SEPARATOR.join([title.ljust(stub), *shown]))
        label = f" {self._group[0].task_spec.label or ''} "
        lines.insert(0, f"[{label.center(width - 2, '-')}]")
        lines += ["", f"Times are in {unit_to_english(self._unit)}s ({self._unit})."]
        if self._warnings:
            lines.append("(! XX%) Measurement has high variance, where XX is the IQR / median * 100.")
        return "\n".join([*lines, ""])

    @staticmethod
    def _titles(rows: list[Any]) -> list[str]:
        marks = [f"({env})" if env is not None else "" for _, env, _ in rows]
        wide = max(map(len, marks))
        lead = [f"  {mark.ljust(wide)}  " if wide else " " * 6 for mark in marks]
        return [start + row[2] for start, row in zip(lead, rows, strict=True)]


def _row_of(m: Measurement) -> tuple[Any, ...]:
    return m.task_spec.num_threads, m.task_spec.env, m.as_row_name
