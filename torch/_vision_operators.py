"""The operations of torchvision's C++ library, which cannot be loaded here.

torchvision gives ``nms`` and ``qnms`` an implementation for tensors without memory when it is imported, and so needs
both to be there. ``qnms``, the same for quantized boxes, has no other implementation.
"""

from __future__ import annotations

import torch
from torch import library

TYPE_CHECKING = False
if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["nms"]


def nms(dets: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Non-maximum suppression: the boxes that overlap no better one.

    Args:
        dets: boxes as corners (x1, y1, x2, y2), shape [n, 4].
        scores: the better, the higher; shape [n].
        iou_threshold: boxes overlap whose intersection is more than this part of their union.

    Returns:
        The numbers of the boxes that stay, best first: int64, shape [at most n].

    >>> import torch
    >>> boxes = torch.tensor([[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 2.0, 1.9], [5.0, 5.0, 6.0, 6.0]])
    >>> torch.ops.torchvision.nms(boxes, torch.tensor([0.5, 0.9, 0.7]), 0.5)
    tensor([1, 2])
    """
    torch._check(dets.dim() == 2, lambda: f"boxes should be a 2d tensor, got {dets.dim()}D")
    torch._check(dets.size(1) == 4, lambda: f"boxes should have 4 elements in dimension 1, got {dets.size(1)}")
    torch._check(scores.dim() == 1, lambda: f"scores should be a 1d tensor, got {scores.dim()}D")
    torch._check(
        dets.size(0) == scores.size(0),
        lambda: "boxes and scores should have same number of elements in dimension 0, got "
        f"{dets.size(0)} and {scores.size(0)}",
    )
    order = scores.argsort(descending=True, stable=True)
    low, high = dets[order].split(2, 1)
    area = (high - low).prod(1)
    kept = []
    left = torch.arange(len(order))
    while len(left):
        best = left[0]
        kept.append(order[best])
        shared = (torch.minimum(high[left], high[best]) - torch.maximum(low[left], low[best])).clamp(min=0).prod(1)
        apart = shared <= iou_threshold * (area[left] + area[best] - shared)
        apart[0] = False
        left = left[apart]
    return torch.stack(kept) if kept else order


_library = library.Library("torchvision", "DEF")
for _name in ("nms", "qnms"):
    _library.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
_library.impl("nms", nms, "CPU")
