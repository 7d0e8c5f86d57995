"""An optimizer of parameters that live in several processes."""

from __future__ import annotations

import threading

from .. import autograd, rpc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["DistributedOptimizer"]

# Threads step one after another, whichever optimizer is theirs: the gradients are put into the parameters meanwhile.
_stepping = threading.Lock()


class _LocalOptimizer:
    """The optimizer of one process's parameters."""

    def __init__(self, kind: Any, refs: list[Any], *args: Any, **kwargs: Any) -> None:
        self.params = [ref.local_value() for ref in refs]
        self.optimizer = kind(self.params, *args, **kwargs)

    def step(self, context_id: int) -> None:
        found = autograd.get_gradients(context_id)
        with _stepping:
            kept = [param.grad for param in self.params]
            for param in self.params:
                param.grad = found.get(param)
            try:
                self.optimizer.step()
            finally:
                for param, grad in zip(self.params, kept, strict=True):
                    param.grad = grad


def _make(kind: Any, refs: list[Any], args: Any, kwargs: Any) -> _LocalOptimizer:
    return _LocalOptimizer(kind, refs, *args, **kwargs)


class DistributedOptimizer:
    """Steps the parameters that ``params_rref`` refer to, each in its own process, by an optimizer of a class there.

    ``step(context_id)`` uses the gradients of a pass of ``torch.distributed.autograd``.
    """

    def __init__(self, optimizer_class: Any, params_rref: list[Any], *args: Any, **kwargs: Any) -> None:
        owners: dict[Any, list[Any]] = {}
        for ref in params_rref:
            owners.setdefault(ref.owner(), []).append(ref)
        self.remote_optimizers = [
            rpc.remote(owner, _make, args=(optimizer_class, refs, args, kwargs)) for owner, refs in owners.items()
        ]
        for optimizer in self.remote_optimizers:
            optimizer._get_type()  # waits until it is made, and raises what went wrong

    def step(self, context_id: int) -> None:
        """Step everywhere, and wait."""
        for future in [optimizer.rpc_async().step(context_id) for optimizer in self.remote_optimizers]:
            future.wait()
