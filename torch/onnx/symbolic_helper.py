"""Helpers of functions that write operations as ONNX."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    F = TypeVar("F", bound=Callable[..., Any])

__all__ = ["parse_args"]


def parse_args(*arg_descriptors: str) -> Callable[[F], F]:
    """Note on a function how its arguments are to be read from a graph: ``"v"`` a value, ``"i"`` an integer, and so on.

    >>> @torch.onnx.symbolic_helper.parse_args("v", "i")
    ... def shifted(g, x, amount):
    ...     return g.op("Shift", x, amount_i=amount)
    >>> shifted._arg_descriptors
    ('v', 'i')
    """

    def mark(function: F) -> F:
        function._arg_descriptors = arg_descriptors  # type: ignore[attr-defined]
        return function

    return mark
