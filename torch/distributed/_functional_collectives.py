"""Collectives as functions: they return new tensors and change none.

Results are there when a function returns. Those whose name ends in ``_autograd`` have derivatives.
"""

from __future__ import annotations

import torch

from . import distributed_c10d as c10d
from .device_mesh import DeviceMesh

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from torch import Tensor

__all__ = [
    "AsyncCollectiveTensor",
    "all_gather_into_tensor_coalesced",
    "all_gather_single",
    "all_gather_single_autograd",
    "all_gather_tensor",
    "all_gather_tensor_autograd",
    "all_reduce",
    "all_reduce_coalesced",
    "all_to_all_single",
    "all_to_all_single_autograd",
    "broadcast",
    "permute_tensor",
    "reduce_scatter_single",
    "reduce_scatter_single_autograd",
    "reduce_scatter_tensor",
    "reduce_scatter_tensor_autograd",
    "reduce_scatter_tensor_coalesced",
    "wait_tensor",
]

_OPS = {
    "sum": c10d.ReduceOp.SUM,
    "avg": c10d.ReduceOp.AVG,
    "product": c10d.ReduceOp.PRODUCT,
    "min": c10d.ReduceOp.MIN,
    "max": c10d.ReduceOp.MAX,
    "band": c10d.ReduceOp.BAND,
    "bor": c10d.ReduceOp.BOR,
    "bxor": c10d.ReduceOp.BXOR,
}


class AsyncCollectiveTensor(torch.Tensor):
    """A result that may not be there yet. There are none: functions here return finished ones. For ``isinstance``."""

    def wait(self) -> Tensor:
        """The tensor, when it is there."""
        return self.as_subclass(torch.Tensor)


def _resolve_group(group: Any) -> Any:
    """The group that is meant by a group, its name, a mesh, a mesh and a dimension, or a list of ranks."""
    if isinstance(group, DeviceMesh):
        if group.ndim != 1:
            raise AssertionError("Only 1D mesh is supported, pass in (DeviceMesh, int) together if mesh > 1D")
        return group.get_group(0)
    if isinstance(group, tuple) and len(group) == 2 and isinstance(group[0], DeviceMesh):
        return group[0].get_group(group[1])
    if isinstance(group, str):
        return c10d._resolve_process_group(group)
    if isinstance(group, (list, tuple)):
        ranks = list(group[0]) if group and isinstance(group[0], (list, tuple)) else list(group)
        for known in c10d._world.pg_group_ranks:
            if isinstance(known, c10d.ProcessGroup) and c10d.get_process_group_ranks(known) == ranks:
                return known
        raise ValueError(f"there is no group of the ranks {ranks}: make it with new_group first")
    return group


def _op(name: str) -> Any:
    if name.lower() not in _OPS:
        raise ValueError(f"unknown reduction '{name}', expected one of {sorted(_OPS)}")
    return _OPS[name.lower()]


def wait_tensor(tensor: Tensor) -> Tensor:
    """The tensor, when it is there."""
    return tensor.wait() if isinstance(tensor, AsyncCollectiveTensor) else tensor


def broadcast(self: Tensor, src: int, group: Any, tag: str = "") -> Tensor:
    """The tensor of rank ``src``."""
    result = self.clone(memory_format=torch.contiguous_format)
    c10d.broadcast(result, src, group=_resolve_group(group))
    return result


def all_reduce(self: Tensor, reduceOp: str, group: Any, tag: str = "") -> Tensor:  # noqa: N803
    """The sum, ``"avg"``, ``"max"``, ... over the group."""
    result = self.detach().clone(memory_format=torch.contiguous_format)
    c10d.all_reduce(result, _op(reduceOp), _resolve_group(group))
    return result


def all_gather_tensor(self: Tensor, gather_dim: int, group: Any, tag: str = "") -> Tensor:
    """The tensors of all, one after another along a dimension."""
    pg = _resolve_group(group)
    result = self.new_empty((pg.size() * self.shape[0], *self.shape[1:])) if self.dim() else self.new_empty(pg.size())
    c10d.all_gather_single(result, self.detach().contiguous(), pg)
    return result if gather_dim == 0 else torch.cat(result.chunk(pg.size()), gather_dim)


def reduce_scatter_tensor(
    self: Tensor,
    reduceOp: str,  # noqa: N803
    scatter_dim: int,
    group: Any,
    tag: str = "",
) -> Tensor:
    """This process's part, along a dimension, of the sum over the group."""
    pg = _resolve_group(group)
    if self.shape[scatter_dim] % pg.size():
        raise AssertionError(
            f"input dimension {scatter_dim} ({self.shape[scatter_dim]}) must be a multiple of group_size {pg.size()}"
        )
    parts = self.detach()
    if scatter_dim:
        parts = torch.cat(parts.chunk(pg.size(), scatter_dim))
    result = parts.new_empty((parts.shape[0] // pg.size(), *parts.shape[1:]))
    c10d.reduce_scatter_single(result, parts.contiguous(), _op(reduceOp), pg)
    return result


def all_to_all_single(
    self: Tensor,
    output_split_sizes: list[int] | None,
    input_split_sizes: list[int] | None,
    group: Any,
    tag: str = "",
) -> Tensor:
    """What each process has for this one; parts are equal unless sizes are given."""
    first = self.shape[0] if output_split_sizes is None else sum(output_split_sizes)
    result = self.new_empty((first, *self.shape[1:]))
    pg = _resolve_group(group)
    c10d.all_to_all_single(result, self.detach().contiguous(), output_split_sizes, input_split_sizes, pg)
    return result


def permute_tensor(self: Tensor, src_dst: list[int], group: Any, tag: str = "") -> Tensor:
    """Send the tensor to rank ``src_dst[rank]``, and return the one that comes."""
    pg = _resolve_group(group)
    sends, receives = [0] * pg.size(), [0] * pg.size()
    for source, target in enumerate(src_dst):
        if source == pg.rank():
            sends[target] = self.numel()
        if target == pg.rank():
            receives[source] = self.numel()
    return all_to_all_single(self.reshape(-1), receives, sends, pg).view(self.shape)


def all_reduce_coalesced(self: list[Tensor], reduceOp: str, group: Any, tag: str = "") -> list[Tensor]:  # noqa: N803
    """``all_reduce`` of several tensors."""
    return [all_reduce(tensor, reduceOp, group) for tensor in self]


def all_gather_into_tensor_coalesced(self: list[Tensor], group: Any, tag: str = "") -> list[Tensor]:
    """``all_gather_tensor`` of several tensors along the first dimension."""
    return [all_gather_tensor(tensor, 0, group) for tensor in self]


def reduce_scatter_tensor_coalesced(
    inputs: list[Tensor],
    reduceOp: str,  # noqa: N803
    scatter_dim: list[int],
    group: Any,
    tag: str = "",
) -> list[Tensor]:
    """``reduce_scatter_tensor`` of several tensors."""
    return [reduce_scatter_tensor(t, reduceOp, dim, group) for t, dim in zip(inputs, scatter_dim, strict=True)]


class _Linear(torch.autograd.Function):
    """A linear collective, and the one that is its transpose."""

    @staticmethod
    def forward(ctx: Any, forward: Any, backward: Any, tensor: Tensor) -> Tensor:
        ctx.backward_of = backward
        return forward(tensor)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        return None, None, ctx.backward_of(grad)


def all_gather_tensor_autograd(self: Tensor, gather_dim: int, group: Any, tag: str = "") -> Tensor:
    """``all_gather_tensor`` with a derivative."""
    return _Linear.apply(
        lambda t: all_gather_tensor(t, gather_dim, group),
        lambda grad: reduce_scatter_tensor(grad, "sum", gather_dim, group),
        self,
    )


def reduce_scatter_tensor_autograd(
    self: Tensor,
    reduceOp: str,  # noqa: N803
    scatter_dim: int,
    group: Any,
    tag: str = "",
) -> Tensor:
    """``reduce_scatter_tensor`` with a derivative; sums and averages only."""
    if reduceOp not in ("sum", "avg"):
        raise ValueError(f"only sums and averages have a derivative here, not '{reduceOp}'")
    share = _resolve_group(group).size() if reduceOp == "avg" else 1
    return _Linear.apply(
        lambda t: reduce_scatter_tensor(t, reduceOp, scatter_dim, group),
        lambda grad: all_gather_tensor(grad, scatter_dim, group) / share,
        self,
    )


def all_to_all_single_autograd(
    self: Tensor,
    output_split_sizes: list[int] | None,
    input_split_sizes: list[int] | None,
    group: Any,
    tag: str = "",
) -> Tensor:
    """``all_to_all_single`` with a derivative."""
    return _Linear.apply(
        lambda t: all_to_all_single(t, output_split_sizes, input_split_sizes, group),
        lambda grad: all_to_all_single(grad, input_split_sizes, output_split_sizes, group),
        self,
    )


all_gather_single, all_gather_single_autograd = all_gather_tensor, all_gather_tensor_autograd
reduce_scatter_single, reduce_scatter_single_autograd = reduce_scatter_tensor, reduce_scatter_tensor_autograd
