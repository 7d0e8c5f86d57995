"""A debugger in one of several processes."""

from __future__ import annotations

import pdb
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["breakpoint"]


class _Debugger(pdb.Pdb):
    """Reads from the terminal although the process's own input is another one."""

    def interaction(self, *args: Any, **kwargs: Any) -> None:
        kept = sys.stdin
        try:
            with open("/dev/stdin", encoding="utf-8") as terminal:
                sys.stdin = terminal
                super().interaction(*args, **kwargs)
        finally:
            sys.stdin = kept


_counter = 0


def breakpoint(rank: int = 0, skip: int = 0, timeout_s: float = 3600) -> None:  # noqa: A001
    """Start the debugger in the process of this rank; all others wait for it. The first ``skip`` calls do nothing."""
    from datetime import timedelta

    from . import barrier, get_rank

    global _counter
    _counter += 1
    if _counter <= skip:
        return
    if get_rank() == rank:
        debugger = _Debugger()
        debugger.message("Type 'up' to get to the frame that called dist.breakpoint(rank=...)")
        debugger.set_trace()
    barrier(timeout=timedelta(seconds=timeout_s))
