"""Timing statements, and comparing the times."""

from __future__ import annotations

from typing import Any

from torch._missing import missing_class, missing_function

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

__all__ = [
    "Colorize",
    "Compare",
    "Language",
    "Measurement",
    "TaskSpec",
    "Timer",
    "ordered_unique",
    "select_unit",
    "set_torch_threads",
    "timer",
    "trim_sigfig",
    "unit_to_english",
]

_COUNTS = "instructions are not counted; run the program under valgrind itself"
_FUZZ = "use hypothesis, or torch.testing.make_tensor with random sizes"
_MISSING = {
    **dict.fromkeys(("CallgrindStats", "FunctionCount", "FunctionCounts"), _COUNTS),
    **dict.fromkeys(("FuzzedParameter", "FuzzedSparseTensor", "FuzzedTensor", "Fuzzer", "ParameterAlias"), _FUZZ),
}


def __getattr__(name: str) -> Any:
    if name in _MISSING:
        return missing_class(f"torch.utils.benchmark.{name}", _MISSING[name])
    if name == "CopyIfCallgrind":
        return missing_function(f"torch.utils.benchmark.{name}", _COUNTS)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
