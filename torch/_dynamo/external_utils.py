"""What compiled functions ask about themselves."""

from __future__ import annotations

from ._state import state

__all__ = ["is_compiling"]


def is_compiling() -> bool:
    """Whether this code runs as part of a compiled function, or for ``torch.export``."""
    from torch.compiler import is_compiling

    return is_compiling()


def in_compiled_function() -> bool:
    """Whether this code runs as part of a compiled function."""
    return state.compiling
