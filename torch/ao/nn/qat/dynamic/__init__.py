"""Modules that train for dynamic quantisation."""

from .modules import *  # noqa: F403
from .modules import __all__ as __all__
