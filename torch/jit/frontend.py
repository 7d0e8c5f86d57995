"""Errors of the front end, under the names that PyTorch gives them."""

from __future__ import annotations

from ._sugar import FrontendError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ast
    from typing import Any

__all__ = ["FrontendError", "FrontendTypeError", "NotSupportedError", "UnsupportedNodeError"]


class NotSupportedError(FrontendError):
    """The language has no such form."""

    def __init__(self, source_range: Any, msg: str) -> None:
        self.source_range, self.msg = source_range, msg
        place = source_range.highlight() if source_range is not None else ""
        super().__init__(f"{msg}:\n{place}\n")


class UnsupportedNodeError(NotSupportedError):
    """A kind of syntax that TorchScript does not have."""

    def __init__(self, source: Any, node: ast.AST, reason: str = "") -> None:
        name = type(node).__name__
        what = reason or f"{name} aren't supported"
        super().__init__(source.range_of(node), what)


class FrontendTypeError(FrontendError):
    """Something has the wrong type for the language."""
