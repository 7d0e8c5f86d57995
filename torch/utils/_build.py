"""Where a C++ program finds the library, and what PyTorch offers for devices of other makers."""

from __future__ import annotations

import os
from typing import Any

import torch
from torch._missing import not_available

cmake_prefix_path = os.path.join(os.path.dirname(torch.__file__), "share", "cmake")


def rename_privateuse1_backend(backend_name: str) -> None:
    """Raise NotImplementedError: devices of other makers cannot be added."""
    raise not_available("torch.utils.rename_privateuse1_backend", "devices of other makers cannot be added")


def generate_methods_for_privateuse1_backend(
    for_tensor: bool = True, for_module: bool = True, for_packed_sequence: bool = True, for_storage: bool = False,
    unsupported_dtype: Any = None,
) -> None:  # fmt: skip
    """Raise NotImplementedError: devices of other makers cannot be added."""
    raise not_available(
        "torch.utils.generate_methods_for_privateuse1_backend", "devices of other makers cannot be added"
    )


def get_cpp_backtrace(frames_to_skip: int = 0, maximum_number_of_frames: int = 64) -> str:
    """Raise NotImplementedError: the extension keeps no symbols; a debugger such as gdb shows its frames."""
    raise not_available("torch.utils.get_cpp_backtrace", "the extension keeps no symbols; use a debugger such as gdb")


class ThroughputBenchmark:
    """Not there: it runs TorchScript modules."""

    def __init__(self, module: Any) -> None:
        """Raise NotImplementedError."""
        raise not_available(
            "torch.utils.ThroughputBenchmark", "it runs TorchScript modules, which Tabula does not have"
        )
