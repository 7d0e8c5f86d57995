"""Finite differences and integrals of sampled functions."""

from __future__ import annotations

import torch

from ._common import into, wrap_dim

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from torch import Tensor


def diff(
    input: Tensor,
    n: int = 1,
    dim: int = -1,
    prepend: Tensor | None = None,
    append: Tensor | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """The n-th differences of neighbours along a dimension.

    >>> torch.diff(torch.tensor([1, 3, 6]))
    tensor([2, 3])
    """
    if input.dim() < 1:
        raise RuntimeError("diff expects input to be at least one-dimensional")
    if n < 0:
        raise RuntimeError(f"order must be non-negative but got {n}")
    axis = wrap_dim(dim, input.dim())
    for extra in (prepend, append):
        if extra is None:
            continue
        if extra.dim() != input.dim():
            raise RuntimeError("diff expects prepend or append to be the same dimension as input")
        for d in range(input.dim()):
            if d != axis and extra.shape[d] != input.shape[d]:
                raise RuntimeError(
                    "diff expects the shape of tensor to prepend or append to match that of input except along the "
                    f"differencing dimension; input.size({d}) = {input.shape[d]}, but got tensor.size({d}) = "
                    f"{extra.shape[d]}"
                )
    if n == 0:
        return into(input.clone(), out)
    parts = [t for t in (prepend, input, append) if t is not None]
    result = torch.cat(parts, axis) if len(parts) > 1 else input
    size = result.shape[axis]
    if n >= size:
        return into(torch.zeros_like(result.narrow(axis, 0, 0)), out)
    for _ in range(n):
        left, right = result.narrow(axis, 0, size - 1), result.narrow(axis, 1, size - 1)
        result = torch.logical_xor(right, left) if result.dtype == torch.bool else right - left
        size -= 1
    return into(result, out)


def _along(values: Tensor, dim: int, rank: int) -> Tensor:
    return values.reshape([values.numel() if d == dim else 1 for d in range(rank)])


def _gradient_along(f: Tensor, spacing: Any, dim: int, edge_order: int) -> Tensor:
    """Second-order differences inside, of the given order at both ends. ``spacing`` is a step or coordinates."""
    size = f.shape[dim]

    def at(start: int, length: int) -> Tensor:
        return f.narrow(dim, start, length)

    coordinates = isinstance(spacing, torch.Tensor) and spacing.dim() == 1
    if not coordinates:
        inner = (at(2, size - 2) - at(0, size - 2)) / (spacing * 2)
        if edge_order == 1:
            first, last = (at(1, 1) - at(0, 1)) / spacing, (at(size - 1, 1) - at(size - 2, 1)) / spacing
        else:
            first = (at(0, 1) * -1.5 + at(1, 1) * 2 - at(2, 1) * 0.5) / spacing
            last = (at(size - 1, 1) * 1.5 - at(size - 2, 1) * 2 + at(size - 3, 1) * 0.5) / spacing
        return torch.cat([first, inner, last], dim)
    steps = spacing.diff()
    before = _along(steps[:-1], dim, f.dim())
    after = _along(steps[1:], dim, f.dim())
    low = -after / (before * (before + after))
    middle = (after - before) / (before * after)
    high = before / (after * (before + after))
    inner = low * at(0, size - 2) + middle * at(1, size - 2) + high * at(2, size - 2)
    if edge_order == 1:
        first, last = (at(1, 1) - at(0, 1)) / steps[0], (at(size - 1, 1) - at(size - 2, 1)) / steps[-1]
    else:
        h, k = steps[0], steps[1]
        first = (
            at(0, 1) * (-(2 * h + k) / (h * (h + k))) + at(1, 1) * ((h + k) / (h * k)) - at(2, 1) * (h / (k * (h + k)))
        )
        h, k = steps[-2], steps[-1]
        last = (
            at(size - 3, 1) * (k / (h * (h + k)))
            - at(size - 2, 1) * ((h + k) / (h * k))
            + at(size - 1, 1) * ((2 * k + h) / (k * (h + k)))
        )
    return torch.cat([first, inner, last], dim)


def gradient(input: Tensor, *, spacing: Any = 1, dim: Any = None, edge_order: int = 1) -> tuple[Tensor, ...]:
    """Estimate the derivative of a sampled function along one or more dimensions.

    >>> torch.gradient(torch.tensor([1., 4., 9., 16.]))[0]
    tensor([3., 4., 6., 7.])
    """
    if spacing is None:
        spacing = 1
    dims = list(range(input.dim())) if dim is None else [dim] if isinstance(dim, int) else list(dim)
    dims = [wrap_dim(d, input.dim()) for d in dims]
    if len(set(dims)) != len(dims):
        twice = next(d for d in dims if dims.count(d) > 1)
        raise RuntimeError(f"dim {twice} appears multiple times in the list of dims")
    if edge_order not in (1, 2):
        raise RuntimeError("torch.gradient only supports edge_order=1 and edge_order=2.")
    if isinstance(spacing, torch.Tensor) and spacing.dim() == 1 and len(dims) == 1:
        spacings: list[Any] = [spacing]
    elif isinstance(spacing, (list, tuple)):
        spacings = list(spacing)
        if len(spacings) != len(dims):
            raise RuntimeError(
                "torch.gradient expected spacing to be unspecified, a scalar, or a list of length equal to 'self.dim() "
                f"= {input.dim()}', since dim argument was not given, but got a list of length {len(spacings)}"
                if dim is None
                else "torch.gradient expected spacing to be unspecified, a scalar or it's spacing and dim arguments to "
                f"have the same length, but got a spacing argument of length {len(spacings)} and a dim argument of "
                f"length {len(dims)}."
            )
    else:
        spacings = [spacing] * len(dims)
    for d, step in zip(dims, spacings, strict=True):
        if input.shape[d] < edge_order + 1:
            raise RuntimeError("torch.gradient expected each dimension size to be at least edge_order+1")
        if isinstance(step, torch.Tensor) and step.dim() == 1 and step.numel() != input.shape[d]:
            raise RuntimeError(
                "torch.gradient expected each element of spacing to have the same length as the size of its dimension"
            )
    return tuple(_gradient_along(input, step, d, edge_order) for d, step in zip(dims, spacings, strict=True))


def _steps(y: Tensor, x: Tensor, dim: int) -> Tensor:
    """The distances between samples, ready to multiply values along ``dim``."""
    size, axis = y.shape[dim], dim
    if x.dim() == 1:
        if x.shape[0] != size and x.shape[0] != 1:
            raise RuntimeError("trapezoid: There must be one `x` value for each sample point")
        x = _along(x, dim, y.dim())
    elif x.dim() < y.dim():
        x = x.reshape([1] * (y.dim() - x.dim()) + list(x.shape))
    else:
        axis = dim + x.dim() - y.dim()
        if x.shape[axis] != size:
            raise RuntimeError("trapezoid: There must be one `x` value for each sample point")
    return x.diff(dim=axis)


def _areas(name: str, y: Tensor, x: Tensor | None, dx: Any, dim: int) -> tuple[Tensor, int, Any]:
    """The trapezoids' areas (times two if the step is one number), their dimension, and that number."""
    if x is not None and dx is not None:
        raise TypeError(f"{name}() received an invalid combination of arguments: give x or dx")
    axis = wrap_dim(dim, y.dim())
    size = y.shape[axis]
    if x is not None and x.dim():
        widths = _steps(y, x, axis)
        shape = max(widths.dim(), y.dim())
        axis_back = axis - y.dim()
        sides = y.narrow(axis, 0, max(size - 1, 0)) + y.narrow(axis, min(1, size), max(size - 1, 0))
        return widths * sides, shape + axis_back, 0.5
    # A 0-d x carries no distances: the samples all sit at one place.
    step = 0.0 if x is not None else 1.0 if dx is None else dx
    sides = y.narrow(axis, 0, max(size - 1, 0)) + y.narrow(axis, min(1, size), max(size - 1, 0))
    return sides, axis, step / 2


def trapezoid(y: Tensor, x: Tensor | None = None, *, dx: Any = None, dim: int = -1) -> Tensor:
    """The integral of samples by the trapezoidal rule.

    >>> torch.trapezoid(torch.tensor([1., 2., 3.]))
    tensor(4.)
    """
    if y.dtype == torch.bool:
        raise RuntimeError("trapezoid: received a bool input for `x` or `y`, but bool is not supported")
    if y.shape[wrap_dim(dim, y.dim())] == 0:
        shape = list(y.shape)
        del shape[wrap_dim(dim, y.dim())]
        return y.new_zeros(shape)
    areas, axis, factor = _areas("trapezoid", y, x, dx, dim)
    return areas.sum(axis) * factor


def trapz(y: Tensor, x: Tensor | None = None, *, dx: Any = None, dim: int = -1) -> Tensor:
    """Another name of ``trapezoid``.

    >>> torch.trapz(torch.tensor([1., 2., 3.]), dx=2)
    tensor(8.)
    """
    return trapezoid(y, x, dx=dx, dim=dim)


def cumulative_trapezoid(y: Tensor, x: Tensor | None = None, *, dx: Any = None, dim: int = -1) -> Tensor:
    """The integral up to each sample after the first, by the trapezoidal rule.

    >>> torch.cumulative_trapezoid(torch.tensor([1., 2., 3.]))
    tensor([1.5000, 4.0000])
    """
    if y.dtype == torch.bool:
        raise RuntimeError("cumulative_trapezoid: received a bool input for `x` or `y`, but bool is not supported")
    areas, axis, factor = _areas("cumulative_trapezoid", y, x, dx, dim)
    return areas.cumsum(axis) * factor
