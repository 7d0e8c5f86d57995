"""Process-wide settings, and the few constants that describe the build."""

from __future__ import annotations

import os
import types
import warnings

import torch

from ._missing import not_available

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PRIVATE_OPS = ("unsafe_split",)
USE_GLOBAL_DEPS = False
USE_RTLD_GLOBAL_WITH_LIBTORCH = False
has_lapack = has_spectral = True
has_mkl = has_openmp = False
AVG, SUM = "avg", "sum"


class _Classes(types.ModuleType):
    """``torch.classes``: custom C++ classes, of which there are none."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise not_available(f"torch.classes.{name}", "custom C++ classes need the C++ API")


classes = _Classes("torch.classes")
cpp = types.ModuleType("torch.cpp", "The C++ API is in include/torch.")


# ---- dtypes and devices


def set_default_dtype(d: Any, /) -> None:
    """Make ``d`` the dtype that Python floats become.

    >>> torch.set_default_dtype(torch.float64)
    >>> torch.tensor(1.5).dtype
    torch.float64
    """
    torch._C._set_default_dtype(d)


def set_default_tensor_type(t: Any, /) -> None:
    """Set the default dtype by a tensor type such as ``torch.DoubleTensor`` (deprecated)."""
    if isinstance(t, str):
        t = torch._utils._import_dotted_name(t)
    if not hasattr(t, "dtype"):
        raise TypeError(f"invalid type object: {t}")
    if t.is_cuda:
        raise TypeError("type torch.cuda." + t.__name__ + " not available. Torch not compiled with CUDA enabled.")
    torch._C._set_default_dtype(t.dtype)


def set_default_device(device: Any) -> None:
    """Put the results of factories on ``device`` from now on; ``None`` goes back to the CPU.

    >>> torch.set_default_device("meta")
    >>> torch.empty(2).device
    device(type='meta')
    """
    torch._C._set_default_device(None if device is None else torch.device(device))


def get_default_device() -> torch.device:
    """The device on which factories put their results.

    >>> torch.get_default_device()
    device(type='cpu')
    """
    device = torch._C._get_default_device()
    return torch.device("cpu") if device is None else device


def get_device_module(device: Any = None) -> Any:
    """The module of a kind of device, such as ``torch.cuda``."""
    kind = torch.device(device).type if device is not None else "cpu"
    module = getattr(torch, kind, None)
    if module is None:
        raise RuntimeError(f"Device '{kind}' does not have a corresponding module registered as 'torch.{kind}'.")
    return module


# ---- determinism: every operation is deterministic, so these only remember what was asked for


class _State:
    deterministic = False
    warn_only = False
    warn_always = False
    matmul_precision = "highest"
    interop_threads: int | None = None
    flush_denormal = False


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Ask for reproducible results. They always are: all operations give the same bits for any number of threads."""
    _State.deterministic, _State.warn_only = bool(mode), bool(warn_only)


def are_deterministic_algorithms_enabled() -> bool:
    """Whether ``use_deterministic_algorithms`` was asked for."""
    return _State.deterministic


def is_deterministic_algorithms_warn_only_enabled() -> bool:
    """Whether it was asked for with ``warn_only``."""
    return _State.warn_only


_DEBUG_MODES = {"default": 0, "warn": 1, "error": 2}


def set_deterministic_debug_mode(debug_mode: Any) -> None:
    """``use_deterministic_algorithms`` by level: 0 or "default", 1 or "warn", 2 or "error"."""
    if not isinstance(debug_mode, (int, str)):
        raise TypeError(f"debug_mode must be str or int, but got {type(debug_mode)}")
    if isinstance(debug_mode, str):
        if debug_mode not in _DEBUG_MODES:
            raise RuntimeError(
                f"invalid value of debug_mode, expected one of `default`, `warn`, `error`, but got {debug_mode}"
            )
        debug_mode = _DEBUG_MODES[debug_mode]
    if debug_mode not in (0, 1, 2):
        raise RuntimeError(f"invalid value of debug_mode, expected 0, 1, or 2, but got {debug_mode}")
    use_deterministic_algorithms(debug_mode > 0, warn_only=debug_mode == 1)


def get_deterministic_debug_mode() -> int:
    """The level of ``set_deterministic_debug_mode``."""
    if not _State.deterministic:
        return 0
    return 1 if _State.warn_only else 2


def set_warn_always(b: bool, /) -> None:
    """Whether warnings that appear once should appear each time."""
    if not isinstance(b, bool):
        raise TypeError(f"setWarnOnlyOnce expects a bool, but got {type(b).__name__}")
    _State.warn_always = b


def is_warn_always_enabled() -> bool:
    """What ``set_warn_always`` was told."""
    return _State.warn_always


def set_float32_matmul_precision(precision: str) -> None:
    """How much precision float32 matrix products may give up; on the CPU they never do."""
    if precision not in ("highest", "high", "medium"):
        warnings.warn(
            f"{precision} is not one of 'highest', 'high', or 'medium'; the current precision remains as it was.",
            stacklevel=2,
        )
        return
    _State.matmul_precision = precision


def get_float32_matmul_precision() -> str:
    """What ``set_float32_matmul_precision`` was told."""
    return _State.matmul_precision


# ---- threads and the processor


def get_num_interop_threads() -> int:
    """The number of threads for independent operations."""
    return _State.interop_threads or torch.get_num_threads()


def set_num_interop_threads(n: int, /) -> None:
    """Accepted for compatibility: operations run in the thread that calls them, on one shared pool."""
    if n <= 0:
        raise RuntimeError("set_num_interop_threads expects a positive integer")
    if _State.interop_threads is not None:
        raise RuntimeError(
            "Error: cannot set number of interop threads after parallel work has started or set_num_interop_threads "
            "called"
        )
    _State.interop_threads = n


def set_flush_denormal(mode: bool, /) -> bool:
    """Whether subnormal numbers become zero. They never do, since that would change other code in the process.

    Returns whether the wish was granted.
    """
    return not mode


# ---- about the build


def compiled_with_cxx11_abi() -> bool:
    """Whether the core was built with the C++11 ABI."""
    return True


def is_vulkan_available() -> bool:
    """Whether there is a Vulkan backend: there is none."""
    return False


def get_file_path(*path_components: str) -> str:
    """A path inside the installed package."""
    return os.path.join(os.path.dirname(__file__), *path_components)


def prepare_multiprocessing_environment(path: str) -> None:
    """Accepted for compatibility: there is nothing to prepare."""
