"""Type aliases that programs use in annotations."""

from __future__ import annotations

import builtins
import os
from collections.abc import Sequence
from typing import IO, Any, TypeAlias

from torch import Size, SymBool, SymFloat, SymInt, Tensor
from torch import device as _device_type
from torch import dtype as _dtype_type
from torch import layout as _layout_type

__all__ = ["Device", "FileLike", "IntLikeType", "Number", "Storage"]

_bool: TypeAlias = builtins.bool
_int: TypeAlias = builtins.int
_float: TypeAlias = builtins.float
_complex: TypeAlias = builtins.complex
_dtype: TypeAlias = _dtype_type
_device: TypeAlias = _device_type
_layout: TypeAlias = _layout_type
_size: TypeAlias = Size | list[builtins.int] | tuple[builtins.int, ...]

Number: TypeAlias = builtins.int | builtins.float | builtins.bool
_Number = (builtins.int, builtins.float, builtins.bool)
Device: TypeAlias = _device_type | str | builtins.int | None
FileLike: TypeAlias = str | os.PathLike[str] | IO[bytes]
IntLikeType: TypeAlias = builtins.int
TensorOrTensors: TypeAlias = Tensor | Sequence[Tensor]
Storage: TypeAlias = Any
py_sym_types = (SymInt, SymFloat, SymBool)
