"""Modules that are made of quantisable parts, to be calibrated."""

from .modules import *  # noqa: F403
from .modules import __all__ as __all__
