"""Quantising graphs of programs: not part of Tabula, and each function says so."""

from __future__ import annotations

from typing import Any

from torch._missing import missing_function

_REASON = "graphs of torch.fx are not quantised; use torch.ao.quantization.prepare, prepare_qat and convert"

for _name in ("prepare_fx", "prepare_qat_fx", "convert_fx", "convert_to_reference_fx", "fuse_fx"):
    globals()[_name] = missing_function(f"torch.ao.quantization.quantize_fx.{_name}", _REASON)


def __getattr__(name: str) -> Any:
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
