"""The numbers that stand for dtypes, layouts and memory formats in TorchScript's programs."""

from __future__ import annotations

import functools

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_DTYPES = """
    uint8 int8 int16 int32 int64 float16 float32 float64 complex32 complex64 complex128 bool qint8 quint8
    qint32 bfloat16 quint4x2 quint2x4 bits1x8 bits2x4 bits4x2 bits8 bits16 float8_e5m2 float8_e4m3fn
    float8_e5m2fnuz float8_e4m3fnuz uint16 uint32 uint64
"""
_LAYOUTS = "strided sparse_coo sparse_csr _mkldnn sparse_csc sparse_bsr sparse_bsc jagged"
_FORMATS = "contiguous_format preserve_format channels_last channels_last_3d"


@functools.lru_cache(None)
def tables() -> dict[str, list[Any]]:
    """Enumerated type to its members, each at its number."""
    lists = {"ScalarType": _DTYPES, "Layout": _LAYOUTS, "MemoryFormat": _FORMATS}
    return {kind: [getattr(torch, name, None) for name in names.split()] for kind, names in lists.items()}


@functools.lru_cache(None)
def _numbers() -> dict[Any, int]:
    return {v: i for values in tables().values() for i, v in enumerate(values) if v is not None}


def number_of(value: Any) -> int:
    """The number of a dtype, a layout or a memory format."""
    return _numbers()[value]


def member(kind: str, number: Any) -> Any:
    """What a number stands for; None and Python's own objects stay."""
    if number.__class__ is not int:
        return number
    if kind == "QScheme":
        return [
            torch.per_tensor_affine,
            torch.per_channel_affine,
            torch.per_tensor_symmetric,
            torch.per_channel_symmetric,
            torch.per_channel_affine_float_qparams,
        ][number]
    values = tables()[kind]
    if not 0 <= number < len(values) or values[number] is None:
        raise RuntimeError(f"{number} is no {kind}")
    return values[number]
