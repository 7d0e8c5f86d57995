"""Sums, norms and softmax of sparse tensors."""

from __future__ import annotations

import torch

from ..ops_py._common import scalar_type, wrap_dim, wrap_dims
from ._convert import coalesce, compressed_to_coo, to_compressed
from ._parts import COO, CSR, cannot_run, coo, flat_keys, indices, is_compressed, split_keys, sums, title, values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from torch import Tensor


def _sum_dtype(input: Tensor, dtype: Any) -> Any:
    if dtype is not None:
        return dtype
    return input.dtype if input.dtype.is_floating_point or input.dtype.is_complex else torch.int64


def total(input: Tensor, dtype: Any = None) -> Tensor:
    """The sum of all elements."""
    return values(input).sum(dtype=_sum_dtype(input, dtype))


def sum_dims(input: Tensor, dim: Any, keepdim: bool = False, dtype: Any = None) -> Tensor:
    """The sum over some dimensions: dense if no sparse dimension is left, otherwise in the input's layout."""
    if is_compressed(input):
        if input.layout is not CSR:
            raise RuntimeError(
                "Currently the only compressed sparse format supported for sum.dim_IntList is CSR, but got layout "
                + title(input)
            )
        if not keepdim:
            raise RuntimeError("reduction operations on CSR tensors with keepdim=False is unsupported")
        result = sum_dims(compressed_to_coo(input), dim, True, dtype)
        return to_compressed(coalesce(result) if result.layout is COO else result, CSR)
    rank, sparse = input.dim(), input.sparse_dim()
    dims = set(wrap_dims(dim, rank)) if dim is not None and dim != () else set(range(rank))
    if keepdim:
        result = sum_dims(input, dim, False, dtype)
        for d in sorted(dims):
            result = result.unsqueeze(d)
        return result
    value = values(input).to(_sum_dtype(input, dtype))
    within = [d - sparse + 1 for d in sorted(dims) if d >= sparse]
    if within:
        value = value.sum(within)
    rest = [d for d in range(sparse) if d not in dims]
    size = [n for d, n in enumerate(input.shape) if d not in dims]
    if not rest:
        return value.sum(0, dtype=value.dtype)
    if len(rest) == sparse:
        return coo(indices(input), value, size, input.is_coalesced())
    sizes = [input.shape[d] for d in rest]
    keys, place = torch.unique(flat_keys(indices(input)[rest], sizes), return_inverse=True)
    return coo(split_keys(keys, sizes), sums(value, place, keys.numel()), size, True)


def softmax(input: Tensor, dim: int, dtype: Any = None, log: bool = False) -> Tensor:
    """softmax over the elements that the tensor holds: the others count as minus infinity."""
    name = "_sparse_log_softmax" if log else "_sparse_softmax"
    if input.layout is not COO:
        raise cannot_run(name, input)
    input = coalesce(input if dtype is None else input.to(dtype))
    if not input.dtype.is_floating_point:
        raise NotImplementedError(f"\"{name[8:]}\" not implemented for '{scalar_type(input.dtype)}'")
    at = wrap_dim(dim, input.dim())
    sparse, value = input.sparse_dim(), values(input)
    if at >= sparse:
        dense = torch.log_softmax if log else torch.softmax
        return coo(indices(input), dense(value, at - sparse + 1), input.shape, True)
    rest = [d for d in range(sparse) if d != at]
    sizes = [input.shape[d] for d in rest]
    keys = flat_keys(indices(input)[rest], sizes) if rest else torch.zeros_like(indices(input)[0])
    groups, place = torch.unique(keys, return_inverse=True)
    where = place.reshape(-1, *(1,) * (value.dim() - 1)).expand(value.shape)
    peak = torch.full((groups.numel(), *value.shape[1:]), float("-inf"), dtype=value.dtype, device=value.device)
    peak = peak.scatter_reduce(0, where, value.detach(), "amax")
    peak = torch.where(peak.isfinite(), peak, torch.zeros_like(peak))
    shifted = value - peak[place]
    # in double: the logarithm of a sum next to one loses what single precision has
    powers = shifted.double().exp()
    whole = sums(powers, place, groups.numel())[place]
    result = (shifted - whole.log() if log else powers / whole).to(value.dtype)
    return coo(indices(input), result, input.shape, True)


def norm(input: Tensor, p: Any = 2, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Tensor:
    """The norm of all elements."""
    if input.layout is not COO:
        raise cannot_run("norm.ScalarOpt_dim_dtype", input)
    if not (input.dtype.is_floating_point or input.dtype.is_complex):
        raise RuntimeError(
            f"norm(): input dtype should be either floating point or complex. Got {scalar_type(input.dtype)} instead."
        )
    dims = [] if dim is None else wrap_dims(dim, input.dim())
    if dims and len(set(dims)) < input.dim():
        raise RuntimeError(
            "norm_sparse currently only supports full reductions, so 'dim' must either be empty or contain all "
            "dimensions "
            "of the input"
        )
    if keepdim:
        raise RuntimeError("norm_sparse currently does not support keepdim=True")
    if dtype is not None:
        raise RuntimeError("norm_sparse currently does not support 'dtype' argument")
    p = 2 if p is None or p == "fro" else p
    return torch.linalg.vector_norm(values(coalesce(input)), p)


def _sparse_sum(input: Tensor, dtype: Any) -> Tensor:
    return total(coalesce(input), dtype)


def _sparse_sum_dims(input: Tensor, dim: Any, dtype: Any) -> Tensor:
    if input.layout is not COO:
        raise cannot_run("_indices", input)
    if not dim:
        return input if dtype is None else input.to(dtype)
    return sum_dims(input, dim, False, dtype or input.dtype)


RULES: dict[str, Any] = {
    "sum": total, "sum.dim": sum_dims, "_sparse_sum": _sparse_sum, "_sparse_sum.dim": _sparse_sum_dims,
    "_sparse_softmax": softmax, "_sparse_log_softmax": lambda input, dim, dtype: softmax(input, dim, dtype, True),
}  # fmt: skip
