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
    is_sparse: bool
    layout: torch.layout

    def __instancecheck__(cls, instance: Any) -> bool:
        return (
            isinstance(instance, torch.Tensor)
            and instance.dtype is cls.dtype
            and instance.layout is cls.layout
            and instance.device.type == ("cuda" if cls.is_cuda else "cpu")
        )

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if cls.is_cuda:
            raise TypeError(f"type torch.cuda.{cls.__name__} not available. Torch not compiled with CUDA enabled.")
        if cls.is_sparse:
            return _sparse(cls.dtype, *args, **kwargs)
        return torch._C._legacy_tensor_new(cls.dtype, args, kwargs)

    def __repr__(cls) -> str:
        return f"<class '{cls.__module__}.{cls.__name__}'>"


def _sparse(dtype: torch.dtype, *args: Any, device: Any = None) -> torch.Tensor:
    """``torch.sparse.FloatTensor(indices, values, size)``, or with sizes alone one without elements."""
    if all(isinstance(a, int) for a in args):
        return torch.sparse_coo_tensor(args or (0,), dtype=dtype, device=device)
    if len(args) == 1 and isinstance(args[0], torch.Size):
        return torch.sparse_coo_tensor(args[0], dtype=dtype, device=device)
    if not 2 <= len(args) <= 3 or not all(isinstance(a, torch.Tensor) for a in args[:2]):
        given = ", ".join(type(a).__name__ for a in args)
        raise TypeError(
            f"new() received an invalid combination of arguments - got ({given}), but expected one of:\n"
            " * (*, torch.device device = None)\n * (tuple of ints size, *, torch.device device = None)\n"
            " * (Tensor indices, Tensor values, *, torch.device device = None)\n"
            " * (Tensor indices, Tensor values, tuple of ints size, *, torch.device device = None)\n"
        )
    return torch.sparse_coo_tensor(*args, dtype=dtype, device=device)


def make(cuda: bool, sparse: bool = False) -> dict[str, Any]:
    """All tensor types of one kind of device, by name."""
    module = ("torch.cuda" if cuda else "torch") + (".sparse" if sparse else "")
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
                "is_sparse": sparse,
                "layout": torch.sparse_coo if sparse else torch.strided,
            },
        )
        for name, dtype in _DTYPES.items()
    }


globals().update(make(False))
