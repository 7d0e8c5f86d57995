"""The table of forms."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["FORMS", "form"]

FORMS: dict[str, Callable[..., Any]] = {}


def form(*names: str) -> Callable[..., Any]:
    """Note a function as the form of aten operations, named by overload: ``add.Tensor``."""

    def note(function: Callable[..., Any]) -> Callable[..., Any]:
        for name in names:
            if name in FORMS:
                raise RuntimeError(f"aten.{name} has two forms in ONNX")
            FORMS[name] = function
        return function

    return note
