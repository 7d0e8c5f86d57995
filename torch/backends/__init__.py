"""The libraries behind operations: which are there, and switches that programs set."""

from __future__ import annotations

import sys as _sys
from importlib import import_module as _import_module

from . import _switches

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_FILES = ("cpu", "cuda", "mkl", "opt_einsum", "openmp")

__all__ = [
    "cpu",
    "cuda",
    "cudnn",
    "cusparselt",
    "kleidiai",
    "mha",
    "miopen",
    "mkl",
    "mkldnn",
    "mps",
    "nnpack",
    "openmp",
    "opt_einsum",
    "python_native",
    "quantized",
]


def __getattr__(name: str) -> Any:
    if name == "m":  # as PyTorch calls the module itself
        return _sys.modules[__name__]
    if name in _FILES:
        return _import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


for _name, _module in _switches.MODULES.items():
    globals()[_name] = _module
    _sys.modules[f"{__name__}.{_name}"] = _module
