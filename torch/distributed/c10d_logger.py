"""The log of ``torch.distributed``, and a decorator for functions whose errors are logged."""

from __future__ import annotations

import functools
import logging

from .logging_handlers import _log_handlers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__: list[str] = []

_c10d_logger = logging.getLogger("c10d-default")
_c10d_logger.setLevel(logging.DEBUG)
_c10d_logger.addHandler(_log_handlers["default"])
_c10d_logger.propagate = False


def _exception_logger(func: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, its exceptions logged on their way."""

    @functools.wraps(func)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return func(*args, **kwargs)
        except Exception as error:
            _c10d_logger.debug("%s: %s", func.__name__, error)
            raise

    return call
