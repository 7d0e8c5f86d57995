"""Collectives that autograd goes through: the backward pass is the collective that is the transpose of the forward one.

All processes have to go through the backward pass together, as through the forward one.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch.autograd import Function

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from torch import Tensor

__all__ = [
    "all_gather",
    "all_reduce",
    "all_to_all",
    "all_to_all_single",
    "broadcast",
    "gather",
    "reduce",
    "reduce_scatter",
    "scatter",
]


def _group(group: Any) -> Any:
    return dist.group.WORLD if group is None else group


def broadcast(tensor: Tensor, src: int, group: Any = None) -> Tensor:
    """The tensor of rank ``src``, in every process."""
    return _Broadcast.apply(src, _group(group), tensor)


def gather(tensor: Tensor, dst: int = 0, group: Any = None) -> tuple[Tensor, ...]:
    """All tensors in the process of rank ``dst``; zeros elsewhere."""
    return _Gather.apply(dst, _group(group), tensor)


def scatter(tensors: list[Tensor], src: int = 0, group: Any = None) -> Tensor:
    """This process's tensor of those that rank ``src`` has; elsewhere ``tensors`` say the shape only."""
    return _Scatter.apply(src, _group(group), *tensors)


def reduce(tensor: Tensor, dst: int, op: Any = dist.ReduceOp.SUM, group: Any = None) -> Tensor:
    """The sum in the process of rank ``dst``; elsewhere the tensor as it is."""
    return _Reduce.apply(dst, op, _group(group), tensor)


def reduce_scatter(
    output: Tensor, input_list: list[Tensor], op: Any = dist.ReduceOp.SUM, group: Any = None
) -> Tensor:
    """The sum of the tensors that all have for this process."""
    return _ReduceScatter.apply(op, _group(group), output, *input_list)


def all_gather(tensor: Tensor, group: Any = None) -> tuple[Tensor, ...]:
    """The tensors of all processes."""
    return _AllGather.apply(_group(group), tensor)


def _all_gather_base(output_tensor: Tensor, input_tensor: Tensor, group: Any = None) -> Tensor:
    """The tensors of all processes, one after another in ``output_tensor``."""
    return _AllGatherBase.apply(output_tensor, input_tensor, _group(group))


def all_to_all(output_tensor_list: list[Tensor], input_tensor_list: list[Tensor], group: Any = None) -> Any:
    """What each process has for this one; ``output_tensor_list`` says the shapes."""
    return _AllToAll.apply(_group(group), output_tensor_list, *input_tensor_list)


def all_to_all_single(
    output: Tensor,
    input: Tensor,
    output_split_sizes: list[int] | None = None,
    input_split_sizes: list[int] | None = None,
    group: Any = None,
) -> Tensor:
    """``all_to_all`` of the parts of one tensor, into ``output``."""
    return _AllToAllSingle.apply(_group(group), output, output_split_sizes, input_split_sizes, input)


def all_reduce(tensor: Tensor, op: Any = dist.ReduceOp.SUM, group: Any = None) -> Tensor:
    """The sum over all processes, as a new tensor."""
    return _AllReduce.apply(op, _group(group), tensor)


class _Broadcast(Function):
    @staticmethod
    def forward(ctx: Any, src: int, group: Any, tensor: Tensor) -> Tensor:
        ctx.src, ctx.group = src, group
        tensor = tensor.clone()
        dist.broadcast(tensor, src, group=group)
        return tensor

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        total = _Reduce.apply(ctx.src, dist.ReduceOp.SUM, ctx.group, grad)
        return None, None, total if dist.get_rank() == ctx.src else torch.zeros_like(total)


class _Gather(Function):
    @staticmethod
    def forward(ctx: Any, dst: int, group: Any, tensor: Tensor) -> tuple[Tensor, ...]:
        ctx.dst, ctx.group = dst, group
        places = [torch.zeros_like(tensor) for _ in range(dist.get_world_size(group))]
        here = dist.get_rank() == dst
        dist.gather(tensor.contiguous(), places if here else None, dst, group=group)
        return tuple(places)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        return None, None, _Scatter.apply(ctx.dst, ctx.group, *grads)


class _Scatter(Function):
    @staticmethod
    def forward(ctx: Any, src: int, group: Any, *tensors: Tensor) -> Tensor:
        ctx.src, ctx.group = src, group
        output = torch.zeros_like(tensors[0])
        here = dist.get_rank() == src
        dist.scatter(output, [t.contiguous() for t in tensors] if here else None, src, group=group)
        return output

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        return None, None, *_Gather.apply(ctx.src, ctx.group, grad)


class _Reduce(Function):
    @staticmethod
    def forward(ctx: Any, dst: int, op: Any, group: Any, tensor: Tensor) -> Tensor:
        ctx.dst, ctx.group = dst, group
        tensor = tensor.clone()
        dist.reduce(tensor, dst, op, group=group)
        return tensor

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        return None, None, None, _Broadcast.apply(ctx.dst, ctx.group, grad)


class _ReduceScatter(Function):
    @staticmethod
    def forward(ctx: Any, op: Any, group: Any, output: Tensor, *tensors: Tensor) -> Tensor:
        ctx.group = group
        output = output.detach()
        dist.reduce_scatter(output, [tensor.contiguous() for tensor in tensors], op, group=group)
        return output

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        return None, None, None, *_AllGather.apply(ctx.group, grad)


class _AllGather(Function):
    @staticmethod
    def forward(ctx: Any, group: Any, tensor: Tensor) -> tuple[Tensor, ...]:
        ctx.group = group
        tensor = tensor.contiguous()
        places = [torch.empty_like(tensor) for _ in range(dist.get_world_size(group))]
        dist.all_gather(places, tensor, group=group)
        return tuple(places)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        output = torch.empty_like(grads[dist.get_rank(ctx.group)])
        return None, _ReduceScatter.apply(dist.ReduceOp.SUM, ctx.group, output, *grads)


class _AllGatherBase(Function):
    @staticmethod
    def forward(ctx: Any, output: Tensor, tensor: Tensor, group: Any) -> Tensor:
        ctx.group = group
        output = output.detach()
        dist.all_gather_single(output, tensor.contiguous(), group=group)
        return output

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        size = dist.get_world_size(ctx.group)
        if grad.shape[0] % size:
            raise RuntimeError(f"the first dimension of {tuple(grad.shape)} cannot be divided by {size}")
        output = grad.new_empty((grad.shape[0] // size, *grad.shape[1:]))
        dist.reduce_scatter_single(output, grad.contiguous(), group=ctx.group)
        return None, output, None


class _AllToAll(Function):
    @staticmethod
    def forward(ctx: Any, group: Any, outputs: list[Tensor], *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.group, ctx.shapes = group, [tensor.shape for tensor in tensors]
        places = [output.detach() for output in outputs]
        dist.all_to_all(places, [tensor.contiguous() for tensor in tensors], group=group)
        return tuple(places)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        places = [grads[0].new_empty(shape) for shape in ctx.shapes]
        return None, None, *_AllToAll.apply(ctx.group, places, *grads)


class _AllToAllSingle(Function):
    @staticmethod
    def forward(
        ctx: Any, group: Any, output: Tensor, output_splits: Any, input_splits: Any, tensor: Tensor
    ) -> Tensor:
        ctx.group, ctx.shape = group, tensor.shape
        ctx.splits = output_splits, input_splits
        output = output.detach()
        dist.all_to_all_single(output, tensor.contiguous(), output_splits, input_splits, group=group)
        return output

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        place = grad.new_empty(ctx.shape)
        output_splits, input_splits = ctx.splits
        back = _AllToAllSingle.apply(ctx.group, place, input_splits, output_splits, grad.contiguous())
        return None, None, None, None, back


class _AllReduce(Function):
    @staticmethod
    def forward(ctx: Any, op: Any, group: Any, tensor: Tensor) -> Tensor:
        ctx.op, ctx.group = op, group
        tensor = tensor.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(tensor, op, group=group)
        return tensor

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        return None, None, _AllReduce.apply(ctx.op, ctx.group, grad)
