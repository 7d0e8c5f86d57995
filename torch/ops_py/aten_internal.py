"""Functions of ``torch`` with a leading underscore that compilers of PyTorch programs emit."""

from __future__ import annotations

import torch

from ._common import exactly_into, into, scalar_type, wrap_dim

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


def _clamped(input: Tensor, indices: Sequence[Tensor | None]) -> list[Tensor | None]:
    """Return the indices, moved into their dimensions where they lie outside."""
    return [
        index if index is None else index.clamp(-input.shape[d], input.shape[d] - 1) for d, index in enumerate(indices)
    ]


def _unsafe_masked_index(input: Tensor, mask: Tensor, indices: Sequence[Tensor | None], fill: complex) -> Tensor:
    """``input[indices]`` where ``mask`` holds and ``fill`` elsewhere, where indices may lie outside.

    >>> torch._unsafe_masked_index(torch.tensor([1, 2]), torch.tensor([True, False]), [torch.tensor([1, 9])], 7)
    tensor([2, 7])
    """
    if input.numel() == 0:
        shape = torch.broadcast_shapes(mask.shape, *[index.shape for index in indices if index is not None])
        return input.new_full(shape, fill)
    found = torch.ops.aten.index(input, _clamped(input, indices))
    return torch.where(mask, found, torch.tensor(fill, dtype=input.dtype))


def _unsafe_masked_index_put_accumulate(
    input: Tensor, mask: Tensor, indices: Sequence[Tensor | None], values: Tensor
) -> Tensor:
    """A copy of ``input`` with ``values`` added at ``indices`` where ``mask`` holds; indices may lie outside elsewhere.

    >>> torch._unsafe_masked_index_put_accumulate(
    ...     torch.tensor([1, 2]), torch.tensor([True, False]), [torch.tensor([1, 9])], torch.tensor([10, 20])
    ... )
    tensor([ 1, 12])
    """
    if input.numel() == 0:
        return input.clone()
    return input.index_put(_clamped(input, indices), values.masked_fill(~mask, 0), accumulate=True)


def _chunk_cat(tensors: Sequence[Tensor], dim: int, num_chunks: int, *, out: Tensor | None = None) -> Tensor:
    """Cut each tensor into ``num_chunks`` along ``dim`` (padded with zeros), and join what has the same number.

    The result has the dimensions before ``dim``, then ``num_chunks``, then all other elements in one dimension. Raises
    RuntimeError for an empty list or tensor, dtypes or leading sizes that differ, or ``num_chunks`` below 1.

    >>> torch._chunk_cat([torch.tensor([1, 2, 3]), torch.tensor([4])], 0, 2)
    tensor([[1, 2, 4],
            [3, 0, 0]])
    """
    if num_chunks < 1:
        raise RuntimeError("_chunk_cat expects positive num_chunks")
    if not tensors:
        raise RuntimeError("_chunk_cat expects a non-empty input tensor list")
    if dim < 0 and any(tensor.dim() != tensors[0].dim() for tensor in tensors):
        raise RuntimeError("_chunk_cat expects non-negative dim when input tensors have different ndims")
    dim = wrap_dim(dim, tensors[0].dim())
    parts = []
    for tensor in tensors:
        if tensor.numel() == 0:
            raise RuntimeError("_chunk_cat expects non-empty tensor")
        if tensor.dim() <= dim:
            raise RuntimeError("_chunk_cat expects dim < ndim for all input tensors")
        if tensor.dtype != tensors[0].dtype:
            raise RuntimeError("_chunk_cat expects all input tensors with the same dtype")
        if tensor.shape[:dim] != tensors[0].shape[:dim]:
            raise RuntimeError("_chunk_cat expects same sizes of 0,...,dim-1 dimensions for all tensors")
        length = -(-tensor.shape[dim] // num_chunks)
        padding = [0, 0] * (tensor.dim() - dim - 1) + [0, length * num_chunks - tensor.shape[dim]]
        padded = torch.nn.functional.pad(tensor, padding)
        parts.append(padded.reshape(*tensor.shape[:dim], num_chunks, -1))
    joined = torch.cat(parts, dim + 1)
    if out is not None and not torch.can_cast(joined.dtype, out.dtype):
        raise TypeError(f"torch.cat(): input types can't be cast to the desired output type {scalar_type(out.dtype)}")
    return into(joined, out)


_FLOAT8 = (torch.float8_e4m3fn, torch.float8_e5m2)


def _scaled_mm(
    input: Tensor,
    mat2: Tensor,
    scale_a: Tensor,
    scale_b: Tensor,
    bias: Tensor | None = None,
    scale_result: Tensor | None = None,
    out_dtype: torch.dtype | None = None,
    use_fast_accum: bool = False,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """``(input * scale_a) @ (mat2 * scale_b) + bias`` of float8 matrices, computed in float32.

    The scales are single numbers, or ``scale_a`` (rows, 1) and ``scale_b`` (1, columns). The result has ``out_dtype``,
    or the dtype of ``input``. Raises ValueError for other dtypes or scales, RuntimeError for shapes that don't fit.

    >>> a = torch.eye(16).to(torch.float8_e4m3fn)
    >>> one = torch.tensor(1.0)
    >>> torch._scaled_mm(a, a, one, one, out_dtype=torch.float32)[0, :3]
    tensor([1., 0., 0.])
    """
    if input.dim() != 2:
        raise RuntimeError("mat1 must be a matrix")
    if mat2.dim() != 2:
        raise RuntimeError("mat2 must be a matrix")
    (m, k), (rows, n) = input.shape, mat2.shape
    if k != rows:
        raise RuntimeError(f"mat1 and mat2 shapes cannot be multiplied ({m}x{k} and {rows}x{n})")
    whole = scale_a.numel() == scale_b.numel() == 1
    by_rows = tuple(scale_a.shape) == (m, 1) and tuple(scale_b.shape) == (1, n)
    if input.dtype not in _FLOAT8 or mat2.dtype not in _FLOAT8 or not (whole or by_rows):
        raise ValueError(
            "Invalid scaling configuration.\n"
            "- For TensorWise scaling, a and b should be float8, scales should be float and singletons.\n"
            f"- For RowWise scaling, a and b should be float8, scales should be float, scale_a should be ({m}, 1) and "
            f"scale_b should be (1, {n}), and both should be contiguous.\n"
            f"Got mat_a.dtype()={scalar_type(input.dtype)}, scale_a.size()={list(scale_a.shape)}, "
            f"mat_b.dtype()={scalar_type(mat2.dtype)} and scale_b.size()={list(scale_b.shape)}"
        )
    if bias is not None and bias.numel() != n:
        raise RuntimeError(f"Bias must be size {n} but got {bias.numel()}")
    product = (input.float() @ mat2.float()) * (scale_a.float() * scale_b.float())
    if bias is not None:
        product = product + bias.float()
    if scale_result is not None:
        product = product * scale_result
    dtype = out_dtype or input.dtype
    if dtype == torch.float8_e4m3fn:  # has no infinity
        product = product.masked_fill(product.abs() > torch.finfo(dtype).max, torch.nan)
    result = product.to(dtype)
    return exactly_into(result, out)
