"""Averaging, in the gradients' precision or in half of it."""

from __future__ import annotations

import torch
import torch.distributed as dist

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from torch import Tensor
    from torch.futures import Future

__all__ = [
    "allreduce_hook",
    "bf16_compress_hook",
    "bf16_compress_wrapper",
    "fp16_compress_hook",
    "fp16_compress_wrapper",
    "noop_hook",
]


def _group(process_group: Any) -> Any:
    return dist.group.WORLD if process_group is None else process_group


def allreduce_future(process_group: Any, tensor: Tensor) -> Future:
    """The average over the group, in place, as a future."""
    group = _group(process_group)
    tensor.div_(group.size())
    return dist.all_reduce(tensor, group=group, async_op=True).get_future().then(lambda done: done.value()[0])


def allreduce_hook(process_group: Any, bucket: dist.GradBucket) -> Future:
    """The average over the group, as without a hook."""
    return allreduce_future(process_group, bucket.buffer())


def _compressed(dtype: torch.dtype, process_group: Any, bucket: dist.GradBucket) -> Future:
    group, whole = _group(process_group), bucket.buffer()
    small = whole.to(dtype).div_(group.size())

    def restore(done: Future) -> Tensor:
        whole.copy_(done.value()[0])
        return whole

    return dist.all_reduce(small, group=group, async_op=True).get_future().then(restore)


def fp16_compress_hook(process_group: Any, bucket: dist.GradBucket) -> Future:
    """The average over the group, sent as float16."""
    return _compressed(torch.float16, process_group, bucket)


def bf16_compress_hook(process_group: Any, bucket: dist.GradBucket) -> Future:
    """The average over the group, sent as bfloat16."""
    return _compressed(torch.bfloat16, process_group, bucket)


def _wrapped(dtype: torch.dtype, hook: Callable[[Any, dist.GradBucket], Future]) -> Callable[..., Future]:
    def wrapper(hook_state: Any, bucket: dist.GradBucket) -> Future:
        whole = bucket.buffer()
        bucket.set_buffer(whole.to(dtype))

        def restore(done: Future) -> Tensor:
            value = done.value()
            whole.copy_(value[0] if isinstance(value, (list, tuple)) else value)
            return whole

        return hook(hook_state, bucket).then(restore)

    return wrapper


def fp16_compress_wrapper(hook: Callable[[Any, dist.GradBucket], Future]) -> Callable[..., Future]:
    """The same hook, given its buckets as float16."""
    return _wrapped(torch.float16, hook)


def bf16_compress_wrapper(hook: Callable[[Any, dist.GradBucket], Future]) -> Callable[..., Future]:
    """The same hook, given its buckets as bfloat16."""
    return _wrapped(torch.bfloat16, hook)


def noop_hook(state: Any, bucket: dist.GradBucket) -> Future:
    """No exchange at all: each process keeps its gradients. Shows what the exchange costs."""
    future = torch.futures.Future()
    future.set_result(bucket.buffer())
    return future
