"""Exchange of tensors with other libraries, without copying."""

from __future__ import annotations

import enum

from torch import _C
from torch._C import from_dlpack

__all__ = ["DLDeviceType", "from_dlpack", "to_dlpack"]

to_dlpack = _C._to_dlpack


class DLDeviceType(enum.IntEnum):
    """The kinds of devices that DLPack knows."""

    kDLCPU = 1
    kDLCUDA = 2
    kDLCUDAHost = 3
    kDLOpenCL = 4
    kDLVulkan = 7
    kDLMetal = 8
    kDLVPI = 9
    kDLROCM = 10
    kDLROCMHost = 11
    kDLExtDev = 12
    kDLCUDAManaged = 13
    kDLOneAPI = 14
    kDLWebGPU = 15
    kDLHexagon = 16
    kDLMAIA = 17
