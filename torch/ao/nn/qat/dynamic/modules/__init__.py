"""Modules that train for dynamic quantisation."""

from .linear import Linear

__all__ = ["Linear"]
