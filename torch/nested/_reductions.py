"""Nested tensors reduced, and normalised, over their dimensions."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.masked._neutral import neutral

from ._jagged import NestedTensor, compact, entry_numbers, packed, padded
from ._operations import Rule

_REDUCTIONS = ("sum", "mean", "prod", "any", "all", "amax", "amin", "max", "min", "argmax", "argmin")
# These give a number where no dimension is named, and take one dimension at most.
_SINGLE = frozenset(("prod", "argmax", "argmin", "max", "min"))


def _dims(name: str, input: NestedTensor, dim: Any) -> list[int]:
    dims = [dim] if isinstance(dim, int) else list(dim)
    outer = sorted({input.outer_dim(d) for d in dims})
    if 0 in outer and input._ragged_idx not in outer:
        raise RuntimeError(
            f"{name}(): reducing along the batch dimension but not the ragged dimension is not supported for "
            "nested tensors"
        )
    if input._ragged_idx in outer:
        if 0 not in outer and len(outer) > 1:
            raise RuntimeError(
                f"{name}(): reducing along a ragged and non-batch dimension is not supported for nested tensors"
            )
        if input._lengths is not None:
            raise RuntimeError(
                f"{name}(): reducing across the ragged dimension is not supported for non-contiguous nested "
                "tensors with "
                "holes"
            )
    return outer


def _over_ragged(name: str, func: Any, input: NestedTensor, keepdim: bool, dtype: Any) -> Any:
    """One result per entry: a dense tensor."""
    ragged, more = input._ragged_idx, {} if dtype is None else {"dtype": dtype}
    if name in ("sum", "mean"):
        values = input._values.movedim(ragged - 1, 0)
        if name == "sum" and dtype is None and not (values.is_floating_point() or values.is_complex()):
            dtype = torch.int64
        values = values if dtype is None else values.to(dtype)
        total = values.new_zeros(input._batch, *values.shape[1:]).index_add(0, entry_numbers(input), values)
        if name == "mean":
            count = input._offsets.diff()
            total = total / count.view(-1, *[1] * (total.dim() - 1)).to(total.dtype)
        return total.unsqueeze(ragged) if keepdim else total
    filled = padded(input, neutral(name, input.dtype))
    return func(filled, ragged, keepdim, **more)


def _reduce(name: str, func: Any, input: NestedTensor, dim: Any = None, keepdim: bool = False, **kwargs: Any) -> Any:
    if isinstance(dim, Tensor):
        raise RuntimeError(f"{name}(): comparing a nested tensor is done by {name}imum")
    dtype = kwargs.pop("dtype", None)
    more = {} if dtype is None else {"dtype": dtype}
    kwargs.pop("axis", None)
    if kwargs:
        raise NotImplementedError(f"aten.{name}.default\n{name}() of nested tensors does not take {sorted(kwargs)}")
    everything = dim is None or (isinstance(dim, (tuple, list)) and not dim)
    if everything and (name in _SINGLE or not keepdim):
        return func(compact(input)._values if input._lengths is not None else input._values, **more)
    dims = list(range(input.dim())) if everything else _dims(name, input, dim)
    ragged = input._ragged_idx
    if dims == [ragged]:
        return _over_ragged(name, func, input, keepdim, dtype)
    inner: Any = [d - 1 for d in dims if d]
    if name in _SINGLE and len(inner) == 1:
        inner = inner[0]
    result = func(input._values, inner, keepdim, **more)
    if ragged in dims:
        return result.unsqueeze(0) if keepdim else result
    left = ragged - (0 if keepdim else sum(d < ragged for d in dims))
    if isinstance(result, Tensor):
        return input.like(result, left)
    return type(result)([input.like(r, left) for r in result])


def _rule(name: str) -> Rule:
    def rule(func: Any, input: NestedTensor, *args: Any, **kwargs: Any) -> Any:
        return _reduce(name, func, input, *args, **kwargs)

    return rule


def _softmax(func: Any, input: NestedTensor, dim: int | None = None, *args: Any, **kwargs: Any) -> NestedTensor:
    name = "log_softmax" if "log" in func.__name__ else "softmax"
    if dim is None:
        raise RuntimeError(f"{name}(): a dimension must be named for NestedTensor")
    d = input.outer_dim(dim)
    if d == 0:
        raise RuntimeError(f"{name}(): not supported when reducing across the batch dimension for NestedTensor")
    if d != input._ragged_idx:
        return input.like(func(input._values, d - 1, *args, **kwargs))
    if name == "log_softmax":
        raise RuntimeError("log_softmax(): not supported when reducing along the ragged dimension for NestedTensor")
    if d > 1:
        raise RuntimeError(
            "softmax(): not supported when reducing along the ragged dimension for ragged_idx > 1 for NestedTensor"
        )
    if input._lengths is not None:
        raise RuntimeError(
            "softmax(): not supported where lengths is not None if reducing across the ragged dimension for "
            "NestedTensor"
        )
    return packed(func(padded(input, float("-inf")), d, *args, **kwargs), input)


def _normalise(func: Any, input: NestedTensor, normalized_shape: Any, *args: Any, **kwargs: Any) -> NestedTensor:
    shape = [normalized_shape] if isinstance(normalized_shape, int) else list(normalized_shape)
    inner = list(input._values.shape)
    if len(shape) > len(inner) - input._ragged_idx or inner[len(inner) - len(shape) :] != shape:
        name = func.__name__
        if len(shape) > len(inner) - input._ragged_idx and inner[len(inner) - len(shape) :] == shape:
            raise RuntimeError(f"{name}(): not supported when normalizing over the ragged dimension for NestedTensor")
        after = ", ".join(map(str, shape))
        raise RuntimeError(
            f"Given normalized_shape=[{after}], expected input with shape [*, {after}], but got input of "
            f"size[{', '.join(map(str, inner))}]"
        )
    return input.like(func(input._values, normalized_shape, *args, **kwargs))


RULES: dict[str, Rule] = {
    **{name: _rule(name) for name in _REDUCTIONS},
    **dict.fromkeys(("softmax", "log_softmax", "_softmax", "_log_softmax", "special_softmax"), _softmax),
    **dict.fromkeys(("layer_norm", "rms_norm"), _normalise),
}
