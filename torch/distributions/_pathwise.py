"""Derivatives of gamma and Dirichlet draws by their parameters.

A draw x with the distribution function F(x; a) keeps its quantile when a changes, so dx/da = -(dF/da) / (dF/dx)
(implicit reparametrisation: Figurnov, Mohamed and Mnih, NeurIPS 2018; for Dirichlet draws: Jankowiak and Obermeyer,
"Pathwise derivatives beyond the reparameterization trick", ICML 2018). With the score s(t) = d log p(t; a) / da,

    dx/da = -1 / p(x)  integral of p(t) s(t) over t < x  =  1 / p(x)  integral of p(t) s(t) over t > x,

since the score's mean is zero. The score rises through zero once, so that on one of the sides it has a single sign and
nothing cancels: there the integral is taken, by a double exponential rule (Takahasi and Mori, 1974). For small x, where
the density is not smooth enough on a logarithmic scale, a power series of positive terms is summed instead.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from .utils import _all_true

# The rule's nodes: v = exp(u - exp(-u)) at equal steps of u, with the weights dv/du. Beyond the ends the integrands
# below are less than 1e-18 of their largest value.
_STEP = 0.0625
_NODES = [
    (math.exp(u - math.exp(-u)), _STEP * (1 + math.exp(-u)) * math.exp(u - math.exp(-u)))
    for u in (i * _STEP for i in range(-56, 80))
]


def _half_line(integrand: Callable[[Tensor], Tensor], scale: Tensor) -> Tensor:
    """The integral over v > 0 of a function that falls off exponentially, at lengths of about ``scale``."""
    if scale.numel() <= 2048:  # all nodes in one go: few calls, and still little memory
        nodes = torch.tensor(_NODES, dtype=scale.dtype, device=scale.device).reshape((-1, 2) + (1,) * scale.dim())
        return (integrand(scale * nodes[:, 0]) * nodes[:, 1]).sum(0) * scale
    total = torch.zeros_like(scale)
    for node, weight in _NODES:
        total += integrand(scale * node) * weight
    return total * scale


def _falloff(slope: Tensor, curvature: Tensor) -> Tensor:
    """The length at which ``slope v + curvature v^2 / 2`` comes to 1."""
    slope = slope.abs()
    return 2 / (slope + torch.sqrt(slope * slope + 2 * curvature))


def _gamma_series(alpha: Tensor, x: Tensor) -> Tensor:
    """x^a e^-x sum of x^n / Gamma(a + n + 1), differentiated by a term by term; for x up to about 1."""
    term = x / alpha
    gap = torch.digamma(alpha + 1) - torch.log(x)  # of the first term; the next ones grow by 1 / (a + n + 1)
    total = torch.zeros_like(x)
    for n in range(24):
        total += term * gap
        gap = gap + 1 / (alpha + (n + 1))
        term = term * x / (alpha + (n + 1))
    return total


def _gamma_integral(alpha: Tensor, x: Tensor) -> Tensor:
    """The integral on the side where the score has one sign; t = x e^(side v)."""
    score = torch.log(x) - torch.digamma(alpha)
    side = torch.where(score < 0, -1.0, 1.0).to(x)

    def integrand(v: Tensor) -> Tensor:
        return torch.exp(alpha * side * v - x * torch.expm1(side * v)) * (score + side * v)

    return side * x * _half_line(integrand, _falloff(alpha - x, x))


def _standard_gamma_grad(input: Tensor, output: Tensor) -> Tensor:
    """The derivative of standard gamma draws by their concentrations.

    Args:
        input: the concentrations, of a floating dtype.
        output: the draws, of the same shape.

    Returns:
        A tensor of the same shape and dtype. Computed in float64, relative errors are below 1e-9.

    Example::

        >>> torch._standard_gamma_grad(torch.ones(1), torch.ones(1))
        tensor([1.3179])
    """
    alpha, x = torch.broadcast_tensors(input.detach().double(), output.detach().double())
    alpha, x = alpha.clamp(min=1e-300), x.clamp(min=1e-300)
    small = x < 1
    result = torch.where(small, _gamma_series(alpha, x.clamp(max=1)), 0.0)
    if not _all_true(small):
        result = torch.where(small, result, _gamma_integral(alpha, x.clamp(min=1)))
    return result.to(output.dtype)


def _beta_series(x: Tensor, alpha: Tensor, total: Tensor) -> Tensor:
    """x^a (1 - x)^b / (a B(a, b)) 2F1(a + b, 1; a + 1; x), differentiated by a term by term.

    For x <= 1/2 and (a + b) x <= 1.
    """
    term = (1 - x) * x / alpha
    gap = torch.digamma(alpha + 1) - torch.digamma(total) - torch.log(x)
    result = torch.zeros_like(x)
    for n in range(64):
        result += term * gap
        gap = gap + 1 / (alpha + (n + 1)) - 1 / (total + n)
        term = term * x * (total + n) / (alpha + (n + 1))
    return result


def _beta_integral(x: Tensor, alpha: Tensor, total: Tensor) -> Tensor:
    """The integral on the side where the score has one sign; logit t = logit x + side v."""
    beta = total - alpha
    rest = torch.clamp(1 - x, min=1e-300)
    score = torch.log(x) - torch.digamma(alpha) + torch.digamma(total)
    side = torch.where(score < 0, -1.0, 1.0).to(x)

    upward = side > 0
    near = torch.where(upward, rest, x)

    def integrand(v: Tensor) -> Tensor:
        # log(t / x) and log((1 - x) / (1 - t)) differ by the step of the logit; neither may overflow
        shrink = torch.log1p(near * torch.expm1(-v))
        log_t = torch.where(upward, -shrink, -v - shrink)
        grow = torch.where(upward, v + shrink, shrink)
        return torch.exp(alpha * log_t - beta * grow) * (score + log_t)

    # beyond the mode the density of logit t falls ever faster, in the end by alpha or beta for each unit; the last
    # nodes, at 139 lengths, have to lie where that has become nothing
    end = torch.where(upward, beta, alpha)
    scale = torch.maximum(_falloff(alpha * rest - beta * x, total * x * rest), 0.3 / end)
    return side * x * rest * _half_line(integrand, scale)


def _dirichlet_grad(x: Tensor, alpha: Tensor, total: Tensor) -> Tensor:
    """The derivative of an entry of a Dirichlet draw by its concentration, divided by what the other entries sum to.

    An entry x with concentration a follows Beta(a, total - a); the result is (dx/da) / (1 - x).

    Args:
        x: entries of draws.
        alpha: their concentrations.
        total: the sum of all concentrations of the draw that the entry belongs to.

    Returns:
        A tensor of the shape and dtype of ``x``. Computed in float64.
    """
    entry, a, s = (t.detach().double() for t in torch.broadcast_tensors(x, alpha, total))
    a = a.clamp(min=1e-300)
    s = torch.maximum(s, a * (1 + 1e-15))
    entry = entry.clamp(min=1e-300, max=1 - 2**-53)
    series = (entry <= 0.5) & (entry * s <= 1)
    near = torch.minimum(entry, torch.clamp(1 / s, max=0.5))
    result = torch.where(series, _beta_series(near, a, s), 0.0)
    if not _all_true(series):
        result = torch.where(series, result, _beta_integral(torch.where(series, 0.5, entry), a, s))
    return (result / (1 - entry)).to(x.dtype)


class _Slope(Function):
    """A derivative above, which has none of its own."""

    generate_vmap_rule = True

    @staticmethod
    def forward(name: str, *args: Tensor) -> Tensor:
        return _SLOPES[name](*args)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.name = inputs[0]

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Any:
        raise NotImplementedError(f"the derivative for '{ctx.name}' is not implemented.")


_SLOPES = {"_standard_gamma_grad": _standard_gamma_grad, "_dirichlet_grad": _dirichlet_grad}


class _Attached(Function):
    """Draws, tied to the concentrations that they came from.

    Drawing itself stays outside: under ``vmap`` a random operation has to see its own level.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(concentration: Tensor, draws: Tensor) -> Tensor:
        return draws.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)


class StandardGamma(_Attached):
    """The gradient of ``torch._standard_gamma``."""

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Any:
        return grad_output * _Slope.apply("_standard_gamma_grad", *ctx.saved_tensors), None


class SampleDirichlet(_Attached):
    """The gradient of ``torch._sample_dirichlet``.

    When a concentration grows, its entry takes from all others in proportion to them; so
    ``dx_i / da_j = g_j (delta_ij - x_i)`` with ``g`` as :func:`_dirichlet_grad` has it.
    """

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Any:
        concentration, draws = ctx.saved_tensors
        total = concentration.sum(-1, keepdim=True).expand(concentration.shape)
        slope = _Slope.apply("_dirichlet_grad", draws, concentration, total)
        return slope * (grad_output - (draws * grad_output).sum(-1, keepdim=True)), None


def standard_gamma(concentration: Tensor) -> Tensor:
    """Standard gamma draws that gradients flow through."""
    draws = torch._standard_gamma(concentration.detach())
    return StandardGamma.apply(concentration, draws) if torch.is_grad_enabled() else draws


def sample_dirichlet(concentration: Tensor) -> Tensor:
    """Dirichlet draws that gradients flow through."""
    draws = torch._sample_dirichlet(concentration.detach())
    return SampleDirichlet.apply(concentration, draws) if torch.is_grad_enabled() else draws
