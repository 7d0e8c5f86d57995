"""Reductions over runs of elements, and over the bits of elements."""

from __future__ import annotations

import torch

from ._common import into, scalar_type, wrap_dim

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

_REDUCTIONS = {"sum": "sum", "mean": "sum", "max": "amax", "min": "amin", "prod": "prod"}
_START = {"sum": 0.0, "mean": 0.0, "max": -torch.inf, "min": torch.inf, "prod": 1.0}


def _segment_of_each(lengths: Tensor, rows: int) -> Tensor:
    """Return the segment that each of ``rows`` elements belongs to; those behind the last get a further one."""
    ends = lengths.long().cumsum(-1)
    places = torch.arange(rows).expand(*lengths.shape[:-1], rows).contiguous()
    return torch.searchsorted(ends.contiguous(), places, right=True)


def segment_reduce(
    data: Tensor,
    reduce: str,
    *,
    lengths: Tensor | None = None,
    indices: Tensor | None = None,
    offsets: Tensor | None = None,
    axis: int = 0,
    unsafe: bool = False,
    initial: float | None = None,
) -> Tensor:
    """Reduce runs of consecutive elements along ``axis``: "sum", "mean", "max", "min" or "prod".

    ``lengths`` has the shape ``data.shape[:axis] + (segments,)``; ``offsets`` has one place more and holds where each
    segment begins, and the end. The result has ``segments`` in place of the axis. ``initial`` takes part in each
    segment; an empty one is 0, NaN, -inf, inf or 1 without it. Floating dtypes only (NotImplementedError). Raises
    RuntimeError for another reduction, and for lengths that don't add up to the axis unless ``unsafe``.

    >>> torch.segment_reduce(torch.tensor([1.0, 2.0, 3.0]), "sum", lengths=torch.tensor([2, 1]))
    tensor([3., 3.])
    """
    if reduce not in _REDUCTIONS:
        raise RuntimeError(f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}")
    if indices is not None:
        raise RuntimeError("segment_reduce(): indices based reduction is not supported yet.")
    if not data.is_floating_point():
        raise NotImplementedError(f"\"_segment_reduce_cpu\" not implemented for '{scalar_type(data.dtype)}'")
    if (lengths is None) == (offsets is None):
        raise RuntimeError("segment_reduce(): Either lengths or offsets must be defined.")
    begins = lengths if offsets is None else offsets
    name = "lengths" if offsets is None else "offsets"
    axis = wrap_dim(axis, data.dim())
    if begins.is_floating_point():
        raise NotImplementedError(
            f"\"_segment_reduce_{name}_cpu_kernel1\" not implemented for '{scalar_type(begins.dtype)}'"
        )
    if data.dim() < begins.dim():
        raise RuntimeError(f"Expected data.dim() >= {name}_value.dim() to be true, but got false.")
    if axis != begins.dim() - 1:
        raise RuntimeError(f"segment_reduce(): Expected axis to be the last dimension of {name} but got {axis}.")
    rows = data.shape[axis]
    if offsets is not None:
        lengths = offsets.diff(dim=-1)
        skipped = offsets[..., :1]
    if not unsafe or offsets is not None:
        if lengths.numel() and int(lengths.min()) < 0:
            raise RuntimeError(f"{name} contains negative value!")
        if offsets is None and not bool((lengths.sum(-1) == rows).all()):
            raise RuntimeError(
                "segment_reduce(): Expected all rows of lengths along axis to sum to data.size(lengths.dim()-1) when "
                "!unsafe."
            )
    count = lengths.shape[-1]
    if offsets is None:
        segment = _segment_of_each(lengths, rows)
    else:
        # what lies before the first offset forms a segment of its own, which is left out like that behind the last
        segment = (_segment_of_each(torch.cat([skipped, lengths], -1), rows) - 1).remainder(count + 1)
    spread = segment.reshape(*segment.shape, *[1] * (data.dim() - axis - 1)).expand(data.shape)
    shape = (*data.shape[:axis], count + 1, *data.shape[axis + 1 :])
    found = torch.full(shape, _START[reduce], dtype=data.dtype).scatter_reduce(
        axis, spread, data, _REDUCTIONS[reduce], include_self=reduce in ("sum", "mean", "prod")
    )
    found = found.narrow(axis, 0, count)
    if initial is not None:
        # PyTorch gives the initial value no share of a gradient, even where it equals the extreme
        if reduce == "max":
            found = torch.where(found < initial, initial, found)
        elif reduce == "min":
            found = torch.where(found > initial, initial, found)
        else:
            found = found * initial if reduce == "prod" else found + initial
    if reduce == "mean":
        sizes = lengths.reshape(*lengths.shape, *[1] * (data.dim() - axis - 1))
        found = found / (sizes if initial is None else sizes.clamp(min=1))
    return found


_HASHED = (
    torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.uint8, torch.int8, torch.int16, torch.int32,
    torch.int64, torch.bool,
)  # fmt: skip


def hash_tensor(
    input: Tensor,
    dim: int | Sequence[int] = (),
    *,
    keepdim: bool = False,
    mode: int = 0,
    out: Tensor | None = None,
) -> Tensor:
    """The exclusive or of all elements, or of those along ``dim``, as uint64.

    An element counts with its bits after conversion to float64 or int64. ``mode`` has to be 0 (RuntimeError). Raises
    NotImplementedError for complex and the wide unsigned dtypes.

    >>> torch.hash_tensor(torch.tensor([5, 3]))
    tensor(6, dtype=torch.uint64)
    """
    if mode != 0:
        raise RuntimeError(f"Unknown hash_tensor mode: {mode}")
    if out is not None and out.dtype != torch.uint64:
        raise RuntimeError(f"Expected result to be of dtype uint64, but got {scalar_type(out.dtype)}")
    dims = sorted({wrap_dim(d, input.dim()) for d in ((dim,) if isinstance(dim, int) else dim)})
    if not isinstance(dim, int) and len(dims) != len(dim):
        again = next(wrap_dim(d, input.dim()) for i, d in enumerate(dim) if d in dim[:i])
        raise RuntimeError(f"dim {again} appears multiple times in the list of dims")
    if not dims:
        if input.numel() == 0:
            raise RuntimeError(
                "hash_tensor: Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim "
                "with the 'dim' argument."
            )
        dims = list(range(input.dim()))
    if input.dtype not in _HASHED:
        raise NotImplementedError(f"\"xor_sum_cpu\" not implemented for '{scalar_type(input.dtype)}'")
    x = input.detach()
    bits = x.double().view(torch.int64) if x.is_floating_point() else x.long()
    for d in dims if input.dim() else ():
        if input.shape[d] == 0:
            raise IndexError(f"hash_tensor: Expected reduction dim {d} to have non-zero size.")
        # halves are folded onto each other
        while (n := bits.shape[d]) > 1:
            half = n // 2
            folded = bits.narrow(d, 0, half) ^ bits.narrow(d, half, half)
            bits = folded if n % 2 == 0 else torch.cat([folded, bits.narrow(d, n - 1, 1)], d)
    if not keepdim:
        bits = bits.squeeze(dims) if input.dim() else bits
    return into(bits.view(torch.uint64), out)
