"""The opt_einsum package, which is not used: ``torch.einsum`` contracts from left to right."""

from __future__ import annotations

enabled = False
strategy = None


def is_available() -> bool:
    """Always False."""
    return False


def get_opt_einsum() -> None:
    """None: the package is not used."""
