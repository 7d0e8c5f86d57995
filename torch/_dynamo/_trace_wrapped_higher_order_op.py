"""Indexing by tensors without dimensions that no Python value has to be made for."""

from __future__ import annotations

from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

__all__ = ["TransformGetItemToIndex"]


class TransformGetItemToIndex(TorchFunctionMode):
    """Inside, ``x[i]`` with a tensor ``i`` without dimensions is ``aten.index``, which works under ``vmap``.

    >>> import torch
    >>> x = torch.arange(3)
    >>> with TransformGetItemToIndex():
    ...     torch.vmap(lambda i: x[i])(torch.tensor([2, 0]))
    tensor([2, 0])
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "") == "__getitem__":
            index = pytree.tree_leaves(args[1])
            if index and all(isinstance(i, torch.Tensor) for i in index):
                return torch.ops.aten.index(args[0], list(index))
        return func(*args, **(kwargs or {}))
