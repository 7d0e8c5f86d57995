"""Sums, extremes and their places, softmax and cumulative sums."""

from __future__ import annotations

from typing import Any

import torch

from .._builder import Builder, Value
from ._registry import form


def _result(b: Builder) -> tuple[torch.dtype, Any]:
    return b.result.dtype, tuple(b.result.shape)


def _dims(dim: Any) -> Any:
    return [dim] if isinstance(dim, int) else dim


@form("sum.default", "sum.dim_IntList")
def sum(b: Builder, x: Value, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Value:
    return b.reduce("ReduceSum", b.cast(x, b.result.dtype), _dims(dim), keepdim)


@form("mean.default", "mean.dim")
def mean(b: Builder, x: Value, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Value:
    return b.reduce("ReduceMean", b.cast(x, b.result.dtype), _dims(dim), keepdim)


@form("prod.default", "prod.dim_int")
def prod(b: Builder, x: Value, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Value:
    return b.reduce("ReduceProd", b.cast(x, b.result.dtype), _dims(dim), keepdim)


@form("amax.default", "max.default")
def amax(b: Builder, x: Value, dim: Any = None, keepdim: bool = False) -> Value:
    return b.reduce("ReduceMax", x, _dims(dim), keepdim)


@form("amin.default", "min.default")
def amin(b: Builder, x: Value, dim: Any = None, keepdim: bool = False) -> Value:
    return b.reduce("ReduceMin", x, _dims(dim), keepdim)


def _extreme(reduce: str, place: str) -> Any:
    def write(b: Builder, x: Value, dim: int, keepdim: bool = False) -> tuple[Value, Value]:
        found = b.reduce(reduce, x, [dim], keepdim)
        at = b.op(place, x, axis=dim % max(x.rank, 1), keepdims=int(keepdim), like=(torch.int64, found.shape))
        return found, at

    return write


form("max.dim")(_extreme("ReduceMax", "ArgMax"))
form("min.dim")(_extreme("ReduceMin", "ArgMin"))


def _place(kind: str) -> Any:
    def write(b: Builder, x: Value, dim: Any = None, keepdim: bool = False) -> Value:
        if dim is None:
            found = b.op(kind, b.reshape(x, [-1]), axis=0, keepdims=0, like=(torch.int64, ()))
            return b.reshape(found, [1] * x.rank) if keepdim else found
        return b.op(kind, x, axis=dim % x.rank, keepdims=int(keepdim), like=_result(b))  # type: ignore[no-any-return]

    return write


form("argmax.default")(_place("ArgMax"))
form("argmin.default")(_place("ArgMin"))


@form("any.default", "any.dim", "any.dims")
def any(b: Builder, x: Value, dim: Any = None, keepdim: bool = False) -> Value:
    truth = b.cast(b.cast(x, torch.bool), torch.int32)
    return b.cast(b.reduce("ReduceMax", truth, _dims(dim), keepdim), torch.bool)


@form("all.default", "all.dim", "all.dims")
def all(b: Builder, x: Value, dim: Any = None, keepdim: bool = False) -> Value:
    truth = b.cast(b.cast(x, torch.bool), torch.int32)
    return b.cast(b.reduce("ReduceMin", truth, _dims(dim), keepdim), torch.bool)


def _softmax(kind: str) -> Any:
    def write(b: Builder, x: Value, dim: int, dtype: Any = None) -> Value:
        return b.op(kind, b.cast(x, b.result.dtype), axis=dim, like=_result(b))  # type: ignore[no-any-return]

    return write


form("softmax.int", "_softmax.default")(_softmax("Softmax"))
form("log_softmax.int", "_log_softmax.default")(_softmax("LogSoftmax"))


@form("logsumexp.default")
def logsumexp(b: Builder, x: Value, dim: Any, keepdim: bool = False) -> Value:
    return b.reduce("ReduceLogSumExp", x, _dims(dim), keepdim)


@form("cumsum.default")
def cumsum(b: Builder, x: Value, dim: int, dtype: Any = None) -> Value:
    return b.op("CumSum", b.cast(x, b.result.dtype), b.ints(dim), like=_result(b))  # type: ignore[no-any-return]


def _moments(b: Builder, x: Value, dim: Any, correction: Any, keepdim: bool) -> tuple[Value, Value]:
    """Variance and mean over some dimensions."""
    assert x.dtype is not None and x.shape is not None
    dims = _dims(dim) or list(range(x.rank))
    centre = b.reduce("ReduceMean", x, dims, True)
    squares = b.op("Mul", *[b.op("Sub", x, centre, like=x)] * 2, like=x)
    variance = b.reduce("ReduceMean", squares, dims, keepdim)
    if correction:
        count = b.ints([1])
        for d in dims:
            count = b.op("Mul", count, b.size_of(x, d), like=(torch.int64, (1,)))
        count = b.cast(b.squeeze(count, 0), x.dtype)
        less = b.op("Sub", count, b.scalar(correction, x.dtype))
        variance = b.op("Mul", variance, b.op("Div", count, less), like=(x.dtype, variance.shape))
    centre = centre if keepdim or not dims else b.squeeze(centre, *dims)
    return variance, centre


@form("var.correction", "var.dim", "var.default")
def var(b: Builder, x: Value, dim: Any = None, unbiased: Any = None, keepdim: bool = False, **o: Any) -> Value:
    return _moments(b, x, *_options(dim, unbiased, keepdim, o))[0]


@form("std.correction", "std.dim", "std.default")
def std(b: Builder, x: Value, dim: Any = None, unbiased: Any = None, keepdim: bool = False, **o: Any) -> Value:
    return b.op("Sqrt", _moments(b, x, *_options(dim, unbiased, keepdim, o))[0], like=_result(b))  # type: ignore


@form("var_mean.correction", "var_mean.dim", "var_mean.default")
def var_mean(b: Builder, x: Value, dim: Any = None, unbiased: Any = None, keepdim: bool = False, **o: Any) -> Any:
    return _moments(b, x, *_options(dim, unbiased, keepdim, o))


@form("std_mean.correction", "std_mean.dim", "std_mean.default")
def std_mean(b: Builder, x: Value, dim: Any = None, unbiased: Any = None, keepdim: bool = False, **o: Any) -> Any:
    variance, centre = _moments(b, x, *_options(dim, unbiased, keepdim, o))
    return b.op("Sqrt", variance, like=variance), centre


@form("count_nonzero.default", "count_nonzero.dim_IntList")
def count_nonzero(b: Builder, x: Value, dim: Any = None) -> Value:
    return b.reduce("ReduceSum", b.cast(b.cast(x, torch.bool), torch.int64), _dims(dim), False)


@form("median.dim")
def median(b: Builder, x: Value, dim: int = -1, keepdim: bool = False) -> Any:
    """The lower middle of the sorted elements."""
    assert x.shape is not None
    size = x.shape[dim]
    if not isinstance(size, int):
        raise NotImplementedError("the median over an open size has no form in ONNX")
    ordered = sort(b, x, dim)
    at = b.ints([(size - 1) // 2])
    picked = [b.op("Gather", v, at, axis=dim % x.rank, like=(v.dtype, None)) for v in ordered]
    shape = [1 if i == dim % x.rank else s for i, s in enumerate(x.shape)]
    for v in picked:
        v.shape = tuple(shape)
    return tuple(picked) if keepdim else tuple(b.squeeze(v, dim) for v in picked)


def _options(dim: Any, unbiased: Any, keepdim: bool, rest: dict[str, Any]) -> tuple[Any, Any, bool]:
    """Dimensions, correction and keepdim of the several signatures of ``var``."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    correction = rest.get("correction", 1 if unbiased is None else int(unbiased))
    return dim, 1 if correction is None else correction, keepdim


@form("topk.default")
def topk(b: Builder, x: Value, k: Any, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    count = b.sizes([k])
    values, places = b.op("TopK", x, count, axis=dim, largest=int(largest), sorted=int(sorted), outputs=2)
    values.dtype, places.dtype = x.dtype, torch.int64
    return values, places


@form("sort.default", "sort.stable")
def sort(b: Builder, x: Value, dim: int = -1, descending: bool = False, stable: Any = None) -> Any:
    values, places = b.op(
        "TopK", x, b.size_of(x, dim), axis=dim, largest=int(descending), sorted=1, outputs=2
    )
    values.dtype, places.dtype, values.shape, places.shape = x.dtype, torch.int64, x.shape, x.shape
    return values, places


@form("argsort.default")
def argsort(b: Builder, x: Value, dim: int = -1, descending: bool = False) -> Value:
    return sort(b, x, dim, descending)[1]  # type: ignore[no-any-return]


@form("linalg_vector_norm.default")
def vector_norm(b: Builder, x: Value, ord: Any = 2, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Value:
    x = b.cast(x, b.result.dtype)
    if ord in (1, 2):
        return b.reduce(f"ReduceL{ord:.0f}", x, _dims(dim), keepdim)
    size = b.op("Abs", x)
    if ord in (float("inf"), float("-inf")):
        return b.reduce("ReduceMax" if ord > 0 else "ReduceMin", size, _dims(dim), keepdim)
    powers = b.op("Pow", size, b.scalar(ord, b.result.dtype), like=x)
    total = b.reduce("ReduceSum", powers, _dims(dim), keepdim)
    return b.op("Pow", total, b.scalar(1 / ord, b.result.dtype), like=_result(b))  # type: ignore[no-any-return]
