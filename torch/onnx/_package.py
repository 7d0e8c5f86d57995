"""The packages that ONNX models need; each is loaded at first use."""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["onnx", "runtime"]


def _load(name: str, what: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError as e:
        if e.name != name:
            raise
        raise ModuleNotFoundError(f"{what} needs the package '{name}': pip install {name}", name=name) from None


def onnx() -> Any:
    """The package ``onnx``, which writes models."""
    return _load("onnx", "torch.onnx.export")


def runtime() -> Any:
    """The package ``onnxruntime``, which runs models."""
    return _load("onnxruntime", "running an ONNX model")
