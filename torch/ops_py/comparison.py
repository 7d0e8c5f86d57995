"""Closeness, equality, distances and rescaling by norms."""

from __future__ import annotations

import torch

from ._common import exactly_into, scalar_type, wrap_dim

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from torch import Tensor


def isreal(input: Tensor) -> Tensor:
    """Where elements have no imaginary part.

    >>> torch.isreal(torch.tensor([1, 1j]))
    tensor([ True, False])
    """
    if input.is_complex():
        return torch.imag(input) == 0
    return torch.ones_like(input, dtype=torch.bool, memory_format=torch.preserve_format)


def isin(
    elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False, out: Tensor | None = None
) -> Tensor:
    """Where ``elements`` occur among ``test_elements``.

    >>> torch.isin(torch.tensor([1, 2, 3]), torch.tensor([1, 3]))
    tensor([ True, False,  True])
    """
    tensors = isinstance(elements, torch.Tensor), isinstance(test_elements, torch.Tensor)
    if not any(tensors):
        raise TypeError("isin() received an invalid combination of arguments: at least one must be a Tensor")
    if not tensors[1]:
        return exactly_into((elements != test_elements) if invert else (elements == test_elements), out)
    if not tensors[0]:
        elements = torch.tensor(elements, device=test_elements.device)
    dtype = torch.promote_types(elements.dtype, test_elements.dtype)
    if dtype.is_complex or dtype == torch.bool:
        raise RuntimeError(f"Unsupported input type encountered for isin(): {scalar_type(dtype)}")
    values, pool = elements.detach().to(dtype), test_elements.detach().to(dtype).reshape(-1)
    if pool.numel() == 0:
        found = torch.zeros_like(values, dtype=torch.bool)
    elif pool.numel() <= 16:
        found = (values.unsqueeze(-1) == pool).any(-1)
    else:
        pool = pool.sort().values
        place = torch.searchsorted(pool, values.contiguous()).clamp_max(pool.numel() - 1)
        found = pool[place] == values
    return exactly_into(~found if invert else found, out)


def renorm(input: Tensor, p: float, dim: int, maxnorm: float, *, out: Tensor | None = None) -> Tensor:
    """Scale slices along ``dim`` down to a p-norm of at most ``maxnorm``.

    >>> torch.renorm(torch.tensor([[3., 4.], [0., 1.]]), 2, 0, 1.)
    tensor([[0.6000, 0.8000],
            [0.0000, 1.0000]])
    """
    if isinstance(p, complex):
        raise RuntimeError("renorm: p must be real-valued")
    if p <= 0:
        raise RuntimeError("renorm: non-positive-norm not supported")
    if maxnorm < 0:
        raise RuntimeError(f"renorm: expected maxnorm to be >= 0 but got {maxnorm:g}")
    if input.dim() <= 1:
        raise RuntimeError(f"renorm: input needs at least 2 dimensions, got {input.dim()} dimensions")
    dim = wrap_dim(dim, input.dim())
    others = [d for d in range(input.dim()) if d != dim]
    wide = input.dtype in (torch.float16, torch.bfloat16)
    norms = torch.linalg.vector_norm(input, p, others, keepdim=True, dtype=torch.float32 if wide else None)
    factor = torch.where(norms > maxnorm, maxnorm / (norms + 1e-7), torch.ones_like(norms))
    return exactly_into(input * factor.to(input.real.dtype if input.is_complex() else input.dtype), out)


class _EuclideanDistances(torch.autograd.function.TransposedFunction):
    """All distances through one matrix product, with a gradient that is zero where two points coincide."""

    generate_vmap_rule = True

    @staticmethod
    def forward(ctx: Any, x1: Tensor, x2: Tensor) -> Tensor:
        a2 = x1.pow(2).sum(-1, keepdim=True)
        b2 = x2.pow(2).sum(-1, keepdim=True)
        left = torch.cat([x1 * -2, a2, torch.ones_like(a2)], -1)
        right = torch.cat([x2, torch.ones_like(b2), b2], -1)
        result = torch.matmul(left, right.mT).clamp_min(0).sqrt()
        ctx.save_for_backward(x1, x2, result)
        return result

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        x1, x2, result = ctx.saved_tensors
        ratio = (grad / result).masked_fill(result == 0, 0)
        grad1 = x1 * ratio.sum(-1, keepdim=True) - ratio @ x2
        grad2 = x2 * ratio.mT.sum(-1, keepdim=True) - ratio.mT @ x1
        return grad1.sum_to_size(x1.shape), grad2.sum_to_size(x2.shape)


_MODES = ("use_mm_for_euclid_dist_if_necessary", "use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist")


def cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: str = _MODES[0]) -> Tensor:
    """The p-norm distances between all rows of ``x1`` and all rows of ``x2``, batch by batch.

    >>> torch.cdist(torch.tensor([[0., 0.]]), torch.tensor([[3., 4.], [0., 1.]]))
    tensor([[5., 1.]])
    """
    if compute_mode not in _MODES:
        raise ValueError(f"{compute_mode} is not a valid value for compute_mode")
    for i, x in enumerate((x1, x2), 1):
        if x.dim() < 2:
            raise RuntimeError(f"cdist only supports at least 2D tensors, X{i} got: {x.dim()}D")
    if x1.shape[-1] != x2.shape[-1]:
        raise RuntimeError(f"X1 and X2 must have the same number of columns. X1: {x1.shape[-1]} X2: {x2.shape[-1]}")
    for i, x in enumerate((x1, x2), 1):
        if not x.is_floating_point():
            raise RuntimeError(f"cdist only supports floating-point dtypes, X{i} got: {scalar_type(x.dtype)}")
    if p < 0:
        raise RuntimeError("cdist only supports non-negative p values")
    many = x1.shape[-2] > 25 or x2.shape[-2] > 25
    if p == 2 and (compute_mode == _MODES[1] or compute_mode == _MODES[0] and many) and x1.shape[-1]:
        return _EuclideanDistances.apply(x1, x2)
    return torch.linalg.vector_norm(x1.unsqueeze(-2) - x2.unsqueeze(-3), p, -1)
