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
        return _smoothed(b, x, target, weight, reduction, ignore_index, label_smoothing)
    kind = "NegativeLogLikelihoodLoss" if b.label.startswith("nll") else "SoftmaxCrossEntropyLoss"
    name = ("none", "mean", "sum")[reduction]
    return b.op(kind, x, target, weight, reduction=name, ignore_index=ignore_index, like=_result(b))  # type: ignore


def _smoothed(
    b: Builder, x: Value, target: Value, weight: Any, reduction: int, ignore_index: int, smoothing: float
) -> Value:
    """Cross entropy with soft targets, or with targets of which a part goes to all classes."""
    assert x.dtype is not None and x.shape is not None
    axis = 1 if x.rank > 1 else 0
    logs = b.op("LogSoftmax", x, axis=axis, like=x)
    c = lambda number: b.scalar(number, logs.dtype)  # noqa: E731
    classes = x.shape[axis]
    if weight is not None or not isinstance(classes, int):
        raise NotImplementedError("cross entropy with weights of classes and soft targets has no form in ONNX")
    if target.dtype != torch.int64:
        soft = b.op("Add", b.op("Mul", target, c(1 - smoothing)), c(smoothing / classes), like=x)
        loss = b.op("Neg", b.reduce("ReduceSum", b.op("Mul", logs, soft, like=x), [axis], False))
        if reduction != 1:
            return _reduced(b, loss, reduction)
        total = b.reduce("ReduceSum", loss, None, False)
        count = b.squeeze(b.size_of(x, 0), 0) if x.rank > 1 else b.ints(1)
        return b.op("Div", total, b.cast(count, x.dtype), like=_result(b))  # type: ignore[no-any-return]
    kept = b.op("Not", b.op("Equal", target, b.ints(ignore_index)))
    safe = b.op("Where", kept, target, b.ints(0), like=target)
    picked = b.squeeze(
        b.op("GatherElements", logs, b.unsqueeze(safe, axis), axis=axis,
             like=(x.dtype, (*x.shape[:axis], 1, *x.shape[axis + 1 :]))), axis
    )  # fmt: skip
    spread = b.reduce("ReduceMean", logs, [axis], False)
    mixed = b.op("Add", b.op("Mul", picked, c(1 - smoothing)), b.op("Mul", spread, c(smoothing)), like=picked)
    loss = b.op("Where", kept, b.op("Neg", mixed), c(0), like=picked)
    if reduction != 1:
        return _reduced(b, loss, reduction)
    count = b.reduce("ReduceSum", b.cast(kept, x.dtype), None, False)
    total = b.reduce("ReduceSum", loss, None, False)
    return b.op("Div", total, count, like=_result(b))  # type: ignore[no-any-return]


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


def _bent(b: Builder, x: Value, y: Value, reduction: int, limit: float, divided: bool) -> Value:
    """A loss that is a square near zero and a line elsewhere (Huber, 1964)."""
    assert x.dtype is not None
    c = lambda number: b.scalar(number, x.dtype)  # noqa: E731
    size = b.op("Abs", b.op("Sub", x, y, like=x), like=x)
    square = b.op("Mul", b.op("Mul", size, size), c(0.5 / limit if divided else 0.5), like=x)
    line = b.op("Sub", size, c(0.5 * limit), like=x)
    if not divided:
        line = b.op("Mul", line, c(limit), like=x)
    return _reduced(b, b.op("Where", b.op("Less", size, c(limit)), square, line, like=x), reduction)


@form("smooth_l1_loss.default")
def smooth_l1_loss(b: Builder, x: Value, y: Value, reduction: int = 1, beta: float = 1.0) -> Value:
    return l1_loss(b, x, y, reduction) if beta == 0 else _bent(b, x, y, reduction, beta, True)


@form("huber_loss.default")
def huber_loss(b: Builder, x: Value, y: Value, reduction: int = 1, delta: float = 1.0) -> Value:
    return _bent(b, x, y, reduction, delta, False)


@form("binary_cross_entropy.default")
def binary_cross_entropy(b: Builder, x: Value, y: Value, weight: Any = None, reduction: int = 1) -> Value:
    assert x.dtype is not None
    c = lambda number: b.scalar(number, x.dtype)  # noqa: E731
    parts = []
    for chance, truth in ((x, y), (b.op("Sub", c(1), x, like=x), b.op("Sub", c(1), y, like=y))):
        # PyTorch keeps logarithms above -100.
        parts.append(b.op("Mul", truth, b.op("Max", b.op("Log", chance), c(-100)), like=x))
    loss = b.op("Neg", b.op("Add", *parts, like=x), like=x)
    return _reduced(b, loss if weight is None else b.op("Mul", loss, weight, like=x), reduction)


@form("binary_cross_entropy_with_logits.default")
def binary_cross_entropy_with_logits(
    b: Builder, x: Value, y: Value, weight: Any = None, pos_weight: Any = None, reduction: int = 1
) -> Value:
    assert x.dtype is not None
    one = b.scalar(1, x.dtype)
    tail = b.op("Softplus", b.op("Neg", x, like=x), like=x)
    if pos_weight is not None:
        extra = b.op("Mul", b.op("Sub", pos_weight, one), y)
        tail = b.op("Mul", tail, b.op("Add", extra, one), like=x)
    loss = b.op("Add", b.op("Mul", b.op("Sub", one, y), x, like=x), tail, like=x)
    return _reduced(b, loss if weight is None else b.op("Mul", loss, weight, like=x), reduction)


@form("kl_div.default")
def kl_div(b: Builder, x: Value, y: Value, reduction: int = 1, log_target: bool = False) -> Value:
    assert x.dtype is not None
    if log_target:
        loss = b.op("Mul", b.op("Exp", y), b.op("Sub", y, x), like=x)
    else:
        part = b.op("Mul", y, b.op("Sub", b.op("Log", y), x), like=x)
        loss = b.op("Where", b.op("Greater", y, b.scalar(0, x.dtype)), part, b.scalar(0, x.dtype), like=x)
    return _reduced(b, loss, reduction)
