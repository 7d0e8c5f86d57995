"""Helpers for tests."""

from __future__ import annotations

from ._comparison import assert_close

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._creation import make_tensor

__all__ = ["assert_close", "make_tensor"]


def __getattr__(name: str) -> Any:
    if name == "make_tensor":
        from ._creation import make_tensor

        return make_tensor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
