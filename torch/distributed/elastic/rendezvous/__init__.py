"""How the machines of a job meet, agree on who takes part, and where their store is."""

from __future__ import annotations

import abc
import socket
import time
from dataclasses import dataclass
from datetime import timedelta

from torch.distributed import PrefixStore, Store, TCPStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = [
    "RendezvousClosedError",
    "RendezvousConnectionError",
    "RendezvousError",
    "RendezvousGracefulExitError",
    "RendezvousHandler",
    "RendezvousHandlerCreator",
    "RendezvousHandlerRegistry",
    "RendezvousInfo",
    "RendezvousParameters",
    "RendezvousStateError",
    "RendezvousStoreInfo",
    "RendezvousTimeoutError",
    "rendezvous_handler_registry",
]

_PORT = 29500
_JOIN_SECONDS = 600.0
_LAST_CALL_SECONDS = 30.0


class RendezvousError(Exception):
    """The machines did not meet."""


class RendezvousClosedError(RendezvousError):
    """It is over."""


class RendezvousTimeoutError(RendezvousError):
    """Not enough machines came in time."""


class RendezvousConnectionError(RendezvousError):
    """The meeting point cannot be reached."""


class RendezvousStateError(RendezvousError):
    """What is written at the meeting point makes no sense."""


class RendezvousGracefulExitError(RendezvousError):
    """The job goes on without this machine."""


class RendezvousParameters:
    """Which kind of meeting, where, for which run, with how many machines; further ones by name."""

    def __init__(
        self,
        backend: str,
        endpoint: str,
        run_id: str,
        min_nodes: int,
        max_nodes: int,
        local_addr: str | None = None,
        **kwargs: Any,
    ) -> None:
        if not backend:
            raise ValueError("The rendezvous backend name must be a non-empty string.")
        if min_nodes < 1:
            raise ValueError(f"The minimum number of rendezvous nodes ({min_nodes}) must be greater than zero.")
        if max_nodes < min_nodes:
            raise ValueError(
                f"The maximum number of rendezvous nodes ({max_nodes}) must be greater than or equal to the minimum "
                f"number of rendezvous nodes ({min_nodes})."
            )
        self.backend = backend
        self.endpoint = endpoint
        self.run_id = run_id
        self.min_nodes = min_nodes
        self.max_nodes = max_nodes
        self.local_addr = local_addr
        self.config = kwargs

    def get(self, key: str, default: Any = None) -> Any:
        """A further parameter."""
        return self.config.get(key, default)

    def get_as_int(self, key: str, default: int | None = None) -> int | None:
        """A further parameter as a number; ValueError if it is none."""
        value = self.get(key, default)
        if value is None:
            return None
        try:
            return int(value)
        except ValueError:
            raise ValueError(
                f"The rendezvous configuration option '{key}' does not represent a valid integer value."
            ) from None


@dataclass
class RendezvousStoreInfo:
    """Where the workers' store is."""

    MASTER_ADDR_KEY = "MASTER_ADDR"
    MASTER_PORT_KEY = "MASTER_PORT"
    master_addr: str
    master_port: int

    @staticmethod
    def build(rank: int, store: Store, local_addr: str | None = None, server_port: int | None = None) -> Any:
        """Rank 0 chooses; all others read it from ``store``."""
        if rank == 0:
            with socket.create_server(("", 0)) as free:
                port = free.getsockname()[1] if server_port is None else server_port
            store.set(RendezvousStoreInfo.MASTER_ADDR_KEY, local_addr or socket.getfqdn())
            store.set(RendezvousStoreInfo.MASTER_PORT_KEY, str(port))
        host = store.get(RendezvousStoreInfo.MASTER_ADDR_KEY).decode()
        return RendezvousStoreInfo(host, int(store.get(RendezvousStoreInfo.MASTER_PORT_KEY)))


class RendezvousInfo:
    """What a machine knows after the meeting: the store, its rank, how many came, where the workers' store is."""

    def __init__(
        self, store: Store, rank: int, world_size: int, bootstrap_store_info: RendezvousStoreInfo | None
    ) -> None:
        self._fields = store, rank, world_size, bootstrap_store_info

    @property
    def store(self) -> Store:
        return self._fields[0]

    @property
    def rank(self) -> int:
        return self._fields[1]

    @property
    def world_size(self) -> int:
        return self._fields[2]

    @property
    def bootstrap_store_info(self) -> RendezvousStoreInfo | None:
        return self._fields[3]


class RendezvousHandler(abc.ABC):
    """One way for machines to meet."""

    @abc.abstractmethod
    def get_backend(self) -> str:
        """Its name."""

    @abc.abstractmethod
    def next_rendezvous(self) -> RendezvousInfo:
        """Wait for the others.

        Raises:
            RendezvousClosedError, RendezvousConnectionError, RendezvousTimeoutError: they cannot meet.
        """

    @abc.abstractmethod
    def is_closed(self) -> bool:
        """Whether nobody meets any more."""

    @abc.abstractmethod
    def set_closed(self) -> None:
        """Let nobody meet any more."""

    @abc.abstractmethod
    def num_nodes_waiting(self) -> int:
        """How many machines came too late and wait for another round."""

    @abc.abstractmethod
    def get_run_id(self) -> str:
        """The name of the run."""

    def shutdown(self) -> bool:
        """Give back what it holds."""
        return True

    @property
    def use_agent_store(self) -> bool:
        """Whether the agent's store is the workers' store too."""
        return True


RendezvousHandlerCreator = "Callable[[RendezvousParameters], RendezvousHandler]"


class RendezvousHandlerRegistry:
    """Kinds of meetings by name."""

    def __init__(self) -> None:
        self._registry: dict[str, Callable[[RendezvousParameters], RendezvousHandler]] = {}

    def register(self, backend: str, creator: Callable[[RendezvousParameters], RendezvousHandler]) -> None:
        """Make a kind known; ValueError if the name is empty or means another one."""
        if not backend:
            raise ValueError("The rendezvous backend name must be a non-empty string.")
        if self._registry.get(backend, creator) is not creator:
            raise ValueError(
                f"The rendezvous backend '{backend}' cannot be registered with '{creator}' as it is already registered "
                f"with '{self._registry[backend]}'."
            )
        self._registry[backend] = creator

    def create_handler(self, params: RendezvousParameters) -> RendezvousHandler:
        """Make one; ValueError if the kind is not known."""
        if params.backend not in self._registry:
            raise ValueError(
                f"The rendezvous backend '{params.backend}' is not registered. Did you forget to call `register`?"
            )
        handler = self._registry[params.backend](params)
        if handler.get_backend() != params.backend:
            raise RuntimeError(
                f"The rendezvous backend '{handler.get_backend()}' does not match the requested backend "
                f"'{params.backend}'."
            )
        return handler


def parse_endpoint(endpoint: str, port: int) -> tuple[str, int]:
    """Host and port of ``host:port``, ``[host]:port`` or ``host``; ValueError for other text."""
    host, colon, text = endpoint.strip().rpartition(":")
    if not colon or endpoint.endswith("]"):
        host, text = endpoint.strip(), str(port)
    if not text.isdigit() or int(text) >= 1 << 16:
        raise ValueError(
            f"The port number of the rendezvous endpoint '{endpoint}' must be an integer between 0 and 65536."
        )
    return host.strip("[]") or "localhost", int(text)


def _is_here(host: str) -> bool:
    """Whether a name is this machine's."""
    if host in ("localhost", "127.0.0.1", "::1", socket.gethostname(), socket.getfqdn()):
        return True
    try:
        address = socket.getaddrinfo(host, None)[0][4][0]
        with socket.socket(socket.AF_INET6 if ":" in str(address) else socket.AF_INET) as trial:
            trial.bind((address, 0))
        return True
    except OSError:
        return False


class _StoreMeeting(RendezvousHandler):
    """What the meetings below have in common: a store that one of the machines serves."""

    def __init__(self, params: RendezvousParameters) -> None:
        self._params = params
        self._store: Store | None = None
        self._round = 0

    def get_backend(self) -> str:
        return self._params.backend

    def get_run_id(self) -> str:
        return self._params.run_id

    def is_closed(self) -> bool:
        return self._store is not None and self._store.check([f"{self.get_run_id()}/closed"])

    def set_closed(self) -> None:
        if self._store is not None:
            self._store.set(f"{self.get_run_id()}/closed", "1")

    def num_nodes_waiting(self) -> int:
        return 0

    def _open(self, host: str, port: int, serve: bool) -> Store:
        seconds = float(self._params.get("timeout") or self._params.get("join_timeout") or _JOIN_SECONDS)
        try:
            return TCPStore(host, port, None, serve, timedelta(seconds=seconds), multi_tenant=True)
        except RuntimeError as error:
            raise RendezvousConnectionError(str(error)) from error


class StaticTCPRendezvous(_StoreMeeting):
    """Machines whose ranks are given; the one of rank 0 serves the store at ``endpoint``."""

    def next_rendezvous(self) -> RendezvousInfo:
        params = self._params
        host, port = parse_endpoint(params.endpoint, _PORT)
        rank = int(params.get("rank", 0))
        if self._store is None:
            self._store = self._open(host, port, rank == 0)
        store = PrefixStore(params.run_id, self._store)
        info = RendezvousStoreInfo(host, getattr(self._store, "port", port))
        return RendezvousInfo(store, rank, params.max_nodes, info)


class C10dRendezvous(_StoreMeeting):
    """Machines that come in any order; the one whose name ``endpoint`` has serves the store.

    A round is over when ``max_nodes`` have come, or ``min_nodes`` and nobody more for ``last_call_timeout`` seconds.
    """

    def next_rendezvous(self) -> RendezvousInfo:
        if self.is_closed():
            raise RendezvousClosedError
        params = self._params
        host, port = parse_endpoint(params.endpoint, _PORT)
        if self._store is None:
            self._store = self._serve_or_join(host, port)
        self._round += 1
        prefix = f"{params.run_id}/round_{self._round}"
        store = PrefixStore(prefix, self._store)
        rank = store.add("joined", 1) - 1
        if rank >= params.max_nodes:
            raise RendezvousClosedError("all places of this run are taken")
        size = self._await_others(store, rank)
        if rank >= size:
            raise RendezvousClosedError("this machine came after the last call")
        return RendezvousInfo(store, rank, size, RendezvousStoreInfo(host, self._store_port()))

    def _store_port(self) -> int:
        assert isinstance(self._store, TCPStore)
        return self._store.port

    def _serve_or_join(self, host: str, port: int) -> Store:
        is_host = self._params.get("is_host")
        serve = _is_here(host) if is_host is None else str(is_host).lower() in ("1", "true", "t", "yes", "y")
        if serve:
            try:
                return self._open(host, port, True)
            except RendezvousConnectionError:
                if is_host is not None:
                    raise  # else another agent of this machine was first
        return self._open(host, port, False)

    def _await_others(self, store: Store, rank: int) -> int:
        params = self._params
        end = time.monotonic() + float(params.get("join_timeout") or _JOIN_SECONDS)
        last_call = float(params.get("last_call_timeout") or _LAST_CALL_SECONDS)
        most, since = 0, time.monotonic()
        while not store.check(["size"]):
            joined = int(store.get("joined"))
            now = time.monotonic()
            if joined != most:
                most, since = joined, now
            if rank == 0 and (
                joined >= params.max_nodes or (joined >= params.min_nodes and now - since > last_call)
            ):
                store.set("size", str(min(joined, params.max_nodes)))
                break
            if now > end:
                raise RendezvousTimeoutError(f"{joined} of at least {params.min_nodes} machines came in time")
            time.sleep(0.05)
        return int(store.get("size"))


def _refused(name: str) -> Callable[[RendezvousParameters], RendezvousHandler]:
    def create(params: RendezvousParameters) -> RendezvousHandler:
        raise NotImplementedError(
            f"the rendezvous backend '{name}' is not supported: it needs an etcd server. Use 'c10d' or 'static'"
        )

    return create


rendezvous_handler_registry = RendezvousHandlerRegistry()
rendezvous_handler_registry.register("static", StaticTCPRendezvous)
rendezvous_handler_registry.register("c10d", C10dRendezvous)
for _name in ("etcd", "etcd-v2"):
    rendezvous_handler_registry.register(_name, _refused(_name))

