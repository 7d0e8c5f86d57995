"""The error of a checkpoint, with what went wrong in each process."""

from __future__ import annotations

import traceback

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["CheckpointException"]


class CheckpointException(BaseException):
    """Saving or loading failed in some processes."""

    def __init__(self, msg: str, failures: dict[int, Any]) -> None:
        super().__init__(msg, failures)
        self._failures = failures

    @property
    def failures(self) -> dict[int, Any]:
        """Rank to what went wrong: an exception, and where."""
        return self._failures

    def __str__(self) -> str:
        text = f"CheckpointException ranks:{self._failures.keys()}\n"
        for rank, (error, where) in self._failures.items():
            text += f"Traceback (most recent call last): (RANK {rank})\n"
            if where is not None:
                text += "".join(traceback.format_list(where))
            text += "".join(traceback.format_exception_only(type(error), error))
        return text
