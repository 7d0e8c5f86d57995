"""The class of jagged tensors, under the name that PyTorch's checkpoints have for it."""

from .._jagged import NestedTensor, _rebuild_njt

__all__ = ["NestedTensor", "_rebuild_njt"]
