"""Operations that move elements: reshaping, cutting, joining, padding."""

from __future__ import annotations

from typing import Any

import torch

from .._builder import Builder, Value
from ._registry import form

_END = 2**63 - 1


def _result(b: Builder) -> tuple[torch.dtype, Any]:
    return b.result.dtype, tuple(b.result.shape)


def _resized(b: Builder, x: Value, given: Any = None) -> Value:
    """The elements of a value in the sizes of the result.

    Open sizes are those that ``given`` holds as values of the model, or those of the same name of ``x``; one of them
    may be what is left.
    """
    shape = tuple(b.result.shape)
    if sum(not isinstance(s, int) for s in shape) <= 1:
        return b.reshape(x, [s if isinstance(s, int) else -1 for s in shape], shape)
    known = {str(s): d for d, s in reversed(list(enumerate(x.shape or ()))) if not isinstance(s, (int, type(None)))}
    sizes: list[Any] = []
    for i, size in enumerate(shape):
        told = given[i] if given is not None and len(given) == len(shape) else None
        if isinstance(size, int):
            sizes.append(size)
        elif isinstance(told, Value):
            sizes.append(told)
        else:
            sizes.append(b.size_of(x, known[str(size)]) if str(size) in known else -1)
    if sum(isinstance(s, int) and s == -1 for s in sizes) > 1:
        raise NotImplementedError(f"several of the sizes {shape} are not known")
    return b.reshape(x, sizes, shape)


@form("view.default", "reshape.default", "_unsafe_view.default", "_reshape_copy.default", "view_copy.default")
def view(b: Builder, x: Value, size: Any) -> Value:
    return _resized(b, x, list(size))


@form("unflatten.int")
def unflatten(b: Builder, x: Value, dim: int, sizes: Any) -> Value:
    dim = dim % x.rank
    return _resized(b, x, [None] * dim + list(sizes) + [None] * (x.rank - dim - 1))


@form("flatten.using_ints")
def flatten(b: Builder, x: Value, start_dim: int = 0, end_dim: int = -1) -> Value:
    return _resized(b, x)


@form("squeeze.default", "squeeze.dim", "squeeze.dims")
def squeeze(b: Builder, x: Value, dim: Any = None) -> Value:
    assert x.shape is not None
    dims = range(x.rank) if dim is None else [dim] if isinstance(dim, int) else dim
    gone = [d % x.rank for d in dims if x.rank and x.shape[d] == 1]
    return b.squeeze(x, *gone) if gone else x


@form("unsqueeze.default")
def unsqueeze(b: Builder, x: Value, dim: int) -> Value:
    return b.unsqueeze(x, dim)


@form("permute.default")
def permute(b: Builder, x: Value, dims: Any) -> Value:
    return b.transpose(x, dims)


@form("transpose.int", "swapaxes.default", "swapdims.default")
def transpose(b: Builder, x: Value, dim0: int, dim1: int) -> Value:
    order = list(range(x.rank))
    if order:
        order[dim0], order[dim1] = order[dim1], order[dim0]
    return b.transpose(x, order)


@form("t.default", "numpy_T.default", "mT.default")
def t(b: Builder, x: Value) -> Value:
    return b.transpose(x, [*range(x.rank - 2), *range(x.rank - 1, max(x.rank - 3, -1), -1)]) if x.rank > 1 else x


@form("movedim.intlist", "movedim.int")
def movedim(b: Builder, x: Value, source: Any, destination: Any) -> Value:
    source = [source] if isinstance(source, int) else source
    destination = [destination] if isinstance(destination, int) else destination
    order = [d for d in range(x.rank) if d not in [s % x.rank for s in source]]
    for to, d in sorted(zip([v % x.rank for v in destination], [v % x.rank for v in source], strict=True)):
        order.insert(to, d)
    return b.transpose(x, order)


@form("expand.default", "broadcast_to.default")
def expand(b: Builder, x: Value, size: Any, implicit: bool = False) -> Value:
    sizes = [1 if isinstance(s, int) and s == -1 else s for s in size]
    known = [n if isinstance(n, int) and isinstance(s, int) else s for s, n in zip(sizes, b.result.shape, strict=True)]
    return b.op("Expand", x, b.sizes(known), like=_result(b))  # type: ignore[no-any-return]


@form("expand_as.default")
def expand_as(b: Builder, x: Value, other: Value) -> Value:
    return b.op("Expand", x, b.shape_of(other), like=_result(b))  # type: ignore[no-any-return]


@form("repeat.default", "tile.default")
def repeat(b: Builder, x: Value, repeats: Any) -> Value:
    for _ in range(len(repeats) - x.rank):
        x = b.unsqueeze(x, 0)
    counts = [1] * (x.rank - len(repeats)) + list(repeats)
    return b.op("Tile", x, b.sizes(counts), like=_result(b))  # type: ignore[no-any-return]


@form("repeat_interleave.self_int")
def repeat_interleave(b: Builder, x: Value, repeats: int, dim: Any = None, output_size: Any = None) -> Value:
    if dim is None:
        x, dim = b.reshape(x, [-1], (None,)), 0
    dim = dim % x.rank
    wide = b.unsqueeze(x, dim + 1)
    tiled = b.op("Tile", wide, b.ints([repeats if d == dim + 1 else 1 for d in range(wide.rank)]))
    tiled.shape = (None,) * wide.rank
    sizes = [0 if d < dim else -1 if d == dim else 0 for d in range(x.rank)]
    if any(d > dim for d in range(x.rank)):
        whole = b.shape_of(x)
        parts = [b.op("Slice", whole, b.ints([0]), b.ints([dim])), b.ints([-1])]
        parts.append(b.op("Slice", whole, b.ints([dim + 1]), b.ints([_END])))
        return b.op("Reshape", tiled, b.op("Concat", *parts, axis=0), like=_result(b))  # type: ignore[no-any-return]
    return b.op("Reshape", tiled, b.ints(sizes), like=_result(b))  # type: ignore[no-any-return]


@form("cat.default", "concat.default", "concatenate.default")
def cat(b: Builder, tensors: list[Value], dim: int = 0) -> Value:
    kept = [t for t in tensors if t.shape != (0,)] or tensors[:1]
    parts = [b.cast(t, b.result.dtype) for t in kept]
    return b.op("Concat", *parts, axis=dim % max(parts[0].rank, 1), like=_result(b))  # type: ignore[no-any-return]


@form("stack.default")
def stack(b: Builder, tensors: list[Value], dim: int = 0) -> Value:
    parts = [b.unsqueeze(b.cast(t, b.result.dtype), dim) for t in tensors]
    return b.op("Concat", *parts, axis=dim % parts[0].rank, like=_result(b))  # type: ignore[no-any-return]


def _cut(b: Builder, x: Value, dim: int, sizes: list[Any]) -> tuple[Value, ...]:
    dim = dim % x.rank
    if len(sizes) == 1:
        return (x,)
    parts = b.op("Split", x, b.sizes(sizes), axis=dim, outputs=len(sizes))
    assert x.shape is not None
    for part, size in zip(parts, sizes, strict=True):
        part.dtype = x.dtype
        part.shape = (*x.shape[:dim], size if isinstance(size, int) else None, *x.shape[dim + 1 :])
    return tuple(parts)


@form("split.Tensor", "chunk.default", "tensor_split.sections", "split_with_sizes.default", "split.sizes")
def split(b: Builder, x: Value, size: Any, dim: int = 0) -> tuple[Value, ...]:
    known = [part.shape[dim] for part in b.result]
    if all(isinstance(s, int) for s in known):
        return _cut(b, x, dim, known)
    if isinstance(size, (list, tuple)):
        return _cut(b, x, dim, list(size))
    raise NotImplementedError("cutting an open size into a number of parts has no form in ONNX")


@form("unbind.int")
def unbind(b: Builder, x: Value, dim: int = 0) -> tuple[Value, ...]:
    return tuple(b.squeeze(part, dim) for part in _cut(b, x, dim, [1] * len(b.result)))


@form("slice.Tensor")
def slice(b: Builder, x: Value, dim: int = 0, start: Any = None, end: Any = None, step: int = 1) -> Value:
    assert x.shape is not None
    dim = dim % x.rank
    start = 0 if start is None else start
    end = _END if end is None else end
    whole = isinstance(end, int) and (end == _END or end == x.shape[dim])
    if isinstance(start, int) and start == 0 and whole and step == 1:
        return x
    return b.op("Slice", x, b.sizes([start]), b.sizes([end]), b.ints([dim]), b.ints([step]), like=_result(b))  # type: ignore


@form("narrow.default")
def narrow(b: Builder, x: Value, dim: int, start: Any, length: Any) -> Value:
    if isinstance(start, int) and isinstance(length, int):
        end: Any = start + length
    else:
        end = b.op("Add", b.sizes([start]), b.sizes([length]), like=(torch.int64, (1,)))
    return b.op("Slice", x, b.sizes([start]), b.sizes([end]), b.ints([dim]), like=_result(b))  # type: ignore


@form("select.int")
def select(b: Builder, x: Value, dim: int, index: Any) -> Value:
    at = index if isinstance(index, Value) else b.ints(index)
    return b.op("Gather", x, at, axis=dim % x.rank, like=_result(b))  # type: ignore[no-any-return]


@form("flip.default")
def flip(b: Builder, x: Value, dims: Any) -> Value:
    count = len(dims)
    if not count:
        return x
    ends = b.ints([-(2**63)] * count)
    axes = b.ints([d % x.rank for d in dims])
    return b.op("Slice", x, b.ints([-1] * count), ends, axes, b.ints([-1] * count), like=_result(b))  # type: ignore


@form("roll.default")
def roll(b: Builder, x: Value, shifts: Any, dims: Any = ()) -> Value:
    if not dims:
        flat = b.reshape(x, [-1], (None,))
        rolled = _rolled(b, flat, shifts[0], 0)
        return b.op("Reshape", rolled, b.shape_of(x), like=_result(b))  # type: ignore[no-any-return]
    for shift, dim in zip(shifts, dims, strict=True):
        x = _rolled(b, x, shift, dim % x.rank)
    return x


def _rolled(b: Builder, x: Value, shift: int, dim: int) -> Value:
    axis = b.ints([dim])
    back = b.op("Slice", x, b.ints([-shift]), b.ints([_END]), axis)
    front = b.op("Slice", x, b.ints([0]), b.ints([-shift]), axis)
    return b.op("Concat", back, front, axis=dim, like=x)  # type: ignore[no-any-return]


@form("constant_pad_nd.default")
def constant_pad(b: Builder, x: Value, pad: Any, value: Any = 0) -> Value:
    return _padded(b, x, pad, "constant", value)


@form("pad.default")
def pad(b: Builder, x: Value, pad: Any, mode: str = "constant", value: Any = None) -> Value:
    return _padded(b, x, pad, mode, value or 0)


def _mode(mode: str) -> Any:
    return lambda b, x, padding: _padded(b, x, padding, mode, None)


for _n in (1, 2, 3):
    form(f"reflection_pad{_n}d.default")(_mode("reflect"))
    form(f"replication_pad{_n}d.default")(_mode("replicate"))


def _padded(b: Builder, x: Value, pad: Any, mode: str, value: Any) -> Value:
    assert x.dtype is not None
    kinds = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
    rank, count = x.rank, len(pad) // 2
    before: list[Any] = [0] * (rank - count) + [pad[2 * (count - 1 - i)] for i in range(count)]
    after: list[Any] = [0] * (rank - count) + [pad[2 * (count - 1 - i) + 1] for i in range(count)]
    fill = b.scalar(value, x.dtype) if mode == "constant" else None
    return b.op("Pad", x, b.sizes([*before, *after]), fill, mode=kinds[mode], like=_result(b))  # type: ignore


@form("unfold.default")
def unfold(b: Builder, x: Value, dimension: int, size: int, step: int) -> Value:
    assert x.shape is not None
    dim = dimension % x.rank
    length = x.shape[dim]
    if not isinstance(length, int):
        raise NotImplementedError("windows over an open size have no form in ONNX")
    places = [[i + j for j in range(size)] for i in range(0, length - size + 1, step)]
    found = b.op("Gather", x, b.constant(places, torch.int64), axis=dim)
    found.dtype, found.shape = x.dtype, (*x.shape[:dim], len(places), size, *x.shape[dim + 1 :])
    return b.transpose(found, [d for d in range(x.rank + 1) if d != dim + 1] + [dim + 1])


@form("tril.default")
def tril(b: Builder, x: Value, diagonal: int = 0) -> Value:
    return _triangle(b, x, diagonal, 0)


@form("triu.default")
def triu(b: Builder, x: Value, diagonal: int = 0) -> Value:
    return _triangle(b, x, diagonal, 1)


def _triangle(b: Builder, x: Value, diagonal: int, upper: int) -> Value:
    # The kernels of onnxruntime know no truth values here.
    plain = b.cast(x, torch.int64) if x.dtype == torch.bool else x
    made = b.op("Trilu", plain, b.ints(diagonal), upper=upper, like=(plain.dtype, tuple(b.result.shape)))
    return b.cast(made, b.result.dtype)


@form("pixel_shuffle.default")
def pixel_shuffle(b: Builder, x: Value, factor: int) -> Value:
    return b.op("DepthToSpace", x, blocksize=factor, mode="CRD", like=_result(b))  # type: ignore[no-any-return]


@form("pixel_unshuffle.default")
def pixel_unshuffle(b: Builder, x: Value, factor: int) -> Value:
    assert x.shape is not None
    n, c, h, w = x.shape
    cut = b.reshape(x, [-1, c, h // factor, factor, w // factor, factor])
    turned = b.transpose(cut, [0, 1, 3, 5, 2, 4])
    return b.reshape(turned, [-1, c * factor**2, h // factor, w // factor], tuple(b.result.shape))
