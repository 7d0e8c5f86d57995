"""Bags of embeddings, grouped matrix products, and the loss of a linear classifier."""

from __future__ import annotations

import warnings

import torch
from torch._C._nn import cross_entropy, embedding, linear

Tensor = torch.Tensor


def _check_bag(input: Tensor, weight: Tensor, offsets, mode: str, per_sample_weights) -> None:
    if mode not in ("sum", "mean", "max"):
        raise ValueError("mode has to be one of sum, mean or max")
    if per_sample_weights is not None:
        if input.size() != per_sample_weights.size():
            raise ValueError(
                f"embedding_bag: If per_sample_weights ({per_sample_weights.shape}) is not None, "
                f"then it must have the same shape as the input ({input.shape})"
            )
        if mode != "sum":
            raise NotImplementedError(
                "embedding_bag: per_sample_weights was not None. "
                "per_sample_weights is only supported for mode='sum' "
                f"(got mode='{mode}'). Please open a feature request on GitHub."
            )
        if per_sample_weights.dtype != weight.dtype:
            raise RuntimeError(
                f"expected scalar type {_scalar_name(weight.dtype)} but found {_scalar_name(per_sample_weights.dtype)}"
            )
    for indices in (input, offsets):
        if indices is not None and indices.dtype not in (torch.int32, torch.int64):
            raise RuntimeError(
                "Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; but "
                f"got {indices.type()} instead (while checking arguments for embedding_bag)"
            )
    if weight.dim() != 2:
        raise ValueError(f"weight has to be a 2D Tensor, but got Tensor of dimension {weight.dim()}")


_SCALAR_NAMES = {
    "float32": "Float",
    "float64": "Double",
    "float16": "Half",
    "bfloat16": "BFloat16",
    "int32": "Int",
    "int64": "Long",
}


def _scalar_name(dtype) -> str:
    name = str(dtype).removeprefix("torch.")
    return _SCALAR_NAMES.get(name, name)


def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """Sum, average or maximise the embeddings of each bag of indices."""
    if weight.dtype == torch.int64 and input.is_floating_point():
        warnings.warn(
            "Argument order of nn.functional.embedding_bag was changed. "
            "Usage `embedding_bag(weight, input, ...)` is deprecated, "
            "and should now be `embedding_bag(input, weight, ...)`.",
            stacklevel=2,
        )
        weight, input = input, weight
    _check_bag(input, weight, offsets, mode, per_sample_weights)
    if scale_grad_by_freq and mode == "max":
        raise ValueError("max mode does not support scaling the gradient by the frequency")
    if sparse and mode == "max":
        raise ValueError("max mode does not support sparse weights")
    rows = weight.shape[0]
    if padding_idx is not None:
        if padding_idx > 0 and padding_idx >= rows:
            raise AssertionError("padding_idx must be within num_embeddings")
        if padding_idx < 0:
            if padding_idx < -rows:
                raise AssertionError("padding_idx must be within num_embeddings")
            padding_idx += rows
    device = input.device
    if input.dim() == 2:
        if offsets is not None:
            raise ValueError(
                "if input is 2D, then offsets has to be None, as input is treated is a mini-batch of fixed length "
                f"sequences. However, found offsets of type {type(offsets)}"
            )
        bags, length = input.shape
        lengths = torch.full((bags,), length, dtype=torch.int64, device=device)
        input = input.reshape(-1)
        if per_sample_weights is not None:
            per_sample_weights = per_sample_weights.reshape(-1)
    elif input.dim() == 1:
        if offsets is None:
            raise ValueError("offsets has to be a 1D Tensor but got None")
        if offsets.dim() != 1:
            raise ValueError("offsets has to be a 1D Tensor")
        starts = offsets.to(torch.int64)
        if starts.numel() and torch._C._vmap_parts(starts) is None and int(starts[0]) != 0:
            raise RuntimeError(
                "offsets[0] has to be 0, i.e., the first sequence in the mini-batch has to start from position 0. "
                f"However, got {int(starts[0])}"
            )
        if starts.numel() and torch._C._vmap_parts(starts) is None and int(starts[-1]) > input.shape[0]:
            raise RuntimeError(
                "offsets[-1] can not be greater than input's length "
                f"({input.shape[0]}) but got offsets[-1] of {int(starts[-1])}"
            )
        if include_last_offset:
            if offsets.numel() < 1:
                raise RuntimeError("include_last_offset: number of offset should be at least 1")
            lengths = starts[1:] - starts[:-1]
            input = input[: int(starts[-1])]
            if per_sample_weights is not None:
                per_sample_weights = per_sample_weights[: input.shape[0]]
        else:
            end = torch.full((1,), input.shape[0], dtype=torch.int64, device=device)
            lengths = torch.cat([starts[1:], end]) - starts
        bags = lengths.shape[0]
    else:
        raise ValueError(f"input has to be 1D or 2D Tensor, but got Tensor of dimension {input.dim()}")
    taken = embedding(input, weight, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse)
    kept = None if padding_idx is None else input != padding_idx
    if mode == "max":
        return _bag_max(taken, lengths, kept)
    bag = torch.repeat_interleave(torch.arange(bags, device=device), lengths)
    if kept is not None:
        taken = taken * kept.unsqueeze(1)
        lengths = torch.zeros(bags, dtype=torch.int64, device=device).index_add(0, bag, kept.to(torch.int64))
    if per_sample_weights is not None:
        taken = taken * per_sample_weights.unsqueeze(1)
    total = torch.zeros((bags, weight.shape[1]), dtype=weight.dtype, device=device).index_add(0, bag, taken)
    return total / lengths.clamp_min(1).to(weight.dtype).unsqueeze(1) if mode == "mean" else total


def _bag_max(taken: Tensor, lengths: Tensor, kept: Tensor | None) -> Tensor:
    bags, width = lengths.shape[0], taken.shape[1]
    longest = int(lengths.max()) if bags else 0
    if longest == 0:
        return torch.zeros((bags, width), dtype=taken.dtype, device=taken.device) + taken.sum() * 0
    starts = lengths.cumsum(0) - lengths
    position = torch.arange(longest, device=taken.device).unsqueeze(0)
    index = (starts.unsqueeze(1) + position).clamp(max=taken.shape[0] - 1)
    inside = position < lengths.unsqueeze(1)
    if kept is not None:
        inside = inside & kept[index]
    padded = taken[index].masked_fill(~inside.unsqueeze(2), float("-inf"))
    return padded.max(1)[0].masked_fill(~inside.any(1, keepdim=True), 0)


def _chunked_fits(input, linear_weight, linear_bias, target, weight, reduction, label_smoothing) -> bool:
    """Whether the loss can go piece by piece. Arguments that are wrong anyway get their error from the plain way."""
    space = tuple(linear_weight.shape[1:-1])
    known = reduction in ("mean", "sum", "none")
    if not known or label_smoothing != 0 or target.dtype != torch.int64 or space:
        shape = None if linear_bias is None else tuple(linear_bias.shape)
        warnings.warn(
            "linear_cross_entropy: ``options`` ignored; chunked path needs reduction in {'mean','sum','none'}, "
            f"label_smoothing == 0, target.dtype == int64, out_features == (). Got {reduction=}, {label_smoothing=}, "
            f"target.dtype={target.dtype}, out_features={space}, tracing=False, linear_bias.shape={shape}.",
            stacklevel=4,
        )
        return False
    classes = linear_weight.shape[0]
    return (
        reduction != "none"
        and target.shape == input.shape[:-1]
        and input.dtype == linear_weight.dtype
        and (weight is None or tuple(weight.shape) == (classes,))
    )


def linear_cross_entropy(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    *,
    linear_bias: Tensor | None = None,
    weight: Tensor | None = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    options=None,
) -> Tensor:
    """Cross entropy of the logits ``linear(input, linear_weight, linear_bias)``.

    With ``options`` (a ``torch.nn.LinearCrossEntropyOptions``) a mean or sum over class indices is computed piece by
    piece, its gradients along with it: less memory, but no second derivatives by the inputs.
    """
    if linear_weight.dim() < 2:
        raise RuntimeError(f"expected linear_weight with dimensionality at least 2, got {linear_weight.dim()}")
    if input.dim() not in (1, 2):
        raise RuntimeError(f"expected input with dimensionality 1 or 2, got {input.dim()}")
    if input.shape[-1] != linear_weight.shape[-1]:
        raise RuntimeError(
            "expected equal input and linear_weight last dimensions (in_features), got "
            f"{input.shape[-1]} and {linear_weight.shape[-1]}, respectively"
        )
    classes, space = linear_weight.shape[0], tuple(linear_weight.shape[1:-1])
    if space and input.dim() == 1:
        raise RuntimeError(
            f"K-dimensional loss defined by linear_weight shape {tuple(linear_weight.shape)} requires batched input, "
            f"(N, {input.shape[-1]}), got unbatched input with shape {tuple(input.shape)}"
        )
    if linear_bias is not None and tuple(linear_bias.shape) != (classes, *space):
        raise RuntimeError(f"expected linear_bias shape {(classes, *space)}, got {tuple(linear_bias.shape)}")
    if ignore_index is not None and target.is_floating_point():
        raise RuntimeError("ignore_index cannot be specified when target contains probabilities")
    if options is not None and _chunked_fits(
        input, linear_weight, linear_bias, target, weight, reduction, label_smoothing
    ):
        from ._functional_chunked import chunked_loss

        ignored = -100 if ignore_index is None else ignore_index
        return chunked_loss(input, linear_weight, linear_bias, target, weight, reduction, ignored, options)
    if space:
        flat = linear_weight.reshape(-1, linear_weight.shape[-1])
        logits = linear(input, flat, None if linear_bias is None else linear_bias.reshape(-1))
        logits = logits.reshape(*input.shape[:-1], classes, *space)
    else:
        logits = linear(input, linear_weight, linear_bias)
    if ignore_index is None:
        ignore_index = -100
    return cross_entropy(
        logits,
        target,
        weight=weight,
        reduction=reduction,
        ignore_index=ignore_index,
        label_smoothing=label_smoothing,
    )


def grouped_mm(
    mat_a: Tensor, mat_b: Tensor, *, offs: Tensor | None = None, bias: Tensor | None = None, out_dtype=None
) -> Tensor:
    """Multiply groups of matrices; ``offs`` holds where each group of a 2-d operand ends."""
    if mat_a.dim() == 3 and mat_b.dim() == 3:
        out = torch.bmm(mat_a, mat_b)
    else:
        if offs is None:
            raise ValueError("Have to provide offsets if there is a 2d matrix, or no offset if both matrices are 3d")
        ends = offs.tolist()
        starts = [0, *ends[:-1]]
        if mat_a.dim() == 2 and mat_b.dim() == 2:
            out = torch.stack([mat_a[:, s:e] @ mat_b[s:e] for s, e in zip(starts, ends, strict=True)])
        elif mat_a.dim() == 2:
            out = torch.cat([mat_a[s:e] @ mat_b[g] for g, (s, e) in enumerate(zip(starts, ends, strict=True))])
        else:
            parts = [mat_a[g] @ mat_b[:, s:e] for g, (s, e) in enumerate(zip(starts, ends, strict=True))]
            out = torch.cat(parts, 1)
    if bias is not None:
        out = out + bias
    return out if out_dtype is None else out.to(out_dtype)


__all__ = ["embedding_bag", "linear_cross_entropy", "grouped_mm"]
