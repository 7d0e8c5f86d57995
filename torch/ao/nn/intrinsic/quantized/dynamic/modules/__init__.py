"""Fused modules that quantise their input by its own range."""

from .linear_relu import LinearReLU

__all__ = ["LinearReLU"]
