"""Enumerations of ``torch.onnx``, and the numbers by which ONNX calls dtypes."""

from __future__ import annotations

import enum

import torch

__all__ = ["ELEMENT_TYPES", "JitScalarType", "OperatorExportTypes", "TensorProtoDataType", "TrainingMode"]


class TrainingMode(enum.Enum):
    """In which mode a module is exported."""

    EVAL = 0
    PRESERVE = 1
    TRAINING = 2


class OperatorExportTypes(enum.Enum):
    """How operations without a form in ONNX are written; only ONNX is done here."""

    ONNX = 0
    ONNX_ATEN = 1
    ONNX_ATEN_FALLBACK = 2
    ONNX_FALLTHROUGH = 3


class TensorProtoDataType(enum.Enum):
    """The types of elements of ONNX."""

    UNDEFINED = 0
    FLOAT = 1
    UINT8 = 2
    INT8 = 3
    UINT16 = 4
    INT16 = 5
    INT32 = 6
    INT64 = 7
    STRING = 8
    BOOL = 9
    FLOAT16 = 10
    DOUBLE = 11
    UINT32 = 12
    UINT64 = 13
    COMPLEX64 = 14
    COMPLEX128 = 15
    BFLOAT16 = 16
    FLOAT8E4M3FN = 17
    FLOAT8E4M3FNUZ = 18
    FLOAT8E5M2 = 19
    FLOAT8E5M2FNUZ = 20


class JitScalarType(enum.IntEnum):
    """The order of dtypes that TorchScript has."""

    UINT8 = 0
    INT8 = 1
    INT16 = 2
    INT = 3
    INT64 = 4
    HALF = 5
    FLOAT = 6
    DOUBLE = 7
    COMPLEX32 = 8
    COMPLEX64 = 9
    COMPLEX128 = 10
    BOOL = 11
    QINT8 = 12
    QUINT8 = 13
    QINT32 = 14
    BFLOAT16 = 15
    FLOAT8E5M2 = 16
    FLOAT8E4M3FN = 17
    FLOAT8E5M2FNUZ = 18
    FLOAT8E4M3FNUZ = 19
    UNDEFINED = 20


_PROTO = TensorProtoDataType
ELEMENT_TYPES: dict[torch.dtype, int] = {
    dtype: kind.value
    for dtype, kind in (
        (torch.float32, _PROTO.FLOAT), (torch.uint8, _PROTO.UINT8), (torch.int8, _PROTO.INT8),
        (torch.uint16, _PROTO.UINT16), (torch.int16, _PROTO.INT16), (torch.int32, _PROTO.INT32),
        (torch.int64, _PROTO.INT64), (torch.bool, _PROTO.BOOL), (torch.float16, _PROTO.FLOAT16),
        (torch.float64, _PROTO.DOUBLE), (torch.uint32, _PROTO.UINT32), (torch.uint64, _PROTO.UINT64),
        (torch.complex64, _PROTO.COMPLEX64), (torch.complex128, _PROTO.COMPLEX128), (torch.bfloat16, _PROTO.BFLOAT16),
        (torch.float8_e4m3fn, _PROTO.FLOAT8E4M3FN), (torch.float8_e5m2, _PROTO.FLOAT8E5M2),
    )
}  # fmt: skip
