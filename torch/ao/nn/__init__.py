"""Quantised modules, those that train for them, and fused ones."""

from __future__ import annotations

from importlib import import_module as _import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["intrinsic", "qat", "quantizable", "quantized", "sparse"]


def __getattr__(name: str) -> Any:
    if name == "sparse":
        raise AttributeError("torch.ao.nn.sparse is not part of Tabula yet: block-sparse quantised layers")
    if name in __all__:
        return _import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
