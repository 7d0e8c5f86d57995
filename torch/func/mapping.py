"""``vmap``: a function of one example applied to a batch. The function runs once, on tensors that show it one example
and stand for the batch: each operation acts on all examples at once, by the batch rule of its row."""

from __future__ import annotations

import functools

import torch
from torch.utils import _pytree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from torch import Tensor

__all__ = ["debug_unwrap", "vmap"]


def _name(func: Any) -> str:
    return getattr(func, "__name__", None) or repr(func)


def _each_leaf(dims: Any, tree: Any) -> list[Any] | None:
    """``dims``, one for all leaves or nested like the outside of ``tree``, for each leaf; None if it is neither."""
    if dims is None or isinstance(dims, int):
        return [dims] * len(_pytree.tree_leaves(tree))
    mine, own = _pytree.tree_flatten(dims, is_leaf=lambda part: part is not dims)
    theirs, spec = _pytree.tree_flatten(tree, is_leaf=lambda part: part is not tree)
    if own.is_leaf():
        return [dims] * len(_pytree.tree_leaves(tree))
    if spec.is_leaf() or own != spec:
        return None
    result: list[Any] = []
    for one, child in zip(mine, theirs, strict=True):
        part = _each_leaf(one, child)
        if part is None:
            return None
        result += part
    return result


def _checked_in_dims(func: Any, in_dims: Any, args: tuple[Any, ...], leaves: list[Any], spec: Any) -> list[Any]:
    where = f"vmap({_name(func)}, in_dims={in_dims}, ...)(<inputs>): "
    if not isinstance(in_dims, (int, tuple)):
        raise ValueError(
            f"{where}expected `in_dims` to be int or a (potentially nested) tuple matching the structure of inputs, "
            f"got: {type(in_dims)}."
        )
    if not args:
        raise ValueError(
            f"vmap({_name(func)})(<inputs>): got no inputs. Maybe you forgot to add inputs, or you are trying to vmap "
            "over a function with no inputs. The latter is unsupported."
        )
    dims = _each_leaf(in_dims, args)
    if dims is None:
        raise ValueError(
            f"{where}in_dims is not compatible with the structure of `inputs`. in_dims has structure "
            f"{_pytree.tree_flatten(in_dims)[1]} but inputs has structure {spec}."
        )
    for i, (leaf, dim) in enumerate(zip(leaves, dims, strict=True)):
        if dim is None:
            continue
        if not isinstance(dim, int):
            raise ValueError(
                f"{where}Got in_dim={dim} for an input but in_dim must be either an integer dimension or None."
            )
        if not isinstance(leaf, torch.Tensor):
            raise ValueError(
                f"{where}Got in_dim={dim} for an input but the input is of type {type(leaf)}. We cannot vmap over "
                "non-Tensor arguments, please use None as the respective in_dim"
            )
        if not -leaf.dim() <= dim < leaf.dim():
            raise ValueError(
                f"{where}Got in_dim={dim} for some input, but that input is a Tensor of dimensionality {leaf.dim()} "
                f"so expected in_dim to satisfy -{leaf.dim()} <= in_dim < {leaf.dim()}."
            )
        dims[i] = dim % leaf.dim()
    return dims


def _batch_size(leaves: list[Any], dims: list[Any]) -> int:
    sizes = [leaf.shape[dim] for leaf, dim in zip(leaves, dims, strict=True) if dim is not None]
    if not sizes:
        raise ValueError("vmap: Expected at least one Tensor to vmap over")
    if any(size != sizes[0] for size in sizes):
        raise ValueError(
            f"vmap: Expected all tensors to have the same size in the mapped dimension, got sizes {sizes} for the "
            "mapped dimension"
        )
    return int(sizes[0])


def _checked_out_dims(func: Any, out_dims: Any, output: Any, spec: Any) -> list[Any]:
    dims = out_dims
    if isinstance(output, torch.Tensor) and isinstance(out_dims, tuple) and len(out_dims) == 1:
        dims = out_dims[0]
    flat = _each_leaf(dims, output)
    if flat is None:
        raise ValueError(
            f"vmap({_name(func)}, ..., out_dims={out_dims})(<inputs>): out_dims is not compatible with the structure "
            f"of `outputs`. out_dims has structure {_pytree.tree_flatten(out_dims)[1]} but outputs has structure "
            f"{spec}."
        )
    return flat


def _batch_of(func: Any, value: Any, dim: Any, level: int, size: int) -> Any:
    name = _name(func)
    if dim is None:
        if isinstance(value, torch.Tensor):
            parts = torch._C._vmap_parts(value)
            if parts is not None and parts[2] == level:
                raise ValueError(f"vmap({name}, ...): `{name}` can not return a BatchedTensor when out_dim is None")
        return value
    if not isinstance(value, torch.Tensor):
        raise ValueError(
            f"vmap({name}, ...): `{name}` must only return Tensors, got type {type(value)}. Did you mean to set "
            "out_dims= to None for output?"
        )
    return torch._C._vmap_batch(value, dim, level, size)


def _run(
    func: Any, leaves: list[Any], dims: list[Any], spec: Any, kwargs: dict[str, Any], size: int, randomness: str
) -> tuple[Any, int]:
    """The function's result on examples, and the level that they belong to."""
    level = torch._C._vmap_enter(size, randomness)
    try:
        examples = [x if d is None else torch._C._vmap_example(x, d, level) for x, d in zip(leaves, dims, strict=True)]
        return func(*_pytree.tree_unflatten(examples, spec), **kwargs), level
    finally:
        torch._C._vmap_leave()


def _mapped(
    func: Any,
    leaves: list[Any],
    dims: list[Any],
    spec: Any,
    out_dims: Any,
    randomness: str,
    kwargs: dict[str, Any],
) -> tuple[list[Any], list[Any], Any]:
    """The results for a batch as leaves, their batch dimensions, and their nesting."""
    size = _batch_size(leaves, dims)
    output, level = _run(func, leaves, dims, spec, kwargs, size, randomness)
    flat, out_spec = _pytree.tree_flatten(output)
    places = _checked_out_dims(func, out_dims, output, out_spec)
    return [_batch_of(func, v, d, level, size) for v, d in zip(flat, places, strict=True)], places, out_spec


def _chunked(
    func: Any,
    leaves: list[Any],
    dims: list[Any],
    spec: Any,
    out_dims: Any,
    randomness: str,
    kwargs: dict[str, Any],
    chunk_size: int,
) -> Any:
    size = _batch_size(leaves, dims)
    state = torch.get_rng_state() if randomness == "same" else None
    columns: list[list[Any]] = []
    places: list[Any] = []
    out_spec = None
    for start in range(0, max(size, 1), chunk_size):
        if state is not None:
            torch.set_rng_state(state)
        length = min(chunk_size, size - start)
        part = [x if d is None else x.narrow(d, start, length) for x, d in zip(leaves, dims, strict=True)]
        flat, places, out_spec = _mapped(func, part, dims, spec, out_dims, randomness, kwargs)
        columns.append(flat)
    joined = [
        parts[0] if place is None else torch.cat(parts, place)
        for parts, place in zip(zip(*columns, strict=True), places, strict=True)
    ]
    return _pytree.tree_unflatten(joined, out_spec)


def vmap(
    func: Callable[..., Any],
    in_dims: Any = 0,
    out_dims: Any = 0,
    randomness: str = "error",
    *,
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    """Map ``func`` over a dimension of its arguments, all examples at once.

    ``in_dims`` says which dimension of each argument counts the examples, ``None`` that all share it; it is one number
    for all, or nested as the arguments are. ``out_dims`` says where that dimension comes in the results. Keyword
    arguments are shared. ``func`` must return tensors, and cannot branch on their values. Random operations raise a
    RuntimeError unless ``randomness`` is "different" (each example draws anew) or "same" (one draw for all).
    ``chunk_size`` bounds how many examples run at once. Raises a ValueError where dimensions and arguments don't fit.

    >>> torch.func.vmap(torch.dot)(torch.ones(2, 3), torch.ones(2, 3))
    tensor([3., 3.])
    >>> torch.func.vmap(torch.mul, in_dims=(0, None), out_dims=1)(torch.ones(2), torch.ones(3)).shape
    torch.Size([3, 2])
    """
    if randomness not in ("error", "different", "same"):
        raise RuntimeError(f"Only allowed values for randomness are 'error', 'different', or 'same'. Got {randomness}")
    if chunk_size is not None and not chunk_size > 0:
        raise ValueError(f"vmap: chunk_size should be None or greater than 0. (got {chunk_size})")
    if not all(d is None or isinstance(d, int) for d in _pytree.tree_leaves(out_dims)):
        raise ValueError(
            f"vmap({_name(func)}, ..., out_dims={out_dims}): `out_dims` must be an int, None or a python collection of "
            "ints representing where in the outputs the vmapped dimension should appear."
        )

    @functools.wraps(func)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        leaves, spec = _pytree.tree_flatten(args)
        dims = _checked_in_dims(func, in_dims, args, leaves, spec)
        if chunk_size is not None:
            return _chunked(func, leaves, dims, spec, out_dims, randomness, kwargs, chunk_size)
        flat, _, out_spec = _mapped(func, leaves, dims, spec, out_dims, randomness, kwargs)
        return _pytree.tree_unflatten(flat, out_spec)

    return wrapped


def debug_unwrap(tensor: Tensor, *, recurse: bool = True) -> Tensor:
    """The tensor behind one example: the whole batch, for looking at it while a program is debugged.

    With ``recurse`` through all levels of ``vmap``. Raises a TypeError for what is no tensor; other tensors come back
    as they are. What is computed with the result inside of a mapped function is not mapped.

    >>> torch.func.vmap(lambda x: x + torch.func.debug_unwrap(x).numel())(torch.zeros(3))
    tensor([3., 3., 3.])
    """
    parts = torch._C._vmap_parts(tensor)
    if parts is None:
        return tensor
    return debug_unwrap(parts[0]) if recurse else parts[0]
