"""The place of the functions that write operations as ONNX of version 11. There is no exporter to call them."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__: list[str] = []


def __getattr__(name: str) -> Any:
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}: models cannot be written as ONNX yet")
