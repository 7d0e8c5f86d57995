"""Devices of other makers, which cannot be added: the functions say so."""

from ._build import generate_methods_for_privateuse1_backend, rename_privateuse1_backend

__all__ = ["generate_methods_for_privateuse1_backend", "rename_privateuse1_backend"]
