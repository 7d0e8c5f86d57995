"""Parts, orders and joins of sparse tensors."""

from __future__ import annotations

import torch

from ..ops_py._common import wrap_dim
from ._convert import compressed_to_coo, to_dense, transposed
from ._make import zeros
from ._parts import (
    BLOCKED,
    COMPRESSED,
    COO,
    TITLES,
    assign,
    cannot_run,
    compressed,
    coo,
    indices,
    is_compressed,
    is_sparse,
    nnz,
    plain,
    raw_values,
    title,
    values,
    with_values,
)  # fmt: skip

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from torch import Tensor


def no_strides(input: Tensor, name: str) -> Exception:
    if is_compressed(input):
        return RuntimeError(f"Sparse {TITLES[input.layout][6:].upper()} tensors do not have {name}")
    return cannot_run("as_strided", input)


def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two sparse dimensions exchanged."""
    first, second = wrap_dim(dim0, input.dim()), wrap_dim(dim1, input.dim())
    if input.layout in COMPRESSED:
        return _transpose_compressed(input, first, second)
    sparse = input.sparse_dim()
    if first >= sparse or second >= sparse:
        if first == second:
            return input
        raise RuntimeError(
            f"sparse transpose: transposed dimensions must be sparse Got sparse_dim: {sparse}, d0: {first}, d1: "
            f"{second}"
        )
    order = list(range(input.dim()))
    order[first], order[second] = second, first
    return permute(input, order)


def _transpose_compressed(input: Tensor, first: int, second: int) -> Tensor:
    if first == second:
        return with_values(input, values(input))
    batch = indices(input).dim() - 1
    pair = sorted((first, second))
    if pair[1] < batch:
        size = list(input.shape)
        size[first], size[second] = size[second], size[first]
        parts = (indices(input), plain(input), values(input))
        moved = (part.transpose(first, second) for part in parts)
        return compressed(input.layout, *moved, size)  # type: ignore[misc]
    if pair[0] < batch or pair[1] > batch + 1:
        raise RuntimeError(
            "transpose(): can only transpose dimensions of the same type (Batch, Sparse, Dense), got "
            f"{_dim_kind(input, first)} and {_dim_kind(input, second)}"
        )
    return transposed(input)


def _dim_kind(input: Tensor, dim: int) -> str:
    batch = indices(input).dim() - 1
    return "Batch" if dim < batch else "Sparse" if dim < batch + 2 else "Dense"


def permute(input: Tensor, dims: Sequence[int]) -> Tensor:
    """The dimensions in another order; sparse and dense ones each among themselves."""
    if is_compressed(input):
        raise no_strides(input, "strides") if input.dim() != 2 else cannot_run("as_strided", input)
    if len(dims) != input.dim():
        raise RuntimeError(
            "permute(sparse_coo): number of dimensions in the tensor input does not match the length of the desired "
            f"ordering of dimensions i.e. input.dim() = {input.dim()} is not equal to len(dims) = {len(dims)}"
        )
    order = [wrap_dim(d, input.dim()) for d in dims]
    if len(set(order)) != len(order):
        raise RuntimeError("permute(): duplicate dims are not allowed.")
    sparse = input.sparse_dim()
    if any(d >= sparse for d in order[:sparse]):
        raise RuntimeError(
            "permute(sparse_coo): transpositions between sparse and dense dimensions are not allowed.Only "
            "transpositions "
            "within sparse and dense dimensions are supported."
        )
    value = values(input).permute(0, *(d - sparse + 1 for d in order[sparse:]))
    head = order[:sparse]
    kept = head == sorted(head)
    index = indices(input) if kept else indices(input)[head]
    return coo(index, value, [input.shape[d] for d in order], input.is_coalesced() and kept)


def t(input: Tensor) -> Tensor:
    """The transpose of a matrix."""
    if input.layout is COO and (input.sparse_dim() > 2 or input.dense_dim()):
        raise RuntimeError(
            "t() expects a tensor with <= 2 sparse and 0 dense dimensions, but got "
            f"{input.sparse_dim()} sparse and {input.dense_dim()} dense dimensions"
        )
    if input.dim() > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {input.dim()}D")
    return transpose(input, 0, 1) if input.dim() == 2 else input


def movedim(input: Tensor, source: Sequence[int], destination: Sequence[int]) -> Tensor:
    """Some dimensions moved to other places."""
    rank = input.dim()
    start, end = [wrap_dim(d, rank) for d in source], [wrap_dim(d, rank) for d in destination]
    rest = [d for d in range(rank) if d not in start]
    order = [-1] * rank
    for s, e in zip(start, end, strict=True):
        order[e] = s
    return permute(input, [d if d >= 0 else rest.pop(0) for d in order])


def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """A dimension of size one, sparse among sparse ones and dense among dense ones."""
    if is_compressed(input):
        raise no_strides(input, "strides")
    at = wrap_dim(dim, input.dim() + 1)
    size = list(input.shape)
    size.insert(at, 1)
    sparse = input.sparse_dim()
    if at > sparse:
        return coo(indices(input), values(input).unsqueeze(at - sparse + 1), size, input.is_coalesced())
    index = indices(input)
    row = index.new_zeros((1, index.shape[1]))
    return coo(torch.cat((index[:at], row, index[at:])), values(input), size)


def select(input: Tensor, dim: int, index: int) -> Tensor:
    """One entry of a dimension, which goes."""
    if not input.dim():
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    at = wrap_dim(dim, input.dim())
    size = input.shape[at]
    if not -size <= index < size:
        raise IndexError(
            f"select(): index {index} out of range for tensor of size {list(input.shape)} at dimension {at}"
        )
    index = index + size if index < 0 else index
    left = list(input.shape)
    del left[at]
    if input.layout in COMPRESSED:
        batch = indices(input).dim() - 1
        if at < batch:
            parts = (part.select(at, index) for part in (indices(input), plain(input), values(input)))
            return compressed(input.layout, *parts, left)  # type: ignore[misc]
        if at > batch + 1:
            within = values(input).dim() - (input.dim() - at)
            return with_values(input, values(input).select(within, index), left)
        return select(compressed_to_coo(input), at, index)
    sparse = input.sparse_dim()
    if at >= sparse:
        return coo(indices(input), values(input).select(at - sparse + 1, index), left, input.is_coalesced())
    here = (indices(input)[at] == index).nonzero().squeeze(1)
    value = values(input)[here]
    if sparse == 1:
        return value.sum(0, dtype=value.dtype)
    rest = [d for d in range(sparse) if d != at]
    return coo(indices(input)[rest][:, here], value, left, input.is_coalesced())


def unbind(input: Tensor, dim: int = 0) -> list[Tensor]:
    """The entries of a dimension."""
    return [select(input, dim, k) for k in range(input.shape[dim])]


def narrow_copy(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    """``length`` entries of a dimension, from ``start``."""
    at = wrap_dim(dim, input.dim())
    size = input.shape[at]
    start = start + size if start < 0 else start
    if length < 0 or start < 0 or start + length > size:
        raise RuntimeError(f"Invalid range to narrow. range(start, start+length) must be a subset of range(0, {size}).")
    if is_compressed(input):
        raise no_strides(input, "strides")
    left = list(input.shape)
    left[at] = length
    sparse = input.sparse_dim()
    if at >= sparse:
        part = values(input).narrow(at - sparse + 1, start, length).clone()
        return coo(indices(input), part, left, input.is_coalesced())
    row = indices(input)[at]
    here = ((row >= start) & (row < start + length)).nonzero().squeeze(1)
    index = indices(input)[:, here]
    index[at] -= start
    return coo(index, values(input)[here], left, input.is_coalesced())


def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The entries of a dimension that index names, in its order."""
    if is_compressed(input):
        raise cannot_run("index_select", input)
    at = wrap_dim(dim, input.dim())
    if index.dim() > 1:
        raise IndexError("index_select() argument index must be 1-D or scalar tensor.")
    if index.dtype not in (torch.int32, torch.int64):
        raise RuntimeError("index_select(): Expected dtype int32 or int64 for index")
    index = index.reshape(-1).to(torch.int64)
    size = input.shape[at]
    if index.numel():
        low, high = int(index.min()), int(index.max())
        if low < -size or high >= size:
            bad = high if high >= size else low
            raise IndexError(
                f"index_select(): index contains {bad} that is out of range for tensor of size {list(input.shape)} at "
                f"dimension {at}"
            )
    index = torch.where(index < 0, index + size, index)
    left = list(input.shape)
    left[at] = index.numel()
    sparse = input.sparse_dim()
    if at >= sparse:
        return coo(indices(input), values(input).index_select(at - sparse + 1, index), left, input.is_coalesced())
    row, order = torch.sort(indices(input)[at], stable=True)
    first = torch.searchsorted(row, index)
    counts = torch.searchsorted(row, index, right=True) - first
    which = torch.arange(index.numel(), device=index.device).repeat_interleave(counts)
    offsets = torch.arange(which.numel(), device=index.device) - (counts.cumsum(0) - counts)[which]
    taken = order[first[which] + offsets]
    columns = indices(input)[:, taken]
    columns[at] = which
    return coo(columns, values(input)[taken], left)


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """COO tensors one after the other along a dimension."""
    for tensor in tensors:
        if is_compressed(tensor):
            raise RuntimeError(f"Sparse {TITLES[tensor.layout][6:].upper()} tensors do not have is_contiguous")
    first = tensors[0]
    if not is_sparse(first):
        raise cannot_run("_values", first)
    at = wrap_dim(dim, first.dim())
    sparse, dense = first.sparse_dim(), first.dense_dim()
    for position, tensor in enumerate(tensors):
        if not is_sparse(tensor):
            raise RuntimeError(f"Concatenating sparse tensors, but a dense tensor was found at position {position}.")
        if (tensor.sparse_dim(), tensor.dense_dim()) != (sparse, dense):
            raise RuntimeError(
                f"All tensors must have the same sparse_dim and dense_dim: {sparse}, {dense}, but tensor at position "
                f"{position} has {tensor.sparse_dim()}, {tensor.dense_dim()}."
            )
        if any(d != at and tensor.shape[d] != first.shape[d] for d in range(first.dim())):
            raise RuntimeError(
                f"All tensors must have the same shape: {list(first.shape)} (except in the concatenating dimension), "
                f"but found shape: {list(tensor.shape)} at position {position}."
            )
    dtype = first.dtype
    for tensor in tensors[1:]:
        dtype = torch.promote_types(dtype, tensor.dtype)
    size = list(first.shape)
    size[at] = sum(tensor.shape[at] for tensor in tensors)
    columns, parts, offset = [], [], 0
    for tensor in tensors:
        index, value = indices(tensor), values(tensor).to(dtype)
        if at < sparse:
            index = index.clone()
            index[at] += offset
        else:
            shape = list(value.shape)
            shape[at - sparse + 1] = size[at]
            whole = value.new_zeros(shape)
            value = whole.slice_scatter(value, at - sparse + 1, offset, offset + tensor.shape[at])
        columns.append(index)
        parts.append(value)
        offset += tensor.shape[at]
    return coo(torch.cat(columns, 1), torch.cat(parts), size)


def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """COO tensors along a dimension of their own."""
    at = wrap_dim(dim, tensors[0].dim() + 1)
    return cat([unsqueeze(tensor, at) for tensor in tensors], at)


def clone(input: Tensor, memory_format: Any = None) -> Tensor:
    """A copy with memory of its own."""
    if memory_format not in (None, torch.preserve_format):
        raise RuntimeError(f"unsupported memory format option {str(memory_format).rpartition('.')[2]}")
    value = values(input).clone()
    if input.layout is COO:
        return coo(indices(input).clone(), value, input.shape, input.is_coalesced())
    return compressed(input.layout, indices(input).clone(), plain(input).clone(), value, input.shape)


def to_copy(input: Tensor, dtype: Any, device: Any = None, memory_format: Any = None) -> Tensor:
    """A copy of this dtype, on this device."""
    device = input.device if device is None else device
    value = values(input).to(dtype=dtype, device=device, copy=True)
    index = indices(input).to(device)
    if input.layout is COO:
        return coo(index, value, input.shape, input.is_coalesced())
    return compressed(input.layout, index, plain(input).to(device), value, input.shape)


def _no_blocks(input: Tensor, dtype: Any, device: Any) -> Tensor:
    batch, value = indices(input).dim() - 1, raw_values(input)
    none = torch.empty(
        (*value.shape[:batch], 0, *value.shape[batch + 1 :]), dtype=dtype or input.dtype, device=device or input.device
    )
    index = plain(input).new_empty((*plain(input).shape[:-1], 0))
    return compressed(input.layout, torch.zeros_like(indices(input)), index, none, input.shape)


def zeros_like(input: Tensor, dtype: Any = None, layout: Any = None, device: Any = None, pin_memory: Any = None,
               requires_grad: Any = None, memory_format: Any = None) -> Tensor:  # fmt: skip
    """Zeros of the same shape and layout."""
    if input.layout in BLOCKED and layout in (None, input.layout):
        return _no_blocks(input, dtype, device)
    return new_zeros(input, input.shape, dtype, layout, device, pin_memory, requires_grad)


def new_zeros(input: Tensor, size: Sequence[int], dtype: Any = None, layout: Any = None, device: Any = None,
              pin_memory: Any = None, requires_grad: Any = None) -> Tensor:  # fmt: skip
    """Zeros of any shape in the same layout."""
    dtype, layout = dtype or input.dtype, layout or input.layout
    device = device or input.device
    if layout is torch.strided:
        return torch.zeros(size, dtype=dtype, device=device, requires_grad=bool(requires_grad))
    if layout is COO and input.layout is COO and len(size) == input.dim() and input.dense_dim():
        sparse = input.sparse_dim()
        index = torch.empty((sparse, 0), dtype=torch.int64, device=device)
        result = coo(index, torch.empty((0, *size[sparse:]), dtype=dtype, device=device), size, True)
    else:
        result = zeros("empty", size, dtype, layout, device)
    return result.requires_grad_() if requires_grad else result


def _factory(name: str) -> Any:
    def rule(size: Sequence[int], dtype: Any = None, layout: Any = None, device: Any = None, pin_memory: Any = None,
             requires_grad: Any = None, *rest: Any) -> Tensor:  # fmt: skip
        result = zeros(name, size, dtype, layout, device)
        return result.requires_grad_() if requires_grad else result

    return rule


def _like(value: int) -> Any:
    def rule(input: Tensor, dtype: Any = None, layout: Any = None, device: Any = None, *rest: Any) -> Tensor:
        if layout is torch.strided:
            return torch.full(input.shape, value, dtype=dtype or input.dtype, device=device or input.device)
        if input.layout is not COO and layout in (None, input.layout):
            return with_values(input, torch.full_like(raw_values(input), value, dtype=dtype, device=device))
        if value == 1:
            raise cannot_run("fill_.Scalar", input)
        return zeros_like(input, dtype, layout, device)

    return rule


def expand(input: Tensor, *args: Any) -> Tensor:
    """Refused: a sparse tensor cannot repeat its elements without copies."""
    raise RuntimeError(f"expand is unsupported for {title(input)} tensors")


def reshape(input: Tensor, *args: Any) -> Tensor:
    """Refused."""
    if is_compressed(input):
        raise RuntimeError(f"Sparse {TITLES[input.layout][6:].upper()} tensors do not have strides")
    raise RuntimeError("reshape is not implemented for sparse tensors")


def same_size(input: Tensor, other: Tensor) -> bool:
    return input.shape == other.shape


def broadcast_grad(input: Tensor, size: Sequence[int]) -> Tensor:
    """The sum down to a size that broadcasts to the tensor's."""
    if tuple(size) == tuple(input.shape):
        return input
    return to_dense(input).sum_to_size(*size)


# ---- resizing ----


def sparse_resize_(target: Tensor, size: Sequence[int], sparse_dim: int, dense_dim: int) -> Tensor:
    """Another size with the elements kept, which must stay inside it."""
    if target.layout is not COO:
        raise cannot_run("sparse_resize_", target)
    _check_dims(size, sparse_dim, dense_dim)
    advice = (
        " on a non-empty sparse tensor is not supported.\nYou could try the following options:\n1. If you need an "
        "empty "
        "sparse tensor of this size, call `x = torch.sparse_coo_tensor(size)`.\n2. If you need to resize this tensor, "
        "you "
        "have the following options:\n    1. For both sparse and dense dimensions, keep the number of them constant "
        "and "
        "the size of them non-shrinking, and then try the same call again.\n    2. Or, create a new sparse tensor with "
        "the correct indices and values from this sparse tensor."
    )
    sparse, old = target.sparse_dim(), list(target.shape)
    if nnz(target):
        for kind, now, wanted in (("sparse", sparse, sparse_dim), ("dense", target.dense_dim(), dense_dim)):
            if now != wanted:
                raise RuntimeError(f"changing the number of {kind} dimensions (from {now} to {wanted})" + advice)
        for kind, now, new in (("sparse", old[:sparse], size[:sparse]), ("dense", old[sparse:], size[sparse:])):
            if any(n < o for n, o in zip(new, now, strict=True)):
                raise RuntimeError(
                    f"shrinking the size of {kind} dimensions (from {list(now)} to {list(new)})" + advice
                )
    index, value = indices(target), raw_values(target)
    if sparse_dim != sparse:
        index = index.new_empty((sparse_dim, 0))
    dense = tuple(size[sparse_dim:])
    if tuple(value.shape[1:]) != dense and not value.shape[0]:
        value = value.new_empty((0, *dense))
    elif tuple(value.shape[1:]) != dense:
        grown = value.new_zeros((value.shape[0], *dense))
        grown[tuple(slice(0, n) for n in value.shape)] = value
        value = grown
    return assign(target, coo(index, value, size, target.is_coalesced()))


def sparse_resize_and_clear_(target: Tensor, size: Sequence[int], sparse_dim: int, dense_dim: int) -> Tensor:
    """Another size, and no elements."""
    if target.layout is not COO:
        raise cannot_run("sparse_resize_and_clear_", target)
    _check_dims(size, sparse_dim, dense_dim)
    value = raw_values(target).new_empty((0, *size[sparse_dim:]))
    return assign(target, coo(indices(target).new_empty((sparse_dim, 0)), value, size, True))


def _check_dims(size: Sequence[int], sparse_dim: int, dense_dim: int) -> None:
    if sparse_dim + dense_dim != len(size):
        raise RuntimeError(
            f"'len(size) == sparse_dim + dense_dim' is not satisfied: len(size) = {len(size)}, sparse_dim = "
            f"{sparse_dim}, "
            f"dense_dim = {dense_dim}"
        )


def resize_as_sparse_(target: Tensor, template: Tensor) -> Tensor:
    """The size and the numbers of sparse and dense dimensions of another sparse tensor."""
    if target.layout is torch.strided or template.layout is torch.strided:
        raise cannot_run("resize_as_sparse_", target)
    if target.layout is not COO:
        return resize_(target, template.shape)
    if target.shape == template.shape and target.sparse_dim() == template.sparse_dim():
        return target
    return sparse_resize_(target, template.shape, template.sparse_dim(), template.dense_dim())


def resize_(target: Tensor, size: Sequence[int], memory_format: Any = None) -> Tensor:
    """More rows or columns of a compressed tensor."""
    if target.layout is COO:
        raise cannot_run("resize_", target)
    rows, columns = target.shape[-2:]
    if len(size) < 2:
        raise RuntimeError(f"torch.resize_: Only batched sparse CSR matrices are supported, but got size {list(size)}")
    if size[-1] < columns:
        raise RuntimeError(
            "torch.resize_: Resizing columns of sparse CSR tensors to a smaller value is not supported. The original "
            f"number of columns is {columns} while the requested new number of columns is {size[-1]}."
        )
    if title(target) != "SparseCsr" or len(size) != 2 or target.dim() != 2:
        raise RuntimeError(f"torch.resize_: only matrices in the CSR layout can be resized, but got {title(target)}")
    pointers = indices(target)
    if size[0] >= rows:
        pointers = torch.cat((pointers, pointers[-1:].expand(size[0] - rows)))
        return assign(target, compressed(target.layout, pointers, plain(target), raw_values(target), size))
    pointers = pointers[: size[0] + 1]
    kept = int(pointers[-1])
    return assign(target, compressed(target.layout, pointers, plain(target)[:kept], raw_values(target)[:kept], size))


# These are views of elements, which need strides.
STRIDED = frozenset("squeeze slice narrow split split_with_sizes chunk diagonal unfold as_strided tensor_split".split())

RULES: dict[str, Any] = {
    "transpose": transpose, "swapaxes": transpose, "swapdims": transpose, "permute": permute, "t": t,
    "movedim": movedim, "moveaxis": movedim, "unsqueeze": unsqueeze, "select": select, "unbind": unbind,
    "index_select": index_select, "cat": cat, "concat": cat, "concatenate": cat, "stack": stack, "clone": clone,
    "_to_copy": to_copy, "zeros_like": zeros_like, "empty_like": _like(0), "new_zeros": new_zeros,
    "new_empty": new_zeros, "zeros": _factory("zeros"), "empty": _factory("empty"), "ones_like": _like(1),
    "expand": expand, "expand_as": expand, "broadcast_to": expand, "repeat": expand, "reshape": reshape,
    "flatten": reshape, "is_same_size": same_size, "sum_to_size": broadcast_grad,
    "type_as": lambda input, other: input.to(other.dtype),
}  # fmt: skip
IN_PLACE: dict[str, Any] = {
    "resize_as_": lambda target, template, memory_format=None: resize_as_sparse_(target, template), "resize_": resize_,
}  # fmt: skip
