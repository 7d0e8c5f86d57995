"""Gradients sent as products of two thin matrices. Vogels et al., "PowerSGD", NeurIPS 2019."""

from __future__ import annotations

import math

import torch
import torch.distributed as dist

from .default_hooks import _group, allreduce_future

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from torch import Tensor
    from torch.futures import Future

__all__ = ["PowerSGDState", "batched_powerSGD_hook", "powerSGD_hook"]


class PowerSGDState:
    """How much is compressed, and what is remembered from one iteration to the next.

    Gradients are averaged as they are for ``start_powerSGD_iter`` iterations (2 or more with error feedback or a warm
    start). ``matrix_approximation_rank`` is the width of the thin matrices; tensors that would not shrink by
    ``min_compression_rate`` are sent as they are.

    Raises:
        ValueError: too few iterations before the compression starts.
    """

    def __init__(
        self,
        process_group: Any,
        matrix_approximation_rank: int = 1,
        start_powerSGD_iter: int = 1000,  # noqa: N803
        min_compression_rate: float = 2,
        use_error_feedback: bool = True,
        warm_start: bool = True,
        orthogonalization_epsilon: float = 0,
        random_seed: int = 0,
        compression_stats_logging_frequency: int = 10000,
        batch_tensors_with_same_shape: bool = False,
    ) -> None:
        if (use_error_feedback or warm_start) and start_powerSGD_iter <= 1:
            raise ValueError(
                "Expect `start_powerSGD_iter` > 1 if `use_error_feedback` or `warm_start` is enabled, because PowerSGD "
                "can only be applied after the first two iterations in DDP."
            )
        self.process_group = process_group
        self.matrix_approximation_rank = matrix_approximation_rank
        self.start_powerSGD_iter = start_powerSGD_iter
        self.min_compression_rate = min_compression_rate
        self.use_error_feedback = use_error_feedback
        self.warm_start = warm_start
        self.orthogonalization_epsilon = orthogonalization_epsilon
        self.batch_tensors_with_same_shape = batch_tensors_with_same_shape
        self.compression_stats_logging_frequency = max(1, compression_stats_logging_frequency)
        self.rng = torch.Generator().manual_seed(random_seed)
        self.error_dict: dict[int, Tensor] = {}
        self.p_memory_dict: dict[int, Any] = {}
        self.q_memory_dict: dict[int, Any] = {}
        self.iter = 0
        self.total_numel_before_compression = 0
        self.total_numel_after_compression = 0

    def maybe_increase_iter(self, bucket: dist.GradBucket) -> None:
        """Count an iteration when its last bucket has come."""
        if bucket.is_last():
            self.iter += 1

    def compression_stats(self) -> tuple[float, int, int]:
        """The rate of compression so far, and the numbers of elements before and after it."""
        after = self.total_numel_after_compression
        rate = self.total_numel_before_compression / after if after else 0
        return rate, self.total_numel_before_compression, after

    def start(self, shape: tuple[int, int], like: Tensor) -> Tensor:
        """Random numbers for a first thin matrix; every process draws the same ones."""
        return torch.randn(shape, generator=self.rng).to(like.dtype)


def _orthogonal(matrix: Tensor, epsilon: float) -> Tensor:
    """Columns of length 1 that are at right angles, in place, by Gram and Schmidt.

    Each column loses its parts along those before it twice: what is left of one that depends on them is rounding, and
    would point anywhere.
    """
    for column in range(matrix.shape[1]):
        one, before = matrix[:, column : column + 1], matrix[:, :column]
        for _ in range(2):
            if column:
                one -= before @ (before.t() @ one)
            norm = one.norm()
            if norm + epsilon > 0:
                one /= norm + epsilon
    return matrix


def _done(tensor: Tensor) -> Future:
    future = torch.futures.Future()
    future.set_result(tensor)
    return future


def _averaged(tensors: list[Tensor], group: Any) -> None:
    if not tensors:
        return
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors]).div_(group.size())
    dist.all_reduce(flat, group=group)
    for tensor, part in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
        tensor.copy_(part.view(tensor.shape))


def _compress(state: PowerSGDState, bucket: dist.GradBucket, matrices: list[Tensor], group: Any) -> None:
    """Replace matrices by the averages of their approximations."""
    index = bucket.index()
    ranks = [min(*matrix.shape, state.matrix_approximation_rank) for matrix in matrices]
    qs = state.q_memory_dict.get(index) if state.warm_start else None
    if qs is None:
        qs = [
            _orthogonal(state.start((matrix.shape[1], rank), matrix), state.orthogonalization_epsilon)
            for matrix, rank in zip(matrices, ranks, strict=True)
        ]
    else:
        for q in qs:
            _orthogonal(q, state.orthogonalization_epsilon)
    ps = [matrix @ q for matrix, q in zip(matrices, qs, strict=True)]
    _averaged(ps, group)
    for p in ps:
        _orthogonal(p, state.orthogonalization_epsilon)
    qs = [matrix.t() @ p for matrix, p in zip(matrices, ps, strict=True)]
    _averaged(qs, group)
    state.p_memory_dict[index], state.q_memory_dict[index] = ps, qs
    state.total_numel_after_compression += sum(p.numel() + q.numel() for p, q in zip(ps, qs, strict=True))
    for matrix, p, q in zip(matrices, ps, qs, strict=True):
        torch.matmul(p, q.t(), out=matrix)


def _with_feedback(state: PowerSGDState, bucket: dist.GradBucket) -> Tensor | None:
    """Add what the last iteration left out; returns the gradients before they are compressed."""
    if not state.use_error_feedback:
        return None
    flat = bucket.buffer()
    if bucket.index() in state.error_dict:
        flat.add_(state.error_dict[bucket.index()])
    return flat.clone()


def powerSGD_hook(state: PowerSGDState, bucket: dist.GradBucket) -> Future:
    """Average the gradients of matrices by thin matrices, all others as they are."""
    group, flat = _group(state.process_group), bucket.buffer()
    if state.iter < state.start_powerSGD_iter:
        state.maybe_increase_iter(bucket)
        return allreduce_future(group, flat)
    before = _with_feedback(state, bucket)
    matrices, others = [], []
    for grad in bucket.gradients():
        matrix = grad.view(grad.shape[0], -1) if grad.dim() > 1 else None
        if matrix is not None:
            rank = min(*matrix.shape, state.matrix_approximation_rank)
            small = sum(matrix.shape) * rank * state.min_compression_rate < matrix.numel()
            (matrices if small else others).append(matrix if small else grad)
        else:
            others.append(grad)
    state.total_numel_before_compression += flat.numel()
    state.total_numel_after_compression += sum(other.numel() for other in others)
    _averaged(others, group)
    _compress(state, bucket, matrices, group)
    if before is not None:
        # what was averaged as it is has no error of its own
        error = before - flat
        at = 0
        for grad in bucket.gradients():
            if any(grad.data_ptr() == other.data_ptr() for other in others):
                error[at : at + grad.numel()] = 0
            at += grad.numel()
        state.error_dict[bucket.index()] = error
    state.maybe_increase_iter(bucket)
    return _done(flat)


def batched_powerSGD_hook(state: PowerSGDState, bucket: dist.GradBucket) -> Future:
    """Average a bucket as one square matrix by thin matrices: faster than ``powerSGD_hook``, and less exact."""
    group, flat = _group(state.process_group), bucket.buffer()
    if state.iter < state.start_powerSGD_iter:
        state.maybe_increase_iter(bucket)
        return allreduce_future(group, flat)
    before = _with_feedback(state, bucket)
    side = math.ceil(math.sqrt(flat.numel()))
    square = torch.cat([flat, flat.new_zeros(side * side - flat.numel())]).view(side, side)
    state.total_numel_before_compression += flat.numel()
    _compress(state, bucket, [square], group)
    flat.copy_(square.view(-1)[: flat.numel()])
    if before is not None:
        state.error_dict[bucket.index()] = before - flat
    state.maybe_increase_iter(bucket)
    return _done(flat)
