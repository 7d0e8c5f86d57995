"""Forward-mode differentiation: tensors that carry a tangent.

A level is opened by ``dual_level``. In it, ``make_dual`` gives a tensor a tangent, every operation gives its results
theirs, and ``unpack_dual`` reads them. Values, dtypes and shapes of the results are those without tangents.
"""

from __future__ import annotations

from collections import namedtuple
from contextlib import ContextDecorator

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

# The public level number, 0 or -1, and the core's number for that level. Only one can be open at a time;
# torch.func.jvp opens levels of its own, as deep as its calls nest.
_current_level = -1
_open: int | None = None

# The core sees the tangents of levels below a limit.
_EVERY_LEVEL = 2**64 - 1

UnpackedDualTensor = namedtuple("UnpackedDualTensor", ("primal", "tangent"))


def enter_dual_level() -> int:
    """Open a forward-mode level and return its number.

    RuntimeError: a level is open already.

    >>> from torch.autograd import forward_ad
    >>> forward_ad.enter_dual_level()
    0
    >>> forward_ad.exit_dual_level()
    """
    global _current_level, _open
    if _current_level >= 0:
        raise RuntimeError("Nested forward mode AD is not supported at the moment")
    _open = torch._C._enter_dual_level()
    _current_level = 0
    return _current_level


def exit_dual_level(*, level: int | None = None) -> None:
    """Close the level: every tangent that belongs to it is dropped.

    RuntimeError: no level is open, or not the one that is named.
    """
    global _current_level, _open
    if level is None:
        level = _current_level
    if level != _current_level:
        raise RuntimeError(
            "Trying to exit a forward AD level that was not the last one that was created. This is not supported."
        )
    if _open is None:
        raise RuntimeError("Dual level must be a positive number.")
    torch._C._exit_dual_level(_open)
    _current_level, _open = -1, None


def make_dual(tensor: Any, tangent: Any, *, level: int | None = None) -> Any:
    """A view of ``tensor`` that carries ``tangent`` until the level is closed.

    The tangent has the tensor's shape and a floating point or complex dtype. It is shared, not copied, where its
    memory is laid out as the tensor's, so that operations in place on the result change both.

    RuntimeError: no level is open, the shapes differ, or the tensor has a tangent already. ValueError: another dtype.

    >>> from torch.autograd import forward_ad
    >>> with forward_ad.dual_level():
    ...     x = forward_ad.make_dual(torch.tensor([2.]), torch.tensor([1.]))
    ...     forward_ad.unpack_dual(x * x).tangent
    tensor([4.])
    """
    if level is None:
        level = _current_level
    if level < 0 or _open is None:
        raise RuntimeError(
            "Trying to create a dual Tensor for forward AD but no level exists, make sure to enter_dual_level() first."
        )
    for name, value in (("primal", tensor), ("tangent", tangent)):
        if not (value.is_floating_point() or value.is_complex()):
            raise ValueError(f"Expected {name} to be floating point or complex, but got: {value.dtype}")
    if torch._C._tangent(tensor, _open) is not None:
        raise RuntimeError(
            "Making a dual Tensor based on a Tensor that already has a forward gradient at the same level "
            f"{level} is not supported."
        )
    return torch._C._make_dual(tensor, tangent, _open)


def unpack_dual(tensor: Any, *, level: int | None = None) -> UnpackedDualTensor:
    """Split a dual tensor into its primal, which is a view without the tangent, and its tangent or ``None``."""
    if level is None:
        level = _current_level
    if level < 0 or _open is None:
        return UnpackedDualTensor(tensor, None)
    return UnpackedDualTensor(torch._C._primal(tensor, _open), torch._C._tangent(tensor, _open))


class dual_level(ContextDecorator):  # noqa: N801
    """Open a forward-mode level for a block."""

    def __enter__(self) -> int:
        return enter_dual_level()

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        exit_dual_level()


def _is_fwd_grad_enabled() -> bool:
    return bool(torch._C._is_fwd_grad_enabled())


class _set_fwd_grad_enabled(ContextDecorator):  # noqa: N801
    """Switch forward mode on or off at once; as a context manager, until the end of the block."""

    def __init__(self, mode: bool) -> None:
        self._before = torch._C._set_forward_limit(_EVERY_LEVEL if mode else 0)

    def __enter__(self) -> None:
        pass

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        torch._C._set_forward_limit(self._before)
