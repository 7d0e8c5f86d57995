"""Window functions for spectral analysis: the ``torch.*_window`` family and ``torch.signal.windows``."""

from __future__ import annotations

import math

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from torch import Tensor

# ---- torch.hann_window and its kin: periodic unless told otherwise


def _start(
    name: str, length: int, periodic: bool, options: dict[str, Any]
) -> tuple[Tensor | None, dict[str, Any], int]:
    """Positions 0 to length - 1 (one more if periodic), or the finished window where that is trivial."""
    if length < 0:
        raise RuntimeError(f"{name} requires non-negative window_length, got window_length={length}")
    dtype = options.get("dtype") or torch.get_default_dtype()
    if not dtype.is_floating_point:
        raise RuntimeError(f"{name} expects floating point dtypes, got: {dtype}")
    if options.get("layout") not in (None, torch.strided):
        raise RuntimeError(f"{name} does not support {options['layout']} tensors")
    place = {"dtype": dtype, "device": options.get("device")}
    return (torch.ones(length, **place) if length <= 1 else None), place, length + bool(periodic)


def _finish(window: Tensor, length: int, options: dict[str, Any]) -> Tensor:
    window = window.narrow(0, 0, length)
    return window.requires_grad_() if options.get("requires_grad") else window


def hann_window(window_length: int, periodic: bool = True, **options: Any) -> Tensor:
    """A raised cosine.

    >>> torch.hann_window(4)
    tensor([0.0000, 0.5000, 1.0000, 0.5000])
    """
    _start("hann_window", window_length, periodic, options)
    return hamming_window(window_length, periodic, 0.5, 0.5, **options)


def hamming_window(
    window_length: int, periodic: bool = True, alpha: float = 0.54, beta: float = 0.46, **options: Any
) -> Tensor:
    """``alpha - beta * cos``: a raised cosine that does not start at zero.

    >>> torch.hamming_window(4)
    tensor([0.0800, 0.5400, 1.0000, 0.5400])
    """
    done, place, points = _start("hamming_window", window_length, periodic, options)
    if done is None:
        done = torch.arange(points, **place).mul_(math.pi * 2.0 / (points - 1)).cos_().mul_(-beta).add_(alpha)
    return _finish(done, window_length, options)


def bartlett_window(window_length: int, periodic: bool = True, **options: Any) -> Tensor:
    """A triangle.

    >>> torch.bartlett_window(4)
    tensor([0.0000, 0.5000, 1.0000, 0.5000])
    """
    done, place, points = _start("bartlett_window", window_length, periodic, options)
    if done is None:
        done = torch.arange(points, **place).mul_(2.0 / (points - 1))
        half = ((points - 1) >> 1) + 1
        done.narrow(0, half, points - half).mul_(-1).add_(2)
    return _finish(done, window_length, options)


def blackman_window(window_length: int, periodic: bool = True, **options: Any) -> Tensor:
    """A sum of two cosines with small side lobes.

    >>> torch.blackman_window(4, periodic=False).sum()
    tensor(1.2600)
    """
    done, place, points = _start("blackman_window", window_length, periodic, options)
    if done is None:
        angle = torch.arange(points, **place).mul_(math.pi / (points - 1))
        done = angle.mul(4).cos_().mul_(0.08) - angle.mul(2).cos_().mul_(0.5) + 0.42
    return _finish(done, window_length, options)


def kaiser_window(window_length: int, periodic: bool = True, beta: float = 12.0, **options: Any) -> Tensor:
    """Near-optimal concentration of energy; ``beta`` trades the main lobe's width for small side lobes.

    >>> torch.kaiser_window(3, periodic=False, beta=0.)
    tensor([1., 1., 1.])
    """
    done, place, points = _start("kaiser_window", window_length, periodic, options)
    if done is None:
        position = torch.arange(points, **place).mul_(2.0 / (points - 1)).sub_(1)
        done = torch.i0(torch.sqrt(1 - position * position).mul_(beta)) / torch.i0(torch.tensor(beta, **place))
    return _finish(done, window_length, options)


# ---- torch.signal.windows: symmetric unless told otherwise


def _check(name: str, length: int, options: dict[str, Any]) -> dict[str, Any]:
    if length < 0:
        raise ValueError(f"{name} requires non-negative window length, got M={length}")
    if options.get("layout") not in (None, torch.strided):
        raise ValueError(f"{name} is implemented for strided tensors only, got: {options['layout']}")
    dtype = options.get("dtype") or torch.get_default_dtype()
    if dtype not in (torch.float32, torch.float64):
        raise ValueError(f"{name} expects float32 or float64 dtypes, got: {dtype}")
    return {"dtype": dtype, "device": options.get("device"), "requires_grad": bool(options.get("requires_grad"))}


def exponential(
    M: int,
    *,
    center: float | None = None,
    tau: float = 1.0,
    sym: bool = True,
    **options: Any,  # noqa: N803
) -> Tensor:
    """``exp(-|n - center| / tau)``.

    >>> torch.signal.windows.exponential(3)
    tensor([0.3679, 1.0000, 0.3679])
    """
    place = _check("exponential", M, options)
    if tau <= 0:
        raise ValueError(f"Tau must be positive, got: {tau} instead.")
    if sym and center is not None:
        raise ValueError("Center must be None for symmetric windows")
    if M == 0:
        return torch.empty((0,), **place)
    if center is None:
        center = (M if not sym and M > 1 else M - 1) / 2.0
    step = 1 / tau
    k = torch.linspace(-center * step, (-center + (M - 1)) * step, M, **place)
    return torch.exp(-torch.abs(k))


def cosine(M: int, *, sym: bool = True, **options: Any) -> Tensor:  # noqa: N803
    """Half a period of a sine.

    >>> torch.signal.windows.cosine(3)
    tensor([0.5000, 1.0000, 0.5000])
    """
    place = _check("cosine", M, options)
    if M == 0:
        return torch.empty((0,), **place)
    start, step = 0.5, math.pi / (M + 1 if not sym and M > 1 else M)
    return torch.sin(torch.linspace(start * step, (start + (M - 1)) * step, M, **place))


def gaussian(M: int, *, std: float = 1.0, sym: bool = True, **options: Any) -> Tensor:  # noqa: N803
    """A bell curve of the given standard deviation.

    >>> torch.signal.windows.gaussian(3)
    tensor([0.6065, 1.0000, 0.6065])
    """
    place = _check("gaussian", M, options)
    if std <= 0:
        raise ValueError(f"Standard deviation must be positive, got: {std} instead.")
    if M == 0:
        return torch.empty((0,), **place)
    start, step = -(M if not sym and M > 1 else M - 1) / 2.0, 1 / (std * math.sqrt(2))
    return torch.exp(-(torch.linspace(start * step, (start + (M - 1)) * step, M, **place) ** 2))


def kaiser(M: int, *, beta: float = 12.0, sym: bool = True, **options: Any) -> Tensor:  # noqa: N803
    """Near-optimal concentration of energy, from the modified Bessel function.

    >>> torch.signal.windows.kaiser(3, beta=0.)
    tensor([1., 1., 1.])
    """
    place = _check("kaiser", M, options)
    if beta < 0:
        raise ValueError(f"beta must be non-negative, got: {beta} instead.")
    if M == 0:
        return torch.empty((0,), **place)
    if M == 1:
        return torch.ones((1,), **place)
    # The shape is a multiple of beta, whose own value in the window's precision must be its largest.
    limit = torch.tensor(beta, dtype=place["dtype"], device=place["device"])
    start, step = -beta, 2.0 * beta / (M if not sym else M - 1)
    end = torch.minimum(limit, start + (M - 1) * step * torch.ones_like(limit)).item()
    k = torch.linspace(start, end, M, **place)
    return torch.i0(torch.sqrt(limit * limit - torch.pow(k, 2))) / torch.i0(limit)


def hamming(M: int, *, sym: bool = True, **options: Any) -> Tensor:  # noqa: N803
    """A raised cosine that does not start at zero.

    >>> torch.signal.windows.hamming(3)
    tensor([0.0800, 1.0000, 0.0800])
    """
    return general_hamming(M, sym=sym, **options)


def hann(M: int, *, sym: bool = True, **options: Any) -> Tensor:  # noqa: N803
    """A raised cosine.

    >>> torch.signal.windows.hann(3)
    tensor([0., 1., 0.])
    """
    return general_hamming(M, alpha=0.5, sym=sym, **options)


def blackman(M: int, *, sym: bool = True, **options: Any) -> Tensor:  # noqa: N803
    """Two cosines with small side lobes.

    >>> torch.signal.windows.blackman(3).sum().round(decimals=4)
    tensor(1.)
    """
    _check("blackman", M, options)
    return general_cosine(M, a=[0.42, 0.5, 0.08], sym=sym, **options)


def bartlett(M: int, *, sym: bool = True, **options: Any) -> Tensor:  # noqa: N803
    """A triangle.

    >>> torch.signal.windows.bartlett(3)
    tensor([0., 1., 0.])
    """
    place = _check("bartlett", M, options)
    if M == 0:
        return torch.empty((0,), **place)
    if M == 1:
        return torch.ones((1,), **place)
    start, step = -1, 2 / (M if not sym else M - 1)
    return 1 - torch.abs(torch.linspace(start, start + (M - 1) * step, M, **place))


def general_cosine(M: int, *, a: Iterable[float], sym: bool = True, **options: Any) -> Tensor:  # noqa: N803
    """``a[0] - a[1] cos + a[2] cos 2 - ...`` over one period.

    >>> torch.signal.windows.general_cosine(3, a=[0.5, 0.5])
    tensor([0., 1., 0.])
    """
    place = _check("general_cosine", M, options)
    if M == 0:
        return torch.empty((0,), **place)
    if M == 1:
        return torch.ones((1,), **place)
    if not isinstance(a, (list, tuple)):
        raise TypeError("Coefficients must be a list/tuple")
    if not a:
        raise ValueError("Coefficients cannot be empty")
    step = 2 * math.pi / (M if not sym else M - 1)
    k = torch.linspace(0, (M - 1) * step, M, **place)
    signed = torch.tensor([(-1) ** i * w for i, w in enumerate(a)], **(place | {"requires_grad": False}))
    order = torch.arange(signed.shape[0], dtype=signed.dtype, device=signed.device)
    return (signed.unsqueeze(-1) * torch.cos(order.unsqueeze(-1) * k)).sum(0)


def general_hamming(M: int, *, alpha: float = 0.54, sym: bool = True, **options: Any) -> Tensor:  # noqa: N803
    """``alpha - (1 - alpha) cos`` over one period.

    >>> torch.signal.windows.general_hamming(3, alpha=0.5)
    tensor([0., 1., 0.])
    """
    return general_cosine(M, a=[alpha, 1.0 - alpha], sym=sym, **options)


def nuttall(M: int, *, sym: bool = True, **options: Any) -> Tensor:  # noqa: N803
    """Four cosines with very small side lobes.

    >>> torch.signal.windows.nuttall(1)
    tensor([1.])
    """
    return general_cosine(M, a=[0.3635819, 0.4891775, 0.1365995, 0.0106411], sym=sym, **options)
