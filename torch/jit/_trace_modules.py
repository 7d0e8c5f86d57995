"""Modules that PyTorch writes with operations of its own: what their traces consist of, here as there."""

from __future__ import annotations

import contextlib

import torch
from torch.nn.modules import rnn
from torch.nn.utils.rnn import PackedSequence

from . import _trace_record, _trace_state
from ._script import RecursiveScriptModule, ScriptFunction, ScriptMethod

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

__all__ = ["traced_modules"]

_OPERATIONS = {"LSTM": "lstm", "GRU": "gru", "RNN_TANH": "rnn_tanh", "RNN_RELU": "rnn_relu"}


def _layers_forward(self: Any, input: Any, hx: Any = None) -> Any:
    """All layers of an LSTM, GRU or RNN as one operation."""
    packed = isinstance(input, PackedSequence)
    lengths = sorted_indices = unsorted_indices = None
    batched = True
    data = input
    if packed:
        data, lengths, sorted_indices, unsorted_indices = input
        batch: Any = int(lengths[0])
    else:
        batched = input.dim() == 3
        if not batched:
            data = input.unsqueeze(0 if self.batch_first else 1)
        batch = data.size(0) if self.batch_first else data.size(1)
    if hx is None:
        hx = _first_states(self, data, batch)
    else:
        if not packed:
            hx = self._batched_state(hx, batched)
        hx = self.permute_hidden(hx, sorted_indices)
    operation = getattr(torch, _OPERATIONS[self.mode])
    given = list(hx) if self.mode == "LSTM" else hx
    if packed:
        found = operation(data, lengths, given, self._flat_weights, self.bias, self.num_layers, self.dropout,
                          self.training, self.bidirectional)  # fmt: skip
    else:
        found = operation(data, given, self._flat_weights, self.bias, self.num_layers, self.dropout, self.training,
                          self.bidirectional, self.batch_first)  # fmt: skip
    output, hidden = found[0], self._from_states(tuple(found[1:]))
    if packed:
        output = PackedSequence(output, lengths, sorted_indices, unsorted_indices)
        return output, self.permute_hidden(hidden, unsorted_indices)
    if not batched:
        return output.squeeze(0 if self.batch_first else 1), self._unbatched_state(hidden)
    return output, hidden


def _first_states(self: Any, data: Any, batch: Any) -> Any:
    if self.mode != "LSTM":
        return self._zero_state(data, batch)
    hidden = self._zero_state(data, batch)
    layers = self.num_layers * (2 if self.bidirectional else 1)
    return hidden, torch.zeros(layers, batch, self.hidden_size, dtype=data.dtype, device=data.device)


def _cell_step(self: Any, mode: str, input: Any, state: Any) -> Any:
    """One step of a cell, by the operations that PyTorch's takes."""
    linear = torch.nn.functional.linear
    if mode == "GRU":
        (hidden,) = state
        r_in, z_in, n_in = torch.unsafe_chunk(linear(input, self.weight_ih, self.bias_ih), 3, 1)
        r, z, n = torch.unsafe_chunk(linear(hidden, self.weight_hh, self.bias_hh), 3, 1)
        reset = r.add_(r_in).sigmoid_()
        update = z.add_(z_in).sigmoid_()
        new = n_in.add(n.mul_(reset)).tanh_()
        return ((hidden - new).mul_(update).add_(new),)
    recurrent = linear(state[0], self.weight_hh, self.bias_hh)
    gates = linear(input, self.weight_ih, self.bias_ih)
    if mode == "LSTM":
        i, f, g, o = torch.unsafe_chunk(recurrent.add_(gates), 4, 1)
        i, f, g, o = i.sigmoid_(), f.sigmoid_(), g.tanh_(), o.sigmoid_()
        cell = (f * state[1]).add_(i * g)
        return o * cell.tanh(), cell
    total = recurrent.add_(gates)
    return (total.tanh() if mode == "RNN_TANH" else total.relu(),)


_trace_record._ITS_OWN.update((_layers_forward.__code__, _first_states.__code__))


@contextlib.contextmanager
def traced_modules() -> Iterator[None]:
    """Inside, calls of modules are seen by the trace of their thread."""
    module, layers, cells = torch.nn.Module, rnn.RNNBase, rnn.RNNCellBase
    plain_call, plain_layers, plain_step = module.__call__, layers.forward, cells._step

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        recorder = _trace_state.current()
        if recorder is None:
            return plain_call(self, *args, **kwargs)
        return recorder.call_module(self, plain_call, args, kwargs)

    def forward(self: Any, input: Any, hx: Any = None) -> Any:
        if _trace_state.current() is None:
            return plain_layers(self, input, hx)
        return _layers_forward(self, input, hx)

    def step(self: Any, mode: str, input: Any, state: Any) -> Any:
        if _trace_state.current() is None:
            return plain_step(self, mode, input, state)
        return _cell_step(self, mode, input, state)

    def from_numpy(array: Any) -> Any:
        if _trace_state.current() is not None:
            _trace_record.warn(_trace_record._REGISTERED.format("from_numpy"))
        return plain_from_numpy(array)

    plain_from_numpy = torch.from_numpy
    places = [
        (torch, "from_numpy", from_numpy), (module, "__call__", call), (layers, "forward", forward),
        (cells, "_step", step),
        *((kind, "__call__", _script_call(kind)) for kind in (ScriptFunction, ScriptMethod, RecursiveScriptModule)),
    ]  # fmt: skip
    before = [vars(kind)[name] for kind, name, _ in places]
    for kind, name, function in places:
        setattr(kind, name, function)
    try:
        yield
    finally:
        for (kind, name, _), function in zip(places, before, strict=True):
            setattr(kind, name, function)


def _script_call(kind: Any) -> Any:
    """A call of a function, method or module that is TorchScript: one operation of the trace."""
    plain = kind.__call__

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        recorder = _trace_state.current()
        if recorder is None:
            return plain(self, *args, **kwargs)
        if kind is ScriptFunction:
            return recorder.call_script(self._function, None, args, kwargs)
        module, name = (self, "forward") if kind is RecursiveScriptModule else (self.owner, self._function.name)
        function = module._type.find_method(name)
        if function is None or recorder.path_below(module) is None:
            return plain(self, *args, **kwargs)
        return recorder.call_script(function, module, args, kwargs)

    return call
