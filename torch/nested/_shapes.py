"""Nested tensors reshaped, cut and joined: what leaves batch and ragged dimension alone happens to the values."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ._jagged import NestedTensor
from ._operations import Rule, fitted, size_text


def _inner(name: str, nested: NestedTensor, dim: int, extra: int = 0) -> int:
    """The dimension of ``values`` that belongs to one of ``nested``, if that is neither the batch nor ragged."""
    d = nested.outer_dim(dim, extra)
    if d == 0:
        raise RuntimeError(f"{name}(): not supported for NestedTensor on dim=0")
    if d == nested._ragged_idx and not extra:
        raise RuntimeError(f"{name}(): not supported for NestedTensor on ragged dim")
    return d - 1


def unbind(func: Any, input: NestedTensor, dim: int = 0) -> tuple[Tensor, ...]:
    """The entries."""
    if input.outer_dim(dim) != 0:
        raise RuntimeError("unbind(): only supported for NestedTensor on dim=0")
    along = input._ragged_idx - 1
    if input._lengths is None:
        sizes = input._offsets.diff().tolist()
        if sum(sizes) == input._values.shape[along]:
            return input._values.split(sizes, along) if sizes else ()
    starts, lengths = input._offsets.tolist(), input._entry_lengths().tolist()
    return tuple(input._values.narrow(along, s, n) for s, n in zip(starts, lengths, strict=False))


def _select(func: Any, input: NestedTensor, dim: int, index: int) -> Tensor:
    d = input.outer_dim(dim)
    if d == 0:
        return unbind(None, input)[index]
    inner = _inner("select", input, dim)
    return input.like(input._values.select(inner, index), input._ragged_idx - (d < input._ragged_idx))


def _getitem(func: Any, input: NestedTensor, index: Any) -> Tensor:
    parts = list(index) if isinstance(index, tuple) else [index]
    if any(isinstance(p, (Tensor, list)) and not (isinstance(p, Tensor) and p.dim() == 0) for p in parts):
        raise NotImplementedError(
            "aten.index.Tensor\nA nested tensor is indexed by numbers and slices: take entries from nt.unbind()"
        )
    if Ellipsis in parts:
        at = parts.index(Ellipsis)
        rest = sum(p is not None and p is not Ellipsis for p in parts)
        parts[at : at + 1] = [slice(None)] * (input.dim() - rest)
        if all(isinstance(p, slice) and p == slice(None) for p in parts):
            return input
        whole = at == 0
    else:
        whole = False
    result, d = input, 0
    for p in parts:
        if not isinstance(result, NestedTensor):
            return result[tuple(parts[parts.index(p) :])]
        if p is None:
            result, d = _unsqueeze(None, result, d), d + 1
        elif isinstance(p, slice):
            if p == slice(None) and (whole or d > 0):
                d += 1
                continue
            inner = _inner("slice", result, d)
            result, d = result.like(result._values[(*[slice(None)] * inner, p)]), d + 1
        elif d == 0:
            entry = _select(None, result, 0, int(p))
            rest = tuple(parts[1:])
            return entry[rest] if rest else entry
        else:
            result = _select(None, result, d, int(p))
    return result


def _transpose(func: Any, input: NestedTensor, dim0: int, dim1: int) -> NestedTensor:
    a, b = input.outer_dim(dim0), input.outer_dim(dim1)
    if a == b:
        return input
    if 0 in (a, b):
        raise ValueError("Transpose is not supported on the batch dimension for jagged NT")
    ragged = {a: b, b: a}.get(input._ragged_idx, input._ragged_idx)
    return input.like(input._values.transpose(a - 1, b - 1), ragged)


def _permute(func: Any, input: NestedTensor, *dims: Any) -> NestedTensor:
    order = [input.outer_dim(d) for d in (dims[0] if len(dims) == 1 and not isinstance(dims[0], int) else dims)]
    if len(order) != input.dim():
        raise ValueError(
            f"permute(): number of dimensions in the tensor input ({input.dim()}) does not match the length of "
            "the desired "
            f"ordering of dimensions ({len(order)})."
        )
    if order[0] != 0:
        raise ValueError("Permute is not supported on the batch dimension for jagged NT")
    return input.like(input._values.permute([d - 1 for d in order[1:]]), order.index(input._ragged_idx))


def _unsqueeze(func: Any, input: NestedTensor, dim: int) -> NestedTensor:
    inner = _inner("unsqueeze", input, dim, 1)
    return input.like(input._values.unsqueeze(inner), input._ragged_idx + (inner < input._ragged_idx))


def _squeeze(func: Any, input: NestedTensor, dim: Any = None) -> NestedTensor:
    if dim is None:
        raise NotImplementedError("aten.squeeze.default\nsqueeze needs a dimension for nested tensors")
    inner = _inner("squeeze", input, dim)
    if input._values.shape[inner] != 1:
        return input
    return input.like(input._values.squeeze(inner), input._ragged_idx - (inner + 1 < input._ragged_idx))


def _view(func: Any, input: NestedTensor, *size: Any, **kwargs: Any) -> NestedTensor:
    name = func.__name__
    if len(size) == 1 and isinstance(size[0], torch.dtype):
        return input.like(input._values.view(size[0]))
    wanted = kwargs.get("shape", kwargs.get("size", size))
    wanted = list(wanted[0]) if len(wanted) == 1 and not isinstance(wanted[0], int) else list(wanted)
    ragged = input._ragged_idx
    symbol = input._ragged_size
    fits = len(wanted) > ragged and wanted[0] in (-1, input._batch)
    fits = fits and (wanted[ragged] == symbol or (isinstance(wanted[ragged], int) and wanted[ragged] == -1))
    fits = fits and all(a == b for a, b in zip(wanted[1:ragged], input.shape[1:ragged], strict=True))
    inner = [s for i, s in enumerate(wanted) if i not in (0, ragged)]
    if not fits or any(not isinstance(s, int) for s in inner):
        raise RuntimeError(f"{name}(): cannot view shape {size_text(input)} as {wanted}")
    packed_size = input._values.shape[ragged - 1]
    try:
        values = getattr(input._values, name)([*wanted[1:ragged], packed_size, *wanted[ragged + 1 :]])
    except RuntimeError as error:
        raise RuntimeError(f"{name}(): cannot view shape {size_text(input)} as {wanted}\n{error}") from None
    return input.like(values)


def _view_as(func: Any, input: NestedTensor, other: Tensor) -> NestedTensor:
    plain = torch.Tensor.view if func.__name__ == "view_as" else torch.Tensor.reshape
    return _view(plain, input, tuple(other.shape))


def _flatten(func: Any, input: NestedTensor, start_dim: int = 0, end_dim: int = -1) -> NestedTensor:
    first, last = input.outer_dim(start_dim), input.outer_dim(end_dim)
    if first == last:
        return input
    if first == 0:
        raise RuntimeError("flatten(): not supported for NestedTensor on dim=0")
    if first <= input._ragged_idx <= last:
        raise RuntimeError("flatten(): not supported for NestedTensor on ragged dim")
    ragged = input._ragged_idx - (last - first if last < input._ragged_idx else 0)
    return input.like(input._values.flatten(first - 1, last - 1), ragged)


def _unflatten(func: Any, input: NestedTensor, dim: int, sizes: Any) -> NestedTensor:
    inner = _inner("unflatten", input, dim)
    ragged = input._ragged_idx + (len(sizes) - 1 if inner + 1 < input._ragged_idx else 0)
    return input.like(input._values.unflatten(inner, sizes), ragged)


def _expand(func: Any, input: NestedTensor, *size: Any) -> NestedTensor:
    wanted = list(size[0]) if len(size) == 1 and not isinstance(size[0], int) else list(size)
    ragged = input._ragged_idx
    fits = len(wanted) == input.dim() and wanted[0] in (-1, input._batch)
    if not fits or not (wanted[ragged] == input._ragged_size or wanted[ragged] == -1):
        raise RuntimeError(f"expand(): cannot expand shape {size_text(input)} -> {wanted}")
    wanted[ragged] = -1
    return input.like(input._values.expand(wanted[1:]))


def _expand_as(func: Any, input: Tensor, other: Tensor) -> Tensor:
    if isinstance(input, NestedTensor):
        return _expand(None, input, tuple(other.shape))
    return other.like(fitted("expand_as", other, input).expand_as(other._values))


def _narrow(func: Any, input: NestedTensor, dim: int, start: int, length: int) -> NestedTensor:
    return input.like(input._values.narrow(_inner("narrow", input, dim), start, length))


def _split(func: Any, input: NestedTensor, split_size_or_sections: Any, dim: int = 0) -> tuple[NestedTensor, ...]:
    name = "split" if isinstance(split_size_or_sections, int) else "split_with_sizes"
    inner = _inner(name, input, dim)
    return tuple(input.like(v) for v in input._values.split(split_size_or_sections, inner))


def _chunk(func: Any, input: NestedTensor, chunks: int, dim: int = 0) -> tuple[NestedTensor, ...]:
    if input.outer_dim(dim) != 0:
        return tuple(input.like(v) for v in input._values.chunk(chunks, _inner("chunk", input, dim)))
    if chunks < 1:
        raise RuntimeError(f"chunk() expects `chunks` to be greater than 0, got: {chunks}")
    if input._lengths is not None:
        raise RuntimeError("chunk(): not supported for nested tensors with holes on dim=0")
    size = -(-input._batch // chunks)
    parts = []
    for first in range(0, input._batch, size):
        offsets = input._offsets[first : first + size + 1]
        start = int(offsets[0])
        rows = input._values.narrow(input._ragged_idx - 1, start, int(offsets[-1]) - start)
        parts.append(NestedTensor(rows, offsets - start, ragged_idx=input._ragged_idx))
    return tuple(parts)


def _together(name: str, tensors: Any) -> tuple[NestedTensor, list[Tensor]]:
    """The values of all; those of dense tensors and of equal raggedness are brought into the form of the first."""
    if not isinstance(tensors, (tuple, list)):
        raise TypeError(
            f"{name}(): argument 'tensors' (position 1) must be tuple of Tensors, not {type(tensors).__name__}"
        )
    first = next(t for t in tensors if isinstance(t, NestedTensor))
    values = []
    for t in tensors:
        if isinstance(t, NestedTensor):
            if t._ragged_idx != first._ragged_idx or not torch.equal(t._offsets, first._offsets):
                raise RuntimeError(
                    f"{name}(): the nested tensors must have the same offsets, got sizes {size_text(first)} and "
                    f"{size_text(t)}"
                )
            values.append(t._values)
        else:
            values.append(_expand_as(None, t, first)._values)
    return first, values


def _cat(func: Any, tensors: Any, dim: int = 0) -> NestedTensor:
    first, values = _together("cat", tensors)
    return first.like(torch.cat(values, _inner("cat", first, dim)))


def _stack(func: Any, tensors: Any, dim: int = 0) -> NestedTensor:
    first, values = _together("stack", tensors)
    d = first.outer_dim(dim, 1)
    if d == 0:
        raise RuntimeError("stack(): not supported for NestedTensor on dim=0")
    if d == first._ragged_idx:
        raise RuntimeError("stack(): not supported for NestedTensor on ragged dim")
    return first.like(torch.stack(values, d - 1), first._ragged_idx + (d < first._ragged_idx))


RULES: dict[str, Rule] = {
    "unbind": unbind,
    "select": _select,
    "getitem": _getitem,
    "transpose": _transpose,
    "swapaxes": _transpose,
    "swapdims": _transpose,
    "permute": _permute,
    "unsqueeze": _unsqueeze,
    "squeeze": _squeeze,
    "view": _view,
    "reshape": _view,
    "view_as": _view_as,
    "reshape_as": _view_as,
    "flatten": _flatten,
    "unflatten": _unflatten,
    "expand": _expand,
    "broadcast_to": _expand,
    "expand_as": _expand_as,
    "narrow": _narrow,
    "split": _split,
    "split_with_sizes": _split,
    "chunk": _chunk,
    "cat": _cat,
    "concat": _cat,
    "concatenate": _cat,
    "stack": _stack,
}
