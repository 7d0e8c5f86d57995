"""Recurrent layers."""

from __future__ import annotations

from typing import Any

import torch

from .._builder import Builder, Value
from ._registry import form

# Where the parts of PyTorch's gates stand in ONNX's order: input, output, forget, cell; update, reset, hidden.
_GATES = {"LSTM": [0, 3, 1, 2], "GRU": [1, 0, 2], "RNN": [0]}


def _ordered(b: Builder, weight: Value, kind: str) -> Value:
    assert weight.shape is not None
    size = weight.shape[0] // len(_GATES[kind])
    if weight.constant is not None:
        parts = weight.constant.split(size)
        return b.constant(torch.cat([parts[i] for i in _GATES[kind]]))
    if len(_GATES[kind]) == 1:
        return weight
    cut = b.op("Split", weight, b.ints([size] * len(_GATES[kind])), axis=0, outputs=len(_GATES[kind]))
    return b.op("Concat", *[cut[i] for i in _GATES[kind]], axis=0, like=weight)  # type: ignore[no-any-return]


def _layers(
    b: Builder, kind: str, x: Value, states: list[Value], params: list[Value], has_biases: bool, num_layers: int,
    dropout: float, train: bool, bidirectional: bool, batch_first: bool, **options: Any,
) -> tuple[Value, ...]:  # fmt: skip
    """Layers over a sequence, each an operation of its own."""
    assert x.dtype is not None and x.shape is not None
    directions = 2 if bidirectional else 1
    per = len(params) // (num_layers * directions)
    if per != (4 if has_biases else 2):
        raise NotImplementedError("projections of hidden states have no form in ONNX")
    if train and dropout:
        raise NotImplementedError("dropout between recurrent layers in training has no form in ONNX")
    if batch_first:
        x = b.transpose(x, [1, 0, 2])
    finals: list[list[Value]] = [[] for _ in states]
    for layer in range(num_layers):
        x, last = _layer(b, kind, x, states, params, layer, directions, per, options)
        for all_of, one in zip(finals, last, strict=True):
            all_of.append(one)
    joined = [part[0] if len(part) == 1 else b.op("Concat", *part, axis=0) for part in finals]
    return (b.transpose(x, [1, 0, 2]) if batch_first else x, *joined)


def _layer(
    b: Builder, kind: str, x: Value, states: list[Value], params: list[Value], layer: int, directions: int, per: int,
    options: dict[str, Any],
) -> tuple[Value, list[Value]]:  # fmt: skip
    own = params[layer * directions * per : (layer + 1) * directions * per]
    groups = [own[d * per : (d + 1) * per] for d in range(directions)]
    assert groups[0][1].shape is not None and x.shape is not None
    hidden = groups[0][1].shape[1]

    def joined(parts: list[Value]) -> Value:
        wide = [b.unsqueeze(p, 0) for p in parts]
        return wide[0] if len(wide) == 1 else b.op("Concat", *wide, axis=0)  # type: ignore[no-any-return]

    w = joined([_ordered(b, g[0], kind) for g in groups])
    r = joined([_ordered(b, g[1], kind) for g in groups])
    bias = None
    if per == 4:
        halves = [b.op("Concat", _ordered(b, g[2], kind), _ordered(b, g[3], kind), axis=0) for g in groups]
        for h, g in zip(halves, groups, strict=True):
            h.dtype, h.shape = g[2].dtype, (2 * g[2].shape[0],)  # type: ignore[index]
        bias = joined(halves)
    at = [b.ints([layer * directions]), b.ints([(layer + 1) * directions]), b.ints([0])]
    start = [b.op("Slice", s, *at, like=(s.dtype, (directions, None, hidden))) for s in states]
    results = 1 + len(states)
    outputs = b.op(kind, x, w, r, bias, None, *start, hidden_size=hidden,
                   direction="bidirectional" if directions == 2 else "forward", outputs=results, **options)  # fmt: skip
    steps, batch = x.shape[0], x.shape[1]
    outputs[0].dtype, outputs[0].shape = x.dtype, (steps, directions, batch, hidden)
    for last in outputs[1:]:
        last.dtype, last.shape = x.dtype, (directions, batch, hidden)
    if directions == 1:
        return b.squeeze(outputs[0], 1), outputs[1:]
    turned = b.transpose(outputs[0], [0, 2, 1, 3])
    flat = b.op("Reshape", turned, b.ints([0, 0, -1]), like=(x.dtype, (steps, batch, 2 * hidden)))
    return flat, outputs[1:]


@form("lstm.input")
def lstm(b: Builder, x: Value, hx: list[Value], params: list[Value], *settings: Any) -> tuple[Value, ...]:
    """Long short-term memory (Hochreiter and Schmidhuber, 1997)."""
    return _layers(b, "LSTM", x, list(hx), params, *settings)


@form("gru.input")
def gru(b: Builder, x: Value, hx: Value, params: list[Value], *settings: Any) -> tuple[Value, ...]:
    """Gated recurrent units (Cho et al., 2014), with the reset gate behind the product."""
    return _layers(b, "GRU", x, [hx], params, *settings, linear_before_reset=1)


def _rnn(name: str) -> Any:
    def write(b: Builder, x: Value, hx: Value, params: list[Value], *settings: Any) -> tuple[Value, ...]:
        count = 2 if settings[4] else 1
        return _layers(b, "RNN", x, [hx], params, *settings, activations=[name] * count)

    return write


form("rnn_tanh.input")(_rnn("Tanh"))
form("rnn_relu.input")(_rnn("Relu"))
