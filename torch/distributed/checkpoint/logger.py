"""The log of checkpoints: what begins, ends and fails, and how long it takes."""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager

from .logging_handlers import DCP_LOGGER_NAME, _log_handlers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

__all__: list[str] = []

_dcp_logger = logging.getLogger(DCP_LOGGER_NAME)
_dcp_logger.addHandler(_log_handlers[DCP_LOGGER_NAME])
_dcp_logger.propagate = False


@contextmanager
def logged(event: str, **facts: Any) -> Iterator[None]:
    """Log a step's beginning, end or error."""
    begin = time.monotonic()
    _dcp_logger.debug("%s begins %s", event, facts)
    try:
        yield
    except BaseException as error:
        _dcp_logger.error("%s failed after %.3f s: %s", event, time.monotonic() - begin, error)
        raise
    _dcp_logger.debug("%s took %.3f s", event, time.monotonic() - begin)
