"""Recurrent modules with weights that are quantised and dequantised."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from .utils import quantized_weight, register_qparams, rounded_weight

__all__ = ["RNNCellBase", "RNNCell", "LSTMCell", "GRUCell", "RNNBase", "LSTM", "GRU", "get_quantized_weight"]


def get_quantized_weight(module, wn):
    """The weight called ``wn`` of a module, quantised."""
    return quantized_weight(module, wn)


def _with(module: Any, kind: type, values: dict[str, Tensor], args: Any) -> Any:
    """``kind.forward`` of a module whose parameters are others for the time."""
    before = {name: module._parameters.pop(name) for name in values}
    try:
        for name, value in values.items():
            module.__dict__[name] = value
        return kind.forward(module, *args)  # type: ignore[attr-defined]
    finally:
        for name in values:
            module.__dict__.pop(name, None)
        # the order of the parameters is part of the state
        rest = dict(module._parameters)
        module._parameters.clear()
        module._parameters.update({**before, **rest})


class RNNCellBase(nn.RNNCellBase):
    """What the cells share; ``weight_qparams_dict`` has an entry for ``weight_ih`` and one for ``weight_hh``."""

    _KIND: Any = None

    def _init_weight_qparams_dict(self, weight_qparams_dict, device):
        given = weight_qparams_dict or {}
        for name in ("weight_ih", "weight_hh"):
            register_qparams(self, name, given.get(name), device)

    def _get_name(self):
        return f"Quantized{type(self).__name__}(Reference)"

    def get_quantized_weight_ih(self):
        """The input's weight, quantised."""
        return quantized_weight(self, "weight_ih")

    def get_quantized_weight_hh(self):
        """The state's weight, quantised."""
        return quantized_weight(self, "weight_hh")

    def get_weight_ih(self):
        """The input's weight, quantised and dequantised."""
        return rounded_weight(self, "weight_ih")

    def get_weight_hh(self):
        """The state's weight, quantised and dequantised."""
        return rounded_weight(self, "weight_hh")

    def forward(self, input: Tensor, hx: Any = None) -> Any:
        """One step, in float32."""
        values = {"weight_ih": self.get_weight_ih(), "weight_hh": self.get_weight_hh()}
        return _with(self, self._KIND, values, (input, hx))

    @classmethod
    def from_float(cls, mod, weight_qparams_dict, use_precomputed_fake_quant=False):
        """Take the place of a cell, and have its parameters."""
        more = (mod.nonlinearity,) if isinstance(mod, nn.RNNCell) else ()
        result = cls(
            mod.input_size, mod.hidden_size, mod.bias, *more, device=mod.weight_ih.device, dtype=mod.weight_ih.dtype,
            weight_qparams_dict=weight_qparams_dict,
        )  # fmt: skip
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            setattr(result, name, getattr(mod, name))
        return result


class RNNCell(RNNCellBase, nn.RNNCell):
    """``nn.RNNCell`` whose weights are quantised and dequantised each time."""

    _KIND = nn.RNNCell

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh", device=None, dtype=None,
        weight_qparams_dict: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        nn.RNNCell.__init__(self, input_size, hidden_size, bias, nonlinearity, device=device, dtype=dtype)
        self._init_weight_qparams_dict(weight_qparams_dict, device)


class LSTMCell(RNNCellBase, nn.LSTMCell):
    """``nn.LSTMCell`` whose weights are quantised and dequantised each time."""

    _KIND = nn.LSTMCell

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device=None, dtype=None,
        weight_qparams_dict: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        nn.LSTMCell.__init__(self, input_size, hidden_size, bias, device=device, dtype=dtype)
        self._init_weight_qparams_dict(weight_qparams_dict, device)


class GRUCell(RNNCellBase, nn.GRUCell):
    """``nn.GRUCell`` whose weights are quantised and dequantised each time."""

    _KIND = nn.GRUCell

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device=None, dtype=None,
        weight_qparams_dict: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        nn.GRUCell.__init__(self, input_size, hidden_size, bias, device=device, dtype=dtype)
        self._init_weight_qparams_dict(weight_qparams_dict, device)


class RNNBase(nn.RNNBase):
    """What the layers share; ``weight_qparams_dict`` has an entry for each weight."""

    def _init_weight_qparams_dict(self, weight_qparams_dict, device):
        given = weight_qparams_dict or {}
        for name in self._weights():
            register_qparams(self, name, given.get(name), device)

    def _weights(self):
        return [name for names in self._all_weights for name in names if name.startswith("weight")]

    def _get_name(self):
        return f"Quantized{type(self).__name__}(Reference)"

    def get_quantized_weight_bias_dict(self):
        """The weights, quantised, and the biases, by their names."""
        return {
            name: quantized_weight(self, name) if name.startswith("weight") else getattr(self, name)
            for names in self._all_weights
            for name in names
        }

    def get_flat_weights(self):
        """The weights, quantised and dequantised, and the biases, in their order."""
        return [
            rounded_weight(self, name) if name.startswith("weight") else getattr(self, name)
            for names in self._all_weights
            for name in names
        ]

    def forward(self, input, hx=None):
        """Run the layers, in float32."""
        before, self._flat_weights = self._flat_weights, self.get_flat_weights()
        try:
            return super().forward(input, hx)
        finally:
            self._flat_weights = before

    @classmethod
    def from_float(cls, mod, weight_qparams_dict):
        """Take the place of recurrent layers, and have their parameters."""
        result = cls(
            mod.input_size, mod.hidden_size, mod.num_layers, mod.bias, mod.batch_first, mod.dropout, mod.bidirectional,
            weight_qparams_dict=weight_qparams_dict,
        )  # fmt: skip
        for names in mod._all_weights:
            for name in names:
                setattr(result, name, getattr(mod, name))
        return result


class LSTM(RNNBase, nn.LSTM):
    """``nn.LSTM`` whose weights are quantised and dequantised each time."""

    def __init__(self, *args, **kwargs):
        weights = kwargs.pop("weight_qparams_dict", None)
        nn.LSTM.__init__(self, *args, **kwargs)
        self._init_weight_qparams_dict(weights, kwargs.get("device"))


class GRU(RNNBase, nn.GRU):
    """``nn.GRU`` whose weights are quantised and dequantised each time."""

    def __init__(self, *args, **kwargs):
        weights = kwargs.pop("weight_qparams_dict", None)
        nn.GRU.__init__(self, *args, **kwargs)
        self._init_weight_qparams_dict(weights, kwargs.get("device"))
