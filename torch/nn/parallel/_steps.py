"""The steps of data parallelism: split the inputs, copy the module, run, join the outputs."""

from __future__ import annotations

import torch


def scatter(inputs, target_gpus, dim: int = 0):
    """Split tensors in nested inputs among devices; other values go to every device."""
    count = len(target_gpus)
    if isinstance(inputs, torch.Tensor):
        parts = inputs.chunk(count, dim)
        return tuple(part.to(device) for part, device in zip(parts, target_gpus, strict=False))
    if isinstance(inputs, tuple) and hasattr(inputs, "_fields"):
        return [type(inputs)(*args) for args in zip(*(scatter(x, target_gpus, dim) for x in inputs), strict=False)]
    if isinstance(inputs, tuple) and inputs:
        return list(zip(*(scatter(x, target_gpus, dim) for x in inputs), strict=False))
    if isinstance(inputs, list) and inputs:
        return [list(part) for part in zip(*(scatter(x, target_gpus, dim) for x in inputs), strict=False)]
    if isinstance(inputs, dict) and inputs:
        parts = zip(*(scatter(item, target_gpus, dim) for item in inputs.items()), strict=False)
        return [type(inputs)(part) for part in parts]
    return [inputs for _ in target_gpus]


def gather(outputs, target_device, dim: int = 0):
    """Join the outputs of all devices on one."""
    first = outputs[0]
    if isinstance(first, torch.Tensor):
        moved = [out.to(target_device) for out in outputs]
        return torch.stack(moved) if first.dim() == 0 else torch.cat(moved, dim)
    if first is None:
        return None
    if isinstance(first, dict):
        if not all(len(first) == len(out) for out in outputs):
            raise ValueError("All dicts must have the same number of keys")
        return type(first)((k, gather([out[k] for out in outputs], target_device, dim)) for k in first)
    joined = [gather(parts, target_device, dim) for parts in zip(*outputs, strict=True)]
    return type(first)(*joined) if hasattr(first, "_fields") else type(first)(joined)


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


def parallel_apply(modules, inputs, kwargs_tup=None, devices=None):
    """Run each module on its inputs."""
    if len(modules) != len(inputs):
        raise AssertionError(f"The number of modules {len(modules)} is not equal to the number of inputs {len(inputs)}")
    kwargs_tup = kwargs_tup or ({},) * len(modules)
    results = []
    for module, args, kwargs in zip(modules, inputs, kwargs_tup, strict=True):
        results.append(module(*(args if isinstance(args, (list, tuple)) else (args,)), **kwargs))
    return results
