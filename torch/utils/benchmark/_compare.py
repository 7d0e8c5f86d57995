"""Measurements side by side."""

from __future__ import annotations

import enum
from collections.abc import Iterable

from ._measurement import Measurement, ordered_unique, select_unit, trim_sigfig, unit_to_english


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
        """Accepted for compatibility: tables have no colours."""
        self._colors = Colorize.ROWWISE if rowwise else Colorize.COLUMNWISE

    def highlight_warnings(self) -> None:
        """Mark times that spread much."""
        self._warnings = True

    def print(self) -> None:
        """Print the tables."""
        print(self)

    def _tables(self) -> Iterable[str]:
        merged = Measurement.merge(self._results)
        for label in ordered_unique(m.task_spec.label or m.task_spec.stmt for m in merged):
            yield self._table(label, [m for m in merged if (m.task_spec.label or m.task_spec.stmt) == label])

    def _cell(self, m: Measurement | None, size: float, digits: int) -> str:
        if m is None:
            return ""
        value = m.median / size
        if self._trim:
            value = trim_sigfig(value, m.significant_figures)
        mark = f" (! {m.iqr / m.median * 100:.0f}%)" if self._warnings and m.has_warnings else ""
        return f"{value:.{digits}f}{mark}"

    def _table(self, label: str, group: list[Measurement]) -> str:
        unit, size = select_unit(min(m.median for m in group))
        columns = ordered_unique(m.task_spec.description or "" for m in group)
        digits = 1
        if self._trim or all(float(m.median / size).is_integer() for m in group):
            digits = 0 if all(trim_sigfig(m.median / size, m.significant_figures) >= 10 for m in group) else 1
        body: list[list[str]] = []
        for threads in ordered_unique(m.task_spec.num_threads for m in group):
            body.append([f"{threads} threads: "])
            of_threads = [m for m in group if m.task_spec.num_threads == threads]
            for row in ordered_unique(m.as_row_name for m in group):
                found = {m.task_spec.description or "": m for m in of_threads if m.as_row_name == row}
                if found:
                    body.append([f"      {row}", *(self._cell(found.get(c), size, digits) for c in columns)])
        rows = [["", *columns], *body]
        widths = [max(len(row[i]) for row in rows if len(row) > i) for i in range(len(columns) + 1)]
        lines = []
        for row in rows:
            if len(row) == 1:
                lines.append(row[0])
                continue
            cells = [row[0].ljust(widths[0]), *(c.center(w) for c, w in zip(row[1:], widths[1:], strict=True))]
            lines.append("  |  ".join(cells))
        width = max(map(len, lines))
        lines = [line + "-" * (width - len(line)) if line.endswith("threads: ") else line.rstrip() for line in lines]
        title = f" {label} ".center(max(width - 2, len(label) + 2), "-")
        return "\n".join([f"[{title}]", *lines, "", f"Times are in {unit_to_english(unit)}s ({unit}).", ""])
