"""The frequencies that the entries of a Fourier transform stand for."""

from __future__ import annotations

import torch

from ._common import into

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from torch import Tensor


def _finish(values: Tensor, out: Tensor | None, requires_grad: bool) -> Tensor:
    values = into(values, out)
    return values.requires_grad_() if requires_grad else values


def _check_dtype(name: str, dtype: Any) -> None:
    if dtype is not None and not (dtype.is_floating_point or dtype.is_complex):
        raise RuntimeError(f"{name} requires a floating point or complex dtype")


def fftfreq(
    n: int, d: float = 1.0, *, out: Tensor | None = None, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """The frequency of each entry of ``fft``, for samples ``d`` apart.

    >>> torch.fft.fftfreq(4)
    tensor([ 0.0000,  0.2500, -0.5000, -0.2500])
    """
    _check_dtype("fftfreq", dtype)
    positions = torch.arange(n, dtype=dtype or torch.get_default_dtype(), device=device)
    upper = n - n // 2
    positions.narrow(0, upper, n - upper).sub_(n)
    return _finish(positions.mul_(1.0 / (n * d) if n and d else 1.0), out, requires_grad)


def rfftfreq(
    n: int, d: float = 1.0, *, out: Tensor | None = None, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """The frequency of each entry of ``rfft``, for samples ``d`` apart.

    >>> torch.fft.rfftfreq(4)
    tensor([0.0000, 0.2500, 0.5000])
    """
    _check_dtype("rfftfreq", dtype)
    positions = torch.arange(n // 2 + 1, dtype=dtype or torch.get_default_dtype(), device=device)
    return _finish(positions.mul_(1.0 / (n * d)), out, requires_grad)
