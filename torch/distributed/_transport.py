"""Messages between the processes of a job: one connection for each pair, shared by all groups.

A message has a key (group, step, number). Whoever wants one posts a receipt for it, with the place for its bytes; a
thread for each connection reads headers and puts the bytes where the receipt says, or keeps them until somebody asks.
So a sender never waits for the other side to ask, and no order of sends and receives can lock two processes up. The
threads spend their time inside system calls that move whole messages, without the interpreter's lock.

Processes of one machine talk through Unix sockets, which move about twice as much as TCP over the loopback.
"""

from __future__ import annotations

import json
import os
import queue
import secrets
import socket
import struct
import threading
import time
from _thread import allocate_lock
from collections import deque

import torch

from ._errors import DistNetworkError
from ._tcp_store import TCPStore, receive

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._stores import Store

    Key = tuple[bytes, int, int]

__all__ = ["Endpoint", "Receipt", "bytes_of"]

# group, number, step, operation, bytes
_HEADER = struct.Struct("<8sqIIQ")
_COOKIE = 16
_HELLO = struct.Struct(f"<q{_COOKIE}s")
_SMALL = 1 << 16  # bytes; header and payload go in one call up to here
_BUFFER = 4 << 20  # bytes that the system may keep for a connection, if it allows as many


def bytes_of(tensor: torch.Tensor) -> memoryview:
    """The memory of a contiguous tensor, without a copy."""
    size = tensor.element_size()
    start = tensor.storage_offset() * size
    nbytes = tensor.numel() * size
    if not nbytes:
        return memoryview(b"")
    return memoryview(tensor.untyped_storage()).cast("B")[start : start + nbytes]


class Receipt:
    """A message that is to come. ``wait`` returns when its bytes are where they belong.

    ``view`` is the place for the bytes, or None: then ``data`` will be a new tensor of bytes.
    """

    __slots__ = ("_done", "data", "error", "operation", "source", "view")

    def __init__(self, view: memoryview | None, operation: int = 0) -> None:
        self.view = view
        self.operation = operation
        self.data: torch.Tensor | None = None
        self.error: Exception | None = None
        self.source = -1
        self._done = allocate_lock()
        self._done.acquire()

    def finish(self, error: Exception | None = None) -> None:
        self.error = error
        self._done.release()

    def done(self) -> bool:
        return not self._done.locked()

    def wait(self, end: float | None) -> None:
        """Wait until ``end``, a time of ``time.monotonic``; raises what went wrong."""
        seconds = -1.0 if end is None else max(0.0, end - time.monotonic())
        if not self._done.acquire(timeout=min(seconds, threading.TIMEOUT_MAX)):
            raise TimeoutError
        self._done.release()
        if self.error is not None:
            raise self.error


def _address_of_host() -> str:
    """Boot and network: what two processes have in common that can reach each other's Unix sockets."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            boot = file.read().strip()
        return f"{boot}/{os.stat('/proc/self/ns/net').st_ino}"
    except OSError:
        return ""


class _Peer:
    """The connection to one other process."""

    def __init__(self, endpoint: Endpoint, rank: int, sock: socket.socket) -> None:
        self.endpoint = endpoint
        self.rank = rank
        self.sock = sock
        sock.settimeout(None)
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            sock.setsockopt(socket.SOL_SOCKET, option, _BUFFER)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.posted: dict[Key, deque[Receipt]] = {}
        self.arrived: dict[Key, deque[Receipt]] = {}
        self.gone: Exception | None = None
        self._sending = threading.Lock()
        self._outbox: queue.SimpleQueue[Any] | None = None
        self._queued = 0
        threading.Thread(target=self._receive, name=f"torch-receive-{rank}", daemon=True).start()

    def name(self) -> str:
        try:
            address = self.sock.getpeername()
        except OSError:
            address = ""
        return f"[{address[0]}]:{address[1]}" if isinstance(address, tuple) else f"rank {self.rank}"

    def send(self, header: bytes, view: memoryview) -> None:
        """Send at once, behind what waits in the outbox."""
        if self._queued:
            receipt = Receipt(None)
            self.send_later(header, view, receipt)
            receipt.wait(None)
        else:
            self._send(header, view)

    def send_later(self, header: bytes, view: memoryview, receipt: Receipt) -> None:
        """Have a thread send it."""
        with self._sending:
            self._queued += 1
            if self._outbox is None:
                self._outbox = queue.SimpleQueue()
                threading.Thread(target=self._send_queued, name=f"torch-send-{self.rank}", daemon=True).start()
        self._outbox.put((header, view, receipt))

    def _send_queued(self) -> None:
        assert self._outbox is not None
        while True:
            item = self._outbox.get()
            if item is None:
                return
            header, view, receipt = item
            try:
                self._send(header, view)
            except Exception as error:
                receipt.finish(error)
            else:
                receipt.finish()
            with self._sending:
                self._queued -= 1
            del item, view, receipt  # not to be kept until the next one comes

    def _send(self, header: bytes, view: memoryview) -> None:
        try:
            with self._sending:
                if len(view) > _SMALL:
                    self.sock.sendall(header, socket.MSG_MORE if self.sock.family != socket.AF_UNIX else 0)
                    self.sock.sendall(view)
                    return
                sent = self.sock.sendmsg([header, view])
                if sent < len(header):
                    self.sock.sendall(header[sent:])
                    sent = len(header)
                if sent < len(header) + len(view):
                    self.sock.sendall(view[sent - len(header) :])
        except OSError as error:
            raise self.gone or RuntimeError(f"Connection closed by peer {self.name()}: {error}") from None

    def _read(self, view: memoryview) -> None:
        at = 0
        while at < len(view):
            count = self.sock.recv_into(view[at:], len(view) - at, socket.MSG_WAITALL)
            if not count:
                raise ConnectionError("it left")
            at += count

    def _receive(self) -> None:
        header = memoryview(bytearray(_HEADER.size))
        receipt = None
        try:
            while True:
                self._read(header)
                group, number, step, operation, nbytes = _HEADER.unpack(header)
                key = group, step, number
                receipt = self.endpoint._expected(self, key)
                view = receipt.view
                if view is None or len(view) != nbytes:
                    receipt.data = torch.empty(nbytes, dtype=torch.uint8)
                    self._read(bytes_of(receipt.data))
                else:
                    self._read(view)
                self.endpoint._arrived(self, key, receipt, operation, nbytes)
                receipt = view = None
        except OSError as error:
            self._leave(RuntimeError(f"Connection closed by peer {self.name()}: {error}"), receipt)

    def _leave(self, error: Exception, reading: Receipt | None) -> None:
        with self.endpoint.lock:
            self.gone = error
            waiting = [receipt for receipts in self.posted.values() for receipt in receipts]
            self.posted.clear()
        if reading is not None and not reading.done():
            waiting.append(reading)
        for receipt in waiting:
            receipt.finish(error)

    def close(self) -> None:
        if self._outbox is not None:
            self._outbox.put(None)
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the other side was first
        self.sock.close()


class Endpoint:
    """This process's connections to the others of a job, made when it is constructed.

    Raises:
        DistNetworkError: another process could not be reached, or did not come within the timeout.
    """

    def __init__(self, store: Store, rank: int, size: int, seconds: float) -> None:
        self.rank = rank
        self.size = size
        self.lock = threading.Lock()
        self.peers: dict[int, _Peer] = {}
        # Receipts that any rank of a group may fill: key to [(receipt, ranks)]
        self._from_any: dict[Key, deque[tuple[Receipt, frozenset[int]]]] = {}
        self._place = _address_of_host()
        if size > 1:
            self._meet(store, time.monotonic() + seconds)

    def _meet(self, store: Store, end: float) -> None:
        cookie = secrets.token_bytes(_COOKIE)
        if socket.has_dualstack_ipv6():
            over_tcp = socket.create_server(("", 0), family=socket.AF_INET6, backlog=self.size, dualstack_ipv6=True)
        else:
            over_tcp = socket.create_server(("", 0), backlog=self.size)
        listeners = [over_tcp]
        unix_name = ""
        if self._place:
            unix_name = f"\0torch-{cookie.hex()}"
            near = socket.socket(socket.AF_UNIX)
            near.bind(unix_name)
            near.listen(self.size)
            listeners.append(near)
        record = {
            "cookie": cookie.hex(),
            "place": self._place,
            "unix": unix_name,
            "hosts": _hosts(store),
            "port": over_tcp.getsockname()[1],
        }
        store.set(f"endpoint/{self.rank}", json.dumps(record))
        try:
            for other in range(self.rank):
                self.peers[other] = _Peer(self, other, self._connect(store, other, end))
            self._accept(listeners, cookie, end)
            store.delete_key(f"endpoint/{self.rank}")  # everybody has read it; a later group starts anew
        finally:
            for listener in listeners:
                listener.close()

    def _connect(self, store: Store, other: int, end: float) -> socket.socket:
        from datetime import timedelta

        key = f"endpoint/{other}"
        while True:
            store.wait([key], timedelta(seconds=max(0.001, end - time.monotonic())))
            record = json.loads(store.get(key))
            failures = []
            for family, address in self._ways(record):
                try:
                    return _greeted(family, address, self.rank, record["cookie"], end)
                except OSError as error:
                    failures.append(f"{address}: {error}")
            # The record may be one of an earlier group over this store, which its writer is about to remove.
            if time.monotonic() + 0.1 > end:
                raise DistNetworkError(f"rank {self.rank} cannot reach rank {other}: {'; '.join(failures)}")
            time.sleep(0.1)

    def _ways(self, record: dict[str, Any]) -> list[tuple[int, Any]]:
        """Addresses to try, the fastest first."""
        ways: list[tuple[int, Any]] = [(socket.AF_INET, (host, record["port"])) for host in record["hosts"]]
        if record["unix"] and record["place"] == self._place:
            ways.insert(0, (socket.AF_UNIX, record["unix"]))
        return ways

    def _accept(self, listeners: list[socket.socket], cookie: bytes, end: float) -> None:
        import selectors

        missing = set(range(self.rank + 1, self.size))
        with selectors.DefaultSelector() as selector:
            for listener in listeners:
                selector.register(listener, selectors.EVENT_READ)
            while missing:
                ready = selector.select(max(0.0, end - time.monotonic()))
                if not ready:
                    raise DistNetworkError(
                        f"rank {self.rank} timed out waiting for the connections of ranks {sorted(missing)}"
                    )
                for key, _ in ready:
                    sock = key.fileobj.accept()[0]  # type: ignore[union-attr]
                    sock.settimeout(max(0.1, end - time.monotonic()))
                    try:
                        other, shown = _HELLO.unpack(receive(sock, _HELLO.size))
                    except OSError:
                        other, shown = -1, b""
                    if other in missing and secrets.compare_digest(shown, cookie):
                        missing.discard(other)
                        self.peers[other] = _Peer(self, other, sock)
                    else:
                        sock.close()  # a stranger

    def send(self, rank: int, key: Key, view: memoryview, operation: int = 0) -> None:
        """Send ``view`` to a rank; returns when the system has taken it."""
        group, step, number = key
        self.peers[rank].send(_HEADER.pack(group, number, step, operation, len(view)), view)

    def send_later(self, rank: int, key: Key, view: memoryview, operation: int = 0) -> Receipt:
        """Have ``view`` sent by a thread."""
        group, step, number = key
        receipt = Receipt(None)
        self.peers[rank].send_later(_HEADER.pack(group, number, step, operation, len(view)), view, receipt)
        return receipt

    def receive(self, rank: int, key: Key, view: memoryview | None = None, operation: int = 0) -> Receipt:
        """Ask for a message of a rank, to be put into ``view`` or else into a new tensor."""
        peer = self.peers[rank]
        with self.lock:
            waiting = peer.arrived.get(key)
            if not waiting:
                receipt = Receipt(view, operation)
                if peer.gone is not None:
                    receipt.finish(peer.gone)
                else:
                    peer.posted.setdefault(key, deque()).append(receipt)
                return receipt
            early = waiting.popleft()
            if not waiting:
                del peer.arrived[key]
        return _take(early, view, operation)

    def receive_any(self, ranks: frozenset[int], key: Key, view: memoryview) -> Receipt:
        """Ask for a message of whichever of these ranks sends first; ``source`` says whose it was."""
        with self.lock:
            for rank in sorted(ranks):
                waiting = self.peers[rank].arrived.get(key) if rank in self.peers else None
                if waiting:
                    early = waiting.popleft()
                    if not waiting:
                        del self.peers[rank].arrived[key]
                    break
            else:
                receipt = Receipt(view)
                self._from_any.setdefault(key, deque()).append((receipt, ranks))
                return receipt
        return _take(early, view, 0)

    def cancel(self, receipt: Receipt) -> None:
        """Forget a receipt that nobody waits for any more."""
        with self.lock:
            for peer in self.peers.values():
                for key, receipts in list(peer.posted.items()):
                    if receipt in receipts:
                        receipts.remove(receipt)
                        if not receipts:
                            del peer.posted[key]
            for pairs in self._from_any.values():
                for pair in [pair for pair in pairs if pair[0] is receipt]:
                    pairs.remove(pair)

    def _expected(self, peer: _Peer, key: Key) -> Receipt:
        """The receipt that the next message with this key fills: a posted one, or a new one that will wait."""
        with self.lock:
            receipts = peer.posted.get(key)
            if receipts:
                receipt = receipts.popleft()
                if not receipts:
                    del peer.posted[key]
            else:
                receipt = self._of_any(peer, key) or Receipt(None, -1)
            receipt.source = peer.rank
            return receipt

    def _of_any(self, peer: _Peer, key: Key) -> Receipt | None:
        pairs = self._from_any.get(key)
        for pair in pairs or ():
            if peer.rank in pair[1]:
                pairs.remove(pair)  # type: ignore[union-attr]
                if not pairs:
                    del self._from_any[key]
                return pair[0]
        return None

    def _arrived(self, peer: _Peer, key: Key, receipt: Receipt, operation: int, nbytes: int) -> None:
        if receipt.operation != -1:
            receipt.finish(_mismatch(receipt, operation, nbytes))
            return
        # Nobody had asked when its bytes began to arrive; somebody may have meanwhile.
        receipt.operation = operation
        receipt.finish()
        with self.lock:
            receipts = peer.posted.get(key)
            if receipts:
                asked = receipts.popleft()
                if not receipts:
                    del peer.posted[key]
            else:
                found = self._of_any(peer, key)
                if found is None:
                    peer.arrived.setdefault(key, deque()).append(receipt)
                    return
                asked = found
        asked.source = peer.rank
        _fill(asked, receipt)

    def close(self) -> None:
        """Close all connections."""
        for peer in self.peers.values():
            peer.close()


def _greeted(family: int, address: Any, rank: int, cookie: str, end: float) -> socket.socket:
    """A connection to this address, on which this process has said who it is."""
    if family == socket.AF_UNIX:
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(address)
    else:
        sock = socket.create_connection(address, timeout=max(0.001, end - time.monotonic()))
    sock.sendall(_HELLO.pack(rank, bytes.fromhex(cookie)))
    return sock


def _mismatch(receipt: Receipt, operation: int, nbytes: int) -> Exception | None:
    if receipt.operation != operation:
        return RuntimeError(
            f"the processes of a group call different collectives: this one {_called(receipt.operation)}, rank "
            f"{receipt.source} {_called(operation)} in its place"
        )
    if receipt.view is not None and len(receipt.view) != nbytes:
        return RuntimeError(
            f"rank {receipt.source} sent {nbytes} bytes where {len(receipt.view)} are expected: shapes or dtypes "
            "differ between the processes"
        )
    return None


OPERATIONS = (
    "sends or receives", "all_reduce", "broadcast", "all_gather", "reduce", "gather", "scatter", "reduce_scatter",
    "all_to_all", "barrier", "monitored_barrier",
)  # fmt: skip


def _called(operation: int) -> str:
    return OPERATIONS[operation] if 0 <= operation < len(OPERATIONS) else f"operation {operation}"


def _fill(asked: Receipt, early: Receipt) -> None:
    """Give a receipt what arrived before it was posted."""
    assert early.data is not None
    error = _mismatch(asked, early.operation, early.data.numel())
    if error is None and asked.view is not None:
        if len(asked.view):
            asked.view[:] = bytes_of(early.data)
    else:
        asked.data = early.data
    asked.finish(error)


def _take(early: Receipt, view: memoryview | None, operation: int) -> Receipt:
    asked = Receipt(view, operation)
    asked.source = early.source
    _fill(asked, early)
    return asked


def _hosts(store: Store) -> list[str]:
    """This machine's addresses, the likeliest first."""
    found = []
    while not isinstance(store, TCPStore) and hasattr(store, "underlying_store"):
        store = store.underlying_store
    if isinstance(store, TCPStore):
        found.append(store.local_address().removeprefix("::ffff:"))
    try:
        found += [str(info[4][0]) for info in socket.getaddrinfo(socket.gethostname(), None, type=socket.SOCK_STREAM)]
    except OSError:
        found.append("127.0.0.1")
    return list(dict.fromkeys(found))
