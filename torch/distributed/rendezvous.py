"""How processes meet: an URL says where their store is."""

from __future__ import annotations

import os
from datetime import timedelta
from urllib.parse import parse_qsl, urlparse, urlunparse

from ._stores import FileStore, PrefixStore, Store
from ._tcp_store import TCPStore
from .constants import default_pg_timeout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    Meeting = tuple[Store, int, int]

__all__ = ["register_rendezvous_handler", "rendezvous"]

_handlers: dict[str, Callable[..., Iterator[Meeting]]] = {}


def register_rendezvous_handler(scheme: str, handler: Callable[..., Iterator[Meeting]]) -> None:
    """Have ``handler(url, timeout=...)`` serve URLs of a scheme; it yields ``(store, rank, world_size)``.

    Raises:
        RuntimeError: the scheme has a handler.
    """
    if scheme in _handlers:
        raise RuntimeError(f"Rendezvous handler for {scheme}:// already registered")
    _handlers[scheme] = handler


def rendezvous(url: str, rank: int = -1, world_size: int = -1, **kwargs: Any) -> Iterator[Meeting]:
    """Yield ``(store, rank, world_size)`` for ``env://``, ``tcp://host:port``, ``file:///path`` or a registered scheme.

    Raises:
        RuntimeError: ``url`` is no text, or nobody knows its scheme.
        ValueError: something is missing from the URL or the environment.
    """
    if not isinstance(url, str):
        raise RuntimeError(f"`url` must be a string. {type(url)}: {url}")
    if not isinstance(rank, int):
        raise RuntimeError(f"`rank` must be an integer. {rank}")
    if not isinstance(world_size, int):
        raise RuntimeError(f"`world_size` must be an integer. {world_size}")
    parts = urlparse(url)
    if parts.scheme not in _handlers:
        raise RuntimeError(f"No rendezvous handler for {parts.scheme}://")
    query = dict(parse_qsl(parts.query))
    if rank != -1:
        query["rank"] = str(rank)
    if world_size != -1:
        query["world_size"] = str(world_size)
    text = "&".join(f"{key}={value}" for key, value in query.items())
    return _handlers[parts.scheme](urlunparse(parts._replace(query=text)), **kwargs)


def _query(url: str, scheme: str) -> tuple[Any, dict[str, str]]:
    parts = urlparse(url)
    query = dict(parse_qsl(parts.query))
    for name, what in (("rank", "rank parameter"), ("world_size", "world size parameter")):
        if name not in query:
            raise _problem(scheme, f"{what} missing")
    return parts, query


def _problem(scheme: str, text: str) -> ValueError:
    return ValueError(f"Error initializing torch.distributed using {scheme}:// rendezvous: {text}")


def _file(url: str, **kwargs: Any) -> Iterator[Meeting]:
    parts = urlparse(url)
    if not parts.path:
        raise _problem("file", "path missing")
    parts, query = _query(url, "file")
    yield FileStore(parts.path, int(query["world_size"])), int(query["rank"]), int(query["world_size"])


def _tcp(url: str, timeout: timedelta = default_pg_timeout, **kwargs: Any) -> Iterator[Meeting]:
    parts = urlparse(url)
    if parts.port is None:
        raise _problem("tcp", "port number missing")
    parts, query = _query(url, "tcp")
    rank, size = int(query["rank"]), int(query["world_size"])
    yield _served_by_first(parts.hostname, parts.port, rank, size, timeout), rank, size


def _served_by_first(host: str, port: int, rank: int, size: int, timeout: timedelta) -> Store:
    """The store of a job: rank 0 serves it, unless torchrun does."""
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True":
        attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        return PrefixStore(f"/worker/attempt_{attempt}", TCPStore(host, port, size, False, timeout))
    return TCPStore(host, port, size, rank == 0, timeout, multi_tenant=True)


def _env(url: str, timeout: timedelta = default_pg_timeout, **kwargs: Any) -> Iterator[Meeting]:
    query = dict(parse_qsl(urlparse(url).query))

    def value(name: str) -> str:
        found = os.environ.get(name)
        if not found:
            raise _problem("env", f"environment variable {name} expected, but not set")
        return found

    rank = int(query["rank"] if "rank" in query else value("RANK"))
    size = int(query["world_size"] if "world_size" in query else value("WORLD_SIZE"))
    host = value("MASTER_ADDR")
    yield _served_by_first(host, int(value("MASTER_PORT")), rank, size, timeout), rank, size


register_rendezvous_handler("file", _file)
register_rendezvous_handler("tcp", _tcp)
register_rendezvous_handler("env", _env)
