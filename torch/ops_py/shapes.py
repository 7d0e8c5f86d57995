"""Functions that stack, split, repeat and rearrange tensors."""

from __future__ import annotations

import math

import torch

from ._common import exactly_into, flat_arguments, into, may_look, promote, sizes, wrap_dim

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from torch import Tensor


def _each(function: Callable[[Tensor], Tensor], name: str, tensors: tuple[Any, ...]) -> Any:
    single = len(tensors) == 1
    if single and isinstance(tensors[0], torch.Tensor):
        return function(tensors[0])
    if single and not isinstance(tensors[0], (list, tuple)):
        raise TypeError(
            f"{name}() received an invalid combination of arguments - got ({type(tensors[0]).__name__}), but expected "
            "one of:\n * (Tensor input)\n * (tuple of Tensors tensors)\n"
        )
    every = tensors[0] if single else tensors
    for i, t in enumerate(every):
        if not isinstance(t, torch.Tensor):
            raise TypeError(f"expected Tensor as element {i} in argument 0, but got {type(t).__name__}")
    return tuple(function(t) for t in every)


def _at_least_1d(t: Tensor) -> Tensor:
    return t.reshape(1) if t.dim() == 0 else t


def _at_least_2d(t: Tensor) -> Tensor:
    if t.dim() == 0:
        return t.reshape(1, 1)
    return t.unsqueeze(0) if t.dim() == 1 else t


def _at_least_3d(t: Tensor) -> Tensor:
    if t.dim() == 0:
        return t.reshape(1, 1, 1)
    if t.dim() == 1:
        return t.unsqueeze(0).unsqueeze(-1)
    return t.unsqueeze(-1) if t.dim() == 2 else t


def atleast_1d(*tensors: Any) -> Any:
    """Give tensors without dimensions one of size 1.

    >>> torch.atleast_1d(torch.tensor(3.))
    tensor([3.])
    """
    return _each(_at_least_1d, "atleast_1d", tensors)


def atleast_2d(*tensors: Any) -> Any:
    """Give tensors with fewer than two dimensions leading ones of size 1.

    >>> torch.atleast_2d(torch.arange(2))
    tensor([[0, 1]])
    """
    return _each(_at_least_2d, "atleast_2d", tensors)


def atleast_3d(*tensors: Any) -> Any:
    """Give tensors with fewer than three dimensions more of size 1: a vector becomes ``(1, n, 1)``.

    >>> torch.atleast_3d(torch.arange(2)).shape
    torch.Size([1, 2, 1])
    """
    return _each(_at_least_3d, "atleast_3d", tensors)


def column_stack(tensors: Sequence[Tensor], *, out: Tensor | None = None) -> Tensor:
    """Put tensors side by side; vectors are columns.

    >>> torch.column_stack((torch.tensor([1, 2]), torch.tensor([3, 4])))
    tensor([[1, 3],
            [2, 4]])
    """
    if not len(tensors):
        raise RuntimeError("column_stack expects a non-empty TensorList")
    columns = [t.reshape(t.numel(), 1) if t.dim() <= 1 else t for t in tensors]
    return into(torch.cat(columns, 1), out)


def hstack(tensors: Sequence[Tensor], *, out: Tensor | None = None) -> Tensor:
    """Join tensors along the second dimension, vectors along their only one.

    >>> torch.hstack((torch.tensor([1, 2]), torch.tensor([3])))
    tensor([1, 2, 3])
    """
    if not len(tensors):
        raise RuntimeError("hstack expects a non-empty TensorList")
    parts = [_at_least_1d(t) for t in tensors]
    return into(torch.cat(parts, 0 if parts[0].dim() == 1 else 1), out)


def vstack(tensors: Sequence[Tensor], *, out: Tensor | None = None) -> Tensor:
    """Join tensors along the first dimension; vectors are rows.

    >>> torch.vstack((torch.tensor([1, 2]), torch.tensor([3, 4])))
    tensor([[1, 2],
            [3, 4]])
    """
    if not len(tensors):
        raise RuntimeError("vstack expects a non-empty TensorList")
    return into(torch.cat([_at_least_2d(t) for t in tensors], 0), out)


row_stack = vstack


def dstack(tensors: Sequence[Tensor], *, out: Tensor | None = None) -> Tensor:
    """Join tensors along the third dimension.

    >>> torch.dstack((torch.tensor([1, 2]), torch.tensor([3, 4])))
    tensor([[[1, 3],
             [2, 4]]])
    """
    if not len(tensors):
        raise RuntimeError("dstack expects a non-empty TensorList")
    return into(torch.cat([_at_least_3d(t) for t in tensors], 2), out)


def _split_along(name: str, tensor: Tensor, how: Any, dim: int, least: int) -> tuple[Tensor, ...]:
    if tensor.dim() < least:
        raise RuntimeError(
            f"torch.{name} requires a tensor with at least {least} dimension, but got a tensor with "
            f"{tensor.dim()} dimensions!"
        )
    if isinstance(how, int):
        size = tensor.shape[dim]
        if how == 0 or size % how:
            raise RuntimeError(
                f"torch.{name} attempted to split along dimension {dim}, but the size of the dimension {size} is not "
                f"divisible by the split_size {how}!"
            )
    return tensor.tensor_split(how, dim)


def _how(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if kwargs:
        return kwargs["sections"] if "sections" in kwargs else kwargs.get("indices", kwargs.get("indices_or_sections"))
    return args[0] if len(args) == 1 else args


def hsplit(input: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, ...]:
    """Cut into equal sections, or at indices, along the second dimension (a vector along its only one).

    >>> torch.hsplit(torch.arange(4), 2)
    (tensor([0, 1]), tensor([2, 3]))
    """
    return _split_along("hsplit", input, _how(args, kwargs), 0 if input.dim() == 1 else 1, 1)


def vsplit(input: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, ...]:
    """Cut into equal sections, or at indices, along the first dimension.

    >>> torch.vsplit(torch.arange(4).reshape(2, 2), 2)
    (tensor([[0, 1]]), tensor([[2, 3]]))
    """
    return _split_along("vsplit", input, _how(args, kwargs), 0, 2)


def dsplit(input: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, ...]:
    """Cut into equal sections, or at indices, along the third dimension.

    >>> [t.shape for t in torch.dsplit(torch.zeros(1, 1, 4), [1, 3])]
    [torch.Size([1, 1, 1]), torch.Size([1, 1, 2]), torch.Size([1, 1, 1])]
    """
    return _split_along("dsplit", input, _how(args, kwargs), 2, 3)


def block_diag(*tensors: Tensor) -> Tensor:
    """A matrix with the given matrices along its diagonal and zeros elsewhere.

    >>> torch.block_diag(torch.tensor([1]), torch.tensor([[2, 3]]))
    tensor([[1, 0, 0],
            [0, 2, 3]])
    """
    tensors = flat_arguments(tensors)
    if not tensors:
        return torch.empty(1, 0)
    for i, t in enumerate(tensors):
        if t.dim() > 2:
            raise RuntimeError(
                f"torch.block_diag: Input tensors must have 2 or fewer dimensions. Input {i} has {t.dim()} dimensions"
            )
    dtype = promote(*tensors)
    blocks = [_at_least_2d(t).to(dtype) for t in tensors]
    width, left, rows = sum(b.shape[1] for b in blocks), 0, []
    for block in blocks:
        height, own = block.shape
        before = block.new_zeros(height, left)
        after = block.new_zeros(height, width - left - own)
        rows.append(torch.cat([before, block, after], 1))
        left += own
    return torch.cat(rows, 0)


def broadcast_shapes(*shapes: Any) -> torch.Size:
    """The shape that tensors of these shapes broadcast to.

    >>> torch.broadcast_shapes((2, 1), (3,))
    torch.Size([2, 3])
    """
    result: list[int] = []
    for index, shape in enumerate(shapes):
        if isinstance(shape, int):
            shape = (shape,)
        elif not isinstance(shape, (tuple, list)):
            raise RuntimeError("Input shapes should be of type ints, a tuple of ints, or a list of ints, got ", shape)
        result[:0] = [1] * (len(shape) - len(result))
        for i in range(-1, -1 - len(shape), -1):
            if shape[i] < 0:
                raise ValueError("Attempting to broadcast a dimension with negative length!")
            if shape[i] == 1 or shape[i] == result[i]:
                continue
            if result[i] != 1:
                raise RuntimeError(
                    f"Attempting to broadcast a dimension of length {shape[i]} at {i}! Mismatching argument at index "
                    f"{index} had {shape}; but expected shape should be broadcastable to {result}"
                )
            result[i] = shape[i]
    return torch.Size(result)


def broadcast_tensors(*tensors: Any) -> tuple[Tensor, ...]:
    """Views of all tensors with the shape that they broadcast to.

    >>> torch.broadcast_tensors(torch.zeros(2, 1), torch.ones(2))[1]
    tensor([[1., 1.],
            [1., 1.]])
    """
    tensors = flat_arguments(tensors)
    result: list[int] = []
    for t in tensors:
        rank = max(len(result), t.dim())
        result[:0] = [1] * (rank - len(result))
        for i in range(-1, -1 - t.dim(), -1):
            size = t.shape[i]
            if size == 1 or size == result[i]:
                continue
            if result[i] != 1:
                raise RuntimeError(
                    f"The size of tensor a ({result[i]}) must match the size of tensor b ({size}) at non-singleton "
                    f"dimension {rank + i}"
                )
            result[i] = size
    return tuple(t.expand(result) for t in tensors)


def meshgrid(*tensors: Any, indexing: str | None = None) -> tuple[Tensor, ...]:
    """Grids of coordinates from vectors of coordinates: ``"ij"`` for matrix order, ``"xy"`` for picture order.

    >>> torch.meshgrid(torch.tensor([1, 2]), torch.tensor([3]), indexing="ij")
    (tensor([[1],
            [2]]), tensor([[3],
            [3]]))
    """
    tensors = flat_arguments(tensors)
    if not tensors:
        raise RuntimeError("meshgrid expects a non-empty TensorList")
    for t in tensors:
        if t.dim() > 1:
            raise RuntimeError(f"torch.meshgrid: Expected 0D or 1D tensor in the tensor list but got: {t}")
    for a, b in zip(tensors, tensors[1:], strict=False):
        if a.dtype != b.dtype:
            raise RuntimeError("torch.meshgrid expects all tensors to have the same dtype")
        if a.device != b.device:
            raise RuntimeError("torch.meshgrid expects all tensors to have the same device")
    if indexing is None:
        import warnings

        warnings.warn(
            "torch.meshgrid: in an upcoming release, it will be required to pass the indexing argument.", stacklevel=2
        )
    elif indexing not in ("ij", "xy"):
        raise RuntimeError(f'torch.meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}')
    exchanged = indexing == "xy" and len(tensors) >= 2
    if exchanged:
        tensors = (tensors[1], tensors[0], *tensors[2:])
    shape = [t.numel() for t in tensors]
    grids = []
    for i, t in enumerate(tensors):
        view = [1] * len(shape)
        view[i] = shape[i]
        grids.append(t.reshape(view).expand(shape))
    if exchanged:
        grids[0], grids[1] = grids[1], grids[0]
    return tuple(grids)


def cartesian_prod(*tensors: Any) -> Tensor:
    """All combinations of one element from each vector, a row each.

    >>> torch.cartesian_prod(torch.tensor([1, 2]), torch.tensor([3, 4]))
    tensor([[1, 3],
            [1, 4],
            [2, 3],
            [2, 4]])
    """
    tensors = flat_arguments(tensors)
    for t in tensors:
        if t.dim() != 1:
            raise RuntimeError(f"Expect a 1D vector, but got shape {sizes(t)}")
    if len(tensors) == 1:
        return tensors[0]
    return torch.stack([g.flatten() for g in meshgrid(*tensors, indexing="ij")], 1)


def combinations(input: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """All combinations of ``r`` elements of a vector, a row each.

    >>> torch.combinations(torch.tensor([1, 2, 3]))
    tensor([[1, 2],
            [1, 3],
            [2, 3]])
    """
    if input.dim() != 1:
        raise RuntimeError(f"Expect a 1D vector, but got shape {sizes(input)}")
    if r < 0:
        raise RuntimeError(f"Expect a non-negative number, but got {r}")
    if r == 0:
        return input.new_empty(0)
    count = input.numel()
    if count == 0 or (r > count and not with_replacement):
        return input[torch.empty(0, r, dtype=torch.int64, device=input.device)]
    if count == 1:
        return input.expand(1, r).clone()
    among = count + r - 1 if with_replacement else count
    size = math.lgamma(among + 1) - math.lgamma(r + 1) - math.lgamma(among - r + 1) + math.log(r)
    if size > math.log(1 << 40):
        raise RuntimeError(f"combinations: {r} of {count} elements have too many combinations to list")
    torch.empty(math.comb(among, r), r, dtype=torch.int64, device=input.device)  # refuses what the memory cannot hold
    # Each step extends every index tuple by all positions that may follow its last one and leave enough for the rest.
    rows = torch.arange(count, device=input.device).unsqueeze(1)
    if not with_replacement:
        rows = rows[: count - r + 1]
    positions = torch.arange(count, device=input.device)
    for step in range(1, r):
        last = rows[:, -1:]
        follows = positions >= last if with_replacement else (positions > last) & (positions <= count - r + step)
        which, nxt = follows.nonzero().unbind(1)
        rows = torch.cat([rows[which], nxt.unsqueeze(1)], 1)
    return input[rows]


def fliplr(input: Tensor) -> Tensor:
    """Reverse the second dimension.

    >>> torch.fliplr(torch.tensor([[1, 2]]))
    tensor([[2, 1]])
    """
    if input.dim() < 2:
        raise RuntimeError("Input must be >= 2-d.")
    return input.flip(1)


def flipud(input: Tensor) -> Tensor:
    """Reverse the first dimension.

    >>> torch.flipud(torch.tensor([1, 2]))
    tensor([2, 1])
    """
    if input.dim() < 1:
        raise RuntimeError("Input must be >= 1-d.")
    return input.flip(0)


def rot90(input: Tensor, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """Turn the plane of two dimensions by ``k`` quarters, from the first towards the second.

    >>> torch.rot90(torch.tensor([[1, 2], [3, 4]]))
    tensor([[2, 4],
            [1, 3]])
    """
    rank = input.dim()
    if len(dims) != 2:
        raise RuntimeError(f"expected total rotation dims == 2, but got dims = {len(dims)}")
    if rank < 2:
        raise RuntimeError(f"expected total dims >= 2, but got total dims = {rank}")
    first, second = (wrap_dim(dim, rank) for dim in dims)
    if first == second:
        raise RuntimeError(f"expected rotation dims to be different, but got dim0 = {dims[0]} and dim1 = {dims[1]}")
    k %= 4
    if k == 1:
        return input.flip(second).transpose(first, second)
    if k == 2:
        return input.flip(first, second)
    if k == 3:
        return input.flip(first).transpose(first, second)
    return input.clone(memory_format=torch.contiguous_format)


def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Matrices with the last dimension of ``input`` on a diagonal and zeros elsewhere.

    >>> torch.diag_embed(torch.tensor([1, 2]))
    tensor([[1, 0],
            [0, 2]])
    """
    rank = input.dim() + 1
    first, second = wrap_dim(dim1, rank), wrap_dim(dim2, rank)
    if first == second:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    side = input.shape[-1] + abs(offset)
    shape = list(input.shape[:-1])
    for dim in sorted((first, second)):
        shape.insert(dim, side)
    result = input.new_zeros(shape)
    result.diagonal(offset, first, second).copy_(input)
    return result


def diag(input: Tensor, diagonal: int = 0, *, out: Tensor | None = None) -> Tensor:
    """A vector's diagonal matrix, or a copy of a matrix's diagonal.

    >>> torch.diag(torch.tensor([[1, 2], [3, 4]]))
    tensor([1, 4])
    """
    if input.dim() == 1:
        return exactly_into(diag_embed(input, diagonal), out)
    if input.dim() == 2:
        return exactly_into(input.diagonal(diagonal).clone(), out)
    raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {input.dim()}D")


def diagflat(input: Tensor, offset: int = 0) -> Tensor:
    """A matrix with all elements of ``input`` on a diagonal.

    >>> torch.diagflat(torch.tensor([[1, 2]]), 1)
    tensor([[0, 1, 0],
            [0, 0, 2],
            [0, 0, 0]])
    """
    return diag_embed(input.reshape(-1), offset)


def trace(input: Tensor) -> Tensor:
    """The sum of a matrix's main diagonal.

    >>> torch.trace(torch.eye(3))
    tensor(3.)
    """
    if input.dim() != 2:
        raise RuntimeError(f"trace: expected a matrix, but got tensor with dim {input.dim()}")
    return input.diagonal().sum()


def unravel_index(indices: Tensor, shape: Any) -> tuple[Tensor, ...]:
    """The coordinates, in a tensor of this shape, of positions counted in order.

    >>> torch.unravel_index(torch.tensor(5), (2, 3))
    (tensor(1), tensor(2))
    """
    if not isinstance(indices, torch.Tensor):
        raise TypeError(f"expected 'indices' to be a Tensor, but got {type(indices)}")
    if indices.is_complex() or indices.is_floating_point() or indices.dtype == torch.bool:
        raise ValueError(f"expected 'indices' to be integer dtype, but got {indices.dtype}")
    if isinstance(shape, int):
        shape = torch.Size([shape])
    elif not isinstance(shape, (tuple, list)):
        raise TypeError(f"expected 'shape' to be int or sequence of ints, but got {type(shape)}")
    for size in shape:
        if not isinstance(size, int):
            raise TypeError(f"expected 'shape' sequence to contain ints, but got {type(size)}")
        if size < 0:
            raise ValueError(f"'shape' cannot have negative values, but got {tuple(shape)}")
    total = torch.Size(shape).numel()
    indices = indices.to(torch.int64)
    if indices.numel() and may_look(indices) and (bool((indices >= total).any()) or bool((indices < -total).any())):
        raise ValueError("indices out of bounds")
    result = []
    rest = indices % total if total else indices
    for size in reversed(shape):
        result.append(rest % size if size else rest)
        rest = rest.div(size, rounding_mode="floor") if size else rest
    # one block of memory, as PyTorch's results have it
    return torch.stack(result[::-1], -1).unbind(-1) if result else ()
