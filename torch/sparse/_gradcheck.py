"""Functions of sparse tensors as functions of strided ones, for finite differences."""

from __future__ import annotations

import torch

from ._convert import block_size, coalesce, sparse_mask
from ._parts import BLOCKED, COO, raw_values, with_values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def _is_input(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.layout is not torch.strided and value.requires_grad


def _dense_outputs(result: Any) -> Any:
    if isinstance(result, (list, tuple)):
        return tuple(_dense_outputs(part) for part in result)
    if isinstance(result, torch.Tensor) and result.layout is not torch.strided:
        return result.to_dense()
    return result


def strided(
    func: Callable[..., Any], inputs: tuple[Any, ...], masked: bool, dense_outputs: bool
) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """The function over the values of its sparse inputs, or, unless ``masked``, over all of their elements."""
    patterns: list[Any] = []
    leaves: list[Any] = []
    for value in inputs:
        if not _is_input(value):
            patterns.append(None)
            leaves.append(value)
            continue
        held = value.detach()
        held = coalesce(held) if held.layout is COO else held
        if masked:
            patterns.append(held)
            leaves.append(raw_values(held).clone().requires_grad_())
        else:
            everywhere = torch.ones(held.shape, dtype=held.dtype)
            blocks = block_size(held) if held.layout in BLOCKED else None
            patterns.append(everywhere.to_sparse(layout=held.layout, blocksize=blocks))
            leaves.append(held.to_dense().requires_grad_())

    def on_leaves(*args: Any) -> Any:
        given = []
        for pattern, leaf in zip(patterns, args, strict=True):
            if pattern is None:
                given.append(leaf)
            else:
                given.append(with_values(pattern, leaf) if masked else sparse_mask(leaf, pattern))
        result = func(*given)
        return _dense_outputs(result) if dense_outputs else result

    return on_leaves, tuple(leaves)
