"""The backend ``"mpi"``: MPI's own collectives, through the package mpi4py.

MPI starts the processes (``mpiexec -n 2 python program.py``) and knows their ranks. What MPI has no number type for
(float16, bfloat16, bool) is gathered, and added up in the order of the ranks.
"""

from __future__ import annotations

import time

import torch

from . import _reduction
from ._backends import BackendBase
from ._options import ReduceOp
from ._transport import bytes_of
from ._work import Lane, Work

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta
    from typing import Any

    from torch import Tensor

__all__ = ["ProcessGroupMPI"]

_communicators: dict[tuple[int, ...], Any] = {}


def _mpi() -> Any:
    try:
        from mpi4py import MPI
    except ImportError:
        raise RuntimeError(
            "Distributed package doesn't have MPI built in. MPI is only included if you build PyTorch from source on a "
            "host that has MPI installed. (Tabula needs the package mpi4py and an MPI: pip install mpi4py mpich)"
        ) from None
    return MPI


class ProcessGroupMPI(BackendBase):
    """MPI's collectives for one communicator. Reductions are MPI's: the order of a sum is its own."""

    def __init__(self, communicator: Any) -> None:
        super().__init__(communicator.Get_rank(), communicator.Get_size())
        self._comm = communicator
        self._lane = Lane("torch-mpi")
        mpi = _mpi()
        self._types = {
            torch.float32: mpi.FLOAT, torch.float64: mpi.DOUBLE, torch.uint8: mpi.UINT8_T, torch.int8: mpi.INT8_T,
            torch.int16: mpi.INT16_T, torch.int32: mpi.INT32_T, torch.int64: mpi.INT64_T,
        }  # fmt: skip
        self._ops = {
            ReduceOp.SUM: mpi.SUM, ReduceOp.AVG: mpi.SUM, ReduceOp.PREMUL_SUM: mpi.SUM, ReduceOp.PRODUCT: mpi.PROD,
            ReduceOp.MIN: mpi.MIN, ReduceOp.MAX: mpi.MAX, ReduceOp.BAND: mpi.BAND, ReduceOp.BOR: mpi.BOR,
            ReduceOp.BXOR: mpi.BXOR,
        }  # fmt: skip

    @staticmethod
    def world() -> tuple[int, int]:
        """This process's rank, and how many there are."""
        comm = _mpi().COMM_WORLD
        return comm.Get_rank(), comm.Get_size()

    @staticmethod
    def of(ranks: list[int]) -> ProcessGroupMPI:
        """The communicator of some ranks; all processes call it."""
        key = tuple(ranks)
        if key not in _communicators:
            mpi = _mpi()
            me = mpi.COMM_WORLD.Get_rank()
            color = 0 if me in ranks else mpi.UNDEFINED
            _communicators[key] = mpi.COMM_WORLD.Split(color, ranks.index(me) if me in ranks else 0)
        comm = _communicators[key]
        return ProcessGroupMPI(comm) if comm != _mpi().COMM_NULL else None  # type: ignore[return-value]

    def name(self) -> str:
        return "mpi"

    def _set_timeout(self, timeout: timedelta) -> None:
        """MPI waits as long as it takes."""

    def _do(self, opts: Any, task: Callable[[], None], result: list[Any]) -> Work:
        return self._lane.run(task, result, opts.asyncOp)

    def _bytes(self, tensor: Tensor) -> list[Any]:
        return [bytes_of(tensor), _mpi().BYTE]

    def _summed(self, flat: Tensor, op: ReduceOp) -> None:
        """Replace a flat tensor by what all processes' make."""
        if flat.dtype in self._types and not flat.is_complex():
            buffer = [bytes_of(flat), flat.numel(), self._types[flat.dtype]]
            self._comm.Allreduce(_mpi().IN_PLACE, buffer, self._ops[op.op])
        else:
            every = flat.new_empty(self._size * flat.numel())
            self._comm.Allgather(self._bytes(flat), self._bytes(every))
            parts = every.chunk(self._size)
            flat.copy_(parts[0])
            for part in parts[1:]:
                _reduction.combine(op, flat, part, flat)
        _reduction.divide(op, flat, self._size)

    def allreduce(self, tensors: list[Tensor], opts: Any) -> Work:
        for tensor in tensors:
            _reduction.check(opts.reduceOp, tensor.dtype)

        def task() -> None:
            for tensor in tensors:
                flat = _reduction.prepare(opts.reduceOp, tensor.detach()).contiguous().view(-1)
                self._summed(flat, opts.reduceOp)
                tensor.detach().copy_(flat.view(tensor.shape))

        return self._do(opts, task, tensors)

    allreduce_coalesced = allreduce

    def reduce(self, tensors: list[Tensor], opts: Any) -> Work:
        tensor = tensors[0]

        def task() -> None:
            flat = _reduction.prepare(opts.reduceOp, tensor.detach()).contiguous().view(-1).clone()
            self._summed(flat, opts.reduceOp)
            if self._rank == opts.rootRank:
                tensor.detach().copy_(flat.view(tensor.shape))

        return self._do(opts, task, tensors)

    def broadcast(self, tensors: list[Tensor], opts: Any) -> Work:
        tensor = tensors[0]

        def task() -> None:
            flat = tensor.detach().contiguous()
            self._comm.Bcast(self._bytes(flat), opts.rootRank)
            tensor.detach().copy_(flat)

        return self._do(opts, task, tensors)

    def allgather(self, outputs: list[list[Tensor]], inputs: list[Tensor], opts: Any) -> Work:
        def task() -> None:
            mine = inputs[0].detach().contiguous()
            every = mine.new_empty((self._size, *mine.shape))
            self._comm.Allgather(self._bytes(mine), self._bytes(every))
            for place, part in zip(outputs[0], every.unbind(), strict=True):
                place.detach().copy_(part.view(place.shape))

        return self._do(opts, task, outputs[0])

    def _allgather_base(self, output: Tensor, input: Tensor, opts: Any) -> Work:
        def task() -> None:
            mine = input.detach().contiguous()
            every = mine.new_empty((self._size, *mine.shape))
            self._comm.Allgather(self._bytes(mine), self._bytes(every))
            output.detach().copy_(every.view(output.shape))

        return self._do(opts, task, [output])

    def gather(self, outputs: list[list[Tensor]], inputs: list[Tensor], opts: Any) -> Work:
        def task() -> None:
            mine = inputs[0].detach().contiguous()
            here = self._rank == opts.rootRank
            every = mine.new_empty((self._size, *mine.shape)) if here else None
            self._comm.Gather(self._bytes(mine), self._bytes(every) if every is not None else None, opts.rootRank)
            if every is not None:
                for place, part in zip(outputs[0], every.unbind(), strict=True):
                    place.detach().copy_(part)

        return self._do(opts, task, outputs[0] if outputs else [])

    def scatter(self, outputs: list[Tensor], inputs: list[list[Tensor]], opts: Any) -> Work:
        def task() -> None:
            place = outputs[0].detach().contiguous()
            parts = torch.stack([part.detach() for part in inputs[0]]) if self._rank == opts.rootRank else None
            self._comm.Scatter(
                self._bytes(parts) if parts is not None else None, self._bytes(place), opts.rootRank
            )
            outputs[0].detach().copy_(place)

        return self._do(opts, task, outputs)

    def reduce_scatter(self, outputs: list[Tensor], inputs: list[list[Tensor]], opts: Any) -> Work:
        def task() -> None:
            flat = torch.stack([part.detach() for part in inputs[0]])
            self._summed(flat.view(-1), opts.reduceOp)
            outputs[0].detach().copy_(flat[self._rank].view(outputs[0].shape))

        return self._do(opts, task, outputs)

    def _reduce_scatter_base(self, output: Tensor, input: Tensor, opts: Any) -> Work:
        return self.reduce_scatter([output], [list(input.reshape(self._size, -1).unbind())], opts)

    def alltoall(self, outputs: list[Tensor], inputs: list[Tensor], opts: Any) -> Work:
        def task() -> None:
            requests = []
            places = [place.detach().contiguous() for place in outputs]
            parts = [part.detach().contiguous() for part in inputs]
            for other in range(self._size):
                requests.append(self._comm.Irecv(self._bytes(places[other]), other))
                requests.append(self._comm.Isend(self._bytes(parts[other]), other))
            _mpi().Request.Waitall(requests)
            for place, output in zip(places, outputs, strict=True):
                output.detach().copy_(place)

        return self._do(opts, task, outputs)

    def alltoall_base(self, output: Tensor, input: Tensor, out_splits: Any, in_splits: Any, opts: Any) -> Work:
        def cut(tensor: Tensor, splits: Any) -> list[Tensor]:
            return list(tensor.split(splits or [tensor.shape[0] // self._size] * self._size))

        return self.alltoall(cut(output, out_splits), cut(input, in_splits), opts)

    def send(self, tensors: list[Tensor], rank: int, tag: int) -> Work:
        flat = tensors[0].detach().contiguous()
        return _Request(self._comm.Isend(self._bytes(flat), rank, tag), flat, None)

    def recv(self, tensors: list[Tensor], rank: int, tag: int) -> Work:
        flat = tensors[0].detach().contiguous()
        return _Request(self._comm.Irecv(self._bytes(flat), rank, tag), flat, tensors[0])

    def recv_anysource(self, tensors: list[Tensor], tag: int) -> Work:
        return self.recv(tensors, _mpi().ANY_SOURCE, tag)

    def barrier(self, opts: Any) -> Work:
        return self._do(opts, self._comm.Barrier, [])


class _Request(Work):
    """A message under way."""

    def __init__(self, request: Any, flat: Tensor, place: Tensor | None) -> None:
        self._request, self._flat, self._place = request, flat, place
        self._status = _mpi().Status()
        self._over = False

    def is_completed(self) -> bool:
        if not self._over:
            self._over = self._request.Test(self._status)
        return self._over

    def wait(self, timeout: timedelta | None = None) -> bool:
        seconds = timeout.total_seconds() if timeout is not None else 0
        end = time.monotonic() + seconds
        while seconds > 0 and not self.is_completed():
            if time.monotonic() > end:
                raise RuntimeError(f"Timed out waiting {round(seconds * 1000)}ms for a message")
            time.sleep(0.001)
        if not self._over:
            self._request.Wait(self._status)
            self._over = True
        if self._place is not None:
            self._place.detach().copy_(self._flat.view(self._place.shape))
            self._place = None
        return True

    def source_rank(self) -> int:
        return self._status.Get_source()

    _source_rank = source_rank
