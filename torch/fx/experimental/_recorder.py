"""The operations that a function runs, as they come to the kernels."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_DATA_DEPENDENT = (
    "It appears that you're trying to get value out of a tracing tensor with {} - erroring out! It's likely that this "
    "is caused by data-dependent control flow or similar.  It may be possible to trace this with dynamic shapes; try "
    "setting tracing_mode='symbolic' in your make_fx call."
)


class Call(NamedTuple):
    """An operation that ran: with which arguments, and what came out."""

    op: Any
    args: Any
    kwargs: Any
    result: Any


class CallRecorder(TorchDispatchMode):
    """Inside, the operations that run are noted in ``calls``.

    Args:
        decompositions: operations to run as functions instead, whose parts are noted.
        tracked: the inputs; asking for the value of these, or of what comes from them, is an error.
    """

    def __init__(self, decompositions: dict[Any, Callable[..., Any]] | None = None, tracked: Any = ()) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self.decompositions = decompositions or {}
        self._tracked = {id(t): t for t in tracked}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        replacement = self.decompositions.get(func, self.decompositions.get(getattr(func, "_overloadpacket", None)))
        if replacement is not None:
            with self:
                result = replacement(*args, **kwargs)
            if result is not NotImplemented:
                return result
        if func._opname == "_local_scalar_dense" and id(args[0]) in self._tracked:
            raise RuntimeError(_DATA_DEPENDENT.format(func))
        result = func(*args, **kwargs)
        if func._opname in ("detach", "lift_fresh") and not pytree.tree_leaves(result):
            return result
        self.calls.append(Call(func, args, kwargs, result))
        for t in pytree.tree_leaves(result):
            if isinstance(t, torch.Tensor):
                self._tracked[id(t)] = t
        return result
