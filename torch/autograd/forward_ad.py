"""Forward-mode differentiation: tensors that carry a tangent."""

from __future__ import annotations

from collections import namedtuple

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "UnpackedDualTensor",
    "dual_level",
    "enter_dual_level",
    "exit_dual_level",
    "make_dual",
    "unpack_dual",
]

# Levels nest in principle; as in PyTorch only one can be open at a time.
_current_level = -1

UnpackedDualTensor = namedtuple("UnpackedDualTensor", ("primal", "tangent"))


def enter_dual_level() -> int:
    """Open a forward-mode level and return its number."""
    global _current_level
    level = _current_level + 1
    if level > 0:
        raise RuntimeError(
            "Entering a forward AD level but one was already open: nested forward mode AD is not supported"
        )
    torch._C._enter_dual_level()
    _current_level = level
    return level


def exit_dual_level(*, level: int | None = None) -> None:
    """Close the level: every tangent that belongs to it is dropped."""
    global _current_level
    if level is None:
        level = _current_level
    if level != _current_level:
        raise RuntimeError(
            "Trying to exit a forward AD level that was not the last one that was created. This is not supported."
        )
    torch._C._exit_dual_level(level)
    _current_level = level - 1


def make_dual(tensor: Any, tangent: Any, *, level: int | None = None) -> Any:
    """A view of ``tensor`` that carries ``tangent`` until the level is closed."""
    if level is None:
        level = _current_level
    if level < 0:
        raise RuntimeError(
            "Trying to create a dual Tensor for forward AD but no level exists, make sure to enter_dual_level() first."
        )
    for name, value in (("primal", tensor), ("tangent", tangent)):
        if not (value.is_floating_point() or value.is_complex()):
            raise ValueError(f"Expected {name} to be floating point or complex, but got: {value.dtype}")
    return torch._C._make_dual(tensor, tangent, level)


def unpack_dual(tensor: Any, *, level: int | None = None) -> UnpackedDualTensor:
    """Split a dual tensor into its primal, which is a view without the tangent, and its tangent or ``None``."""
    if level is None:
        level = _current_level
    if level < 0:
        return UnpackedDualTensor(tensor, None)
    return UnpackedDualTensor(*torch._C._unpack_dual(tensor, level))


class dual_level:  # noqa: N801
    """Open a forward-mode level for a block."""

    def __enter__(self) -> int:
        return enter_dual_level()

    def __exit__(self, *exc: Any) -> None:
        exit_dual_level()
