"""Which operations an exported program takes apart, and how."""

from __future__ import annotations

import functools

import torch
from torch import _schema

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["CustomDecompTable"]

# Operations made of others that stay whole: what they become depends on more than their arguments.
_KEPT = frozenset("item to_sparse _to_copy is_nonzero data".split())


def _run(op: Any) -> Callable[..., Any]:
    def parts(*args: Any, **kwargs: Any) -> Any:
        return op(*args, **kwargs)

    parts.__name__ = parts.__qualname__ = f"{op._opname}_parts"
    return parts


@functools.lru_cache(1)
def _composites() -> dict[Any, Callable[..., Any]]:
    """All operations that are made of others, with the function that runs these."""
    from ._decompositions import OWN

    found: dict[Any, Callable[..., Any]] = {}
    for name in _schema._table():
        if name in _KEPT or name.startswith("__"):
            continue
        for overload, (_, letters) in _schema.overloads(name).items():
            if "i" not in letters or "out" in overload:
                continue
            packet = getattr(torch.ops.aten, name, None)
            if packet is not None:
                op = getattr(packet, overload)
                found[op] = _run(op)
    for path, function in OWN.items():
        name, _, overload = path.partition(".")
        found[getattr(getattr(torch.ops.aten, name), overload)] = function
    return found


class CustomDecompTable(dict[object, object]):
    """The table of ``default_decompositions``: a dictionary from overloads to functions."""

    def __init__(self) -> None:
        super().__init__(_composites())

    def materialize(self) -> dict[Any, Any]:
        """The table as a plain dictionary."""
        return dict(self)

    def copy(self) -> CustomDecompTable:
        made = CustomDecompTable()
        made.clear()
        made.update(self)
        return made
