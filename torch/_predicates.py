"""Questions about tensors and objects."""

from __future__ import annotations

import torch

from ._overridable import overridable

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


@overridable
def _assert(condition: Any, message: str) -> None:
    """``assert condition, message``, as a function, so that a traced program keeps it."""
    if not condition:
        raise AssertionError(message)


def is_distributed(input: Tensor) -> bool:
    """Always False: a single process holds the whole tensor."""
    return False


@overridable
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
