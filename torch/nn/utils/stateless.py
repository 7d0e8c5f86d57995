"""Calling a module with other parameters."""

from __future__ import annotations

import contextlib
import warnings

import torch
from torch import Tensor as Tensor

from ._named_member_accessor import NamedMemberAccessor as NamedMemberAccessor

__all__ = ["functional_call"]


_ABSENT = object()


def _owner(module, name: str):
    path, _, last = name.rpartition(".")
    return module.get_submodule(path), last


def _tied_names(module) -> dict:
    """Return the names under which each tensor is registered."""
    names: dict = {}
    for name, tensor in module.named_parameters(remove_duplicate=False):
        names.setdefault(tensor, set()).add(name)
    for name, tensor in module.named_buffers(remove_duplicate=False):
        names.setdefault(tensor, set()).add(name)
    by_name = {}
    for group in names.values():
        for name in group:
            by_name[name] = group
    return by_name


@contextlib.contextmanager
def _reparametrize_module(
    module, parameters_and_buffers, tie_weights: bool = False, strict: bool = False, stack_weights: bool = False
):
    wanted = dict(parameters_and_buffers)
    by_name = _tied_names(module)
    if tie_weights:
        for name, tensor in parameters_and_buffers.items():
            for other in by_name.get(name, ()):
                if wanted.setdefault(other, tensor) is not tensor:
                    raise ValueError(
                        f"functional_call got multiple values for keys {sorted(by_name[name])}, "
                        "which are tied. Consider using tie_weights=False"
                    )
    if strict:
        missing = sorted(by_name.keys() - wanted.keys())
        unexpected = sorted(wanted.keys() - by_name.keys())
        if missing or unexpected:
            lines = []
            if unexpected:
                lines.append(f"Unexpected key(s): {', '.join(map(repr, unexpected))}.")
            if missing:
                lines.append(f"Missing key(s): {', '.join(map(repr, missing))}.")
            raise RuntimeError(f"Error(s) in reparametrizing for {module._get_name()}:\n\t" + "\n\t".join(lines))
    swapped = []
    try:
        for name, tensor in wanted.items():
            owner, last = _owner(module, name)
            for table in (owner._parameters, owner._buffers):
                if last in table:
                    swapped.append((table, last, table[last], tensor))
                    table[last] = tensor
                    break
            else:
                swapped.append((owner, last, getattr(owner, last, _ABSENT), tensor))
                setattr(owner, last, tensor)
        yield
    finally:
        for table, last, before, given in reversed(swapped):
            if isinstance(table, dict):
                # A forward that replaced its own buffer shall be seen by the caller's dictionary.
                now = table.get(last)
                if now is not given and isinstance(parameters_and_buffers, dict):
                    for key, value in parameters_and_buffers.items():
                        if value is given:
                            parameters_and_buffers[key] = now
                table[last] = before
            elif before is _ABSENT:
                delattr(table, last)
            else:
                setattr(table, last, before)


def _functional_call(module, parameters_and_buffers, args=None, kwargs=None, *, tie_weights=True, strict=False):
    if args is None:
        args = ()
    elif not isinstance(args, tuple):
        args = (args,)
    with _reparametrize_module(module, parameters_and_buffers, tie_weights=tie_weights, strict=strict):
        return module(*args, **(kwargs or {}))


def functional_call(
    module, parameters_and_buffers, args=None, kwargs=None, *, tie_weights: bool = True, strict: bool = False
):
    """Call a module with other parameters and buffers; the older place of ``torch.func.functional_call``."""
    warnings.warn(
        "This API is deprecated as of PyTorch 2.0 and will be removed in a future version of PyTorch. Please use "
        "torch.func.functional_call instead which is a drop-in replacement for this API.",
        FutureWarning,
        stacklevel=2,
    )
    if isinstance(module, getattr(torch.jit, "ScriptModule", ())):
        raise RuntimeError("The stateless API can't be used with Jitted modules")
    return _functional_call(module, parameters_and_buffers, args, kwargs, tie_weights=tie_weights, strict=strict)
