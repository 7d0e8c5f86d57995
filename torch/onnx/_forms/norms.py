"""Normalisation, and losses."""

from __future__ import annotations

from typing import Any

import torch

from .._builder import Builder, Value
from ._registry import form


def _result(b: Builder) -> tuple[torch.dtype, Any]:
    return b.result.dtype, tuple(b.result.shape)


def _filled(b: Builder, value: Value | None, count: Any, number: float, dtype: torch.dtype) -> Value:
    return value if value is not None else b.constant(torch.full((count,), number, dtype=dtype))


@form("batch_norm.default")
def batch_norm(
    b: Builder, x: Value, weight: Any, bias: Any, mean: Any, var: Any, training: bool, momentum: float, eps: float,
    cudnn_enabled: bool = False,
) -> Value:  # fmt: skip
    """Batch normalisation (Ioffe and Szegedy, 2015) by the running statistics."""
    assert x.shape is not None and x.dtype is not None
    if training or mean is None:
        raise NotImplementedError("batch_norm in training is taken apart")
    scale = _filled(b, weight, x.shape[1], 1, x.dtype)
    shift = _filled(b, bias, x.shape[1], 0, x.dtype)
    return b.op("BatchNormalization", x, scale, shift, mean, var, epsilon=eps, like=_result(b))  # type: ignore


@form("layer_norm.default")
def layer_norm(
    b: Builder, x: Value, shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5, cudnn: bool = False
) -> Value:
    """Layer normalisation (Ba et al., 2016)."""
    assert x.dtype is not None
    if weight is None:
        weight = b.constant(torch.ones(tuple(shape), dtype=x.dtype))
    return b.op("LayerNormalization", x, weight, bias, axis=-len(shape), epsilon=eps, like=_result(b))  # type: ignore


@form("instance_norm.default")
def instance_norm(
    b: Builder, x: Value, weight: Any, bias: Any, mean: Any, var: Any, use_input_stats: bool, momentum: float,
    eps: float, cudnn: bool,
) -> Value:  # fmt: skip
    """Instance normalisation (Ulyanov et al., 2016)."""
    assert x.shape is not None and x.dtype is not None
    scale, shift = (_filled(b, v, x.shape[1], n, x.dtype) for v, n in ((weight, 1), (bias, 0)))
    if not use_input_stats:
        return b.op("BatchNormalization", x, scale, shift, mean, var, epsilon=eps, like=_result(b))  # type: ignore
    return b.op("InstanceNormalization", x, scale, shift, epsilon=eps, like=_result(b))  # type: ignore[no-any-return]


@form("group_norm.default", "native_group_norm.default")
def group_norm(
    b: Builder, x: Value, groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5, cudnn: bool = False
) -> Value:
    """Group normalisation (Wu and He, 2018): of each group as if it were one channel."""
    assert x.shape is not None and x.dtype is not None
    flat = b.op("Reshape", x, b.ints([0, groups, -1]), like=(x.dtype, (x.shape[0], groups, None)))
    ones, zeros = (b.constant(torch.full((groups,), n, dtype=x.dtype)) for n in (1.0, 0.0))
    normal = b.op("InstanceNormalization", flat, ones, zeros, epsilon=eps)
    made = b.op("Reshape", normal, b.shape_of(x), like=_result(b))
    for kind, part in (("Mul", weight), ("Add", bias)):
        if part is not None:
            column = b.reshape(part, [-1] + [1] * (x.rank - 2), (x.shape[1],) + (1,) * (x.rank - 2))
            made = b.op(kind, made, column, like=_result(b))
    return made  # type: ignore[no-any-return]


@form("rms_norm.default")
def rms_norm(b: Builder, x: Value, shape: Any, weight: Any = None, eps: Any = None) -> Value:
    """Normalisation by the root of the mean square (Zhang and Sennrich, 2019)."""
    assert x.dtype is not None
    axes = list(range(-len(shape), 0))
    square = b.reduce("ReduceMean", b.op("Mul", x, x, like=x), axes, True)
    small = b.scalar(torch.finfo(x.dtype).eps if eps is None else eps, x.dtype)
    root = b.op("Sqrt", b.op("Add", square, small, like=square), like=square)
    made = b.op("Div", x, root, like=_result(b))
    return made if weight is None else b.op("Mul", made, weight, like=_result(b))  # type: ignore[no-any-return]


@form("cross_entropy_loss.default", "nll_loss_nd.default")
def cross_entropy(
    b: Builder, x: Value, target: Value, weight: Any = None, reduction: int = 1, ignore_index: int = -100,
    label_smoothing: float = 0.0,
) -> Value:  # fmt: skip
    if label_smoothing or target.dtype != torch.int64 or x.rank < 2:
        raise NotImplementedError("cross entropy with smoothed or soft targets has no form in ONNX")
    kind = "NegativeLogLikelihoodLoss" if b.label.startswith("nll") else "SoftmaxCrossEntropyLoss"
    name = ("none", "mean", "sum")[reduction]
    return b.op(kind, x, target, weight, reduction=name, ignore_index=ignore_index, like=_result(b))  # type: ignore


def _reduced(b: Builder, value: Value, reduction: int) -> Value:
    if reduction == 0:
        return value
    return b.reduce("ReduceMean" if reduction == 1 else "ReduceSum", value, None, False)


@form("mse_loss.default")
def mse_loss(b: Builder, x: Value, y: Value, reduction: int = 1) -> Value:
    difference = b.op("Sub", x, y, like=x)
    return _reduced(b, b.op("Mul", difference, difference, like=x), reduction)


@form("l1_loss.default")
def l1_loss(b: Builder, x: Value, y: Value, reduction: int = 1) -> Value:
    return _reduced(b, b.op("Abs", b.op("Sub", x, y, like=x), like=x), reduction)
