"""``assert_close``."""

from __future__ import annotations

import cmath
from collections.abc import Mapping, Sequence

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

__all__ = ["assert_close", "default_tolerances"]

# dtype name -> (rtol, atol). Types that are not named compare exactly.
_TOLERANCES = {
    "float16": (1e-3, 1e-5),
    "bfloat16": (1.6e-2, 1e-5),
    "float32": (1.3e-6, 1e-5),
    "float64": (1e-7, 1e-7),
    "complex32": (1e-3, 1e-5),
    "complex64": (1.3e-6, 1e-5),
    "complex128": (1e-7, 1e-7),
}
_PYTHON_DTYPES = {bool: "bool", int: "int64", float: "float64", complex: "complex128"}


def default_tolerances(*inputs: Any) -> tuple[float, float]:
    """The largest default tolerances of the given tensors or dtypes."""
    pairs = []
    for item in inputs:
        dtype = item.dtype if isinstance(item, torch.Tensor) else item
        pairs.append(_TOLERANCES.get(str(dtype).removeprefix("torch."), (0.0, 0.0)))
    return max(pair[0] for pair in pairs), max(pair[1] for pair in pairs)


class _Options:
    __slots__ = (
        "allow_subclasses", "rtol", "atol", "equal_nan", "check_device", "check_dtype", "check_layout", "check_stride",
        "msg",
    )  # fmt: skip

    def __init__(self, **values: Any) -> None:
        for name in self.__slots__:
            setattr(self, name, values[name])


def _item_name(path: tuple[Any, ...]) -> str:
    return "".join(f"[{key!r}]" if isinstance(key, str) else f"[{key}]" for key in path)


def _fail(options: _Options, path: tuple[Any, ...], message: str) -> NoReturn:
    if path:
        message += f"\n\nThe failure occurred for item {_item_name(path)}"
    if options.msg is not None:
        message = options.msg(message) if callable(options.msg) else options.msg
    raise AssertionError(message)


def _difference_lines(
    kind: str, absolute: Any, absolute_at: Any, relative: Any, relative_at: Any, rtol: float, atol: float
) -> str:
    lines = []
    rows = (("absolute", absolute, absolute_at, atol), ("relative", relative, relative_at, rtol))
    for name, value, at, limit in rows:
        head = f"{name.capitalize()} difference" if at is None else f"Greatest {name} difference"
        line = f"{head}: {value}"
        if at is not None:
            line += f" at index {at}"
        if kind != "equal":
            line += f" (up to {limit} allowed)"
        lines.append(line)
    return "\n".join(lines)


def _kind(rtol: float, atol: float) -> str:
    return "equal" if rtol == 0 and atol == 0 else "close"


def _compare_numbers(options: _Options, path: tuple[Any, ...], actual: Any, expected: Any) -> None:
    if options.check_dtype and type(actual) is not type(expected):
        _fail(options, path, f"The (d)types do not match: {type(actual)} != {type(expected)}.")
    if options.rtol is None:
        rtol, atol = default_tolerances(*(getattr(torch, _PYTHON_DTYPES[type(x)]) for x in (actual, expected)))
    else:
        rtol, atol = options.rtol, options.atol
    if actual == expected or (options.equal_nan and actual != actual and expected != expected):
        return
    difference = abs(actual - expected)
    if cmath.isfinite(difference) and difference <= atol + rtol * abs(expected):
        return
    relative = difference / abs(expected) if expected else float("inf")
    kind = _kind(rtol, atol)
    lines = _difference_lines(kind, difference, None, relative, None, rtol, atol)
    _fail(options, path, f"Scalars are not {kind}!\n\nExpected {expected} but got {actual}.\n{lines}")


def _unravel(index: int, shape: Sequence[int]) -> tuple[int, ...]:
    result = []
    for size in reversed(shape):
        result.append(index % size)
        index //= size
    return tuple(reversed(result))


def _compare_attributes(options: _Options, path: tuple[Any, ...], actual: Any, expected: Any) -> None:
    def differ(name: str, left: Any, right: Any) -> NoReturn:
        _fail(options, path, f"The values for attribute '{name}' do not match: {left} != {right}.")

    if actual.shape != expected.shape:
        differ("shape", actual.shape, expected.shape)
    if options.check_layout and actual.layout != expected.layout:
        differ("layout", actual.layout, expected.layout)
    if options.check_stride and actual.layout is torch.strided and actual.stride() != expected.stride():
        differ("stride()", actual.stride(), expected.stride())
    if options.check_device and actual.device != expected.device:
        differ("device", actual.device, expected.device)
    if options.check_dtype and actual.dtype != expected.dtype:
        differ("dtype", actual.dtype, expected.dtype)


def _comparable(tensor: Any) -> Any:
    """A detached tensor of a type that supports comparison and subtraction without loss."""
    tensor = tensor.detach()
    if tensor.layout is not torch.strided:
        tensor = tensor.to_dense()
    if tensor.is_floating_point() and tensor.element_size() == 1:
        return tensor.to(torch.float32)
    return tensor


def _compare_tensors(options: _Options, path: tuple[Any, ...], actual: Any, expected: Any) -> None:
    _compare_attributes(options, path, actual, expected)
    if actual.is_meta or expected.is_meta:
        return
    if options.rtol is None:
        rtol, atol = default_tolerances(actual, expected)
    else:
        rtol, atol = options.rtol, options.atol
    if actual.layout is expected.layout is not torch.strided:
        _compare_sparse(options, path, actual, expected, rtol, atol)
    else:
        _compare_elements(options, path, actual, expected, rtol, atol)


def _compare_sparse(
    options: _Options, path: tuple[Any, ...], actual: Any, expected: Any, rtol: float, atol: float
) -> None:
    """Two sparse tensors of one layout hold the same places, and values that are close."""
    layout = str(actual.layout).rpartition("_")[2].upper()
    if actual._nnz() != expected._nnz():
        _fail(
            options,
            path,
            f"The number of specified values in sparse {layout} tensors does not match: {actual._nnz()} != "
            f"{expected._nnz()}",
        )
    if actual.is_sparse:
        parts = ("_indices", "_values")
    elif layout in ("CSR", "BSR"):
        parts = ("crow_indices", "col_indices", "values")
    else:
        parts = ("ccol_indices", "row_indices", "values")
    for part in parts:
        limits = (rtol, atol) if part.endswith("values") else (0.0, 0.0)
        pair = [getattr(tensor.detach(), part)() for tensor in (actual, expected)]
        _compare_elements(options, path, *pair, *limits, f"Sparse {layout} {part.removeprefix('_')}")


def _compare_elements(
    options: _Options,
    path: tuple[Any, ...],
    actual: Any,
    expected: Any,
    rtol: float,
    atol: float,
    what: str = "Tensor-likes",
) -> None:
    actual, expected = _comparable(actual), _comparable(expected)
    if actual.device != expected.device:
        actual, expected = actual.cpu(), expected.cpu()
    if actual.dtype != expected.dtype:
        common = torch.promote_types(actual.dtype, expected.dtype)
        actual, expected = actual.to(common), expected.to(common)
    matches = torch.isclose(actual, expected, rtol=rtol, atol=atol, equal_nan=options.equal_nan)
    if bool(matches.all()):
        return
    _fail(options, path, _tensor_message(actual, expected, matches, rtol, atol, what))


def _tensor_message(actual: Any, expected: Any, matches: Any, rtol: float, atol: float, what: str) -> str:
    kind = _kind(rtol, atol)
    if actual.dim() == 0:
        left, right = actual.item(), expected.item()
        difference = abs(left - right)
        relative = difference / abs(right) if right else float("inf")
        lines = _difference_lines(kind, difference, None, relative, None, rtol, atol)
        return f"Scalars are not {kind}!\n\nExpected {right} but got {left}.\n{lines}"
    shape = tuple(actual.shape)
    total = matches.numel()
    wrong = total - int(matches.sum())
    if not (actual.is_floating_point() or actual.is_complex()):
        # Differences of small integers and booleans would overflow.
        actual, expected = actual.to(torch.int64), expected.to(torch.int64)
    # Elements that agree, infinities among them, must not show up as the greatest difference.
    flat_match = matches.reshape(-1)
    absolute = (actual - expected).abs().reshape(-1)
    absolute = torch.where(flat_match, torch.zeros_like(absolute), absolute)
    relative = absolute / expected.abs().reshape(-1)
    relative = torch.where(flat_match, torch.zeros_like(relative), relative)
    absolute_at, relative_at = int(absolute.argmax()), int(relative.argmax())
    lines = _difference_lines(
        kind, absolute[absolute_at].item(), _unravel(absolute_at, shape), relative[relative_at].item(),
        _unravel(relative_at, shape), rtol, atol,
    )  # fmt: skip
    return (
        f"{what} are not {kind}!\n\nMismatched elements: {wrong} / {total} ({wrong / total:.1%})\n{lines}"
    )


def _is_number(value: Any) -> bool:
    return type(value) in _PYTHON_DTYPES


def _is_array(value: Any) -> bool:
    return type(value).__module__ == "numpy" and hasattr(value, "dtype")


def _compare(options: _Options, path: tuple[Any, ...], actual: Any, expected: Any) -> None:
    both = (actual, expected)
    if all(isinstance(x, Sequence) and not isinstance(x, (str, bytes)) for x in both):
        if len(actual) != len(expected):
            _fail(options, path, f"The length of the sequences mismatch: {len(actual)} != {len(expected)}")
        for i, (left, right) in enumerate(zip(actual, expected, strict=True)):
            _compare(options, (*path, i), left, right)
    elif all(isinstance(x, Mapping) for x in both):
        missing, extra = set(expected) - set(actual), set(actual) - set(expected)
        if missing or extra:
            _fail(
                options,
                path,
                "The keys of the mappings do not match:\nMissing keys in the actual mapping: "
                f"{sorted(missing)}\nAdditional keys in the actual mapping: {sorted(extra)}",
            )
        for key in sorted(actual, key=lambda k: (str(type(k)), k)):
            _compare(options, (*path, key), actual[key], expected[key])
    elif actual is None or expected is None:
        if actual is not expected:
            _fail(options, path, f"None mismatch: {actual} is not {expected}")
    elif all(isinstance(x, bool) for x in both):
        if actual is not expected:
            _fail(options, path, f"Booleans mismatch: {actual} is not {expected}")
    elif all(_is_number(x) for x in both):
        _compare_numbers(options, path, actual, expected)
    else:
        _compare_tensor_likes(options, path, actual, expected)


def _compare_tensor_likes(options: _Options, path: tuple[Any, ...], actual: Any, expected: Any) -> None:
    related = isinstance(actual, type(expected)) or isinstance(expected, type(actual))
    allowed = related if options.allow_subclasses else type(actual) is type(expected)
    known = all(isinstance(x, torch.Tensor) or _is_array(x) or _is_number(x) for x in (actual, expected))
    if not known or not allowed:
        suffix = f"\n\nThe failure occurred for item {_item_name(path)}" if path else ""
        raise TypeError(
            f"No comparison pair was able to handle inputs of type {type(actual)} and {type(expected)}.{suffix}"
        )
    _compare_tensors(options, path, torch.as_tensor(actual), torch.as_tensor(expected))


def assert_close(
    actual: Any,
    expected: Any,
    *,
    allow_subclasses: bool = True,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    check_device: bool = True,
    check_dtype: bool = True,
    check_layout: bool = True,
    check_stride: bool = False,
    msg: str | Callable[[str], str] | None = None,
) -> None:
    """Raise an ``AssertionError`` unless ``|actual - expected| <= atol + rtol * |expected|`` holds everywhere.

    Works for tensors, arrays, numbers and nested sequences and mappings of them. The tolerances default to values
    that suit the dtypes and must be given together. ``msg`` replaces the message, or makes one from it.
    """
    if (rtol is None) != (atol is None):
        raise ValueError(
            "Both 'rtol' and 'atol' must be either specified or omitted, but got no "
            f"{'rtol' if rtol is None else 'atol'}."
        )
    options = _Options(
        allow_subclasses=allow_subclasses, rtol=rtol, atol=atol, equal_nan=equal_nan, check_device=check_device,
        check_dtype=check_dtype, check_layout=check_layout, check_stride=check_stride, msg=msg,
    )  # fmt: skip
    _compare(options, (), actual, expected)
