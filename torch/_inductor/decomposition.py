"""Operations that graphs are to have in terms of others."""

from __future__ import annotations

from typing import Any

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["decompositions", "register_decomposition", "select_decomp_table"]

decompositions: dict[Any, Callable[..., Any]] = {}


def register_decomposition(ops: Any) -> Callable[[Any], Any]:
    """A decorator that gives a function for one or several operations.

    >>> import torch
    >>> @register_decomposition([torch.ops.aten.addcmul])
    ... def addcmul(x, a, b, *, value=1):
    ...     return x + value * a * b
    >>> torch.ops.aten.addcmul.default in decompositions
    True
    """

    def decorate(fn: Any) -> Any:
        for op in ops if isinstance(ops, (list, tuple)) else [ops]:
            if isinstance(op, torch._ops.OpOverloadPacket):
                for overload in op.overloads():
                    decompositions[getattr(op, overload)] = fn
            else:
                decompositions[op] = fn
        return fn

    return decorate


def select_decomp_table() -> dict[Any, Callable[..., Any]]:
    """The functions that were given."""
    return decompositions
