"""The backend ``"fake"``: a group of any size in one process whose collectives move nothing, for trials."""

from __future__ import annotations

from ._backends import BackendBase
from ._work import DoneWork

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._work import Work

__all__ = ["FakeProcessGroup"]


class FakeProcessGroup(BackendBase):
    """Every collective is over at once and leaves its outputs as they are; a gather's get this rank's values."""

    def name(self) -> str:
        return "fake"

    def _set_timeout(self, timeout: Any) -> None:
        """Nothing takes time."""

    def allgather(self, outputs: list[list[Any]], inputs: list[Any], opts: Any) -> Work:
        for place in outputs[0]:
            place.detach().copy_(inputs[0].detach())
        return DoneWork(outputs[0])

    def _allgather_base(self, output: Any, input: Any, opts: Any) -> Work:
        output.detach().view(self._size, -1).copy_(input.detach().reshape(1, -1))
        return DoneWork([output])

    def allreduce(self, tensors: list[Any], opts: Any) -> Work:
        return DoneWork(tensors)

    allreduce_coalesced = broadcast = reduce = allreduce

    def _written(self, outputs: Any, *args: Any) -> Work:
        return DoneWork(list(outputs) if isinstance(outputs, (list, tuple)) else [outputs])

    gather = scatter = reduce_scatter = _reduce_scatter_base = alltoall = alltoall_base = send = recv = _written
    allgather_coalesced = allgather_into_tensor_coalesced = reduce_scatter_tensor_coalesced = _written
    recv_anysource = _written

    def barrier(self, opts: Any = None) -> Work:
        return DoneWork([])

    def monitored_barrier(self, timeout: Any = None, wait_all_ranks: bool = False) -> None:
        """Everybody is here."""
