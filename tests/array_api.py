"""Conformance with the Python array API standard (2025.12): the same calls on array_api_compat.torch and _strict.

`checks()` yields what the standard demands of its functions, operators and methods, each over the dtypes that it is
defined for, on 0-d, empty, broadcast and non-contiguous arrays. A check's arrays depend on its name and the round
alone, so that two implementations of `torch` are asked the same. tests/test_array_api.py runs them once;
tools/array_api.py runs many rounds, and records under PyTorch what PyTorch itself does otherwise.
"""

from __future__ import annotations

import operator
import warnings
import zlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import array_api_compat.torch as compat
import array_api_strict as strict
import numpy as np

import torch

strict.set_array_api_strict_flags(api_version="2025.12")

SIGNED = ["int8", "int16", "int32", "int64"]
# the wider unsigned dtypes are not in array_api_compat.torch's list of dtypes
INTEGERS = [*SIGNED, "uint8"]
REALS = ["float32", "float64"]
COMPLEX = ["complex64", "complex128"]
FLOATS = REALS + COMPLEX
REAL_NUMBERS = INTEGERS + REALS
NUMBERS = REAL_NUMBERS + COMPLEX
ALL = ["bool", *NUMBERS]
BITS = ["bool", *INTEGERS]

UNARY = {
    "abs": NUMBERS, "acos": FLOATS, "acosh": FLOATS, "asin": FLOATS, "asinh": FLOATS, "atan": FLOATS, "atanh": FLOATS,
    "bitwise_invert": BITS, "ceil": REAL_NUMBERS, "conj": NUMBERS, "cos": FLOATS, "cosh": FLOATS, "exp": FLOATS,
    "expm1": FLOATS,
    "floor": REAL_NUMBERS, "imag": COMPLEX, "isfinite": NUMBERS, "isinf": NUMBERS, "isnan": NUMBERS, "log": FLOATS,
    "log10": FLOATS,
    "log1p": FLOATS, "log2": FLOATS, "logical_not": ["bool"], "negative": NUMBERS, "positive": NUMBERS, "real": NUMBERS,
    "reciprocal": FLOATS, "round": NUMBERS, "sign": NUMBERS, "signbit": REALS, "sin": FLOATS, "sinh": FLOATS,
    "sqrt": FLOATS,
    "square": NUMBERS, "tan": FLOATS, "tanh": FLOATS, "trunc": REAL_NUMBERS,
}  # fmt: skip
BINARY = {
    "add": NUMBERS, "atan2": REALS, "bitwise_and": BITS, "bitwise_left_shift": INTEGERS, "bitwise_or": BITS,
    "bitwise_right_shift": INTEGERS, "bitwise_xor": BITS, "copysign": REALS, "divide": FLOATS, "equal": ALL,
    "floor_divide": REAL_NUMBERS, "greater": REAL_NUMBERS, "greater_equal": REAL_NUMBERS, "hypot": REALS,
    "less": REAL_NUMBERS,
    "less_equal": REAL_NUMBERS, "logaddexp": REALS, "logical_and": ["bool"], "logical_or": ["bool"],
    "logical_xor": ["bool"],
    "maximum": REAL_NUMBERS, "minimum": REAL_NUMBERS, "multiply": NUMBERS, "nextafter": REALS, "not_equal": ALL,
    "pow": NUMBERS,
    "remainder": REAL_NUMBERS, "subtract": NUMBERS,
}  # fmt: skip
OPERATORS = {
    "add": "add", "subtract": "sub", "multiply": "mul", "divide": "truediv", "floor_divide": "floordiv",
    "remainder": "mod",
    "pow": "pow", "bitwise_and": "and_", "bitwise_or": "or_", "bitwise_xor": "xor", "bitwise_left_shift": "lshift",
    "bitwise_right_shift": "rshift", "equal": "eq", "not_equal": "ne", "less": "lt", "less_equal": "le",
    "greater": "gt",
    "greater_equal": "ge",
}  # fmt: skip
IN_PLACE = [
    "add",
    "subtract",
    "multiply",
    "divide",
    "floor_divide",
    "remainder",
    "pow",
    "bitwise_and",
    "bitwise_or",
    "bitwise_xor",
]
SHAPES = [(), (3,), (0, 3), (2, 1, 4), (5, 0)]
# where the standard leaves the result open, or demands it of finite arguments only
FINITE = {
    "floor_divide",
    "remainder",
    "pow",
    "sinh",
    "cosh",
    "tanh",
    "tan",
    "expm1",
    "log1p",
    "reciprocal",
    "square",
    "multiply",
}


class Check(NamedTuple):
    name: str
    run: Callable[..., Any]
    arrays: tuple[np.ndarray, ...]
    rtol: float = 1e-4


class Round:
    """Which random values the checks use."""

    number = 0


def data(
    seed: str, shape: tuple[int, ...], dtype: str, low: float = -5, high: float = 5, special: bool = False
) -> np.ndarray:
    """Return random values; with `special`, infinities, NaN and zeros of both signs among the floats."""
    random = np.random.default_rng(zlib.crc32(f"{seed}{shape}{dtype}{Round.number}".encode()))
    if dtype == "bool":
        return np.asarray(random.integers(0, 2, shape), bool)
    if dtype in INTEGERS:
        return np.asarray(
            random.integers(max(0, int(low)) if dtype == "uint8" else int(low), int(high) + 1, shape), dtype
        )
    values = random.uniform(low, high, shape)
    if dtype in COMPLEX:
        return np.asarray(values + 1j * random.uniform(low, high, shape), dtype)
    if special:
        values = np.where(
            random.random(shape) < 0.3, random.choice([np.inf, -np.inf, np.nan, 0.0, -0.0, 1.0], shape), values
        )
    return np.asarray(values, dtype)


def of(xp: Any, array: np.ndarray) -> Any:
    """Return a copy of `array` in a namespace, for torch with its memory in the reverse order of dimensions."""
    return (
        torch.from_numpy(np.array(array).T.copy()).permute(tuple(range(array.ndim))[::-1])
        if xp is compat
        else xp.asarray(array, copy=True)
    )


def called(function: str, *more: Any, **named: Any) -> Callable[..., Any]:
    """Return a call of xp.FUNCTION (dots for extensions) on the check's arrays and further arguments."""
    return lambda xp, *arrays: operator.attrgetter(function)(xp)(*arrays, *more, **named)


def elementwise() -> Iterator[Check]:
    for name, dtypes in UNARY.items():
        for dtype in dtypes:
            for shape in SHAPES:
                special = dtype in REALS
                yield Check(f"{name}[{dtype},{shape}]", called(name), (data(name, shape, dtype, special=special),))
    for name, dtypes in BINARY.items():
        positive = name.endswith(("_shift", "pow", "floor_divide", "remainder"))
        for dtype in dtypes:
            low, special = (1 if positive else -5), dtype in REALS and name not in FINITE
            for left, right in [((), ()), ((2, 3), (2, 3)), ((0, 3), (1, 3)), ((2, 1, 4), (3, 1))]:
                a, b = (
                    data("a" + name, left, dtype, low, special=special),
                    data("b" + name, right, dtype, low, special=special),
                )
                if name == "pow" and dtype == "int8":
                    a, b = a % 3 + 1, b % 4
                yield Check(f"{name}[{dtype},{left},{right}]", called(name), (a, b))
                if name in OPERATORS:
                    function = getattr(operator, OPERATORS[name])
                    yield Check(
                        f"__{OPERATORS[name]}__[{dtype},{left},{right}]", lambda xp, a, b, f=function: f(a, b), (a, b)
                    )
            if name in OPERATORS:
                function = getattr(operator, OPERATORS[name])
                number = True if dtype == "bool" else 2 if dtype in INTEGERS else 2.5 if dtype in REALS else 2.5 + 1j
                a = data("n" + name, (2, 3), dtype, low)
                if name == "pow" and dtype == "int8":
                    a = a % 3 + 1
                yield Check(f"{name}[{dtype},number]", lambda xp, a, f=function, n=number: f(a, n), (a,))
                yield Check(f"{name}[number,{dtype}]", lambda xp, a, f=function, n=number: f(n, a), (a,))
                if name in IN_PLACE:
                    in_place = getattr(operator, "i" + OPERATORS[name].rstrip("_"))
                    yield Check(f"{name}[{dtype},in place]", lambda xp, a, b, f=in_place: f(a, b), (a, a[:1]))
            for other in dtypes:
                kinds = [k for k in (["bool"], INTEGERS, FLOATS) if dtype in k and other in k]
                if other != dtype and kinds:
                    arrays = data("a" + name, (2, 3), dtype, max(low, 1)), data("b" + name, (3,), other, max(low, 1), 3)
                    if not (name == "pow" and "int8" in (dtype, other)):
                        yield Check(f"{name}[{dtype},{other}]", called(name), arrays)
    for dtype in REAL_NUMBERS:
        x = data("clip", (3, 4), dtype)
        yield Check(f"clip[{dtype},numbers]", called("clip", 1, 3), (x,))
        yield Check(f"clip[{dtype},low]", called("clip", min=2), (x,))
        yield Check(f"clip[{dtype},high]", called("clip", max=2), (x,))
        yield Check(
            f"clip[{dtype},arrays]",
            called("clip"),
            (x, data("low", (4,), dtype, 0, 2), data("high", (3, 1), dtype, 3, 4)),
        )


def reductions() -> Iterator[Check]:
    groups = {
        "sum": NUMBERS, "prod": NUMBERS, "max": REAL_NUMBERS, "min": REAL_NUMBERS, "mean": FLOATS, "std": REALS,
        "var": REALS, "all": ALL, "any": ALL, "count_nonzero": ALL,
    }  # fmt: skip
    for name, dtypes in groups.items():
        for dtype in dtypes:
            x = data(name, (2, 3, 4), dtype, -2, 2)
            options: list[dict[str, Any]] = [
                {},
                {"axis": 1},
                {"axis": -1, "keepdims": True},
                {"axis": (0, 2)},
                {"keepdims": True},
            ]
            if name in ("sum", "prod"):
                options += [{"dtype": "float64"}] if dtype not in COMPLEX else []
            if name in ("std", "var"):
                options += [{"correction": 1}, {"axis": 0, "correction": 0.5}]
            for option in options:
                yield Check(f"{name}[{dtype},{option}]", reduced(name, option), (x,))
            yield Check(f"{name}[{dtype},0-d]", called(name), (np.asarray(x[0, 0, 0]),))
            if name not in ("max", "min", "mean", "std", "var"):
                yield Check(f"{name}[{dtype},empty]", called(name, axis=0), (x[:0],))
    for name in ("cumulative_sum", "cumulative_prod"):
        for dtype in NUMBERS:
            x = data(name, (3, 4), dtype, -2, 2)
            yield Check(f"{name}[{dtype}]", called(name, axis=1), (x,))
            yield Check(f"{name}[{dtype},initial]", called(name, axis=0, include_initial=True), (x,))
            yield Check(f"{name}[{dtype},1-d]", called(name), (x[0],))
            yield Check(f"{name}[{dtype},empty]", called(name, axis=0), (x[:0],))
    for dtype in REAL_NUMBERS:
        x = np.asarray(data("arg", (60,), "float64").argsort().reshape(3, 4, 5), dtype)
        for name in ("argmax", "argmin"):
            for option in ({}, {"axis": 1}, {"axis": -1, "keepdims": True}):
                yield Check(f"{name}[{dtype},{option}]", called(name, **option), (x,))
        y = data("sort", (4, 6), dtype, -3, 3)
        for option in ({}, {"axis": 0}, {"descending": True}, {"axis": 0, "descending": True, "stable": True}):
            yield Check(f"sort[{dtype},{option}]", called("sort", **option), (y,))
            yield Check(
                f"argsort[{dtype},{option}]", called("argsort", **option), (y if option.get("stable") else x[0],)
            )
        for side in ("left", "right"):
            line = np.sort(data("line", (6,), dtype))
            yield Check(
                f"searchsorted[{dtype},{side}]", called("searchsorted", side=side), (line, data("v", (3, 4), dtype))
            )
    for dtype in ALL:
        x = data("nonzero", (3, 4), dtype, -1, 1)
        yield Check(f"nonzero[{dtype}]", called("nonzero"), (x,))
        yield Check(f"where[{dtype}]", called("where"), (data("w", (4,), "bool"), x, x[:1] * x[:1]))
        if dtype not in COMPLEX:
            for name in ("unique_values", "unique_counts", "unique_inverse", "unique_all"):
                yield Check(f"{name}[{dtype}]", unique(name), (x,))
        if dtype in INTEGERS:
            yield Check(f"isin[{dtype}]", called("isin"), (x, x[0]))
            yield Check(f"isin[{dtype},invert]", called("isin", invert=True), (x, x[0, :1]))
        if dtype != "bool":
            yield Check(f"diff[{dtype}]", called("diff"), (x,))
            yield Check(f"diff[{dtype},n]", called("diff", axis=0, n=2), (x,))
            yield Check(f"diff[{dtype},ends]", lambda xp, x: xp.diff(x, prepend=x[:, :1], append=x[:, :2]), (x,))


def reduced(name: str, option: dict[str, Any]) -> Callable[..., Any]:
    def run(xp: Any, x: Any) -> Any:
        return getattr(xp, name)(x, **{k: getattr(xp, v) if k == "dtype" else v for k, v in option.items()})

    return run


def unique(name: str) -> Callable[..., Any]:
    """Return the unique values in order: the standard leaves the order open."""

    def run(xp: Any, x: Any) -> Any:
        result = getattr(xp, name)(x)
        if name == "unique_values":
            return xp.sort(result) if result.dtype != xp.bool else xp.sort(xp.astype(result, xp.int8))
        values = result.values
        order = xp.argsort(values if values.dtype != xp.bool else xp.astype(values, xp.int8))
        answer = [xp.take(values, order)]
        if hasattr(result, "counts"):
            answer.append(xp.take(result.counts, order))
        if hasattr(result, "inverse_indices"):
            answer.append(xp.take(values, xp.reshape(result.inverse_indices, (-1,))))
            answer.append(xp.asarray(result.inverse_indices.shape))
        if hasattr(result, "indices"):
            answer.append(xp.take(xp.reshape(x, (-1,)), xp.take(result.indices, order)))
        return answer

    return run


def manipulation() -> Iterator[Check]:
    def check(name: str, function: Callable[..., Any], *arrays: np.ndarray) -> Check:
        return Check(f"{name}[{arrays[0].dtype}]", function, arrays)

    for dtype in ALL:
        x, y, z = (data(n, (2, 3, 4), dtype) for n in "xyz")
        line = data("line", (12,), dtype)
        yield check("concat", lambda xp, x, y: xp.concat([x, y], axis=1), x, y)
        yield check("concat flat", lambda xp, x, y: xp.concat((x, y), axis=None), x, y[0])
        yield check("stack", lambda xp, x, y: xp.stack([x, y], axis=-1), x, y)
        yield check("unstack", lambda xp, x: list(xp.unstack(x, axis=1)), x)
        yield check("expand_dims", lambda xp, x: [xp.expand_dims(x, axis=a) for a in (0, -1, 2, (0, -1))], x)
        yield check(
            "squeeze", lambda xp, x: [xp.squeeze(x[:, :1, :], axis=1), xp.squeeze(x[:1, :, :1], axis=(0, 2))], x
        )
        yield check("flip", lambda xp, x: [xp.flip(x), xp.flip(x, axis=1), xp.flip(x, axis=(0, -1))], x)
        yield check("roll", lambda xp, x: [xp.roll(x, 2), xp.roll(x, -1, axis=1), xp.roll(x, (1, 2), axis=(0, 2))], x)
        yield check("reshape", lambda xp, x: [xp.reshape(x, s) for s in ((6, 4), (-1,), (3, -1, 2))], x)
        yield check("reshape copy", lambda xp, x: xp.reshape(x, (6, 4), copy=True), x)
        yield check("permute_dims", lambda xp, x: xp.permute_dims(x, (2, 0, 1)), x)
        yield check("moveaxis", lambda xp, x: [xp.moveaxis(x, 0, -1), xp.moveaxis(x, (0, 1), (2, 0))], x)
        yield check("matrix_transpose", lambda xp, x: [xp.matrix_transpose(x), x.mT, x[0, ...].T], x)
        yield check("tile", lambda xp, x: [xp.tile(x, (2, 1, 3)), xp.tile(x, (2, 2, 1, 1)), xp.tile(x, (2,))], x)
        yield check("repeat", lambda xp, x: [xp.repeat(x, 2), xp.repeat(x, 3, axis=1)], x)
        yield check("repeat each", lambda xp, x: xp.repeat(x, xp.asarray([1, 0, 2]), axis=1), x)
        yield check("broadcast_to", lambda xp, x: xp.broadcast_to(x[:, :1, :], (5, 2, 3, 4)), x)
        yield check("broadcast_arrays", lambda xp, x: list(xp.broadcast_arrays(x, x[0, ...], x[:, :1, :])), x)
        yield check("tril", lambda xp, x: [xp.tril(x), xp.tril(x, k=1), xp.triu(x), xp.triu(x, k=-1)], x)
        yield check("take", lambda xp, x: xp.take(x, xp.asarray([2, 0, 0, 1]), axis=1), x)
        yield check("take_along_axis", lambda xp, x: xp.take_along_axis(x, xp.asarray([[[2, 0, 1]], [[0, 0, 3]]])), x)
        yield check(
            "index",
            lambda xp, x: [x[0, ...], x[..., 1], x[:, None, 1:, :], x[1, ::2, -1], x[0, 2, 3], x[1:, ..., :0]],
            x,
        )
        yield check("index negative", lambda xp, x: [x[-1, ...], x[..., -2:], x[-2:-1, 1:-1, :]], x)
        yield check("index mask", lambda xp, x, m: x[m], x, data("m", (2, 3, 4), "bool"))
        yield check("index arrays", lambda xp, x: x[xp.asarray([1, 0]), xp.asarray([2, 2]), 1], x)
        yield check("set", assigned, x, z)
        yield check("set mask", assigned_mask, x, data("m", (2, 3, 4), "bool"))
        yield check("meshgrid", lambda xp, x: [*xp.meshgrid(x, x[:3]), *xp.meshgrid(x, x[:3], indexing="ij")], line)
        yield check("attributes", attributes, x)
        yield check("scalars", scalars, x)
        yield check("dlpack", lambda xp, x: xp.from_dlpack(x), x)
        yield check("copies", lambda xp, x: [xp.asarray(x, copy=True), xp.asarray(x)], x)
        for other in ALL:
            if not (dtype in COMPLEX and other not in COMPLEX) and not (other == "uint8" and dtype in SIGNED + REALS):
                yield check(f"astype {other}", lambda xp, x, o=other: xp.astype(x, getattr(xp, o)), x)
            yield check(f"promotion {other}", lambda xp, x, o=other: promotion(xp, x, o), x)
            yield check(f"can_cast {other}", lambda xp, x, o=other: xp.can_cast(x.dtype, getattr(xp, o)), x)


def assigned(xp: Any, x: Any, z: Any) -> Any:
    x = xp.asarray(x, copy=True)
    x[0, ...] = z[1, ...]
    x[:, 1, ::2] = z[:, 0, 2:]
    x[1, 2, 3] = z[0, 0, 0]
    x[..., -1] = 1 if x.dtype != xp.bool else True
    return x


def assigned_mask(xp: Any, x: Any, mask: Any) -> Any:
    x = xp.asarray(x, copy=True)
    x[mask] = 1 if x.dtype != xp.bool else True
    return x


def attributes(xp: Any, x: Any) -> Any:
    return [tuple(x.shape), x.ndim, x.size if isinstance(x.size, int) else x.numel(), str(x.dtype).rpartition(".")[2]]


def scalars(xp: Any, x: Any) -> Any:
    item, name = x[0, 0, 0], attributes(xp, x)[3]
    answer: list[Any] = [bool(item), complex(item)]
    if name not in COMPLEX:
        answer += [float(item), int(item)]
    if name in INTEGERS:
        answer += [operator.index(item), [10, 11, 12, 13, 14, 15][item]]
    return answer


def promotion(xp: Any, x: Any, other: str) -> Any:
    dtype = getattr(xp, other)
    kinds = ["bool", "signed integer", "unsigned integer", "integral", "real floating", "complex floating", "numeric"]
    answer = [xp.isdtype(x.dtype, kind) for kind in kinds] + [xp.isdtype(x.dtype, dtype)]
    name = attributes(xp, x)[3]
    if any(name in k and other in k for k in (["bool"], INTEGERS, FLOATS)):
        answer.append(str(xp.result_type(x, dtype)).rpartition(".")[2])
    return answer


def creation() -> Iterator[Check]:
    def check(name: str, dtype: str, function: Callable[..., Any]) -> Check:
        return Check(f"{name}[{dtype}]", lambda xp, *arrays: function(xp, getattr(xp, dtype), *arrays), ())

    for dtype in ALL:
        value = True if dtype == "bool" else 3 if dtype in INTEGERS else 2.5
        yield check(
            "zeros", dtype, lambda xp, d: [xp.zeros((2, 3), dtype=d), xp.zeros(4, dtype=d), xp.zeros((), dtype=d)]
        )
        yield check("ones", dtype, lambda xp, d: [xp.ones((2, 0), dtype=d), xp.ones(4, dtype=d)])
        yield check("full", dtype, lambda xp, d, v=value: [xp.full((2, 3), v, dtype=d), xp.full(3, v)])
        yield check(
            "empty",
            dtype,
            lambda xp, d: [xp.empty((2, 3), dtype=d) * 0 == 1] if d != xp.bool else [xp.empty((0,), dtype=d)],
        )
        yield check(
            "eye", dtype, lambda xp, d: [xp.eye(3, dtype=d), xp.eye(2, 4, k=1, dtype=d), xp.eye(3, 2, k=-1, dtype=d)]
        )
        yield check(
            "asarray",
            dtype,
            lambda xp, d, v=value: [xp.asarray([v, v], dtype=d), xp.asarray(v, dtype=d), xp.asarray([[v]])],
        )
        yield check("like", dtype, lambda xp, d, v=value: likes(xp, xp.ones((2, 3), dtype=d), v))
        if dtype in REAL_NUMBERS:
            yield check(
                "arange",
                dtype,
                lambda xp, d: [xp.arange(5, dtype=d), xp.arange(2, 9, 3, dtype=d), xp.arange(5, 0, -2, dtype=d)],
            )
            yield check("info", dtype, lambda xp, d: info(xp, d))
        if dtype in FLOATS:
            yield check(
                "linspace",
                dtype,
                lambda xp, d: [xp.linspace(0, 1, 5, dtype=d), xp.linspace(0.0, 3.0, 4, endpoint=False, dtype=d)],
            )
            yield check("linspace few", dtype, lambda xp, d: [xp.linspace(0, 1, n, dtype=d) for n in (0, 1)])
    yield Check("arange[default]", lambda xp: [xp.arange(0, 5), xp.arange(3, 0), xp.arange(1, 6, 2)], ())
    yield Check("constants", lambda xp: [xp.pi, xp.e, xp.inf, xp.nan, xp.newaxis], ())
    yield Check(
        "broadcast_shapes",
        lambda xp: [tuple(xp.broadcast_shapes((2, 1), (3,), ())), tuple(xp.broadcast_shapes((0, 1), (1, 4)))],
        (),
    )


def likes(xp: Any, x: Any, value: Any) -> Any:
    return [
        xp.zeros_like(x),
        xp.ones_like(x),
        xp.full_like(x, value),
        xp.zeros_like(x, dtype=xp.float32),
        tuple(xp.empty_like(x).shape),
    ]


def info(xp: Any, dtype: Any) -> Any:
    if xp.isdtype(dtype, "integral"):
        found = xp.iinfo(dtype)
        return [found.bits, found.max, found.min]
    found = xp.finfo(dtype)
    return [found.bits, float(found.eps), float(found.max), float(found.min), float(found.smallest_normal)]


def linear_algebra() -> Iterator[Check]:
    for dtype in NUMBERS:
        a, b = data("a", (2, 3, 4), dtype, -2, 2), data("b", (2, 4, 5), dtype, -2, 2)
        for prefix in ("", "linalg."):
            yield Check(f"{prefix}matmul[{dtype}]", called(prefix + "matmul"), (a, b))
            yield Check(f"{prefix}matmul[{dtype},vectors]", called(prefix + "matmul"), (a[0, 0], b[0, :, 0]))
            yield Check(f"{prefix}matmul[{dtype},broadcast]", called(prefix + "matmul"), (a[:, None], b[0]))
            yield Check(f"{prefix}tensordot[{dtype}]", called(prefix + "tensordot", axes=1), (a, b[0]))
            yield Check(f"{prefix}tensordot[{dtype},axes]", called(prefix + "tensordot", axes=((0, 2), (0, 1))), (a, b))
            yield Check(f"{prefix}vecdot[{dtype}]", called(prefix + "vecdot"), (a, a[:1]))
            yield Check(f"{prefix}vecdot[{dtype},axis]", called(prefix + "vecdot", axis=-2), (a, a[::-1].copy()))
        yield Check(f"__matmul__[{dtype}]", lambda xp, a, b: a @ b, (a, b))
        yield Check(f"linalg.cross[{dtype}]", called("linalg.cross", axis=-2), (a, a[::-1].copy()))
        yield Check(
            f"linalg.diagonal[{dtype}]", lambda xp, a: [xp.linalg.diagonal(a, offset=k) for k in (0, 1, -1)], (a,)
        )
        yield Check(f"linalg.outer[{dtype}]", called("linalg.outer"), (a[0, 0], b[0, 0]))
        yield Check(f"linalg.trace[{dtype}]", lambda xp, a: [xp.linalg.trace(a), xp.linalg.trace(a, offset=1)], (a,))
        yield Check(f"linalg.matrix_transpose[{dtype}]", called("linalg.matrix_transpose"), (a,))
    for dtype in FLOATS:
        a, b = data("a", (2, 4, 4), dtype), data("b", (2, 4, 3), dtype)
        wide, positive = data("wide", (2, 3, 5), dtype), a @ a.conj().swapaxes(-1, -2) + 4 * np.eye(4, dtype=dtype)
        single = 1e-2 if dtype in ("float32", "complex64") else 1e-6
        for name, arrays in {
            "det": (a,), "inv": (a,), "slogdet": (a,), "solve": (a, b), "pinv": (wide,), "svdvals": (wide,),
            "eigvalsh": (positive,),
            "matrix_rank": (wide,), "matrix_norm": (wide,), "vector_norm": (wide,), "cholesky": (positive,),
        }.items():  # fmt: skip
            yield Check(f"linalg.{name}[{dtype}]", called("linalg." + name), arrays, single)
            yield Check(f"linalg.{name}[{dtype},empty]", called("linalg." + name), tuple(x[:0] for x in arrays), single)
        for order in ("fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf):
            yield Check(
                f"linalg.matrix_norm[{dtype},{order}]",
                called("linalg.matrix_norm", ord=order, keepdims=True),
                (wide,),
                single,
            )
        for order in (0, 1, 2, 3.5, -1, np.inf, -np.inf):
            yield Check(
                f"linalg.vector_norm[{dtype},{order}]",
                called("linalg.vector_norm", ord=order, axis=(0, 2)),
                (wide,),
                single,
            )
        for power in (0, 1, 3, -2):
            yield Check(f"linalg.matrix_power[{dtype},{power}]", called("linalg.matrix_power", power), (a,), single)
        yield Check(f"linalg.solve[{dtype},vector]", called("linalg.solve"), (a, b[0, :, 0]), single)
        yield Check(f"linalg.cholesky[{dtype},upper]", called("linalg.cholesky", upper=True), (positive,), single)
        for mode in ("reduced", "complete"):
            yield Check(f"linalg.qr[{dtype},{mode}]", lambda xp, x, m=mode: rebuilt_qr(xp, x, m), (wide,), single)
        for full in (True, False):
            yield Check(f"linalg.svd[{dtype},{full}]", lambda xp, x, f=full: rebuilt_svd(xp, x, f), (wide,), single)
        yield Check(f"linalg.eigh[{dtype}]", rebuilt_eigh, (positive,), single)
        yield Check(f"linalg.eig[{dtype}]", rebuilt_eig, (a,), single)


def rebuilt_qr(xp: Any, x: Any, mode: str) -> Any:
    q, r = xp.linalg.qr(x, mode=mode)
    return [q @ r, tuple(q.shape), tuple(r.shape), xp.triu(r) == r]


def rebuilt_svd(xp: Any, x: Any, full: bool) -> Any:
    u, s, vh = xp.linalg.svd(x, full_matrices=full)
    k = s.shape[-1]
    return [(u[..., :k] * xp.astype(s, u.dtype)[..., None, :]) @ vh[..., :k, :], s, tuple(u.shape), tuple(vh.shape)]


def rebuilt_eigh(xp: Any, x: Any) -> Any:
    values, vectors = xp.linalg.eigh(x)
    return [values, (vectors * xp.astype(values, vectors.dtype)[..., None, :]) @ xp.conj(vectors.mT)]


def rebuilt_eig(xp: Any, x: Any) -> Any:
    values, vectors = xp.linalg.eig(x)
    wide = xp.astype(x, values.dtype)
    return [
        xp.max(xp.abs(wide @ vectors - vectors * values[..., None, :])) < 1e-2,
        tuple(xp.linalg.eigvals(x).shape),
        xp.sum(values),
    ]


def fourier() -> Iterator[Check]:
    for dtype in COMPLEX:
        x = data("fft", (3, 4, 6), dtype)
        for name in ("fft", "ifft", "hfft", "irfft"):
            for option in ({}, {"n": 5}, {"axis": 1, "norm": "ortho"}, {"n": 9, "norm": "forward"}):
                yield Check(f"fft.{name}[{dtype},{option}]", called("fft." + name, **option), (x,))
        for name in ("fftn", "ifftn", "irfftn"):
            for option in ({}, {"s": (3, 5), "axes": (0, 2)}, {"axes": (1, 2), "norm": "ortho"}):
                yield Check(f"fft.{name}[{dtype},{option}]", called("fft." + name, **option), (x,))
    for dtype in REALS:
        x = data("rfft", (3, 4, 6), dtype)
        for name in ("rfft", "ihfft"):
            for option in ({}, {"n": 5}, {"axis": 0, "norm": "ortho"}):
                yield Check(f"fft.{name}[{dtype},{option}]", called("fft." + name, **option), (x,))
        yield Check(f"fft.rfftn[{dtype}]", called("fft.rfftn", axes=(0, 2)), (x,))
        yield Check(
            f"fft.freq[{dtype}]",
            lambda xp, d=dtype: [xp.fft.fftfreq(n, d=0.5, dtype=getattr(xp, d)) for n in (4, 5)],
            (),
        )
        yield Check(
            f"fft.rfreq[{dtype}]", lambda xp, d=dtype: [xp.fft.rfftfreq(n, dtype=getattr(xp, d)) for n in (4, 5)], ()
        )
    for dtype in FLOATS:
        x = data("shift", (3, 4), dtype)
        yield Check(
            f"fft.shift[{dtype}]",
            lambda xp, x: [xp.fft.fftshift(x), xp.fft.ifftshift(x), xp.fft.fftshift(x, axes=1)],
            (x,),
        )


def checks(number: int = 0) -> Iterator[Check]:
    Round.number = number
    for group in (elementwise, reductions, manipulation, creation, linear_algebra, fourier):
        yield from group()


def plain(xp: Any, result: Any) -> Any:
    """Return a result as NumPy arrays and Python values, for the comparison."""
    if isinstance(result, (list, tuple)):
        return [plain(xp, item) for item in result]
    if isinstance(result, torch.Tensor):
        return result.resolve_conj().resolve_neg().contiguous().numpy()
    return np.asarray(result._array) if hasattr(result, "_array") else result


def differs(got: Any, wanted: Any, rtol: float) -> str:
    """Return how a result differs from what the standard wants, or ""."""
    if isinstance(wanted, list):
        if not isinstance(got, list) or len(got) != len(wanted):
            return f"{got!r} instead of {wanted!r}"
        return next(filter(None, (differs(g, w, rtol) for g, w in zip(got, wanted, strict=True))), "")
    if not isinstance(wanted, np.ndarray):
        if type(got) is type(wanted) and (got == wanted or got != got):
            return ""
        close = (
            isinstance(got, float | complex)
            and isinstance(wanted, float | complex)
            and abs(got - wanted) <= rtol * abs(wanted)
        )
        return "" if close else f"{got!r} instead of {wanted!r}"
    if got.dtype != wanted.dtype:
        return f"dtype {got.dtype} instead of {wanted.dtype}"
    if got.shape != wanted.shape:
        return f"shape {got.shape} instead of {wanted.shape}"
    with np.errstate(all="ignore"):
        size = np.abs(wanted[np.isfinite(wanted)]).max(initial=0) if wanted.dtype.kind in "fc" else 0
        if wanted.dtype.kind in "fc" and np.allclose(got, wanted, rtol, float(size) * rtol * 0.1, equal_nan=True):
            if wanted.dtype.kind == "c":
                return ""
            zeros = (wanted == 0) & (got == 0)
            return "" if (np.signbit(got)[zeros] == np.signbit(wanted)[zeros]).all() else "sign of zero"
    return "" if wanted.dtype.kind not in "fc" and np.array_equal(got, wanted) else f"{got!r} instead of {wanted!r}"


def outcome(check: Check) -> str:
    """Run one check; return "" if the standard's result came out, else what came instead."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with np.errstate(all="ignore"):
            wanted = plain(strict, check.run(strict, *(of(strict, a) for a in check.arrays)))
        try:
            got = plain(compat, check.run(compat, *(of(compat, a) for a in check.arrays)))
        except Exception as error:
            return f"{type(error).__name__}: {error}"
    return differs(got, wanted, check.rtol)
