"""Discrete Fourier transforms.

Everything is built on three differentiable transforms: complex to complex, real to half of a complex spectrum, and
back. The gradient of each is one of the others, so derivatives of any order come for free.
"""

from __future__ import annotations

import math

import torch

from . import _numpy
from ._common import into, scalar_type, wrap_dim

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from torch import Tensor

_COMPLEX = {torch.float32: torch.complex64, torch.float64: torch.complex128}
_REAL = {torch.complex64: torch.float32, torch.complex128: torch.float64}


def _transform(x: Tensor, dims: Sequence[int], forward: bool) -> Any:
    """Unscaled complex transform of an array."""
    fft = _numpy.numpy("torch.fft").fft
    values = _numpy.array(x)
    return fft.fftn(values, axes=dims) if forward else fft.ifftn(values, axes=dims, norm="forward")


def _axis(dim: int, rank: int) -> int:
    """A dimension counted from the front; a tensor without dimensions has none to transform."""
    if not rank:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    return wrap_dim(dim, rank)


class _Transform(torch.autograd.function.TransposedFunction):
    """A transform along the dimensions that its second argument numbers from the front."""

    @classmethod
    def vmap(cls, info: Any, in_dims: tuple[Any, ...], x: Tensor, dims: tuple[int, ...], *rest: Any) -> tuple[Any, int]:
        return cls.apply(x.movedim(in_dims[0], 0), tuple(dim + 1 for dim in dims), *rest), 0


class _ComplexToComplex(_Transform):
    @staticmethod
    def forward(ctx: Any, x: Tensor, dims: tuple[int, ...], scale: float, forward: bool) -> Tensor:
        ctx.arguments = dims, scale, forward
        result = _numpy.tensor(_transform(x, dims, forward), x.dtype)
        return result.mul_(scale) if scale != 1 else result

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        dims, scale, forward = ctx.arguments
        return _ComplexToComplex.apply(grad, dims, scale, not forward), None, None, None


class _RealToComplex(_Transform):
    """Half of the spectrum along the last of the dimensions."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, dims: tuple[int, ...], scale: float) -> Tensor:
        ctx.arguments = dims, scale, x.shape[dims[-1]]
        fft = _numpy.numpy("torch.fft").fft
        result = _numpy.tensor(fft.rfftn(_numpy.array(x), axes=dims), _COMPLEX[x.dtype])
        return result.mul_(scale) if scale != 1 else result

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        dims, scale, size = ctx.arguments
        last = dims[-1]
        missing = list(grad.shape)
        missing[last] = size - missing[last]
        if missing[last]:
            grad = torch.cat([grad, grad.new_zeros(missing)], last)
        return torch.real(_ComplexToComplex.apply(grad, dims, scale, False)), None, None


class _ComplexToReal(_Transform):
    """Back from half of a spectrum to ``size`` real values."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, dims: tuple[int, ...], scale: float, size: int) -> Tensor:
        ctx.arguments = dims, scale
        fft = _numpy.numpy("torch.fft").fft
        values = _numpy.array(x)
        if len(dims) > 1:
            values = fft.ifftn(values, axes=dims[:-1], norm="forward")
        values = fft.irfft(values, size, dims[-1], norm="forward")
        result = _numpy.tensor(values, _REAL[x.dtype])
        return result.mul_(scale) if scale != 1 else result

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        dims, scale = ctx.arguments
        last = dims[-1]
        result = _RealToComplex.apply(grad, dims, scale)
        # All but the first and, for an even size, the last entry stand for two of the full spectrum.
        twice = grad.shape[last] - result.shape[last]
        if twice > 0:
            weight = torch.ones(result.shape[last], dtype=grad.dtype, device=grad.device)
            weight.narrow(0, 1, twice).fill_(2)
            shape = [1] * result.dim()
            shape[last] = -1
            result = result * weight.reshape(shape)
        return result, None, None, None


def _scale(norm: str | None, forward: bool, count: int) -> float:
    """The factor that a normalisation mode puts on one direction."""
    if norm not in (None, "backward", "forward", "ortho"):
        raise RuntimeError(f'Invalid normalization mode: "{norm}"')
    if norm == "ortho":
        return 1.0 / math.sqrt(count)
    scaled = norm == "forward" if forward else norm != "forward"
    return 1.0 / count if scaled else 1.0


def _prepare(x: Tensor, want_complex: bool) -> Tensor:
    if not (x.is_floating_point() or x.is_complex()):
        x = x.to(torch.get_default_dtype())
    if x.dtype not in _COMPLEX and x.dtype not in _REAL:
        raise RuntimeError(f"Unsupported dtype {scalar_type(x.dtype)}")
    return x.to(_COMPLEX[x.dtype]) if want_complex and not x.is_complex() else x


def _resize(x: Tensor, dims: Sequence[int], lengths: Sequence[int]) -> Tensor:
    """Cut or pad with zeros; -1 leaves a dimension as it is."""
    for dim, length in zip(dims, lengths, strict=True):
        size = x.shape[dim]
        if length == -1 or length == size:
            continue
        if length < size:
            x = x.narrow(dim, 0, length)
        else:
            extra = list(x.shape)
            extra[dim] = length - size
            x = torch.cat([x, x.new_zeros(extra)], dim)
    return x


def _check_points(size: int) -> None:
    if size < 1:
        raise RuntimeError(f"Invalid number of data points ({size}) specified")


def _complex_1d(x: Tensor, n: int | None, dim: int, norm: str | None, forward: bool) -> Tensor:
    x = _prepare(x, True)
    axis = _axis(dim, x.dim())
    size = x.shape[axis] if n is None else n
    _check_points(size)
    x = _resize(x, [axis], [size])
    return _ComplexToComplex.apply(x, (axis,), _scale(norm, forward, size), forward)


def _real_1d(x: Tensor, n: int | None, dim: int, norm: str | None, forward: bool, name: str) -> Tensor:
    if x.is_complex():
        raise RuntimeError(f"{name} expects a real input tensor, but got {scalar_type(x.dtype)}")
    x = _prepare(x, False)
    axis = _axis(dim, x.dim())
    size = x.shape[axis] if n is None else n
    _check_points(size)
    result = _RealToComplex.apply(_resize(x, [axis], [size]), (axis,), _scale(norm, forward, size))
    return result if forward else result.conj()


def _half_1d(x: Tensor, n: int | None, dim: int, norm: str | None, forward: bool) -> Tensor:
    x = _prepare(x, True)
    axis = _axis(dim, x.dim())
    size = 2 * (x.shape[axis] - 1) if n is None else n
    _check_points(size)
    x = _resize(x, [axis], [size // 2 + 1])
    return _ComplexToReal.apply(x.conj() if forward else x, (axis,), _scale(norm, forward, size), size)


def fft(
    input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None, *, out: Tensor | None = None
) -> Tensor:
    """The discrete Fourier transform along one dimension.

    >>> torch.fft.fft(torch.tensor([1., 0.]))
    tensor([1.+0.j, 1.+0.j])
    """
    return into(_complex_1d(input, n, dim, norm, True), out)


def ifft(
    input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None, *, out: Tensor | None = None
) -> Tensor:
    """The inverse of ``fft``.

    >>> torch.fft.ifft(torch.tensor([2., 0.]))
    tensor([1.+0.j, 1.+0.j])
    """
    return into(_complex_1d(input, n, dim, norm, False), out)


def rfft(
    input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None, *, out: Tensor | None = None
) -> Tensor:
    """The first half of the transform of real values; the rest is its mirror image.

    >>> torch.fft.rfft(torch.ones(4)).shape
    torch.Size([3])
    """
    return into(_real_1d(input, n, dim, norm, True, "rfft"), out)


def irfft(
    input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None, *, out: Tensor | None = None
) -> Tensor:
    """The inverse of ``rfft``; ``n`` tells an odd length from an even one.

    >>> torch.fft.irfft(torch.tensor([4., 0., 0.]))
    tensor([1., 1., 1., 1.])
    """
    return into(_half_1d(input, n, dim, norm, False), out)


def hfft(
    input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None, *, out: Tensor | None = None
) -> Tensor:
    """The real transform of the first half of values that mirror with conjugation.

    >>> torch.fft.hfft(torch.tensor([1., 0., 0.]))
    tensor([1., 1., 1., 1.])
    """
    return into(_half_1d(input, n, dim, norm, True), out)


def ihfft(
    input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None, *, out: Tensor | None = None
) -> Tensor:
    """The inverse of ``hfft``.

    >>> torch.fft.ihfft(torch.ones(4)).real
    tensor([1., 0., 0.])
    """
    return into(_real_1d(input, n, dim, norm, False, "ihfft").resolve_conj(), out)


def _axes(x: Tensor, s: Any, dim: Any) -> tuple[list[int], list[int]]:
    """The dimensions of an n-dimensional transform and the length of each."""
    rank = x.dim()
    if isinstance(s, int):
        s = [s]
    if isinstance(dim, int):
        dim = [dim]
    if dim is not None:
        dims = [_axis(d, rank) for d in dim]
        if len(set(dims)) != len(dims):
            raise RuntimeError("FFT dims must be unique")
        if s is not None and len(s) != len(dims):
            raise RuntimeError("When given, dim and shape arguments must have the same length")
    elif s is not None:
        if len(s) > rank:
            raise RuntimeError(f"Got shape with {len(s)} values but input tensor only has {rank} dimensions.")
        dims = list(range(rank - len(s), rank))
    else:
        dims = list(range(rank))
    lengths = [x.shape[d] if s is None or s[i] == -1 else s[i] for i, d in enumerate(dims)]
    for length in lengths:
        _check_points(length)
    return dims, lengths


def _complex_nd(x: Tensor, s: Any, dim: Any, norm: str | None, forward: bool) -> Tensor:
    x = _prepare(x, True)
    dims, lengths = _axes(x, s, dim)
    if not dims:
        return x.clone()
    x = _resize(x, dims, lengths)
    return _ComplexToComplex.apply(x, tuple(dims), _scale(norm, forward, math.prod(lengths)), forward)


def _real_nd(x: Tensor, s: Any, dim: Any, norm: str | None, forward: bool, name: str) -> Tensor:
    if x.is_complex():
        raise RuntimeError(f"{name} expects a real-valued input tensor, but got {scalar_type(x.dtype)}")
    x = _prepare(x, False)
    dims, lengths = _axes(x, s, dim)
    if not dims:
        raise RuntimeError(f"{name} must transform at least one axis")
    x = _resize(x, dims, lengths)
    result = _RealToComplex.apply(x, tuple(dims), _scale(norm, forward, math.prod(lengths)))
    return result if forward else result.conj()


def _half_nd(x: Tensor, s: Any, dim: Any, norm: str | None, forward: bool, name: str) -> Tensor:
    x = _prepare(x, True)
    given = s is not None and (s if isinstance(s, int) else s[-1] if len(s) else -1) not in (None, -1)
    if not given and x.dim():
        last = _axis((dim if isinstance(dim, int) else dim[-1]) if dim not in (None, ()) else -1, x.dim())
        _check_points(2 * (x.shape[last] - 1))
    dims, lengths = _axes(x, s, dim)
    if not dims:
        raise RuntimeError(f"{name} must transform at least one axis")
    if not given:
        lengths[-1] = 2 * (x.shape[dims[-1]] - 1)
    _check_points(lengths[-1])
    x = _resize(x, dims, [*lengths[:-1], lengths[-1] // 2 + 1])
    scale = _scale(norm, forward, math.prod(lengths))
    return _ComplexToReal.apply(x.conj() if forward else x, tuple(dims), scale, lengths[-1])


def fftn(
    input: Tensor, s: Any = None, dim: Any = None, norm: str | None = None, *, out: Tensor | None = None
) -> Tensor:
    """The discrete Fourier transform along several dimensions.

    >>> torch.fft.fftn(torch.ones(2, 2))[0, 0]
    tensor(4.+0.j)
    """
    return into(_complex_nd(input, s, dim, norm, True), out)


def ifftn(
    input: Tensor, s: Any = None, dim: Any = None, norm: str | None = None, *, out: Tensor | None = None
) -> Tensor:
    """The inverse of ``fftn``.

    >>> torch.fft.ifftn(torch.ones(2, 2))[0, 0]
    tensor(1.+0.j)
    """
    return into(_complex_nd(input, s, dim, norm, False), out)


def rfftn(
    input: Tensor, s: Any = None, dim: Any = None, norm: str | None = None, *, out: Tensor | None = None
) -> Tensor:
    """``fftn`` of real values; half of the spectrum along the last dimension.

    >>> torch.fft.rfftn(torch.ones(2, 4)).shape
    torch.Size([2, 3])
    """
    return into(_real_nd(input, s, dim, norm, True, "rfftn"), out)


def irfftn(
    input: Tensor, s: Any = None, dim: Any = None, norm: str | None = None, *, out: Tensor | None = None
) -> Tensor:
    """The inverse of ``rfftn``.

    >>> torch.fft.irfftn(torch.fft.rfftn(torch.ones(2, 4)))[0]
    tensor([1., 1., 1., 1.])
    """
    return into(_half_nd(input, s, dim, norm, False, "irfftn"), out)


def hfftn(
    input: Tensor, s: Any = None, dim: Any = None, norm: str | None = None, *, out: Tensor | None = None
) -> Tensor:
    """``hfft`` along several dimensions; the last one is the halved one.

    >>> torch.fft.hfftn(torch.ones(2, 3)).shape
    torch.Size([2, 4])
    """
    return into(_half_nd(input, s, dim, norm, True, "hfftn"), out)


def ihfftn(
    input: Tensor, s: Any = None, dim: Any = None, norm: str | None = None, *, out: Tensor | None = None
) -> Tensor:
    """The inverse of ``hfftn``.

    >>> torch.fft.ihfftn(torch.ones(2, 4)).shape
    torch.Size([2, 3])
    """
    return into(_real_nd(input, s, dim, norm, False, "ihfftn").resolve_conj(), out)


def fft2(
    input: Tensor, s: Any = None, dim: Any = (-2, -1), norm: str | None = None, *, out: Tensor | None = None
) -> Tensor:
    """``fftn`` of the last two dimensions.

    >>> torch.fft.fft2(torch.ones(2, 2))[0, 0]
    tensor(4.+0.j)
    """
    return fftn(input, s, dim, norm, out=out)


def ifft2(
    input: Tensor, s: Any = None, dim: Any = (-2, -1), norm: str | None = None, *, out: Tensor | None = None
) -> Tensor:
    """``ifftn`` of the last two dimensions.

    >>> torch.fft.ifft2(torch.ones(2, 2))[0, 0]
    tensor(1.+0.j)
    """
    return ifftn(input, s, dim, norm, out=out)


def rfft2(
    input: Tensor, s: Any = None, dim: Any = (-2, -1), norm: str | None = None, *, out: Tensor | None = None
) -> Tensor:
    """``rfftn`` of the last two dimensions.

    >>> torch.fft.rfft2(torch.ones(2, 4)).shape
    torch.Size([2, 3])
    """
    return rfftn(input, s, dim, norm, out=out)


def irfft2(
    input: Tensor, s: Any = None, dim: Any = (-2, -1), norm: str | None = None, *, out: Tensor | None = None
) -> Tensor:
    """``irfftn`` of the last two dimensions.

    >>> torch.fft.irfft2(torch.ones(2, 3)).shape
    torch.Size([2, 4])
    """
    return irfftn(input, s, dim, norm, out=out)


def hfft2(
    input: Tensor, s: Any = None, dim: Any = (-2, -1), norm: str | None = None, *, out: Tensor | None = None
) -> Tensor:
    """``hfftn`` of the last two dimensions.

    >>> torch.fft.hfft2(torch.ones(2, 3)).shape
    torch.Size([2, 4])
    """
    return hfftn(input, s, dim, norm, out=out)


def ihfft2(
    input: Tensor, s: Any = None, dim: Any = (-2, -1), norm: str | None = None, *, out: Tensor | None = None
) -> Tensor:
    """``ihfftn`` of the last two dimensions.

    >>> torch.fft.ihfft2(torch.ones(2, 4)).shape
    torch.Size([2, 3])
    """
    return ihfftn(input, s, dim, norm, out=out)


def _finish(values: Tensor, out: Tensor | None, requires_grad: bool) -> Tensor:
    values = into(values, out)
    return values.requires_grad_() if requires_grad else values


def fftfreq(
    n: int, d: float = 1.0, *, out: Tensor | None = None, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """The frequency of each entry of ``fft``, for samples ``d`` apart.

    >>> torch.fft.fftfreq(4)
    tensor([ 0.0000,  0.2500, -0.5000, -0.2500])
    """
    positions = torch.arange(n, dtype=dtype or torch.get_default_dtype(), device=device)
    upper = n - n // 2
    positions.narrow(0, upper, n - upper).sub_(n)
    return _finish(positions.mul_(1.0 / (n * d) if n else 1.0), out, requires_grad)


def rfftfreq(
    n: int, d: float = 1.0, *, out: Tensor | None = None, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """The frequency of each entry of ``rfft``, for samples ``d`` apart.

    >>> torch.fft.rfftfreq(4)
    tensor([0.0000, 0.2500, 0.5000])
    """
    positions = torch.arange(n // 2 + 1, dtype=dtype or torch.get_default_dtype(), device=device)
    return _finish(positions.mul_(1.0 / (n * d)), out, requires_grad)


def fftshift(input: Tensor, dim: Any = None) -> Tensor:
    """Move the zero frequency to the middle.

    >>> torch.fft.fftshift(torch.tensor([0, 1, -2, -1]))
    tensor([-2, -1,  0,  1])
    """
    dims = list(range(input.dim())) if dim is None else [dim] if isinstance(dim, int) else list(dim)
    return torch.roll(input, [input.shape[d] // 2 for d in dims], dims) if dims else input.clone()


def ifftshift(input: Tensor, dim: Any = None) -> Tensor:
    """The inverse of ``fftshift``.

    >>> torch.fft.ifftshift(torch.tensor([-2, -1, 0, 1]))
    tensor([ 0,  1, -2, -1])
    """
    dims = list(range(input.dim())) if dim is None else [dim] if isinstance(dim, int) else list(dim)
    return torch.roll(input, [(input.shape[d] + 1) // 2 for d in dims], dims) if dims else input.clone()
