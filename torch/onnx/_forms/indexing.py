"""Elements by their places."""

from __future__ import annotations

from typing import Any

import torch

from .._builder import Builder, Value
from ._registry import form


def _result(b: Builder) -> tuple[torch.dtype, Any]:
    return b.result.dtype, tuple(b.result.shape)


@form("embedding.default")
def embedding(b: Builder, weight: Value, indices: Value, *rest: Any) -> Value:
    return b.op("Gather", weight, indices, axis=0, like=_result(b))  # type: ignore[no-any-return]


@form("index_select.default")
def index_select(b: Builder, x: Value, dim: int, index: Value) -> Value:
    return b.op("Gather", x, index, axis=dim % x.rank, like=_result(b))  # type: ignore[no-any-return]


@form("gather.default")
def gather(b: Builder, x: Value, dim: int, index: Value, sparse_grad: bool = False) -> Value:
    return b.op("GatherElements", x, index, axis=dim % x.rank, like=_result(b))  # type: ignore[no-any-return]


@form("take_along_dim.default")
def take_along_dim(b: Builder, x: Value, index: Value, dim: Any = None) -> Value:
    if dim is None:
        x, index, dim = b.reshape(x, [-1], (None,)), b.reshape(index, [-1], (None,)), 0
    return gather(b, x, dim, index)


def _scatter(reduction: str | None) -> Any:
    def write(b: Builder, x: Value, dim: int, index: Value, source: Any) -> Value:
        assert x.dtype is not None
        if not isinstance(source, Value):
            source = b.op("Expand", b.scalar(source, x.dtype), b.shape_of(index))
        elif source.shape != index.shape:
            source = b.op("Slice", source, b.ints([0] * index.rank), b.shape_of(index))
        return b.op("ScatterElements", x, index, source, axis=dim % x.rank, reduction=reduction, like=_result(b))  # type: ignore

    return write


form("scatter.src", "scatter.value")(_scatter(None))
form("scatter_add.default")(_scatter("add"))


@form("index.Tensor", "_unsafe_index.Tensor")
def index(b: Builder, x: Value, indices: list[Value | None]) -> Value:
    """``x[i, j]``: gathered by tuples of places; dimensions without indices go behind and back again."""
    given = [(d, i) for d, i in enumerate(indices) if i is not None]
    if any(i.dtype in (torch.bool, torch.uint8) for _, i in given):
        return _masked(b, x, given)
    if len(given) == 1:
        dim, at = given[0]
        return b.op("Gather", x, at, axis=dim, like=_result(b))  # type: ignore[no-any-return]
    dims = [d for d, _ in given]
    order = dims + [d for d in range(x.rank) if d not in dims]
    places = _tuples(b, x, given)
    found = b.op("GatherND", b.transpose(x, order), places)
    lead = max(i.rank for _, i in given)
    if dims != list(range(dims[0], dims[0] + len(dims))) or dims[0] == 0:
        found.dtype, found.shape = _result(b)
        return found  # type: ignore[no-any-return]
    rank = len(b.result.shape)
    found.dtype, found.shape = x.dtype, (None,) * rank
    back = [*range(lead, lead + dims[0]), *range(lead), *range(lead + dims[0], rank)]
    made = b.transpose(found, back)
    made.dtype, made.shape = _result(b)
    return made


def _tuples(b: Builder, x: Value, given: list[tuple[int, Value]]) -> Value:
    """Indices that broadcast as one tensor of tuples, negative ones counted from the end."""
    total = given[0][1]
    for _, i in given[1:]:
        total = b.op("Add", total, i)
    shape = b.op("Shape", total)
    columns = []
    for dim, i in given:
        wide = b.op("Expand", b.cast(i, torch.int64), shape)
        size = b.squeeze(b.size_of(x, dim), 0)
        wide = b.op("Where", b.op("Less", wide, b.ints(0)), b.op("Add", wide, size), wide)
        wide.dtype, wide.shape = torch.int64, (None,) * max(v.rank for _, v in given)
        columns.append(b.unsqueeze(wide, -1))
    return b.op("Concat", *columns, axis=-1, like=(torch.int64, (None,) * columns[0].rank))  # type: ignore


def _masked(b: Builder, x: Value, given: list[tuple[int, Value]]) -> Value:
    if len(given) != 1 or given[0][0] != 0:
        raise NotImplementedError("a mask behind other dimensions has no form in ONNX")
    mask = b.cast(given[0][1], torch.bool)
    if mask.rank == 1:
        return b.op("Compress", x, mask, axis=0, like=_result(b))  # type: ignore[no-any-return]
    places = b.op("NonZero", mask, like=(torch.int64, (mask.rank, None)))
    return b.op("GatherND", x, b.transpose(places, [1, 0]), like=_result(b))  # type: ignore[no-any-return]


@form("index_put.default", "_unsafe_index_put.default")
def index_put(b: Builder, x: Value, indices: list[Value | None], values: Value, accumulate: bool = False) -> Value:
    given = [(d, i) for d, i in enumerate(indices) if i is not None]
    masks = [i for _, i in given if i.dtype in (torch.bool, torch.uint8)]
    if masks:
        if len(given) != 1 or values.shape not in ((), (1,)) or accumulate:
            raise NotImplementedError("index_put with a mask and several values has no form in ONNX")
        dim, mask = given[0]
        mask = b.cast(mask, torch.bool)
        for _ in range(x.rank - dim - mask.rank):
            mask = b.unsqueeze(mask, mask.rank)
        return b.op("Where", mask, b.cast(values, b.result.dtype), x, like=_result(b))  # type: ignore[no-any-return]
    dims = [d for d, _ in given]
    if dims != list(range(len(dims))):
        raise NotImplementedError("index_put behind whole dimensions has no form in ONNX")
    places = _tuples(b, x, given)
    head = b.op("Slice", b.op("Shape", places), b.ints([0]), b.ints([-1]))
    tail = b.op("Slice", b.op("Shape", x), b.ints([len(dims)]), b.ints([2**63 - 1]))
    wide = b.op("Expand", b.cast(values, b.result.dtype), b.op("Concat", head, tail, axis=0))
    return b.op("ScatterND", x, places, wide, reduction="add" if accumulate else None, like=_result(b))  # type: ignore


@form("select_scatter.default")
def select_scatter(b: Builder, x: Value, source: Value, dim: int, index: Any) -> Value:
    index = index if not isinstance(index, int) or index >= 0 else index + _known(x, dim)
    return _written(b, x, b.unsqueeze(source, dim), dim, b.sizes([index]))


@form("slice_scatter.default")
def slice_scatter(
    b: Builder, x: Value, source: Value, dim: int = 0, start: Any = None, end: Any = None, step: int = 1
) -> Value:
    dim = dim % x.rank
    whole = b.op("Range", b.ints(0), b.squeeze(b.size_of(x, dim), 0), b.ints(1), like=(torch.int64, (None,)))
    ends = [b.sizes([0 if start is None else start]), b.sizes([2**63 - 1 if end is None else end])]
    places = b.op("Slice", whole, *ends, b.ints([0]), b.ints([step]), like=(torch.int64, (None,)))
    return _written(b, x, source, dim, places)


def _known(x: Value, dim: int) -> int:
    assert x.shape is not None
    if not isinstance(x.shape[dim], int):
        raise NotImplementedError("a place counted from an open end has no form in ONNX")
    return x.shape[dim]


def _written(b: Builder, x: Value, source: Value, dim: int, places: Value) -> Value:
    """Write to some places along a dimension, which comes to the front and goes back."""
    dim = dim % x.rank
    order = [dim, *(d for d in range(x.rank) if d != dim)]
    back = [order.index(d) for d in range(x.rank)]
    front = b.transpose(x, order)
    values = b.transpose(b.cast(source, b.result.dtype), order)
    made = b.op("ScatterND", front, b.unsqueeze(places, 1), values, like=front)
    return b.transpose(made, back)


@form("nonzero.default")
def nonzero(b: Builder, x: Value) -> Value:
    found = b.op("NonZero", b.cast(x, torch.bool), like=(torch.int64, (x.rank, None)))
    made = b.transpose(found, [1, 0])
    made.dtype, made.shape = _result(b)
    return made


@form("masked_select.default")
def masked_select(b: Builder, x: Value, mask: Value) -> Value:
    shape = b.op("Shape", b.op("Add", b.cast(x, torch.float32), b.cast(mask, torch.float32)))
    flat = [b.op("Reshape", b.op("Expand", v, shape), b.ints([-1])) for v in (x, b.cast(mask, torch.bool))]
    return b.op("Compress", *flat, axis=0, like=_result(b))  # type: ignore[no-any-return]


@form("one_hot.default")
def one_hot(b: Builder, x: Value, num_classes: int = -1) -> Value:
    if num_classes < 0:
        raise NotImplementedError("one_hot without a number of classes has no form in ONNX")
    return b.op("OneHot", x, b.ints([num_classes]), b.ints([0, 1]), axis=-1, like=_result(b))  # type: ignore


@form("diagonal.default")
def diagonal(b: Builder, x: Value, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Value:
    dim1, dim2 = dim1 % x.rank, dim2 % x.rank
    rows, columns = _known(x, dim1), _known(x, dim2)
    count = max(min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns), 0)
    at = [[i + max(-offset, 0), i + max(offset, 0)] for i in range(count)]
    order = [dim1, dim2, *(d for d in range(x.rank) if d not in (dim1, dim2))]
    found = b.op("GatherND", b.transpose(x, order), b.constant(torch.tensor(at, dtype=torch.int64).reshape(count, 2)))
    found.dtype, found.shape = x.dtype, (None,) * (x.rank - 1)
    made = b.transpose(found, [*range(1, x.rank - 1), 0])
    made.dtype, made.shape = _result(b)
    return made


def _rows(b: Builder, x: Value, dim: int, index: Value, source: Any, reduction: str | None) -> Value:
    """Write to whole rows along a dimension, which comes to the front and goes back."""
    dim = dim % x.rank
    order = [dim, *(d for d in range(x.rank) if d != dim)]
    front = b.transpose(x, order)
    at = b.unsqueeze(index, 1) if index.rank == 1 else b.reshape(index, [1, 1])
    if isinstance(source, Value) and source.rank == x.rank:
        values = b.transpose(b.cast(source, b.result.dtype), order)
    else:
        plain = source if isinstance(source, Value) else b.scalar(source, b.result.dtype)
        rest = b.op("Slice", b.shape_of(front), b.ints([1]), b.ints([x.rank]))
        sizes = b.op("Concat", b.size_of(index, 0), rest, axis=0)
        values = b.op("Expand", b.cast(plain, b.result.dtype), sizes)
    made = b.op("ScatterND", front, at, values, reduction=reduction, like=front)
    return b.transpose(made, [order.index(d) for d in range(x.rank)])


@form("index_add.default")
def index_add(b: Builder, x: Value, dim: int, index: Value, source: Value, alpha: Any = 1) -> Value:
    if alpha != 1:
        source = b.op("Mul", source, b.scalar(alpha, b.result.dtype), like=source)
    return _rows(b, x, dim, index, source, "add")


@form("index_copy.default")
def index_copy(b: Builder, x: Value, dim: int, index: Value, source: Value) -> Value:
    return _rows(b, x, dim, index, source, None)


@form("index_fill.int_Scalar", "index_fill.int_Tensor")
def index_fill(b: Builder, x: Value, dim: int, index: Value, value: Any) -> Value:
    return _rows(b, x, dim, index, value, None)


@form("take.default")
def take(b: Builder, x: Value, index: Value) -> Value:
    return b.op("Gather", b.reshape(x, [-1], (None,)), index, axis=0, like=_result(b))  # type: ignore[no-any-return]


def _bucket(b: Builder, edges: Value, x: Value, right: bool) -> Value:
    """How many edges lie below each element."""
    below = b.op("LessOrEqual" if right else "Less", b.cast(edges, x.dtype or torch.float32), b.unsqueeze(x, -1))
    below.dtype, below.shape = torch.bool, (*(x.shape or ()), edges.shape[-1] if edges.shape else None)
    return b.cast(b.reduce("ReduceSum", b.cast(below, torch.int64), [-1], False), b.result.dtype)


@form("bucketize.Tensor")
def bucketize(b: Builder, x: Value, boundaries: Value, out_int32: bool = False, right: bool = False) -> Value:
    return _bucket(b, boundaries, x, right)


@form("searchsorted.Tensor")
def searchsorted(
    b: Builder, edges: Value, x: Value, out_int32: bool = False, right: bool = False, side: Any = None,
    sorter: Any = None,
) -> Value:  # fmt: skip
    if edges.rank != 1 or sorter is not None:
        raise NotImplementedError("searchsorted in several sequences has no form in ONNX")
    return _bucket(b, edges, x, right or side == "right")


@form("scatter_reduce.two")
def scatter_reduce(
    b: Builder, x: Value, dim: int, index: Value, source: Value, reduce: str, include_self: bool = True
) -> Value:
    kinds = {"sum": "add", "prod": "mul", "amax": "max", "amin": "min"}
    if reduce not in kinds:
        raise NotImplementedError(f"scatter_reduce with {reduce} has no form in ONNX")
    assert x.dtype is not None
    dim = dim % x.rank
    if not include_self:
        # What is written to starts from the operation's neutral element.
        info = torch.finfo(x.dtype) if x.dtype.is_floating_point else torch.iinfo(x.dtype)
        neutral = {"sum": 0, "prod": 1, "amax": info.min, "amin": info.max}[reduce]
        start = b.op("Expand", b.scalar(neutral, x.dtype), b.shape_of(index), like=(x.dtype, index.shape))
        x = b.op("ScatterElements", x, index, start, axis=dim, like=x)
    if source.shape != index.shape:
        source = b.op("Slice", source, b.ints([0] * index.rank), b.shape_of(index))
    return b.op("ScatterElements", x, index, source, axis=dim, reduction=kinds[reduce], like=_result(b))  # type: ignore
