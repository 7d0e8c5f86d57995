"""Fused modules of quantised tensors."""

from .modules import *  # noqa: F403
from .modules import __all__ as __all__


def __getattr__(name):
    if name == "dynamic":
        from importlib import import_module

        return import_module(f"{__name__}.dynamic")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
