"""Orthogonal polynomials, by their three-term recurrences."""

from __future__ import annotations

import torch

from ._common import into

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from torch import Tensor

    Step = Callable[[int, Tensor, Tensor, Tensor], Tensor]


def _operands(name: str, x: Any, n: Any) -> tuple[Tensor, Tensor]:
    """Both as tensors of one floating dtype and one shape."""
    x_given, n_given = isinstance(x, torch.Tensor), isinstance(n, torch.Tensor)
    if not (x_given or n_given):
        raise TypeError(f"special_{name}(): at least one of the arguments must be a Tensor")
    dtype = torch.result_type(x, n)
    if not dtype.is_floating_point:
        if dtype.is_complex:
            raise RuntimeError(f"special_{name}: complex numbers are not supported")
        dtype = torch.get_default_dtype()
    device = x.device if x_given else n.device
    x = x.to(dtype) if x_given else torch.full((), x, dtype=dtype, device=device)
    n = n.to(dtype) if n_given else torch.full((), n, dtype=dtype, device=device)
    return torch.broadcast_tensors(x.detach(), n.detach())  # type: ignore[return-value]


def _recurrence(x: Tensor, n: Tensor, first: Tensor, step: Step) -> Tensor:
    """Polynomial of degree n[i] at x[i]; of negative degree it is zero."""
    degree = n.trunc()
    before, now = torch.ones_like(x), first
    result = torch.where(degree == 0, before, torch.where(degree == 1, now, torch.zeros_like(x)))
    highest = int(degree.max()) if degree.numel() else 0
    for k in range(1, highest):
        before, now = now, step(k, x, now, before)
        result = torch.where(degree == k + 1, now, result)
    return result


def _chebyshev_step(k: int, x: Tensor, now: Tensor, before: Tensor) -> Tensor:
    return (x + x) * now - before


def _hermite_h_step(k: int, x: Tensor, now: Tensor, before: Tensor) -> Tensor:
    return (x + x) * now - 2 * k * before


def _hermite_he_step(k: int, x: Tensor, now: Tensor, before: Tensor) -> Tensor:
    return x * now - k * before


def _laguerre_step(k: int, x: Tensor, now: Tensor, before: Tensor) -> Tensor:
    return ((2 * k + 1 - x) * now - k * before) / (k + 1)


def _legendre_step(k: int, x: Tensor, now: Tensor, before: Tensor) -> Tensor:
    return ((2 * k + 1) * x * now - k * before) / (k + 1)


# Name to what it is, its value for n = 1, its recurrence, and whether x runs over (0, 1).
_FAMILIES: dict[str, tuple[str, Callable[[Tensor], Tensor], Step, bool]] = {
    "chebyshev_polynomial_t": ("Chebyshev polynomial of the first kind", lambda x: x, _chebyshev_step, False),
    "chebyshev_polynomial_u": ("Chebyshev polynomial of the second kind", lambda x: x + x, _chebyshev_step, False),
    "chebyshev_polynomial_v": ("Chebyshev polynomial of the third kind", lambda x: x + x - 1, _chebyshev_step, False),
    "chebyshev_polynomial_w": ("Chebyshev polynomial of the fourth kind", lambda x: x + x + 1, _chebyshev_step, False),
    "hermite_polynomial_h": ("physicist's Hermite polynomial", lambda x: x + x, _hermite_h_step, False),
    "hermite_polynomial_he": ("probabilist's Hermite polynomial", lambda x: x, _hermite_he_step, False),
    "laguerre_polynomial_l": ("Laguerre polynomial", lambda x: 1 - x, _laguerre_step, False),
    "legendre_polynomial_p": ("Legendre polynomial", lambda x: x, _legendre_step, False),
}
for _kind in "tuvw":
    _text, _first, _step, _ = _FAMILIES[f"chebyshev_polynomial_{_kind}"]
    _FAMILIES[f"shifted_chebyshev_polynomial_{_kind}"] = (f"shifted {_text}, on [0, 1]", _first, _step, True)


def _make(name: str, text: str, first: Callable[[Tensor], Tensor], step: Step, shifted: bool) -> Any:
    def function(x: Any, n: Any, *, out: Tensor | None = None) -> Tensor:
        points, degrees = _operands(name, x, n)
        if shifted:
            points = points + points - 1
        return into(_recurrence(points, degrees, first(points), step), out)

    function.__name__ = function.__qualname__ = name
    example = f">>> torch.special.{name}(torch.tensor([0.5]), 0)\n    tensor([1.])"
    function.__doc__ = f"The {text} of degree ``n`` at ``x``.\n\n    {example}\n"
    return function


for _name, _family in _FAMILIES.items():
    globals()[_name] = _make(_name, *_family)
