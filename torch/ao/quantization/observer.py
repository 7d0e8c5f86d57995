"""Observers: modules that let tensors pass and note what quantising them will need."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn

from .utils import PER_CHANNEL, PER_TENSOR, calculate_qmin_qmax, determine_qparams, validate_qmin_qmax

_EPS = torch.finfo(torch.float32).eps
_DTYPES = (
    torch.qint8, torch.quint8, torch.quint4x2, torch.qint32, torch.int8, torch.uint8, torch.int16, torch.int32,
    torch.float8_e5m2, torch.float8_e4m3fn, torch.uint16,
)  # fmt: skip


class _PartialWrapper:
    """A class, or another such object, with some of its arguments.

    Those given as callables are called anew each time an object is made.
    """

    def __init__(self, p: Any) -> None:
        self.p = p
        self.callable_args: dict[str, Any] = {}

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        for name, make in self.callable_args.items():
            if name not in keywords:
                keywords[name] = make()
        return self.p(*args, **keywords)

    def __repr__(self) -> str:
        return repr(self.p) + repr(self.callable_args)

    def with_args(self, **kwargs: Any) -> _PartialWrapper:
        """The same with more arguments."""
        return _with_args(self, **kwargs)

    def with_callable_args(self, **kwargs: Any) -> _PartialWrapper:
        """The same with more arguments, made by functions."""
        result = _PartialWrapper(functools.partial(self.p))
        result.callable_args = {**self.callable_args, **kwargs}
        return result


def _with_args(cls_or_self: Any, **kwargs: Any) -> _PartialWrapper:
    result = _PartialWrapper(functools.partial(cls_or_self, **kwargs))
    return result


def _with_callable_args(cls_or_self: Any, **kwargs: Any) -> _PartialWrapper:
    result = _PartialWrapper(functools.partial(cls_or_self))
    return result.with_callable_args(**kwargs)


class ObserverBase(ABC, nn.Module):
    """What every observer is: a module that returns its input, and knows a scale and a zero point.

    Args:
        dtype: the quantised dtype.
        is_dynamic: whether the scale is found from the tensor at hand.
    """

    def __init__(self, dtype: Any, is_dynamic: bool = False) -> None:
        super().__init__()
        self.dtype, self.is_dynamic = dtype, is_dynamic

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Note what is in ``x``, and return it."""

    @abstractmethod
    def calculate_qparams(self, **kwargs: Any) -> Any:
        """The scale and the zero point."""

    with_args = classmethod(_with_args)
    with_callable_args = classmethod(_with_callable_args)


class UniformQuantizationObserverBase(ObserverBase):
    """Observers whose scale follows from the least and the greatest value.

    Args:
        dtype: the quantised dtype.
        qscheme: the kind of map.
        reduce_range: use one bit less, for processors whose sums of products of bytes overflow.
        quant_min: the least integer; the dtype's by default.
        quant_max: the greatest integer.
        factory_kwargs: ``device`` and ``dtype`` of the buffers.
        eps: the least scale.
        is_dynamic: whether the scale is found from the tensor at hand.

    Raises:
        NotImplementedError: for another kind of map than the five.
        AssertionError: for a dtype that is not quantised, and an impossible range of integers.
    """

    _version = 3
    eps: Tensor

    def __init__(
        self, dtype=torch.quint8, qscheme=torch.per_tensor_affine, reduce_range=False, quant_min=None, quant_max=None,
        factory_kwargs=None, eps=_EPS, is_dynamic=False, **kwargs,
    ) -> None:  # fmt: skip
        super().__init__(dtype=dtype, is_dynamic=is_dynamic, **kwargs)
        self.qscheme = qscheme
        self.reduce_range = reduce_range
        self.register_buffer("eps", torch.tensor([eps], **nn.factory_kwargs(factory_kwargs)))
        if qscheme not in PER_TENSOR + PER_CHANNEL:
            raise AssertionError(
                "Default Observer only works for per_tensor_affine, per_tensor_symmetric, per_channel_affine, "
                "per_channel_symmetric and per_channel_float_qparams quantization scheme"
            )
        if dtype not in _DTYPES:
            raise AssertionError(f"Default Observer only works for {_DTYPES} data type")
        self.has_customized_qrange = quant_min is not None and quant_max is not None
        if self.has_customized_qrange:
            validate_qmin_qmax(quant_min, quant_max)
        self.quant_min, self.quant_max = calculate_qmin_qmax(
            quant_min, quant_max, self.has_customized_qrange, dtype, reduce_range
        )

    def _calculate_qparams(self, min_val: Tensor, max_val: Tensor) -> tuple[Tensor, Tensor]:
        return determine_qparams(
            min_val, max_val, self.quant_min, self.quant_max, self.dtype, self.eps, self.has_customized_qrange,
            self.qscheme,
        )  # fmt: skip

    def _only(self, schemes: Any, text: str) -> None:
        if self.qscheme not in schemes:
            raise NotImplementedError(text)

    def reset_min_max_vals(self) -> None:
        """Forget what has been observed."""
        raise NotImplementedError("Cannot reset min/max values in the given observer.")


_ObserverBase = UniformQuantizationObserverBase


class MinMaxObserver(UniformQuantizationObserverBase):
    """Notes the least and the greatest value of all tensors seen.

    >>> observer = torch.ao.quantization.MinMaxObserver()
    >>> observer(torch.tensor([0.0, 2.55])).shape
    torch.Size([2])
    >>> observer.calculate_qparams()
    (tensor([0.0100]), tensor([0], dtype=torch.int32))
    """

    min_val: Tensor
    max_val: Tensor

    def __init__(
        self, dtype=torch.quint8, qscheme=torch.per_tensor_affine, reduce_range=False, quant_min=None, quant_max=None,
        factory_kwargs=None, eps=_EPS, is_dynamic=False, **kwargs,
    ) -> None:  # fmt: skip
        if qscheme not in PER_TENSOR:
            raise NotImplementedError(
                "MinMaxObserver's qscheme only support torch.per_tensor_symmetric                     and "
                "torch.per_tensor_affine."
            )
        super().__init__(
            dtype=dtype, qscheme=qscheme, reduce_range=reduce_range, quant_min=quant_min, quant_max=quant_max,
            factory_kwargs=factory_kwargs, eps=eps, is_dynamic=is_dynamic, **kwargs,
        )  # fmt: skip
        options = nn.factory_kwargs(factory_kwargs)
        self.register_buffer("min_val", torch.tensor(float("inf"), **options))
        self.register_buffer("max_val", torch.tensor(float("-inf"), **options))
        if self.qscheme is torch.per_tensor_symmetric and self.reduce_range and self.dtype == torch.quint8:
            raise NotImplementedError("Cannot reduce range for symmetric                 quantization for quint8")

    def forward(self, x_orig):
        """Widen the range by that of ``x_orig``, and return it."""
        if x_orig.numel() == 0:
            return x_orig
        least, greatest = torch.aminmax(x_orig.detach().to(self.min_val.dtype))
        self.min_val.copy_(torch.min(least, self.min_val))
        self.max_val.copy_(torch.max(greatest, self.max_val))
        return x_orig

    def calculate_qparams(self):
        """The scale and the zero point, each of shape (1,)."""
        return self._calculate_qparams(self.min_val, self.max_val)

    def extra_repr(self):
        return f"min_val={self.min_val}, max_val={self.max_val}"

    def reset_min_max_vals(self):
        """Forget what has been observed."""
        self.min_val.copy_(torch.tensor(float("inf")))
        self.max_val.copy_(torch.tensor(float("-inf")))


class MovingAverageMinMaxObserver(MinMaxObserver):
    """Notes moving averages of the least and the greatest value: ``x = x + averaging_constant * (new - x)``."""

    def __init__(
        self, averaging_constant=0.01, dtype=torch.quint8, qscheme=torch.per_tensor_affine, reduce_range=False,
        quant_min=None, quant_max=None, eps=_EPS, is_dynamic=False, **kwargs,
    ) -> None:  # fmt: skip
        if qscheme not in PER_TENSOR:
            raise NotImplementedError(
                "MovingAverageMinMaxObserver's qscheme only support                 torch.per_tensor_symmetric and "
                f"torch.per_tensor_affine.                 but got: {qscheme}"
            )
        self.averaging_constant = averaging_constant
        if is_dynamic and averaging_constant != 1:
            raise NotImplementedError(
                "MovingAverageMinMaxObserver doesn't support dynamic quantization for "
                f"averaging constant of {averaging_constant}"
            )
        super().__init__(
            dtype=dtype, qscheme=qscheme, reduce_range=reduce_range, quant_min=quant_min, quant_max=quant_max, eps=eps,
            is_dynamic=is_dynamic, **kwargs,
        )  # fmt: skip

    def forward(self, x_orig):
        """Move the range towards that of ``x_orig``, and return it."""
        if x_orig.numel() == 0:
            return x_orig
        least, greatest = torch.aminmax(x_orig.detach().to(self.min_val.dtype))
        if self.min_val == float("inf") and self.max_val == float("-inf"):
            self.min_val.copy_(least)
            self.max_val.copy_(greatest)
        else:
            self.min_val.copy_(self.min_val + self.averaging_constant * (least - self.min_val))
            self.max_val.copy_(self.max_val + self.averaging_constant * (greatest - self.max_val))
        return x_orig


class PerChannelMinMaxObserver(UniformQuantizationObserverBase):
    """Notes the least and the greatest value for each index of the dimension ``ch_axis``."""

    min_val: Tensor
    max_val: Tensor

    def __init__(
        self, ch_axis=0, dtype=torch.quint8, qscheme=torch.per_channel_affine, reduce_range=False, quant_min=None,
        quant_max=None, factory_kwargs=None, eps=_EPS, is_dynamic=False, **kwargs,
    ) -> None:  # fmt: skip
        if qscheme not in PER_CHANNEL:
            raise NotImplementedError(
                "PerChannelMinMaxObserver's qscheme only support                     torch.per_channel_symmetric, "
                "torch.per_channel_affine and torch.per_channel_affine_float_qparams."
            )
        if is_dynamic:
            raise NotImplementedError("PerChannelMinMaxObserver doesn't support dynamic quantization")
        super().__init__(
            dtype=dtype, qscheme=qscheme, reduce_range=reduce_range, quant_min=quant_min, quant_max=quant_max,
            factory_kwargs=factory_kwargs, eps=eps, is_dynamic=is_dynamic, **kwargs,
        )  # fmt: skip
        options = nn.factory_kwargs(factory_kwargs)
        self.ch_axis = ch_axis
        self.register_buffer("min_val", torch.tensor([], **options))
        self.register_buffer("max_val", torch.tensor([], **options))
        if self.qscheme is torch.per_channel_symmetric and self.reduce_range and self.dtype == torch.quint8:
            raise NotImplementedError("Cannot reduce range for symmetric quantization for quint8")

    def forward(self, x_orig):
        """Widen the ranges by those of ``x_orig``, and return it."""
        return self._observe(x_orig, lambda old, new, widest: widest(old, new))

    def _observe(self, x_orig: Tensor, merge: Any) -> Tensor:
        if x_orig.numel() == 0:
            return x_orig
        rows = x_orig.detach().to(self.min_val.dtype).movedim(self.ch_axis, 0).flatten(1)
        least, greatest = torch.aminmax(rows, dim=1)
        if self.min_val.numel():
            least, greatest = merge(self.min_val, least, torch.min), merge(self.max_val, greatest, torch.max)
        self.min_val.resize_(least.shape).copy_(least)
        self.max_val.resize_(greatest.shape).copy_(greatest)
        return x_orig

    def calculate_qparams(self):
        """The scales and the zero points, each of shape (C,)."""
        return self._calculate_qparams(self.min_val, self.max_val)

    def extra_repr(self):
        return f"min_val={self.min_val}, max_val={self.max_val}"

    def _load_from_state_dict(
        self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
    ):
        # the number of channels is the file's
        for name in ("min_val", "max_val"):
            value = state_dict.get(prefix + name)
            if value is not None:
                getattr(self, name).resize_(value.shape)
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )

    def reset_min_max_vals(self):
        """Forget what has been observed."""
        self.min_val = torch.rand(0)
        self.max_val = torch.rand(0)


class MovingAveragePerChannelMinMaxObserver(PerChannelMinMaxObserver):
    """Notes moving averages of the least and the greatest value for each index of the dimension ``ch_axis``."""

    def __init__(
        self, averaging_constant=0.01, ch_axis=0, dtype=torch.quint8, qscheme=torch.per_channel_affine,
        reduce_range=False, quant_min=None, quant_max=None, eps=_EPS, is_dynamic=False, **kwargs,
    ) -> None:  # fmt: skip
        if is_dynamic:
            raise NotImplementedError("MovingAveragePerChannelMinMaxObserver doesn't support dynamic quantization")
        super().__init__(
            ch_axis=ch_axis, dtype=dtype, qscheme=qscheme, reduce_range=reduce_range, quant_min=quant_min,
            quant_max=quant_max, eps=eps, is_dynamic=is_dynamic, **kwargs,
        )  # fmt: skip
        self.averaging_constant = averaging_constant

    def forward(self, x_orig):
        """Move the ranges towards those of ``x_orig``, and return it."""
        return self._observe(x_orig, lambda old, new, widest: old + self.averaging_constant * (new - old))


class FixedQParamsObserver(ObserverBase):
    """Knows a scale and a zero point from the start.

    Args:
        scale: the scale.
        zero_point: the zero point.
        dtype: the quantised dtype.
        qscheme: the kind of map.
        quant_min: the least integer.
        quant_max: the greatest integer.
        is_dynamic: must be False.
    """

    scale: Tensor
    zero_point: Tensor

    def __init__(
        self, scale, zero_point, dtype=torch.quint8, qscheme=torch.per_tensor_affine, quant_min=0, quant_max=255,
        is_dynamic=False, **kwargs,
    ):  # fmt: skip
        if is_dynamic:
            raise NotImplementedError("FixedQParamsObserver doesn't support dynamic quantization")
        super().__init__(dtype=dtype, is_dynamic=is_dynamic, **kwargs)
        self.quant_min, self.quant_max = quant_min, quant_max
        self.register_buffer("scale", torch.tensor([scale], dtype=torch.float))
        self.register_buffer("zero_point", torch.tensor([zero_point], dtype=torch.int))
        self.dtype, self.qscheme = dtype, qscheme

    def forward(self, X):
        """Return the input."""
        return X

    def calculate_qparams(self):
        """The scale and the zero point."""
        return self.scale, self.zero_point


class PlaceholderObserver(ObserverBase):
    """Notes nothing: says which dtype a tensor is to be converted to.

    Args:
        dtype: the dtype.
        custom_op_name: what the conversion is for.
        compute_dtype: the dtype of dynamic quantisation (deprecated: ``dtype`` with ``is_dynamic``).
        quant_min: the least integer.
        quant_max: the greatest integer.
        qscheme: the kind of map.
        eps: the least scale.
        is_dynamic: whether the scale is found from the tensor at hand.
    """

    def __init__(
        self, dtype=torch.float32, custom_op_name="", compute_dtype=None, quant_min=None, quant_max=None, qscheme=None,
        eps=None, is_dynamic=False,
    ) -> None:  # fmt: skip
        super().__init__(dtype=dtype, is_dynamic=is_dynamic)
        self.qscheme = torch.per_tensor_affine if qscheme is None else qscheme
        self.quant_min, self.quant_max = quant_min, quant_max
        self.eps = _EPS if eps is None else eps
        self.custom_op = custom_op_name
        if compute_dtype:
            import warnings

            warnings.warn(
                "Please use `is_dynamic` instead of `compute_dtype`.                     `compute_dtype` will be "
                "deprecated in a future release                     of PyTorch.",
                stacklevel=2,
            )
            self.is_dynamic = True

    def forward(self, x):
        """Return the input."""
        return x

    def extra_repr(self):
        return f"dtype={self.dtype}, is_dynamic={self.is_dynamic}"

    def calculate_qparams(self):
        """Raise Exception: there are none."""
        raise Exception("calculate_qparams should not be called for PlaceholderObserver")


class RecordingObserver(ObserverBase):
    """Keeps copies of all tensors seen."""

    def __init__(self, dtype=torch.quint8):
        super().__init__(dtype=dtype, is_dynamic=False)
        self.tensor_val: list[Tensor] = []

    def forward(self, x):
        """Keep a copy, and return the input."""
        self.tensor_val.append(x.clone())
        return x

    def calculate_qparams(self):
        """Raise Exception: there are none."""
        raise Exception("calculate_qparams should not be called for RecordingObserver")

    def get_tensor_value(self):
        """The copies."""
        return self.tensor_val


class NoopObserver(ObserverBase):
    """Notes nothing: says that a tensor is to be converted to a floating-point dtype."""

    def __init__(self, dtype=torch.float16, custom_op_name="") -> None:
        super().__init__(dtype=dtype, is_dynamic=False)
        self.dtype, self.custom_op = dtype, custom_op_name

    def forward(self, x):
        """Return the input."""
        return x

    def calculate_qparams(self):
        """Raise Exception: there are none."""
        raise Exception("calculate_qparams should not be called for NoopObserver")


class ReuseInputObserver(ObserverBase):
    """Notes nothing: the output has the map of the input."""

    def __init__(self) -> None:
        super().__init__(torch.quint8, is_dynamic=False)

    def forward(self, x):
        """Return the input."""
        return x

    def calculate_qparams(self):
        """Raise Exception: there are none."""
        raise Exception("calculate_qparams should not be called for ReuseInputObserver")


# ---- observers in models


def _is_activation_post_process(module: Any) -> bool:
    from .fake_quantize import FakeQuantizeBase

    return isinstance(module, (ObserverBase, FakeQuantizeBase))


def get_observer_state_dict(mod: nn.Module) -> OrderedDict[str, Any]:
    """The entries of a model's state that belong to its observers."""
    found: OrderedDict[str, Any] = OrderedDict()
    for name, value in mod.state_dict().items():
        if "activation_post_process" in name:
            found[name] = value
    return found


def load_observer_state_dict(mod: nn.Module, obs_dict: dict[str, Any]) -> None:
    """Load what ``get_observer_state_dict`` gave.

    Raises:
        RuntimeError: if entries of observers are missing, or there are more.
    """
    missing, unexpected = mod.load_state_dict(obs_dict, strict=False)
    missing = [name for name in missing if "activation_post_process" in name]
    if missing or unexpected:
        raise RuntimeError(
            f"load_observer_state_dict(): keys are missing: {missing}, and these have no place: {list(unexpected)}"
        )


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in ("HistogramObserver", "default_histogram_observer"):
        return getattr(import_module("torch.ao.quantization._histogram"), name)
    if name in _TORCHAO:
        return getattr(import_module("torch.ao.quantization._granularity"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


_TORCHAO = frozenset(
    """
    AffineQuantizedObserverBase Granularity MappingType PerAxis PerBlock PerGroup PerRow PerTensor PerToken TorchAODType
    ZeroPointDomain get_block_size
    """.split()
)

default_observer = MinMaxObserver.with_args(quant_min=0, quant_max=127)
default_placeholder_observer = PlaceholderObserver
default_debug_observer = RecordingObserver
default_weight_observer = MinMaxObserver.with_args(dtype=torch.qint8, qscheme=torch.per_tensor_symmetric)
weight_observer_range_neg_127_to_127 = MinMaxObserver.with_args(
    dtype=torch.qint8, qscheme=torch.per_tensor_symmetric, quant_min=-127, quant_max=127, eps=2**-12
)
default_per_channel_weight_observer = PerChannelMinMaxObserver.with_args(
    dtype=torch.qint8, qscheme=torch.per_channel_symmetric
)
per_channel_weight_observer_range_neg_127_to_127 = PerChannelMinMaxObserver.with_args(
    dtype=torch.qint8, qscheme=torch.per_channel_symmetric, quant_min=-127, quant_max=127, eps=2**-12
)
default_dynamic_quant_observer = PlaceholderObserver.with_args(
    dtype=torch.quint8, quant_min=0, quant_max=255, is_dynamic=True
)
default_float_qparams_observer = PerChannelMinMaxObserver.with_args(
    dtype=torch.quint8, qscheme=torch.per_channel_affine_float_qparams, ch_axis=0
)
default_float_qparams_observer_4bit = PerChannelMinMaxObserver.with_args(
    dtype=torch.quint4x2, qscheme=torch.per_channel_affine_float_qparams, ch_axis=0
)
default_fixed_qparams_range_neg1to1_observer = FixedQParamsObserver.with_args(
    scale=2.0 / 256.0, zero_point=128, dtype=torch.quint8, quant_min=0, quant_max=255
)
default_fixed_qparams_range_0to1_observer = FixedQParamsObserver.with_args(
    scale=1.0 / 256.0, zero_point=0, dtype=torch.quint8, quant_min=0, quant_max=255
)
default_symmetric_fixed_qparams_observer = default_fixed_qparams_range_neg1to1_observer
default_affine_fixed_qparams_observer = default_fixed_qparams_range_0to1_observer
default_reuse_input_observer = ReuseInputObserver
