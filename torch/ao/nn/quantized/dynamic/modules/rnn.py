"""Recurrent layers that quantise their input, and their state, by their own ranges."""

from __future__ import annotations

import numbers
import warnings
from typing import Any

import torch
from torch import Tensor, nn
from torch.ao.nn.quantized.modules.utils import _quantize_weight
from torch.nn.utils.rnn import PackedSequence

__all__ = [
    "pack_weight_bias",
    "PackedParameter",
    "RNNBase",
    "LSTM",
    "GRU",
    "RNNCellBase",
    "RNNCell",
    "LSTMCell",
    "GRUCell",
    "apply_permutation",
]

_DTYPES = (torch.qint8, torch.float16)


def _apply_permutation(tensor: Tensor, permutation: Tensor, dim: int = 1) -> Tensor:
    return tensor.index_select(dim, permutation)


def apply_permutation(tensor: Tensor, permutation: Tensor, dim: int = 1) -> Tensor:
    """``tensor.index_select(dim, permutation)``, under an old name."""
    warnings.warn("apply_permutation is deprecated, please use tensor.index_select(dim, permutation) instead",
                  FutureWarning, stacklevel=2)  # fmt: skip
    return _apply_permutation(tensor, permutation, dim)


def pack_weight_bias(qweight, bias, dtype):
    """Pack a weight and a bias for linear layers: quantised, or rounded to float16."""
    if dtype == torch.qint8:
        return torch.ops.quantized.linear_prepack(qweight, bias)
    return torch.ops.quantized.linear_prepack_fp16(qweight, bias)


class PackedParameter(nn.Module):
    """Holds packed weights as part of a module's state."""

    def __init__(self, param):
        super().__init__()
        self.param = param

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[prefix + "param"] = self.param

    def _load_from_state_dict(
        self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
    ):
        self.param = state_dict.pop(prefix + "param")
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, False, missing_keys, unexpected_keys, error_msgs
        )


def _quantized(weight: Tensor, observer: Any) -> Tensor:
    observer(weight)
    return _quantize_weight(weight.detach().float(), observer)


def _weight_observer(mod: Any) -> Any:
    from torch.ao.quantization.qconfig import default_dynamic_qconfig

    if not hasattr(mod, "qconfig"):
        raise AssertionError("Input float module must have qconfig defined")
    qconfig = mod.qconfig
    maker = default_dynamic_qconfig.weight if qconfig is None or qconfig.weight is None else qconfig.weight
    observer = maker()
    if observer.dtype not in _DTYPES:
        raise RuntimeError(f"Unsupported dtype for dynamic RNN quantization: {observer.dtype}")
    return maker


def _cell_params(weight_ih, weight_hh, bias_ih, bias_hh, dtype):
    ih, hh = pack_weight_bias(weight_ih, bias_ih, dtype), pack_weight_bias(weight_hh, bias_hh, dtype)
    if dtype == torch.qint8:
        return torch.ops.quantized.make_quantized_cell_params_dynamic(ih, hh, bias_ih, bias_hh, True)
    return torch.ops.quantized.make_quantized_cell_params_fp16(ih, hh)


class RNNBase(nn.Module):
    """What the LSTM and the GRU share.

    Args:
        mode: "LSTM" or "GRU".
        input_size: size of the inputs.
        hidden_size: size of the state.
        num_layers: the number of layers.
        bias: whether there are biases.
        batch_first: whether the batch is the first dimension of inputs and outputs.
        dropout: the probability between layers.
        bidirectional: whether a second direction runs backwards.
        dtype: of the weights, ``torch.qint8`` or ``torch.float16``.
    """

    _FLOAT_MODULE: Any = nn.RNNBase
    _version = 2
    _gates = {"LSTM": 4, "GRU": 3}

    def __init__(
        self, mode, input_size, hidden_size, num_layers=1, bias=True, batch_first=False, dropout=0.0,
        bidirectional=False, dtype=torch.qint8,
    ):  # fmt: skip
        super().__init__()
        self.mode, self.input_size, self.hidden_size, self.num_layers = mode, input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout = bias, batch_first, float(dropout)
        self.bidirectional, self.dtype, self.version, self.training = bidirectional, dtype, 2, False
        if not isinstance(dropout, numbers.Number) or not 0 <= dropout <= 1 or isinstance(dropout, bool):
            raise ValueError(
                "dropout should be a number in range [0, 1] representing the probability of an element being zeroed"
            )
        if dropout > 0 and num_layers == 1:
            warnings.warn(
                "dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects "
                f"num_layers greater than 1, but got dropout={dropout} and num_layers={num_layers}",
                stacklevel=2,
            )
        if mode not in self._gates:
            raise ValueError("Unrecognized RNN mode: " + mode)
        rows, directions, packed = self._gates[mode] * hidden_size, 2 if bidirectional else 1, []
        for layer in range(num_layers):
            width = input_size if layer == 0 else hidden_size * directions
            for _ in range(directions):
                w_ih, w_hh = torch.randn(rows, width), torch.randn(rows, hidden_size)
                if dtype == torch.qint8:
                    w_ih = torch.quantize_per_tensor(w_ih, 0.1, 0, torch.qint8)
                    w_hh = torch.quantize_per_tensor(w_hh, 0.1, 0, torch.qint8)
                packed.append(_cell_params(w_ih, w_hh, torch.randn(rows), torch.randn(rows), dtype))
        self._all_weight_values = nn.ModuleList(map(PackedParameter, packed))

    def _get_name(self):
        return "DynamicQuantizedRNN"

    def extra_repr(self):
        text = f"{self.input_size}, {self.hidden_size}"
        if self.num_layers != 1:
            text += f", num_layers={self.num_layers}"
        if self.bias is not True:
            text += f", bias={self.bias}"
        if self.batch_first is not False:
            text += f", batch_first={self.batch_first}"
        if self.dropout != 0:
            text += f", dropout={self.dropout}"
        if self.bidirectional is not False:
            text += f", bidirectional={self.bidirectional}"
        return text

    def __repr__(self):
        return f"{self._get_name()}({self.extra_repr()})"

    def _names(self):
        for layer in range(self.num_layers):
            for suffix in ("", "_reverse") if self.bidirectional else ("",):
                yield f"_l{layer}{suffix}"

    def _weight_bias(self):
        """The weights and the biases, two dictionaries, by the names of the float modules."""
        found: dict[str, dict[str, Any]] = {"weight": {}, "bias": {}}
        for suffix, holder in zip(self._names(), self._all_weight_values, strict=True):
            for part, packed in (("ih", holder.param.w_ih), ("hh", holder.param.w_hh)):
                weight, bias = packed.unpack()
                found["weight"][f"weight_{part}{suffix}"] = weight
                found["bias"][f"bias_{part}{suffix}"] = bias
        return found

    def get_weight(self):
        """The quantised weights, by the names of the float modules."""
        return self._weight_bias()["weight"]

    def get_bias(self):
        """The biases, by the names of the float modules."""
        return self._weight_bias()["bias"]

    def set_weight_bias(self, weight_bias_dict):
        """Take quantised weights and biases, by the names of the float modules."""
        packed = []
        for suffix in self._names():
            values = [weight_bias_dict[f"{name}{suffix}"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
            packed.append(_cell_params(*values, self.dtype))
        self._all_weight_values = nn.ModuleList(map(PackedParameter, packed))

    def check_input(self, input: Tensor, batch_sizes: Tensor | None) -> None:
        """Raise RuntimeError for an input of another shape."""
        dims = 2 if batch_sizes is not None else 3
        if input.dim() != dims:
            raise RuntimeError(f"input must have {dims} dimensions, got {input.dim()}")
        if input.size(-1) != self.input_size:
            raise RuntimeError(
                f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got {input.size(-1)}"
            )

    def get_expected_hidden_size(self, input: Tensor, batch_sizes: Tensor | None) -> tuple[int, int, int]:
        """The shape of the state: (layers * directions, batch, hidden)."""
        batch = int(batch_sizes[0]) if batch_sizes is not None else input.size(0 if self.batch_first else 1)
        return self.num_layers * (2 if self.bidirectional else 1), batch, self.hidden_size

    def check_hidden_size(
        self, hx: Tensor, expected_hidden_size: tuple[int, int, int], msg: str = "Expected hidden size {}, got {}"
    ) -> None:
        """Raise RuntimeError for a state of another shape."""
        if tuple(hx.size()) != tuple(expected_hidden_size):
            raise RuntimeError(msg.format(expected_hidden_size, list(hx.size())))

    def check_forward_args(self, input: Tensor, hidden: Any, batch_sizes: Tensor | None) -> None:
        """Raise RuntimeError for shapes that do not go together."""
        self.check_input(input, batch_sizes)
        expected = self.get_expected_hidden_size(input, batch_sizes)
        if isinstance(hidden, Tensor):
            self.check_hidden_size(hidden, expected)
            return
        self.check_hidden_size(hidden[0], expected, "Expected hidden[0] size {}, got {}")
        self.check_hidden_size(hidden[1], expected, "Expected hidden[1] size {}, got {}")

    def permute_hidden(self, hx: Any, permutation: Tensor | None) -> Any:
        """The state with its batch in another order."""
        if permutation is None:
            return hx
        if isinstance(hx, Tensor):
            return _apply_permutation(hx, permutation)
        return tuple(_apply_permutation(h, permutation) for h in hx)

    def forward_impl(
        self, input: Tensor, hx: Any, batch_sizes: Tensor | None, max_batch_size: int, sorted_indices: Tensor | None
    ) -> Any:
        """Run the layers on a padded batch, or on packed rows with ``batch_sizes``."""
        lstm = self.mode == "LSTM"
        if hx is None:
            directions = 2 if self.bidirectional else 1
            zeros = input.new_zeros(self.num_layers * directions, max_batch_size, self.hidden_size)
            hx = (zeros, zeros) if lstm else zeros
        else:
            hx = self.permute_hidden(hx, sorted_indices)
        self.check_forward_args(input, hx, batch_sizes)
        params = [holder.param for holder in self._all_weight_values]
        run = torch.quantized_lstm if lstm else torch.quantized_gru
        rest = (params, self.bias, self.num_layers, self.dropout, self.training, self.bidirectional)
        if batch_sizes is None:
            output, *state = run(input, hx, *rest, self.batch_first)
        else:
            output, *state = run(input, batch_sizes, hx, *rest)
        return output, tuple(state) if lstm else state[0]

    def forward_tensor(self, input: Tensor, hx: Any = None) -> Any:
        """Run the layers on a padded batch."""
        batch = input.size(0) if self.batch_first else input.size(1)
        output, hidden = self.forward_impl(input, hx, None, batch, None)
        return output, self.permute_hidden(hidden, None)

    def forward_packed(self, input: PackedSequence, hx: Any = None) -> Any:
        """Run the layers on a packed batch."""
        data, batch_sizes, sorted_indices, unsorted_indices = input
        output, hidden = self.forward_impl(data, hx, batch_sizes, int(batch_sizes[0]), sorted_indices)
        packed = PackedSequence(output, batch_sizes, sorted_indices, unsorted_indices)
        return packed, self.permute_hidden(hidden, unsorted_indices)

    def forward(self, input, hx=None):
        """Run the layers on a padded batch (time, batch, in), or on a packed one."""
        if isinstance(input, PackedSequence):
            return self.forward_packed(input, hx)
        return self.forward_tensor(input, hx)

    @classmethod
    def from_float(cls, mod, use_precomputed_fake_quant=False):
        """Take the place of a recurrent module, with its weights quantised by what observers say.

        Raises:
            AssertionError: for another class of module, and without a qconfig.
            RuntimeError: for weights of other dtypes than qint8 and float16.
        """
        if type(mod) not in (nn.LSTM, nn.GRU):
            raise AssertionError("nn.quantized.dynamic.RNNBase.from_float only works for nn.LSTM and nn.GRU")
        make = _weight_observer(mod)
        dtype = make().dtype
        result = cls(
            mod.input_size, mod.hidden_size, mod.num_layers, mod.bias, mod.batch_first, mod.dropout, mod.bidirectional,
            dtype,
        )  # fmt: skip
        if not mod.bias:
            raise AssertionError("Dynamic quantization of recurrent modules without biases is not supported")
        values = {}
        for suffix in result._names():
            for part in ("ih", "hh"):
                weight = getattr(mod, f"weight_{part}{suffix}")
                values[f"weight_{part}{suffix}"] = (
                    _quantized(weight, make()) if dtype == torch.qint8 else weight.float()
                )
                values[f"bias_{part}{suffix}"] = getattr(mod, f"bias_{part}{suffix}")
        result.set_weight_bias(values)
        return result

    @classmethod
    def from_reference(cls, ref_mod):
        """Take the place of a reference module."""
        result = cls(
            ref_mod.input_size, ref_mod.hidden_size, ref_mod.num_layers, ref_mod.bias, ref_mod.batch_first,
            ref_mod.dropout, ref_mod.bidirectional,
        )  # fmt: skip
        result.set_weight_bias(ref_mod.get_quantized_weight_bias_dict())
        return result


class LSTM(RNNBase):
    """``nn.LSTM`` with quantised weights; the arguments are those of ``RNNBase`` without ``mode``."""

    _FLOAT_MODULE = nn.LSTM

    def __init__(self, *args, **kwargs):
        super().__init__("LSTM", *args, **kwargs)

    def _get_name(self):
        return "DynamicQuantizedLSTM"


class GRU(RNNBase):
    """``nn.GRU`` with quantised weights; the arguments are those of ``RNNBase`` without ``mode``."""

    _FLOAT_MODULE = nn.GRU

    def __init__(self, *args, **kwargs):
        super().__init__("GRU", *args, **kwargs)

    def _get_name(self):
        return "DynamicQuantizedGRU"


class RNNCellBase(nn.Module):
    """What the cells share.

    Args:
        input_size: size of the inputs.
        hidden_size: size of the state.
        bias: whether there are biases.
        num_chunks: the number of gates.
        dtype: of the weights, ``torch.qint8`` or ``torch.float16``.
    """

    __constants__ = ["input_size", "hidden_size", "bias"]

    def __init__(self, input_size, hidden_size, bias=True, num_chunks=4, dtype=torch.qint8):
        super().__init__()
        self.input_size, self.hidden_size, self.bias, self.weight_dtype = input_size, hidden_size, bias, dtype
        rows = num_chunks * hidden_size
        self.bias_ih = torch.randn(rows).to(torch.float) if bias else None
        self.bias_hh = torch.randn(rows).to(torch.float) if bias else None
        w_ih, w_hh = torch.randn(rows, input_size), torch.randn(rows, hidden_size)
        if dtype == torch.qint8:
            w_ih = torch.quantize_per_tensor(w_ih, 1.0, 0, torch.qint8)
            w_hh = torch.quantize_per_tensor(w_hh, 1.0, 0, torch.qint8)
        elif dtype != torch.float16:
            raise RuntimeError("Unsupported dtype specified for RNNCellBase!")
        self._packed_weight_ih = pack_weight_bias(w_ih, self.bias_ih, dtype)
        self._packed_weight_hh = pack_weight_bias(w_hh, self.bias_hh, dtype)

    def _get_name(self):
        return "DynamicQuantizedRNNBase"

    def extra_repr(self):
        text = f"{self.input_size}, {self.hidden_size}"
        if self.bias is not True:
            text += f", bias={self.bias}"
        if getattr(self, "nonlinearity", "tanh") != "tanh":
            text += f", nonlinearity={self.nonlinearity}"
        return text

    def check_forward_input(self, input):
        """Raise RuntimeError for an input of another size."""
        if input.size(1) != self.input_size:
            raise RuntimeError(f"input has inconsistent input_size: got {input.size(1)}, expected {self.input_size}")

    def check_forward_hidden(self, input: Tensor, hx: Tensor, hidden_label: str = "") -> None:
        """Raise RuntimeError for a state of another shape."""
        if input.size(0) != hx.size(0):
            raise RuntimeError(
                f"Input batch size {input.size(0)} doesn't match hidden{hidden_label} batch size {hx.size(0)}"
            )
        if hx.size(1) != self.hidden_size:
            raise RuntimeError(
                f"hidden{hidden_label} has inconsistent hidden_size: got {hx.size(1)}, expected {self.hidden_size}"
            )

    def _step(self, name: str, input: Tensor, hx: Any) -> Any:
        self.check_forward_input(input)
        states = hx if isinstance(hx, (tuple, list)) else (hx,)
        for label, state in zip(("", "") if len(states) == 1 else ("[0]", "[1]"), states, strict=False):
            self.check_forward_hidden(input, state, label)
        step = getattr(torch.ops.quantized, name)
        return step(input, hx, self._packed_weight_ih, self._packed_weight_hh, self.bias_ih, self.bias_hh)

    def _zeros(self, input: Tensor) -> Tensor:
        return torch.zeros(input.size(0), self.hidden_size, dtype=input.dtype, device=input.device)

    def _weight_bias(self):
        w_ih, b_ih = self._packed_weight_ih.unpack()
        w_hh, b_hh = self._packed_weight_hh.unpack()
        return {"weight": {"weight_ih": w_ih, "weight_hh": w_hh}, "bias": {"bias_ih": b_ih, "bias_hh": b_hh}}

    def get_weight(self):
        """The quantised weights, by the names of the float modules."""
        return self._weight_bias()["weight"]

    def get_bias(self):
        """The biases, by the names of the float modules."""
        return self._weight_bias()["bias"]

    def set_weight_bias(self, weight_bias_dict):
        """Take quantised weights and biases, by the names of the float modules."""
        self.bias_ih, self.bias_hh = weight_bias_dict["bias_ih"], weight_bias_dict["bias_hh"]
        dtype = self.weight_dtype
        self._packed_weight_ih = pack_weight_bias(weight_bias_dict["weight_ih"], self.bias_ih, dtype)
        self._packed_weight_hh = pack_weight_bias(weight_bias_dict["weight_hh"], self.bias_hh, dtype)

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[prefix + "_packed_weight_ih"] = self._packed_weight_ih
        destination[prefix + "_packed_weight_hh"] = self._packed_weight_hh

    def _load_from_state_dict(
        self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
    ):
        self._packed_weight_ih = state_dict.pop(prefix + "_packed_weight_ih")
        self._packed_weight_hh = state_dict.pop(prefix + "_packed_weight_hh")
        self.bias_ih, self.bias_hh = self.get_bias().values()
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, False, missing_keys, unexpected_keys, error_msgs
        )

    @classmethod
    def _like(cls, mod, dtype):
        more = {"nonlinearity": mod.nonlinearity} if isinstance(mod, nn.RNNCell) else {}
        return cls(mod.input_size, mod.hidden_size, bias=mod.bias, dtype=dtype, **more)

    @classmethod
    def from_float(cls, mod, use_precomputed_fake_quant=False):
        """Take the place of a cell, with its weights quantised by what observers say.

        Raises:
            AssertionError: for another class of module, and without a qconfig.
            RuntimeError: for weights of other dtypes than qint8 and float16.
        """
        if type(mod) not in (nn.LSTMCell, nn.GRUCell, nn.RNNCell):
            raise AssertionError(
                "nn.quantized.dynamic.RNNCellBase.from_float                                  only works for "
                "nn.LSTMCell, nn.GRUCell and nn.RNNCell"
            )
        make = _weight_observer(mod)
        dtype = make().dtype
        result = cls._like(mod, dtype)
        if not mod.bias:
            raise AssertionError("Dynamic quantization of recurrent cells without biases is not supported")
        values = {"bias_ih": mod.bias_ih, "bias_hh": mod.bias_hh}
        for name in ("weight_ih", "weight_hh"):
            weight = getattr(mod, name)
            values[name] = _quantized(weight, make()) if dtype == torch.qint8 else weight.float()
        result.set_weight_bias(values)
        return result

    @classmethod
    def from_reference(cls, ref_mod):
        """Take the place of a reference module."""
        result = cls._like(ref_mod, ref_mod.weight_ih_dtype)
        result.set_weight_bias(
            {
                "weight_ih": ref_mod.get_quantized_weight_ih(), "weight_hh": ref_mod.get_quantized_weight_hh(),
                "bias_ih": ref_mod.bias_ih, "bias_hh": ref_mod.bias_hh,
            }
        )  # fmt: skip
        return result


class RNNCell(RNNCellBase):
    """``nn.RNNCell`` with quantised weights."""

    __constants__ = ["input_size", "hidden_size", "bias", "nonlinearity"]

    def __init__(self, input_size, hidden_size, bias=True, nonlinearity="tanh", dtype=torch.qint8):
        super().__init__(input_size, hidden_size, bias, num_chunks=1, dtype=dtype)
        self.nonlinearity = nonlinearity

    def _get_name(self):
        return "DynamicQuantizedRNNCell"

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """(batch, in) and (batch, hidden) to (batch, hidden); RuntimeError for an unknown nonlinearity."""
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        hx = self._zeros(input) if hx is None else hx
        return self._step(f"quantized_rnn_{self.nonlinearity}_cell_dynamic", input, hx)


class LSTMCell(RNNCellBase):
    """``nn.LSTMCell`` with quantised weights."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, num_chunks=4, **kwargs)

    def _get_name(self):
        return "DynamicQuantizedLSTMCell"

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """(batch, in) and two (batch, hidden) to two (batch, hidden)."""
        if hx is None:
            zeros = self._zeros(input)
            hx = (zeros, zeros)
        return self._step("quantized_lstm_cell_dynamic", input, hx)


class GRUCell(RNNCellBase):
    """``nn.GRUCell`` with quantised weights."""

    def __init__(self, input_size, hidden_size, bias=True, dtype=torch.qint8):
        super().__init__(input_size, hidden_size, bias, num_chunks=3, dtype=dtype)

    def _get_name(self):
        return "DynamicQuantizedGRUCell"

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """(batch, in) and (batch, hidden) to (batch, hidden)."""
        return self._step("quantized_gru_cell_dynamic", input, self._zeros(input) if hx is None else hx)
