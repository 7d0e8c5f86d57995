"""Collectives: what all processes of a group call together."""

from __future__ import annotations

import warnings
from datetime import timedelta
from functools import wraps

import torch

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
from ._world import (
    _get_default_group,
    _rank_not_in_group,
    _warn_not_in_group,
    _world,
    get_global_rank,
    get_group_rank,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from torch import Tensor

    from ._backends import ProcessGroup
    from ._work import Work

__all__ = [
    "all_gather",
    "all_gather_coalesced",
    "all_gather_into_tensor",
    "all_gather_single",
    "all_reduce",
    "all_reduce_coalesced",
    "all_to_all",
    "all_to_all_single",
    "barrier",
    "broadcast",
    "gather",
    "monitored_barrier",
    "record_comm",
    "reduce",
    "reduce_scatter",
    "reduce_scatter_single",
    "reduce_scatter_tensor",
    "scatter",
    "supports_complex",
]


def check_tensor(value: Any, name: str) -> None:
    """TypeError unless it is a tensor."""
    if not isinstance(value, torch.Tensor):
        raise TypeError(
            f"Invalid function argument. Expected parameter `{name}` of type torch.Tensor\n"
            f"             but got {type(value)} instead."
        )


def _check_tensors(value: Any, name: str) -> None:
    if not isinstance(value, list) or not all(isinstance(item, torch.Tensor) for item in value):
        raise TypeError(
            f"Invalid function argument. Expected parameter `{name}` of type List[torch.Tensor]\n"
            f"             but got {type(value)} instead."
        )


def _check_dtypes(*tensors: Any) -> None:
    found: list[Tensor] = []
    for item in tensors:
        found.extend(item if isinstance(item, list) else [item])
    for tensor in found[1:]:
        if tensor.dtype is not found[0].dtype:
            raise ValueError(
                f"Invalid usage of tensors with different dtypesFound {found[0].dtype} and  {tensor.dtype}"
            )


def root_of(group: ProcessGroup, rank: int | None, group_rank: int | None, default: int | None = None) -> int:
    """The rank in the group that is meant by a global rank or by one in the group."""
    if group_rank is not None:
        if rank is not None:
            raise ValueError("Can't specify both group_rank and global_rank")
        return group_rank
    if rank is None:
        if default is None:
            raise ValueError("Must specify global_rank or group_rank")
        return default
    if group is _world.default_pg:
        return rank
    return get_group_rank(group, rank)


def _as_real(tensor: Tensor) -> Tensor:
    return torch.view_as_real(tensor) if tensor.is_complex() else tensor


def supports_complex(reduceOp: ReduceOp) -> bool:  # noqa: N803
    """Whether a reduction is defined for complex numbers."""
    kind = reduceOp.op if isinstance(reduceOp, ReduceOp) else reduceOp
    return kind in (ReduceOp.SUM, ReduceOp.AVG, ReduceOp.PREMUL_SUM)


def _check_complex(name: str, op: Any, tensor: Tensor) -> None:
    if tensor.is_complex() and not supports_complex(op):
        raise ValueError(f"{name} does not support {op} on complex tensors")


def _finish(work: Work | None, async_op: bool) -> Work | None:
    if async_op:
        return work
    if work is not None:
        work.wait()
    return None


def _collective(function: Callable[..., Any]) -> Callable[..., Any]:
    """Warn and do nothing where this process is no member of the group, and find the default group."""
    code = function.__code__
    place = code.co_varnames.index("group", 0, code.co_argcount)

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        given = args[place] if len(args) > place else kwargs.get("group")
        if given is None:
            _get_default_group()
        elif _rank_not_in_group(given):
            _warn_not_in_group(function.__name__)
            return None
        return function(*args, **kwargs)

    return call


def _of(group: ProcessGroup | None) -> ProcessGroup:
    return _get_default_group() if group is None else group


def _coalesces(group: ProcessGroup, name: str, *parts: Any) -> bool:
    """Keep a call for the end of the block, if it stands in one of ``_coalescing_manager``."""
    pending = _world.pg_coalesce_state.get(group)
    if pending is None:
        return False
    pending.append((name, parts))
    return True


@_collective
def broadcast(
    tensor: Tensor,
    src: int | None = None,
    group: ProcessGroup | None = None,
    async_op: bool = False,
    group_src: int | None = None,
) -> Work | None:
    """Give every process the values that the one of rank ``src`` has (``group_src``: its rank in the group)."""
    pg = _of(group)
    root = root_of(pg, src, group_src)
    check_tensor(tensor, "tensor")
    opts = BroadcastOptions()
    opts.rootRank, opts.asyncOp = root, async_op
    return _finish(pg.broadcast([tensor], opts), async_op)


@_collective
def all_reduce(
    tensor: Tensor, op: Any = ReduceOp.SUM, group: ProcessGroup | None = None, async_op: bool = False
) -> Work | None:
    """Replace every process's tensor by the sum of all, or by what ``op`` makes of them.

    The bits are the same in every process and run: contributions are added in the order of the ranks.

    Raises:
        TypeError: no tensor.
        RuntimeError: a bitwise operation on numbers that are no integers; a process is late or gone.
    """
    check_tensor(tensor, "tensor")
    pg = _of(group)
    if tensor.is_complex():
        _check_complex("all_reduce", op, tensor)
        if not isinstance(op, ReduceOp) or not isinstance(op.factor, torch.Tensor):
            tensor = _as_real(tensor)
    opts = AllreduceOptions()
    opts.reduceOp, opts.asyncOp = op, async_op
    if _coalesces(pg, "all_reduce", tensor, op):
        return None
    return _finish(pg.allreduce([tensor], opts), async_op)


@_collective
def all_reduce_coalesced(
    tensors: list[Tensor], op: Any = ReduceOp.SUM, group: ProcessGroup | None = None, async_op: bool = False
) -> Any:
    """``all_reduce`` of several tensors of one dtype; returns a future if it is asynchronous."""
    warnings.warn("`torch.distributed.all_reduce_coalesced` will be deprecated.", FutureWarning, stacklevel=3)
    if isinstance(tensors, torch.Tensor):
        tensors = [tensors]
    _check_tensors(tensors, "tensor")
    _check_dtypes(tensors)
    if any(tensor.is_complex() for tensor in tensors) and not supports_complex(op):
        raise ValueError(f"all_reduce_coalesced does not support {op} on complex tensors")
    opts = AllreduceCoalescedOptions()
    opts.reduceOp, opts.asyncOp = op, async_op
    work = _of(group).allreduce_coalesced([_as_real(tensor) for tensor in tensors], opts)
    return work.get_future() if async_op else _finish(work, False)


@_collective
def reduce(
    tensor: Tensor,
    dst: int | None = None,
    op: Any = ReduceOp.SUM,
    group: ProcessGroup | None = None,
    async_op: bool = False,
    group_dst: int | None = None,
) -> Work | None:
    """Like ``all_reduce``, with the result in the process of rank ``dst`` only."""
    pg = _of(group)
    root = root_of(pg, dst, group_dst)
    check_tensor(tensor, "tensor")
    _check_complex("reduce", op, tensor)
    opts = ReduceOptions()
    opts.reduceOp, opts.rootRank, opts.asyncOp = op, root, async_op
    return _finish(pg.reduce([_as_real(tensor)], opts), async_op)


@_collective
def all_gather(
    tensor_list: list[Tensor], tensor: Tensor, group: ProcessGroup | None = None, async_op: bool = False
) -> Work | None:
    """Fill ``tensor_list`` with the tensors of all processes, in the order of their ranks."""
    _check_tensors(tensor_list, "tensor_list")
    check_tensor(tensor, "tensor")
    _check_dtypes(tensor_list, tensor)
    opts = AllgatherOptions()
    opts.asyncOp = async_op
    places = [_as_real(place) for place in tensor_list]
    return _finish(_of(group).allgather([places], [_as_real(tensor)], opts), async_op)


@_collective
def all_gather_single(
    output_tensor: Tensor, input_tensor: Tensor, group: ProcessGroup | None = None, async_op: bool = False
) -> Work | None:
    """Put the tensors of all processes into one: ``world_size`` times as many elements, one after another."""
    check_tensor(input_tensor, "input_tensor")
    check_tensor(output_tensor, "output_tensor")
    pg = _of(group)
    output, part = _as_real(output_tensor), _as_real(input_tensor)
    opts = AllgatherOptions()
    opts.asyncOp = async_op
    if _coalesces(pg, "all_gather", output, part):
        return None
    return _finish(pg._allgather_base(output, part, opts), async_op)


def _renamed(old: str, new: str) -> None:
    warnings.warn(
        f"`torch.distributed.{old}` is deprecated. Please use `torch.distributed.{new}` instead.",
        FutureWarning,
        stacklevel=4,
    )


@_collective
def all_gather_into_tensor(
    output_tensor: Tensor, input_tensor: Tensor, group: ProcessGroup | None = None, async_op: bool = False
) -> Work | None:
    """The older name of ``all_gather_single``."""
    _renamed("all_gather_into_tensor", "all_gather_single")
    return all_gather_single(output_tensor, input_tensor, group, async_op)


@_collective
def _all_gather_base(
    output_tensor: Tensor, input_tensor: Tensor, group: ProcessGroup | None = None, async_op: bool = False
) -> Work | None:
    """A name of ``all_gather_single`` that older programs use."""
    _renamed("_all_gather_base", "all_gather_single")
    return all_gather_single(output_tensor, input_tensor, group, async_op)


@_collective
def all_gather_coalesced(
    output_tensor_lists: list[list[Tensor]],
    input_tensor_list: list[Tensor],
    group: ProcessGroup | None = None,
    async_op: bool = False,
) -> Any:
    """``output_tensor_lists[rank][i]`` becomes the rank's ``input_tensor_list[i]``."""
    warnings.warn("`torch.distributed.all_gather_coalesced` will be deprecated.", FutureWarning, stacklevel=3)
    _check_tensors(input_tensor_list, "input_tensor_list")
    if not isinstance(output_tensor_lists, list):
        raise TypeError("Invalid function argument: output_tensor_lists should be a list")
    for row in output_tensor_lists:
        _check_tensors(row, "output_tensor_lists")
    opts = AllgatherOptions()
    opts.asyncOp = async_op
    rows = [[_as_real(place) for place in row] for row in output_tensor_lists]
    work = _of(group).allgather_coalesced(rows, [_as_real(part) for part in input_tensor_list], opts)
    return work.get_future() if async_op else _finish(work, False)


@_collective
def gather(
    tensor: Tensor,
    gather_list: list[Tensor] | None = None,
    dst: int | None = None,
    group: ProcessGroup | None = None,
    async_op: bool = False,
    group_dst: int | None = None,
) -> Work | None:
    """Fill the ``gather_list`` of rank ``dst`` (0 unless given) with the tensors of all processes."""
    check_tensor(tensor, "tensor")
    if gather_list:
        _check_tensors(gather_list, "gather_list")
    else:
        gather_list = []
    _check_dtypes(tensor, gather_list)
    pg = _of(group)
    root = root_of(pg, dst, group_dst, default=0)
    check_list_at_root(pg.rank() == root, "gather_list", gather_list, "destination")
    opts = GatherOptions()
    opts.rootRank, opts.asyncOp = root, async_op
    places = [[_as_real(place) for place in gather_list]] if pg.rank() == root else []
    return _finish(pg.gather(places, [_as_real(tensor)], opts), async_op)


def check_list_at_root(here: bool, name: str, value: Any, what: str) -> None:
    """ValueError where the list of a root is missing, or given elsewhere."""
    if here and not value:
        raise ValueError(f"Argument ``{name}`` must be specified on {what} rank.")
    if not here and value:
        raise ValueError(f"Argument ``{name}`` must NOT be specified on non-{what} ranks.")


@_collective
def scatter(
    tensor: Tensor,
    scatter_list: list[Tensor] | None = None,
    src: int | None = None,
    group: ProcessGroup | None = None,
    async_op: bool = False,
    group_src: int | None = None,
) -> Work | None:
    """Give each process its tensor of the ``scatter_list`` of rank ``src`` (0 unless given)."""
    check_tensor(tensor, "tensor")
    if scatter_list:
        _check_tensors(scatter_list, "scatter_list")
    else:
        scatter_list = []
    _check_dtypes(tensor, scatter_list)
    pg = _of(group)
    root = root_of(pg, src, group_src, default=0)
    check_list_at_root(pg.rank() == root, "scatter_list", scatter_list, "source")
    if scatter_list and any(part.numel() != tensor.numel() for part in scatter_list):
        raise ValueError("scatter_list: its tensors have to be of the size of ``tensor``")
    opts = ScatterOptions()
    opts.rootRank, opts.asyncOp = root, async_op
    parts = [[_as_real(part) for part in scatter_list]] if pg.rank() == root else []
    return _finish(pg.scatter([_as_real(tensor)], parts, opts), async_op)


@_collective
def reduce_scatter(
    output: Tensor,
    input_list: list[Tensor],
    op: Any = ReduceOp.SUM,
    group: ProcessGroup | None = None,
    async_op: bool = False,
) -> Work | None:
    """Sum the processes' lists, tensor by tensor, and give each process one of the sums."""
    check_tensor(output, "output")
    _check_tensors(input_list, "input_list")
    _check_dtypes(output, input_list)
    _check_complex("reduce_scatter", op, output)
    opts = ReduceScatterOptions()
    opts.reduceOp, opts.asyncOp = op, async_op
    work = _of(group).reduce_scatter([_as_real(output)], [[_as_real(part) for part in input_list]], opts)
    return _finish(work, async_op)


@_collective
def reduce_scatter_single(
    output: Tensor, input: Tensor, op: Any = ReduceOp.SUM, group: ProcessGroup | None = None, async_op: bool = False
) -> Work | None:
    """Sum the processes' ``input`` and give each process its part, in the order of the ranks."""
    check_tensor(output, "output")
    check_tensor(input, "input")
    _check_complex("reduce_scatter_single", op, output)
    pg = _of(group)
    output, input = _as_real(output), _as_real(input)
    opts = ReduceScatterOptions()
    opts.reduceOp, opts.asyncOp = op, async_op
    if _coalesces(pg, "reduce_scatter", output, input, op):
        return None
    return _finish(pg._reduce_scatter_base(output, input, opts), async_op)


@_collective
def reduce_scatter_tensor(
    output: Tensor, input: Tensor, op: Any = ReduceOp.SUM, group: ProcessGroup | None = None, async_op: bool = False
) -> Work | None:
    """The older name of ``reduce_scatter_single``."""
    _renamed("reduce_scatter_tensor", "reduce_scatter_single")
    return reduce_scatter_single(output, input, op, group, async_op)


@_collective
def _reduce_scatter_base(
    output: Tensor, input: Tensor, op: Any = ReduceOp.SUM, group: ProcessGroup | None = None, async_op: bool = False
) -> Work | None:
    """A name of ``reduce_scatter_single`` that older programs use."""
    _renamed("_reduce_scatter_base", "reduce_scatter_single")
    return reduce_scatter_single(output, input, op, group, async_op)


@_collective
def all_to_all_single(
    output: Tensor,
    input: Tensor,
    output_split_sizes: list[int] | None = None,
    input_split_sizes: list[int] | None = None,
    group: ProcessGroup | None = None,
    async_op: bool = False,
) -> Work | None:
    """Cut ``input`` along its first dimension and give each process one part; ``output`` is what comes, in order.

    Parts are equal unless sizes are given, one for each process.
    """
    check_tensor(output, "output")
    check_tensor(input, "input")
    _check_dtypes(output, input)
    opts = AllToAllOptions()
    opts.asyncOp = async_op
    work = _of(group).alltoall_base(
        _as_real(output), _as_real(input), list(output_split_sizes or []), list(input_split_sizes or []), opts
    )
    return _finish(work, async_op)


@_collective
def all_to_all(
    output_tensor_list: list[Tensor],
    input_tensor_list: list[Tensor],
    group: ProcessGroup | None = None,
    async_op: bool = False,
) -> Work | None:
    """Give each process its tensor of ``input_tensor_list``; those that come are put into ``output_tensor_list``."""
    _check_tensors(output_tensor_list, "output_tensor_list")
    _check_tensors(input_tensor_list, "input_tensor_list")
    _check_dtypes(output_tensor_list, input_tensor_list)
    opts = AllToAllOptions()
    opts.asyncOp = async_op
    outputs, inputs = ([_as_real(t) for t in tensors] for tensors in (output_tensor_list, input_tensor_list))
    return _finish(_of(group).alltoall(outputs, inputs, opts), async_op)


@_collective
def barrier(
    group: ProcessGroup | None = None,
    async_op: bool = False,
    device_ids: Any = None,
    timeout: timedelta | None = None,
) -> Work | None:
    """Wait until all processes of the group have come here."""
    opts = BarrierOptions()
    opts.asyncOp = async_op
    if timeout is not None:
        opts.timeout = timeout
    if device_ids is not None:
        if not isinstance(device_ids, list):
            raise TypeError("Invalid function argument: device_ids type should be List[int]")
        opts.device_ids = device_ids
    return _finish(_of(group).barrier(opts), async_op)


@_collective
def monitored_barrier(
    group: ProcessGroup | None = None, timeout: timedelta | None = None, wait_all_ranks: bool = False
) -> None:
    """A barrier after which rank 0 says which process has not come in time.

    Raises:
        ValueError: the group's backend is not gloo.
        RuntimeError: on rank 0, with the first rank that is missing, or all of them with ``wait_all_ranks``.
    """
    pg = _of(group)
    if pg._get_backend_name() != "gloo":
        raise ValueError("monitored_barrier is only implemented for GLOO backend.")
    try:
        pg.monitored_barrier(timeout, wait_all_ranks=wait_all_ranks)
    except RuntimeError as error:
        if "failed to pass" not in str(error):
            raise
        words = str(error).split()
        words[1] = " ".join(str(get_global_rank(pg, int(rank.strip(",")))) for rank in words[1:2])
        raise RuntimeError(" ".join(words) if words[0] == "Rank" else str(error)) from None


def record_comm(name: str) -> Any:
    """A block whose communication profilers show under a name."""
    from torch.autograd.profiler import record_function

    return record_function(name)


