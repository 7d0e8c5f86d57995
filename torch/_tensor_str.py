"""Text form of tensors: the formatter behind ``repr(tensor)`` and ``torch.set_printoptions``."""

from __future__ import annotations

import contextlib

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

_INF = float("inf")


class _PrinterOptions:
    __slots__ = ("precision", "threshold", "edgeitems", "linewidth", "sci_mode")

    def __init__(self) -> None:
        self.precision: int = 4
        self.threshold: float = 1000
        self.edgeitems: int = 3
        self.linewidth: int = 80
        self.sci_mode: bool | None = None


PRINT_OPTS = _PrinterOptions()

_PROFILES: dict[str, dict[str, Any]] = {
    "default": {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80},
    "short": {"precision": 2, "threshold": 1000, "edgeitems": 2, "linewidth": 80},
    "full": {"precision": 4, "threshold": _INF, "edgeitems": 3, "linewidth": 80},
}


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Set how tensors are printed.

    ``profile`` ("default", "short" or "full", in any case) loads a set of defaults first; the other arguments then
    override single fields. ``sci_mode`` is always set: ``None`` lets each tensor choose for itself.
    """
    if profile is not None:
        for name, value in _PROFILES.get(profile.lower(), {}).items():
            setattr(PRINT_OPTS, name, value)
    if precision is not None:
        PRINT_OPTS.precision = precision
    if threshold is not None:
        PRINT_OPTS.threshold = threshold
    if edgeitems is not None:
        PRINT_OPTS.edgeitems = edgeitems
    if linewidth is not None:
        PRINT_OPTS.linewidth = linewidth
    PRINT_OPTS.sci_mode = sci_mode


def get_printoptions() -> dict[str, Any]:
    """Return the current print options as a dictionary that ``set_printoptions`` accepts."""
    return {name: getattr(PRINT_OPTS, name) for name in _PrinterOptions.__slots__}


@contextlib.contextmanager
def printoptions(**kwargs: Any) -> Iterator[None]:
    """Use the given print options inside a ``with`` block and restore the old ones on leaving it."""
    saved = get_printoptions()
    set_printoptions(**kwargs)
    try:
        yield
    finally:
        set_printoptions(**saved)


class _Column:
    """The common layout of all numbers of one tensor: notation and width, chosen from the values to be shown."""

    __slots__ = ("width", "_floating", "_sci", "_integral", "_precision")

    def __init__(self, values: Sequence[Any], floating: bool) -> None:
        opts = PRINT_OPTS
        self._floating = floating
        self._precision = opts.precision
        self._sci = False
        self._integral = True
        self.width = 1
        if not floating:
            self.width = max((len(str(v)) for v in values), default=1)
            return
        # `v - v == 0` is false for nan and both infinities, which take no part in the choice of notation.
        finite = [v for v in values if v and v - v == 0]
        if not finite:
            return
        largest = max(max(finite), -min(finite))
        smallest = min(map(abs, finite))
        self._integral = all(map(float.is_integer, finite))
        sci = largest / smallest > 1000.0 or largest > 1.0e8 or (not self._integral and smallest < 1.0e-4)
        self._sci = sci if opts.sci_mode is None else opts.sci_mode
        if self._sci:
            spec = f".{self._precision}e"
            self.width = max(1, max(len(format(v, spec)) for v in finite))
        elif self._integral:
            # One more than the digits: every whole number gets a trailing dot.
            self.width = max(1, 1 + max(len(format(v, ".0f")) for v in (max(finite), min(finite))))
        else:
            spec = f".{self._precision}f"
            self.width = max(1, max(len(format(v, spec)) for v in finite))

    def format(self, value: Any) -> str:
        if not self._floating:
            text = str(value)
        elif self._sci:
            text = format(value, f"{self.width}.{self._precision}e")
        elif self._integral:
            text = format(value, ".0f")
            if value - value == 0:
                text += "."
        else:
            text = format(value, f".{self._precision}f")
        return text.rjust(self.width)


class _ComplexColumn:
    """Layout of complex numbers: the two parts have a notation and a width each."""

    __slots__ = ("width", "_real", "_imag")

    def __init__(self, values: Sequence[complex]) -> None:
        self._real = _Column([v.real for v in values], True)
        self._imag = _Column([v.imag for v in values], True)
        self.width = self._real.width + self._imag.width + 1

    def format(self, value: complex) -> str:
        imag = (self._imag.format(value.imag) + "j").lstrip()
        if imag[0] not in "+-":
            imag = "+" + imag
        return self._real.format(value.real) + imag


def _flatten(nested: Any, depth: int) -> list[Any]:
    flat = nested
    for _ in range(depth - 1):
        flat = [item for row in flat for item in row]
    return flat


def _vector_text(values: Sequence[Any], size: int, indent: int, summarize: bool, column: Any) -> str:
    edge = PRINT_OPTS.edgeitems
    per_line = max(1, (PRINT_OPTS.linewidth - indent) // (column.width + 2))
    fmt = column.format
    cells = [fmt(v) for v in values]
    if summarize and not edge:
        cells = ["..."]
    elif summarize and size > 2 * edge:
        cells.insert(edge, " ...")
    if len(cells) <= per_line:
        return "[" + ", ".join(cells) + "]"
    lines = [", ".join(cells[i : i + per_line]) for i in range(0, len(cells), per_line)]
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"


def _nested_text(values: Any, shape: Sequence[int], indent: int, summarize: bool, column: Any) -> str:
    if len(shape) == 1:
        return _vector_text(values, shape[0], indent, summarize, column)
    rows = [_nested_text(row, shape[1:], indent + 1, summarize, column) for row in values]
    if summarize and shape[0] > 2 * PRINT_OPTS.edgeitems:
        rows.insert(PRINT_OPTS.edgeitems, "...")
    return "[" + ("," + "\n" * (len(shape) - 1) + " " * (indent + 1)).join(rows) + "]"


def _edges_only(tensor: Any) -> Any:
    """Keep what a summary shows: the first and last few entries of every dimension that is too long."""
    edge = PRINT_OPTS.edgeitems
    for dim, size in enumerate(tensor.shape):
        if size > 2 * edge:
            ends = (tensor.narrow(dim, 0, edge), tensor.narrow(dim, size - edge, edge))
            tensor = torch.cat(ends, dim)
    return tensor


def _tensor_str(tensor: Any, indent: int) -> str:
    if tensor.numel() == 0:
        return "[]"
    shape = tuple(tensor.shape)
    summarize = tensor.numel() > PRINT_OPTS.threshold
    data = _edges_only(tensor) if summarize else tensor
    values = data.tolist()
    flat = [values] if not shape else _flatten(values, len(shape))
    column: _Column | _ComplexColumn
    if tensor.is_complex():
        column = _ComplexColumn(flat)
    else:
        column = _Column(flat, tensor.is_floating_point())
    if not shape:
        return column.format(values)
    return _nested_text(values, shape, indent, summarize, column)


def _add_suffixes(text: str, suffixes: Sequence[str], indent: int, force_newline: bool) -> str:
    parts = [text]
    length = len(text) - text.rfind("\n") + 1
    for suffix in suffixes:
        if force_newline or length + len(suffix) + 2 > PRINT_OPTS.linewidth:
            parts.append(",\n" + " " * indent + suffix)
            length = indent + len(suffix)
            force_newline = False
        else:
            parts.append(", " + suffix)
            length += len(suffix) + 2
    parts.append(")")
    return "".join(parts)


def _default_complex_dtype(default: Any) -> Any:
    if default is torch.float64:
        return torch.complex128
    if default is torch.float16:
        return torch.complex32
    return torch.complex64


def _sparse_text(tensor: Any, indent: int, suffixes: list[str], default_dtype: bool) -> str:
    suffixes.append("size=" + str(tuple(tensor.shape)))
    if not tensor.is_meta:
        suffixes.append(f"nnz={tensor._nnz()}")
    if not default_dtype:
        suffixes.append(f"dtype={tensor.dtype}")
    layout = tensor.layout
    if layout is torch.sparse_coo:
        named = [("indices", tensor._indices().detach()), ("values", tensor._values().detach())]
    elif layout in (torch.sparse_csr, torch.sparse_bsr):
        named = [("crow_indices", tensor.crow_indices().detach()), ("col_indices", tensor.col_indices().detach())]
        named.append(("values", tensor.values().detach()))
    else:
        named = [("ccol_indices", tensor.ccol_indices().detach()), ("row_indices", tensor.row_indices().detach())]
        named.append(("values", tensor.values().detach()))
    parts = []
    for name, part in named:
        prefix = f"{name}=tensor("
        text = "..." if part.is_meta else _tensor_str(part, indent + len(prefix))
        extra = "" if part.numel() and not part.is_meta else f", size={tuple(part.shape)}"
        parts.append(prefix + text + extra + ")")
    return (",\n" + " " * indent).join(parts)


def _content(tensor: Any, indent: int, suffixes: list[str], contents: str | None) -> str:
    dtype = tensor.dtype
    default = torch.get_default_dtype()
    default_dtype = dtype in (default, _default_complex_dtype(default), torch.int64, torch.bool)
    if tensor.device.type != "cpu":
        suffixes.append(f"device='{tensor.device}'")
    strided = tensor.layout is torch.strided
    if not strided and contents is None:
        return _sparse_text(tensor, indent, suffixes, default_dtype)
    if tensor.is_meta:
        suffixes.append("size=" + str(tuple(tensor.shape)))
        if dtype is not default:
            suffixes.append(f"dtype={dtype}")
        return "..." if contents is None else contents
    if tensor.numel() == 0:
        # A one-dimensional empty tensor needs no shape to be rebuilt from its text.
        if tensor.dim() != 1:
            suffixes.append("size=" + str(tuple(tensor.shape)))
        if dtype is not default:
            suffixes.append(f"dtype={dtype}")
        return "[]" if contents is None else contents
    if not PRINT_OPTS.edgeitems:
        suffixes.append("size=" + str(tuple(tensor.shape)))
    if not default_dtype:
        suffixes.append(f"dtype={dtype}")
    return _tensor_str(tensor, indent) if contents is None else contents


def _grad_fn_name(tensor: Any) -> str | None:
    try:
        grad_fn = tensor.grad_fn
    except RuntimeError:
        # An in-place change of a view of several outputs makes the history unusable, yet it must still print.
        return "Invalid"
    if grad_fn is None:
        return None
    name: str = type(grad_fn).__name__
    return grad_fn.name().rsplit("::", 1)[-1] if name == "CppFunction" else name


def _example_text(parts: tuple[Any, int, int, int]) -> str:
    """What vmap's function sees of a batch."""
    inner, dim, _, level = parts
    value = "\n".join("    " + line if line else line for line in repr(inner).split("\n"))
    return f"BatchedTensor(lvl={level}, bdim={dim}, value=\n{value}\n)"


def _str_intern(inp: Any, tensor_contents: str | None) -> str:
    parts = torch._C._vmap_parts(inp)
    if parts is not None:
        return _example_text(parts)
    kind = type(inp)
    plain = kind is torch.Tensor or kind is torch.nn.Parameter
    prefix = "tensor(" if plain else f"{kind.__name__}("
    indent = len(prefix)
    suffixes: list[str] = []
    tensor, tangent = torch.autograd.forward_ad.unpack_dual(inp)
    text = prefix + _content(tensor.detach(), indent, suffixes, tensor_contents)
    if inp.layout is not torch.strided:
        suffixes.append(f"layout={inp.layout}")
    name = _grad_fn_name(inp)
    if name is not None:
        suffixes.append(f"grad_fn=<{name}>")
    elif inp.requires_grad:
        suffixes.append("requires_grad=True")
    if tangent is not None:
        suffixes.append(f"tangent={tangent}")
    return _add_suffixes(text, suffixes, indent, inp.layout is torch.sparse_coo)


def _str(tensor: Any, *, tensor_contents: str | None = None) -> str:
    if type(tensor) is torch.Tensor:
        with torch.no_grad():
            return _str_intern(tensor, tensor_contents)
    # Reading a subclass must not come back into its own __torch_function__.
    with torch.no_grad(), torch._C.DisableTorchFunctionSubclass():
        return _str_intern(tensor, tensor_contents)
