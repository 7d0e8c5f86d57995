"""Cross entropy of logits whose classes are cut over processes."""

from __future__ import annotations

from contextlib import contextmanager

from ..experimental import implicit_replication

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["loss_parallel"]


@contextmanager
def loss_parallel() -> Iterator[None]:
    """A block in which ``cross_entropy`` takes logits whose last dimension is cut, and plain targets.

    The logits are brought together for it; the gradient goes back in pieces. ``backward`` belongs into the block too.
    """
    with implicit_replication():
        yield
