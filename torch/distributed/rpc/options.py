"""How ``init_rpc`` sets an agent up."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["RpcBackendOptions", "TensorPipeRpcBackendOptions"]

DEFAULT_RPC_TIMEOUT_SEC = 60.0


class RpcBackendOptions:
    """The time that a call may take, and where workers meet."""

    def __init__(self, rpc_timeout: float = DEFAULT_RPC_TIMEOUT_SEC, init_method: str = "env://") -> None:
        self.rpc_timeout = rpc_timeout
        self.init_method = init_method


class TensorPipeRpcBackendOptions(RpcBackendOptions):
    """And how many calls of others run at once. Maps of devices are accepted; tensors travel through main memory."""

    def __init__(
        self,
        *,
        num_worker_threads: int = 16,
        rpc_timeout: float = DEFAULT_RPC_TIMEOUT_SEC,
        init_method: str = "env://",
        device_maps: dict[str, Any] | None = None,
        devices: list[Any] | None = None,
        _transports: list[Any] | None = None,
        _channels: list[Any] | None = None,
    ) -> None:
        super().__init__(rpc_timeout, init_method)
        self.num_worker_threads = num_worker_threads
        self.device_maps = device_maps or {}
        self.devices = devices or []

    def set_device_map(self, to: str, device_map: dict[Any, Any]) -> None:
        """Note which device of a worker takes which tensors."""
        self.device_maps.setdefault(to, {}).update(device_map)
