"""Operations that make tensors, and numbers from sizes."""

from __future__ import annotations

from typing import Any

import torch

from .._builder import Builder, Value
from ._registry import form


def _result(b: Builder) -> tuple[torch.dtype, Any]:
    return b.result.dtype, tuple(b.result.shape)


def _filled(b: Builder, sizes: Value, number: Any) -> Value:
    value = number if isinstance(number, Value) else b.scalar(number, b.result.dtype)
    if sizes.constant is not None and sizes.constant.tolist() == []:
        return b.cast(value, b.result.dtype)
    return b.op("Expand", b.cast(value, b.result.dtype), sizes, like=_result(b))  # type: ignore[no-any-return]


@form("full.default")
def full(b: Builder, size: Any, fill_value: Any, **options: Any) -> Value:
    return _filled(b, b.sizes(size), fill_value)


@form("zeros.default", "empty.memory_format")
def zeros(b: Builder, size: Any, **options: Any) -> Value:
    return _filled(b, b.sizes(size), 0)


@form("ones.default")
def ones(b: Builder, size: Any, **options: Any) -> Value:
    return _filled(b, b.sizes(size), 1)


@form("full_like.default")
def full_like(b: Builder, x: Value, fill_value: Any, **options: Any) -> Value:
    return _filled(b, b.shape_of(x), fill_value)


@form("zeros_like.default", "empty_like.default")
def zeros_like(b: Builder, x: Value, **options: Any) -> Value:
    return _filled(b, b.shape_of(x), 0)


@form("ones_like.default")
def ones_like(b: Builder, x: Value, **options: Any) -> Value:
    return _filled(b, b.shape_of(x), 1)


@form("new_zeros.default", "new_empty.default")
def new_zeros(b: Builder, x: Value, size: Any, **options: Any) -> Value:
    return _filled(b, b.sizes(size), 0)


@form("new_ones.default")
def new_ones(b: Builder, x: Value, size: Any, **options: Any) -> Value:
    return _filled(b, b.sizes(size), 1)


@form("new_full.default")
def new_full(b: Builder, x: Value, size: Any, fill_value: Any, **options: Any) -> Value:
    return _filled(b, b.sizes(size), fill_value)


@form("fill.Scalar", "fill.Tensor")
def fill(b: Builder, x: Value, value: Any) -> Value:
    return _filled(b, b.shape_of(x), value)


@form("zero.default")
def zero(b: Builder, x: Value) -> Value:
    return _filled(b, b.shape_of(x), 0)


@form("scalar_tensor.default")
def scalar_tensor(b: Builder, value: Any, **options: Any) -> Value:
    return b.scalar(value, b.result.dtype)


@form("arange.default", "arange.start", "arange.start_step")
def arange(b: Builder, *numbers: Any, **options: Any) -> Value:
    start, end, step = (0, numbers[0], 1) if len(numbers) == 1 else (*numbers, 1)[:3]
    dtype = b.result.dtype
    ends = [b.scalar(n, dtype) for n in (start, end, step)]
    ends = [b.reshape(e, [], ()) if e.shape == (1,) else e for e in ends]
    return b.op("Range", *ends, like=_result(b))  # type: ignore[no-any-return]


@form("linspace.default")
def linspace(b: Builder, start: Any, end: Any, steps: int, **options: Any) -> Value:
    if isinstance(start, Value) or isinstance(end, Value):
        raise NotImplementedError("linspace between values of the model has no form in ONNX")
    return b.constant(torch.linspace(start, end, steps, dtype=b.result.dtype))


@form("logspace.default")
def logspace(b: Builder, start: Any, end: Any, steps: int, base: float = 10.0, **options: Any) -> Value:
    return b.constant(torch.logspace(start, end, steps, base, dtype=b.result.dtype))


@form("tril_indices.default")
def tril_indices(b: Builder, row: int, col: int, offset: int = 0, **options: Any) -> Value:
    return b.constant(torch.tril_indices(row, col, offset, dtype=b.result.dtype))


@form("triu_indices.default")
def triu_indices(b: Builder, row: int, col: int, offset: int = 0, **options: Any) -> Value:
    return b.constant(torch.triu_indices(row, col, offset, dtype=b.result.dtype))


@form("eye.default", "eye.m")
def eye(b: Builder, n: int, m: int | None = None, **options: Any) -> Value:
    return b.constant(torch.eye(n, n if m is None else m, dtype=b.result.dtype))


def _random(kind: str) -> Any:
    def write(b: Builder, *args: Any, **options: Any) -> Value:
        from .._enums import ELEMENT_TYPES

        dtype = ELEMENT_TYPES[b.result.dtype]
        if isinstance(args[0], Value):
            return b.op(f"{kind}Like", args[0], dtype=dtype, like=_result(b))  # type: ignore[no-any-return]
        if not all(isinstance(s, int) for s in args[0]):
            shape = _filled(b, b.sizes(args[0]), 0)
            return b.op(f"{kind}Like", shape, dtype=dtype, like=_result(b))  # type: ignore[no-any-return]
        return b.op(kind, shape=list(args[0]), dtype=dtype, like=_result(b))  # type: ignore[no-any-return]

    return write


form("rand.default", "rand_like.default")(_random("RandomUniform"))
form("randn.default", "randn_like.default")(_random("RandomNormal"))


@form("sym_size.int")
def sym_size(b: Builder, x: Value, dim: int) -> Value:
    return b.squeeze(b.size_of(x, dim), 0)


@form("sym_numel.default", "numel.default")
def sym_numel(b: Builder, x: Value) -> Value:
    return b.op("Size", x, like=(torch.int64, ()))  # type: ignore[no-any-return]


@form("item.default", "_local_scalar_dense.default")
def item(b: Builder, x: Value) -> Value:
    return x if x.rank == 0 else b.reshape(x, [], ())


@form("_assert_scalar.default", "_assert_tensor_metadata.default", "sym_constrain_range_for_size.default",
      "sym_constrain_range.default")  # fmt: skip
def assertion(b: Builder, *args: Any, **kwargs: Any) -> None:
    """A model of ONNX checks nothing when it runs."""
