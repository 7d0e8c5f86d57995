"""Operations between tensors as modules, so that each has an observer of its own."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .utils import NumberState, set_output

__all__ = ["FloatFunctional", "FXFloatFunctional", "QFunctional"]


class FloatFunctional(nn.Module):
    """Sums, products and the like, whose results are observed: to be used in place of ``+`` and ``torch.cat``.

    >>> torch.ao.nn.quantized.FloatFunctional().add(torch.tensor(1.0), torch.tensor(2.0))
    tensor(3.)
    """

    def __init__(self) -> None:
        super().__init__()
        self.activation_post_process = nn.Identity()

    def forward(self, x):
        """Raise RuntimeError: call the operation that is meant."""
        raise RuntimeError("FloatFunctional is not intended to use the 'forward'. Please use the underlying operation")

    def add(self, x: Tensor, y: Tensor) -> Tensor:
        """``x + y``."""
        return self.activation_post_process(torch.add(x, y))

    def add_scalar(self, x: Tensor, y: float) -> Tensor:
        """``x + y`` for a number ``y``."""
        return torch.add(x, y)

    def mul(self, x: Tensor, y: Tensor) -> Tensor:
        """``x * y``."""
        return self.activation_post_process(torch.mul(x, y))

    def mul_scalar(self, x: Tensor, y: float) -> Tensor:
        """``x * y`` for a number ``y``."""
        return torch.mul(x, y)

    def cat(self, x: list[Tensor], dim: int = 0) -> Tensor:
        """``torch.cat(x, dim)``."""
        return self.activation_post_process(torch.cat(x, dim=dim))

    def add_relu(self, x: Tensor, y: Tensor) -> Tensor:
        """``relu(x + y)``."""
        return self.activation_post_process(torch.nn.functional.relu(torch.add(x, y)))

    def matmul(self, x: Tensor, y: Tensor) -> Tensor:
        """``x @ y``."""
        return self.activation_post_process(torch.matmul(x, y))


class FXFloatFunctional(nn.Module):
    """The same operations without observers."""

    def forward(self, x):
        """Raise RuntimeError: call the operation that is meant."""
        raise RuntimeError("FloatFunctional is not intended to use the 'forward'. Please use the underlying operation")

    def add(self, x: Tensor, y: Tensor) -> Tensor:
        """``x + y``."""
        return torch.add(x, y)

    def add_scalar(self, x: Tensor, y: float) -> Tensor:
        """``x + y`` for a number ``y``."""
        return torch.add(x, y)

    def mul(self, x: Tensor, y: Tensor) -> Tensor:
        """``x * y``."""
        return torch.mul(x, y)

    def mul_scalar(self, x: Tensor, y: float) -> Tensor:
        """``x * y`` for a number ``y``."""
        return torch.mul(x, y)

    def cat(self, x: list[Tensor], dim: int = 0) -> Tensor:
        """``torch.cat(x, dim)``."""
        return torch.cat(x, dim=dim)

    def add_relu(self, x: Tensor, y: Tensor) -> Tensor:
        """``relu(x + y)``."""
        return torch.nn.functional.relu(torch.add(x, y))

    def matmul(self, x: Tensor, y: Tensor) -> Tensor:
        """``x @ y``."""
        return torch.matmul(x, y)


class QFunctional(NumberState, nn.Module):
    """The same operations on quantised tensors; ``scale`` and ``zero_point`` are those of the results."""

    def __init__(self) -> None:
        super().__init__()
        self.scale, self.zero_point = 1.0, 0
        self.activation_post_process = nn.Identity()

    def _get_name(self):
        return "QFunctional"

    def extra_repr(self):
        return f"scale={self.scale}, zero_point={self.zero_point}"

    def forward(self, x):
        """Raise RuntimeError: call the operation that is meant."""
        raise RuntimeError("Functional is not intended to use the 'forward'. Please use the underlying operation")

    def _done(self, name, *args):
        operation = getattr(torch.ops.quantized, name)
        return self.activation_post_process(operation(*args, self.scale, self.zero_point))

    def add(self, x: Tensor, y: Tensor) -> Tensor:
        """``x + y``."""
        return self._done("add", x, y)

    def add_scalar(self, x: Tensor, y: float) -> Tensor:
        """``x + y`` for a number ``y``; the map follows from that of ``x``."""
        return torch.ops.quantized.add_scalar(x, y)

    def mul(self, x: Tensor, y: Tensor) -> Tensor:
        """``x * y``."""
        return self._done("mul", x, y)

    def mul_scalar(self, x: Tensor, y: float) -> Tensor:
        """``x * y`` for a number ``y``; the map follows from that of ``x``."""
        return torch.ops.quantized.mul_scalar(x, y)

    def cat(self, x: list[Tensor], dim: int = 0) -> Tensor:
        """``torch.cat(x, dim)``."""
        result = torch.ops.quantized.cat(x, dim, self.scale, self.zero_point)
        return self.activation_post_process(result)

    def add_relu(self, x: Tensor, y: Tensor) -> Tensor:
        """``relu(x + y)``."""
        return self._done("add_relu", x, y)

    def matmul(self, x: Tensor, y: Tensor) -> Tensor:
        """``x @ y``; the result is not observed."""
        return torch.ops.quantized.matmul(x, y, self.scale, self.zero_point)

    @classmethod
    def from_float(cls, mod, use_precomputed_fake_quant=False):
        """Take the place of a ``FloatFunctional`` after calibration; AssertionError for another module."""
        if type(mod) is not FloatFunctional:
            raise AssertionError("QFunctional.from_float expects an instance of FloatFunctional")
        return set_output(cls(), *mod.activation_post_process.calculate_qparams())
