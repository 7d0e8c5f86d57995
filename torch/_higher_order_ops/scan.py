"""A function along a dimension that hands a value on from step to step."""

from __future__ import annotations

import torch
from torch.utils import _pytree as pytree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["scan"]


def scan(
    combine_fn: Callable[[Any, Any], tuple[Any, Any]], init: Any, xs: Any, *, dim: int = 0, reverse: bool = False
) -> tuple[Any, Any]:
    """``carry, y = combine_fn(carry, x)`` for each slice ``x``; the last carry, and the ``y`` stacked.

    Args:
        combine_fn: a function of the carry and a slice that returns a new carry like it, and a result.
        init: the first carry, tensors in nested containers.
        xs: tensors in nested containers, all of the same size along ``dim``.
        reverse: begin at the end. The results stand where their slices did.

    Raises:
        RuntimeError: ``combine_fn`` is no function or returns no pair, or there is nothing to scan.

    >>> from torch._higher_order_ops.scan import scan
    >>> scan(lambda c, x: (c + x, c + x), torch.tensor(0.), torch.arange(4.))
    (tensor(6.), tensor([0., 1., 3., 6.]))
    """
    if not callable(combine_fn):
        raise RuntimeError(f"Combine_fn must be a callable, but got {combine_fn}")
    leaves, spec = pytree.tree_flatten(xs)
    if not leaves or not all(isinstance(x, torch.Tensor) for x in leaves):
        raise RuntimeError(f"All xs leaves must be a Tensor, and there has to be one; got {xs}")
    if any(not isinstance(x, torch.Tensor) for x in pytree.tree_leaves(init)):
        raise RuntimeError(f"All init leaves must be a Tensor, got {init}")
    sizes = {x.shape[dim] for x in leaves}
    if len(sizes) != 1 or 0 in sizes:
        raise RuntimeError(f"scan(): the scanned dimension has sizes {sorted(sizes)}; all have to be equal and not 0")
    carry, results = init, []
    (count,) = sizes
    for i in reversed(range(count)) if reverse else range(count):
        result = combine_fn(carry, pytree.tree_unflatten([x.select(dim, i) for x in leaves], spec))
        if not isinstance(result, tuple) or len(result) != 2:
            raise RuntimeError(f"Expect the output of combine_fn to be a pair of the carry and a result, got {result}")
        if pytree.tree_structure(result[0]) != pytree.tree_structure(init):
            raise RuntimeError(
                "The tree structure of the inits and the carries are not identical! Expected "
                f"{pytree.tree_structure(init)} and got {pytree.tree_structure(result[0])}"
            )
        carry = result[0]
        results.append(result[1])
    if reverse:
        results.reverse()
    return carry, pytree.tree_map(lambda *parts: torch.stack(parts, _at(parts[0], dim)), *results)


def _at(part: torch.Tensor, dim: int) -> int:
    """Where the scanned dimension stands in the stacked results."""
    return dim if -part.dim() - 1 <= dim <= part.dim() else 0
