"""Random sparse tensors: the names of ``torch.utils.benchmark``."""

from __future__ import annotations

from torch.utils.benchmark._fuzzer import FuzzedSparseTensor

__all__ = ["FuzzedSparseTensor"]
