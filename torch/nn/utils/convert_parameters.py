"""Parameters as one vector, and back."""

from __future__ import annotations

import torch

__all__ = ["parameters_to_vector", "vector_to_parameters"]


def _same_device(param, device):
    here = param.get_device() if param.is_cuda else -1
    if device is None:
        return here
    if here != device:
        raise TypeError("Found two parameters on different devices, this is currently not supported.")
    return device


def parameters_to_vector(parameters):
    """Return all parameters, flattened and joined."""
    device = None
    flat = []
    for param in parameters:
        device = _same_device(param, device)
        flat.append(param.reshape(-1))
    return torch.cat(flat)


def vector_to_parameters(vec, parameters) -> None:
    """Cut a vector into the parameters."""
    if not isinstance(vec, torch.Tensor):
        raise TypeError(f"expected torch.Tensor, but got: {torch.typename(vec)}")
    device, start = None, 0
    for param in parameters:
        device = _same_device(param, device)
        count = param.numel()
        param.data = vec[start : start + count].view_as(param).data
        start += count
