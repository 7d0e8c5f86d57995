"""Ranges of integers, the scales and zero points that follow from observed ranges, and questions about qconfigs."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor

from .quant_type import QuantType

# Sizes of the integers of dtypes that values are quantised to.
_BITS = {
    torch.qint8: 8, torch.int8: 8, torch.quint8: 8, torch.uint8: 8, torch.qint32: 32, torch.int32: 32, torch.int16: 16,
    torch.uint16: 16, torch.quint4x2: 4,
}  # fmt: skip
_SIGNED = (torch.qint8, torch.int8, torch.qint32, torch.int32, torch.int16)

PER_TENSOR = (torch.per_tensor_affine, torch.per_tensor_symmetric)
PER_CHANNEL = (torch.per_channel_affine, torch.per_channel_affine_float_qparams, torch.per_channel_symmetric)
SYMMETRIC = (torch.per_tensor_symmetric, torch.per_channel_symmetric)


def is_per_tensor(qscheme: Any) -> bool:
    """Whether there is one scale for a whole tensor."""
    return qscheme in PER_TENSOR


def is_per_channel(qscheme: Any) -> bool:
    """Whether there is a scale for each channel."""
    return qscheme in PER_CHANNEL


def to_underlying_dtype(qdtype: torch.dtype) -> torch.dtype:
    """The dtype of a quantised dtype's integers.

    >>> torch.ao.quantization.utils.to_underlying_dtype(torch.quint8)
    torch.uint8
    """
    known = {
        torch.quint8: torch.uint8, torch.qint8: torch.int8, torch.qint32: torch.int32, torch.quint4x2: torch.uint8,
        torch.quint2x4: torch.uint8, torch.uint8: torch.uint8, torch.int8: torch.int8, torch.uint16: torch.uint16,
        torch.int16: torch.int16, torch.int32: torch.int32, torch.float8_e5m2: torch.float8_e5m2,
        torch.float8_e4m3fn: torch.float8_e4m3fn,
    }  # fmt: skip
    if qdtype not in known:
        raise AssertionError("Unsupported dtype: " + str(qdtype))
    return known[qdtype]


def validate_qmin_qmax(quant_min: int, quant_max: int) -> None:
    """Raise AssertionError for a range of integers that is empty or does not hold zero."""
    if not quant_min <= 0 <= quant_max:
        raise AssertionError("Used-specified quantization range must include 0.")
    if quant_min >= quant_max:
        raise AssertionError("qmin must be strictly less than qmax for user-specified quantization range.")


def calculate_qmin_qmax(
    quant_min: Any, quant_max: Any, has_customized_qrange: bool, dtype: torch.dtype, reduce_range: bool
) -> tuple[int, int]:
    """The range of integers of a dtype, or the given one; with ``reduce_range`` half of it.

    Raises:
        AssertionError: if the given range is larger than the dtype's.
    """
    bits = _BITS.get(dtype, 8)
    if has_customized_qrange:
        low, high = quant_min, quant_max
        if bits < 32 and not 0 < high - low + 1 <= 2**bits:
            raise AssertionError(
                f"quantization range should be positive and not exceed the maximum bit range (={2**bits})."
            )
        return (low // 2, high // 2) if reduce_range else (low, high)
    if dtype in _SIGNED:
        low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    else:
        low, high = 0, 2**bits - 1
    if reduce_range and bits == 8:
        return -(-low // 2) if low else 0, high // 2
    return low, high


def check_min_max_valid(min_val: Tensor, max_val: Tensor) -> bool:
    """Whether a range has been observed; AssertionError where it is upside down."""
    if min_val.numel() == 0 or max_val.numel() == 0:
        warnings.warn(
            "must run observer before calling calculate_qparams. Returning default values.", UserWarning, stacklevel=2
        )
        return False
    if min_val.dim() == 0 or max_val.dim() == 0:
        if bool(min_val == float("inf")) and bool(max_val == float("-inf")):
            warnings.warn(
                "must run observer before calling calculate_qparams. Returning default values.",
                UserWarning,
                stacklevel=2,
            )
            return False
    if not bool((min_val <= max_val).all()):
        raise AssertionError(f"min {min_val} should be less than max {max_val}")
    return True


def determine_qparams(
    min_val: Tensor, max_val: Tensor, quant_min: int, quant_max: int, dtype: torch.dtype, eps: Tensor,
    has_customized_qrange: bool, qscheme: Any = torch.per_tensor_affine,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The scale and the zero point for an observed range, which is widened to hold zero.

    Args:
        min_val: the least value, of shape () or (C,).
        max_val: the greatest value.
        quant_min: the least integer.
        quant_max: the greatest integer.
        dtype: the quantised dtype.
        eps: the least scale.
        has_customized_qrange: whether the integers' range is not the dtype's own.
        qscheme: the kind of map; symmetric ones put zero in the middle.

    Returns:
        The scale, float32, and the zero point, an integer (float32 for ``per_channel_affine_float_qparams``); (1,) for
        one range.
    """
    if not check_min_max_valid(min_val, max_val):
        return torch.tensor([1.0], device=min_val.device.type), torch.tensor([0], device=min_val.device.type)
    below, above = torch.clamp(min_val, max=0), torch.clamp(max_val, min=0)
    scale = torch.ones(below.shape, dtype=torch.float32, device=below.device)
    zero_point = torch.zeros(below.shape, dtype=torch.int64, device=below.device)
    eps = eps.to(below.device)
    if qscheme in SYMMETRIC:
        scale = torch.max(torch.max(-below, above) / (float(quant_max - quant_min) / 2), eps)
        if dtype in (torch.uint8, torch.quint8):
            middle = (quant_min + quant_max) // 2 if has_customized_qrange else 128
            zero_point = zero_point.new_full(below.shape, middle)
    elif qscheme is torch.per_channel_affine_float_qparams:
        scale = (max_val - min_val) / float(quant_max - quant_min)
        scale = torch.where(scale > eps, scale, torch.ones_like(scale))
        zero_point = -min_val / scale
    else:
        scale = torch.max((above - below) / float(quant_max - quant_min), eps)
        zero_point = quant_min - (below / scale).round().to(torch.int32)
        zero_point = zero_point.clamp(quant_min, quant_max)
    if scale.dim() == 0:
        scale = scale.reshape(1)
    if zero_point.dim() == 0:
        zero_point = zero_point.reshape(1)
    return scale, zero_point


def get_combined_dict(default_dict: dict[Any, Any], additional_dict: dict[Any, Any]) -> dict[Any, Any]:
    """A copy of one dictionary with the entries of another."""
    return {**default_dict, **additional_dict}


def get_qparam_dict(observer_or_fake_quant: Any) -> dict[str, Any]:
    """What an observer says about the map: qscheme, dtype, axis, range, scale and zero point."""
    qscheme = getattr(observer_or_fake_quant, "qscheme", None)
    found: dict[str, Any] = {"qscheme": qscheme, "dtype": observer_or_fake_quant.dtype}
    if qscheme is None or isinstance(observer_or_fake_quant, _placeholder()):
        return {"qscheme": None, "dtype": found["dtype"]}
    if qscheme in SYMMETRIC:
        plain = torch.per_tensor_affine if is_per_tensor(qscheme) else torch.per_channel_affine
        found["qscheme"] = plain
    scale, zero_point = observer_or_fake_quant.calculate_qparams()
    found |= {"scale": scale, "zero_point": zero_point}
    if is_per_channel(qscheme):
        found["axis"] = observer_or_fake_quant.ch_axis
    for name in ("quant_min", "quant_max"):
        if hasattr(observer_or_fake_quant, name):
            found[name] = getattr(observer_or_fake_quant, name)
    return found


def _placeholder() -> Any:
    from .observer import PlaceholderObserver

    return PlaceholderObserver


def get_swapped_custom_module_class(custom_module: Any, custom_module_class_mapping: Any, qconfig: Any) -> Any:
    """The class that takes the place of a custom module's; AssertionError if there is none."""
    mapping = custom_module_class_mapping.get(get_quant_type(qconfig), {})
    if type(custom_module) not in mapping:
        raise AssertionError(
            f"did not find corresponding observed module class for {type(custom_module)} in mapping: {mapping}"
        )
    return mapping[type(custom_module)]


# ---- what a qconfig asks for


def activation_dtype(qconfig: Any) -> Any:
    """The dtype of activations."""
    return qconfig.activation().dtype


def weight_dtype(qconfig: Any) -> Any:
    """The dtype of weights."""
    return qconfig.weight().dtype


_STATIC = (
    torch.quint8, torch.qint8, torch.qint32, torch.float16, torch.uint8, torch.int8, torch.int16, torch.int32,
    torch.float8_e5m2, torch.float8_e4m3fn,
)  # fmt: skip


def activation_is_statically_quantized(qconfig: Any) -> bool:
    """Whether activations get their scale before they are seen."""
    return activation_dtype(qconfig) in _STATIC and not activation_is_dynamically_quantized(qconfig)


def activation_is_dynamically_quantized(qconfig: Any) -> bool:
    """Whether activations get their scale from themselves."""
    return bool(getattr(qconfig.activation(), "is_dynamic", False))


def activation_is_int8_quantized(qconfig: Any) -> bool:
    """Whether activations become bytes."""
    return activation_dtype(qconfig) in (torch.quint8, torch.qint8, torch.uint8, torch.int8)


def activation_is_int32_quantized(qconfig: Any) -> bool:
    """Whether activations become 32-bit integers."""
    return activation_dtype(qconfig) in (torch.qint32, torch.int32)


def weight_is_quantized(qconfig: Any) -> bool:
    """Whether weights become integers of any size, or float16."""
    return weight_dtype(qconfig) in (
        torch.quint8, torch.qint8, torch.float16, torch.quint4x2, torch.uint8, torch.int8, torch.int16, torch.int32,
        torch.float8_e5m2, torch.float8_e4m3fn,
    )  # fmt: skip


def weight_is_statically_quantized(qconfig: Any) -> bool:
    """Whether weights become bytes."""
    return weight_dtype(qconfig) in (torch.quint8, torch.qint8, torch.uint8, torch.int8)


def op_is_int8_dynamically_quantized(qconfig: Any) -> bool:
    """Whether activations become bytes by their own range, and weights too."""
    return (
        activation_dtype(qconfig) in (torch.quint8, torch.uint8)
        and activation_is_dynamically_quantized(qconfig)
        and weight_dtype(qconfig) in (torch.qint8, torch.int8)
    )


def get_qconfig_dtypes(qconfig: Any) -> tuple[Any, Any, bool]:
    """The dtypes of activations and weights, and whether activations are quantised dynamically."""
    activation = qconfig.activation()
    return activation.dtype, weight_dtype(qconfig), getattr(activation, "is_dynamic", False)


def get_quant_type(qconfig: Any) -> QuantType:
    """Static, dynamic, or of weights only; Exception for what has no name."""
    if qconfig is None:
        raise AssertionError("qconfig must be provided to determine quant type")
    activation, weight = qconfig.activation(), qconfig.weight()
    static = (
        torch.quint8,
        torch.qint8,
        torch.quint4x2,
        torch.qint32,
        torch.uint8,
        torch.int8,
        torch.int16,
        torch.int32,
    )
    if weight.dtype in static or weight.dtype in (torch.float8_e5m2, torch.float8_e4m3fn):
        if getattr(activation, "is_dynamic", False):
            return QuantType.DYNAMIC
        return QuantType.STATIC if activation.dtype in static else QuantType.WEIGHT_ONLY
    if weight.dtype == torch.float16:
        if getattr(activation, "is_dynamic", False):
            return QuantType.DYNAMIC
        if activation.dtype == torch.float16:
            return QuantType.STATIC
    raise Exception(
        f"Unrecognized dtype combination in get_quant_type: activation({activation.dtype}),weight({weight.dtype})"
    )


def has_no_children_ignoring_parametrizations(module: Any) -> bool:
    """Whether a module has no submodules besides what a parametrization adds."""
    names = list(module._modules)
    return not names or names == ["parametrizations"]


def getattr_from_fqn(obj: Any, fqn: str) -> Any:
    """The attribute at a dotted path.

    >>> torch.ao.quantization.utils.getattr_from_fqn(torch, "nn.Linear")
    <class 'torch.nn.modules.linear.Linear'>
    """
    for name in fqn.split("."):
        obj = getattr(obj, name)
    return obj
