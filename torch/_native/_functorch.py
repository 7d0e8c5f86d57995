"""What ``torch._C._functorch`` tells about tensors below ``vmap``.

A tensor that a mapped function sees keeps its batch beside it (``src/interp/vmap.h``); the functions of this module
look at it from outside.
"""

from __future__ import annotations

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from torch import Tensor


def is_batchedtensor(tensor: Tensor) -> bool:
    """Whether a tensor is one example of a batch that ``vmap`` maps over."""
    return torch._C._vmap_parts(tensor) is not None


def is_legacy_batchedtensor(tensor: Tensor) -> bool:
    """Whether a tensor is of the first ``vmap`` of PyTorch, of which there are none here."""
    return False


def is_functorch_wrapped_tensor(tensor: Tensor) -> bool:
    """Whether a transform stands between the caller and the tensor's elements."""
    return is_batchedtensor(tensor)
