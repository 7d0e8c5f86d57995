"""Convolutions."""

from __future__ import annotations

from ._conv import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from ._conv import _ConvNd as _ConvNd
from ._conv import _ConvTransposeNd as _ConvTransposeNd
from ._lazy_conv import (
    LazyConv1d,
    LazyConv2d,
    LazyConv3d,
    LazyConvTranspose1d,
    LazyConvTranspose2d,
    LazyConvTranspose3d,
)
from ._lazy_conv import _LazyConvXdMixin as _LazyConvXdMixin

__all__ = [
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "LazyConv1d",
    "LazyConv2d",
    "LazyConv3d",
    "LazyConvTranspose1d",
    "LazyConvTranspose2d",
    "LazyConvTranspose3d",
]

# Saved modules name their classes by this module.
for _name in __all__:
    globals()[_name].__module__ = __name__
