"""``RemoteModule``: a module in another process, called from here."""

from __future__ import annotations

import torch
from torch import nn

from ...remote_device import _remote_device

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["RemoteModule"]


def _make(kind: Any, args: Any, kwargs: Any, device: str) -> nn.Module:
    return kind(*args, **kwargs).to(device)


def _parameters(ref: Any, recurse: bool) -> list[Any]:
    from ... import rpc

    return [rpc.RRef(param) for param in ref.local_value().parameters(recurse)]


def _forward(ref: Any, args: Any, kwargs: Any) -> Any:
    return ref.local_value()(*args, **kwargs)


class RemoteModule(nn.Module):
    """Makes a module of a class in another process, ``"worker/device"``; ``forward`` runs there."""

    def __init__(
        self, remote_device: str, module_cls: type[nn.Module], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> None:
        super().__init__()
        from ... import rpc

        place = _remote_device(remote_device)
        self.on = place.worker_name() if place.worker_name() is not None else place.rank()
        self.device = str(place.device())
        self.module_rref = rpc.remote(self.on, _make, args=(module_cls, args, kwargs or {}, self.device))
        self.module_rref._get_type()

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the module there, and wait for the result."""
        return self.forward_async(*args, **kwargs).wait()

    def forward_async(self, *args: Any, **kwargs: Any) -> torch.futures.Future:
        """Call the module there; a future of the result."""
        from ... import rpc

        return rpc.rpc_async(self.on, _forward, args=(self.module_rref, args, kwargs))

    def remote_parameters(self, recurse: bool = True) -> list[Any]:
        """References to the parameters."""
        from ... import rpc

        return rpc.rpc_sync(self.on, _parameters, args=(self.module_rref, recurse))

    def get_module_rref(self) -> Any:
        """A reference to the module."""
        return self.module_rref
