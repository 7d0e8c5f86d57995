"""Splitting a batch among devices, and joining what they give."""

from __future__ import annotations

import torch

__all__ = ["gather", "is_namedtuple", "scatter", "scatter_kwargs"]


def is_namedtuple(obj) -> bool:
    """Whether an object is a tuple with named fields."""
    return isinstance(obj, tuple) and hasattr(obj, "_asdict") and hasattr(obj, "_fields")


def scatter(inputs, target_gpus, dim: int = 0):
    """Split tensors in nested inputs among devices; other values go to every device."""
    count = len(target_gpus)
    if isinstance(inputs, torch.Tensor):
        parts = inputs.chunk(count, dim)
        return tuple(part.to(device) for part, device in zip(parts, target_gpus, strict=False))
    if is_namedtuple(inputs):
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
    return type(first)(*joined) if is_namedtuple(first) else type(first)(joined)


def scatter_kwargs(inputs: tuple, kwargs: dict | None, target_gpus, dim: int = 0) -> tuple[tuple, tuple]:
    """Split arguments and named arguments; the shorter of the two lists is filled up with empty ones."""
    args = scatter(inputs, target_gpus, dim) if inputs else []
    named = scatter(kwargs, target_gpus, dim) if kwargs else []
    count = max(len(args), len(named))
    args = [*args, *([()] * (count - len(args)))]
    named = [*named, *({} for _ in range(count - len(named)))]
    return tuple(args), tuple(named)
