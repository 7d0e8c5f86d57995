"""Calling a module with other parameters."""

from __future__ import annotations

import contextlib
import warnings

import torch
from torch import Tensor as Tensor

from ._named_member_accessor import NamedMemberAccessor as NamedMemberAccessor

__all__ = ["functional_call"]


def _with_tied_names(module, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The given tensors under all the names of the parameters and buffers that they replace."""
    names: dict[int, list[str]] = {}
    for name, tensor in NamedMemberAccessor(module).named_tensors(remove_duplicate=False):
        names.setdefault(id(tensor), []).append(name)
    result = dict(tensors)
    for group in names.values():
        given = [name for name in group if name in tensors]
        if len(given) > 1 and any(tensors[name] is not tensors[given[0]] for name in given):
            raise ValueError(
                f"functional_call got multiple values for keys {given}, which are tied. "
                "Consider using tie_weights=False"
            )
        if given:
            result.update(dict.fromkeys(group, tensors[given[0]]))
    return result


@contextlib.contextmanager
def _reparametrize_module(
    module, parameters_and_buffers, tie_weights: bool = False, strict: bool = False, stack_weights: bool = False
):
    """Inside the block the module has other parameters and buffers.

    Tensors that ``forward`` puts in their place are found in ``parameters_and_buffers`` afterwards.
    """
    tensors = _with_tied_names(module, parameters_and_buffers) if tie_weights else parameters_and_buffers
    accessor = NamedMemberAccessor(module)
    if strict:
        missing, unexpected = accessor.check_keys(tensors)
        lines = [
            f"{word} key(s): {', '.join(map(repr, keys))}."
            for word, keys in (("Unexpected", unexpected), ("Missing", missing))
            if keys
        ]
        if lines:
            raise RuntimeError(f"Error(s) in reparametrizing for {module._get_name()}:\n\t" + "\n\t".join(lines))
    before = {}
    try:
        before, _ = accessor.swap_tensors_dict(tensors, allow_missing=True)
        yield
    finally:
        after, _ = accessor.swap_tensors_dict(before, allow_missing=True)
        parameters_and_buffers.update((name, after[name]) for name in parameters_and_buffers if name in after)


def _functional_call(module, parameters_and_buffers, args=None, kwargs=None, *, tie_weights=True, strict=False):
    if args is None:
        args = ()
    elif not isinstance(args, tuple):
        args = (args,)
    kwargs = {} if kwargs is None else kwargs
    with _reparametrize_module(module, parameters_and_buffers, tie_weights=tie_weights, strict=strict):
        return module(*args, **kwargs)


def functional_call(
    module, parameters_and_buffers, args=None, kwargs=None, *, tie_weights: bool = True, strict: bool = False
):
    """Call a module with other parameters and buffers; the older place of ``torch.func.functional_call``."""
    warnings.warn(
        "`torch.nn.utils.stateless.functional_call` is deprecated as of PyTorch 2.0 and will be removed in a future "
        "version of PyTorch. Please use `torch.func.functional_call` instead which is a drop-in replacement.",
        FutureWarning,
        stacklevel=2,
    )
    if isinstance(module, getattr(torch.jit, "ScriptModule", ())):
        raise RuntimeError("The stateless API can't be used with Jitted modules")
    return _functional_call(module, parameters_and_buffers, args, kwargs, tie_weights=tie_weights, strict=strict)
