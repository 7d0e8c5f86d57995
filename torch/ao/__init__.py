"""Architecture optimisation: quantised modules (``torch.ao.nn``) and how models become quantised."""

from __future__ import annotations

from importlib import import_module as _import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["nn", "ns", "quantization", "pruning"]

_PRESENT = ("nn", "quantization")


def __getattr__(name: str) -> Any:
    if name in _PRESENT:
        return _import_module(f"{__name__}.{name}")
    if name in __all__:
        raise AttributeError(f"module 'torch.ao' has no attribute {name!r}: not part of Tabula yet")
    raise AttributeError(f"module 'torch.ao' has no attribute {name!r}")
