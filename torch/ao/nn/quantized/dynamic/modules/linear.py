"""The linear layer that quantises its input by its own range."""

from __future__ import annotations

import torch
from torch import nn
from torch.ao.nn.intrinsic.modules import fused
from torch.ao.nn.quantized.modules import linear as _linear
from torch.ao.nn.quantized.modules.utils import _quantize_weight

__all__ = ["Linear"]


class Linear(_linear.Linear):
    """A linear layer of float32 tensors, with a quantised weight.

    Args:
        in_features: size of the inputs.
        out_features: size of the outputs.
        bias_: whether there is a bias.
        dtype: of the weight, ``torch.qint8`` or ``torch.float16``.

    >>> torch.ao.nn.quantized.dynamic.Linear(2, 3)
    DynamicQuantizedLinear(in_features=2, out_features=3, dtype=torch.qint8, qscheme=torch.per_tensor_affine)
    """

    _version = 4

    def __init__(self, in_features, out_features, bias_=True, dtype=torch.qint8):
        super().__init__(in_features, out_features, bias_, dtype=dtype)
        self.version = 4

    def forward(self, x):
        """Float32 (..., in) to float32 (..., out)."""
        packed = self._packed_params._packed_params
        if self._packed_params.dtype == torch.qint8:
            return torch.ops.quantized.linear_dynamic(x, packed, reduce_range=True).to(x.dtype)
        return torch.ops.quantized.linear_dynamic_fp16(x, packed).to(x.dtype)

    def _get_name(self):
        return "DynamicQuantizedLinear"

    def extra_repr(self):
        text = f"in_features={self.in_features}, out_features={self.out_features}, dtype={self._packed_params.dtype}"
        return text + (f", qscheme={self.weight().qscheme()}" if self._packed_params.dtype == torch.qint8 else "")

    @classmethod
    def from_float(cls, mod, use_precomputed_fake_quant=False):
        """Take the place of a linear layer, with its weight quantised by what its observer says.

        Raises:
            AssertionError: for another class of module, and without a qconfig.
            RuntimeError: for weights of other dtypes than qint8 and float16.
        """
        from torch.ao.nn.qat import dynamic as qat_dynamic
        from torch.ao.quantization.qconfig import default_dynamic_qconfig

        kinds = (
            nn.Linear, nn.modules.linear.NonDynamicallyQuantizableLinear, fused.LinearReLU, qat_dynamic.Linear,
        )  # fmt: skip
        if type(mod) not in kinds:
            raise AssertionError(f"nn.quantized.dynamic.Linear.from_float only works for one of {kinds}")
        if not hasattr(mod, "qconfig"):
            raise AssertionError("Input float module must have qconfig defined")
        qconfig = mod.qconfig
        if type(mod) is fused.LinearReLU:
            mod = mod[0]
        maker = default_dynamic_qconfig.weight if qconfig is None or qconfig.weight is None else qconfig.weight
        observer = maker()
        dtype = observer.dtype
        if dtype not in (torch.qint8, torch.float16):
            raise RuntimeError("Unsupported dtype specified for dynamic quantized Linear!")
        observer(mod.weight)
        weight = _quantize_weight(mod.weight.float(), observer) if dtype == torch.qint8 else mod.weight.float()
        result = cls(mod.in_features, mod.out_features, dtype=dtype)
        result.set_weight_bias(weight, mod.bias)
        return result

    @classmethod
    def from_reference(cls, ref_qlinear):
        """Take the place of a reference module."""
        result = cls(ref_qlinear.in_features, ref_qlinear.out_features, dtype=ref_qlinear.weight_dtype)
        result.set_weight_bias(ref_qlinear.get_quantized_weight(), ref_qlinear.bias)
        return result
