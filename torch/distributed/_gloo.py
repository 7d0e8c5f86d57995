"""The backend ``"gloo"``: collectives over our own connections.

Sums are taken in the order of the ranks, each element by one process that sends the result to all: every process gets
the same bits in every run. The range that a process sums is its share of each block; blocks follow each other so that
one is added up while the next one travels.
"""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from hashlib import blake2b

import torch

from . import _reduction
from ._backends import BackendBase
from ._options import (
    AllgatherOptions,
    AllreduceCoalescedOptions,
    AllreduceOptions,
    AllToAllOptions,
    BarrierOptions,
    BroadcastOptions,
    GatherOptions,
    ReduceOp,
    ReduceOptions,
    ReduceScatterOptions,
    ScatterOptions,
)
from ._transport import OPERATIONS, Endpoint, Receipt, bytes_of
from ._work import Lane, MessageWork, Work

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from torch import Tensor

    from ._stores import Store

__all__ = ["ProcessGroupGloo"]

_NUMBER = {name: number for number, name in enumerate(OPERATIONS)}
_WHOLE = 1 << 15  # bytes that all_reduce sends to everybody rather than in two rounds
_BLOCK = 8 << 20  # bytes of a block of all_reduce


def _plain(tensor: Tensor) -> Tensor:
    """The tensor's values, contiguous: itself where it is."""
    tensor = tensor.detach()
    if tensor.is_conj():
        tensor = tensor.resolve_conj()
    if tensor.is_neg():
        tensor = tensor.resolve_neg()
    return tensor.contiguous()


def _flat(tensor: Tensor) -> Tensor:
    return _plain(tensor).view(-1)


def _write_back(flat: Tensor, tensor: Tensor) -> None:
    """Put values where they belong, unless they lie there already."""
    if flat.data_ptr() != tensor.data_ptr() or not tensor.is_contiguous() or tensor.is_conj() or tensor.is_neg():
        tensor.detach().copy_(flat.view(tensor.shape))


def _as(data: Tensor | None, like: Tensor) -> Tensor:
    assert data is not None
    return data.view(like.dtype) if data.numel() else like.new_empty(0)


class ProcessGroupGloo(BackendBase):
    """Collectives between processes over sockets, for tensors in main memory.

    ``ProcessGroupGloo(store, rank, size, timeout)`` connects ``size`` processes that have a store in common.
    """

    supports_coalescing = True

    class _Options(BackendBase.Options):
        def __init__(self, timeout: timedelta = timedelta(minutes=30)) -> None:
            super().__init__("gloo", timeout)
            self._threads = 1
            self._devices: list[Any] = []

    def __init__(
        self,
        store: Store,
        rank: int,
        size: int,
        timeout: timedelta = timedelta(minutes=30),
        *,
        endpoint: Endpoint | None = None,
        ranks: Sequence[int] | None = None,
        name: str = "",
    ) -> None:
        super().__init__(rank, size)
        if isinstance(timeout, BackendBase.Options):
            timeout = timeout._timeout
        self._seconds = timeout.total_seconds()
        self._owns = endpoint is None
        self._endpoint = Endpoint(store, rank, size, self._seconds) if endpoint is None else endpoint
        self._ranks = list(range(size)) if ranks is None else list(ranks)
        self._key = blake2b(name.encode(), digest_size=8).digest()
        self._others = [other for other in range(size) if other != rank]
        self._lane = Lane(f"torch-gloo-{name}")
        self._sequence = 0
        self._counting = threading.Lock()
        self.options = ProcessGroupGloo._Options(timeout)

    def getBackendName(self) -> str:  # noqa: N802
        return "gloo"

    def name(self) -> str:
        return "gloo"

    def _set_timeout(self, timeout: timedelta) -> None:
        self._seconds = timeout.total_seconds()

    def _get_sequence_number_for_group(self) -> int:
        return self._sequence

    def shutdown(self) -> None:
        self._lane.close()
        if self._owns:
            self._endpoint.close()

    # Messages of one collective

    def _do(self, name: str, opts: Any, body: Callable[[_Call], None], result: list[Any]) -> Work:
        with self._counting:
            self._sequence += 1
            number = self._sequence
        given = opts.timeout.total_seconds()
        call = _Call(self, name, number, given if given > 0 else self._seconds)
        return self._lane.run(lambda: call.run(body), result, opts.asyncOp)

    def _check_root(self, name: str, rank: int) -> None:
        if not 0 <= rank < self._size:
            raise RuntimeError(f"ProcessGroupGloo::{name}: invalid root rank: {rank}")

    def _check_list(self, name: str, what: str, tensors: Sequence[Tensor]) -> None:
        if len(tensors) != self._size:
            raise RuntimeError(
                f"ProcessGroupGloo::{name}: invalid {what} tensor list at index 0 (expected length {self._size}, got "
                f"{len(tensors)})"
            )

    # Reductions

    def allreduce(self, tensors: list[Tensor], opts: AllreduceOptions) -> Work:
        tensor, op = tensors[0], opts.reduceOp
        if tensor.is_sparse:
            return self._allreduce_sparse(tensor, opts)
        _reduction.check(op, tensor.dtype)

        def body(call: _Call) -> None:
            flat = _flat(_reduction.prepare(op, tensor))
            self._sum_blocks(call, flat, op)
            _write_back(flat, tensor)

        return self._do("all_reduce", opts, body, tensors)

    def _sum_blocks(self, call: _Call, flat: Tensor, op: ReduceOp) -> None:
        """Sum a flat tensor over all processes, in place."""
        size = self._size
        if size > 1 and flat.numel():
            if flat.numel() * flat.element_size() * (size - 1) <= _WHOLE:
                receipts = [call.receive(other, 0) for other in self._others]
                for other in self._others:
                    call.send(other, 0, flat)
                call.fold(op, flat, receipts, flat)
            else:
                self._sum_shares(call, flat, op)
        _reduction.divide(op, flat, size)

    def _sum_shares(self, call: _Call, flat: Tensor, op: ReduceOp) -> None:
        size, rank = self._size, self._rank
        per_block = max(size, _BLOCK // flat.element_size())
        blocks = [flat[at : at + per_block] for at in range(0, flat.numel(), per_block)]
        shares = [block.tensor_split(size) for block in blocks]
        finals: list[Receipt] = []
        asked: list[list[Receipt]] = []

        def begin(index: int) -> None:
            asked.append([call.receive(other, 2 * index) for other in self._others])
            finals.extend(call.receive(other, 2 * index + 1, shares[index][other]) for other in self._others)
            for other in self._others:
                call.send(other, 2 * index, shares[index][other])

        begin(0)
        for index in range(len(blocks)):
            if index + 1 < len(blocks):
                begin(index + 1)
            mine = shares[index][rank]
            call.fold(op, mine, asked[index], mine)
            asked[index] = []
            for other in self._others:
                call.send(other, 2 * index + 1, mine)
        for receipt in finals:
            call.wait(receipt)

    def _allreduce_sparse(self, tensor: Tensor, opts: AllreduceOptions) -> Work:
        if opts.reduceOp.op is not ReduceOp.SUM:
            raise RuntimeError("unsupported reduction operation: sparse tensors can only be summed")

        def body(call: _Call) -> None:
            mine = tensor.detach().coalesce()
            indices, values = _plain(mine.indices()), _plain(mine.values())
            asked = [(call.receive(other, 0), call.receive(other, 1)) for other in self._others]
            for other in self._others:
                call.send(other, 0, indices)
                call.send(other, 1, values)
            parts = {self._rank: mine}
            for other, (first, second) in zip(self._others, asked, strict=True):
                call.wait(first)
                call.wait(second)
                theirs = _as(first.data, indices).view(indices.shape[0], -1)
                shape = (theirs.shape[1], *values.shape[1:])
                parts[other] = torch.sparse_coo_tensor(theirs, _as(second.data, values).view(shape), tensor.shape)
            total = parts[0]
            for other in range(1, self._size):
                total = total + parts[other]
            with torch.no_grad():
                tensor.copy_(total.coalesce())

        return self._do("all_reduce", opts, body, [tensor])

    def allreduce_coalesced(self, tensors: list[Tensor], opts: AllreduceCoalescedOptions) -> Work:
        for tensor in tensors:
            _reduction.check(opts.reduceOp, tensor.dtype)
        if any(tensor.dtype is not tensors[0].dtype for tensor in tensors):
            raise RuntimeError("ProcessGroupGloo::allreduce_coalesced: tensors must all have the same type")

        def body(call: _Call) -> None:
            flat = torch.cat([_flat(_reduction.prepare(opts.reduceOp, tensor)) for tensor in tensors])
            self._sum_blocks(call, flat, opts.reduceOp)
            for part, tensor in zip(flat.split([t.numel() for t in tensors]), tensors, strict=True):
                tensor.detach().copy_(part.view(tensor.shape))

        return self._do("all_reduce", opts, body, tensors)

    def reduce(self, tensors: list[Tensor], opts: ReduceOptions) -> Work:
        tensor, op, root = tensors[0], opts.reduceOp, opts.rootRank
        self._check_root("reduce", root)
        _reduction.check(op, tensor.dtype)

        def body(call: _Call) -> None:
            flat = _flat(_reduction.prepare(op, tensor))
            if self._rank != root:
                call.send(root, 0, flat)
                return
            call.fold(op, flat, [call.receive(other, 0) for other in self._others], flat)
            _reduction.divide(op, flat, self._size)
            _write_back(flat, tensor)

        return self._do("reduce", opts, body, tensors)

    def _scatter_sums(self, call: _Call, parts: Sequence[Tensor], output: Tensor, op: ReduceOp) -> None:
        receipts = [call.receive(other, 0) for other in self._others]
        flat = [_flat(_reduction.prepare(op, part)) for part in parts]
        for other in self._others:
            call.send(other, 0, flat[other])
        place = output.detach().view(-1) if output.is_contiguous() else torch.empty_like(flat[self._rank])
        call.fold(op, flat[self._rank], receipts, place)
        _reduction.divide(op, place, self._size)
        _write_back(place, output)

    def reduce_scatter(self, outputs: list[Tensor], inputs: list[list[Tensor]], opts: ReduceScatterOptions) -> Work:
        output, parts, op = outputs[0], inputs[0], opts.reduceOp
        if len(parts) != self._size:
            raise RuntimeError("invalid input tensor list size, must be world size")
        _reduction.check(op, output.dtype)
        return self._do("reduce_scatter", opts, lambda call: self._scatter_sums(call, parts, output, op), outputs)

    def _reduce_scatter_base(self, output: Tensor, input: Tensor, opts: ReduceScatterOptions) -> Work:
        if output.numel() * self._size != input.numel():
            raise RuntimeError("input tensor must be the same size as output size times world size")
        _reduction.check(opts.reduceOp, output.dtype)

        def body(call: _Call) -> None:
            parts = _flat(input).chunk(self._size) if input.numel() else [input] * self._size
            self._scatter_sums(call, parts, output, opts.reduceOp)

        return self._do("reduce_scatter", opts, body, [output])

    def reduce_scatter_tensor_coalesced(
        self, outputs: list[Tensor], inputs: list[Tensor], opts: ReduceScatterOptions
    ) -> Work:
        works = [self._reduce_scatter_base(output, part, opts) for output, part in zip(outputs, inputs, strict=True)]
        return works[-1]

    # One to all, all to one

    def broadcast(self, tensors: list[Tensor], opts: BroadcastOptions) -> Work:
        tensor, root = tensors[opts.rootTensor], opts.rootRank
        self._check_root("broadcast", root)

        def body(call: _Call) -> None:
            # a binomial tree: in each round everybody who has it sends it to one who has not
            flat = _flat(tensor)
            place = (self._rank - root) % self._size
            reach = 1
            while reach < self._size:
                if place < reach and place + reach < self._size:
                    call.send((place + reach + root) % self._size, 0, flat)
                elif reach <= place < 2 * reach:
                    call.wait(call.receive((place - reach + root) % self._size, 0, flat))
                reach *= 2
            if place:
                _write_back(flat, tensor)

        return self._do("broadcast", opts, body, tensors)

    def gather(self, outputs: list[list[Tensor]], inputs: list[Tensor], opts: GatherOptions) -> Work:
        tensor, root = inputs[0], opts.rootRank
        self._check_root("gather", root)
        if self._rank == root:
            self._check_list("gather", "output", outputs[0])

        def body(call: _Call) -> None:
            if self._rank == root:
                call.collect(outputs[0], tensor)
            else:
                call.send(root, 0, _flat(tensor))

        return self._do("gather", opts, body, outputs[0] if outputs else [])

    def scatter(self, outputs: list[Tensor], inputs: list[list[Tensor]], opts: ScatterOptions) -> Work:
        tensor, root = outputs[0], opts.rootRank
        self._check_root("scatter", root)
        if self._rank == root:
            self._check_list("scatter", "input", inputs[0])

        def body(call: _Call) -> None:
            if self._rank == root:
                for other in self._others:
                    call.send(other, 0, _flat(inputs[0][other]))
                tensor.detach().copy_(inputs[0][root].detach())
            else:
                flat = _flat(tensor)
                call.wait(call.receive(root, 0, flat))
                _write_back(flat, tensor)

        return self._do("scatter", opts, body, outputs)

    # All to all

    def allgather(self, outputs: list[list[Tensor]], inputs: list[Tensor], opts: AllgatherOptions) -> Work:
        places, tensor = outputs[0], inputs[0]
        self._check_list("allgather", "output", places)
        for index, place in enumerate(places):
            if place.numel() != tensor.numel():
                raise RuntimeError(
                    f"ProcessGroupGloo::allgather: invalid tensor size at index {index} (expected "
                    f"({', '.join(map(str, tensor.shape))}), got ({', '.join(map(str, place.shape))}))"
                )
            if place.dtype is not tensor.dtype:
                raise RuntimeError(
                    f"ProcessGroupGloo::allgather: invalid tensor type at index {index} (expected {tensor.dtype}, got "
                    f"{place.dtype})"
                )

        def body(call: _Call) -> None:
            flat = _flat(tensor)
            call.collect(places, tensor, lambda: [call.send(other, 0, flat) for other in self._others])

        return self._do("all_gather", opts, body, places)

    def _allgather_base(self, output: Tensor, input: Tensor, opts: AllgatherOptions) -> Work:
        if output.numel() != input.numel() * self._size:
            raise RuntimeError("output tensor size must be equal to world_size times input tensor size")
        whole = output if output.is_contiguous() else torch.empty_like(output, memory_format=torch.contiguous_format)
        places = list(whole.detach().view(self._size, -1)) if input.numel() else [input] * self._size

        def body(call: _Call) -> None:
            flat = _flat(input)
            call.collect(places, flat, lambda: [call.send(other, 0, flat) for other in self._others])
            if whole is not output:
                output.detach().copy_(whole)

        return self._do("all_gather", opts, body, [output])

    def allgather_into_tensor_coalesced(
        self, outputs: list[Tensor], inputs: list[Tensor], opts: AllgatherOptions
    ) -> Work:
        works = [self._allgather_base(output, part, opts) for output, part in zip(outputs, inputs, strict=True)]
        return works[-1]

    def allgather_coalesced(self, outputs: list[list[Tensor]], inputs: list[Tensor], opts: AllgatherOptions) -> Work:
        """``outputs[rank][i]`` becomes the rank's ``inputs[i]``."""
        self._check_list("allgather_coalesced", "output", outputs)  # type: ignore[arg-type]
        works = [
            self.allgather([[row[index] for row in outputs]], [part], opts) for index, part in enumerate(inputs)
        ]
        return works[-1]

    def _exchange(self, call: _Call, outputs: Sequence[Tensor], inputs: Sequence[Tensor]) -> None:
        flat = [_flat(part) for part in inputs]
        call.collect(outputs, flat[self._rank], lambda: [call.send(other, 0, flat[other]) for other in self._others])

    def alltoall(self, outputs: list[Tensor], inputs: list[Tensor], opts: AllToAllOptions) -> Work:
        self._check_list("alltoall", "output", outputs)
        self._check_list("alltoall", "input", inputs)
        return self._do("all_to_all", opts, lambda call: self._exchange(call, outputs, inputs), outputs)

    def alltoall_base(
        self, output: Tensor, input: Tensor, output_splits: list[int], input_splits: list[int], opts: AllToAllOptions
    ) -> Work:
        def parts(tensor: Tensor, splits: list[int]) -> list[Tensor]:
            if splits:
                if len(splits) != self._size:
                    raise RuntimeError("Number of tensor splits not equal to group size")
                if sum(splits) != tensor.shape[0]:
                    raise RuntimeError("Split sizes doesn't match total dim 0 size")
                return list(tensor.split(splits))
            if tensor.shape[0] % self._size:
                raise RuntimeError("Tensor's dim 0 does not divide equally across group size")
            return list(tensor.split([tensor.shape[0] // self._size] * self._size))

        outputs, inputs = parts(output.detach(), output_splits), parts(input.detach(), input_splits)
        return self._do("all_to_all", opts, lambda call: self._exchange(call, outputs, inputs), [output])

    # Waiting for each other

    def barrier(self, opts: BarrierOptions) -> Work:
        nothing = torch.empty(0, dtype=torch.uint8)

        def body(call: _Call) -> None:
            # in round k everybody hears of 2^k processes more
            reach = step = 1
            while reach < self._size:
                receipt = call.receive((self._rank - reach) % self._size, step, nothing)
                call.send((self._rank + reach) % self._size, step, nothing)
                call.wait(receipt)
                reach, step = 2 * reach, step + 1

        return self._do("barrier", opts, body, [])

    def monitored_barrier(self, timeout: timedelta | None = None, wait_all_ranks: bool = False) -> None:
        opts = BarrierOptions()
        opts.asyncOp = False
        if timeout is not None:
            opts.timeout = timeout
        nothing = torch.empty(0, dtype=torch.uint8)

        def body(call: _Call) -> None:
            if self._rank:
                call.send(0, 0, nothing)
                call.wait(call.receive(0, 1, nothing))
                return
            receipts = [call.receive(other, 0, nothing) for other in self._others]
            missing = []
            for other, receipt in zip(self._others, receipts, strict=True):
                try:
                    call.wait(receipt)
                except RuntimeError:
                    missing.append(other)
                    if not wait_all_ranks:
                        break
            if missing:
                milliseconds = round(call.seconds * 1000)
                if wait_all_ranks:
                    ranks = ", ".join(map(str, missing))
                    raise RuntimeError(f"Ranks {ranks} failed to pass monitoredBarrier in {milliseconds} ms")
                raise RuntimeError(
                    f"Rank {missing[0]} failed to pass monitoredBarrier in {milliseconds} ms"
                )
            for other in self._others:
                call.send(other, 1, nothing)

        self._do("monitored_barrier", opts, body, [])

    # Messages

    def send(self, tensors: list[Tensor], rank: int, tag: int) -> Work:
        self._check_peer(rank)
        flat = _flat(tensors[0])
        receipt = self._endpoint.send_later(self._ranks[rank], (self._key, 0, tag), bytes_of(flat))
        return self._message(receipt, flat, None, incoming=False)

    def send_now(self, tensor: Tensor, rank: int, tag: int) -> None:
        """Send without a thread."""
        self._check_peer(rank)
        self._endpoint.send(self._ranks[rank], (self._key, 0, tag), bytes_of(_flat(tensor)))

    def recv(self, tensors: list[Tensor], rank: int, tag: int) -> Work:
        self._check_peer(rank)
        flat = _flat(tensors[0])
        receipt = self._endpoint.receive(self._ranks[rank], (self._key, 0, tag), bytes_of(flat))
        return self._message(receipt, flat, tensors[0], incoming=True)

    def recv_anysource(self, tensors: list[Tensor], tag: int) -> Work:
        flat = _flat(tensors[0])
        ranks = frozenset(self._ranks) - {self._ranks[self._rank]}
        receipt = self._endpoint.receive_any(ranks, (self._key, 0, tag), bytes_of(flat))
        return self._message(receipt, flat, tensors[0], incoming=True)

    def _check_peer(self, rank: int) -> None:
        if not 0 <= rank < self._size:
            raise RuntimeError(f"ProcessGroupGloo: rank {rank} is not in a group of {self._size}")
        if rank == self._rank:
            raise RuntimeError(f"ProcessGroupGloo: rank {rank} cannot send to or receive from itself")

    def _message(self, receipt: Receipt, flat: Tensor, tensor: Tensor | None, incoming: bool) -> Work:
        def finish(seconds: float) -> None:
            try:
                receipt.wait(time.monotonic() + seconds)
            except TimeoutError:
                self._endpoint.cancel(receipt)
                name = "recv" if incoming else "send"
                raise RuntimeError(
                    f"Timed out waiting {round(seconds * 1000)}ms for {name} operation to complete"
                ) from None
            if tensor is not None:
                _write_back(flat, tensor)
                if receipt.source in self._ranks:
                    receipt.source = self._ranks.index(receipt.source)

        return MessageWork(receipt, finish, self._seconds, incoming)


ProcessGroupGloo.__module__ = "torch.distributed.distributed_c10d"


class _Call:
    """One collective under way: its messages, and when it has to be over."""

    def __init__(self, group: ProcessGroupGloo, name: str, number: int, seconds: float) -> None:
        self.group = group
        self.name = name
        self.operation = _NUMBER[name]
        self.number = number
        self.seconds = seconds
        self.end = 0.0
        self._open: list[tuple[int, Receipt]] = []

    def run(self, body: Callable[[_Call], None]) -> None:
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
                part = _as(receipt.data, mine)
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
        flats = [None if rank == self.group._rank else _flat(place) for rank, place in enumerate(places)]
        receipts = {other: self.receive(other, 0, flats[other]) for other in self.group._others}
        if send is not None:
            send()
        own = places[self.group._rank]
        own.detach().copy_(mine.detach().reshape(own.shape))
        for other, receipt in receipts.items():
            self.wait(receipt)
            _write_back(flats[other], places[other])  # type: ignore[arg-type]
