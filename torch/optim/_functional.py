"""One step of each optimizer as a function of lists: parameters, gradients, and what is kept for each of them.

All lists are of one length (those that an option doesn't need may be empty); tensors change in place. The options are
those of the classes. What names a kernel or a capture, such as ``foreach``, ``fused`` and ``has_complex``, changes no
result; gradients that are still scaled (``grad_scale``, ``found_inf``) raise NotImplementedError.
"""

from __future__ import annotations

import torch

from .optimizer import _refuse_scaling

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from torch import Tensor

    from .optimizer import SingleTensor

__all__ = ["adadelta", "adafactor", "adagrad", "adamax", "asgd", "nadam", "radam", "rmsprop", "rprop"]


def _run(
    cls: type[SingleTensor],
    params: list[Tensor],
    grads: list[Tensor],
    kept: dict[str, list[Any]],
    group: dict[str, Any],
) -> None:
    """Update each parameter by the rule of an optimizer's class."""
    rule = cls.__new__(cls)
    group.setdefault("capturable", False)
    with torch.set_grad_enabled(bool(group.get("differentiable")) and torch.is_grad_enabled()):
        for i, param in enumerate(params):
            state = {name: values[i] for name, values in kept.items() if values}
            rule._update(param, -grads[i] if group.get("maximize") else grads[i], state, group)


def adadelta(
    params: list[Tensor],
    grads: list[Tensor],
    square_avgs: list[Tensor],
    acc_deltas: list[Tensor],
    state_steps: list[Tensor],
    capturable: bool = False,
    foreach: bool | None = None,
    differentiable: bool = False,
    has_complex: bool = False,
    *,
    lr: float | Tensor,
    rho: float,
    eps: float,
    weight_decay: float,
    maximize: bool,
) -> None:
    """One step of ``Adadelta``."""
    from .adadelta import Adadelta

    kept = {"square_avg": square_avgs, "acc_delta": acc_deltas, "step": state_steps}
    _run(
        Adadelta,
        params,
        grads,
        kept,
        {
            "lr": lr,
            "rho": rho,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "capturable": capturable,
            "differentiable": differentiable,
        },
    )


def adagrad(
    params: list[Tensor],
    grads: list[Tensor],
    state_sums: list[Tensor],
    state_steps: list[Tensor],
    fused: bool | None = None,
    grad_scale: Tensor | None = None,
    found_inf: Tensor | None = None,
    has_sparse_grad: bool = False,
    foreach: bool | None = None,
    differentiable: bool = False,
    has_complex: bool = False,
    *,
    lr: float | Tensor,
    weight_decay: float,
    lr_decay: float,
    eps: float,
    maximize: bool,
) -> None:
    """One step of ``Adagrad``."""
    _refuse_scaling(grad_scale, found_inf)
    from .adagrad import Adagrad

    kept = {"sum": state_sums, "step": state_steps}
    _run(
        Adagrad,
        params,
        grads,
        kept,
        {
            "lr": lr,
            "weight_decay": weight_decay,
            "lr_decay": lr_decay,
            "eps": eps,
            "maximize": maximize,
            "differentiable": differentiable,
            "fused": fused,
        },
    )


def adamax(
    params: list[Tensor],
    grads: list[Tensor],
    exp_avgs: list[Tensor],
    exp_infs: list[Tensor],
    state_steps: list[Tensor],
    foreach: bool | None = None,
    maximize: bool = False,
    differentiable: bool = False,
    capturable: bool = False,
    has_complex: bool = False,
    *,
    eps: float,
    beta1: float,
    beta2: float,
    lr: float | Tensor,
    weight_decay: float,
) -> None:
    """One step of ``Adamax``."""
    from .adamax import Adamax

    kept = {"exp_avg": exp_avgs, "exp_inf": exp_infs, "step": state_steps}
    _run(
        Adamax,
        params,
        grads,
        kept,
        {
            "eps": eps,
            "lr": lr,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
            "betas": (beta1, beta2),
        },
    )


def asgd(
    params: list[Tensor],
    grads: list[Tensor],
    axs: list[Tensor],
    mus: list[Tensor],
    etas: list[Tensor],
    state_steps: list[Tensor],
    foreach: bool | None = None,
    maximize: bool = False,
    differentiable: bool = False,
    capturable: bool = False,
    has_complex: bool = False,
    *,
    lambd: float,
    lr: float | Tensor,
    t0: float,
    alpha: float,
    weight_decay: float,
) -> None:
    """One step of ``ASGD``."""
    from .asgd import ASGD

    kept = {"ax": axs, "mu": mus, "eta": etas, "step": state_steps}
    _run(
        ASGD,
        params,
        grads,
        kept,
        {
            "lambd": lambd,
            "lr": lr,
            "t0": t0,
            "alpha": alpha,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        },
    )


def nadam(
    params: list[Tensor],
    grads: list[Tensor],
    exp_avgs: list[Tensor],
    exp_avg_sqs: list[Tensor],
    mu_products: list[Tensor],
    state_steps: list[Tensor],
    decoupled_weight_decay: bool = False,
    foreach: bool | None = None,
    capturable: bool = False,
    differentiable: bool = False,
    has_complex: bool = False,
    maximize: bool = False,
    *,
    beta1: float,
    beta2: float,
    lr: float | Tensor,
    weight_decay: float,
    momentum_decay: float,
    eps: float,
) -> None:
    """One step of ``NAdam``."""
    from .nadam import NAdam

    kept = {"exp_avg": exp_avgs, "exp_avg_sq": exp_avg_sqs, "mu_product": mu_products, "step": state_steps}
    _run(
        NAdam,
        params,
        grads,
        kept,
        {
            "lr": lr,
            "weight_decay": weight_decay,
            "momentum_decay": momentum_decay,
            "eps": eps,
            "decoupled_weight_decay": decoupled_weight_decay,
            "capturable": capturable,
            "differentiable": differentiable,
            "maximize": maximize,
            "betas": (beta1, beta2),
        },
    )


def radam(
    params: list[Tensor],
    grads: list[Tensor],
    exp_avgs: list[Tensor],
    exp_avg_sqs: list[Tensor],
    state_steps: list[Tensor],
    decoupled_weight_decay: bool = False,
    foreach: bool | None = None,
    differentiable: bool = False,
    capturable: bool = False,
    has_complex: bool = False,
    maximize: bool = False,
    *,
    beta1: float,
    beta2: float,
    lr: float | Tensor,
    weight_decay: float,
    eps: float,
) -> None:
    """One step of ``RAdam``."""
    from .radam import RAdam

    kept = {"exp_avg": exp_avgs, "exp_avg_sq": exp_avg_sqs, "step": state_steps}
    _run(
        RAdam,
        params,
        grads,
        kept,
        {
            "lr": lr,
            "weight_decay": weight_decay,
            "eps": eps,
            "decoupled_weight_decay": decoupled_weight_decay,
            "differentiable": differentiable,
            "capturable": capturable,
            "maximize": maximize,
            "betas": (beta1, beta2),
        },
    )


def rmsprop(
    params: list[Tensor],
    grads: list[Tensor],
    square_avgs: list[Tensor],
    grad_avgs: list[Tensor],
    momentum_buffer_list: list[Tensor],
    state_steps: list[Tensor],
    foreach: bool | None = None,
    maximize: bool = False,
    differentiable: bool = False,
    capturable: bool = False,
    has_complex: bool = False,
    *,
    lr: float | Tensor,
    alpha: float,
    eps: float,
    weight_decay: float,
    momentum: float,
    centered: bool,
) -> None:
    """One step of ``RMSprop``."""
    from .rmsprop import RMSprop

    kept = {
        "square_avg": square_avgs,
        "grad_avg": grad_avgs,
        "momentum_buffer": momentum_buffer_list,
        "step": state_steps,
    }
    _run(
        RMSprop,
        params,
        grads,
        kept,
        {
            "lr": lr,
            "alpha": alpha,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "centered": centered,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        },
    )


def rprop(
    params: list[Tensor],
    grads: list[Tensor],
    prevs: list[Tensor],
    step_sizes: list[Tensor],
    state_steps: list[Tensor],
    foreach: bool | None = None,
    capturable: bool = False,
    maximize: bool = False,
    differentiable: bool = False,
    has_complex: bool = False,
    *,
    step_size_min: float,
    step_size_max: float,
    etaminus: float,
    etaplus: float,
) -> None:
    """One step of ``Rprop``."""
    from .rprop import Rprop

    kept = {"prev": prevs, "step_size": step_sizes, "step": state_steps}
    _run(
        Rprop,
        params,
        grads,
        kept,
        {
            "capturable": capturable,
            "maximize": maximize,
            "differentiable": differentiable,
            "etas": (etaminus, etaplus),
            "step_sizes": (step_size_min, step_size_max),
            "lr": step_size_min,
        },
    )


def adafactor(
    params: list[Tensor],
    grads: list[Tensor],
    row_vars: list[Tensor],
    col_vars: list[Tensor],
    variances: list[Tensor],
    state_steps: list[Tensor],
    foreach: bool | None = None,
    grad_scale: Tensor | None = None,
    found_inf: Tensor | None = None,
    has_complex: bool = False,
    *,
    d: float,
    lr: float | Tensor,
    beta2_decay: float,
    weight_decay: float,
    eps1: float | None,
    eps2: float,
    maximize: bool,
) -> None:
    """One step of ``Adafactor``."""
    _refuse_scaling(grad_scale, found_inf)
    from ._adafactor import _step

    options = {
        "d": d,
        "lr": lr,
        "beta2_decay": beta2_decay,
        "weight_decay": weight_decay,
        "maximize": maximize,
        "eps": (eps1, eps2),
    }
    _step(params, grads, [row_vars, col_vars, variances, state_steps], options)
