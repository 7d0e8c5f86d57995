"""Where a process's piece lies in the whole."""

from __future__ import annotations

from ._redistribute import local_shape_and_offset

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

__all__ = ["compute_local_shape_and_global_offset"]


def compute_local_shape_and_global_offset(
    global_shape: Sequence[int], mesh: Any, placements: Sequence[Any]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The shape of this process's piece, and where it begins."""
    return local_shape_and_offset(global_shape, mesh, placements)
