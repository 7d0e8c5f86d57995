"""Timing statements, and comparing the times."""

from __future__ import annotations

from ._compare import Colorize, Compare
from ._measurement import (
    Measurement,
    TaskSpec,
    ordered_unique,
    select_unit,
    set_torch_threads,
    trim_sigfig,
    unit_to_english,
)
from ._timer import Language, Timer, timer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._callgrind import CallgrindStats, CopyIfCallgrind, FunctionCount, FunctionCounts
    from ._fuzzer import FuzzedParameter, FuzzedSparseTensor, FuzzedTensor, Fuzzer, ParameterAlias

__all__ = [
    "CallgrindStats",
    "Colorize",
    "Compare",
    "CopyIfCallgrind",
    "FunctionCount",
    "FunctionCounts",
    "FuzzedParameter",
    "FuzzedSparseTensor",
    "FuzzedTensor",
    "Fuzzer",
    "Language",
    "Measurement",
    "ParameterAlias",
    "TaskSpec",
    "Timer",
    "ordered_unique",
    "select_unit",
    "set_torch_threads",
    "timer",
    "trim_sigfig",
    "unit_to_english",
]
# These load when they are first named.
_LATER = {
    **dict.fromkeys(("CallgrindStats", "CopyIfCallgrind", "FunctionCount", "FunctionCounts"), "_callgrind"),
    **dict.fromkeys(("FuzzedParameter", "FuzzedSparseTensor", "FuzzedTensor", "Fuzzer", "ParameterAlias"), "_fuzzer"),
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name == "utils":
        return import_module(f"{__name__}.utils")
    if name in _LATER:
        return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
