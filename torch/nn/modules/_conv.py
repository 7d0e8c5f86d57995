"""Convolutions."""

from __future__ import annotations

import math
from types import FunctionType

import torch

from .. import functional as F
from .. import init
from ..parameter import Parameter
from .module import Module
from .utils import _pair, _reverse_repeat_tuple, _single, _triple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class _ConvNd(Module):
    __constants__ = [
        "stride",
        "padding",
        "dilation",
        "groups",
        "padding_mode",
        "output_padding",
        "in_channels",
        "out_channels",
        "kernel_size",
    ]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size,
        stride,
        padding,
        dilation,
        transposed: bool,
        output_padding,
        groups: int,
        bias: bool,
        padding_mode: str,
        device=None,
        dtype=None,
    ) -> None:
        super().__init__()
        if groups <= 0:
            raise ValueError("groups must be a positive integer")
        if in_channels % groups != 0:
            raise ValueError("in_channels must be divisible by groups")
        if out_channels % groups != 0:
            raise ValueError("out_channels must be divisible by groups")
        if isinstance(padding, str):
            if padding not in ("same", "valid"):
                raise ValueError(f"Invalid padding string {padding!r}, should be one of {{'same', 'valid'}}")
            if padding == "same" and any(s != 1 for s in stride):
                raise ValueError("padding='same' is not supported for strided convolutions")
        if padding_mode not in _PADDING_MODES:
            raise ValueError(
                f"padding_mode must be one of {set(_PADDING_MODES)}, but got padding_mode='{padding_mode}'"
            )
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding
        self.dilation = dilation
        self.transposed = transposed
        self.output_padding = output_padding
        self.groups = groups
        self.padding_mode = padding_mode
        if isinstance(padding, str):
            around = [0] * (2 * len(kernel_size))
            if padding == "same":
                for axis, (d, k) in enumerate(zip(dilation, kernel_size, strict=True)):
                    total = d * (k - 1)
                    at = 2 * (len(kernel_size) - 1 - axis)
                    around[at], around[at + 1] = total // 2, total - total // 2
            self._reversed_padding_repeated_twice = around
        else:
            self._reversed_padding_repeated_twice = _reverse_repeat_tuple(padding, 2)
        if transposed:
            shape = (in_channels, out_channels // groups, *kernel_size)
        else:
            shape = (out_channels, in_channels // groups, *kernel_size)
        self.weight = Parameter(torch.empty(shape, device=device, dtype=dtype))
        if bias:
            self.bias = Parameter(torch.empty(out_channels, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new values, with bounds that shrink with the number of inputs of one output."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            fan_in, _ = init._calculate_fan_in_and_fan_out(self.weight)
            if fan_in != 0:
                bound = 1 / math.sqrt(fan_in)
                init.uniform_(self.bias, -bound, bound)

    def extra_repr(self) -> str:
        parts = [f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"]
        rank = len(self.kernel_size)
        if self.padding != (0,) * rank:
            parts.append(f"padding={self.padding}")
        if self.dilation != (1,) * rank:
            parts.append(f"dilation={self.dilation}")
        if self.output_padding != (0,) * rank:
            parts.append(f"output_padding={self.output_padding}")
        if self.groups != 1:
            parts.append(f"groups={self.groups}")
        if self.bias is None:
            parts.append("bias=False")
        if self.padding_mode != "zeros":
            parts.append(f"padding_mode={self.padding_mode}")
        return ", ".join(parts)

    def __setstate__(self, state) -> None:
        super().__setstate__(state)
        self.__dict__.setdefault("padding_mode", "zeros")

    def forward(self, input):
        params = self._parameters
        weight = params["weight"] if "weight" in params else self.weight
        return self._conv_forward(input, weight, params["bias"] if "bias" in params else self.bias)


def _own_init(cls: type) -> type:
    """Give a class its own copy of the constructor that it shares: Python's errors name the constructor's class."""
    shared = cls.__init__
    own = FunctionType(shared.__code__, shared.__globals__, "__init__", shared.__defaults__, shared.__closure__)
    own.__qualname__, own.__annotations__ = f"{cls.__qualname__}.__init__", shared.__annotations__
    cls.__init__ = own
    return cls


class _Convolution(_ConvNd):
    """What Conv1d to Conv3d share."""

    _tuple: Callable[[Any], tuple[int, ...]]
    _zeros: tuple[int, ...]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size,
        stride=1,
        padding=0,
        dilation=1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device=None,
        dtype=None,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            self._tuple(kernel_size),
            self._tuple(stride),
            padding if isinstance(padding, str) else self._tuple(padding),
            self._tuple(dilation),
            False,
            self._zeros,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    def _padded(self, input):
        return F.pad(input, self._reversed_padding_repeated_twice, mode=self.padding_mode)


@_own_init
class Conv1d(_Convolution):
    """Convolution of (N, C, L) or (C, L)."""

    _tuple, _zeros = staticmethod(_single), (0,)

    def _conv_forward(self, input, weight, bias):
        if self.padding_mode != "zeros":
            return F.conv1d(self._padded(input), weight, bias, self.stride, self._zeros, self.dilation, self.groups)
        return F.conv1d(input, weight, bias, self.stride, self.padding, self.dilation, self.groups)


@_own_init
class Conv2d(_Convolution):
    """Convolution of (N, C, H, W) or (C, H, W)."""

    _tuple, _zeros = staticmethod(_pair), (0, 0)

    def _conv_forward(self, input, weight, bias):
        if self.padding_mode != "zeros":
            return F.conv2d(self._padded(input), weight, bias, self.stride, self._zeros, self.dilation, self.groups)
        return F.conv2d(input, weight, bias, self.stride, self.padding, self.dilation, self.groups)


@_own_init
class Conv3d(_Convolution):
    """Convolution of (N, C, D, H, W) or (C, D, H, W)."""

    _tuple, _zeros = staticmethod(_triple), (0, 0, 0)

    def _conv_forward(self, input, weight, bias):
        if self.padding_mode != "zeros":
            return F.conv3d(self._padded(input), weight, bias, self.stride, self._zeros, self.dilation, self.groups)
        return F.conv3d(input, weight, bias, self.stride, self.padding, self.dilation, self.groups)


class _ConvTransposeNd(_ConvNd):
    def __init__(
        self,
        in_channels,
        out_channels,
        kernel_size,
        stride,
        padding,
        dilation,
        transposed,
        output_padding,
        groups,
        bias,
        padding_mode,
        device=None,
        dtype=None,
    ) -> None:
        if padding_mode != "zeros":
            raise ValueError(f'Only "zeros" padding mode is supported for {self.__class__.__name__}')
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            transposed,
            output_padding,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    def _output_padding(self, input, output_size, stride, padding, kernel_size, num_spatial_dims: int, dilation=None):
        if output_size is None:
            return _single(self.output_padding)
        n = num_spatial_dims
        rank = input.dim()
        batched = rank == n + 2
        wanted = list(output_size)
        leading = 2 if batched else 1
        if len(wanted) == leading + n:
            wanted = wanted[leading:]
        if len(wanted) != n:
            raise ValueError(
                f"ConvTranspose{n}D: for {rank}D input, output_size must have {n} or {leading + n} elements "
                f"(got {len(wanted)})"
            )
        result = []
        lows, highs = [], []
        for d in range(n):
            low = (input.size(d + leading) - 1) * stride[d] - 2 * padding[d]
            low += (dilation[d] if dilation is not None else 1) * (kernel_size[d] - 1) + 1
            lows.append(low)
            highs.append(low + stride[d] - 1)
        for size, low, high in zip(wanted, lows, highs, strict=True):
            if size < low or size > high:
                raise ValueError(
                    f"requested an output size of {output_size}, but valid sizes range "
                    f"from {lows} to {highs} (for an input of {input.size()[2:]})"
                )
            result.append(size - low)
        return result


class _TransposedConvolution(_ConvTransposeNd):
    """What ConvTranspose1d to ConvTranspose3d share."""

    _tuple: Callable[[Any], tuple[int, ...]]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size,
        stride=1,
        padding=0,
        output_padding=0,
        groups: int = 1,
        bias: bool = True,
        dilation=1,
        padding_mode: str = "zeros",
        device=None,
        dtype=None,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            self._tuple(kernel_size),
            self._tuple(stride),
            self._tuple(padding),
            self._tuple(dilation),
            True,
            self._tuple(output_padding),
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    def _settings(self, input, output_size) -> tuple[Any, ...]:
        """The arguments of the function after weight and bias."""
        n = len(self.kernel_size)
        extra = self._output_padding(input, output_size, self.stride, self.padding, self.kernel_size, n, self.dilation)
        return self.stride, self.padding, extra, self.groups, self.dilation


@_own_init
class ConvTranspose1d(_TransposedConvolution):
    """The transpose of ``Conv1d``."""

    _tuple = staticmethod(_single)

    def forward(self, input, output_size=None):
        return F.conv_transpose1d(input, self.weight, self.bias, *self._settings(input, output_size))


@_own_init
class ConvTranspose2d(_TransposedConvolution):
    """The transpose of ``Conv2d``."""

    _tuple = staticmethod(_pair)

    def forward(self, input, output_size=None):
        return F.conv_transpose2d(input, self.weight, self.bias, *self._settings(input, output_size))


@_own_init
class ConvTranspose3d(_TransposedConvolution):
    """The transpose of ``Conv3d``."""

    _tuple = staticmethod(_triple)

    def forward(self, input, output_size=None):
        return F.conv_transpose3d(input, self.weight, self.bias, *self._settings(input, output_size))
