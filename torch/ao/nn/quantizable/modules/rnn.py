"""An LSTM whose every operation is a module, so that each can be observed and quantised."""

from __future__ import annotations

import numbers
import warnings
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["LSTMCell", "LSTM"]

_GATES = ("input", "forget", "cell", "output")


def _functional() -> Any:
    from torch.ao.nn.quantized.modules.functional_modules import FloatFunctional

    return FloatFunctional()


class LSTMCell(nn.Module):
    """``nn.LSTMCell`` made of linear layers, activations and functional modules.

    Args:
        input_dim: size of the inputs.
        hidden_dim: size of the state.
        bias: whether there are biases.
        device: of the parameters.
        dtype: of the parameters.
        split_gates: a linear layer for each gate, so that each has a scale of its own.
    """

    _FLOAT_MODULE = nn.LSTMCell
    __constants__ = ["split_gates"]

    def __init__(
        self, input_dim: int, hidden_dim: int, bias: bool = True, device=None, dtype=None, *, split_gates=False
    ) -> None:
        super().__init__()
        options = {"device": device, "dtype": dtype}
        self.input_size, self.hidden_size, self.bias, self.split_gates = input_dim, hidden_dim, bias, split_gates
        if not split_gates:
            self.igates: nn.Module = nn.Linear(input_dim, 4 * hidden_dim, bias=bias, **options)
            self.hgates: nn.Module = nn.Linear(hidden_dim, 4 * hidden_dim, bias=bias, **options)
            self.gates: nn.Module = _functional()
        else:
            self.igates = nn.ModuleDict({g: nn.Linear(input_dim, hidden_dim, bias=bias, **options) for g in _GATES})
            self.hgates = nn.ModuleDict({g: nn.Linear(hidden_dim, hidden_dim, bias=bias, **options) for g in _GATES})
            self.gates = nn.ModuleDict({g: _functional() for g in _GATES})
        self.input_gate, self.forget_gate = nn.Sigmoid(), nn.Sigmoid()
        self.cell_gate, self.output_gate = nn.Tanh(), nn.Sigmoid()
        self.fgate_cx, self.igate_cgate = _functional(), _functional()
        self.fgate_cx_igate_cgate, self.ogate_cy = _functional(), _functional()
        self.initial_hidden_state_qparams: tuple[float, int] = (1.0, 0)
        self.initial_cell_state_qparams: tuple[float, int] = (1.0, 0)
        self.hidden_state_dtype = torch.quint8
        self.cell_state_dtype = torch.quint8

    def forward(self, x: Tensor, hidden: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """(batch, in) and two (batch, hidden) to two (batch, hidden)."""
        if hidden is None or hidden[0] is None or hidden[1] is None:
            hidden = self.initialize_hidden(x.shape[0], x.is_quantized)
        hx, cx = hidden
        if self.split_gates:
            parts = [self.gates[g].add(self.igates[g](x), self.hgates[g](hx)) for g in _GATES]
        else:
            parts = self.gates.add(self.igates(x), self.hgates(hx)).chunk(4, 1)
        enter, forget = self.input_gate(parts[0]), self.forget_gate(parts[1])
        new, leave = self.cell_gate(parts[2]), self.output_gate(parts[3])
        cy = self.fgate_cx_igate_cgate.add(self.fgate_cx.mul(forget, cx), self.igate_cgate.mul(enter, new))
        return self.ogate_cy.mul(leave, torch.tanh(cy)), cy

    def initialize_hidden(self, batch_size: int, is_quantized: bool = False) -> tuple[Tensor, Tensor]:
        """Zeros, two (batch, hidden)."""
        h, c = torch.zeros((batch_size, self.hidden_size)), torch.zeros((batch_size, self.hidden_size))
        if is_quantized:
            h = torch.quantize_per_tensor(h, *self.initial_hidden_state_qparams, self.hidden_state_dtype)
            c = torch.quantize_per_tensor(c, *self.initial_cell_state_qparams, self.cell_state_dtype)
        return h, c

    def _get_name(self):
        return "QuantizableLSTMCell"

    @classmethod
    def from_params(cls, wi, wh, bi=None, bh=None, split_gates=False):
        """A cell with these weights and biases, those of all gates below each other; AssertionError for one bias."""
        if (bi is None) != (bh is None):
            raise AssertionError("bi and bh must both be None or both have values")
        cell = cls(wi.shape[1], wh.shape[1], bias=bi is not None, split_gates=split_gates)
        for holder, weight, bias in ((cell.igates, wi, bi), (cell.hgates, wh, bh)):
            if not split_gates:
                holder.weight = nn.Parameter(weight)
                if bias is not None:
                    holder.bias = nn.Parameter(bias)
                continue
            biases = [None] * 4 if bias is None else bias.chunk(4, dim=0)
            for gate, part, part_bias in zip(holder.values(), weight.chunk(4, dim=0), biases, strict=True):
                gate.weight = nn.Parameter(part)
                if part_bias is not None:
                    gate.bias = nn.Parameter(part_bias)
        return cell

    @classmethod
    def from_float(cls, other, use_precomputed_fake_quant=False, split_gates=False):
        """Take the place of a cell, and have its weights; AssertionError for another module."""
        if type(other) is not cls._FLOAT_MODULE:
            raise AssertionError(f"Expected an instance of {cls._FLOAT_MODULE}, got {type(other)}")
        if not hasattr(other, "qconfig"):
            raise AssertionError("The float module must have 'qconfig'")
        observed = cls.from_params(
            other.weight_ih, other.weight_hh, other.bias_ih, other.bias_hh, split_gates=split_gates
        )
        observed.qconfig = other.qconfig
        observed.igates.qconfig = observed.hgates.qconfig = other.qconfig
        return observed


class _LSTMSingleLayer(nn.Module):
    """One direction of one layer."""

    def __init__(
        self, input_dim: int, hidden_dim: int, bias: bool = True, device=None, dtype=None, *, split_gates=False
    ) -> None:
        super().__init__()
        self.cell = LSTMCell(input_dim, hidden_dim, bias=bias, split_gates=split_gates, device=device, dtype=dtype)

    def forward(self, x: Tensor, hidden: tuple[Tensor, Tensor] | None = None):
        """(time, batch, in) to (time, batch, hidden), and the last state."""
        outputs = []
        for step in x:
            hidden = self.cell(step, hidden)
            outputs.append(hidden[0])
        return torch.stack(outputs, 0), hidden

    @classmethod
    def from_params(cls, *args, **kwargs):
        """A layer with the weights of ``LSTMCell.from_params``."""
        cell = LSTMCell.from_params(*args, **kwargs)
        layer = cls(cell.input_size, cell.hidden_size, cell.bias, split_gates=cell.split_gates)
        layer.cell = cell
        return layer


class _LSTMLayer(nn.Module):
    """One layer, in one direction or two."""

    def __init__(
        self, input_dim: int, hidden_dim: int, bias: bool = True, batch_first: bool = False, bidirectional: bool =
        False, device=None, dtype=None, *, split_gates=False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.batch_first, self.bidirectional = batch_first, bidirectional
        options = {"bias": bias, "split_gates": split_gates, "device": device, "dtype": dtype}
        self.layer_fw = _LSTMSingleLayer(input_dim, hidden_dim, **options)
        if bidirectional:
            self.layer_bw = _LSTMSingleLayer(input_dim, hidden_dim, **options)

    def forward(self, x: Tensor, hidden: tuple[Tensor, Tensor] | None = None):
        """(time, batch, in) to (time, batch, hidden * directions), and the last states."""
        if self.batch_first:
            x = x.transpose(0, 1)
        hx, cx = (None, None) if hidden is None else hidden
        if not self.bidirectional:
            forward = None if hx is None or cx is None else (hx.squeeze(0), cx.squeeze(0))
            if hx is not None and hx.dim() == 2:
                forward = (hx, cx)
            result, state = self.layer_fw(x, forward)
        else:
            forward = None if hx is None or cx is None else (hx[0], cx[0])
            backward = None if hx is None or cx is None else (hx[1], cx[1])
            result_fw, state_fw = self.layer_fw(x, forward)
            result_bw, state_bw = self.layer_bw(x.flip(0), backward)
            result = torch.cat([result_fw, result_bw.flip(0)], result_fw.dim() - 1)
            state = tuple(torch.stack(pair, 0) for pair in zip(state_fw, state_bw, strict=True))
        if self.batch_first:
            result = result.transpose(0, 1)
        return result, state

    @classmethod
    def from_float(cls, other, layer_idx=0, qconfig=None, **kwargs):
        """One layer of an LSTM, with its weights."""
        if not hasattr(other, "qconfig") and qconfig is None:
            raise AssertionError("The float module must have 'qconfig' or qconfig must be provided")
        first = layer_idx == 0
        directions = 2 if other.bidirectional else 1
        width = kwargs.get("input_dim", other.input_size if first else other.hidden_size * directions)
        split = kwargs.get("split_gates", False)
        layer = cls(
            width, kwargs.get("hidden_dim", other.hidden_size), kwargs.get("bias", other.bias),
            kwargs.get("batch_first", other.batch_first), kwargs.get("bidirectional", other.bidirectional),
            split_gates=split,
        )  # fmt: skip
        layer.qconfig = getattr(other, "qconfig", qconfig)

        def direction(suffix: str) -> Any:
            values = [getattr(other, f"{name}_l{layer_idx}{suffix}", None)
                      for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]  # fmt: skip
            return _LSTMSingleLayer.from_params(*values, split_gates=split)

        layer.layer_fw = direction("")
        if other.bidirectional:
            layer.layer_bw = direction("_reverse")
        return layer


class LSTM(nn.Module):
    """``nn.LSTM`` whose every operation is a module, so that each can be observed and quantised.

    Args:
        input_size: size of the inputs.
        hidden_size: size of the state.
        num_layers: the number of layers.
        bias: whether there are biases.
        batch_first: whether the batch is the first dimension of inputs and outputs.
        dropout: not applied: the module is for calibration.
        bidirectional: whether a second direction runs backwards.
        device: of the parameters.
        dtype: of the parameters.
        split_gates: a linear layer for each gate.

    Raises:
        ValueError: for a ``dropout`` that is no probability.
    """

    _FLOAT_MODULE = nn.LSTM

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True, batch_first: bool = False,
        dropout: float = 0.0, bidirectional: bool = False, device=None, dtype=None, *, split_gates: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.input_size, self.hidden_size, self.num_layers, self.bias = input_size, hidden_size, num_layers, bias
        self.batch_first, self.dropout, self.bidirectional = batch_first, float(dropout), bidirectional
        self.training = False
        if not isinstance(dropout, numbers.Number) or not 0 <= dropout <= 1 or isinstance(dropout, bool):
            raise ValueError(
                "dropout should be a number in range [0, 1] representing the probability of an element being zeroed"
            )
        if dropout > 0:
            warnings.warn("dropout option for quantizable LSTM is ignored. If you are training, please, use nn.LSTM "
                          "version followed by `prepare` step.", stacklevel=2)  # fmt: skip
        directions = 2 if bidirectional else 1
        widths = [input_size] + [hidden_size * directions] * (num_layers - 1)
        self.layers = nn.ModuleList(
            _LSTMLayer(
                width, hidden_size, self.bias, batch_first=False, bidirectional=bidirectional, split_gates=split_gates,
                device=device, dtype=dtype,
            )
            for width in widths
        )  # fmt: skip

    def forward(self, x: Tensor, hidden: tuple[Tensor, Tensor] | None = None):
        """(time, batch, in) to (time, batch, hidden * directions), and the last states."""
        if self.batch_first:
            x = x.transpose(0, 1)
        directions = 2 if self.bidirectional else 1
        states: list[Any]
        if hidden is None:
            zeros = torch.zeros(directions, x.size(1), self.hidden_size, dtype=torch.float, device=x.device)
            if x.is_quantized:
                zeros = torch.quantize_per_tensor(zeros, 1.0, 0, dtype=x.dtype)
            states = [(zeros if self.bidirectional else zeros.squeeze(0),) * 2 for _ in range(self.num_layers)]
        else:
            shape = (self.num_layers, directions, -1, self.hidden_size)
            both = [part.reshape(shape) for part in hidden] if isinstance(hidden[0], Tensor) else hidden
            states = [
                tuple(part[i] if self.bidirectional else part[i].squeeze(0) for part in both)
                for i in range(self.num_layers)
            ]
        finals = []
        for layer, state in zip(self.layers, states, strict=True):
            x, final = layer(x, state)
            finals.append(final)
        stacked = [torch.stack(parts) for parts in zip(*finals, strict=True)]
        # (layers, directions, batch, hidden) or (layers, batch, hidden)
        stacked = [s.reshape(-1, s.shape[-2], s.shape[-1]) for s in stacked]
        return (x.transpose(0, 1) if self.batch_first else x), tuple(stacked)

    def _get_name(self):
        return "QuantizableLSTM"

    @classmethod
    def from_float(cls, other, qconfig=None, split_gates=False):
        """Take the place of an LSTM, with its weights and observers; AssertionError for another module."""
        if not isinstance(other, cls._FLOAT_MODULE):
            raise AssertionError(f"Expected an instance of {cls._FLOAT_MODULE}, got {type(other)}")
        if not hasattr(other, "qconfig") and not qconfig:
            raise AssertionError("The float module must have 'qconfig' or qconfig must be provided")
        observed = cls(
            other.input_size, other.hidden_size, other.num_layers, other.bias, other.batch_first, other.dropout,
            other.bidirectional, split_gates=split_gates,
        )  # fmt: skip
        observed.qconfig = getattr(other, "qconfig", qconfig)
        for index in range(other.num_layers):
            observed.layers[index] = _LSTMLayer.from_float(
                other, index, qconfig, batch_first=False, split_gates=split_gates
            )
        from torch.ao import quantization

        if other.training:
            observed.train()
            return quantization.prepare_qat(observed, inplace=True)
        observed.eval()
        return quantization.prepare(observed, inplace=True)

    @classmethod
    def from_observed(cls, other):
        """Raise NotImplementedError: the quantised class does this."""
        raise NotImplementedError(
            "It looks like you are trying to convert a non-quantizable LSTM module. Please, see the examples on "
            "quantizable LSTMs."
        )
