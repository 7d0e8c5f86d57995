"""Messages between two processes."""

from __future__ import annotations

from contextlib import contextmanager

import torch

from ._collectives import _of, check_tensor, root_of
from ._options import AllgatherOptions, AllreduceCoalescedOptions, ReduceOp, ReduceScatterOptions
from ._work import Work
from ._world import (
    _get_default_group,
    _rank_not_in_group,
    _warn_not_in_group,
    _world,
    get_global_rank,
    get_process_group_ranks,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from torch import Tensor

    from ._backends import ProcessGroup

__all__ = ["P2POp", "batch_isend_irecv", "irecv", "isend", "recv", "send"]


def isend(
    tensor: Tensor,
    dst: int | None = None,
    group: ProcessGroup | None = None,
    tag: int = 0,
    group_dst: int | None = None,
) -> Work | None:
    """Begin to send a tensor to rank ``dst``. It must not be changed until the work is over."""
    pg = _of(group) if not _rank_not_in_group(group) else None
    if pg is None:
        _warn_not_in_group("isend")
        return None
    root = root_of(pg, dst, group_dst)
    check_tensor(tensor, "tensor")
    if pg.rank() == root:
        raise ValueError(
            "Invalid destination rank: destination rank should not be the same as the rank of the current process."
        )
    return pg.send([_real(tensor)], root, tag)


def irecv(
    tensor: Tensor,
    src: int | None = None,
    group: ProcessGroup | None = None,
    tag: int = 0,
    group_src: int | None = None,
) -> Work | None:
    """Begin to receive a tensor of rank ``src``, or of whichever process sends first."""
    check_tensor(tensor, "tensor")
    if _rank_not_in_group(group):
        _warn_not_in_group("irecv")
        return None
    pg = _of(group)
    if src is None and group_src is None:
        return pg.recv_anysource([_real(tensor)], tag)
    return pg.recv([_real(tensor)], root_of(pg, src, group_src), tag)


def send(
    tensor: Tensor,
    dst: int | None = None,
    group: ProcessGroup | None = None,
    tag: int = 0,
    group_dst: int | None = None,
) -> None:
    """Send a tensor to rank ``dst``; a ``recv`` with the same ``tag`` gets it."""
    work = isend(tensor, dst, group, tag, group_dst)
    if work is not None:
        work.wait()


def recv(
    tensor: Tensor,
    src: int | None = None,
    group: ProcessGroup | None = None,
    tag: int = 0,
    group_src: int | None = None,
) -> int:
    """Receive a tensor of rank ``src``, or of whichever process sends first; returns the sender's rank, or -1."""
    work = irecv(tensor, src, group, tag, group_src)
    if work is None:
        return -1
    work.wait()
    pg = _of(group)
    if src is None and group_src is None:
        rank = work._source_rank()
        return rank if pg is _world.default_pg else get_global_rank(pg, rank)
    return src if src is not None else get_global_rank(pg, group_src)  # type: ignore[arg-type]


def _real(tensor: Tensor) -> Tensor:
    return torch.view_as_real(tensor) if tensor.is_complex() else tensor


class P2POp:
    """A message for ``batch_isend_irecv``: ``op`` is ``isend`` or ``irecv``, ``peer`` the other process's rank.

    Raises:
        ValueError: another operation, or no peer.
    """

    def __init__(
        self,
        op: Callable[..., Any],
        tensor: Tensor,
        peer: int | None = None,
        group: ProcessGroup | None = None,
        tag: int = 0,
        group_peer: int | None = None,
    ) -> None:
        if op not in (isend, irecv):
            raise ValueError(
                "Invalid ``op``. Expected ``op`` to be of type ``torch.distributed.isend`` or "
                "``torch.distributed.irecv``."
            )
        check_tensor(tensor, "tensor")
        self.op = op
        self.tensor = tensor
        self.group = _of(group)
        self.group_peer = root_of(self.group, peer, group_peer)
        self.peer = get_process_group_ranks(self.group)[self.group_peer] if peer is None else peer
        self.tag = tag

    def __repr__(self) -> str:
        me, other = self.group.rank(), self.group_peer
        source, target = (me, other) if self.op is isend else (other, me)
        return (
            f"P2POp({self.op.__name__} pg={self.group.group_name}, group_src={source}, group_dst={target},  "
            f"{self.tensor.shape}, {self.tensor.dtype})"
        )


P2POp.__module__ = "torch.distributed.distributed_c10d"


def batch_isend_irecv(p2p_op_list: list[P2POp]) -> list[Work]:
    """Begin several messages; returns their works.

    Raises:
        ValueError: something else is in the list, or several groups are.
    """
    if not all(isinstance(message, P2POp) for message in p2p_op_list):
        raise ValueError("Invalid ``p2p_op_list``. Each op is expected to to be of type ``torch.distributed.P2POp``.")
    group = p2p_op_list[0].group
    if any(message.group is not group for message in p2p_op_list):
        raise ValueError("All ops need to use the same group.")
    works = (message.op(message.tensor, message.peer, message.group, message.tag) for message in p2p_op_list)
    return [work for work in works if work is not None]


class _CoalescingManager:
    """What a block of ``_coalescing_manager`` gives: ``wait`` waits for everything in it."""

    def __init__(self) -> None:
        self.works: list[Work] = []

    def append(self, work: Work | None = None) -> None:
        if work is not None:
            self.works.append(work)

    def wait(self) -> None:
        for work in self.works:
            work.wait()


@contextmanager
def _coalescing_manager(
    group: ProcessGroup | None = None, device: torch.device | None = None, async_ops: bool = False
) -> Iterator[_CoalescingManager]:
    """Carry out the ``all_reduce``, ``all_gather_single`` or ``reduce_scatter_single`` of the block as one.

    Without ``async_ops`` they are over at the end of the block, otherwise when ``wait`` of what it gives returns.

    Raises:
        ValueError: blocks of one group are nested, or the block has collectives of several kinds.
    """
    pg = _get_default_group() if group is None else group
    if _world.pg_coalesce_state.get(pg):
        raise ValueError("ProcessGroup has non-empty op list at the start of coalescing")
    _world.pg_coalesce_state[pg] = []
    manager = _CoalescingManager()
    try:
        yield manager
        pending = _world.pg_coalesce_state[pg]
    finally:
        _world.pg_coalesce_state.pop(pg, None)
    if pending:
        manager.append(_carry_out(pg, pending))
    if not async_ops:
        manager.wait()


def _carry_out(pg: ProcessGroup, pending: list[Any]) -> Work | None:
    kinds = {name for name, _ in pending}
    if len(kinds) > 1:
        raise ValueError(f"a coalesced block has collectives of one kind, not {sorted(kinds)}")
    (kind,) = kinds
    columns = [list(column) for column in zip(*(parts for _, parts in pending), strict=True)]
    if kind == "all_gather":
        return pg.allgather_into_tensor_coalesced(*columns, AllgatherOptions())
    ops = [ReduceOp(op) for op in columns[-1]]
    if any(op != ops[0] for op in ops):
        raise ValueError("a coalesced block has reductions of one kind")
    if kind == "reduce_scatter":
        opts = ReduceScatterOptions()
        opts.reduceOp = ops[0]
        return pg.reduce_scatter_tensor_coalesced(columns[0], columns[1], opts)
    reduced = AllreduceCoalescedOptions()
    reduced.reduceOp = ops[0]
    return pg.allreduce_coalesced(columns[0], reduced)
