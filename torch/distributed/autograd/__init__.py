"""Gradients through calls to other processes."""

from __future__ import annotations

import itertools

import torch

from . import _messages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["backward", "context", "get_gradients", "is_available"]

_counter = itertools.count(1)


def is_available() -> bool:
    """Whether gradients go through calls: they do."""
    return True


class context:  # noqa: N801
    """A block that is one pass: calls inside it are remembered, and ``backward`` goes back through them.

    ``with context() as number:`` gives the number that ``backward`` and ``get_gradients`` take.
    """

    def __enter__(self) -> int:
        from ..rpc._agent import current

        if _messages.current_context() is not None:
            raise RuntimeError("Already have an autograd context id for this thread")
        self.number = (current().info.id << 48) | next(_counter)
        self._block = _messages.entered(self.number)
        self._block.__enter__()
        return self.number

    def __exit__(self, *exc: Any) -> None:
        self._block.__exit__(None, None, None)
        _messages.release(self.number)


def backward(context_id: int, roots: list[torch.Tensor], retain_graph: bool = False) -> None:
    """Go back from the roots, which are numbers, through all processes that took part.

    Gradients are kept with the pass, see ``get_gradients``; the tensors' own are left alone.

    Raises:
        RuntimeError: there are no roots, one is no number or needs no gradient, or the pass is not known.
    """
    if not roots:
        raise RuntimeError("No tensors provided for gradient computation.")
    for root in roots:
        if not root.requires_grad:
            raise RuntimeError("requires_grad not set on root")
        if root.numel() != 1:
            raise RuntimeError("All tensors provided in roots must be scalars")
    _messages.run_backward(context_id, list(roots), [torch.ones_like(root) for root in roots])


def get_gradients(context_id: int) -> dict[torch.Tensor, torch.Tensor]:
    """The gradients of this process's tensors in a pass."""
    return dict(_messages.state(context_id).gradients)
