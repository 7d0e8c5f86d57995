"""Help for type checkers: a method with the parameters of another."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def copy_method_params(source_method: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A decorator that gives a method the parameters of ``source_method`` for the type checker.

    At run time the decorated method is as it was.
    """

    def decorate(target: Callable[..., Any]) -> Callable[..., Any]:
        return target

    return decorate
