"""Places where a model's tensors become quantised, and real numbers again."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


class QuantStub(nn.Module):
    """Lets tensors pass; ``convert`` puts a module here that quantises them.

    Args:
        qconfig: the observers; those of the model by default.
    """

    def __init__(self, qconfig: Any = None):
        super().__init__()
        if qconfig:
            self.qconfig = qconfig

    def forward(self, x: Tensor) -> Tensor:
        """Return the input."""
        return x


class DeQuantStub(nn.Module):
    """Lets tensors pass; ``convert`` puts a module here that dequantises them.

    Args:
        qconfig: the observers; those of the model by default.
    """

    def __init__(self, qconfig: Any | None = None):
        super().__init__()
        if qconfig:
            self.qconfig = qconfig

    def forward(self, x: Tensor) -> Tensor:
        """Return the input."""
        return x


class QuantWrapper(nn.Module):
    """A module between a ``QuantStub`` and a ``DeQuantStub``.

    >>> torch.ao.quantization.QuantWrapper(torch.nn.ReLU())
    QuantWrapper(
      (quant): QuantStub()
      (dequant): DeQuantStub()
      (module): ReLU()
    )
    """

    quant: QuantStub
    dequant: DeQuantStub
    module: nn.Module

    def __init__(self, module: nn.Module):
        super().__init__()
        qconfig = getattr(module, "qconfig", None)
        self.add_module("quant", QuantStub(qconfig))
        self.add_module("dequant", DeQuantStub(qconfig))
        self.add_module("module", module)
        self.train(module.training)

    def forward(self, X: Tensor) -> Tensor:
        """Quantise, run the module, dequantise."""
        return self.dequant(self.module(self.quant(X)))
