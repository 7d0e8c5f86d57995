"""Averaging over a small group, after some iterations.

Lin et al., "Don't Use Large Mini-Batches, Use Local SGD", ICLR 2020.
"""

from __future__ import annotations

import torch.distributed as dist

from .default_hooks import _group, allreduce_future, noop_hook

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from torch.futures import Future

__all__ = ["PostLocalSGDState", "post_localSGD_hook"]


class PostLocalSGDState:
    """Averages over ``process_group`` for ``start_localSGD_iter`` iterations, then over ``subgroup`` or not at all."""

    __slots__ = ("iter", "post_local_gradient_allreduce", "process_group", "start_localSGD_iter", "subgroup")

    def __init__(
        self,
        process_group: Any,
        subgroup: Any,
        start_localSGD_iter: int,  # noqa: N803
        post_local_gradient_allreduce: bool = True,
    ) -> None:
        self.process_group = process_group
        self.subgroup = subgroup
        self.start_localSGD_iter = start_localSGD_iter
        self.post_local_gradient_allreduce = post_local_gradient_allreduce
        self.iter = 0

    def maybe_increase_iter(self, bucket: dist.GradBucket) -> None:
        """Count an iteration when its last bucket has come."""
        if bucket.is_last():
            self.iter += 1


def post_localSGD_hook(state: PostLocalSGDState, bucket: dist.GradBucket) -> Future:
    """Average over all at first, later over the subgroup; ``PostLocalSGDOptimizer`` averages the parameters."""
    local = state.iter >= state.start_localSGD_iter
    state.maybe_increase_iter(bucket)
    if not local:
        return allreduce_future(_group(state.process_group), bucket.buffer())
    if not state.post_local_gradient_allreduce:
        return noop_hook(None, bucket)
    if state.subgroup is None:
        raise ValueError("post_localSGD_hook needs a subgroup: make one with torch.distributed.new_subgroups")
    return allreduce_future(state.subgroup, bucket.buffer())
