"""``TCPStore``: one process serves a table to all others.

A request is an operation's byte, a time in milliseconds and the fields; an answer is a status byte and fields. Fields
go as a count and, for each, a length and the bytes. One thread serves one client: a client that waits holds up nobody.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
import weakref
from datetime import timedelta

from ._errors import DistNetworkError, DistStoreError, QueueEmptyError
from ._stores import HashStore, Store, as_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

__all__ = ["TCPStore"]

_REQUEST = struct.Struct("<cQI")
_ANSWER = struct.Struct("<cI")
_LENGTH = struct.Struct("<Q")
_OK, _TIMEOUT, _EMPTY, _ERROR = b"k", b"t", b"e", b"x"
_HELLO = b"tabula-store/1\n"
_WORKERS = "&workers"
_SPARE = 30.0  # seconds that an answer may take beyond the time that the server was told to wait


def receive(sock: socket.socket, nbytes: int) -> bytes:
    """Exactly ``nbytes`` of a socket; ConnectionError if it ends before."""
    data = bytearray(nbytes)
    view, at = memoryview(data), 0
    while at < nbytes:
        count = sock.recv_into(view[at:], nbytes - at)
        if not count:
            raise ConnectionError("the connection was closed")
        at += count
    return bytes(data)


def _fields(sock: socket.socket, count: int) -> list[bytes]:
    return [receive(sock, _LENGTH.unpack(receive(sock, _LENGTH.size))[0]) for _ in range(count)]


def _packed(fields: Sequence[bytes]) -> bytes:
    return b"".join(part for field in fields for part in (_LENGTH.pack(len(field)), field))


class _Server:
    """Serves a ``HashStore`` until nobody refers to it."""

    def __init__(self, port: int, listen_fd: int | None) -> None:
        self.store = HashStore()
        try:
            if listen_fd is not None:
                self.listener = socket.socket(fileno=listen_fd)
                self.listener.listen(1024)
            elif socket.has_dualstack_ipv6():
                self.listener = socket.create_server(
                    ("", port), family=socket.AF_INET6, backlog=1024, dualstack_ipv6=True
                )
            else:
                self.listener = socket.create_server(("", port), backlog=1024)
        except OSError as error:
            import errno

            name = errno.errorcode.get(error.errno or 0, "UNKNOWN")
            raise DistNetworkError(
                f"The server socket has failed to listen on any local network address. port: {port}, useIpv6: false, "
                f"code: -{error.errno}, name: {name}, message: {(error.strerror or str(error)).split(' (')[0].lower()}"
            ) from None
        self.port = self.listener.getsockname()[1]
        # The thread must not keep the server: its end is what closes the socket.
        threading.Thread(
            target=_accept, args=(self.listener, self.store), name="torch-store-accept", daemon=True
        ).start()

    def __del__(self) -> None:
        listener = getattr(self, "listener", None)
        if listener is not None:
            try:
                listener.shutdown(socket.SHUT_RDWR)  # wakes the thread in accept()
            except OSError:
                return  # it is closed already
            finally:
                listener.close()


def _accept(listener: socket.socket, store: HashStore) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_serve, args=(client, store), name="torch-store-client", daemon=True).start()


def _serve(client: socket.socket, store: HashStore) -> None:
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        if receive(client, len(_HELLO)) != _HELLO:
            return
        client.sendall(_HELLO)
        while True:
            operation, milliseconds, count = _REQUEST.unpack(receive(client, _REQUEST.size))
            fields = _fields(client, count)
            status, answer = _answer(store, operation, timedelta(milliseconds=milliseconds), fields)
            client.sendall(_ANSWER.pack(status, len(answer)) + _packed(answer))
    except OSError:
        return  # the client went away
    finally:
        client.close()


def _answer(store: HashStore, operation: bytes, timeout: timedelta, fields: list[bytes]) -> tuple[bytes, list[bytes]]:
    try:
        return _OK, _OPERATIONS[operation](store, timeout, fields)
    except QueueEmptyError:
        return _EMPTY, []
    except DistStoreError:
        return _TIMEOUT, []
    except Exception as error:
        return _ERROR, [str(error).encode()]


def _number(value: int) -> list[bytes]:
    return [b"%d" % value]


def _names(fields: list[bytes]) -> list[str]:
    return [field.decode() for field in fields]


def _set(store: HashStore, timeout: timedelta, fields: list[bytes]) -> list[bytes]:
    for key, value in zip(_names(fields[::2]), fields[1::2], strict=True):
        store.set(key, value)
    return []


def _get(store: HashStore, timeout: timedelta, fields: list[bytes]) -> list[bytes]:
    keys = _names(fields)
    store.wait(keys, timeout)
    return [store.get(key) for key in keys]


def _wait(store: HashStore, timeout: timedelta, fields: list[bytes]) -> list[bytes]:
    store.wait(_names(fields), timeout)
    return []


def _append(store: HashStore, timeout: timedelta, fields: list[bytes]) -> list[bytes]:
    store.append(fields[0].decode(), fields[1])
    return []


def _push(store: HashStore, timeout: timedelta, fields: list[bytes]) -> list[bytes]:
    store.queue_push(fields[0].decode(), fields[1])
    return []


def _pop(store: HashStore, timeout: timedelta, fields: list[bytes]) -> list[bytes]:
    key, block = fields[0].decode(), fields[1] == b"1"
    if not block:
        return [store.queue_pop(key, False)]
    with store._changed:
        store._wait_for(lambda: store.queue_len(key) > 0, timeout.total_seconds())
        return [store.queue_pop(key)]


_OPERATIONS: dict[bytes, Any] = {
    b"s": _set,
    b"g": _get,
    b"a": lambda store, timeout, fields: _number(store.add(fields[0].decode(), int(fields[1]))),
    b"c": lambda store, timeout, fields: [store.compare_set(fields[0].decode(), fields[1], fields[2])],
    b"?": lambda store, timeout, fields: _number(store.check(_names(fields))),
    b"w": _wait,
    b"d": lambda store, timeout, fields: _number(store.delete_key(fields[0].decode())),
    b"n": lambda store, timeout, fields: _number(sum(key != _WORKERS for key in store.list_keys())),
    b"+": _append,
    b"p": _push,
    b"q": _pop,
    b"l": lambda store, timeout, fields: _number(store.queue_len(fields[0].decode())),
    b"k": lambda store, timeout, fields: [key.encode() for key in store.list_keys() if key != _WORKERS],
}

_servers: weakref.WeakValueDictionary[int, _Server] = weakref.WeakValueDictionary()


class TCPStore(Store):
    """A table that one process, ``is_master``, serves at a port and all others reach over the network.

    Port 0 lets the system choose (see ``port``). ``wait_for_workers`` makes the master wait until ``world_size``
    stores are connected, its own included. ``multi_tenant`` lets several masters in one process share a server, and
    ``master_listen_fd`` is a socket that is bound already. ``use_libuv`` is accepted and changes nothing.

    Raises:
        DistNetworkError: the server cannot listen, or the client finds none within ``timeout``.
        DistStoreError: not all workers came.
    """

    def __init__(
        self,
        host_name: str,
        port: int,
        world_size: int | None = None,
        is_master: bool = False,
        timeout: timedelta = timedelta(seconds=300),
        wait_for_workers: bool = True,
        multi_tenant: bool = False,
        master_listen_fd: int | None = None,
        use_libuv: bool = True,
    ) -> None:
        self._timeout = timeout
        self._host = host_name
        self._lock = threading.Lock()
        self._server = None
        if is_master:
            if multi_tenant and port in _servers:
                self._server = _servers[port]
            else:
                self._server = _Server(port, master_listen_fd)
                _servers[self._server.port] = self._server
            port = self._server.port
        self._port = port
        self.libuvBackend = use_libuv
        self._socket = self._connect()
        joined = self._call(b"a", _WORKERS.encode(), b"1")
        if is_master and wait_for_workers and world_size is not None:
            self._await_workers(int(joined[0]), world_size)

    def _await_workers(self, joined: int, world_size: int) -> None:
        assert self._server is not None
        store = self._server.store
        seconds = self._timeout.total_seconds()
        with store._changed:
            if store._changed.wait_for(lambda: int(store._table[_WORKERS]) >= world_size, seconds):
                return
            joined = int(store._table[_WORKERS])
        raise DistStoreError(
            f"Timed out after {round(seconds) + 1} seconds waiting for clients. {joined}/{world_size} clients joined."
        )

    def _connect(self) -> socket.socket:
        seconds = self._timeout.total_seconds()
        end, pause = time.monotonic() + seconds, 0.01
        while True:
            try:
                sock = socket.create_connection((self._host, self._port), timeout=max(0.01, end - time.monotonic()))
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.sendall(_HELLO)
                if receive(sock, len(_HELLO)) != _HELLO:
                    raise DistNetworkError(f"what answers at ({self._host}, {self._port}) is no store")
                return sock
            except OSError:
                if time.monotonic() + pause > end:
                    raise DistNetworkError(
                        f"The client socket has timed out after {round(seconds * 1000)}ms while trying to connect to "
                        f"({self._host}, {self._port})."
                    ) from None
                time.sleep(pause)
                pause = min(2 * pause, 0.5)

    def _call(self, operation: bytes, *fields: bytes, timeout: timedelta | None = None) -> list[bytes]:
        wait = self._timeout if timeout is None else timeout
        milliseconds = max(0, round(wait.total_seconds() * 1000))
        with self._lock:
            try:
                self._socket.settimeout(wait.total_seconds() + _SPARE)
                self._socket.sendall(_REQUEST.pack(operation, milliseconds, len(fields)) + _packed(fields))
                status, count = _ANSWER.unpack(receive(self._socket, _ANSWER.size))
                answer = _fields(self._socket, count)
            except OSError as error:
                raise DistNetworkError(
                    f"failed to talk to the TCPStore at ({self._host}, {self._port}), which the process that serves it "
                    f"may have left: {error}"
                ) from None
        if status == _OK:
            return answer
        if status == _EMPTY:
            raise QueueEmptyError("queue is empty")
        if status == _TIMEOUT:
            keys = fields[:1] if operation == b"q" else fields
            names = ", ".join("/" + key.decode() for key in keys)
            raise DistStoreError(f"wait timeout after {milliseconds}ms, keys: {names}")
        raise ValueError(answer[0].decode())

    @property
    def host(self) -> str:
        return self._host

    @property
    def port(self) -> int:
        return self._port

    def __repr__(self) -> str:
        server = f"TCPServer(port={self._port})" if self._server is not None else "<nullptr>"
        local, remote = self._socket.getsockname(), self._socket.getpeername()
        ends = f"addr=[{local[0]}]:{local[1]}, remote=[{remote[0]}]:{remote[1]}"
        client = f"SocketImpl(fd={self._socket.fileno()}, {ends})"
        return f"TCPStore(client=TCPClient({client}), server={server})"

    def clone(self) -> Store:
        other = TCPStore(self._host, self._port, timeout=self._timeout)
        other._server = self._server
        return other

    def local_address(self) -> str:
        """This machine's address as the server sees it."""
        return self._socket.getsockname()[0]

    def set(self, key: str, value: str | bytes) -> None:
        self._call(b"s", key.encode(), as_bytes("set", value))

    def get(self, key: str) -> bytes:
        return self._call(b"g", key.encode())[0]

    def add(self, key: str, amount: int) -> int:
        return int(self._call(b"a", key.encode(), b"%d" % amount)[0])

    def compare_set(self, key: str, expected_value: str | bytes, desired_value: str | bytes) -> bytes:
        expected, desired = as_bytes("compare_set", expected_value), as_bytes("compare_set", desired_value)
        return self._call(b"c", key.encode(), expected, desired)[0]

    def check(self, keys: Sequence[str]) -> bool:
        return self._call(b"?", *(key.encode() for key in keys))[0] == b"1"

    def wait(self, keys: Sequence[str], timeout: timedelta | None = None) -> None:
        self._call(b"w", *(key.encode() for key in keys), timeout=timeout)

    def delete_key(self, key: str) -> bool:
        return self._call(b"d", key.encode())[0] == b"1"

    def num_keys(self) -> int:
        return int(self._call(b"n")[0])

    def append(self, key: str, value: str | bytes) -> None:
        self._call(b"+", key.encode(), as_bytes("append", value))

    def multi_get(self, keys: Sequence[str]) -> list[bytes]:
        return self._call(b"g", *(key.encode() for key in keys))

    def multi_set(self, keys: Sequence[str], values: Sequence[str | bytes]) -> None:
        pairs = zip(keys, values, strict=True)
        self._call(b"s", *(part for key, value in pairs for part in (key.encode(), as_bytes("multi_set", value))))

    def queue_push(self, key: str, value: str | bytes) -> None:
        self._call(b"p", key.encode(), as_bytes("queue_push", value))

    def queue_pop(self, key: str, block: bool = True) -> bytes:
        return self._call(b"q", key.encode(), b"1" if block else b"0")[0]

    def queue_len(self, key: str) -> int:
        return int(self._call(b"l", key.encode())[0])

    def list_keys(self) -> list[str]:
        return [key.decode() for key in self._call(b"k")]

    def has_extended_api(self) -> bool:
        return True


TCPStore.__module__ = "torch._C._distributed_c10d"
