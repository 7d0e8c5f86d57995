"""Random tensors: the names of ``torch.utils.benchmark``."""

from __future__ import annotations

from torch.utils.benchmark._fuzzer import FuzzedParameter, FuzzedTensor, Fuzzer, ParameterAlias

__all__ = ["FuzzedParameter", "FuzzedTensor", "Fuzzer", "ParameterAlias"]
