"""The numbers and names by which PyTorch's files of exported programs call dtypes, layouts and Python functions."""

from __future__ import annotations

import math
import operator
from typing import Any

import torch

__all__ = ["DTYPES", "FUNCTIONS", "LAYOUTS", "MEMORY_FORMATS", "SCHEMA_VERSION", "lookup", "number_of"]

# The version of the JSON text that PyTorch 2.13 writes; readers compare the first number.
SCHEMA_VERSION = (8, 20)

DTYPES: dict[int, Any] = {
    1: torch.uint8, 2: torch.int8, 3: torch.int16, 4: torch.int32, 5: torch.int64, 6: torch.float16, 7: torch.float32,
    8: torch.float64, 9: torch.complex32, 10: torch.complex64, 11: torch.complex128, 12: torch.bool,
    13: torch.bfloat16, 28: torch.uint16, 29: torch.float8_e4m3fn, 30: torch.float8_e5m2, 31: torch.float8_e4m3fnuz,
    32: torch.float8_e5m2fnuz, 33: torch.float8_e8m0fnu, 34: torch.uint32, 35: torch.uint64,
}  # fmt: skip
LAYOUTS: dict[int, Any] = {7: torch.strided}
MEMORY_FORMATS: dict[int, Any] = {
    1: torch.contiguous_format,
    2: torch.channels_last,
    3: torch.channels_last_3d,
    4: torch.preserve_format,
}

# Functions on numbers that graphs call, by the name that files give them.
FUNCTIONS: dict[str, Any] = {
    f"_operator.{name}": getattr(operator, name)
    for name in "add sub mul floordiv truediv mod pow neg pos eq ne lt le gt ge and_ or_ not_ getitem".split()
}
FUNCTIONS |= {
    f"torch.{name}": getattr(torch, name)
    for name in "sym_int sym_float sym_max sym_min sym_not sym_sum sym_ite sym_sqrt _sym_sqrt".split()
    if hasattr(torch, name)
}
FUNCTIONS |= {f"math.{name}": getattr(math, name) for name in ("ceil", "floor", "trunc")}


def number_of(table: dict[int, Any], value: Any) -> int:
    """The number of a dtype, layout or memory format; TypeError if files have none for it."""
    for number, known in table.items():
        if known is value:
            return number
    raise TypeError(f"torch.export.save: {value} cannot be stored in a .pt2 file")


def lookup(table: dict[int, Any], number: Any, what: str) -> Any:
    """What a number stands for; RuntimeError if it is none of the table's."""
    if not isinstance(number, int) or number not in table:
        raise RuntimeError(f"torch.export.load: unknown {what} {number!r}")
    return table[number]
