"""Copies of a module on several devices."""

from __future__ import annotations

__all__ = ["replicate"]


def replicate(network, devices, detach: bool = False):
    """Copy a module to each device; the copies' tensors are differentiable in the originals."""
    modules = list(network.modules())
    places = {module: i for i, module in enumerate(modules)}
    replicas = []
    for device in devices:
        copies = [module._replicate_for_data_parallel() for module in modules]
        for module, copy in zip(modules, copies, strict=True):
            for key, child in module._modules.items():
                if child is not None:
                    copy._modules[key] = copies[places[child]]
            for key, param in module._parameters.items():
                if param is None:
                    copy._parameters[key] = None
                    continue
                moved = param.detach().to(device) if detach else param.to(device)
                setattr(copy, key, moved.detach() if detach else moved)
            for key, buffer in module._buffers.items():
                copy._buffers[key] = None if buffer is None else buffer.to(device)
        replicas.append(copies[0])
    return replicas
