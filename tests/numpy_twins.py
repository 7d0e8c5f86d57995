"""NumPy's and SciPy's word on what an operation gives: the same call on float64 copies of its arguments.

`expected(name, positional, named)` returns an array, or None where there is no twin, or none for such arguments. Twins
take what the operation's row takes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special

import torch

WIDE = {torch.float16: torch.float64, torch.bfloat16: torch.float64, torch.float32: torch.float64}
WIDE |= {torch.complex64: torch.complex128}
HUGE = 1e12  # sums and products of larger numbers may overflow on the way, which is nobody's mistake


def array(tensor: torch.Tensor) -> np.ndarray:
    """Return a tensor's elements, floating ones in double precision."""
    tensor = tensor.detach().resolve_conj().resolve_neg()
    return tensor.to(WIDE.get(tensor.dtype, tensor.dtype)).contiguous().numpy()


def wide(x: Any) -> Any:
    """Return integers and bools as doubles."""
    return np.asarray(x, np.float64) if np.asarray(x).dtype.kind in "biu" else np.asarray(x)


def axis(dim: Any) -> Any:
    return None if dim is None or dim == [] or dim == () else tuple(dim) if isinstance(dim, list) else dim


def unary(function: Any) -> Any:
    return lambda input: function(wide(input))


def common(a: Any, b: Any) -> tuple[Any, Any]:
    """Return two operands in one kind of number, so that NumPy promotes where PyTorch does."""
    kinds = {np.asarray(x).dtype.kind for x in (a, b)}
    to = np.complex128 if "c" in kinds else np.float64 if "f" in kinds else np.int64 if kinds != {"b"} else np.bool_
    return np.asarray(a).astype(to), np.asarray(b).astype(to)


def binary(function: Any, real: bool = False) -> Any:
    def twin(input: Any, other: Any) -> Any:
        a, b = common(input, other)
        return None if real and a.dtype.kind == "c" else function(*((a, b) if not real else (wide(a), wide(b))))

    return twin


def moderate(x: Any) -> bool:
    return bool(np.all(np.abs(x) < HUGE))


def reduction(function: Any) -> Any:
    def twin(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
        if not moderate(input) or dtype is not None or (dim == [] and function in (np.all, np.any)):
            return None  # no dimensions to reduce are none for `all` and `any`, but every one for the others
        return function(input, axis=axis(dim), keepdims=keepdim)

    return twin


def scan(function: Any) -> Any:
    def twin(input: Any, dim: int, *, dtype: Any = None) -> Any:
        return function(input, axis=dim) if moderate(input) and dtype is None and input.ndim else None

    return twin


def logsumexp(input: Any, dim: Any, keepdim: bool = False) -> Any:
    if not moderate(input) or input.dtype.kind == "c" or input.ndim == 0:
        return None
    return special.logsumexp(wide(input), axis=axis(dim), keepdims=keepdim)


def moment(function: Any, root: bool) -> Any:
    def twin(input: Any, dim: Any = None, *, correction: Any = 1, keepdim: bool = False) -> Any:
        if not moderate(input) or input.dtype.kind == "c" or input.size == 0:
            return None
        return function(input, axis=axis(dim), ddof=1 if correction is None else correction, keepdims=keepdim)

    return twin


def scaled(function: Any) -> Any:
    def twin(input: Any, other: Any, *, alpha: Any = 1) -> Any:
        a, b = common(input, other)
        if a.dtype.kind == "b" or np.asarray(alpha).dtype.kind not in "iu" and a.dtype.kind == "i":
            return None
        return function(a, b * np.asarray(alpha).astype(a.dtype)) if moderate(a) and moderate(b) else None

    return twin


def divided(input: Any, other: Any, *, rounding_mode: Any = None) -> Any:
    a, b = common(input, other)
    if rounding_mode is None:
        return wide(a) / wide(b) if a.dtype.kind != "c" else None
    exact = a.dtype.kind == "i" and rounding_mode == "floor"
    return a // b if exact and bool(np.all(b != 0)) else None


def rest(function: Any) -> Any:
    def twin(input: Any, other: Any) -> Any:
        exact = all(np.float32(x) == x for x in (input, other) if isinstance(x, float))
        return binary(function)(input, other) if exact and moderate(input / np.asarray(other, np.float64)) else None

    return twin


def product(function: Any) -> Any:
    def twin(input: Any, other: Any) -> Any:
        kinds = {input.dtype.kind, other.dtype.kind}
        return function(input, other) if kinds <= set("fc") and moderate(input) and moderate(other) else None

    return twin


def chosen(condition: Any, input: Any, other: Any) -> Any:
    return np.where(condition.astype(bool), *common(input, other))


def clamped(input: Any, min: Any = None, max: Any = None) -> Any:
    bounds = [b for b in (min, max) if b is not None]
    if not bounds or any(np.isnan(b).any() for b in (input, *bounds)):
        return None
    for bound, pick in ((min, np.maximum), (max, np.minimum)):
        if bound is not None:
            input = pick(*common(input, bound))
    return input


FLOATING = {
    name: unary(getattr(np, twin))
    for name, twin in {
        "sin": "sin", "cos": "cos", "tanh": "tanh", "asin": "arcsin", "acos": "arccos", "atan": "arctan", "exp": "exp",
        "exp2": "exp2",
        "expm1": "expm1", "log": "log", "log2": "log2", "log10": "log10", "log1p": "log1p", "sqrt": "sqrt",
        "arcsin": "arcsin",
        "arccos": "arccos", "arctan": "arctan", "sinh": "sinh", "cosh": "cosh", "asinh": "arcsinh",
        "arcsinh": "arcsinh",
        "deg2rad": "deg2rad", "rad2deg": "rad2deg", "tan": "tan", "acosh": "arccosh", "arccosh": "arccosh",
        "atanh": "arctanh", "arctanh": "arctanh",
    }.items()
}  # fmt: skip
SCIPY = {
    "sigmoid": "expit", "erf": "erf", "erfc": "erfc", "erfinv": "erfinv", "lgamma": "gammaln", "digamma": "digamma",
    "i0": "i0",
    "special.i0e": "i0e", "special.i1": "i1", "special.i1e": "i1e", "special.ndtri": "ndtri", "special.ndtr": "ndtr",
    "special.log_ndtr": "log_ndtr", "special.erfcx": "erfcx", "special.entr": "entr", "special.expit": "expit",
    "special.bessel_j0": "j0", "special.bessel_j1": "j1", "special.bessel_y0": "y0", "special.bessel_y1": "y1",
    "special.exp2": "exp2", "special.sinc": None, "special.gammaln": "gammaln", "special.psi": "digamma",
}  # fmt: skip
TWINS: dict[str, Any] = FLOATING | {n: unary(getattr(special, t)) for n, t in SCIPY.items() if t}
TWINS |= {
    "reciprocal": lambda input: 1 / wide(input) if wide(input).dtype.kind == "f" else None,
    "rsqrt": lambda input: 1 / np.sqrt(wide(input)) if wide(input).dtype.kind == "f" else None,
    "square": lambda input: input * input if moderate(input) else None,
    "abs": np.abs, "absolute": np.abs, "neg": np.negative, "negative": np.negative, "positive": np.positive,
    "sign": lambda input: np.nan_to_num(np.sign(input)) if input.dtype.kind != "b" else input,
    "ceil": np.ceil, "floor": np.floor, "trunc": np.trunc, "fix": np.fix, "frac": lambda input: input - np.trunc(input),
    "isnan": np.isnan, "isinf": np.isinf, "isfinite": np.isfinite, "signbit": np.signbit, "logical_not": np.logical_not,
    "bitwise_not": np.invert, "real": np.real, "imag": np.imag, "conj_physical": np.conj, "isposinf": np.isposinf,
    "isneginf": np.isneginf,
    "add": scaled(np.add), "sub": scaled(np.subtract), "subtract": scaled(np.subtract), "mul": binary(np.multiply),
    "multiply": binary(np.multiply), "div": divided, "divide": divided,
    "true_divide": lambda input, other: divided(input, other),
    "maximum": binary(np.maximum), "minimum": binary(np.minimum), "fmax": binary(np.fmax), "fmin": binary(np.fmin),
    "atan2": binary(np.arctan2, True), "arctan2": binary(np.arctan2, True), "hypot": binary(np.hypot, True),
    "copysign": binary(np.copysign, True), "logaddexp": binary(np.logaddexp, True),
    "logaddexp2": binary(np.logaddexp2, True),
    "xlogy": binary(special.xlogy, True), "special.xlog1py": binary(special.xlog1py, True),
    "gcd": binary(np.gcd),
    "lcm": lambda input, other: np.lcm(*common(input, other)) if moderate(input) and moderate(other) else None,
    "fmod": rest(np.fmod),
    "remainder": rest(np.remainder), "float_power": binary(np.power, True),
    "bitwise_and": binary(np.bitwise_and), "bitwise_or": binary(np.bitwise_or), "bitwise_xor": binary(np.bitwise_xor),
    "logical_and": binary(np.logical_and), "logical_or": binary(np.logical_or), "logical_xor": binary(np.logical_xor),
    **{name: binary(getattr(np, twin)) for name, twin in {
        "eq": "equal", "ne": "not_equal", "lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal",
        "not_equal": "not_equal", "less": "less", "less_equal": "less_equal", "greater": "greater",
        "greater_equal": "greater_equal",
    }.items()},
    "where": chosen, "clamp": clamped, "clip": clamped,
    "sum": reduction(np.sum), "prod": reduction(np.prod), "mean": reduction(np.mean), "amax": reduction(np.max),
    "amin": reduction(np.min), "all": reduction(np.all), "any": reduction(np.any), "nansum": reduction(np.nansum),
    "count_nonzero": lambda input, dim=None: np.count_nonzero(input, axis=axis(dim)),
    "logsumexp": logsumexp,
    "std": moment(np.std, True), "var": moment(np.var, False), "cumsum": scan(np.cumsum), "cumprod": scan(np.cumprod),
    "flip": lambda input, dims: np.flip(input, axis=tuple(dims)), "fliplr": np.fliplr, "flipud": np.flipud,
    "roll": lambda input, shifts, dims=(): np.roll(input, shifts, axis=axis(dims)),
    "ravel": np.ravel, "t": np.transpose, "tril": np.tril, "triu": np.triu, "trace": np.trace,
    "swapaxes": np.swapaxes, "transpose": np.swapaxes, "moveaxis": np.moveaxis, "movedim": np.moveaxis,
    "unsqueeze": lambda input, dim: np.expand_dims(input, dim),
    "permute": lambda input, dims: np.transpose(input, dims), "reshape": lambda input, shape: np.reshape(input, shape),
    "broadcast_to": lambda input, size: np.broadcast_to(input, size), "tile": lambda input, dims: np.tile(input, dims),
    "mm": product(np.matmul), "bmm": product(np.matmul), "mv": product(np.matmul), "dot": product(np.dot),
    "matmul": product(np.matmul), "outer": product(np.outer), "ger": product(np.outer), "kron": product(np.kron),
    "cat": lambda tensors, dim=0: np.concatenate(tensors, axis=dim) if len({t.ndim for t in tensors}) == 1 else None,
    "concat": lambda tensors, dim=0: np.concatenate(tensors, axis=dim) if len({t.ndim for t in tensors}) == 1 else None,
    "stack": lambda tensors, dim=0: np.stack(tensors, axis=dim),
    "hstack": lambda tensors: np.hstack(tensors), "vstack": lambda tensors: np.vstack(tensors),
    "bincount": lambda input, weights=None, minlength=0: np.bincount(input, weights, minlength),
    "msort": lambda input: np.sort(input, axis=0) if input.dtype.kind != "c" else None,
}  # fmt: skip


def fits(value: Any, dtype: torch.dtype) -> bool:
    """Can a tensor of this dtype hold the number? Otherwise it wraps or overflows first."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        return True
    if dtype.is_floating_point or dtype.is_complex:
        return abs(value) in (0, float("inf")) or 1e-4 < abs(value) < 1e4
    if isinstance(value, float):
        return fits(value, torch.float32)
    return dtype is not torch.bool and torch.iinfo(dtype).min <= value <= torch.iinfo(dtype).max


# relative error of a result: what rounding in the dtype may do, with room for sums
PRECISION = {torch.float16: 4e-3, torch.bfloat16: 3e-2, torch.float32: 3e-5, torch.float64: 1e-10}
PRECISION |= {torch.complex64: 1e-4, torch.complex128: 1e-9}


def expected(name: str, positional: list, named: dict) -> Any:
    """Return what NumPy or SciPy gives for a call or its in-place form, None if they have nothing to say."""
    twin = None if name == "Tensor.where" else TWINS.get(name.removeprefix("Tensor.").removesuffix("_"))
    if name.endswith("_") and positional and isinstance(positional[0], torch.Tensor) and 0 in positional[0].stride():
        return None  # the elements of an expanded target are one
    tensors = [t for a in [*positional, *named.values()] for t in (a if isinstance(a, list | tuple) else [a])]
    tensors = [t for t in tensors if isinstance(t, torch.Tensor)]
    if twin is None or not tensors or "out" in named:
        return None
    if any(t.is_meta or t.numel() > 10_000 or t.dtype in (torch.uint16, torch.uint32, torch.uint64) for t in tensors):
        return None

    if not all(fits(value, t.dtype) for value in [*positional, *named.values()] for t in tensors):
        return None

    def plain(value: Any) -> Any:
        if isinstance(value, list | tuple):
            return type(value)(plain(item) for item in value)
        return array(value) if isinstance(value, torch.Tensor) else value

    try:
        with np.errstate(all="ignore"):
            return twin(*map(plain, positional), **{key: plain(value) for key, value in named.items()})
    except (TypeError, ValueError, IndexError, OverflowError, ZeroDivisionError):
        return None  # NumPy doesn't take such arguments


def disagreement(result: torch.Tensor, wanted: Any) -> str:
    """Return how a result differs from NumPy's, or ""."""
    got, wanted = array(result), np.asarray(wanted)
    if got.shape != wanted.shape:
        return f"shape {got.shape}, NumPy {wanted.shape}"
    with np.errstate(all="ignore"):
        if got.dtype.kind in "biu":
            if wanted.dtype.kind not in "biu":
                return ""  # rounded to an integer dtype on the way
            same = got == wanted.astype(got.dtype)
        else:
            if got.dtype.kind == "f" and wanted.dtype.kind == "c":
                return f"{result.dtype}, NumPy {wanted.dtype}"
            precision, limits = PRECISION[result.dtype], torch.finfo(result.dtype)
            a, b = got.astype(np.complex128), wanted.astype(np.complex128)
            over = ~(np.abs(b) < limits.max / 2) & ~(np.abs(a) < limits.max / 4)  # overflow, and what is nearly one
            tiny = np.abs(a - b) <= max(limits.smallest_normal * 4, precision * 1e-3)
            same = (a == b) | (np.isnan(a) & np.isnan(b)) | over | tiny | (np.abs(a - b) <= precision * np.abs(b))
    if same.all():
        return ""
    at = np.unravel_index(np.argmin(same), same.shape)
    return f"{got[at]!r} at {tuple(map(int, at))}, NumPy {wanted[at]!r}"
