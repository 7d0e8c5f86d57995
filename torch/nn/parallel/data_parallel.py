"""``DataParallel``: one module, its batch split among the GPUs of one process."""

from __future__ import annotations

import torch

from ..modules.module import Module
from .parallel_apply import parallel_apply
from .replicate import replicate
from .scatter_gather import gather, scatter_kwargs

__all__ = ["DataParallel", "data_parallel"]


def _all_devices() -> list[int]:
    cuda = getattr(torch, "cuda", None)
    return list(range(cuda.device_count())) if cuda is not None and cuda.is_available() else []


def _index(device) -> int:
    return device.index if isinstance(device, torch.device) else device


class DataParallel(Module):
    """Splits each batch among devices. Without GPUs it is the module itself."""

    def __init__(self, module, device_ids=None, output_device=None, dim: int = 0) -> None:
        super().__init__()
        available = _all_devices()
        # Without a GPU it is the module itself, whatever devices are named.
        devices = available if device_ids is None or not available else list(device_ids)
        self.module = module
        self.dim = dim
        self.device_ids = [_index(device) for device in devices]
        if devices:
            self.output_device = _index(devices[0] if output_device is None else output_device)
            self.src_device_obj = torch.device("cuda", self.device_ids[0])
            if len(self.device_ids) == 1:
                self.module.to(self.src_device_obj)

    def forward(self, *inputs, **kwargs):
        if not self.device_ids:
            return self.module(*inputs, **kwargs)
        return data_parallel(self.module, inputs, self.device_ids, self.output_device, self.dim, kwargs)


def data_parallel(module, inputs, device_ids=None, output_device=None, dim: int = 0, module_kwargs=None):
    """Run a module on a batch that is split among devices."""
    if not isinstance(inputs, tuple):
        inputs = (inputs,) if inputs is not None else ()
    module_kwargs = module_kwargs or {}
    devices = [torch.device("cuda", _index(d)) for d in (_all_devices() if device_ids is None else device_ids)]
    if not devices:
        return module(*inputs, **module_kwargs)
    args, kwargs = scatter_kwargs(inputs, module_kwargs, devices, dim)
    if not args:
        args, kwargs = ((),), ({},)
    count = len(args)
    if count == 1:
        return module(*args[0], **kwargs[0])
    replicas = replicate(module, devices[:count], not torch.is_grad_enabled())
    outputs = parallel_apply(replicas, args, kwargs)
    return gather(outputs, devices[0] if output_device is None else torch.device("cuda", _index(output_device)), dim)
