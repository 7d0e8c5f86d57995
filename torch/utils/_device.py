"""A default device as a ``TorchFunctionMode``."""

from __future__ import annotations

import functools

import torch
from torch.overrides import TorchFunctionMode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["DeviceContext", "set_device"]


@functools.lru_cache(1)
def _device_constructors() -> set[Any]:
    """Functions that make tensors and take a device."""
    names = """
        arange as_tensor asarray bartlett_window blackman_window empty empty_permuted empty_strided eye fft.fftfreq
        fft.rfftfreq full hamming_window hann_window kaiser_window linspace logspace nested.nested_tensor normal ones
        rand randint randn randperm scalar_tensor sparse_compressed_tensor sparse_coo_tensor tensor tril_indices
        triu_indices vander zeros
    """.split()
    found = set()
    for name in names:
        value: Any = torch
        for part in name.split("."):
            value = getattr(value, part, None)
        if value is not None:
            found.add(value)
    return found


class DeviceContext(TorchFunctionMode):
    """Inside the block factories without a device argument put their result on ``device``.

    >>> with torch.utils._device.DeviceContext("meta"):
    ...     torch.ones(2).device
    device(type='meta')
    """

    def __init__(self, device: Any) -> None:
        self.device = torch.device(device)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if kwargs.get("device") is None and func in _device_constructors():
            kwargs["device"] = self.device
        return func(*args, **kwargs)


def set_device(device: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A decorator: the function runs inside a ``DeviceContext``."""

    def decorate(func: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(func)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            with DeviceContext(device):
                return func(*args, **kwargs)

        return wrapper

    return decorate
