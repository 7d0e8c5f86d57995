"""A linear layer that trains for dynamic quantisation."""

from __future__ import annotations

from torch.ao.nn.qat.modules import linear as _linear


class Linear(_linear.Linear):
    """``torch.ao.nn.qat.Linear`` for a qconfig whose activations are quantised by their own range.

    Raises:
        ValueError: if their scales do not come from the tensor at hand, or remember others.
    """

    def __init__(self, in_features, out_features, bias=True, qconfig=None, device=None, dtype=None) -> None:
        super().__init__(in_features, out_features, bias, qconfig, device, dtype)
        from torch.ao.quantization.qconfig import _activation_is_memoryless
        from torch.ao.quantization.utils import activation_is_dynamically_quantized

        if activation_is_dynamically_quantized(qconfig) and not _activation_is_memoryless(qconfig):
            raise ValueError(
                "Dynamic QAT requires a memoryless observer."
                "This means a MovingAverage observer with averaging constant equal to 1"
            )
