"""ONNX. Models cannot be written as ONNX yet; what packages say at import about their own operations is kept."""

from __future__ import annotations

import re
from importlib import import_module

from torch._missing import missing_function

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = [
    "OnnxExporterError",
    "export",
    "is_in_onnx_export",
    "register_custom_op_symbolic",
    "unregister_custom_op_symbolic",
]

export = missing_function("torch.onnx.export", "there is no exporter; torch.export.save writes a model as a file")

# Qualified name to functions by version: each holds from its version on.
_symbolics: dict[str, dict[int, Callable[..., Any]]] = {}
_NAME = re.compile(r"[a-zA-Z]\w*::\w+")

_MODULES = ("symbolic_helper", "symbolic_opset11")


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"torch.onnx.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class OnnxExporterError(RuntimeError):
    """An operation cannot be written as ONNX."""


def is_in_onnx_export() -> bool:
    """Whether a model is being written as ONNX: never."""
    return False


def register_custom_op_symbolic(symbolic_name: str, symbolic_fn: Callable[..., Any], opset_version: int) -> None:
    """Keep a function that writes an operation as ONNX, from a version of its operation set on.

    Raises OnnxExporterError for a name that is not of the form ``domain::name``.

    >>> torch.onnx.register_custom_op_symbolic("mylib::double", lambda g, x: g.op("Add", x, x), 11)
    >>> torch.onnx.unregister_custom_op_symbolic("mylib::double", 11)
    """
    if not _NAME.fullmatch(symbolic_name):
        raise OnnxExporterError(
            f"Failed to register operator {symbolic_name}. The symbolic name must match the format domain::name, and "
            "should start with a letter and contain only alphanumeric characters"
        )
    _symbolics.setdefault(symbolic_name, {})[opset_version] = symbolic_fn


def unregister_custom_op_symbolic(symbolic_name: str, opset_version: int) -> None:
    """Forget what was registered for a name and version; nothing happens for another."""
    _symbolics.get(symbolic_name, {}).pop(opset_version, None)
