"""Quantiles, covariances, histograms and the reductions that skip NaN."""

from __future__ import annotations

import torch

from ._common import into, into_all, may_look, scalar_type, wrap_dim

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from torch import Tensor

_INTERPOLATIONS = ("linear", "lower", "higher", "midpoint", "nearest")


def _check_quantile(name: str, input: Tensor, q: Tensor, given: Any, interpolation: str) -> None:
    if not input.numel():
        raise RuntimeError(f"{name}() input tensor must be non-empty")
    if q.dim() > 1:
        raise RuntimeError(f"{name}() q must be a scalar or 1D tensor")
    if input.dtype not in (torch.float32, torch.float64):
        raise RuntimeError(f"{name}() input tensor must be either float or double dtype")
    if q.dtype != input.dtype:
        raise RuntimeError(f"{name}() q tensor must be same dtype as the input tensor")
    if interpolation not in _INTERPOLATIONS:
        raise RuntimeError(
            f"{name}() interpolation must be one of linear, lower, higher, midpoint or nearest, but got {interpolation}"
        )
    if isinstance(given, torch.Tensor):
        if may_look(q) and not bool(((q >= 0) & (q <= 1)).all()):
            raise RuntimeError(f"{name}() q values must be in the range [0, 1]")
    elif not 0 <= given <= 1:
        raise RuntimeError(f"{name}() q must be in the range [0, 1] but got {given:g}")


def _quantile(
    name: str, input: Tensor, given: Any, dim: int | None, keepdim: bool, interpolation: str, skip_nan: bool
) -> Tensor:
    q = given if isinstance(given, torch.Tensor) else torch.tensor(float(given), dtype=input.dtype, device=input.device)
    _check_quantile(name, input, q, given, interpolation)
    rank = input.dim()
    if dim is None:
        data, shape = input.reshape(-1), [1] * rank if keepdim else []
    else:
        at = wrap_dim(dim, rank)
        data = input.movedim(at, -1) if rank else input.reshape(-1)
        shape = list(input.shape)
        shape[at : at + 1] = [1] if keepdim and rank else []
    data = data.sort(-1).values
    nan = data.isnan()
    top = data.shape[-1] - 1
    queries = q.reshape(-1)
    if skip_nan:
        last = ((~nan).sum(-1, keepdim=True) - 1).to(data.dtype)
        ranks = (queries * last).clamp_min(0)
    else:
        # A single NaN, sorted to the end, is the answer for its whole slice.
        ranks = (queries * top).expand(*data.shape[:-1], queries.numel())
        ranks = ranks.masked_fill(nan.any(-1, keepdim=True), top)
    if interpolation == "lower":
        ranks = ranks.floor()
    elif interpolation == "higher":
        ranks = ranks.ceil()
    elif interpolation == "nearest":
        ranks = ranks.round()
    below = ranks.to(torch.int64)
    result = data.gather(-1, below)
    if interpolation in ("linear", "midpoint"):
        weight = torch.full_like(ranks, 0.5) if interpolation == "midpoint" else ranks - below
        if interpolation == "midpoint":
            weight = weight.masked_fill(ranks == below, 0)
        above = data.gather(-1, ranks.ceil().to(torch.int64))
        result = torch.lerp(result, above, weight)
    return result.movedim(-1, 0).reshape([*q.shape, *shape])


def quantile(
    input: Tensor,
    q: Any,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
    out: Tensor | None = None,
) -> Tensor:
    """Quantiles of all elements, or along one dimension; the dimension of ``q`` comes first.

    >>> torch.quantile(torch.tensor([1., 2., 3., 4.]), 0.5)
    tensor(2.5000)
    """
    if out is not None and out.dtype != input.dtype:
        raise RuntimeError("quantile() out tensor must be same dtype as the input tensor")
    return into(_quantile("quantile", input, q, dim, keepdim, interpolation, False), out)


def nanquantile(
    input: Tensor,
    q: Any,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
    out: Tensor | None = None,
) -> Tensor:
    """``quantile`` of the elements that are not NaN.

    >>> torch.nanquantile(torch.tensor([1., float("nan"), 3.]), 0.5)
    tensor(2.)
    """
    if out is not None and out.dtype != input.dtype:
        raise RuntimeError("quantile() out tensor must be same dtype as the input tensor")
    return into(_quantile("nanquantile", input, q, dim, keepdim, interpolation, True), out)


def cov(
    input: Tensor, *, correction: int = 1, fweights: Tensor | None = None, aweights: Tensor | None = None
) -> Tensor:
    """Covariances between the rows of a matrix, whose columns are observations.

    >>> torch.cov(torch.tensor([[0., 2.], [1., 5.]]))
    tensor([[2., 4.],
            [4., 8.]])
    """
    if input.dim() > 2:
        raise RuntimeError(
            f"cov(): expected input to have two or fewer dimensions but got an input with {input.dim()} dimensions"
        )
    if input.dtype == torch.bool:
        raise RuntimeError("cov(): bool dtype is not supported for input")
    data = input.reshape(1, -1) if input.dim() < 2 else input
    count = data.shape[1]
    weights = _weights(data, fweights, aweights)
    if weights is None:
        total: Any = torch.tensor(count, dtype=torch.int64, device=data.device)
        mean = data.sum(1, keepdim=True) / count
    else:
        total = weights.sum()
        if count and may_look(total) and not bool(total.detach() != 0):
            raise RuntimeError("cov(): weights sum to zero, can't be normalized")
        mean = (data * weights).sum(1, keepdim=True) / total
    if aweights is not None and weights is not None and correction != 0:
        factor = total - correction * (weights * aweights).sum() / total
    else:
        factor = total - correction
    if may_look(factor) and bool(factor.detach() <= 0):
        import warnings

        warnings.warn(
            "cov(): degrees of freedom is <= 0. Correction should be strictly less than the number of observations.",
            stacklevel=2,
        )
        factor = torch.zeros_like(factor)
    centred = data - mean
    left = centred if weights is None else centred * weights
    return (torch.mm(left, centred.t().conj()) / factor).squeeze()


def _weights(data: Tensor, fweights: Tensor | None, aweights: Tensor | None) -> Tensor | None:
    weights = None
    if fweights is not None:
        if fweights.dim() > 1:
            raise RuntimeError(
                f"cov(): expected fweights to have one or fewer dimensions but got fweights with {fweights.dim()} "
                "dimensions"
            )
        if fweights.is_floating_point() or fweights.is_complex() or fweights.dtype == torch.bool:
            raise RuntimeError(
                f"cov(): expected fweights to have integral dtype but got fweights with {scalar_type(fweights.dtype)} "
                "dtype"
            )
        if fweights.numel() != data.shape[1]:
            raise RuntimeError(
                "cov(): expected fweights to have the same numel as there are observations in the input but got "
                f"{fweights.numel()} != {data.shape[1]}"
            )
        if fweights.numel() and may_look(fweights) and bool((fweights < 0).any()):
            raise RuntimeError("cov(): fweights cannot be negative")
        weights = fweights
    if aweights is not None:
        if aweights.dim() > 1:
            raise RuntimeError(
                f"cov(): expected aweights to have one or fewer dimensions but got aweights with {aweights.dim()} "
                "dimensions"
            )
        if not aweights.is_floating_point():
            raise RuntimeError(
                "cov(): expected aweights to have floating point dtype but got aweights with "
                f"{scalar_type(aweights.dtype)} dtype"
            )
        if aweights.numel() != data.shape[1]:
            raise RuntimeError(
                "cov(): expected aweights to have the same numel as there are observations in the input but got "
                f"{aweights.numel()} != {data.shape[1]}"
            )
        if aweights.numel() and may_look(aweights) and bool((aweights < 0).any()):
            raise RuntimeError("cov(): aweights cannot be negative")
        weights = aweights if weights is None else weights * aweights
    return weights


def corrcoef(input: Tensor) -> Tensor:
    """Correlation coefficients between the rows of a matrix.

    >>> torch.corrcoef(torch.tensor([[0., 1., 2.], [0., 2., 4.]]))
    tensor([[1., 1.],
            [1., 1.]])
    """
    if input.dim() > 2:
        raise RuntimeError(
            f"corrcoef(): expected input to have two or fewer dimensions but got an input with {input.dim()} dimensions"
        )
    covariance = cov(input)
    if covariance.dim() == 0:
        return covariance / covariance
    diagonal = covariance.diagonal()
    deviation = torch.sqrt(torch.real(diagonal) if diagonal.is_complex() else diagonal)
    result = covariance / deviation.unsqueeze(-1) / deviation.unsqueeze(0)
    if result.is_complex():
        return torch.complex(result.real.clamp(-1, 1), result.imag.clamp(-1, 1))
    return result.clamp(-1, 1)


def _bin_edges(name: str, low: float, high: float) -> tuple[float, float]:
    import math

    if not (math.isfinite(low) and math.isfinite(high)):
        raise RuntimeError(f"{name}: dimension 0's range [{low:g}, {high:g}] is not finite")
    if low > high:
        raise RuntimeError(f"{name}: min should not exceed max, but got min {low:g} max {high:g} for dimension 0")
    return (low - 0.5, high + 0.5) if low == high else (low, high)


def _counts(columns: Sequence[Tensor], edges: Sequence[Tensor], weight: Tensor | None, like: Tensor) -> Tensor:
    """How many rows fall into each cell of the grid; the last bin of each dimension includes its upper edge."""
    shape = [e.numel() - 1 for e in edges]
    cell = torch.zeros(columns[0].shape, dtype=torch.int64, device=like.device)
    inside = torch.ones(columns[0].shape, dtype=torch.bool, device=like.device)
    for column, edge, bins in zip(columns, edges, shape, strict=True):
        place = torch.searchsorted(edge.contiguous(), column.contiguous(), right=True) - 1
        place = torch.where(column == edge[-1], torch.full_like(place, bins - 1), place)
        inside = inside & (place >= 0) & (place < bins) & ~column.isnan()
        cell = cell * bins + place.clamp(0, bins - 1)
    total = torch.zeros(torch.Size(shape).numel(), **{"dtype": like.dtype, "device": like.device})
    amount = torch.ones_like(columns[0]) if weight is None else weight
    total.index_add_(0, cell[inside], amount[inside].to(like.dtype))
    return total.reshape(shape)


def _densities(counts: Tensor, edges: Sequence[Tensor]) -> Tensor:
    result = counts / counts.sum()
    for dim, edge in enumerate(edges):
        width = edge[1:] - edge[:-1]
        view = [1] * counts.dim()
        view[dim] = width.numel()
        result = result / width.reshape(view)
    return result


def histogram(
    input: Tensor, bins: Any, *, range: Sequence[float] | None = None, weight: Tensor | None = None,
    density: bool = False, out: Any = None,
) -> Any:  # fmt: skip
    """How many elements fall into each bin, and the bins' edges.

    >>> torch.histogram(torch.tensor([1., 2., 1.]), bins=2, range=(0., 3.)).hist
    tensor([2., 1.])
    """
    data = input.detach().reshape(-1)
    if isinstance(bins, torch.Tensor):
        edges = bins
    else:
        if range is not None:
            low, high = _bin_edges("torch.histogram()", *range)
        elif data.numel():
            low, high = _bin_edges("torch.histogram()", *(float(v) for v in (data.min(), data.max())))
        else:
            low, high = 0.0, 1.0
        edges = torch.linspace(low, high, bins + 1, dtype=input.dtype, device=input.device)
    counts = _counts([data], [edges], None if weight is None else weight.reshape(-1), input)
    if density:
        counts = _densities(counts, [edges])
    counts, edges = into_all((counts, edges), out)
    return torch.return_types.histogram((counts, edges))


def histogramdd(
    input: Tensor, bins: Any, *, range: Sequence[float] | None = None, weight: Tensor | None = None,
    density: bool = False,
) -> Any:  # fmt: skip
    """How many points, given by the last dimension, fall into each cell of a grid, and the grid's edges.

    >>> torch.histogramdd(torch.tensor([[0., 1.], [1., 0.]]), bins=[2, 2]).hist
    tensor([[0., 1.],
            [1., 0.]])
    """
    rank = input.shape[-1]
    points = input.detach().reshape(-1, rank)
    columns = list(points.unbind(1))
    if isinstance(bins, int):
        bins = [bins] * rank
    given = len(bins) > 0 and isinstance(bins[0], torch.Tensor)
    if len(bins) != rank:
        raise RuntimeError(
            f"torch.histogramdd: expected {rank} sequences of bin edges for a {rank}-dimensional histogram but got "
            f"{len(bins)}"
            if given
            else "histogramdd: The size of bins must be equal to the innermost dimension of the input."
        )
    if given:
        edges = list(bins)
    else:
        edges = []
        for d, count in enumerate(bins):
            if range is not None:
                low, high = _bin_edges("torch.histogramdd()", range[2 * d], range[2 * d + 1])
            elif len(points):
                low, high = _bin_edges("torch.histogramdd()", float(columns[d].min()), float(columns[d].max()))
            else:
                low, high = 0.0, 1.0
            edges.append(torch.linspace(low, high, count + 1, dtype=input.dtype, device=input.device))
    counts = _counts(columns, edges, None if weight is None else weight.reshape(-1), input)
    if density:
        counts = _densities(counts, edges)
    return torch.return_types.histogramdd((counts, tuple(edges)))
