"""Activations of quantised tensors."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.ao.nn import quantizable

from .utils import activation_qparams

__all__ = ["ReLU6", "Hardswish", "ELU", "LeakyReLU", "Sigmoid", "Softmax", "MultiheadAttention", "PReLU"]


class ReLU6(nn.ReLU):
    """``nn.ReLU6`` of quantised tensors; the map stays."""

    def __init__(self, inplace=False):
        super().__init__(inplace)
        self.inplace = inplace

    def forward(self, input):
        """The numbers between 0 and 6."""
        return torch.ops.quantized.relu6(input, self.inplace)

    def _get_name(self):
        return "QuantizedReLU6"

    @staticmethod
    def from_float(mod, use_precomputed_fake_quant=False):
        """Take the place of the activation."""
        return ReLU6(mod.inplace)


class Hardswish(nn.Hardswish):
    """``nn.Hardswish`` of quantised tensors; ``scale`` and ``zero_point`` are those of the output."""

    def __init__(self, scale, zero_point, device=None, dtype=None):
        super().__init__()
        self.register_buffer("scale", torch.tensor(scale, device=device))
        self.register_buffer("zero_point", torch.tensor(zero_point, device=device))

    def forward(self, input):
        """The activation of a quantised tensor; quantised."""
        return torch.ops.quantized.hardswish(input, float(self.scale), int(self.zero_point))

    def _get_name(self):
        return "QuantizedHardswish"

    @staticmethod
    def from_float(mod, use_precomputed_fake_quant=False):
        """Take the place of the activation after calibration."""
        return Hardswish(*activation_qparams(mod.activation_post_process))

    @classmethod
    def from_reference(cls, mod, scale, zero_point):
        """Take the place of the activation, with the given map of the output."""
        return cls(float(scale), int(zero_point))


class ELU(nn.ELU):
    """``nn.ELU`` of quantised tensors; ``scale`` and ``zero_point`` are those of the output."""

    def __init__(self, scale, zero_point, alpha=1.0):
        super().__init__(alpha)
        self.scale, self.zero_point = scale, zero_point

    def forward(self, input):
        """The activation of a quantised tensor; quantised."""
        return torch.ao.nn.quantized.functional.elu(input, self.scale, self.zero_point, self.alpha)

    def _get_name(self):
        return "QuantizedELU"

    @staticmethod
    def from_float(mod, use_precomputed_fake_quant=False):
        """Take the place of the activation after calibration."""
        return ELU(*activation_qparams(mod.activation_post_process), mod.alpha)

    @classmethod
    def from_reference(cls, mod, scale, zero_point):
        """Take the place of the activation, with the given map of the output."""
        return cls(float(scale), int(zero_point), mod.alpha)


class LeakyReLU(nn.LeakyReLU):
    """``nn.LeakyReLU`` of quantised tensors; ``scale`` and ``zero_point`` are those of the output."""

    def __init__(
        self,
        scale: float,
        zero_point: int,
        negative_slope: float = 1e-2,
        inplace: bool = False,
        device=None,
        dtype=None,
    ) -> None:
        super().__init__(negative_slope, inplace)
        self.register_buffer("scale", torch.tensor(scale, device=device, dtype=dtype))
        self.register_buffer("zero_point", torch.tensor(zero_point, device=device, dtype=dtype))

    def forward(self, input):
        """The activation of a quantised tensor; quantised."""
        return torch.ops.quantized.leaky_relu(
            input, self.negative_slope, self.inplace, float(self.scale), int(self.zero_point)
        )

    def _get_name(self):
        return "QuantizedLeakyReLU"

    @classmethod
    def from_float(cls, mod, use_precomputed_fake_quant=False):
        """Take the place of the activation after calibration."""
        return cls.from_reference(mod, *activation_qparams(mod.activation_post_process))

    @classmethod
    def from_reference(cls, mod, scale, zero_point):
        """Take the place of the activation, with the given map of the output."""
        return cls(float(scale), int(zero_point), mod.negative_slope, mod.inplace)


class Sigmoid(nn.Sigmoid):
    """``nn.Sigmoid`` of quantised tensors, under the given map."""

    def __init__(self, output_scale: float, output_zero_point: int):
        super().__init__()
        self.output_scale, self.output_zero_point = output_scale, output_zero_point

    def forward(self, input):
        """The activation of a quantised tensor; quantised."""
        return torch.ops.quantized.sigmoid(input, self.output_scale, self.output_zero_point)

    @classmethod
    def from_float(cls, mod, use_precomputed_fake_quant=False):
        """Take the place of the activation after calibration."""
        return cls(*activation_qparams(mod.activation_post_process))


class Softmax(nn.Softmax):
    """``nn.Softmax`` of quantised tensors; ``scale`` and ``zero_point`` are those of the output."""

    def __init__(self, dim=None, scale=1.0, zero_point=0):
        super().__init__()
        self.dim, self.scale, self.zero_point = dim, scale, zero_point

    def forward(self, input):
        """The softmax of a quantised tensor; quantised."""
        dim = self.dim
        if dim is None:
            dim = 0 if input.dim() in (0, 1, 3) else 1
        return torch.ops.quantized.softmax(input, dim, self.scale, self.zero_point)

    def _get_name(self):
        return "QuantizedSoftmax"

    @staticmethod
    def from_float(mod, use_precomputed_fake_quant=False):
        """Take the place of the activation after calibration."""
        return Softmax(mod.dim, *activation_qparams(mod.activation_post_process))

    @classmethod
    def from_reference(cls, mod, scale, zero_point):
        """Take the place of the activation, with the given map of the output."""
        return cls(mod.dim, float(scale), int(zero_point))


class MultiheadAttention(quantizable.MultiheadAttention):
    """``torch.ao.nn.quantizable.MultiheadAttention`` after ``convert``: made from one that has been calibrated."""

    _FLOAT_MODULE = quantizable.MultiheadAttention

    def _get_name(self):
        return "QuantizedMultiheadAttention"

    @classmethod
    def from_float(cls, other):
        """Raise NotImplementedError: calibrate a quantizable module first."""
        raise NotImplementedError(
            "It looks like you are trying to convert a non-observed MHA module. Please, see the examples on "
            "quantizable MHAs."
        )

    @classmethod
    def from_observed(cls, other):
        """Take the place of a calibrated module, with quantised parts; ``other`` changes too."""
        from torch.ao.quantization import convert

        converted = convert(other, mapping=None, inplace=False, remove_qconfig=True, convert_custom_config_dict=None)
        converted.__class__ = cls
        for name in ("bias_k", "bias_v"):
            value = converted._parameters.pop(name, None)
            if value is None:
                setattr(converted, name, None)
                continue
            scale, zero_point = torch._choose_qparams_per_tensor(value, reduce_range=False)
            setattr(converted, name, torch.quantize_per_tensor(value.detach(), scale, zero_point, torch.quint8))
        converted.in_proj_weight = converted.in_proj_bias = None
        return converted


class PReLU(nn.Module):
    """``nn.PReLU`` of quantised tensors, with quantised slopes, under the given map."""

    def __init__(self, output_scale: float, output_zero_point: int, num_parameters: int = 1) -> None:
        super().__init__()
        self.num_parameters = num_parameters
        self.scale, self.zero_point = output_scale, output_zero_point
        self.set_weight(torch.quantize_per_tensor(torch.randn(num_parameters), 1.0, 0, torch.quint8))

    def set_weight(self, w: Tensor) -> None:
        """Take quantised slopes, (1,) or (C,)."""
        self.weight = w

    def forward(self, input: Tensor) -> Tensor:
        """The activation of a quantised tensor; quantised."""
        return torch.ops.quantized.prelu(input, self.weight, self.scale, self.zero_point)

    def _get_name(self):
        return "QuantizedPReLU"

    @classmethod
    def from_float(cls, mod, use_precomputed_fake_quant=False):
        """Take the place of the activation after calibration."""
        scale, zero_point = activation_qparams(mod.activation_post_process)
        observer = mod.qconfig.weight()
        return cls._with_slopes(mod, scale, zero_point, observer)

    @classmethod
    def from_reference(cls, mod, scale, zero_point):
        """Take the place of the activation, with the given map of the output."""
        from torch.ao.quantization.observer import MinMaxObserver

        return cls._with_slopes(mod, float(scale), int(zero_point), MinMaxObserver(dtype=torch.quint8))

    @classmethod
    def _with_slopes(cls, mod, scale, zero_point, observer):
        result = cls(scale, zero_point, mod.num_parameters)
        weight = mod.weight.detach().float()
        observer(weight)
        slopes = torch.quantize_per_tensor(weight, *activation_qparams(observer), torch.quint8)
        result.set_weight(slopes)
        return result
