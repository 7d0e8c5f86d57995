"""The instruction set that kernels use."""

from __future__ import annotations

import torch.cpu

__all__ = ["get_cpu_capability"]


def get_cpu_capability() -> str:
    """The name of the widest instruction set that this processor and the kernels share.

    >>> torch.backends.cpu.get_cpu_capability() in ("DEFAULT", "AVX2", "AVX512")
    True
    """
    have = torch.cpu.get_capabilities()
    if have["avx512f"] and have["avx512bw"] and have["avx512vl"]:
        return "AVX512"
    return "AVX2" if have["avx2"] and have["fma"] else "DEFAULT"
