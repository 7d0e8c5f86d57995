"""Passes over TorchScript modules for phones' runtimes, which Tabula does not have: the functions say so."""

from __future__ import annotations

import enum
from typing import Any

from torch._missing import not_available

__all__ = ["LintCode", "MobileOptimizerType", "generate_mobile_module_lints", "optimize_for_mobile"]

_REASON = (
    "the passes over TorchScript for phones' runtimes are no part of Tabula; torch.jit.freeze and "
    "torch.jit.optimize_for_inference prepare a module for inference"
)


class LintCode(enum.Enum):
    """What a module should not have on a phone."""

    BUNDLED_INPUT = 1
    REQUIRES_GRAD = 2
    DROPOUT = 3
    BATCHNORM = 4


class MobileOptimizerType(enum.Enum):
    """Steps of the optimisation."""

    CONV_BN_FUSION = 0
    INSERT_FOLD_PREPACK_OPS = 1
    REMOVE_DROPOUT = 2
    FUSE_ADD_RELU = 3
    HOIST_CONV_PACKED_PARAMS = 4
    VULKAN_AUTOMATIC_GPU_TRANSFER = 5


def optimize_for_mobile(
    script_module: Any, optimization_blocklist: Any = None, preserved_methods: Any = None, backend: str = "CPU"
) -> Any:
    """Raise NotImplementedError: it takes TorchScript modules."""
    raise not_available("torch.utils.mobile_optimizer.optimize_for_mobile", _REASON)


def generate_mobile_module_lints(script_module: Any) -> Any:
    """Raise NotImplementedError: it takes TorchScript modules."""
    raise not_available("torch.utils.mobile_optimizer.generate_mobile_module_lints", _REASON)
