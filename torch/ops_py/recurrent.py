"""Recurrent layers and cells as functions of their weights; the arithmetic is that of ``torch.nn``'s modules."""

from __future__ import annotations

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from torch import Tensor


def _layer(mode: str, state: tuple[Tensor, ...], args: tuple[Any, ...], packed: bool) -> tuple[Any, ...]:
    from torch.nn.modules._recurrence import run_layers

    if packed:
        input, batch_sizes, _, params, has_biases, num_layers, dropout, train, bidirectional = args
        x, sizes = input, batch_sizes
    else:
        input, _, params, has_biases, num_layers, dropout, train, bidirectional, batch_first = args
        x, sizes = (input.transpose(0, 1) if batch_first else input), None
    output, final = run_layers(
        mode, x, sizes, state, list(params), has_biases, num_layers, bidirectional, dropout, train
    )
    if not packed and batch_first:
        output = output.transpose(0, 1)
    return (output, *final)


def _is_packed(second: Any) -> bool:
    # The packed form is (data, batch_sizes, hx, ...): its sizes are whole numbers.
    return isinstance(second, torch.Tensor) and second.dtype == torch.int64


def _single(name: str, mode: str) -> Any:
    def function(input: Tensor, *args: Any) -> tuple[Any, ...]:
        packed = _is_packed(args[0])
        state = args[1] if packed else args[0]
        return _layer(mode, (state,), (input, *args), packed)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"The layers of ``torch.nn`` with mode {mode}, as a function of their weights."
    return function


gru, rnn_tanh, rnn_relu = _single("gru", "GRU"), _single("rnn_tanh", "RNN_TANH"), _single("rnn_relu", "RNN_RELU")


def lstm(input: Tensor, *args: Any) -> tuple[Any, ...]:
    """The layers of ``torch.nn.LSTM``, as a function of their weights."""
    packed = _is_packed(args[0])
    return _layer("LSTM", tuple(args[1] if packed else args[0]), (input, *args), packed)


def _cell(
    mode: str, input: Tensor, state: tuple[Tensor, ...], w_ih: Tensor, w_hh: Tensor, b_ih: Any, b_hh: Any
) -> tuple[Tensor, ...]:
    from torch.nn.modules._recurrence import STEPS

    gates = torch.nn.functional.linear(input, w_ih, b_ih)
    return tuple(STEPS[mode](gates, state, w_hh, b_hh))


def lstm_cell(
    input: Tensor, hx: Sequence[Tensor], w_ih: Tensor, w_hh: Tensor, b_ih: Any = None, b_hh: Any = None
) -> tuple[Tensor, ...]:
    """One step of ``torch.nn.LSTMCell``: the new hidden and cell state."""
    return _cell("LSTM", input, tuple(hx), w_ih, w_hh, b_ih, b_hh)


def gru_cell(input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Any = None, b_hh: Any = None) -> Tensor:
    """One step of ``torch.nn.GRUCell``: the new hidden state."""
    return _cell("GRU", input, (hx,), w_ih, w_hh, b_ih, b_hh)[0]


def rnn_tanh_cell(input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Any = None, b_hh: Any = None) -> Tensor:
    """One step of ``torch.nn.RNNCell``: the new hidden state."""
    return _cell("RNN_TANH", input, (hx,), w_ih, w_hh, b_ih, b_hh)[0]


def rnn_relu_cell(input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Any = None, b_hh: Any = None) -> Tensor:
    """One step of ``torch.nn.RNNCell`` with rectifiers: the new hidden state."""
    return _cell("RNN_RELU", input, (hx,), w_ih, w_hh, b_ih, b_hh)[0]
