"""Switches of the CUDA libraries: programs may set them, there is no CUDA backend to obey."""

from __future__ import annotations

import contextlib
import types

from torch._accelerators import constant, refusing_class

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from torch import Tensor

_state = {"flash": True, "math": True, "mem_efficient": True, "cudnn": True, "fp16_bf16_reduction": False}


def is_built() -> bool:
    """Always False."""
    return False


def flash_sdp_enabled() -> bool:
    """What ``enable_flash_sdp`` was told."""
    return _state["flash"]


def enable_flash_sdp(enabled: bool) -> None:
    """Whether attention may use the flash kernel."""
    _state["flash"] = bool(enabled)


def math_sdp_enabled() -> bool:
    """What ``enable_math_sdp`` was told."""
    return _state["math"]


def enable_math_sdp(enabled: bool) -> None:
    """Whether attention may be computed from its formula."""
    _state["math"] = bool(enabled)


def mem_efficient_sdp_enabled() -> bool:
    """What ``enable_mem_efficient_sdp`` was told."""
    return _state["mem_efficient"]


def enable_mem_efficient_sdp(enabled: bool) -> None:
    """Whether attention may use the memory-efficient kernel."""
    _state["mem_efficient"] = bool(enabled)


def cudnn_sdp_enabled() -> bool:
    """What ``enable_cudnn_sdp`` was told."""
    return _state["cudnn"]


def enable_cudnn_sdp(enabled: bool) -> None:
    """Whether attention may use cuDNN."""
    _state["cudnn"] = bool(enabled)


def fp16_bf16_reduction_math_sdp_allowed() -> bool:
    """What ``allow_fp16_bf16_reduction_math_sdp`` was told."""
    return _state["fp16_bf16_reduction"]


def allow_fp16_bf16_reduction_math_sdp(enabled: bool) -> None:
    """Whether sums in attention may be rounded to half precision."""
    _state["fp16_bf16_reduction"] = bool(enabled)


@contextlib.contextmanager
def sdp_kernel(
    enable_flash: bool = True, enable_math: bool = True, enable_mem_efficient: bool = True, enable_cudnn: bool = True
) -> Iterator[None]:
    """Set the switches of attention until the end of the block."""
    before = dict(_state)
    _state.update(flash=enable_flash, math=enable_math, mem_efficient=enable_mem_efficient, cudnn=enable_cudnn)
    try:
        yield
    finally:
        _state.update(before)


class SDPAParams:
    """The arguments of an attention call, as the ``can_use_`` functions take them."""

    def __init__(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None,
        dropout: float,
        is_causal: bool,
        enable_gqa: bool,
        /,
    ) -> None:
        self.query = query
        self.key = key
        self.value = value
        self.attn_mask = attn_mask
        self.dropout = dropout
        self.is_causal = is_causal
        self.enable_gqa = enable_gqa


def _no(name: str) -> Any:
    return constant(name, False, "Always False: there is no CUDA backend.")


def can_use_flash_attention(params: SDPAParams, debug: bool = False) -> bool:
    """Always False: there is no CUDA backend."""
    return False


def can_use_efficient_attention(params: SDPAParams, debug: bool = False) -> bool:
    """Always False: there is no CUDA backend."""
    return False


def can_use_cudnn_attention(params: SDPAParams, debug: bool = False) -> bool:
    """Always False: there is no CUDA backend."""
    return False


is_ck_sdpa_available = _no("is_ck_sdpa_available")
is_flash_attention_available = _no("is_flash_attention_available")


class cuBLASModule:  # noqa: N801
    """Switches of matrix products."""

    allow_tf32 = False
    allow_fp16_reduced_precision_reduction = True
    allow_bf16_reduced_precision_reduction = True
    allow_fp16_accumulation = False
    fp32_precision = "none"


matmul = cuBLASModule()
_NO_FFT = "Torch not compiled with CUDA enabled"
cuFFTPlanCache = refusing_class("cuFFTPlanCache", __name__, _NO_FFT)  # noqa: N816
cuFFTPlanCacheAttrContextProp = refusing_class("cuFFTPlanCacheAttrContextProp", __name__, _NO_FFT)  # noqa: N816
cuFFTPlanCacheManager = refusing_class("cuFFTPlanCacheManager", __name__, _NO_FFT)  # noqa: N816
cufft_plan_cache = types.SimpleNamespace(max_size=0, size=0, clear=lambda: None)


def _setting(name: str, default: Any) -> Any:
    """A function that sets its value if given one, and returns it."""
    value = [default]

    def function(wanted: Any = None, *args: Any) -> Any:
        if wanted is not None:
            value[0] = wanted
        return value[0]

    function.__name__ = function.__qualname__ = name
    function.__doc__ = "Set if given, and return, a setting that has no effect without CUDA."
    return function


blas_workspace_size = _setting("blas_workspace_size", 0)
cublas_workspace_size = _setting("cublas_workspace_size", 0)
cublaslt_workspace_size = _setting("cublaslt_workspace_size", 0)
preferred_blas_library = _setting("preferred_blas_library", "default")
preferred_linalg_library = _setting("preferred_linalg_library", "default")
preferred_rocm_fa_library = _setting("preferred_rocm_fa_library", "default")
