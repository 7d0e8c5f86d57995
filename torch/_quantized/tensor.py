"""The quantised tensor: a tensor of integers that shows the real numbers they stand for."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .quantizer import PerChannel, PerTensor, stored

_NO_BACKEND = (
    "Could not run 'aten::{}' with arguments from the '{}' backend. This could be because the operator doesn't exist "
    "for this backend, or was omitted during the selective/custom build process (if using custom build)."
)


def no_kernel(name: str, backend: str = "QuantizedCPU") -> NotImplementedError:
    """The error for an operation that such tensors do not have."""
    return NotImplementedError(_NO_BACKEND.format(name, backend))


class QuantizedTensor(Tensor):
    """Integers, and the map that gives them a meaning. Made by ``torch.quantize_per_tensor`` and its companions.

    As a tensor of the core it is its integers, so that views share their memory; what an operation means for them is
    said in ``_quantized/rules.py``. There are no gradients.
    """

    _quantizer: PerTensor | PerChannel

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        from .rules import run

        return run(func, args, kwargs or {})

    @property
    def integers(self) -> Tensor:
        """The integers, in the same memory."""
        with torch._C.DisableTorchFunctionSubclass():
            return self.as_subclass(Tensor)

    def like(self, integers: Tensor) -> QuantizedTensor:
        """Other integers under the same map."""
        return wrap(integers, self._quantizer)

    @property
    def dtype(self) -> torch.dtype:
        """The quantised dtype, such as ``torch.quint8``."""
        return self._quantizer.dtype

    @property
    def is_quantized(self) -> bool:
        """True."""
        return True

    @property
    def requires_grad(self) -> bool:
        """False: integers have no gradient."""
        return False

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    def requires_grad_(self, requires_grad: bool = True) -> QuantizedTensor:
        """Return the tensor; RuntimeError if gradients are asked for."""
        if requires_grad:
            raise RuntimeError("only Tensors of floating point dtype can require gradients")
        return self

    def is_signed(self) -> bool:
        """Raise RuntimeError, as PyTorch does."""
        raise RuntimeError("isSignedType not supported for quantized types")

    def qscheme(self) -> Any:
        """The kind of map, such as ``torch.per_tensor_affine``."""
        return self._quantizer.qscheme

    def int_repr(self) -> Tensor:
        """A copy of the integers; those of less than a byte are packed as PyTorch packs them."""
        integers = self.integers
        bits = {torch.quint4x2: 4, torch.quint2x4: 2}.get(self.dtype)
        if bits is None:
            return integers.clone()
        per_byte = 8 // bits
        flat = integers.reshape(-1)
        flat = torch.cat([flat, flat.new_zeros(-flat.numel() % per_byte)]).reshape(-1, per_byte)
        return (flat << torch.arange(0, 8, bits, dtype=torch.uint8)).sum(1, dtype=torch.uint8)

    def dequantize(self) -> Tensor:
        """The real numbers, in float32."""
        return self._quantizer.dequantize(self.integers)

    def q_scale(self) -> float:
        """The scale; RuntimeError if there is one per channel."""
        return self._whole("kPerTensorAffine").scale

    def q_zero_point(self) -> int:
        """The zero point; RuntimeError if there is one per channel."""
        return self._whole("kPerTensorAffine").zero_point

    def _whole(self, name: str) -> PerTensor:
        if not isinstance(self._quantizer, PerTensor):
            raise _unexpected(f"quantizer->qscheme() == {name}")
        return self._quantizer

    def _channels(self) -> PerChannel:
        if not isinstance(self._quantizer, PerChannel):
            raise _unexpected(
                "quantizer->qscheme() == kPerChannelAffine || quantizer->qscheme() == kPerChannelAffineFloatQParams"
            )
        return self._quantizer

    def q_per_channel_scales(self) -> Tensor:
        """The scale of each channel, float64 (float32 where the zero points are floats)."""
        return self._channels().scales

    def q_per_channel_zero_points(self) -> Tensor:
        """The zero point of each channel, int64 or float32."""
        return self._channels().zero_points

    def q_per_channel_axis(self) -> int:
        """The dimension of the channels."""
        return self._channels().axis

    def item(self) -> float:
        """The only element, as a real number."""
        if self.numel() != 1:
            raise RuntimeError(f"a Tensor with {self.numel()} elements cannot be converted to Scalar")
        return float(self.dequantize().reshape(()))

    def __float__(self) -> float:
        return self.item()

    def __int__(self) -> int:
        return int(self.item())

    def __bool__(self) -> bool:
        return bool(self.dequantize())

    def tolist(self) -> Any:
        """Raise RuntimeError: dequantise first, or take ``int_repr()``."""
        raise RuntimeError("load_scalar: invalid type\nCall dequantize().tolist() or int_repr().tolist()")

    def numpy(self, *, force: bool = False) -> Any:
        """Raise TypeError: dequantise first, or take ``int_repr()``."""
        from .quantizer import title

        raise TypeError(
            f"Got unsupported ScalarType {title(self.dtype)}\nCall dequantize().numpy() or int_repr().numpy()"
        )

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        prefix = "Parameter containing:\n" if getattr(self, "_is_param", False) else ""
        return prefix + _text(self)

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if self.dim() == 0 else object.__format__(self, spec)

    def __deepcopy__(self, memo: Any) -> QuantizedTensor:
        result = wrap(self.integers.clone(), self._quantizer)
        if getattr(self, "_is_param", False):
            result._is_param = True
        memo[id(self)] = result
        return result

    def __reduce_ex__(self, protocol: Any) -> Any:
        from collections import OrderedDict

        integers = self.integers
        storage = torch.storage.TypedStorage(wrap_storage=integers.untyped_storage(), dtype=self.dtype)
        geometry = (integers.storage_offset(), tuple(integers.shape), integers.stride())
        args = (storage, *geometry, self._quantizer.parameters(), False, OrderedDict())
        return torch._utils._rebuild_qtensor, args


def _unexpected(condition: str) -> RuntimeError:
    return RuntimeError(
        f"Expected {condition} to be true, but got false.  (Could this error message be improved?  If so, please "
        "report an enhancement request to PyTorch.)"
    )


def _text(tensor: QuantizedTensor) -> str:
    from torch import _tensor_str

    indent = len("tensor(")
    suffixes = [f"size={tuple(tensor.shape)}", f"dtype={tensor.dtype}", f"quantization_scheme={tensor.qscheme()}"]
    suffixes += tensor._quantizer.suffixes()
    if tensor.device.type != "cpu":
        suffixes.insert(0, f"device='{tensor.device}'")
    text = "tensor(" + _tensor_str._tensor_str(tensor.dequantize(), indent)
    return _tensor_str._add_suffixes(text, suffixes, indent, False)


def wrap(integers: Tensor, quantizer: PerTensor | PerChannel) -> QuantizedTensor:
    """A quantised tensor over existing integers.

    Raises:
        RuntimeError: if their dtype is not that of the quantised dtype's integers.
    """
    kind = stored(quantizer.dtype)[0]
    if integers.dtype is not kind:
        raise RuntimeError(f"{quantizer.dtype} needs integers of dtype {kind}, got {integers.dtype}")
    result = integers.detach().as_subclass(QuantizedTensor)
    result._quantizer = quantizer
    return result


def rebuilt(integers: Tensor, parameters: tuple[Any, ...], dtype: torch.dtype) -> QuantizedTensor:
    """A quantised tensor from what a pickle keeps of its map.

    Raises:
        RuntimeError: for a kind of map that no tensor has.
    """
    scheme, *rest = parameters
    if scheme is torch.per_tensor_affine:
        return wrap(integers, PerTensor(*rest, dtype))
    if scheme in (torch.per_channel_affine, torch.per_channel_affine_float_qparams):
        scales, zero_points, axis = rest
        if isinstance(scales, list):  # as the oldest files have it
            scales, zero_points = torch.tensor(scales, dtype=torch.double), torch.tensor(zero_points)
        return wrap(integers, PerChannel(scales, zero_points, axis, dtype))
    raise RuntimeError(f"Can't deserialize quantized tensor with qscheme {scheme}")
