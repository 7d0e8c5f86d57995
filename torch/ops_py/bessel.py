"""Bessel and Airy functions, evaluated by SciPy. They have no derivatives here, as in PyTorch."""

from __future__ import annotations

import torch

from . import _numpy
from ._common import into

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from torch import Tensor

# Ours to SciPy's name.
_SCIPY = {
    "airy_ai": "airy", "bessel_j0": "j0", "bessel_j1": "j1", "bessel_y0": "y0", "bessel_y1": "y1",
    "modified_bessel_i0": "i0", "modified_bessel_i1": "i1", "modified_bessel_k0": "k0", "modified_bessel_k1": "k1",
    "scaled_modified_bessel_k0": "k0e", "scaled_modified_bessel_k1": "k1e",
}  # fmt: skip


def _make(name: str, scipy_name: str) -> Any:
    def function(input: Tensor, *, out: Tensor | None = None) -> Tensor:
        try:
            from scipy import special
        except ImportError as error:
            raise ImportError(f"torch.special.{name} needs SciPy: pip install scipy") from error
        if input.is_complex():
            raise RuntimeError(f"special_{name}: complex numbers are not supported")
        dtype = input.dtype if input.is_floating_point() else torch.get_default_dtype()
        values = getattr(special, scipy_name)(_numpy.array(input.to(torch.float64)))
        if isinstance(values, tuple):
            values = values[0]
        return into(_numpy.tensor(_numpy.numpy("torch.special").asarray(values), dtype), out)

    function.__name__ = function.__qualname__ = name
    words = name.replace("_", " ")
    example = f">>> torch.special.{name}(torch.ones(2)).shape\n    torch.Size([2])"
    function.__doc__ = f"The {words} function of each element.\n\n    {example}\n"
    return function


for _name, _scipy_name in _SCIPY.items():
    globals()[_name] = _make(_name, _scipy_name)


def spherical_bessel_j0(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The spherical Bessel function sin(x) / x.

    >>> torch.special.spherical_bessel_j0(torch.tensor([0.]))
    tensor([1.])
    """
    x = input.detach()
    x = x if x.is_floating_point() else x.to(torch.get_default_dtype())
    series = 1 - x * x / 6 * (1 - x * x / 20)
    result = torch.where(x.abs() < 0.01, series, torch.sin(x) / x)
    return into(torch.where(torch.isinf(x), torch.zeros_like(x), result), out)
