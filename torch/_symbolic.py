"""Numbers that stand for sizes while a program is traced. Sizes are plain numbers: the classes have no instances."""

from __future__ import annotations

import builtins
import math

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class _Symbol:
    def __init__(self, node: Any) -> None:
        self.node = node

    def __hash__(self) -> builtins.int:
        raise TypeError(f"unhashable type: {type(self).__name__}")


class SymInt(_Symbol):
    """An integer that is not known yet."""


class SymFloat(_Symbol):
    """A float that is not known yet."""


class SymBool(_Symbol):
    """A truth value that is not known yet."""


def sym_not(a: Any) -> Any:
    """Logical negation."""
    return not a


def sym_float(a: Any) -> builtins.float:
    """Conversion to a float."""
    return builtins.float(a)


def sym_int(a: Any) -> builtins.int:
    """Conversion to an int, towards zero."""
    return math.floor(a) if a >= 0 else math.ceil(a)


def sym_max(a: Any, b: Any) -> Any:
    """The larger of two numbers; a float if either is one."""
    larger = max(a, b)
    return builtins.float(larger) if isinstance(a, builtins.float) or isinstance(b, builtins.float) else larger


def sym_min(a: Any, b: Any) -> Any:
    """The smaller of two numbers; a float if either is one."""
    smaller = min(a, b)
    return builtins.float(smaller) if isinstance(a, builtins.float) or isinstance(b, builtins.float) else smaller


def sym_sum(args: Any) -> Any:
    """The sum of numbers."""
    return sum(args)


def sym_ite(b: Any, t: Any, f: Any) -> Any:
    """``t`` if ``b`` holds, else ``f``."""
    return t if b else f


def sym_sqrt(a: Any) -> builtins.float:
    """Square root."""
    return math.sqrt(a)


def sym_fresh_size(expr: Any) -> Any:
    """Raise NotImplementedError: sizes are never symbolic."""
    raise torch._missing.not_available("torch.sym_fresh_size", "sizes are never symbolic")
