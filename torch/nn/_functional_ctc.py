"""Connectionist temporal classification (Graves et al., 2006)."""

from __future__ import annotations

import torch

Tensor = torch.Tensor
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def _lengths(lengths, name: str, batch: int) -> Tensor:
    if isinstance(lengths, torch.Tensor):
        if lengths.is_floating_point() or lengths.dtype == torch.bool:
            raise RuntimeError(f"{name} must be integral")
        lengths = lengths.reshape(-1)
    else:
        lengths = torch.tensor(list(lengths), dtype=torch.int64)
    if lengths.numel() != batch:
        raise RuntimeError(f"{name} must be of size batch_size")
    return lengths.to(torch.int64).cpu()


def _padded_targets(targets: Tensor, lengths: Tensor, batch: int, blank: int) -> Tensor:
    longest = int(lengths.max()) if batch else 0
    if targets.dim() == 1:
        if int(lengths.sum()) != targets.numel() and batch:
            raise RuntimeError(
                f"Expected tensor to have size {int(lengths.sum())} at dimension 0, but got size {targets.numel()} "
                "for argument #2 'targets' (while checking arguments for ctc_loss_allocate_outputs)"
            )
        starts = lengths.cumsum(0) - lengths
        position = torch.arange(longest).unsqueeze(0)
        inside = position < lengths.unsqueeze(1)
        index = (starts.unsqueeze(1) + position).masked_fill(~inside, 0)
        flat = targets.cpu()[index] if targets.numel() else torch.zeros(batch, longest, dtype=targets.dtype)
        return flat.masked_fill(~inside, blank)
    if targets.shape[1] < longest:
        raise RuntimeError(
            f"Expected tensor to have size at least {longest} at dimension 1, but got size {targets.shape[1]} "
            "for argument #2 'targets' (while checking arguments for ctc_loss_cpu)"
        )
    inside = torch.arange(longest).unsqueeze(0) < lengths.unsqueeze(1)
    return targets[:, :longest].masked_fill(~inside.to(targets.device), blank)


def _log_sum_exp(terms: list[Tensor]) -> Tensor:
    stacked = torch.stack(terms)
    peak = stacked.detach().amax(0)
    peak = peak.masked_fill(peak == float("-inf"), 0)
    # The floor keeps the derivative of log finite where every term is exp(-inf).
    total = (stacked - peak).exp().sum(0)
    return torch.where(total > 0, total.clamp_min(torch.finfo(total.dtype).tiny).log() + peak, float("-inf"))


def _losses(log_probs: Tensor, labels: Tensor, steps: Tensor, sizes: Tensor, blank: int, zero_infinity: bool) -> Tensor:
    """Return the loss of each sequence, made of operations that can be differentiated any number of times."""
    frames, batch, _ = log_probs.shape
    extended = labels.new_full((batch, 2 * labels.shape[1] + 1), blank)
    extended[:, 1::2] = labels
    states = extended.shape[1]
    emitted = log_probs.gather(2, extended.unsqueeze(0).expand(frames, batch, states))
    may_skip = torch.zeros_like(extended, dtype=torch.bool)
    may_skip[:, 2:] = (extended[:, 2:] != blank) & (extended[:, 2:] != extended[:, :-2])
    never = float("-inf")
    position = torch.arange(states, device=log_probs.device).unsqueeze(0)
    start = torch.where((position == 0) | ((position == 1) & (sizes > 0).unsqueeze(1)), 0.0, never)
    alpha = (start.to(log_probs.dtype) + emitted[0]) if frames else start.to(log_probs.dtype).expand(batch, states)
    wall = log_probs.new_full((batch, 2), never)
    for t in range(1, frames):
        shifted = torch.cat([wall, alpha], 1)
        skip = shifted[:, :states].masked_fill(~may_skip, never)
        moved = _log_sum_exp([alpha, shifted[:, 1 : states + 1], skip]) + emitted[t]
        alpha = torch.where((t < steps).unsqueeze(1), moved, alpha)
    last = (2 * sizes).unsqueeze(1)
    final = alpha.gather(1, last)
    before = alpha.gather(1, (last - 1).clamp_min(0)).masked_fill(sizes.unsqueeze(1) == 0, never)
    loss = -_log_sum_exp([final, before]).squeeze(1)
    loss = torch.where(steps == 0, torch.where(sizes == 0, 0.0, float("inf")).to(loss.dtype), loss)
    # The reference's derivative presumes normalised log-probabilities: it adds the derivative of their total mass.
    alive = torch.arange(frames, device=log_probs.device).unsqueeze(1) < steps
    mass = (log_probs.exp().sum(2) * alive).sum(0)
    mass = mass - mass.detach()
    infinite = loss == float("inf")
    if zero_infinity:
        return torch.where(infinite, 0.0, loss) + torch.where(infinite, 0.0, mass)
    return loss + mass


class CtcLoss(torch.autograd.Function):
    """The loss of each sequence and its derivative by one kernel; derivatives of higher order by ``_losses``."""

    @staticmethod
    def forward(
        ctx: Any, log_probs: Tensor, labels: Tensor, steps: Tensor, sizes: Tensor, blank: int, zero_infinity: bool
    ) -> Tensor:
        loss, grad = torch._C._ops._ctc(log_probs, labels, steps, sizes, blank, zero_infinity, ctx.needs_input_grad[0])
        ctx.save_for_backward(log_probs, labels, steps, sizes, grad)
        ctx.options = blank, zero_infinity
        return loss

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        log_probs, labels, steps, sizes, grad = ctx.saved_tensors
        if torch.is_grad_enabled():
            loss = _losses(log_probs, labels, steps, sizes, *ctx.options)
            (grads,) = torch.autograd.grad(loss, log_probs, grad_output, create_graph=True)
        else:
            grads = grad * grad_output.unsqueeze(1)
        return grads, None, None, None, None, None


def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths,
    target_lengths,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """Negative log likelihood of label sequences, summed over all their alignments to the input frames."""
    from ._reduction import get_enum

    number = get_enum(reduction)
    batched = log_probs.dim() == 3
    if not batched:
        log_probs = log_probs.unsqueeze(1)
        if targets.dim() == 1:
            targets = targets.unsqueeze(0)
    frames, batch, classes = log_probs.shape
    if not 0 <= blank < classes:
        raise RuntimeError("blank must be in label range")
    steps = _lengths(input_lengths, "input_lengths", batch)
    sizes = _lengths(target_lengths, "target_lengths", batch)
    if batch and int(steps.max()) > frames:
        raise RuntimeError(
            f"Expected input_lengths to have value at most {frames}, but got value {int(steps.max())} "
            "(while checking arguments for ctc_loss_cpu)"
        )
    labels = _padded_targets(targets, sizes, batch, blank).to(device=log_probs.device, dtype=torch.int64)
    steps, sizes = steps.to(log_probs.device), sizes.to(log_probs.device)
    if torch._C._ops._ctc_fits(log_probs):
        loss = CtcLoss.apply(log_probs, labels, steps, sizes, blank, zero_infinity)
    else:
        loss = _losses(log_probs, labels, steps, sizes, blank, zero_infinity)
    if number == 1:
        return (loss / sizes.clamp_min(1).to(loss.dtype)).mean()
    if number == 2:
        return loss.sum()
    return loss if batched else loss.squeeze(0)


__all__ = ["ctc_loss"]
