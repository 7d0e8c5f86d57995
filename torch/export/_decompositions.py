"""Operations in terms of others, where the kernels run them as one."""

from __future__ import annotations

import math

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["OWN"]


def _batch_norm(
    input: torch.Tensor, weight: Any, bias: Any, running_mean: Any, running_var: Any, training: bool, momentum: float,
    eps: float, cudnn_enabled: bool = False,
) -> torch.Tensor:  # fmt: skip
    """Normalisation over all dimensions but the second; in training the running statistics are written."""
    shape = [1, input.shape[1]] + [1] * (input.dim() - 2)
    if training:
        axes = [0, *range(2, input.dim())]
        mean = torch.mean(input, axes, True)
        centred = input - mean
        variance = torch.mean(centred * centred, axes, True)
        if running_mean is not None:
            count = 1
            for axis in axes:
                count = count * input.shape[axis]
            unbiased = variance.reshape(running_var.shape) * (count / (count - 1))
            running_mean.copy_(running_mean * (1 - momentum) + mean.reshape(running_mean.shape) * momentum)
            running_var.copy_(running_var * (1 - momentum) + unbiased * momentum)
    else:
        centred = input - running_mean.reshape(shape)
        variance = running_var.reshape(shape)
    result = centred * torch.rsqrt(variance + eps)
    if weight is not None:
        result = result * weight.reshape(shape)
    return result if bias is None else result + bias.reshape(shape)


def _t(input: torch.Tensor) -> torch.Tensor:
    return torch.permute(input, [1, 0]) if input.dim() == 2 else input


def _silu(input: torch.Tensor) -> torch.Tensor:
    return input * torch.sigmoid(input)


def _mse_loss(input: torch.Tensor, target: torch.Tensor, reduction: int = 1) -> torch.Tensor:
    squares = torch.pow(input - target, 2)
    return squares if reduction == 0 else squares.mean() if reduction == 1 else squares.sum()


def _attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, attn_mask: Any = None, dropout_p: float = 0.0,
    is_causal: bool = False, *, scale: float | None = None, enable_gqa: bool = False,
) -> torch.Tensor:  # fmt: skip
    """Scaled dot-product attention (Vaswani et al., 2017); the causal mask is made of positions."""
    if enable_gqa:
        key = key.repeat_interleave(query.shape[-3] // key.shape[-3], -3)
        value = value.repeat_interleave(query.shape[-3] // value.shape[-3], -3)
    factor = query.shape[-1] ** -0.5 if scale is None else scale
    scores = torch.matmul(query, key.transpose(-2, -1)) * factor
    if is_causal:
        rows = torch.arange(query.shape[-2], device=query.device)
        columns = torch.arange(key.shape[-2], device=query.device)
        scores = torch.where(columns <= rows.unsqueeze(-1), scores, -math.inf)
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        scores = torch.where(attn_mask, scores, -math.inf)
    elif attn_mask is not None:
        scores = scores + attn_mask
    weights = torch.softmax(scores, -1)
    if dropout_p:
        weights = torch.dropout(weights, dropout_p, True)
    return torch.matmul(weights, value)


# Overload to function.
OWN: dict[str, Callable[..., Any]] = {
    "batch_norm.default": _batch_norm,
    "t.default": _t,
    "silu.default": _silu,
    "mse_loss.default": _mse_loss,
    "scaled_dot_product_attention.default": _attention,
}
