"""Pinned copies of what a batch consists of."""

from __future__ import annotations

import copy
from collections.abc import Mapping, MutableMapping, MutableSequence, Sequence

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def pin_memory(data: Any, device: Any = None) -> Any:
    """Copy the tensors inside containers to page-locked memory, and call ``pin_memory`` of what else has it."""
    if isinstance(data, torch.Tensor):
        return data.pin_memory()
    if hasattr(data, "pin_memory"):
        return data.pin_memory() if device is None else data.pin_memory(device)
    if isinstance(data, (str, bytes)):
        return data
    kind: Any = type(data)
    if isinstance(data, Mapping):
        pinned = {key: pin_memory(value, device) for key, value in data.items()}
        try:
            if isinstance(data, MutableMapping):
                clone: Any = copy.copy(data)
                clone.update(pinned)
                return clone
            return kind(pinned)
        except TypeError:
            return pinned
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return kind(*(pin_memory(value, device) for value in data))
    if isinstance(data, Sequence):
        items = [pin_memory(value, device) for value in data]
        if isinstance(data, tuple):
            return items
        try:
            if isinstance(data, MutableSequence):
                clone = copy.copy(data)
                for i, item in enumerate(items):
                    clone[i] = item
                return clone
            return kind(items)
        except TypeError:
            return items
    return data
