"""What goes wrong while a module is written as an ONNX model."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["OnnxExporterError", "OnnxExporterWarning", "SymbolicValueError", "UnsupportedOperatorError"]


class OnnxExporterWarning(UserWarning):
    """The model may not be what was meant."""


class OnnxExporterError(RuntimeError):
    """The module could not be written."""


class TorchExportError(OnnxExporterError):
    """``torch.export`` could not trace the module."""


class ConversionError(OnnxExporterError):
    """The traced program could not be written in ONNX."""


class UnsupportedOperatorError(OnnxExporterError):
    """An operation has no form in this version of ONNX."""

    def __init__(self, name: str, version: int, supported_version: int | None = None) -> None:
        if supported_version is not None:
            text = (
                f"Exporting the operator '{name}' to ONNX opset version {version} is not supported. Support for this "
                f"operator was added in version {supported_version}, try exporting with this version"
            )
        else:
            text = f"Exporting the operator '{name}' to ONNX opset version {version} is not supported"
        super().__init__(text)


class SymbolicValueError(OnnxExporterError):
    """A value of the model is not what its form needs."""

    def __init__(self, msg: str, value: Any) -> None:
        super().__init__(f"{msg}  [Caused by the value '{value}']")
