"""The linear layer of quantised tensors."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.ao.nn.intrinsic.modules import fused
from torch.nn.utils.fusion import fuse_linear_bn_weights
from torch.nn.utils.parametrize import type_before_parametrizations

from .utils import NumberState, WeightedQuantizedModule, _hide_packed_params_repr, _quantize_weight, set_output

__all__ = ["LinearPackedParams", "Linear"]


class LinearPackedParams(nn.Module):
    """Holds the packed weight and bias of a linear layer.

    Args:
        dtype: of the weight, ``torch.qint8`` or ``torch.float16``.
    """

    _version = 3

    def __init__(self, dtype=torch.qint8):
        super().__init__()
        self.dtype = dtype
        if dtype == torch.qint8:
            weight = torch._empty_affine_quantized([1, 1], scale=1, zero_point=0, dtype=torch.qint8)
        elif dtype == torch.float16:
            weight = torch.zeros([1, 1], dtype=torch.float)
        else:
            raise RuntimeError("Unsupported dtype on dynamic quantized linear!")
        self.set_weight_bias(weight, None)

    def set_weight_bias(self, weight: Tensor, bias: Tensor | None) -> None:
        """Pack a weight and a bias."""
        if self.dtype == torch.qint8:
            self._packed_params = torch.ops.quantized.linear_prepack(weight, bias)
        else:
            self._packed_params = torch.ops.quantized.linear_prepack_fp16(weight, bias)

    def _weight_bias(self):
        return self._packed_params.unpack()

    def forward(self, x):
        """Return the input."""
        return x

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[prefix + "dtype"] = self.dtype
        destination[prefix + "_packed_params"] = self._weight_bias()

    def _load_from_state_dict(
        self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
    ):
        version = local_metadata.get("version")
        self.dtype = state_dict.pop(prefix + "dtype") if version is not None and version >= 2 else torch.qint8
        if version is None or version < 3:
            weight, bias = state_dict.pop(prefix + "weight"), state_dict.pop(prefix + "bias")
        else:
            weight, bias = state_dict.pop(prefix + "_packed_params")
        self.set_weight_bias(weight, bias)
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, False, missing_keys, unexpected_keys, error_msgs
        )

    def __repr__(self):
        return repr(self._weight_bias())


class Linear(NumberState, WeightedQuantizedModule):
    """A linear layer of quantised tensors, with a quantised weight.

    Args:
        in_features: size of the inputs.
        out_features: size of the outputs.
        bias_: whether there is a bias, in float32.
        dtype: of the weight, ``torch.qint8``.

    Raises:
        RuntimeError: for another ``dtype``.

    >>> torch.ao.nn.quantized.Linear(2, 3)
    QuantizedLinear(in_features=2, out_features=3, scale=1.0, zero_point=0, qscheme=torch.per_tensor_affine)
    """

    _version = 3
    _FLOAT_MODULE = (nn.Linear, nn.modules.linear.NonDynamicallyQuantizableLinear)

    def __init__(self, in_features, out_features, bias_=True, dtype=torch.qint8):
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        bias = torch.zeros(out_features, dtype=torch.float) if bias_ else None
        if dtype == torch.qint8:
            weight = torch._empty_affine_quantized([out_features, in_features], scale=1, zero_point=0, dtype=dtype)
        elif dtype == torch.float16:
            weight = torch.zeros([out_features, in_features], dtype=torch.float)
        else:
            raise RuntimeError("Unsupported dtype specified for quantized Linear!")
        self._packed_params = LinearPackedParams(dtype)
        self._packed_params.set_weight_bias(weight, bias)
        self.scale, self.zero_point = 1.0, 0

    def _get_name(self):
        return "QuantizedLinear"

    def extra_repr(self):
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, scale={self.scale}, "
            f"zero_point={self.zero_point}, qscheme={self.weight().qscheme()}"
        )

    def __repr__(self):
        return _hide_packed_params_repr(self, LinearPackedParams)

    def forward(self, x: Tensor) -> Tensor:
        """Quantised (..., in) to quantised (..., out)."""
        return torch.ops.quantized.linear(x, self._packed_params._packed_params, self.scale, self.zero_point)

    def _load_from_state_dict(
        self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
    ):
        version = local_metadata.get("version")
        if version is None or version == 1:
            # the parameters were the module's own then
            weight, bias = state_dict.pop(prefix + "weight"), state_dict.pop(prefix + "bias")
            state_dict |= {prefix + "_packed_params.weight": weight, prefix + "_packed_params.bias": bias}
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )

    def _weight_bias(self):
        return self._packed_params._weight_bias()

    def weight(self):
        """The quantised weight, (out, in)."""
        return self._weight_bias()[0]

    def bias(self):
        """The bias, (out,), or None."""
        return self._weight_bias()[1]

    def set_weight_bias(self, w: Tensor, b: Tensor | None) -> None:
        """Take a quantised weight and a bias."""
        self._packed_params.set_weight_bias(w, b)

    @classmethod
    def from_float(cls, mod, use_precomputed_fake_quant=False):
        """Take the place of a linear layer after calibration or training, with what its observers say.

        Args:
            mod: a linear layer with ``qconfig`` and ``activation_post_process``, fused or not, or one that was trained
                with a rounded weight.
            use_precomputed_fake_quant: take the scale that the weight has, instead of observing it once more.

        Raises:
            AssertionError: for another class of module, and weights of another dtype than qint8.
        """
        from torch.ao.nn.intrinsic import qat as nniqat

        if hasattr(mod, "weight_fake_quant"):
            if type_before_parametrizations(mod) == nniqat.LinearBn1d:
                mod.weight, mod.bias = fuse_linear_bn_weights(
                    mod.weight,
                    mod.bias,
                    mod.bn.running_mean,
                    mod.bn.running_var,
                    mod.bn.eps,
                    mod.bn.weight,
                    mod.bn.bias,
                )
            observer, activation = mod.weight_fake_quant, mod.activation_post_process
        else:
            kinds = cls._FLOAT_MODULE if isinstance(cls._FLOAT_MODULE, tuple) else (cls._FLOAT_MODULE,)
            if type_before_parametrizations(mod) not in kinds:
                names = ", ".join(kind.__name__ for kind in kinds)
                raise AssertionError(f"nnq.{cls.__name__}.from_float only works for {names}, but got: {type(mod)}")
            if not hasattr(mod, "qconfig"):
                raise AssertionError("Input float module must have qconfig defined")
            activation = mod.activation_post_process
            qconfig = mod.qconfig
            if isinstance(mod, fused._FusedModule):
                mod = mod[0]
            observer = qconfig.weight() if not hasattr(mod, "weight_fake_quant") else mod.weight_fake_quant
        return cls._converted(mod, observer, activation, use_precomputed_fake_quant)

    @classmethod
    def _converted(cls, mod, observer, activation, use_precomputed_fake_quant):
        if not use_precomputed_fake_quant:
            observer(mod.weight)
        if observer.dtype != torch.qint8:
            raise AssertionError("Weight observer must have dtype torch.qint8")
        result = cls._make(mod, torch.qint8)
        result.set_weight_bias(_quantize_weight(mod.weight.float(), observer), mod.bias)
        return set_output(result, *activation.calculate_qparams())

    @classmethod
    def _make(cls, mod, dtype):
        return cls(mod.in_features, mod.out_features, dtype=dtype)

    @classmethod
    def from_reference(cls, ref_qlinear, output_scale, output_zero_point):
        """Take the place of a reference module, with the given map of the output."""
        result = cls._make(ref_qlinear, torch.qint8)
        result.set_weight_bias(ref_qlinear.get_quantized_weight(), ref_qlinear.bias)
        return set_output(result, output_scale, output_zero_point)
