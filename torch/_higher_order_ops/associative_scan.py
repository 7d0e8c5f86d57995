"""Running results of an associative function along a dimension."""

from __future__ import annotations

import torch
from torch.utils import _pytree as pytree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["associative_scan"]


def associative_scan(
    combine_fn: Callable[[Any, Any], Any], xs: Any, dim: int, reverse: bool = False, combine_mode: str = "pointwise"
) -> Any:
    """``combine_fn`` of all slices up to each, as a running sum is for addition.

    In log2(n) steps, each over whole tensors (W. D. Hillis and G. L. Steele, "Data parallel algorithms", 1986).

    Args:
        combine_fn: an associative function of two values like ``xs``; it works on whole tensors, element by element.
        xs: tensors in nested containers, all of the same size along ``dim``.
        reverse: begin at the end.
        combine_mode: "pointwise" or "generic", which is the same here.

    Raises:
        ValueError: an unknown mode, ``combine_fn`` is no function, or the sizes differ.

    >>> from torch._higher_order_ops.associative_scan import associative_scan
    >>> associative_scan(lambda a, b: a + b, torch.arange(5.), 0)
    tensor([ 0.,  1.,  3.,  6., 10.])
    """
    if not callable(combine_fn):
        raise ValueError(f"Combine_fn must be a callable, but got {combine_fn}")
    if combine_mode not in ("pointwise", "generic"):
        raise ValueError(f"Combine_mode must either 'pointwise' or 'generic', but got {combine_mode}")
    leaves, spec = pytree.tree_flatten(xs)
    if not leaves or not all(isinstance(x, torch.Tensor) for x in leaves):
        raise ValueError(f"All xs leaves must be a Tensor, and there has to be one; got {xs}")
    if not all(-x.dim() <= dim < x.dim() for x in leaves):
        raise ValueError(f"associative_scan(): no dimension {dim} in all of the tensors")
    sizes = {x.shape[dim] for x in leaves}
    if len(sizes) != 1:
        raise ValueError(f"associative_scan(): the dimension has different sizes: {sorted(sizes)}")
    (count,) = sizes
    if reverse:
        leaves = [x.flip(dim) for x in leaves]
    step = 1
    while step < count:
        earlier = pytree.tree_unflatten([x.narrow(dim, 0, count - step) for x in leaves], spec)
        later = pytree.tree_unflatten([x.narrow(dim, step, count - step) for x in leaves], spec)
        combined = pytree.tree_leaves(combine_fn(earlier, later))
        if len(combined) != len(leaves):
            raise ValueError(f"combine_fn returned {len(combined)} tensors for {len(leaves)}")
        leaves = [torch.cat([x.narrow(dim, 0, step), y], dim) for x, y in zip(leaves, combined, strict=True)]
        step *= 2
    if reverse:
        leaves = [x.flip(dim) for x in leaves]
    return pytree.tree_unflatten(leaves, spec)
