"""Averages of models: stochastic weight averaging (Izmailov et al., 2018) and exponential moving averages."""

from __future__ import annotations

import itertools
import math
from copy import deepcopy

import torch
from torch import Tensor

from ..nn.modules.module import Module
from ._lr_base import LRScheduler, _per_group

__all__ = [
    "AveragedModel",
    "update_bn",
    "SWALR",
    "get_ema_multi_avg_fn",
    "get_swa_multi_avg_fn",
    "get_ema_avg_fn",
    "get_swa_avg_fn",
]


def _check_decay(decay) -> None:
    if decay < 0.0 or decay > 1.0:
        raise ValueError(f"Invalid decay value {decay} provided. Please provide a value in [0,1] range.")


def get_ema_multi_avg_fn(decay=0.999):
    """Return a function that updates exponential moving averages of many tensors."""
    _check_decay(decay)

    @torch.no_grad()
    def ema_update(ema_param_list, current_param_list, _) -> None:
        for ema, current in zip(ema_param_list, current_param_list, strict=True):
            if torch.is_floating_point(ema) or torch.is_complex(ema):
                ema.lerp_(current, 1 - decay)
            else:
                ema.copy_(ema * decay + current * (1 - decay))

    return ema_update


def get_swa_multi_avg_fn():
    """Return a function that updates equal averages of many tensors."""

    @torch.no_grad()
    def swa_update(averaged_param_list, current_param_list, num_averaged) -> None:
        for averaged, current in zip(averaged_param_list, current_param_list, strict=True):
            if torch.is_floating_point(averaged) or torch.is_complex(averaged):
                averaged.lerp_(current, float(1 / (num_averaged + 1)))
            else:
                averaged.copy_(averaged + (current - averaged) / (num_averaged + 1))

    return swa_update


def get_ema_avg_fn(decay=0.999):
    """Return a function that gives an exponential moving average of one tensor."""
    _check_decay(decay)

    @torch.no_grad()
    def ema_update(ema_param, current_param, num_averaged):
        return decay * ema_param + (1 - decay) * current_param

    return ema_update


def get_swa_avg_fn():
    """Return a function that gives an equal average of one tensor."""

    @torch.no_grad()
    def swa_update(averaged_param, current_param, num_averaged):
        return averaged_param + (current_param - averaged_param) / (num_averaged + 1)

    return swa_update


class AveragedModel(Module):
    """A copy of a model whose parameters are averages over time."""

    n_averaged: Tensor

    def __init__(self, model, device=None, avg_fn=None, multi_avg_fn=None, use_buffers=False) -> None:
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("Only one of avg_fn and multi_avg_fn should be provided")
        self.module = deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", torch.tensor(0, dtype=torch.long, device=device))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args, **kwargs):
        return self.module(*args, **kwargs)

    def _tensors(self, model):
        if self.use_buffers:
            return itertools.chain(model.parameters(), model.buffers())
        return model.parameters()

    def update_parameters(self, model) -> None:
        """Take the parameters of ``model`` into the averages."""
        averaged, current = [], []
        with torch.no_grad():
            for mine, other in zip(self._tensors(self.module), self._tensors(model), strict=False):
                other = other.detach().to(mine.device)
                averaged.append(mine.detach())
                current.append(other)
                if self.n_averaged == 0:
                    mine.detach().copy_(other)
            if self.n_averaged > 0:
                if self.avg_fn is None:
                    update = self.multi_avg_fn or get_swa_multi_avg_fn()
                    update(averaged, current, self.n_averaged.to(averaged[0].device) if averaged else self.n_averaged)
                else:
                    for mine, other in zip(averaged, current, strict=True):
                        mine.copy_(self.avg_fn(mine, other, self.n_averaged.to(mine.device)))
            if not self.use_buffers:
                for mine, other in zip(self.module.buffers(), model.buffers(), strict=False):
                    mine.detach().copy_(other.detach().to(mine.device))
        self.n_averaged += 1


@torch.no_grad()
def update_bn(loader, model, device=None) -> None:
    """Compute the running statistics of batch normalisations anew, over a pass through the data."""
    from ..nn.modules.batchnorm import _BatchNorm

    momenta = {}
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.reset_running_stats()
            momenta[module] = module.momentum
    if not momenta:
        return
    was_training = model.training
    model.train()
    for module in momenta:
        module.momentum = None
    for batch in loader:
        if isinstance(batch, (list, tuple)):
            batch = batch[0]
        if device is not None:
            batch = batch.to(device)
        model(batch)
    for module, momentum in momenta.items():
        module.momentum = momentum
    model.train(was_training)


class SWALR(LRScheduler):
    """Anneals every rate to a fixed one, and stays there."""

    def __init__(self, optimizer, swa_lr: float, anneal_epochs=10, anneal_strategy: str = "cos", last_epoch=-1) -> None:
        for lr, group in zip(_per_group(swa_lr, optimizer, "swa_lr"), optimizer.param_groups, strict=True):
            group["swa_lr"] = lr
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}")
        self._set_anneal_func(anneal_strategy)
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}")
        self.anneal_epochs = anneal_epochs
        super().__init__(optimizer, last_epoch)

    def _set_anneal_func(self, anneal_strategy: str) -> None:
        self._anneal_strategy = anneal_strategy

    def anneal_func(self, t: float) -> float:
        """Return the share of the final rate at time ``t`` between 0 and 1."""
        return (1 - math.cos(math.pi * t)) / 2 if self._anneal_strategy == "cos" else t

    def get_lr(self) -> list:
        self._warn_outside_step()
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        share = self.anneal_func(max(0, min(1, step / max(1, self.anneal_epochs))))
        before = self.anneal_func(max(0, min(1, (step - 1) / max(1, self.anneal_epochs))))
        # The rate at the start is inferred from the last one, since other schedules may have moved it.
        result = []
        for group in self.optimizer.param_groups:
            target, lr = group["swa_lr"], group["lr"]
            start = target if before == 1 else (lr - before * target) / (1 - before)
            result.append(target * share + start * (1 - share))
        return result
