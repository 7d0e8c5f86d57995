"""What reference modules share: the map of the weight is part of their state."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["ReferenceQuantizedModule"]

_DEFAULT = {"qscheme": torch.per_tensor_affine, "dtype": torch.quint8, "scale": 1.0, "zero_point": 0}
_PER_CHANNEL = (torch.per_channel_affine, torch.per_channel_affine_float_qparams)


def quantize_by(
    weight: Tensor, qscheme: Any, dtype: torch.dtype, scale: Tensor, zero_point: Tensor, axis: int
) -> Tensor:
    """Quantise a weight; without a kind of map, or with a floating-point dtype, the weight itself."""
    if dtype == torch.float16:
        return weight.to(dtype)
    if qscheme is torch.per_tensor_affine and dtype in (torch.quint8, torch.qint8, torch.qint32):
        return torch.quantize_per_tensor(weight.detach(), scale, zero_point, dtype)
    if qscheme in _PER_CHANNEL and dtype in (torch.quint8, torch.qint8, torch.quint4x2, torch.qint32):
        return torch.quantize_per_channel(weight.detach(), scale, zero_point, axis, dtype)
    return weight


def register_qparams(module: nn.Module, name: str, qparams: Any, device: Any) -> None:
    """Give a module the map of one of its weights."""
    qparams = dict(_DEFAULT if qparams is None else qparams)
    qscheme, dtype = qparams["qscheme"], qparams["dtype"]
    setattr(module, f"{name}_qscheme", qscheme)
    setattr(module, f"{name}_dtype", dtype)
    if qscheme not in (None, torch.per_tensor_affine, *_PER_CHANNEL):
        raise AssertionError(f"qscheme: {qscheme} is not support in reference quantized {module._get_name()}")
    axis = 0
    if qscheme is None:
        qparams |= {"scale": 1.0, "zero_point": 0}
    elif qscheme in _PER_CHANNEL:
        axis = qparams["axis"]
    kind = torch.float if qscheme is torch.per_channel_affine_float_qparams else torch.int
    scale, zero_point = qparams["scale"], qparams["zero_point"]
    scale = scale.detach().clone() if isinstance(scale, Tensor) else torch.tensor(scale, dtype=torch.float)
    if isinstance(zero_point, Tensor):
        zero_point = zero_point.detach().clone()
    else:
        zero_point = torch.tensor(zero_point, dtype=kind)
    module.register_buffer(f"{name}_scale", scale.to(device))
    module.register_buffer(f"{name}_zero_point", zero_point.to(device))
    module.register_buffer(f"{name}_axis", torch.tensor(axis, dtype=torch.int, device=device))


def quantized_weight(module: nn.Module, name: str) -> Tensor:
    """One of a module's weights, quantised."""
    return quantize_by(
        getattr(module, name), getattr(module, f"{name}_qscheme"), getattr(module, f"{name}_dtype"),
        getattr(module, f"{name}_scale"), getattr(module, f"{name}_zero_point"), int(getattr(module, f"{name}_axis")),
    )  # fmt: skip


def rounded_weight(module: nn.Module, name: str) -> Tensor:
    """One of a module's weights, quantised and dequantised."""
    return quantized_weight(module, name).dequantize()


class ReferenceQuantizedModule(nn.Module):
    """What reference modules are."""

    def _init_weight_qparams(self, weight_qparams, device):
        register_qparams(self, "weight", weight_qparams, device)

    def get_weight(self):
        """The weight, quantised and dequantised."""
        return rounded_weight(self, "weight")

    def get_quantized_weight(self):
        """The weight, quantised."""
        return quantized_weight(self, "weight")

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[prefix + "weight_qscheme"] = self.weight_qscheme
        destination[prefix + "weight_dtype"] = self.weight_dtype

    def _load_from_state_dict(
        self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
    ):
        for name in ("weight_qscheme", "weight_dtype"):
            if prefix + name in state_dict:
                setattr(self, name, state_dict.pop(prefix + name))
        for name in ("weight_scale", "weight_zero_point"):
            value = state_dict.get(prefix + name)
            if value is not None and value.shape != getattr(self, name).shape:
                setattr(self, name, value.detach().clone())
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, False, missing_keys, unexpected_keys, error_msgs
        )
