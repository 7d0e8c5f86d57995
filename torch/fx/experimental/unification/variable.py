"""Logic variables."""

from __future__ import annotations

import contextlib
import itertools

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

__all__ = ["Var", "isvar", "var", "variables", "vars"]

_numbers = itertools.count(1)
_declared: set[Any] = set()


class Var:
    """A logic variable; two of the same token are the same."""

    def __init__(self, *token: Any) -> None:
        self.token = token[0] if token else f"_{next(_numbers)}"

    def __str__(self) -> str:
        return f"~{self.token}"

    __repr__ = __str__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Var) and self.token == other.token

    def __hash__(self) -> int:
        return hash((Var, self.token))


def var(*token: Any) -> Var:
    """A variable, new unless it has a token."""
    return Var(*token)


def vars(n: int) -> list[Var]:
    """New variables."""
    return [var() for _ in range(n)]


def isvar(v: Any) -> bool:
    """Whether a term is a variable, or was declared one by ``variables``."""
    if isinstance(v, Var):
        return True
    try:
        return v in _declared
    except TypeError:
        return False


@contextlib.contextmanager
def variables(*terms: Any) -> Iterator[None]:
    """Inside, these terms are variables.

    >>> from torch.fx.experimental.unification import isvar, variables
    >>> with variables("x"):
    ...     isvar("x")
    True
    """
    added = [t for t in terms if t not in _declared]
    _declared.update(added)
    try:
        yield
    finally:
        _declared.difference_update(added)
