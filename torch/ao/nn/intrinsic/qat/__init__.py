"""Fused modules that round their weights as quantising would, for training."""

from .modules import *  # noqa: F403
from .modules import __all__ as __all__
