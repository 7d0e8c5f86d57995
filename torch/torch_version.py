"""The version as a string that compares by its numbers."""

from __future__ import annotations

from . import __version__ as _text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["TorchVersion"]


def _key(version: Any) -> tuple[int, ...]:
    """The leading numbers of a version, without what follows a plus sign."""
    if isinstance(version, (tuple, list)):
        return tuple(int(part) for part in version)
    numbers = []
    for part in str(version).partition("+")[0].split("."):
        digits = "".join(c for c in part if c.isdigit())
        if not digits:
            break
        numbers.append(int(digits))
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


class TorchVersion(str):
    """A version string: ``TorchVersion("1.10") > "1.9"``, and tuples of numbers compare too."""

    __slots__ = ()

    def __lt__(self, other: Any) -> bool:
        return _key(self) < _key(other)

    def __le__(self, other: Any) -> bool:
        return _key(self) <= _key(other)

    def __gt__(self, other: Any) -> bool:
        return _key(self) > _key(other)

    def __ge__(self, other: Any) -> bool:
        return _key(self) >= _key(other)

    def __eq__(self, other: object) -> bool:
        return _key(self) == _key(other) if isinstance(other, (str, tuple, list)) else False

    __hash__ = str.__hash__


__version__ = TorchVersion(_text)
