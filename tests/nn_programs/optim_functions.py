"""Optimizers as functions of lists, and what torch.optim.optimizer offers to those who write one."""

import importlib

from programs import attempt, show

import torch
from torch import nn, optim
from torch.optim.optimizer import (
    Optimizer,
    _default_to_fused_or_foreach,
    _get_capturable_supported_devices,
    _use_grad_for_differentiable,
)


def lists(count=2, shape=(2, 3)):
    return [torch.sin(torch.arange(6.0) + i).view(shape) for i in range(count)]


def zeros(shape=(2, 3)):
    return [torch.zeros(shape) for _ in range(2)]


def steps():
    return [torch.zeros(()) for _ in range(2)]


KEPT = {
    "adadelta": lambda: [zeros(), zeros(), steps()],
    "adagrad": lambda: [zeros(), steps()],
    "adam": lambda: [zeros(), zeros(), [], steps()],
    "adamax": lambda: [zeros(), zeros(), steps()],
    "adamw": lambda: [zeros(), zeros(), [], steps()],
    "asgd": lambda: [zeros(), [torch.ones(()) for _ in range(2)], [torch.full((), 0.1) for _ in range(2)], steps()],
    "nadam": lambda: [zeros(), zeros(), [torch.ones(()) for _ in range(2)], steps()],
    "radam": lambda: [zeros(), zeros(), steps()],
    "rmsprop": lambda: [zeros(), zeros(), zeros(), steps()],
    "rprop": lambda: [zeros(), [torch.full((2, 3), 0.1) for _ in range(2)], steps()],
    "sgd": lambda: [[None, None]],
}
BETAS = {"beta1": 0.9, "beta2": 0.99, "lr": 0.1, "weight_decay": 0.1, "eps": 1e-8}
OPTIONS = {
    "adadelta": {"lr": 1.0, "rho": 0.9, "eps": 1e-6, "weight_decay": 0.1, "maximize": False},
    "adagrad": {"lr": 0.1, "weight_decay": 0.1, "lr_decay": 0.1, "eps": 1e-10, "maximize": True},
    "adam": {**BETAS, "amsgrad": False, "maximize": False},
    "adamax": BETAS,
    "adamw": {**BETAS, "amsgrad": False, "maximize": True},
    "asgd": {"lambd": 1e-4, "lr": 0.1, "t0": 1.0, "alpha": 0.75, "weight_decay": 0.1},
    "nadam": {**BETAS, "momentum_decay": 0.004},
    "radam": {**BETAS, "maximize": True},
    "rmsprop": {"lr": 0.1, "alpha": 0.9, "eps": 1e-8, "weight_decay": 0.1, "momentum": 0.9, "centered": True},
    "rprop": {"step_size_min": 1e-6, "step_size_max": 50.0, "etaminus": 0.5, "etaplus": 1.2},
    "sgd": {
        "weight_decay": 0.1, "momentum": 0.9, "lr": 0.1, "dampening": 0.0, "nesterov": False, "maximize": False,
    },
}  # fmt: skip
for name, make in KEPT.items():
    function = getattr(importlib.import_module(f"torch.optim.{name}"), name)
    params, kept = [p.clone() for p in lists()], make()
    for k in range(3):
        attempt(function, params, [g * (k + 1) for g in lists()], *kept, **OPTIONS[name])
    show(name, params, kept)

p, q = torch.ones(1), torch.ones(2)
show(_default_to_fused_or_foreach([p], False), _default_to_fused_or_foreach([p], False, True))
show(_default_to_fused_or_foreach([p], True, True), _get_capturable_supported_devices(supports_xla=False))
groups = Optimizer._group_tensors_by_device_and_dtype([[p, q], [q, p]], with_indices=True)
show([(str(d), str(t), g, i) for (d, t), (g, i) in groups.items()])


class Own(Optimizer):
    def __init__(self, params, lr=0.1, differentiable=False):
        super().__init__(params, {"lr": lr, "differentiable": differentiable})

    @_use_grad_for_differentiable
    def step(self, closure=None):
        show(torch.is_grad_enabled())
        for group in self.param_groups:
            for param in group["params"]:
                if param.grad is not None:
                    param.add_(param.grad, alpha=-group["lr"])


weight = nn.Parameter(torch.ones(2))
weight.grad = torch.ones(2)
own = Own([weight])
attempt(own.step)
show(weight, own, torch.is_grad_enabled())
attempt(optim.lr_scheduler.ExponentialLR(own, 0.5).get_last_lr)
attempt(Own([weight], differentiable=True).step)
