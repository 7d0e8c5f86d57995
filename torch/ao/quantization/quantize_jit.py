"""Quantising TorchScript programs, which is no part of Tabula: every function says so."""

from __future__ import annotations

from typing import Any

__all__ = [
    "script_qconfig",
    "script_qconfig_dict",
    "fuse_conv_bn_jit",
    "prepare_jit",
    "prepare_dynamic_jit",
    "convert_jit",
    "convert_dynamic_jit",
    "quantize_jit",
    "quantize_dynamic_jit",
]


def _refuse() -> Any:
    from torch._missing import not_available

    raise not_available(
        "torch.ao.quantization.quantize_jit",
        "quantising TorchScript programs is no part of Tabula; quantise the module by prepare and convert",
    )


def _no_script(model: Any) -> Any:
    import torch

    if isinstance(model, torch.jit.ScriptModule):
        _refuse()
    raise ValueError("input must be a script module, got: " + str(type(model)))


def script_qconfig(qconfig):
    """Raise NotImplementedError: programs are not quantised."""
    _refuse()


def script_qconfig_dict(qconfig_dict):
    """Raise NotImplementedError: programs are not quantised."""
    _refuse()


def fuse_conv_bn_jit(model, inplace=False):
    """Raise ValueError: no model is a script module. Use ``fuse_modules``."""
    _no_script(model)


def prepare_jit(model, qconfig_dict, inplace=False):
    """Raise ValueError: no model is a script module. Use ``prepare``."""
    _no_script(model)


def prepare_dynamic_jit(model, qconfig_dict, inplace=False):
    """Raise ValueError: no model is a script module. Use ``quantize_dynamic``."""
    _no_script(model)


def convert_jit(model, inplace=False, debug=False, preserved_attrs=None):
    """Raise ValueError: no model is a script module. Use ``convert``."""
    _no_script(model)


def convert_dynamic_jit(model, inplace=False, debug=False, preserved_attrs=None):
    """Raise ValueError: no model is a script module. Use ``quantize_dynamic``."""
    _no_script(model)


def quantize_jit(model, qconfig_dict, run_fn, run_args, inplace=False, debug=False):
    """Raise ValueError: no model is a script module. Use ``quantize``."""
    _no_script(model)


def quantize_dynamic_jit(model, qconfig_dict, inplace=False, debug=False):
    """Raise ValueError: no model is a script module. Use ``quantize_dynamic``."""
    _no_script(model)
