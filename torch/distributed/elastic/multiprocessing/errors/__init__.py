"""Errors of worker processes, which reach the agent by a file."""

from __future__ import annotations

import faulthandler
import json
import logging
import os
import signal
import socket
import time
import traceback
from dataclasses import dataclass, field
from datetime import datetime
from functools import wraps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["ChildFailedError", "ErrorHandler", "ProcessFailure", "get_error_handler", "record"]

_NO_TRACE = "To enable traceback see: https://pytorch.org/docs/stable/elastic/errors.html"
_WIDTH = 60
_log = logging.getLogger(__name__)


class ErrorHandler:
    """Writes the exception that ends a process to the file that ``TORCHELASTIC_ERROR_FILE`` names."""

    def _get_error_file_path(self) -> str | None:
        return os.environ.get("TORCHELASTIC_ERROR_FILE")

    def initialize(self) -> None:
        """Have crashes print where they happened."""
        try:
            faulthandler.enable(all_threads=True)
        except Exception:
            _log.warning("crashes of this process will not show where they happened", exc_info=True)

    def record_exception(self, e: BaseException) -> None:
        """Write an exception to the file, if there is one."""
        path = self._get_error_file_path()
        if not path:
            _log.error("no error file is named, so this error goes no further: %s", e)
            return
        text = "".join(traceback.format_exception(e))
        message = {
            "message": f"{type(e).__name__}: {e}",
            "extraInfo": {"py_callstack": text, "timestamp": str(int(time.time()))},
        }
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"message": message}, file)

    def dump_error_file(self, rootcause_error_file: str, error_code: int = 0) -> None:
        """Make a child's error this process's own."""
        with open(rootcause_error_file, encoding="utf-8") as file:
            error = json.load(file)
        if error_code and isinstance(error.get("message"), dict):
            error["message"]["errorCode"] = error_code
        path = self._get_error_file_path()
        if not path:
            _log.error("no error file is named, so a child's error file goes no further: %s", rootcause_error_file)
            return
        with open(path, "w", encoding="utf-8") as file:
            json.dump(error, file)


def get_error_handler() -> ErrorHandler:
    """The handler that ``record`` uses."""
    return ErrorHandler()


@dataclass
class ProcessFailure:
    """How a worker ended: its exit code or signal, and the error that it wrote to its file."""

    local_rank: int
    pid: int
    exitcode: int
    error_file: str
    error_file_data: dict[str, Any] = field(init=False)
    message: str = field(init=False)
    timestamp: int = field(init=False)

    def __post_init__(self) -> None:
        self.error_file_data = {}
        self.timestamp = int(time.time())
        if os.path.isfile(self.error_file) and os.path.getsize(self.error_file):
            with open(self.error_file, encoding="utf-8") as file:
                self.error_file_data = json.load(file)
            inner = self.error_file_data["message"]
            if isinstance(inner, str):
                self.message = inner
            else:
                self.message = inner["extraInfo"]["py_callstack"]
                self.timestamp = int(inner["extraInfo"]["timestamp"])
            return
        self.error_file = "<N/A>"
        if self.exitcode < 0:
            self.message = f"Signal {-self.exitcode} ({self.signal_name()}) received by PID {self.pid}"
        else:
            self.message = _NO_TRACE

    def signal_name(self) -> str:
        """The name of the signal that ended it, or ``<N/A>``."""
        if self.exitcode >= 0:
            return "<N/A>"
        try:
            return signal.Signals(-self.exitcode).name
        except ValueError:
            return "<N/A>"

    def timestamp_isoformat(self) -> str:
        """When it failed."""
        return datetime.fromtimestamp(self.timestamp).isoformat(sep="_")


class ChildFailedError(Exception):
    """Workers of ``name`` failed; ``failures`` maps their ranks to what happened, the first being the root cause."""

    def __init__(self, name: str, failures: dict[int, ProcessFailure]) -> None:
        self.name = name
        self.failures = failures
        assert failures
        super().__init__(self.format_msg())

    def get_first_failure(self) -> tuple[int, ProcessFailure]:
        """The rank that failed first, and how."""
        rank = min(self.failures, key=lambda one: self.failures[one].timestamp)
        return rank, self.failures[rank]

    def format_msg(self) -> str:
        """All failures as text."""
        root, _ = self.get_first_failure()
        others = [rank for rank in self.failures if rank != root]
        parts = [self._describe(index + 1, rank) for index, rank in enumerate(others)] or ["  <NO_OTHER_FAILURES>"]
        lines = [
            f"\n{'=' * _WIDTH}",
            f"{self.name} FAILED",
            "-" * _WIDTH,
            "Failures:",
            *parts,
            "-" * _WIDTH,
            "Root Cause (first observed failure):",
            self._describe(0, root),
            "=" * _WIDTH,
        ]
        return "\n".join(lines)

    def _describe(self, index: int, rank: int) -> str:
        failure = self.failures[rank]
        name = f" ({failure.signal_name()})" if failure.exitcode < 0 else ""
        trace = failure.message.replace("\n", "\n  ")
        return (
            f"[{index}]:\n"
            f"  time      : {failure.timestamp_isoformat()}\n"
            f"  host      : {socket.getfqdn()}\n"
            f"  rank      : {rank} (local_rank: {failure.local_rank})\n"
            f"  exitcode  : {failure.exitcode} (pid: {failure.pid}) {name}\n"
            f"  error_file: {failure.error_file}\n"
            f"  traceback : {trace}"
        )


def record(fn: Callable[..., Any], error_handler: ErrorHandler | None = None) -> Callable[..., Any]:
    """Have the exception that leaves a program's main function written to the error file, for the agent to show."""
    handler = get_error_handler() if error_handler is None else error_handler

    @wraps(fn)
    def call(*args: Any, **kwargs: Any) -> Any:
        handler.initialize()
        try:
            return fn(*args, **kwargs)
        except SystemExit as leaving:
            if leaving.code in (0, None):
                return None
            raise
        except ChildFailedError as error:
            _, failure = error.get_first_failure()
            if failure.error_file != "<N/A>":
                handler.dump_error_file(failure.error_file, failure.exitcode)
            else:
                handler.record_exception(error)
            raise
        except Exception as error:
            handler.record_exception(error)
            raise

    return call
