"""The size of a ragged dimension: a number that differs from entry to entry, printed as ``j1``, ``j2``, ..."""

from __future__ import annotations

import itertools
from typing import Any

import torch

_numbers = itertools.count(1)


class RaggedSize(torch.SymInt):
    """Stands for all lengths of a ragged dimension. Equal only to that of tensors with the very same offsets."""

    def __init__(self, number: int, factor: int = 1) -> None:
        super().__init__(self)
        self.number, self.factor = number, factor

    def __repr__(self) -> str:
        return f"j{self.number}" if self.factor == 1 else f"{self.factor}*j{self.number}"

    def __hash__(self) -> int:
        return hash((self.number, self.factor))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RaggedSize) and (self.number, self.factor) == (other.number, other.factor)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def binary(self, name: str, other: Any, reflected: bool = False) -> Any:
        """No arithmetic but multiplication by a number."""
        return NotImplemented

    def guarded_value(self) -> int:
        """Raise TypeError: it is no single number."""
        raise TypeError(f"{self!r} stands for several lengths, not for one number")

    def __mul__(self, other: int) -> RaggedSize:
        return RaggedSize(self.number, self.factor * int(other))

    __rmul__ = __mul__

    def __bool__(self) -> bool:
        return True

    # A length is at least 2 in all that depends on it, so that nothing takes a ragged dimension for one of size 1.
    def __ge__(self, other: Any) -> bool:
        if self == other:
            return True
        if isinstance(other, RaggedSize) or other > 2:
            raise ValueError("ge: relation is indeterminate")
        return True

    def __gt__(self, other: Any) -> bool:
        if isinstance(other, RaggedSize) or other >= 2:
            raise ValueError("gt: relation is indeterminate")
        return True

    def __lt__(self, other: Any) -> bool:
        return not self.__ge__(other)

    def __le__(self, other: Any) -> bool:
        return self == other or not self.__gt__(other)


def ragged_size(source: torch.Tensor) -> RaggedSize:
    """The symbol of the ragged dimension that these offsets (or lengths, where there are holes) describe."""
    size = getattr(source, "_ragged_size", None)
    if size is None:
        size = source._ragged_size = RaggedSize(next(_numbers))
    return size
