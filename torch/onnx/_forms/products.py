"""Products of matrices, and attention."""

from __future__ import annotations

import math
from typing import Any

import torch

from .._builder import Builder, Value
from ._registry import form


def _result(b: Builder) -> tuple[torch.dtype, Any]:
    return b.result.dtype, tuple(b.result.shape)


@form("mm.default", "bmm.default", "matmul.default", "mv.default", "dot.default", "vdot.default")
def matmul(b: Builder, x: Value, y: Value) -> Value:
    return b.op("MatMul", x, y, like=_result(b))  # type: ignore[no-any-return]


@form("linear.default")
def linear(b: Builder, x: Value, weight: Value, bias: Value | None = None) -> Value:
    if x.rank == 2 and weight.rank == 2:
        return b.op("Gemm", x, weight, bias, transB=1, like=_result(b))  # type: ignore[no-any-return]
    product = b.op("MatMul", x, b.transpose(weight, [1, 0]) if weight.rank == 2 else weight, like=_result(b))
    return product if bias is None else b.op("Add", product, bias, like=_result(b))  # type: ignore[no-any-return]


@form("addmm.default")
def addmm(b: Builder, bias: Value, x: Value, y: Value, beta: Any = 1, alpha: Any = 1) -> Value:
    return b.op("Gemm", x, y, bias, alpha=float(alpha), beta=float(beta), like=_result(b))  # type: ignore[no-any-return]


def _added(b: Builder, first: Value, product: Value, beta: Any, alpha: Any) -> Value:
    if alpha != 1:
        product = b.op("Mul", product, b.scalar(alpha, b.result.dtype), like=product)
    if beta != 1:
        first = b.op("Mul", first, b.scalar(beta, b.result.dtype), like=first)
    return b.op("Add", first, product, like=_result(b))  # type: ignore[no-any-return]


@form("baddbmm.default", "addmv.default")
def baddbmm(b: Builder, first: Value, x: Value, y: Value, beta: Any = 1, alpha: Any = 1) -> Value:
    return _added(b, first, b.op("MatMul", x, y), beta, alpha)


@form("addbmm.default")
def addbmm(b: Builder, first: Value, x: Value, y: Value, beta: Any = 1, alpha: Any = 1) -> Value:
    product = b.op("MatMul", x, y)
    product.dtype, product.shape = x.dtype, (None, None, None)
    return _added(b, first, b.reduce("ReduceSum", product, [0], False), beta, alpha)


@form("outer.default", "ger.default")
def outer(b: Builder, x: Value, y: Value) -> Value:
    return b.op("Mul", b.unsqueeze(x, 1), b.unsqueeze(y, 0), like=_result(b))  # type: ignore[no-any-return]


@form("einsum.default")
def einsum(b: Builder, equation: str, tensors: list[Value], path: Any = None) -> Value:
    return b.op("Einsum", *tensors, equation=equation, like=_result(b))  # type: ignore[no-any-return]


@form("scaled_dot_product_attention.default")
def attention(
    b: Builder, query: Value, key: Value, value: Value, attn_mask: Value | None = None, dropout_p: float = 0.0,
    is_causal: bool = False, scale: Any = None, enable_gqa: bool = False,
) -> Value:  # fmt: skip
    """Scaled dot-product attention (Vaswani et al., 2017)."""
    assert query.dtype is not None and query.shape is not None and key.shape is not None
    dtype = query.dtype
    if enable_gqa:
        key, value = (_repeated_heads(b, v, query) for v in (key, value))
    factor = scale if scale is not None else 1 / math.sqrt(query.shape[-1])
    order = [*range(key.rank - 2), key.rank - 1, key.rank - 2]
    half = b.scalar(math.sqrt(factor), dtype)
    left = b.op("Mul", query, half, like=query)
    turned = b.transpose(key, order)
    scores = b.op("MatMul", left, b.op("Mul", turned, half, like=turned))
    scores.dtype, scores.shape = dtype, (None,) * query.rank
    if is_causal:
        rows = b.op("Range", b.ints(0), b.squeeze(b.size_of(query, -2), 0), b.ints(1), like=(torch.int64, (None,)))
        columns = b.op("Range", b.ints(0), b.squeeze(b.size_of(key, -2), 0), b.ints(1), like=(torch.int64, (None,)))
        hidden = b.op("Greater", b.unsqueeze(columns, 0), b.unsqueeze(rows, 1))
        scores = b.op("Where", hidden, b.scalar(-math.inf, dtype), scores, like=scores)
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        scores = b.op("Where", attn_mask, scores, b.scalar(-math.inf, dtype), like=scores)
    elif attn_mask is not None:
        scores = b.op("Add", scores, attn_mask, like=scores)
    weights = b.op("Softmax", scores, axis=-1, like=scores)
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        # Rows without an open place are zero.
        weights = b.op("Where", b.op("IsNaN", weights), b.scalar(0, dtype), weights, like=scores)
    return b.op("MatMul", weights, value, like=_result(b))  # type: ignore[no-any-return]


def _repeated_heads(b: Builder, value: Value, query: Value) -> Value:
    assert value.shape is not None and query.shape is not None
    groups = query.shape[-3] // value.shape[-3]
    if groups == 1:
        return value
    wide = b.unsqueeze(value, value.rank - 2)
    tiled = b.op("Tile", wide, b.ints([groups if d == value.rank - 2 else 1 for d in range(wide.rank)]))
    batch, tail = list(value.shape[:-3]), list(value.shape[-2:])
    sizes = [s if isinstance(s, int) else b.size_of(value, i) for i, s in enumerate(batch)]
    ends = [s if isinstance(s, int) else b.size_of(value, value.rank - 2 + i) for i, s in enumerate(tail)]
    return b.reshape(tiled, [*sizes, query.shape[-3], *ends], (*batch, query.shape[-3], *tail))
