"""Modules with quantised weights that quantise their input by its own range, and give float32."""

from .modules import *  # noqa: F403
from .modules import __all__ as __all__
