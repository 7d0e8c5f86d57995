"""The LSTM whose every operation is quantised."""

from __future__ import annotations

import torch
from torch.ao.nn import quantizable

__all__ = ["LSTM"]


class LSTM(quantizable.LSTM):
    """``torch.ao.nn.quantizable.LSTM`` after ``convert``: made from one that has been calibrated."""

    _FLOAT_MODULE = quantizable.LSTM

    def _get_name(self):
        return "QuantizedLSTM"

    @classmethod
    def from_float(cls, *args, **kwargs):
        """Raise NotImplementedError: calibrate a quantizable module first."""
        raise NotImplementedError(
            "It looks like you are trying to convert a non-observed LSTM module. Please, see the examples on "
            "quantizable LSTMs."
        )

    @classmethod
    def from_observed(cls, other):
        """Take the place of a calibrated module, with quantised parts; AssertionError for another."""
        if not isinstance(other, cls._FLOAT_MODULE):
            raise AssertionError(f"Expected a {cls._FLOAT_MODULE} module")
        converted = torch.ao.quantization.convert(other, inplace=False, remove_qconfig=True)
        converted.__class__ = cls
        return converted
