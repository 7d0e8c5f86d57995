"""The arithmetic of recurrent layers: one direction of one layer over a sequence."""

from __future__ import annotations

import torch

from .. import functional as F


def rnn_tanh(gates_x, h, w_hh, b_hh, w_hr=None):
    """One step of an Elman network."""
    return (torch.tanh(gates_x + F.linear(h[0], w_hh, b_hh)),)


def rnn_relu(gates_x, h, w_hh, b_hh, w_hr=None):
    """One step of an Elman network with rectifiers."""
    return (torch.relu(gates_x + F.linear(h[0], w_hh, b_hh)),)


def lstm(gates_x, h, w_hh, b_hh, w_hr=None):
    """One step of long short-term memory (Hochreiter and Schmidhuber, 1997)."""
    i, f, g, o = (gates_x + F.linear(h[0], w_hh, b_hh)).chunk(4, -1)
    cell = torch.sigmoid(f) * h[1] + torch.sigmoid(i) * torch.tanh(g)
    hidden = torch.sigmoid(o) * torch.tanh(cell)
    return (hidden if w_hr is None else F.linear(hidden, w_hr)), cell


def gru(gates_x, h, w_hh, b_hh, w_hr=None):
    """One step of a gated recurrent unit (Cho et al., 2014), with the reset gate inside the product."""
    hidden = h[0]
    x_r, x_z, x_n = gates_x.chunk(3, -1)
    h_r, h_z, h_n = F.linear(hidden, w_hh, b_hh).chunk(3, -1)
    reset, update = torch.sigmoid(x_r + h_r), torch.sigmoid(x_z + h_z)
    new = torch.tanh(x_n + reset * h_n)
    return ((hidden - new) * update + new,)


STEPS = {"RNN_TANH": rnn_tanh, "RNN_RELU": rnn_relu, "LSTM": lstm, "GRU": gru}


def run_direction(mode: str, x, batch_sizes, state, weights, reverse: bool):
    """Run over (time, batch, features), or over packed rows if ``batch_sizes`` is a list. Return (output, state)."""
    step = STEPS[mode]
    w_ih, w_hh, b_ih, b_hh, w_hr = weights
    if mode == "LSTM" and batch_sizes is None and w_hr is None and len(x) > 0:
        # Both biases are added to the same sums: with the inputs', for all steps at once.
        gates = F.linear(x, w_ih, None if b_ih is None else b_ih + b_hh)
        output, *last = torch._C._ops._lstm_layer(gates, *state, w_hh, reverse)
        return output, tuple(last)
    gates = F.linear(x, w_ih, b_ih)
    if batch_sizes is None:
        chunks = gates.unbind(0)
        outputs = []
        for gates_x in reversed(chunks) if reverse else chunks:
            state = step(gates_x, state, w_hh, b_hh, w_hr)
            outputs.append(state[0])
        if reverse:
            outputs.reverse()
        if not outputs:
            return state[0].new_zeros((0, *state[0].shape)), state
        return torch.stack(outputs), state
    chunks = gates.split(batch_sizes)
    outputs, finished = [], []
    order = range(len(chunks) - 1, -1, -1) if reverse else range(len(chunks))
    initial, alive = state, batch_sizes[-1] if reverse else batch_sizes[0]
    state = tuple(s[:alive] for s in initial)
    for t in order:
        size = batch_sizes[t]
        if size > alive:
            # Backwards, longer sequences join with their initial state.
            state = tuple(torch.cat([s, first[alive:size]]) for s, first in zip(state, initial, strict=True))
        elif size < alive:
            finished.append(tuple(s[size:] for s in state))
            state = tuple(s[:size] for s in state)
        alive = size
        state = step(chunks[t], state, w_hh, b_hh, w_hr)
        outputs.append(state[0])
    if reverse:
        outputs.reverse()
    if finished:
        finished.append(state)
        state = tuple(torch.cat(parts) for parts in zip(*reversed(finished), strict=True))
    return torch.cat(outputs), state


def run_layers(mode, x, batch_sizes, state, flat, has_biases, num_layers, bidirectional, dropout, training):
    """Run all layers. ``state`` holds (layers * directions, batch, size) tensors; return (output, final state)."""
    directions = 2 if bidirectional else 1
    sizes = None if batch_sizes is None else batch_sizes.tolist()
    per = len(flat) // (num_layers * directions)
    final = []
    for layer in range(num_layers):
        outputs = []
        for direction in range(directions):
            at = layer * directions + direction
            weights = list(flat[at * per : (at + 1) * per])
            if not has_biases:
                weights[2:2] = [None, None]
            if len(weights) == 4:
                weights.append(None)
            initial = tuple(s[at] for s in state)
            out, last = run_direction(mode, x, sizes, initial, weights, direction == 1)
            outputs.append(out)
            final.append(last)
        x = outputs[0] if directions == 1 else torch.cat(outputs, -1)
        if dropout > 0 and training and layer < num_layers - 1:
            x = F.dropout(x, dropout, True)
    return x, tuple(torch.stack(parts) for parts in zip(*final, strict=True))
