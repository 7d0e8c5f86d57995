"""Questions about tensors and objects."""

from __future__ import annotations

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from torch import Tensor


def is_tensor(obj: Any, /) -> bool:
    """Whether ``obj`` is a tensor.

    >>> torch.is_tensor(torch.tensor(1))
    True
    """
    return isinstance(obj, torch.Tensor)


def is_storage(obj: Any, /) -> bool:
    """Whether ``obj`` is a storage.

    >>> torch.is_storage(torch.tensor(1).untyped_storage())
    True
    """
    return isinstance(obj, (torch.UntypedStorage, torch.TypedStorage))


def typename(obj: Any, /) -> str:
    """The type of ``obj`` by its full name, for a tensor that of its dtype.

    >>> torch.typename(torch.tensor(1.))
    'torch.FloatTensor'
    """
    if isinstance(obj, torch.Tensor):
        return obj.type()
    module = getattr(obj, "__module__", "") or ""
    qualname = getattr(obj, "__qualname__", "")
    if not qualname:
        module, qualname = type(obj).__module__ or "", type(obj).__qualname__
    return qualname if module in ("", "builtins") else f"{module}.{qualname}"


def is_floating_point(input: Tensor) -> bool:
    """Whether the elements are real floating-point numbers.

    >>> torch.is_floating_point(torch.tensor(1.))
    True
    """
    return input.is_floating_point()


def is_complex(input: Tensor) -> bool:
    """Whether the elements are complex numbers.

    >>> torch.is_complex(torch.tensor(1j))
    True
    """
    return input.is_complex()


def is_signed(input: Tensor) -> bool:
    """Whether the dtype has negative values.

    >>> torch.is_signed(torch.tensor(1))
    True
    """
    return input.is_signed()


def is_conj(input: Tensor) -> bool:
    """Whether the tensor is a lazily conjugated view.

    >>> torch.is_conj(torch.tensor(1j).conj())
    True
    """
    return input.is_conj()


def is_neg(input: Tensor) -> bool:
    """Whether the tensor is a lazily negated view.

    >>> torch.is_neg(torch.tensor(1j).conj().imag)
    True
    """
    return input.is_neg()


def is_inference(input: Tensor) -> bool:
    """Whether the tensor was made in inference mode.

    >>> torch.is_inference(torch.ones(1))
    False
    """
    return input.is_inference()


def is_nonzero(input: Tensor) -> bool:
    """The truth value of a tensor with one element.

    >>> torch.is_nonzero(torch.tensor([1]))
    True
    """
    return input.is_nonzero()


def is_same_size(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same shape.

    >>> torch.is_same_size(torch.ones(2), torch.ones(2))
    True
    """
    return input.shape == other.shape


def is_distributed(input: Tensor) -> bool:
    """Always False: a single process holds the whole tensor."""
    return False


def numel(input: Tensor) -> int:
    """The number of elements.

    >>> torch.numel(torch.ones(2, 3))
    6
    """
    return input.numel()


def get_device(input: Tensor) -> int:
    """The index of the tensor's device, -1 for the CPU.

    >>> torch.get_device(torch.ones(1))
    -1
    """
    return input.get_device()


def is_inference_mode_enabled() -> bool:
    """Whether inference mode is on."""
    return bool(torch._C.is_inference_mode_enabled())


def is_anomaly_enabled() -> bool:
    """Whether anomaly detection is on."""
    return bool(torch._C.is_anomaly_enabled())


def is_anomaly_check_nan_enabled() -> bool:
    """Whether anomaly detection looks for NaN."""
    return bool(torch._C.is_anomaly_check_nan_enabled())


def set_anomaly_enabled(mode: bool, check_nan: bool = True) -> None:
    """Switch anomaly detection."""
    torch._C._set_anomaly_enabled(mode, check_nan)


def to_dlpack(tensor: Tensor, /) -> Any:
    """A DLPack capsule over the tensor's memory."""
    return torch._C._to_dlpack(tensor)


class classproperty:  # noqa: N801
    """A property of a class rather than of its instances."""

    def __init__(self, func: Any) -> None:
        self.func = func

    def __get__(self, instance: Any, owner: Any) -> Any:
        return self.func(owner)
