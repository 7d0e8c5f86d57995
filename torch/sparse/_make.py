"""Sparse tensors from indices and values, and the checks of what they must satisfy."""

from __future__ import annotations

import torch

from ..ops_py._common import scalar_type
from ._parts import BLOCKED, BY_ROWS, COMPRESSED, COO, TITLES, compressed, coo

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from torch import Tensor

_ALWAYS = False


class check_sparse_tensor_invariants:
    """Switch the checks of new sparse tensors on (``enable``) or off (``disable``): a context manager and a decorator.

    The checks cost a pass over the indices, and are off unless asked for here or by ``check_invariants=True``.

    >>> with torch.sparse.check_sparse_tensor_invariants():
    ...     torch.sparse_coo_tensor([[5]], [1.0], (2,))
    Traceback (most recent call last):
        ...
    RuntimeError: size is inconsistent with indices: for dim 0, size is 2 but found index 5
    """

    def __init__(self, enable: bool = True) -> None:
        self.state = enable
        self.saved_state: bool | None = None

    @staticmethod
    def is_enabled() -> bool:
        """Whether every new sparse tensor is checked."""
        return _ALWAYS

    @staticmethod
    def enable() -> None:
        """Check every new sparse tensor from now on."""
        global _ALWAYS
        _ALWAYS = True

    @staticmethod
    def disable() -> None:
        """Check new sparse tensors only where ``check_invariants=True`` asks for it."""
        global _ALWAYS
        _ALWAYS = False

    def _set(self, state: bool) -> None:
        (self.enable if state else self.disable)()

    def __enter__(self) -> None:
        if self.saved_state is not None:
            raise RuntimeError(
                "This context manager instance is already activated. Use a different context manager instance for "
                "context nesting."
            )
        self.saved_state = self.is_enabled()
        self._set(self.state)

    def __exit__(self, kind: Any, value: Any, trace: Any) -> None:
        assert self.saved_state is not None
        self._set(self.saved_state)
        self.saved_state = None

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        import functools

        @functools.wraps(function)
        def checked(*args: Any, **kwargs: Any) -> Any:
            with type(self)(self.state):
                return function(*args, **kwargs)

        return checked


def _check(holds: Any, message: str) -> None:
    if not holds:
        raise RuntimeError(message)


def validate_sparse_coo_tensor_args(
    indices: Tensor, values: Tensor, size: Sequence[int], is_coalesced: bool | None = None
) -> None:
    """Raise RuntimeError unless the indices are in range, and distinct and sorted where they are said to be."""
    sparse_dim = indices.shape[0]
    if indices.numel():
        low, high = indices.amin(1).tolist(), indices.amax(1).tolist()
        for d in range(sparse_dim):
            _check(low[d] >= 0, f"found negative index {low[d]} for dim {d}")
            _check(
                high[d] < size[d],
                f"size is inconsistent with indices: for dim {d}, size is {size[d]} but found index {high[d]}",
            )
    if is_coalesced and values.shape[0] > 1:
        from ._parts import flat_keys

        keys = flat_keys(indices, list(size[:sparse_dim]))
        _check(
            bool((keys.diff() > 0).all()),
            "cannot set is_coalesced to true if indices correspond to uncoalesced COO tensor",
        )


def _names(layout: Any) -> tuple[str, str, str, str]:
    if layout in BY_ROWS:
        return "crow_indices", "col_indices", "row", "col"
    return "ccol_indices", "row_indices", "column", "row"


def validate_sparse_compressed_tensor_args(
    compressed_indices: Tensor, plain_indices: Tensor, values: Tensor, size: Sequence[int], layout: Any
) -> None:
    """Raise RuntimeError for shapes, dtypes or indices that do not describe a tensor of this layout and size."""
    big, small, lines, _ = _names(layout)
    by_rows, blocked = layout in BY_ROWS, layout in BLOCKED
    for name, part in ((big, compressed_indices), (small, plain_indices)):
        _check(part.layout is torch.strided, f"expected {name} to be a strided tensor")
        _check(part.dim() >= 1, f"{name} must have dimensionality >= 1 but got {part.dim()}")
    batch = compressed_indices.dim() - 1
    block = 2 if blocked else 0
    _check(
        compressed_indices.dim() == plain_indices.dim(),
        f"{big} and {small} dimensionalities must be equal but got {compressed_indices.dim()} and "
        f"{plain_indices.dim()}, respectively",
    )
    dense = values.dim() - batch - block - 1
    _check(
        dense >= 0,
        f"values must have dimensionality > sum of batch and block dimensionalities (={batch} + {block}) but got "
        f"{values.dim()}",
    )
    _check(
        len(size) == batch + 2 + dense,
        f"tensor dimensionality must be sum of batch, base, and dense dimensionalities (={batch} + 2 + {dense}) but "
        f"got {len(size)}",
    )
    blocksize = tuple(values.shape[batch + 1 : batch + 3]) if blocked else (1, 1)
    for d in range(2):
        _check(
            blocksize[d] and size[batch + d] % blocksize[d] == 0,
            f"tensor shape[{batch + d}] (={size[batch + d]}) must be divisible with blocksize[{d}] (={blocksize[d]}) "
            "as defined by values shape",
        )
    shape = tuple(size[:batch])
    for name, part in ((big, compressed_indices), (small, plain_indices)):
        _check(
            tuple(part.shape[:batch]) == shape,
            f"all batch dimensions of {name} (={list(part.shape[:batch])}) must be equal to the batch dimensions of "
            f"size (={list(shape)})",
        )
    rows, columns = size[batch] // blocksize[0], size[batch + 1] // blocksize[1]
    count, width = (rows, columns) if by_rows else (columns, rows)
    _check(
        compressed_indices.shape[-1] == count + 1,
        f"{big}.shape[-1] must be equal to the number of {lines}{' blocks' if blocked else ''}s + 1 (={count + 1}), "
        f"but got {compressed_indices.shape[-1]}",
    )
    nnz = values.shape[batch]
    _check(
        plain_indices.shape[-1] == nnz,
        f"{small}.shape[-1] must be equal to nnz (={nnz}) as defined by values.shape[{batch}], but got "
        f"{plain_indices.shape[-1]}",
    )
    dtypes = compressed_indices.dtype, plain_indices.dtype
    _check(
        dtypes[0] is dtypes[1],
        f"{big} and {small} must have the same dtype, bot got {scalar_type(dtypes[0])} and {scalar_type(dtypes[1])}, "
        "respectively",
    )
    _check(
        dtypes[0] in (torch.int32, torch.int64),
        f"{big} and {small} dtype must be Int or Long, but got {scalar_type(dtypes[0])}",
    )
    if compressed_indices.is_meta:
        return
    if compressed_indices.numel():
        _check((compressed_indices[..., 0] == 0).all(), f"`{big}[..., 0] == 0` is not satisfied.")
        _check((compressed_indices[..., -1] == nnz).all(), f"`{big}[..., -1] == nnz` is not satisfied.")
        steps = compressed_indices.diff(dim=-1)
        inside = bool(((steps >= 0) & (steps <= width)).all())
        n_lines, n_width = ("nrows", "ncols") if by_rows else ("ncols", "nrows")
        _check(
            inside,
            f"`0 <= {big}[..., 1:] - {big}[..., :-1] <= {n_width}` is not satisfied.",
        )
        if plain_indices.numel():
            _check(
                ((plain_indices >= 0) & (plain_indices < width)).all(), f"`0 <= {small} < {n_width}` is not satisfied."
            )
            from ._parts import line_numbers

            where = line_numbers(compressed_indices, nnz) * width + plain_indices
            _check(
                (where.diff(dim=-1) > 0).all(),
                f"`{small}[..., {big}[..., i - 1]:{big}[..., i]] for all i = 1, ..., {n_lines} are sorted and distinct "
                "along the last dimension values` is not satisfied.",
            )


def _device(device: Any, *parts: Any) -> Any:
    if device is not None:
        return torch.device(device)
    for part in parts:
        if isinstance(part, torch.Tensor):
            return part.device
    return torch.get_default_device()


def _index(data: Any, device: Any) -> Tensor:
    index = torch.as_tensor(data, device=device)
    return index if index.dtype is torch.int64 else index.to(torch.int64)


def _finish(result: Tensor, requires_grad: bool) -> Tensor:
    if requires_grad and not (result.dtype.is_floating_point or result.dtype.is_complex):
        raise RuntimeError("Only Tensors of floating point and complex dtype can require gradients")
    return result.requires_grad_() if requires_grad else result


def _refuse_pinning(pin_memory: bool | None) -> None:
    if pin_memory:
        raise RuntimeError("pin_memory=True requires a CUDA or other accelerator backend")


def _empty_coo(size: Sequence[int], dtype: Any, device: Any) -> Tensor:
    for entry in size:
        if entry < 0:
            raise RuntimeError(f"Trying to create tensor with negative dimension {entry}: {list(size)}")
    index = torch.empty((len(size), 0), dtype=torch.int64, device=device)
    return coo(index, torch.empty(0, dtype=dtype, device=device), size, True)


_COO_FORMS = """\
 * (object indices, object values, *, torch.dtype dtype = None, torch.device device = None, bool pin_memory = False, \
bool requires_grad = False, bool check_invariants = None, bool is_coalesced = None)
 * (object indices, object values, tuple of ints size, *, torch.dtype dtype = None, torch.device device = None, bool \
pin_memory = False, bool requires_grad = False, bool check_invariants = None, bool is_coalesced = None)
 * (tuple of ints size, *, torch.dtype dtype = None, torch.device device = None, bool requires_grad = False, bool \
check_invariants = None)
"""


def _no_form(function: str, args: tuple[Any, ...], kwargs: dict[str, Any], forms: str) -> TypeError:
    given = ", ".join([type(a).__name__ for a in args] + [f"{k}={type(v).__name__}" for k, v in kwargs.items()])
    return TypeError(
        f"{function}() received an invalid combination of arguments - got ({given}), but expected one of:\n{forms}"
    )


def _sizes(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and all(hasattr(entry, "__index__") for entry in value)


def sparse_coo_tensor(
    indices: Any = None,
    values: Any = None,
    size: Any = None,
    *,
    dtype: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
    check_invariants: bool | None = None,
    is_coalesced: bool | None = None,
    **unknown: Any,
) -> Tensor:
    """A tensor [*size] that holds ``values`` at ``indices`` and zero elsewhere, in coordinate (COO) form.

    Args:
        indices: [sparse dimensions, nnz] whole numbers; a column may occur several times, its values then add up.
        values: [nnz, dense dimensions...], of any dtype; gradients flow to them.
        size: all sizes; left out, the smallest that hold the indices. Alone (``sparse_coo_tensor(size)``): all zeros.
        check_invariants: raise RuntimeError for indices out of range; ``torch.sparse.check_sparse_tensor_invariants``
            is the default.
        is_coalesced: promise that the indices are sorted and distinct.

    >>> torch.sparse_coo_tensor([[0, 1], [2, 0]], [3.0, 4.0], (2, 3)).to_dense()
    tensor([[0., 0., 3.],
            [4., 0., 0.]])
    """
    if unknown or (indices is None and size is None) or (values is not None and not (size is None or _sizes(size))):
        args = tuple(a for a in (indices, values, size) if a is not None)
        raise _no_form("sparse_coo_tensor", args, unknown, _COO_FORMS)
    _refuse_pinning(pin_memory)
    if values is None:
        given = size if indices is None else indices
        if not isinstance(given, (tuple, list)):
            raise TypeError(
                "sparse_coo_tensor(): argument 'size' (position 1) must be tuple of ints, not " + type(given).__name__
            )
        return _finish(_empty_coo(given, dtype or torch.get_default_dtype(), _device(device)), requires_grad)
    place = _device(device, values)
    value = torch.as_tensor(values, dtype=dtype, device=place)
    index = _index(indices, place)
    _check(
        index.layout is torch.strided and value.layout is torch.strided,
        f"expected values to be a dense tensor, but got values of layout {TITLES[value.layout]}",
    )
    if value.dim() == 0:
        value = value.reshape(1)
    _check(
        index.dim() == 2, f"indices must be sparse_dim x nnz, but got: {list(index.shape)}"
    ) if size is None else None
    if index.dim() == 1 and size is not None:
        index = index.unsqueeze(1) if index.numel() else index.reshape(1, 0)
    _check(index.dim() == 2, f"indices must be sparse_dim x nnz, but got: {list(index.shape)}")
    sparse_dim, dense = index.shape[0], tuple(value.shape[1:])
    if size is None:
        if index.numel():
            low = index.amin(1).tolist()
            for d, entry in enumerate(low):
                _check(entry >= 0, f"found negative index {entry} for dim {d}")
            size = tuple(entry + 1 for entry in index.amax(1).tolist()) + dense
        else:
            size = (0,) * sparse_dim + dense
    else:
        size = tuple(size)
        _check(
            len(size) == sparse_dim + len(dense),
            f"'len(size) == sparse_dim + dense_dim' is not satisfied: len(size) = {len(size)}, sparse_dim = "
            f"{sparse_dim}, "
            f"dense_dim = {len(dense)}",
        )
    _check(
        index.shape[1] == value.shape[0],
        f"indices and values must have same nnz, but got nnz from indices: {index.shape[1]}, nnz from values: "
        f"{value.shape[0]}",
    )
    expected = [index.shape[1], *size[sparse_dim:]]
    _check(
        list(value.shape) == expected,
        f"values has incorrect size, expected {expected}, got {list(value.shape)}",
    )
    if _ALWAYS if check_invariants is None else check_invariants:
        validate_sparse_coo_tensor_args(index, value, size, is_coalesced)
    coalesced = index.shape[1] < 2 if is_coalesced is None else bool(is_coalesced)
    return _finish(coo(index, value, size, coalesced), requires_grad)


def _compressed_tensor(
    function: str,
    layout: Any,
    compressed_indices: Any,
    plain_indices: Any,
    values: Any,
    size: Any,
    dtype: Any,
    device: Any,
    requires_grad: bool,
    check_invariants: bool | None,
) -> Tensor:
    if layout not in COMPRESSED:
        name = "none" if layout is None else TITLES.get(layout, str(layout))
        raise RuntimeError(f"{function} expected sparse compressed tensor layout but got {name}")
    place = _device(device, values)
    value = torch.as_tensor(values, dtype=dtype, device=place)
    pointers, index = torch.as_tensor(compressed_indices, device=place), torch.as_tensor(plain_indices, device=place)
    if index.numel() == 0 and not isinstance(plain_indices, torch.Tensor):
        index = index.to(pointers.dtype)
    batch, block = pointers.dim() - 1, 2 if layout in BLOCKED else 0
    dense = value.dim() - batch - block - 1
    _check(
        dense >= 0,
        f"values must have dimensionality > sum of batch and block dimensionalities (={batch} + {block}) but got "
        f"{value.dim()}",
    )
    if size is None:
        blocksize = tuple(value.shape[batch + 1 : batch + 3]) if block else (1, 1)
        lines, width = pointers.shape[-1] - 1, int(index.max()) + 1 if index.numel() else 0
        rows, columns = (lines, width) if layout in BY_ROWS else (width, lines)
        size = (*pointers.shape[:-1], rows * blocksize[0], columns * blocksize[1], *value.shape[batch + block + 1 :])
    if _ALWAYS if check_invariants is None else check_invariants:
        validate_sparse_compressed_tensor_args(pointers, index, value, size, layout)
    return _finish(compressed(layout, pointers, index, value, size), requires_grad)


def sparse_compressed_tensor(
    compressed_indices: Any,
    plain_indices: Any,
    values: Any,
    size: Any = None,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
    check_invariants: bool | None = None,
) -> Tensor:
    """A tensor in the CSR, CSC, BSR or BSC ``layout``. Tensors that are given share memory with the result.

    Args:
        compressed_indices: [batch..., lines + 1], where each row's (or column's) elements begin.
        plain_indices: [batch..., nnz], the column (or row) of each element or block.
        values: [batch..., nnz, block..., dense...].
        check_invariants: raise RuntimeError for indices that do not fit.

    >>> torch.sparse_compressed_tensor([0, 1, 2], [1, 0], [3.0, 4.0], layout=torch.sparse_csr).to_dense()
    tensor([[0., 3.],
            [4., 0.]])
    """
    _refuse_pinning(pin_memory)
    return _compressed_tensor(
        "sparse_compressed_tensor", layout, compressed_indices, plain_indices, values, size, dtype, device,
        requires_grad, check_invariants,
    )  # fmt: skip


def _maker(layout: Any, big: str, small: str, example: str) -> Any:
    name = f"{str(layout).rpartition('.')[2]}_tensor"

    def make(*args: Any, **kwargs: Any) -> Tensor:
        names = (big, small, "values", "size")
        given = dict(zip(names, args, strict=False)) | kwargs
        missing = [n for n in names[:3] if n not in given]
        unknown = set(given) - {
            *names, "dtype", "device", "pin_memory", "requires_grad", "check_invariants", "layout",
        }  # fmt: skip
        if missing or unknown or len(args) > 4:
            forms = (
                f" * (object {big}, object {small}, object values, *, torch.dtype dtype = None, torch.device device = "
                "None, "
                "bool pin_memory = False, bool requires_grad = False, bool check_invariants = None)\n"
                f" * (object {big}, object {small}, object values, tuple of ints size, *, torch.dtype dtype = None, "
                "torch.device device = None, bool pin_memory = False, bool requires_grad = False, bool "
                "check_invariants = "
                "None)\n"
            )
            raise _no_form(name, args, kwargs, forms)
        _refuse_pinning(given.get("pin_memory"))
        wanted = given.get("layout")
        if wanted is not None and wanted is not layout:
            raise RuntimeError(f"{name}: layout must be {TITLES[layout]} but got {TITLES[wanted]}")
        return _compressed_tensor(
            name, layout, given[big], given[small], given["values"], given.get("size"), given.get("dtype"),
            given.get("device"), given.get("requires_grad", False), given.get("check_invariants"),
        )  # fmt: skip

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"""``sparse_compressed_tensor`` in the layout {layout}.

    Parameters: {big}, {small}, values, size=None, *, dtype=None, device=None, pin_memory=False, requires_grad=False,
    check_invariants=None. Raises RuntimeError for values with too few dimensions.

    >>> {example}
    """
    return make


sparse_csr_tensor = _maker(
    torch.sparse_csr, "crow_indices", "col_indices",
    "torch.sparse_csr_tensor([0, 1, 2], [1, 0], [3.0, 4.0]).to_dense()\n    tensor([[0., 3.],\n            [4., 0.]])",
)  # fmt: skip
sparse_csc_tensor = _maker(
    torch.sparse_csc, "ccol_indices", "row_indices",
    "torch.sparse_csc_tensor([0, 1, 2], [1, 0], [3.0, 4.0]).to_dense()\n    tensor([[0., 4.],\n            [3., 0.]])",
)  # fmt: skip
sparse_bsr_tensor = _maker(
    torch.sparse_bsr, "crow_indices", "col_indices",
    "torch.sparse_bsr_tensor([0, 1], [0], [[[3.0, 4.0]]]).to_dense()\n    tensor([[3., 4.]])",
)  # fmt: skip
sparse_bsc_tensor = _maker(
    torch.sparse_bsc, "ccol_indices", "row_indices",
    "torch.sparse_bsc_tensor([0, 1], [0], [[[3.0, 4.0]]]).to_dense()\n    tensor([[3., 4.]])",
)  # fmt: skip


def zeros(function: str, size: Sequence[int], dtype: Any, layout: Any, device: Any) -> Tensor:
    """All zeros in a sparse layout: what torch.zeros and torch.empty make there."""
    dtype = dtype or torch.get_default_dtype()
    place = _device(device)
    if layout is COO:
        return _empty_coo(size, dtype, place)
    if layout in BLOCKED:
        raise RuntimeError(
            f"{function}_sparse_compressed expected sparse compressed (non-block) tensor layout but got "
            f"{TITLES[layout]}"
        )
    if len(size) < 2:
        raise RuntimeError(
            f"torch.{function}: Only batched sparse compressed (non-block) tensors are supported, but got size "
            f"{list(size)}"
        )
    batch, lines = tuple(size[:-2]), size[-2] if layout in BY_ROWS else size[-1]
    pointers = torch.zeros((*batch, lines + 1), dtype=torch.int64, device=place)
    index = torch.empty((*batch, 0), dtype=torch.int64, device=place)
    return compressed(layout, pointers, index, torch.empty((*batch, 0), dtype=dtype, device=place), size)
