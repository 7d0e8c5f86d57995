"""The linear layer with a weight that is quantised and dequantised."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's name here
from torch import Tensor, nn

from .utils import ReferenceQuantizedModule

__all__ = ["Linear"]


class Linear(ReferenceQuantizedModule, nn.Linear):
    """``nn.Linear`` whose weight is quantised and dequantised by ``weight_qparams`` each time.

    Args:
        in_features: size of the inputs.
        out_features: size of the outputs.
        bias_: whether there is a bias.
        device: of the parameters.
        dtype: of the parameters.
        weight_qparams: qscheme, dtype, scale, zero_point and axis of the weight.
    """

    _IS_REFERENCE = True

    def __init__(
        self, in_features: int, out_features: int, bias_: bool = True, device: Any = None,
        dtype: torch.dtype | None = None, weight_qparams: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(in_features, out_features, bias_, device, dtype)
        self._init_weight_qparams(weight_qparams, device)

    def _get_name(self):
        return "QuantizedLinear(Reference)"

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) to (..., out), float32."""
        return F.linear(x, self.get_weight(), self.bias)

    @classmethod
    def from_float(cls, float_linear, weight_qparams):
        """Take the place of a linear layer, and have its parameters."""
        result = cls(
            float_linear.in_features, float_linear.out_features, float_linear.bias is not None,
            device=float_linear.weight.device, dtype=float_linear.weight.dtype, weight_qparams=weight_qparams,
        )  # fmt: skip
        result.weight = nn.Parameter(float_linear.weight.detach())
        if float_linear.bias is not None:
            result.bias = nn.Parameter(float_linear.bias.detach())
        return result
