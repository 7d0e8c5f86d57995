"""Sequences of modules that quantisation treats as one: they compute what their parts do, one after the other."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.nn.utils.parametrize import type_before_parametrizations

__all__ = [
    "ConvReLU1d",
    "ConvReLU2d",
    "ConvReLU3d",
    "LinearReLU",
    "ConvBn1d",
    "ConvBn2d",
    "ConvBnReLU1d",
    "ConvBnReLU2d",
    "ConvBn3d",
    "ConvBnReLU3d",
    "BNReLU2d",
    "BNReLU3d",
    "LinearBn1d",
    "LinearLeakyReLU",
    "LinearTanh",
    "ConvAdd2d",
    "ConvAddReLU2d",
]


class _FusedModule(nn.Sequential):
    """What fused modules are."""


def _check(parts: tuple[Any, ...], kinds: tuple[type, ...]) -> None:
    found = [type_before_parametrizations(part) for part in parts]
    if found != list(kinds):
        names = [kind.__name__ for kind in found]
        text = f"{names[0]} and {names[1]}" if len(names) == 2 else f"{', '.join(names[:-1])}, and {names[-1]}"
        raise AssertionError(f"Incorrect types for input modules: {text}")


class ConvReLU1d(_FusedModule):
    """A convolution and ReLU."""

    def __init__(self, conv, relu):
        _check((conv, relu), (nn.Conv1d, nn.ReLU))
        super().__init__(conv, relu)


class ConvReLU2d(_FusedModule):
    """A convolution and ReLU."""

    def __init__(self, conv, relu):
        _check((conv, relu), (nn.Conv2d, nn.ReLU))
        super().__init__(conv, relu)


class ConvReLU3d(_FusedModule):
    """A convolution and ReLU."""

    def __init__(self, conv, relu):
        _check((conv, relu), (nn.Conv3d, nn.ReLU))
        super().__init__(conv, relu)


class LinearReLU(_FusedModule):
    """A linear layer and ReLU."""

    def __init__(self, linear, relu):
        _check((linear, relu), (nn.Linear, nn.ReLU))
        super().__init__(linear, relu)


class ConvBn1d(_FusedModule):
    """A convolution and its batch normalisation."""

    def __init__(self, conv, bn):
        _check((conv, bn), (nn.Conv1d, nn.BatchNorm1d))
        super().__init__(conv, bn)


class ConvBn2d(_FusedModule):
    """A convolution and its batch normalisation."""

    def __init__(self, conv, bn):
        _check((conv, bn), (nn.Conv2d, nn.BatchNorm2d))
        super().__init__(conv, bn)


class ConvBn3d(_FusedModule):
    """A convolution and its batch normalisation."""

    def __init__(self, conv, bn):
        _check((conv, bn), (nn.Conv3d, nn.BatchNorm3d))
        super().__init__(conv, bn)


class ConvBnReLU1d(_FusedModule):
    """A convolution, its batch normalisation and ReLU."""

    def __init__(self, conv, bn, relu):
        _check((conv, bn, relu), (nn.Conv1d, nn.BatchNorm1d, nn.ReLU))
        super().__init__(conv, bn, relu)


class ConvBnReLU2d(_FusedModule):
    """A convolution, its batch normalisation and ReLU."""

    def __init__(self, conv, bn, relu):
        _check((conv, bn, relu), (nn.Conv2d, nn.BatchNorm2d, nn.ReLU))
        super().__init__(conv, bn, relu)


class ConvBnReLU3d(_FusedModule):
    """A convolution, its batch normalisation and ReLU."""

    def __init__(self, conv, bn, relu):
        _check((conv, bn, relu), (nn.Conv3d, nn.BatchNorm3d, nn.ReLU))
        super().__init__(conv, bn, relu)


class BNReLU2d(_FusedModule):
    """Batch normalisation and ReLU."""

    def __init__(self, batch_norm, relu):
        _check((batch_norm, relu), (nn.BatchNorm2d, nn.ReLU))
        super().__init__(batch_norm, relu)


class BNReLU3d(_FusedModule):
    """Batch normalisation and ReLU."""

    def __init__(self, batch_norm, relu):
        _check((batch_norm, relu), (nn.BatchNorm3d, nn.ReLU))
        super().__init__(batch_norm, relu)


class LinearBn1d(_FusedModule):
    """A linear layer and its batch normalisation."""

    def __init__(self, linear, bn):
        _check((linear, bn), (nn.Linear, nn.BatchNorm1d))
        super().__init__(linear, bn)


class LinearLeakyReLU(_FusedModule):
    """A linear layer and a leaky ReLU."""

    def __init__(self, linear, leaky_relu):
        _check((linear, leaky_relu), (nn.Linear, nn.LeakyReLU))
        super().__init__(linear, leaky_relu)


class LinearTanh(_FusedModule):
    """A linear layer and tanh."""

    def __init__(self, linear, tanh):
        _check((linear, tanh), (nn.Linear, nn.Tanh))
        super().__init__(linear, tanh)


class ConvAdd2d(_FusedModule):
    """A convolution, and the sum with another tensor."""

    def __init__(self, conv, add):
        super().__init__(conv)
        self.add = add

    def forward(self, x1, x2):
        """The convolution of ``x1``, plus ``x2``."""
        return self.add(self[0](x1), x2)


class ConvAddReLU2d(_FusedModule):
    """A convolution, the sum with another tensor, and ReLU."""

    def __init__(self, conv, add, relu):
        super().__init__(conv)
        self.add, self.relu = add, relu

    def forward(self, x1, x2):
        """ReLU of the convolution of ``x1`` plus ``x2``."""
        return self.relu(self.add(self[0](x1), x2))
