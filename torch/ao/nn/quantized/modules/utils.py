"""What quantised modules share: weights by what observers say, and their text."""

from __future__ import annotations

import abc
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["WeightedQuantizedModule"]


class WeightedQuantizedModule(nn.Module, metaclass=abc.ABCMeta):
    """What quantised modules with weights are."""

    @classmethod
    @abc.abstractmethod
    def from_reference(cls, ref_module, output_scale, output_zero_point):
        """Take the place of a reference module."""


def activation_qparams(observer: Any) -> tuple[float, int]:
    """The scale and the zero point of an observer, as numbers."""
    scale, zero_point = observer.calculate_qparams()
    return float(scale), int(zero_point)


def _quantize_weight(float_wt: Tensor, observer: Any) -> Tensor:
    """Quantise a weight by what its observer says, within the observer's range of integers.

    Raises:
        ValueError: for another kind of map.
    """
    scale, zero_point = observer.calculate_qparams()
    weight, scheme = float_wt.detach(), observer.qscheme
    dtype = observer.dtype
    if scheme in (torch.per_tensor_symmetric, torch.per_tensor_affine):
        quantized = torch.quantize_per_tensor(weight, float(scale), int(zero_point), torch.qint8)
    elif scheme in (torch.per_channel_symmetric, torch.per_channel_affine):
        axis = observer.ch_axis
        quantized = torch.quantize_per_channel(
            weight, scale.to(torch.double), zero_point.to(torch.int64), axis, torch.qint8
        )
    elif scheme is torch.per_channel_affine_float_qparams:
        return torch.quantize_per_channel(
            weight, scale.to(torch.float), zero_point.to(torch.float), observer.ch_axis, dtype
        )
    else:
        raise ValueError(f"Unexpected qscheme {scheme}")
    if dtype in (torch.qint8, torch.int8) and (observer.quant_min > -128 or observer.quant_max < 127):
        quantized = quantized.like(quantized.integers.clamp(observer.quant_min, observer.quant_max))
    return quantized


def _hide_packed_params_repr(self: nn.Module, params: Any) -> str:
    """The text of a module without its submodules of some classes."""
    inner = [
        f"({name}): " + nn.modules.module._addindent(repr(module), 2)
        for name, module in self._modules.items()
        if not isinstance(module, params)
    ]
    extra = self.extra_repr().split("\n") if self.extra_repr() else []
    name = self._get_name()
    if len(extra) == 1 and not inner:
        return f"{name}({extra[0]})"
    lines = extra + inner
    return f"{name}(" + ("\n  " + "\n  ".join(lines) + "\n" if lines else "") + ")"


def set_output(module: Any, scale: Any, zero_point: Any) -> Any:
    """Give a module the map of its output, and return it."""
    module.scale, module.zero_point = float(scale), int(zero_point)
    return module


class NumberState:
    """Keeps ``scale`` and ``zero_point``, which are numbers, in a module's state as tensors."""

    scale: float
    zero_point: int

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        super()._save_to_state_dict(destination, prefix, keep_vars)  # type: ignore[misc]
        destination[prefix + "scale"] = torch.tensor(self.scale)
        destination[prefix + "zero_point"] = torch.tensor(self.zero_point)

    def _load_from_state_dict(
        self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
    ):
        self.scale = float(state_dict.pop(prefix + "scale"))
        self.zero_point = int(state_dict.pop(prefix + "zero_point"))
        super()._load_from_state_dict(  # type: ignore[misc]
            state_dict, prefix, local_metadata, False, missing_keys, unexpected_keys, error_msgs
        )
