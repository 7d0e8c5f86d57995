"""Convolutions of quantised tensors."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's name here
from torch import Tensor, nn
from torch.ao.nn.intrinsic.modules import fused
from torch.nn.modules.utils import _pair, _reverse_repeat_tuple, _single, _triple
from torch.nn.utils import fuse_conv_bn_weights

from .utils import NumberState, WeightedQuantizedModule, _quantize_weight, set_output

__all__ = ["Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]

_SUPPORTED_PADDING = {"zeros", "reflect"}


class _ConvNd(NumberState, WeightedQuantizedModule):
    """What all six convolutions share."""

    _operation = ""
    _FLOAT_MODULE: Any
    _NNIQAT_CONV_BN_MODULE: Any = None
    _NNI_CONV_RELU_MODULE: Any = None
    _NNI_CONV_ADD_MODULE: Any = None
    _NNI_CONV_ADD_RELU_MODULE: Any = None

    def _init(
        self, in_channels, out_channels, kernel_size, stride, padding, dilation, transposed, output_padding, groups,
        bias, padding_mode="zeros", device=None, dtype=None,
    ) -> None:  # fmt: skip
        nn.Module.__init__(self)
        if in_channels % groups != 0:
            raise ValueError("in_channels must be divisible by groups")
        if out_channels % groups != 0:
            raise ValueError("out_channels must be divisible by groups")
        self.in_channels, self.out_channels, self.kernel_size = in_channels, out_channels, kernel_size
        self.stride, self.padding, self.dilation = stride, padding, dilation
        self.transposed, self.output_padding, self.groups = transposed, output_padding, groups
        if padding_mode not in _SUPPORTED_PADDING:
            raise ValueError(f"'padding_mode' {padding_mode} is not supported by quantized convolution")
        self.padding_mode = padding_mode
        channels = [in_channels, out_channels // groups] if transposed else [out_channels, in_channels // groups]
        weight = torch._empty_affine_quantized(channels + list(kernel_size), scale=1, zero_point=0, dtype=torch.qint8)
        self.set_weight_bias(weight, torch.zeros(out_channels, dtype=torch.float) if bias else None)
        self.scale, self.zero_point = 1.0, 0

    def set_weight_bias(self, w: Tensor, b: Tensor | None) -> None:
        """Take a quantised weight and a bias."""
        padding = self.padding if self.padding_mode == "zeros" else (0,) * len(self.kernel_size)
        extra = [self.output_padding] if self.transposed else []
        prepack = getattr(torch.ops.quantized, f"{self._operation}_prepack")
        self._packed_params = prepack(w, b, self.stride, padding, *extra, self.dilation, self.groups)

    def _weight_bias(self):
        return self._packed_params.unpack()

    def weight(self):
        """The quantised weight."""
        return self._weight_bias()[0]

    def bias(self):
        """The bias, (out,), or None."""
        return self._weight_bias()[1]

    def extra_repr(self):
        text = (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"scale={self.scale}, zero_point={self.zero_point}"
        )
        ones, zeros = (1,) * len(self.dilation), (0,) * len(self.padding)
        if self.padding != zeros:
            text += f", padding={self.padding}"
        if self.dilation != ones:
            text += f", dilation={self.dilation}"
        if self.output_padding != (0,) * len(self.output_padding):
            text += f", output_padding={self.output_padding}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        return text + (", bias=False" if self.bias() is None else "")

    def _run(self, input: Tensor, operation: str) -> Tensor:
        dims = len(self.kernel_size) + 2
        if input.dim() != dims:
            shape = "(N, C, L)" if dims == 3 else "(N, C, H, W)" if dims == 4 else "(N, C, D, H, W)"
            raise ValueError(f"Input shape must be `{shape}`!")
        if self.padding_mode != "zeros":
            input = F.pad(input, _reverse_repeat_tuple(self.padding, 2), mode=self.padding_mode)
        return getattr(torch.ops.quantized, operation)(input, self._packed_params, self.scale, self.zero_point)

    def forward(self, input):
        """The convolution of a quantised tensor, quantised."""
        return self._run(input, self._operation)

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        nn.Module._save_to_state_dict(self, destination, prefix, keep_vars)
        destination[prefix + "weight"], destination[prefix + "bias"] = self._weight_bias()
        destination[prefix + "scale"] = torch.tensor(self.scale)
        destination[prefix + "zero_point"] = torch.tensor(self.zero_point)

    def _load_from_state_dict(
        self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
    ):
        self.set_weight_bias(state_dict.pop(prefix + "weight"), state_dict.pop(prefix + "bias"))
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )

    @classmethod
    def get_qconv(cls, mod, activation_post_process, weight_post_process=None):
        """A quantised convolution with the parameters of ``mod``, by what two observers say.

        Raises:
            AssertionError: for weights of another dtype than qint8.
        """
        if weight_post_process is None:
            weight_post_process = mod.qconfig.weight()
        weight_post_process(mod.weight)
        return cls._converted(mod, activation_post_process, weight_post_process)

    @classmethod
    def _converted(cls, mod, activation, observer):
        if observer.dtype != torch.qint8:
            raise AssertionError("Weight observer must have a dtype of qint8")
        result = cls._make(mod)
        result.set_weight_bias(_quantize_weight(mod.weight.float(), observer), mod.bias)
        if activation is None or activation.dtype == torch.float:
            return result  # quantised by the input's own range
        return set_output(result, *activation.calculate_qparams())

    @classmethod
    def _make(cls, mod):
        return cls(
            mod.in_channels, mod.out_channels, mod.kernel_size, mod.stride, mod.padding, mod.dilation, mod.groups,
            mod.bias is not None, mod.padding_mode,
        )  # fmt: skip

    @classmethod
    def from_float(cls, mod, use_precomputed_fake_quant=False):
        """Take the place of a convolution after calibration or training, with what its observers say.

        Args:
            mod: a convolution with ``qconfig`` and ``activation_post_process``, fused or not, or one that was trained
                with a rounded weight.
            use_precomputed_fake_quant: take the scale that the weight has, instead of observing it once more.

        Raises:
            AssertionError: for another class of module, and weights of another dtype than qint8.
        """
        if hasattr(mod, "weight_fake_quant"):
            if hasattr(mod, "bn"):
                mod.weight, mod.bias = fuse_conv_bn_weights(
                    mod.weight,
                    mod.bias,
                    mod.bn.running_mean,
                    mod.bn.running_var,
                    mod.bn.eps,
                    mod.bn.weight,
                    mod.bn.bias,
                )
            if not hasattr(mod, "activation_post_process"):
                raise AssertionError("Input QAT module must have observer attached")
            observer, activation = mod.weight_fake_quant, mod.activation_post_process
        else:
            if type(mod) is not cls._FLOAT_MODULE:
                raise AssertionError(
                    f" nnq.{cls.__name__}.from_float only works for {cls._FLOAT_MODULE.__name__} but got:{type(mod)}"
                )
            if not hasattr(mod, "qconfig"):
                raise AssertionError("Input float module must have qconfig defined.")
            activation, qconfig = getattr(mod, "activation_post_process", None), mod.qconfig
            if isinstance(mod, fused._FusedModule):
                mod = mod[0]
            observer = qconfig.weight()
        if not use_precomputed_fake_quant:
            observer(mod.weight)
        return cls._converted(mod, activation, observer)

    @classmethod
    def from_reference(cls, ref_qconv, output_scale, output_zero_point):
        """Take the place of a reference module, with the given map of the output."""
        result = cls._make(ref_qconv)
        result.set_weight_bias(ref_qconv.get_quantized_weight(), ref_qconv.bias)
        return set_output(result, output_scale, output_zero_point)


def _setup(module, size, args, bias, padding_mode):
    in_channels, out_channels, kernel_size, stride, padding, dilation, groups = args
    padding = padding if isinstance(padding, str) else size(padding)
    module._init(
        in_channels, out_channels, size(kernel_size), size(stride), padding, size(dilation), False, size(0), groups,
        bias, padding_mode,
    )  # fmt: skip


class Conv1d(_ConvNd):
    """``nn.Conv1d`` of quantised tensors, with a quantised weight.

    Raises:
        ValueError: for padding modes other than "zeros" and "reflect".
    """

    _operation = "conv1d"
    _FLOAT_MODULE = nn.Conv1d
    _NNI_CONV_RELU_MODULE = fused.ConvReLU1d

    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True,
        padding_mode="zeros", device=None, dtype=None,
    ):  # fmt: skip
        args = (in_channels, out_channels, kernel_size, stride, padding, dilation, groups)
        _setup(self, _single, args, bias, padding_mode)

    def _get_name(self):
        return "QuantizedConv1d"


class Conv2d(_ConvNd):
    """``nn.Conv2d`` of quantised tensors, with a quantised weight.

    Raises:
        ValueError: for padding modes other than "zeros" and "reflect".
    """

    _operation = "conv2d"
    _FLOAT_MODULE = nn.Conv2d
    _NNI_CONV_RELU_MODULE = fused.ConvReLU2d
    _NNI_CONV_ADD_MODULE = fused.ConvAdd2d
    _NNI_CONV_ADD_RELU_MODULE = fused.ConvAddReLU2d

    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True,
        padding_mode="zeros", device=None, dtype=None,
    ):  # fmt: skip
        args = (in_channels, out_channels, kernel_size, stride, padding, dilation, groups)
        _setup(self, _pair, args, bias, padding_mode)

    def _get_name(self):
        return "QuantizedConv2d"


class Conv3d(_ConvNd):
    """``nn.Conv3d`` of quantised tensors, with a quantised weight.

    Raises:
        ValueError: for padding modes other than "zeros".
    """

    _operation = "conv3d"
    _FLOAT_MODULE = nn.Conv3d
    _NNI_CONV_RELU_MODULE = fused.ConvReLU3d

    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True,
        padding_mode="zeros", device=None, dtype=None,
    ):  # fmt: skip
        if padding_mode == "reflect":
            raise AssertionError("Conv3d does not support reflection padding")
        args = (in_channels, out_channels, kernel_size, stride, padding, dilation, groups)
        _setup(self, _triple, args, bias, padding_mode)

    def _get_name(self):
        return "QuantizedConv3d"


class _ConvTransposeNd(_ConvNd):
    """What transposed convolutions share."""

    _size: Any

    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, output_padding=0, groups=1, bias=True,
        dilation=1, padding_mode="zeros", device=None, dtype=None,
    ):  # fmt: skip
        if padding_mode != "zeros":
            raise ValueError(f'Only "zeros" padding mode is supported for {self.__class__.__name__}')
        size = type(self)._size
        self._init(
            in_channels, out_channels, size(kernel_size), size(stride), size(padding), size(dilation), True,
            size(output_padding), groups, bias, padding_mode,
        )  # fmt: skip

    def _input_padding(self, kernel_size: list[int], dilation: list[int], padding: list[int]) -> list[int]:
        """The padding of a convolution that does the same on the spread input."""
        return [d * (k - 1) - p for k, d, p in zip(kernel_size, dilation, padding, strict=True)]

    @classmethod
    def _make(cls, mod):
        return cls(
            mod.in_channels, mod.out_channels, mod.kernel_size, mod.stride, mod.padding, mod.output_padding, mod.groups,
            mod.bias is not None, mod.dilation, mod.padding_mode,
        )  # fmt: skip


class ConvTranspose1d(_ConvTransposeNd):
    """``nn.ConvTranspose1d`` of quantised tensors, with a quantised weight; ValueError for padding modes."""

    _operation = "conv_transpose1d"
    _FLOAT_MODULE = nn.ConvTranspose1d
    _size = staticmethod(_single)

    def _get_name(self):
        return "QuantizedConvTranspose1d"


class ConvTranspose2d(_ConvTransposeNd):
    """``nn.ConvTranspose2d`` of quantised tensors, with a quantised weight; ValueError for padding modes."""

    _operation = "conv_transpose2d"
    _FLOAT_MODULE = nn.ConvTranspose2d
    _size = staticmethod(_pair)

    def _get_name(self):
        return "QuantizedConvTranspose2d"


class ConvTranspose3d(_ConvTransposeNd):
    """``nn.ConvTranspose3d`` of quantised tensors, with a quantised weight; ValueError for padding modes."""

    _operation = "conv_transpose3d"
    _FLOAT_MODULE = nn.ConvTranspose3d
    _size = staticmethod(_triple)

    def _get_name(self):
        return "QuantizedConvTranspose3d"
