"""Tabula: the PyTorch API, implemented from scratch over a small C++ core.

This module only wires names together. Native operations come from ``torch._C``; what is not needed at once is found by
``__getattr__`` when it is first named, so that ``import torch`` stays cheap.
"""
# ruff: noqa: F401 - the names are here to be found

from __future__ import annotations

import math as _math

from . import _C
from ._C import (
    Generator,
    OutOfMemoryError,
    Size,
    UntypedStorage,
    as_tensor,
    asarray,
    can_cast,
    default_generator,
    device,
    dtype,
    finfo,
    from_dlpack,
    from_numpy,
    frombuffer,
    get_default_dtype,
    get_num_threads,
    iinfo,
    is_grad_enabled,
    layout,
    memory_format,
    promote_types,
    result_type,
    scalar_tensor,
    set_num_threads,
    tensor,
)
from ._C import TensorBase as Tensor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_C._set_package_path(f"{__path__[0]}/")

__version__ = "2.13.0+tabula.0.1"

inf, nan, pi, e, newaxis = _math.inf, _math.nan, _math.pi, _math.e, None

globals().update({_n: _v for _n, _v in vars(_C).items() if isinstance(_v, (dtype, layout, memory_format))})
globals().update({_n: _v for _n, _v in vars(_C._VariableFunctions).items() if not _n.startswith("__")})
globals().update(
    float=_C.float32, double=_C.float64, half=_C.float16, short=_C.int16, int=_C.int32, long=_C.int64,
    chalf=_C.complex32, cfloat=_C.complex64, cdouble=_C.complex128, bit=_C.uint1,
    legacy_contiguous_format=_C.contiguous_format,
)  # fmt: skip

from . import _tensor, _utils, storage  # noqa: E402
from .ops_py import _methods  # noqa: E402
from .storage import TypedStorage  # noqa: E402


def _native_attribute(module: Any, path: str) -> Any:
    def find_attribute(name: str) -> Any:
        from ._native_names import find

        value = find(path, name)
        setattr(module, name, value)
        return value

    return find_attribute


_C.__path__ = [f"{__path__[0]}/_native"]
_C.__getattr__ = _native_attribute(_C, "torch._C")
_C._nn.__getattr__ = _native_attribute(_C._nn, "torch._C._nn")
storage.install(UntypedStorage)
_tensor.install(Tensor)
_methods.install(Tensor)
_utils.install_pickling()
globals().update(storage._LEGACY_CLASSES)

from . import autograd  # noqa: E402
from ._names import LAZY_MODULES, NAMES  # noqa: E402
from .autograd import enable_grad, inference_mode, no_grad, set_grad_enabled  # noqa: E402

_LATER = frozenset(LAZY_MODULES) | frozenset(NAMES)
__all__ = sorted(
    _n for _n in {*globals(), *NAMES} if not _n.startswith("_") and _n not in ("NAMES", "LAZY_MODULES", "TYPE_CHECKING")
)


def __getattr__(name: str) -> Any:
    from ._lazy import find

    value = find(name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})
