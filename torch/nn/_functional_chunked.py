"""The cross entropy of a linear classifier in pieces of the batch, so that not all logits exist at once."""

from __future__ import annotations

import torch
from torch import Tensor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .modules.linear_cross_entropy_options import LinearCrossEntropyOptions


class _Sizes:
    """How the batch is cut, and in which dtype sums are kept."""

    def __init__(self, input: Tensor, classes: int, options: LinearCrossEntropyOptions) -> None:
        wanted = options.acc_dtype
        half = input.dtype in (torch.float16, torch.bfloat16)
        if wanted is not None and wanted != input.dtype and not (half and wanted == torch.float32):
            raise RuntimeError(
                "linear_cross_entropy supports float32 acc_dtype with float16/bfloat16 inputs, but got "
                f"{wanted} acc_dtype and {input.dtype} inputs."
            )
        if wanted is None:
            wanted = torch.float32 if half and options.acc_policy != "compact" else input.dtype
        self.sums: torch.dtype = wanted
        self.piece: int = options.rows_of_a_piece(*input.shape, classes)


class ChunkedLoss(torch.autograd.Function):
    """Loss and gradients of one piece after the other; only the gradients are kept for the backward pass.

    They are constants there: a second derivative by the inputs is None.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(
        input: Tensor,
        linear_weight: Tensor,
        linear_bias: Tensor | None,
        target: Tensor,
        weight: Tensor | None,
        mean: bool,
        ignore_index: int,
        sizes: _Sizes,
        needs: tuple[bool, bool, bool],
        keep: bool,
    ) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor | None]:
        kept = target != ignore_index
        scales = kept.to(sizes.sums)
        safe = torch.where(kept, target, 0)
        if weight is not None:
            scales = scales * weight.to(sizes.sums)[safe]
        total = scales.sum() if mean else None
        if total is not None:
            scales = torch.where(kept, scales / total, 0.0)
        loss = torch.zeros((), dtype=sizes.sums, device=input.device)
        by_input: list[Tensor] = []
        by_weight = torch.zeros_like(linear_weight, dtype=sizes.sums) if needs[1] else None
        by_bias = torch.zeros_like(linear_bias, dtype=sizes.sums) if needs[2] and linear_bias is not None else None
        for start in range(0, input.shape[0], sizes.piece):
            rows = slice(start, start + sizes.piece)
            part, labels = input[rows], safe[rows].unsqueeze(1)
            logits = torch.nn.functional.linear(part, linear_weight, linear_bias).to(sizes.sums)
            logs = torch.log_softmax(logits, 1)
            losses = logs.gather(1, labels).squeeze(1) * scales[rows]
            loss = loss - torch.where(kept[rows], losses, 0.0).sum()
            if not any(needs):
                continue
            one = torch.ones((), dtype=sizes.sums, device=input.device).expand_as(labels)
            grads = logs.exp().scatter_add(1, labels, -one) * scales[rows].unsqueeze(1)
            grads = torch.where(kept[rows].unsqueeze(1), grads, 0.0)
            if needs[0]:
                by_input.append(grads.to(input.dtype) @ linear_weight)
            if by_weight is not None:
                by_weight = by_weight + (grads.to(input.dtype).mT @ part).to(sizes.sums)
            if by_bias is not None:
                by_bias = by_bias + grads.sum(0)
        if total is not None:
            # 0 / 0, so no number, where nothing is left to average.
            loss = torch.where(total == 0, loss / total, loss)
        return (
            loss.to(input.dtype),
            (torch.cat(by_input) if by_input else torch.zeros_like(input)) if needs[0] else None,
            None if by_weight is None else by_weight.to(linear_weight.dtype),
            None if by_bias is None or linear_bias is None else by_bias.to(linear_bias.dtype),
        )

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Any, ...]) -> None:
        grads = output[1:]
        ctx.mark_non_differentiable(*(grad for grad in grads if grad is not None))
        ctx.save_for_backward(*grads)
        ctx.save_for_forward(*grads)
        ctx.keep, ctx.used = inputs[9], False

    @staticmethod
    def backward(ctx: Any, grad: Tensor, *unused: Any) -> tuple[Any, ...]:
        if ctx.used and not ctx.keep:
            raise RuntimeError(
                "linear_cross_entropy chunked backward called twice; retain_graph=True / double backward are not "
                "supported."
            )
        ctx.used = True
        grads = (None if saved is None else saved * grad for saved in ctx.saved_tensors)
        return (*grads, None, None, None, None, None, None, None)

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> tuple[Any, ...]:
        parts = [
            (saved * tangent).sum()
            for saved, tangent in zip(ctx.saved_tensors, tangents[:3], strict=True)
            if saved is not None and tangent is not None
        ]
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return total, None, None, None


def chunked_loss(
    input: Tensor,
    linear_weight: Tensor,
    linear_bias: Tensor | None,
    target: Tensor,
    weight: Tensor | None,
    reduction: str,
    ignore_index: int,
    options: LinearCrossEntropyOptions,
) -> Tensor:
    """The loss of class indices, its mean or sum, with inputs (N, in_features) or (in_features)."""
    if input.dim() == 1:
        input, target = input.unsqueeze(0), target.unsqueeze(0)
    sizes = _Sizes(input, linear_weight.shape[0], options)
    # Inside a forward-mode derivative any input may have a tangent.
    forward_mode = torch._C._dual_levels((input, linear_weight, linear_bias)) is not None
    backward_mode = torch.is_grad_enabled()
    needs = tuple(
        t is not None and (forward_mode or (backward_mode and t.requires_grad))
        for t in (input, linear_weight, linear_bias)
    )
    return ChunkedLoss.apply(
        input,
        linear_weight,
        linear_bias,
        target,
        weight,
        reduction == "mean",
        ignore_index,
        sizes,
        needs,
        options.allow_retain_graph,
    )[0]
