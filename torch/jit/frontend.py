"""Errors of the front end, under the names that PyTorch gives them."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ast
    from typing import Any

__all__ = ["FrontendError", "FrontendTypeError", "NotSupportedError", "UnsupportedNodeError"]


class FrontendError(Exception):
    """A program cannot be read."""


class NotSupportedError(FrontendError):
    """The language has no such form."""

    def __init__(self, source_range: Any, msg: str) -> None:
        self.source_range, self.msg = source_range, msg
        place = source_range.highlight() if source_range is not None else ""
        super().__init__(f"{msg}:\n{place}\n")


# How a kind of syntax is called, and the word that it begins with.
_NAMES = {
    "Try": ("try blocks", "try"),
    "TryStar": ("try blocks", "try"),
    "ClassDef": ("class definitions", "class"),
    "FunctionDef": ("function definitions", "def"),
    "AsyncFunctionDef": ("async function definitions", "async def"),
    "Global": ("global variables", "global"),
    "Nonlocal": ("nonlocal variables", "nonlocal"),
    "Import": ("import statements", "import"),
    "ImportFrom": ("import statements", "from"),
    "AsyncFor": ("async for loops", "async for"),
    "AsyncWith": ("async with statements", "async with"),
    "Match": ("match statements", "match"),
}


class UnsupportedNodeError(NotSupportedError):
    """A kind of syntax that TorchScript does not have."""

    def __init__(self, source: Any, node: ast.AST, reason: str = "") -> None:
        what, word = _NAMES.get(type(node).__name__, (type(node).__name__, ""))
        place = source.range_of(node)
        if place is not None and word:
            place.end = place.column + len(word)
        super().__init__(place, reason or f"{what} aren't supported")


class FrontendTypeError(FrontendError):
    """Something has the wrong type for the language."""
