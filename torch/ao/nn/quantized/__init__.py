"""Modules that compute with quantised tensors."""

from .modules import *  # noqa: F403
from .modules import MaxPool2d as MaxPool2d
from .modules import __all__ as __all__

_LAZY = ("dynamic", "functional", "reference")


def __getattr__(name):
    if name in _LAZY:
        from importlib import import_module

        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
