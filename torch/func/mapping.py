"""``vmap``: a function of one example applied to a batch. The examples run one after the other, so every function
works; operations over the whole batch at once are faster where a program can use them."""

from __future__ import annotations

import functools

import torch
from torch.utils import _pytree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["vmap"]


def _spread(dims: Any, tree: Any, what: str) -> list[Any]:
    """One batch dimension for each leaf: ``dims`` is one for all, or nested like the value."""
    leaves, spec = _pytree.tree_flatten(tree)
    if dims is None or isinstance(dims, int):
        return [dims] * len(leaves)
    if type(dims) is not type(tree) and not (isinstance(dims, (tuple, list)) and isinstance(tree, (tuple, list))):
        raise ValueError(f"vmap: {what} is not compatible with the structure of the values: {dims}")
    children = tree.values() if isinstance(tree, dict) else tree
    parts = dims.values() if isinstance(dims, dict) else dims
    if len(parts) != len(children):
        raise ValueError(f"vmap: {what} is not compatible with the structure of the values: {dims}")
    return [dim for part, child in zip(parts, children, strict=True) for dim in _spread(part, child, what)]


def _batch_size(leaves: list[Any], dims: list[Any]) -> int:
    sizes = set()
    for leaf, dim in zip(leaves, dims, strict=True):
        if dim is None:
            continue
        if not isinstance(leaf, torch.Tensor):
            raise ValueError(
                f"vmap: Got in_dim={dim} for an input but the input is of type {type(leaf)}. We cannot vmap over "
                "non-Tensor "
                "arguments, please use None as the respective in_dim"
            )
        if not -leaf.dim() <= dim < leaf.dim():
            raise ValueError(
                f"vmap: Got in_dim={dim} for some input, but that input is a Tensor of dimensionality {leaf.dim()} so "
                f"expected in_dim to satisfy -{leaf.dim()} <= in_dim < {leaf.dim()}."
            )
        sizes.add(leaf.shape[dim])
    if not sizes:
        raise ValueError("vmap: at least one input must be mapped over")
    if len(sizes) > 1:
        raise ValueError(
            f"vmap: Expected all tensors to have the same size in the mapped dimension, got sizes {sorted(sizes)}"
        )
    return sizes.pop()


def vmap(
    func: Callable[..., Any],
    in_dims: Any = 0,
    out_dims: Any = 0,
    randomness: str = "error",
    *,
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    """Map ``func`` over a dimension of its arguments; results are stacked.

    ``randomness`` is "different" (each example draws anew) or "same"; with "error", the default, they draw anew too.

    >>> torch.func.vmap(torch.dot)(torch.ones(2, 3), torch.ones(2, 3))
    tensor([3., 3.])
    """
    if randomness not in ("error", "different", "same"):
        raise RuntimeError(f"Only allowed values for randomness are 'error', 'different', or 'same'. Got {randomness}")
    if chunk_size is not None and chunk_size <= 0:
        raise ValueError(f"vmap: chunk_size should be None or greater than 0. (got {chunk_size})")

    @functools.wraps(func)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        leaves, spec = _pytree.tree_flatten(args)
        dims = _spread(in_dims, args, "in_dims")
        size = _batch_size(leaves, dims)
        # Keyword arguments are mapped over their first dimension.
        kw_leaves, kw_spec = _pytree.tree_flatten(kwargs)
        kw_dims = [0 if isinstance(leaf, torch.Tensor) else None for leaf in kw_leaves]
        state = torch.get_rng_state() if randomness == "same" else None
        columns: list[list[Any]] = []
        out_spec = None
        for i in range(max(size, 1)):
            if state is not None and i:
                torch.set_rng_state(state)
            here = [x if d is None else _example(x, d, i, size) for x, d in zip(leaves, dims, strict=True)]
            kw_here = [x if d is None else _example(x, d, i, size) for x, d in zip(kw_leaves, kw_dims, strict=True)]
            result = func(*_pytree.tree_unflatten(here, spec), **_pytree.tree_unflatten(kw_here, kw_spec))
            flat, out_spec = _pytree.tree_flatten(result)
            columns.append(flat)
        assert out_spec is not None
        template = _pytree.tree_unflatten(columns[0], out_spec)
        places = _spread(out_dims, template, "out_dims")
        results = []
        for j, place in enumerate(places):
            parts = [row[j] for row in columns]
            if not isinstance(parts[0], torch.Tensor):
                raise ValueError(
                    f"vmap({getattr(func, '__name__', func)}, ...): `{getattr(func, '__name__', func)}` must only "
                    "return "
                    f"Tensors, got type {type(parts[0])}."
                )
            if place is None:
                results.append(parts[0])
            else:
                stacked = torch.stack(parts, place)
                results.append(stacked if size else stacked.narrow(place, 0, 0))
        return _pytree.tree_unflatten(results, out_spec)

    return wrapped


def _example(x: Any, dim: int, index: int, size: int) -> Any:
    """One example; for an empty batch a stand-in, whose results tell the shapes."""
    if size:
        return x.select(dim, index)
    shape = list(x.shape)
    del shape[dim]
    return x.new_zeros(shape)
