"""Recurrent layers with quantised weights: ``torch.quantized_lstm``, ``torch.quantized_gru`` and single steps.

The products of weights with a whole sequence's input are made at once, so that one range quantises all of it; those
with the hidden state are quantised step by step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - PyTorch's name here

from .packed import HalfLinearPackedParams, LinearPackedParams, _ScriptObject, linear_dynamic, linear_dynamic_fp16


class CellParams(_ScriptObject):
    """The packed weights of one direction of one layer."""

    _namespace, _kind = "rnn", "CellParamsBase"

    def __init__(self, w_ih: Any, w_hh: Any, reduce_range: bool = False) -> None:
        self.w_ih, self.w_hh, self.reduce_range = w_ih, w_hh, reduce_range

    def __reduce__(self) -> Any:
        return CellParams, (self.w_ih, self.w_hh, self.reduce_range)

    def input_part(self, input: Tensor) -> Tensor:
        """The product with the input."""
        return _product(input, self.w_ih, self.reduce_range)

    def hidden_part(self, hidden: Tensor) -> Tensor:
        """The product with the hidden state."""
        return _product(hidden, self.w_hh, self.reduce_range)


def _product(x: Tensor, packed: Any, reduce_range: bool) -> Tensor:
    if isinstance(packed, HalfLinearPackedParams):
        return linear_dynamic_fp16(x, packed)
    return linear_dynamic(x, packed, reduce_range)


def make_quantized_cell_params_dynamic(
    w_ih: LinearPackedParams, w_hh: LinearPackedParams, bias_ih: Tensor, bias_hh: Tensor, reduce_range: bool = False
) -> CellParams:
    """Pack the weights of one direction of one layer; the biases are those of the packed weights."""
    return CellParams(
        LinearPackedParams(w_ih.unpack()[0], bias_ih), LinearPackedParams(w_hh.unpack()[0], bias_hh), reduce_range
    )


def make_quantized_cell_params_fp16(w_ih: HalfLinearPackedParams, w_hh: HalfLinearPackedParams) -> CellParams:
    """Pack the weights of one direction of one layer that were rounded to float16."""
    return CellParams(w_ih, w_hh)


# ---- single steps: from the input's part and the state to the next state


def _lstm_step(part: Tensor, state: Any, params: CellParams) -> Any:
    hidden, cell = state
    enter, forget, new, leave = (part + params.hidden_part(hidden)).chunk(4, -1)
    cell = forget.sigmoid() * cell + enter.sigmoid() * new.tanh()
    return leave.sigmoid() * cell.tanh(), cell


def _gru_step(part: Tensor, state: Any, params: CellParams) -> Any:
    (hidden,) = state
    reset_i, update_i, new_i = part.chunk(3, -1)
    reset_h, update_h, new_h = params.hidden_part(hidden).chunk(3, -1)
    reset, update = (reset_i + reset_h).sigmoid(), (update_i + update_h).sigmoid()
    new = (new_i + reset * new_h).tanh()
    return ((hidden - new) * update + new,)


def _rnn_step(activation: Callable[[Tensor], Tensor]) -> Any:
    def step(part: Tensor, state: Any, params: CellParams) -> Any:
        return (activation(part + params.hidden_part(state[0])),)

    return step


def _cell(step: Any) -> Any:
    def run(input: Tensor, hx: Tensor, w_ih: Any, w_hh: Any, b_ih: Tensor, b_hh: Tensor) -> Tensor:
        """One step of a recurrent layer: (batch, in) and (batch, hidden) to (batch, hidden)."""
        params = _stepped(w_ih, w_hh, b_ih, b_hh)
        return step(params.input_part(input), (hx,), params)[0]

    return run


def _stepped(w_ih: Any, w_hh: Any, b_ih: Tensor, b_hh: Tensor) -> CellParams:
    return make_quantized_cell_params_dynamic(w_ih, w_hh, b_ih, b_hh, reduce_range=True)


quantized_gru_cell_dynamic = _cell(_gru_step)
quantized_rnn_tanh_cell_dynamic = _cell(_rnn_step(torch.tanh))
quantized_rnn_relu_cell_dynamic = _cell(_rnn_step(torch.relu))


def quantized_lstm_cell_dynamic(
    input: Tensor, hx: Any, w_ih: Any, w_hh: Any, bias_ih: Tensor, bias_hh: Tensor
) -> tuple[Tensor, Tensor]:
    """One step of an LSTM layer: (batch, in) and two (batch, hidden) to two (batch, hidden)."""
    params = _stepped(w_ih, w_hh, bias_ih, bias_hh)
    return _lstm_step(params.input_part(input), tuple(hx), params)  # type: ignore[no-any-return]


# ---- layers


def _direction(step: Any, parts: Tensor, sizes: list[int] | None, state: Any, params: CellParams, back: bool) -> Any:
    """Run along the first dimension of (time, batch, gates), or of packed rows whose batch shrinks."""
    rows = list(parts.unbind(0)) if sizes is None else list(parts.split(sizes))
    order = reversed(range(len(rows))) if back else range(len(rows))
    outputs: list[Any] = [None] * len(rows)
    current = state
    for t in order:
        count = rows[t].shape[0]
        # entries that have ended, or have not begun, keep their state
        active = tuple(s[:count] for s in current)
        after = step(rows[t], active, params)
        current = tuple(torch.cat([a, s[count:]]) for a, s in zip(after, current, strict=True))
        outputs[t] = after[0]
    return (torch.stack(outputs) if sizes is None else torch.cat(outputs)), current


def _layers(
    step: Any, input: Tensor, sizes: list[int] | None, states: list[Tensor], params: Any, num_layers: int,
    dropout: float, train: bool, bidirectional: bool,
) -> Any:  # fmt: skip
    directions = 2 if bidirectional else 1
    finals = []
    for layer in range(num_layers):
        outputs = []
        for way in range(directions):
            k = layer * directions + way
            part = params[k].input_part(input)
            output, final = _direction(step, part, sizes, tuple(s[k] for s in states), params[k], way == 1)
            outputs.append(output)
            finals.append(final)
        input = torch.cat(outputs, -1)
        if dropout and train and layer < num_layers - 1:
            input = F.dropout(input, dropout, True)
    return input, [torch.stack(parts) for parts in zip(*finals, strict=True)]


def _run(step: Any, args: Any, lists: bool) -> Any:
    # a packed batch has its sizes, a vector of integers, in the second place
    if isinstance(args[1], Tensor) and not args[1].is_floating_point():
        data, batch_sizes, hx, params, _, num_layers, dropout, train, bidirectional = args
        input, sizes, batch_first = data, batch_sizes.tolist(), False
    else:
        input, hx, params, _, num_layers, dropout, train, bidirectional, batch_first = args
        sizes = None
    if params and not isinstance(params[0], CellParams):
        raise NotImplementedError("parameters of quantised recurrent layers are packed: make_quantized_cell_params_...")
    input = input.transpose(0, 1) if batch_first else input
    states = list(hx) if lists else [hx]
    output, finals = _layers(step, input, sizes, states, params, num_layers, dropout, train, bidirectional)
    return (output.transpose(0, 1) if batch_first else output), *finals


def quantized_lstm(*args: Any, dtype: Any = None, use_dynamic: bool = False) -> tuple[Tensor, Tensor, Tensor]:
    """Run LSTM layers with packed weights.

    Args:
        args: ``input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first`` for a padded
            batch; ``data, batch_sizes, hx, params, has_biases, num_layers, dropout, train, bidirectional`` for a packed
            one. ``hx`` are two tensors (layers * directions, batch, hidden).
        dtype: ignored: the packed weights know theirs.
        use_dynamic: ignored: the input is always quantised by its own range.

    Returns:
        The output and both final states.

    Raises:
        NotImplementedError: if ``params`` are not packed.
    """
    return _run(_lstm_step, args, True)  # type: ignore[no-any-return]


def quantized_gru(*args: Any) -> tuple[Tensor, Tensor]:
    """Run GRU layers with packed weights; the arguments are those of ``quantized_lstm``, with one tensor ``hx``.

    Returns:
        The output and the final state.

    Raises:
        NotImplementedError: if ``params`` are not packed.
    """
    return _run(_gru_step, args, False)  # type: ignore[no-any-return]
