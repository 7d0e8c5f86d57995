"""Products of nested tensors: linear layers, matrices and attention over ragged sequences."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ._jagged import NestedTensor, packed, padded
from ._operations import Rule, size_text
from ._shapes import unbind


def _linear(func: Any, input: NestedTensor, weight: Tensor, bias: Tensor | None = None) -> NestedTensor:
    if not isinstance(input, NestedTensor):
        raise NotImplementedError("aten.linear.default\nonly the input of linear may be a nested tensor")
    if input._ragged_idx == input.dim() - 1:
        raise ValueError(
            "NestedTensor linear_default(input: jt, weight: t, bias: t?): expected input to be a contiguous "
            "jagged layout "
            "NestedTensor"
        )
    return input.like(func(input._values, weight, bias))


def _unsupported(a: Tensor, b: Tensor) -> RuntimeError:
    left = size_text(a) if isinstance(a, NestedTensor) else a.shape
    return RuntimeError(f"matmul(): not supported between inputs of shapes {left} and {b.shape}")


def _matmul(func: Any, input: Tensor, other: Tensor) -> Tensor:
    a, b = input, other
    if isinstance(a, NestedTensor) and isinstance(b, NestedTensor):
        # (B, ..., N, ragged) by (B, ..., ragged, M): the padding adds zeros
        summed = a._ragged_idx == a.dim() - 1 and b._ragged_idx == b.dim() - 2
        if (
            summed
            and a._ragged_size == b._ragged_size
            and a.dim() == b.dim()
            and a._lengths is None
            and b._lengths is None
        ):
            return func(padded(a, 0), padded(b, 0))
        raise _unsupported(a, b)
    if isinstance(a, NestedTensor):
        if a._ragged_idx == a.dim() - 1 or b.dim() < 2 or a.dim() < 3:
            raise _unsupported(a, b)
        if b.dim() == 2:
            return a.like(a._values @ b)
        if b.dim() != a.dim():
            raise _unsupported(a, b)
        if b.shape[0] not in (1, a._batch):
            raise RuntimeError(
                f"The size of tensor a ({a._batch}) must match the size of tensor b ({b.shape[0]}) at "
                "non-singleton dimension 0"
            )
        return packed(torch.matmul(padded(a, 0), b), a)
    if b._ragged_idx == b.dim() - 1 and a.dim() in (2, b.dim()) and b.dim() >= 3:
        # (N, K) or (B, ..., N, K) by (B, ..., K, ragged)
        return packed(func(a, padded(b, 0)), b)
    raise _unsupported(a, b)


def _convolution(func: Any, input: NestedTensor, weight: Tensor, *args: Any, **kwargs: Any) -> NestedTensor:
    if not input.is_contiguous():
        raise ValueError(f"NestedTensor {func.__name__}: expected input to be a contiguous jagged layout NestedTensor")
    n, given = weight.dim(), input._values.shape
    if len(given) != n:
        raise RuntimeError(
            f"Expected {n}-dimensional input for {n}-dimensional weight {list(weight.shape)}, but got "
            f"{len(given)}-dimensional "
            f"input of size {list(given)} instead"
        )
    return input.like(func(input._values, weight, *args, **kwargs))


def _check_attention(query: Any, key: Any, value: Any, attn_mask: Any) -> None:
    nested = [isinstance(t, NestedTensor) for t in (query, key, value)]
    if not all(nested):
        raise ValueError(
            f"Expected query, key, and value to be nested tensors, but got query.is_nested: {nested[0]}, "
            "key.is_nested: "
            f"{nested[1]}, and value.is_nested: {nested[2]} instead."
        )
    if attn_mask is not None:
        raise ValueError("Masks are not yet supported!")
    if not query.dtype == key.dtype == value.dtype:
        raise ValueError(
            "Expected query, key, and value to have the same dtype, but got query.dtype: "
            f"{query.dtype}, key.dtype: {key.dtype}, and value.dtype: {value.dtype} instead."
        )
    if any(t.dim() < 3 for t in (query, key, value)):
        raise ValueError(
            "Expected query, key, and value to all be  at least 3 dimensional, but got query.dim: "
            f"{query.dim()}, key.dim: "
            f"{key.dim()} and value.dim: {value.dim()} instead."
        )
    if key._ragged_idx != value._ragged_idx or key._ragged_size != value._ragged_size:
        raise ValueError("Expected key and value to have the same ragged structure: make both over the same offsets.")


def _attention(
    func: Any, query: NestedTensor, key: NestedTensor, value: NestedTensor, attn_mask: Tensor | None = None,
    dropout_p: float = 0.0, is_causal: bool = False, scale: float | None = None, enable_gqa: bool = False,
) -> NestedTensor:  # fmt: skip
    """Attention within each entry: sequences of one batch neither see nor pad each other."""
    _check_attention(query, key, value, attn_mask)
    if query._ragged_idx == query.dim() - 1 or query._batch != key._batch:
        raise RuntimeError("No viable backend for scaled_dot_product_attention was found.")
    entries = zip(unbind(None, query), unbind(None, key), unbind(None, value), strict=True)
    options = {"dropout_p": dropout_p, "is_causal": is_causal, "scale": scale, "enable_gqa": enable_gqa}
    along = query._ragged_idx - 1
    results = [func(q, k, v, **options).movedim(along, 0) for q, k, v in entries]
    if not results:
        return query.like(query._values)
    # sequences lie first in memory, so that .transpose(1, 2) of the result is contiguous
    values = torch.cat(results).movedim(0, along)
    if query._lengths is None:
        return query.like(values)
    offsets = torch.cat([query._offsets.new_zeros(1), query._lengths.cumsum(0)])
    return NestedTensor(values, offsets, ragged_idx=query._ragged_idx)


RULES: dict[str, Rule] = {
    "linear": _linear,
    "matmul": _matmul,
    "bmm": _matmul,
    "mm": _matmul,
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), _convolution),
    "scaled_dot_product_attention": _attention,
}
