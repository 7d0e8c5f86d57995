"""Modules that say themselves how they are exported."""

from __future__ import annotations

import abc
import warnings

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ._program import ONNXProgram

__all__ = ["ExportableModule"]


class ExportableModule(torch.nn.Module, abc.ABC):
    """A module with its example arguments, names and open sizes, for ``to_onnx``.

    >>> class Doubled(torch.onnx.ExportableModule):
    ...     def forward(self, x):
    ...         return 2 * x
    ...     def example_arguments(self):
    ...         return (torch.ones(2, 4),), None
    ...     def dynamic_shapes(self):
    ...         return ({0: "batch"},)
    >>> Doubled().input_names() is None
    True
    """

    @abc.abstractmethod
    def example_arguments(self) -> tuple[tuple[Any], dict[str, Any] | None]:
        """The arguments and keyword arguments that the module is traced with."""

    def dynamic_shapes(self) -> Any:
        """Which sizes stay open; None for none."""
        return None

    def input_names(self) -> Sequence[str] | None:
        """Names of the model's inputs; None keeps those of the parameters."""
        return None

    def output_names(self) -> Sequence[str] | None:
        """Names of the model's outputs."""
        return None

    def to_onnx(self, **kwargs: Any) -> ONNXProgram:
        """The module as an ONNX model; ``kwargs`` are those of ``torch.onnx.export``."""
        if self.training:
            warnings.warn(
                "Exporting a model while it is in training mode. Please ensure that this is intended, as it may lead "
                "to different behavior during inference. Calling model.eval() before export is recommended.",
                stacklevel=2,
            )
        args, by_name = self.example_arguments()
        own = {
            "args": args, "kwargs": by_name, "dynamic_shapes": self.dynamic_shapes(),
            "input_names": self.input_names(), "output_names": self.output_names(),
        }  # fmt: skip
        program = torch.onnx.export(self, **{**own, **kwargs})
        assert program is not None
        return program
