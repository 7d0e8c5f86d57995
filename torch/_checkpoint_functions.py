"""Functions of ``torch`` in checkpoints of whole modules: under names that both this library and PyTorch find.

A module may hold ``F.relu`` or ``torch.einsum``, and a pickle names functions by their modules, which differ.
"""

from __future__ import annotations

import sys
from types import BuiltinFunctionType, FunctionType

import torch

from ._utils import _import_dotted_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Where a function may be public, most usual first.
_PUBLIC = ("torch", "torch.nn.functional", "torch.special", "torch.linalg", "torch.fft", "torch.nn.init")

# PyTorch's own modules, what its names there begin with, and where the functions are public.
_NATIVE = {
    "torch._C._nn": ("", "torch.nn.functional"),
    "torch._C._special": ("special_", "torch.special"),
    "torch._C._linalg": ("linalg_", "torch.linalg"),
    "torch._C._fft": ("fft_", "torch.fft"),
}
_KINDS = frozenset({FunctionType, BuiltinFunctionType, type(torch._C._nn.relu)})
# PyTorch's modules of functions that are public in torch.
_PRIVATE = frozenset({"torch._lowrank", "torch._linalg_utils", "torch._lobpcg"})
# The class whose static methods PyTorch's functions are.
_FUNCTIONS = "_VariableFunctionsClass"


def reduction(obj: Any) -> Any:
    """How to pickle a function of ``torch``; NotImplemented for anything else, and where Python's way is good."""
    if type(obj) not in _KINDS:
        return NotImplemented
    home = getattr(obj, "__module__", None) or ""
    if home.partition(".")[0] != "torch":
        return NotImplemented
    name = obj.__name__
    if home in _PUBLIC and getattr(sys.modules.get(home), name, None) is obj:
        return NotImplemented
    for public in (_NATIVE.get(home, ("", "torch"))[1], *_PUBLIC):
        if getattr(_import_dotted_name(public), name, None) is obj:
            return _import_dotted_name, (f"{public}.{name}",)
    return NotImplemented


def renamed(module: str, name: str) -> Any:
    """What stands for an object of PyTorch that has no such name here; None if nothing does."""
    if module == "torch._C" and name.partition(".")[0] == _FUNCTIONS:
        attribute = name.partition(".")[2]
        return getattr(torch, attribute) if attribute else torch
    if module in _NATIVE:
        prefix, public = _NATIVE[module]
        return getattr(_import_dotted_name(public), name.removeprefix(prefix), None)
    return getattr(torch, name, None) if module in _PRIVATE else None
