"""A progress bar for what takes long: shown on a terminal, by tqdm where it is installed, and silent elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType

LARGE = 256 * 1024 * 1024  # bytes: work on less is over before a bar is worth reading
PATIENCE = 1.0  # seconds


def _on_terminal() -> bool:
    stream = sys.stderr
    return stream is not None and hasattr(stream, "isatty") and stream.isatty()


class Progress:
    """Counts work that is done, and shows a bar once the work has gone on for some time.

    It shows nothing where standard error is no terminal, where tqdm is not installed, where there is less to do than
    ``least``, and in the first ``patience`` seconds. tqdm is not imported before.

    Args:
        total: how much there is to do; None if nobody knows.
        label: what is being done, such as ``"Saving model.pt"``.
        unit: of ``total``: ``"B"`` for bytes, which are shown by the thousand.
        least: totals below this one show no bar.
        patience: seconds before the bar is shown.
        enabled: False never shows one.

    >>> with Progress(3, "Folding", unit="sheet", least=0) as progress:
    ...     for sheet in range(3):
    ...         progress.update(1)
    >>> progress.done
    3
    """

    def __init__(
        self,
        total: int | None,
        label: str,
        *,
        unit: str = "B",
        least: int = LARGE,
        patience: float = PATIENCE,
        enabled: bool = True,
    ) -> None:
        self.total = total
        self.label = label
        self.unit = unit
        self.done = 0
        self._bar: Any = None
        self._due: float | None = None
        if enabled and (total is None or total >= least) and _on_terminal():
            self._due = time.monotonic() + patience

    def update(self, amount: int) -> None:
        """Count ``amount`` more as done."""
        self.done += amount
        if self._bar is not None:
            self._bar.update(amount)
        elif self._due is not None and time.monotonic() >= self._due:
            self._show()

    def _show(self) -> None:
        self._due = None
        try:
            from tqdm import tqdm
        except ImportError:
            return
        scale = {"unit_scale": True, "unit_divisor": 1024} if self.unit == "B" else {}
        self._bar = tqdm(
            total=self.total, initial=self.done, desc=self.label, unit=self.unit, file=sys.stderr, leave=False, **scale
        )

    def close(self) -> None:
        """Take the bar away."""
        self._due = None
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
