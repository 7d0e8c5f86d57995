"""Fused modules that quantise their input by its own range."""

from .modules import *  # noqa: F403
from .modules import __all__ as __all__
