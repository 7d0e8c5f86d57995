"""Losses that are compositions of other operations."""

from __future__ import annotations

import math

import torch
from torch._C._nn import logsigmoid

from ._reduction import get_enum, legacy_get_string, reduced

Tensor = torch.Tensor


def _reduction(size_average, reduce, reduction: str) -> str:
    return reduction if size_average is None and reduce is None else legacy_get_string(size_average, reduce)


def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    size_average: bool | None = None,
    eps: float = 1e-8,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Negative log likelihood of counts under a Poisson distribution."""
    reduction = _reduction(size_average, reduce, reduction)
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(reduction + " is not a valid value for reduction")
    loss = input.exp() - target * input if log_input else input - target * (input + eps).log()
    if full:
        stirling = target * target.log() - target + 0.5 * (2 * math.pi * target).log()
        loss = loss + stirling.masked_fill(target <= 1, 0)
    return reduced(loss, reduction)


def gaussian_nll_loss(
    input: Tensor,
    target: Tensor,
    var: Tensor | float,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    """Negative log likelihood under normal distributions with the given variances."""
    if isinstance(var, float):
        if var < 0:
            raise ValueError("var has negative entry/entries")
        var = var * torch.ones_like(input)
    elif torch.any(var < 0):
        raise ValueError("var has negative entry/entries")
    shape, given = input.size(), var.size()
    if given != shape:
        if shape[:-1] == given:
            var = var.unsqueeze(-1)
        elif not (
            (shape[:-1] == given[:-1] and given[-1] == 1)
            or (len(shape) == len(given) and all(b in (a, 1) for a, b in zip(shape, given, strict=True)))
        ):
            raise ValueError("var is of incorrect size")
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(reduction + " is not valid")
    var = var.clone()
    with torch.no_grad():
        var.clamp_(min=eps)
    loss = 0.5 * (var.log() + (input - target) ** 2 / var)
    if full:
        loss = loss + 0.5 * math.log(2 * math.pi)
    return reduced(loss, reduction)


def hinge_embedding_loss(
    input: Tensor,
    target: Tensor,
    margin: float = 1.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Hinge loss of distances between pairs labelled 1 (alike) or -1."""
    reduction = _reduction(size_average, reduce, reduction)
    get_enum(reduction)
    zero = torch.zeros((), dtype=input.dtype, device=input.device)
    # the margin is rounded to the dtype of the input first, as in PyTorch
    apart = torch.where(target != 1, (torch.full_like(zero, margin) - input).clamp_min(0), zero)
    alike = torch.where(target != -1, input, zero)
    return reduced(apart + alike, reduction)


def cosine_embedding_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Loss of the cosine between pairs labelled 1 (alike) or -1."""
    reduction = _reduction(size_average, reduce, reduction)
    get_enum(reduction)
    if target.dim() > 1:
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    rank = target.dim() + 1
    if input1.dim() != rank or input2.dim() != rank:
        raise RuntimeError(
            f"{rank - 1}D target tensor expects {rank}D input tensors, but found inputs with sizes "
            f"{list(input1.shape)} and {list(input2.shape)}."
        )
    dim, eps = rank - 1, 1e-12
    dot = (input1 * input2).sum(dim)
    norms = ((input1 * input1).sum(dim) + eps) * ((input2 * input2).sum(dim) + eps)
    cosine = dot / norms.sqrt()
    zero = torch.zeros((), dtype=cosine.dtype, device=cosine.device)
    loss = torch.where(target == 1, 1 - cosine, zero) + torch.where(target == -1, (cosine - margin).clamp_min(0), zero)
    return reduced(loss, reduction)


def margin_ranking_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Loss of pairs of scores whose order is given by ``target``."""
    reduction = _reduction(size_average, reduce, reduction)
    get_enum(reduction)
    if input1.dim() != input2.dim() or input1.dim() != target.dim():
        raise RuntimeError(
            "margin_ranking_loss : All input tensors should have same dimension but got sizes: "
            f"input1: {input1.size()}, input2: {input2.size()}, target: {target.size()} "
        )
    return reduced((-target * (input1 - input2) + float(margin)).clamp_min(0), reduction)


def soft_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Logistic loss of scores with labels 1 or -1."""
    reduction = _reduction(size_average, reduce, reduction)
    get_enum(reduction)
    return reduced((-input * target).exp().log1p(), reduction)


def multilabel_soft_margin_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Mean logistic loss over classes, several of which may be right."""
    reduction = _reduction(size_average, reduce, reduction)
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"{reduction} is not valid")
    loss = -(target * logsigmoid(input) + (1 - target) * logsigmoid(-input))
    if weight is not None:
        loss = loss * weight
    loss = loss.sum(input.dim() - 1) / input.size(input.dim() - 1)
    return reduced(loss, reduction)


def _flat_shape(input: Tensor) -> tuple[int, int]:
    return (input.shape[0], input.shape[1]) if input.dim() == 2 else (1, input.numel())


def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Hinge loss between the score of the right class and those of all others."""
    reduction = _reduction(size_average, reduce, reduction)
    get_enum(reduction)
    if weight is not None and weight.dim() != 1:
        raise ValueError("weight must be one-dimensional")
    if p not in (1, 2):
        raise ValueError("only p == 1 and p == 2 supported")
    if input.dim() > 2 or (input.dim() == 2 and input.shape[1] == 0) or (input.dim() < 2 and input.numel() == 0):
        raise RuntimeError(
            "Expected non-empty vector or matrix with optional 0-dim batch size, but got: " + str(list(input.shape))
        )
    rows, classes = _flat_shape(input)
    if target.dim() > 1 or target.numel() != rows:
        raise RuntimeError(
            "multi_margin_loss: target tensor should be 1-D with size equal to the number of input samples (batch "
            f"size). Expected target size [{rows}], but got {list(target.shape)}. Input has shape {list(input.shape)}."
        )
    if weight is not None and weight.numel() != classes:
        raise RuntimeError(f"inconsistent weight size, expected {classes} but got {list(weight.shape)}")
    if target.dtype != torch.int64:
        from ._functional_sparse import _scalar_name

        raise RuntimeError(f"expected scalar type Long but found {_scalar_name(target.dtype)}")
    scores, index = input.reshape(rows, classes), target.reshape(rows, 1)
    if rows and torch._C._vmap_parts(index) is None and (int(index.min()) < 0 or int(index.max()) >= classes):
        raise RuntimeError("target out of range")
    loss = (margin - scores.gather(1, index) + scores).clamp_min(0)
    if p == 2:
        loss = loss * loss
    if weight is not None:
        loss = loss * weight[index]
    others = torch.ones_like(scores, dtype=torch.bool).scatter(1, index, False)
    loss = (loss * others).sum(1) / classes
    if reduction == "none" and target.dim() == 0:
        return loss.reshape(())
    return reduced(loss, reduction)


def multilabel_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Hinge loss between every right class and every other; each row of targets ends at its first -1."""
    reduction = _reduction(size_average, reduce, reduction)
    get_enum(reduction)
    if input.dim() > 2 or (input.dim() == 2 and input.shape[1] == 0) or (input.dim() < 2 and input.numel() == 0):
        raise RuntimeError(
            "Expected non-empty vector or matrix with optional 0-dim batch size, but got: " + str(list(input.shape))
        )
    rows, classes = _flat_shape(input)
    if target.shape != input.shape and not (input.dim() < 2 and target.dim() < 2 and target.numel() == classes):
        raise RuntimeError(f"inconsistent target size: {list(target.shape)} for input of size: {list(input.shape)}")
    scores, labels = input.reshape(rows, classes), target.reshape(rows, classes)
    known = labels.numel() and torch._C._vmap_parts(labels) is None
    if known and (int(labels.min()) < -1 or int(labels.max()) >= classes):
        raise RuntimeError("target is out of range")
    valid = (labels >= 0).to(torch.int64).cumprod(1).to(torch.bool)
    index = labels.masked_fill(~valid, 0)
    right = torch.zeros(rows, classes, dtype=torch.int64, device=input.device).scatter_add(1, index, valid.long()) > 0
    gaps = (1 - scores.gather(1, index).unsqueeze(2) + scores.unsqueeze(1)).clamp_min(0)
    loss = (gaps * (valid.unsqueeze(2) & ~right.unsqueeze(1))).sum((1, 2)) / classes
    if reduction == "none" and input.dim() < 2:
        return loss.reshape(())
    return reduced(loss, reduction)


def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """Return the p-norm of ``x1 - x2 + eps`` along the last dimension."""
    return torch.norm(x1 - x2 + eps, p, -1, keepdim)


def pdist(input: Tensor, p: float = 2) -> Tensor:
    """Return the p-norm distances between all pairs of rows."""
    if input.dim() != 2:
        raise RuntimeError(f"pdist only supports 2D tensors, got: {input.dim()}D")
    if not input.is_floating_point():
        raise RuntimeError("pdist only supports floating-point dtypes")
    if p < 0:
        raise RuntimeError("pdist only supports non-negative p values")
    first, second = torch.triu_indices(input.shape[0], input.shape[0], 1, device=input.device)
    return torch.norm(input[first] - input[second], p, -1)


def _check_triplet(anchor: Tensor, positive: Tensor, negative: Tensor) -> None:
    ranks = anchor.dim(), positive.dim(), negative.dim()
    if len(set(ranks)) != 1:
        raise RuntimeError(
            "The anchor, positive, and negative tensors are expected to have the same number of dimensions, but got: "
            "anchor {}D, positive {}D, and negative {}D inputs".format(*ranks)
        )


def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Hinge loss between the distances to a positive and to a negative example (Balntas et al., 2016)."""
    reduction = _reduction(size_average, reduce, reduction)
    get_enum(reduction)
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    _check_triplet(anchor, positive, negative)
    near = pairwise_distance(anchor, positive, p, eps)
    far = pairwise_distance(anchor, negative, p, eps)
    if swap:
        far = torch.minimum(far, pairwise_distance(positive, negative, p, eps))
    return reduced((margin + near - far).clamp_min(0), reduction)


def triplet_margin_with_distance_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    distance_function=None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """``triplet_margin_loss`` with a distance of one's own."""
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    _check_triplet(anchor, positive, negative)
    distance = pairwise_distance if distance_function is None else distance_function
    near = distance(anchor, positive)
    far = distance(anchor, negative)
    if swap:
        far = torch.minimum(far, distance(positive, negative))
    return reduced((margin + near - far).clamp_min(0), reduction)


__all__ = [
    "poisson_nll_loss",
    "gaussian_nll_loss",
    "hinge_embedding_loss",
    "cosine_embedding_loss",
    "margin_ranking_loss",
    "soft_margin_loss",
    "multilabel_soft_margin_loss",
    "multi_margin_loss",
    "multilabel_margin_loss",
    "pairwise_distance",
    "pdist",
    "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
]
