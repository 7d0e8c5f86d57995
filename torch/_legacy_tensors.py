"""``torch.FloatTensor`` and its kin: constructors by dtype, and classes for ``isinstance``."""

from __future__ import annotations

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_DTYPES = {
    "FloatTensor": "float32", "DoubleTensor": "float64", "HalfTensor": "float16", "BFloat16Tensor": "bfloat16",
    "ByteTensor": "uint8", "CharTensor": "int8", "ShortTensor": "int16", "IntTensor": "int32", "LongTensor": "int64",
    "BoolTensor": "bool",
}  # fmt: skip


class _TensorType(type):
    """A tensor type is a class whose instances are the tensors of one dtype on one kind of device."""

    dtype: torch.dtype
    is_cuda: bool
    is_sparse = False
    layout = torch.strided

    def __instancecheck__(cls, instance: Any) -> bool:
        return (
            isinstance(instance, torch.Tensor)
            and instance.dtype is cls.dtype
            and instance.device.type == ("cuda" if cls.is_cuda else "cpu")
        )

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if cls.is_cuda:
            raise TypeError(f"type torch.cuda.{cls.__name__} not available. Torch not compiled with CUDA enabled.")
        return torch._C._legacy_tensor_new(cls.dtype, args, kwargs)

    def __repr__(cls) -> str:
        return f"<class '{cls.__module__}.{cls.__name__}'>"


def make(cuda: bool) -> dict[str, Any]:
    """All tensor types of one kind of device, by name."""
    module = "torch.cuda" if cuda else "torch"
    return {
        name: _TensorType(
            name,
            (),
            {
                "__module__": module,
                "__doc__": f"Tensors of dtype torch.{dtype}. ``{module}.{name}(2, 3)`` makes one with elements that "
                "are not set, ``(sequence)`` one with these elements.",
                "dtype": getattr(torch, dtype),
                "is_cuda": cuda,
            },
        )
        for name, dtype in _DTYPES.items()
    }


globals().update(make(False))
