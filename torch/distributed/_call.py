"""One collective under way: its messages, its order of sums, and when it has to be over."""

from __future__ import annotations

import time

from . import _reduction
from ._options import ReduceOp
from ._transport import OPERATIONS, Receipt, bytes_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from torch import Tensor

    from ._gloo import ProcessGroupGloo

__all__ = ["Call", "as_dtype_of", "flat_of", "plain", "write_back"]

_NUMBER = {name: number for number, name in enumerate(OPERATIONS)}


def plain(tensor: Tensor) -> Tensor:
    """The tensor's values, contiguous: itself where it is."""
    tensor = tensor.detach()
    if tensor.is_conj():
        tensor = tensor.resolve_conj()
    if tensor.is_neg():
        tensor = tensor.resolve_neg()
    return tensor.contiguous()


def flat_of(tensor: Tensor) -> Tensor:
    """The tensor's values in one line, without a copy where they lie so."""
    return plain(tensor).view(-1)


def write_back(flat: Tensor, tensor: Tensor) -> None:
    """Put values where they belong, unless they lie there already."""
    if flat.data_ptr() != tensor.data_ptr() or not tensor.is_contiguous() or tensor.is_conj() or tensor.is_neg():
        tensor.detach().copy_(flat.view(tensor.shape))


def as_dtype_of(data: Tensor | None, like: Tensor) -> Tensor:
    """Bytes as numbers of a tensor's dtype."""
    assert data is not None
    return data.view(like.dtype) if data.numel() else like.new_empty(0)


class Call:
    """One collective under way: its messages, and when it has to be over."""

    def __init__(self, group: ProcessGroupGloo, name: str, number: int, seconds: float) -> None:
        self.group = group
        self.name = name
        self.operation = _NUMBER[name]
        self.number = number
        self.seconds = seconds
        self.end = 0.0
        self._open: list[tuple[int, Receipt]] = []

    def run(self, body: Callable[[Call], None]) -> None:
        self.end = time.monotonic() + self.seconds
        try:
            body(self)
        except BaseException:
            # What arrives later belongs to nobody.
            for _, receipt in self._open:
                if not receipt.done():
                    self.group._endpoint.cancel(receipt)
            raise
        finally:
            self._open = []

    def _key(self, step: int) -> tuple[bytes, int, int]:
        # step 0 is that of messages between two processes
        return self.group._key, step + 1, self.number

    def send(self, rank: int, step: int, flat: Tensor) -> None:
        endpoint = self.group._endpoint
        endpoint.send(self.group._ranks[rank], self._key(step), bytes_of(flat), self.operation)

    def receive(self, rank: int, step: int, flat: Tensor | None = None) -> Receipt:
        view = None if flat is None else bytes_of(flat)
        receipt = self.group._endpoint.receive(self.group._ranks[rank], self._key(step), view, self.operation)
        self._open.append((rank, receipt))
        return receipt

    def wait(self, receipt: Receipt) -> None:
        try:
            receipt.wait(self.end)
        except TimeoutError:
            late = [rank for rank, other in self._open if not other.done()]
            names = ", ".join(str(self.group._ranks[rank]) for rank in sorted(set(late)))
            raise RuntimeError(
                f"Timed out waiting {round(self.seconds * 1000)}ms for recv operation to complete: {self.name} has "
                f"nothing yet from rank {names}"
            ) from None

    def fold(self, op: ReduceOp, mine: Tensor, receipts: list[Receipt], out: Tensor) -> None:
        """Combine this rank's contribution and the others' (in the order of ``_others``) into ``out``."""
        rank, size = self.group._rank, self.group._size
        if size == 1:
            if out is not mine:
                out.copy_(mine)
            return
        waiting = iter(receipts)
        total: Tensor | None = None
        for other in range(size):
            if other == rank:
                part = mine
            else:
                receipt = next(waiting)
                self.wait(receipt)
                part = as_dtype_of(receipt.data, mine)
                if part.numel() != mine.numel():
                    raise RuntimeError(
                        f"{self.name}: rank {self.group._ranks[other]} has {part.numel()} elements where this process "
                        f"has {mine.numel()}: shapes or dtypes differ between the processes"
                    )
                receipt.data = None
            if total is None:
                total = part
                continue
            if other == size - 1:
                place = out
            elif total is mine and out is not mine:
                place = part  # what the caller gave must stay as it is
            else:
                place = total
            _reduction.combine(op, total, part, place)
            total = place

    def collect(
        self, places: Sequence[Tensor], mine: Tensor, send: Callable[[], Any] | None = None
    ) -> None:
        """Receive from each rank into its place, having sent what is to be sent."""
        flats = [None if rank == self.group._rank else flat_of(place) for rank, place in enumerate(places)]
        receipts = {other: self.receive(other, 0, flats[other]) for other in self.group._others}
        if send is not None:
            send()
        own = places[self.group._rank]
        own.detach().copy_(mine.detach().reshape(own.shape))
        for other, receipt in receipts.items():
            self.wait(receipt)
            write_back(flats[other], places[other])  # type: ignore[arg-type]
