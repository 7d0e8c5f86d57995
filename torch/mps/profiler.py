"""Apple's Instruments for GPUs: there is no backend for them."""

from __future__ import annotations

from torch import _accelerators

_refuse = _accelerators.refusing("Cannot execute this without MPS backend.", RuntimeError)
start, stop, profile, metal_capture = (_refuse(_name) for _name in ("start", "stop", "profile", "metal_capture"))
is_metal_capture_enabled = _accelerators.constant("is_metal_capture_enabled", False, "Always False.")
is_capturing_metal = _accelerators.constant("is_capturing_metal", False, "Always False.")

__all__ = ["is_capturing_metal", "is_metal_capture_enabled", "metal_capture", "profile", "start", "stop"]
