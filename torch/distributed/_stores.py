"""Stores: tables of bytes that all processes of a job see, by which they find each other."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from datetime import timedelta

from ._errors import DistStoreError, QueueEmptyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

__all__ = ["FileStore", "HashStore", "PrefixStore", "Store"]

_DEFAULT_TIMEOUT = timedelta(seconds=300)


def as_bytes(method: str, value: Any) -> bytes:
    """The bytes of a value that a user gave; TypeError unless it is text or bytes."""
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    raise TypeError(f"{method}(): incompatible function arguments: a value has to be str or bytes, not {value!r}")


class Store:
    """A table of bytes by key; subclasses say where it lies.

    Keys are text, values text or bytes, and what is read are bytes. A read waits until the key is there.

    >>> store = torch.distributed.HashStore()
    >>> store.set("first_key", "first_value")
    >>> store.get("first_key")
    b'first_value'
    >>> store.add("count", 2), store.add("count", 3)
    (2, 5)

    Raises:
        DistStoreError: a key did not appear within the timeout (300 seconds unless ``set_timeout`` says otherwise).
    """

    _timeout = _DEFAULT_TIMEOUT

    @property
    def timeout(self) -> timedelta:
        return self._timeout

    def set_timeout(self, timeout: timedelta) -> None:
        """How long reads wait from now on."""
        if not isinstance(timeout, timedelta):
            raise TypeError(
                f"set_timeout(): incompatible function arguments: expected datetime.timedelta, got {timeout!r}"
            )
        self._timeout = timeout

    def _seconds(self, timeout: timedelta | None = None) -> float:
        return (self._timeout if timeout is None else timeout).total_seconds()

    def _unable(self, method: str) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no {method}()")

    def clone(self) -> Store:
        """Another object over the same table, which other threads may use meanwhile."""
        return self

    def set(self, key: str, value: str | bytes) -> None:
        """Write ``value``, whatever was there."""
        self._unable("set")

    def get(self, key: str) -> bytes:
        """Read a value, waiting until there is one."""
        return self._unable("get")

    def add(self, key: str, amount: int) -> int:
        """Add to the number at ``key``, 0 at first, and return the sum."""
        return self._unable("add")

    def compare_set(self, key: str, expected_value: str | bytes, desired_value: str | bytes) -> bytes:
        """Write ``desired_value`` if what is there is ``expected_value`` (or nothing, and ``""`` is expected).

        Returns what is there afterwards, or ``expected_value`` where nothing is.
        """
        return self._unable("compare_set")

    def check(self, keys: Sequence[str]) -> bool:
        """Whether all the keys are there; does not wait."""
        return self._unable("check")

    def wait(self, keys: Sequence[str], timeout: timedelta | None = None) -> None:
        """Wait until all the keys are there."""
        self._unable("wait")

    def delete_key(self, key: str) -> bool:
        """Forget a key; whether it was there."""
        return self._unable("delete_key")

    def num_keys(self) -> int:
        """How many keys there are."""
        return self._unable("num_keys")

    def append(self, key: str, value: str | bytes) -> None:
        """Write behind what is there."""
        self._unable("append")

    def multi_get(self, keys: Sequence[str]) -> list[bytes]:
        """Read several values, waiting for each."""
        return [self.get(key) for key in keys]

    def multi_set(self, keys: Sequence[str], values: Sequence[str | bytes]) -> None:
        """Write several values."""
        for key, value in zip(keys, values, strict=True):
            self.set(key, value)

    def queue_push(self, key: str, value: str | bytes) -> None:
        """Put a value at the end of a queue."""
        self._unable("queue_push")

    def queue_pop(self, key: str, block: bool = True) -> bytes:
        """Take the first value of a queue; QueueEmptyError if there is none and ``block`` is False."""
        return self._unable("queue_pop")

    def queue_len(self, key: str) -> int:
        """How many values wait in a queue."""
        return self._unable("queue_len")

    def list_keys(self) -> list[str]:
        """All keys."""
        return self._unable("list_keys")

    def has_extended_api(self) -> bool:
        """Whether ``append``, ``multi_get`` and ``multi_set`` work."""
        return False

    def barrier(self, key: str, world_size: int, timeout: timedelta | None = None) -> None:
        """Wait until ``world_size`` callers have come here with this key."""
        if self.add(f"{key}/arrived", 1) == world_size:
            self.set(f"{key}/open", b"1")
        self.wait([f"{key}/open"], timeout if timeout is not None else self.timeout)


Store.__module__ = "torch.distributed.distributed_c10d"


class HashStore(Store):
    """A table in this process, for its threads and for tests."""

    def __init__(self) -> None:
        self._table: dict[str, bytes] = {}
        self._queues: dict[str, deque[bytes]] = {}
        self._changed = threading.Condition()

    def set(self, key: str, value: str | bytes) -> None:
        data = as_bytes("set", value)
        with self._changed:
            self._table[key] = data
            self._changed.notify_all()

    def get(self, key: str) -> bytes:
        with self._changed:
            self._wait_for(lambda: key in self._table, self._seconds())
            return self._table[key]

    def _wait_for(self, ready: Callable[[], bool], seconds: float) -> None:
        if not ready() and not self._changed.wait_for(ready, seconds):
            raise DistStoreError("Wait timeout")

    def add(self, key: str, amount: int) -> int:
        with self._changed:
            total = int(self._table.get(key, b"0")) + amount
            self._table[key] = b"%d" % total
            self._changed.notify_all()
            return total

    def compare_set(self, key: str, expected_value: str | bytes, desired_value: str | bytes) -> bytes:
        expected, desired = as_bytes("compare_set", expected_value), as_bytes("compare_set", desired_value)
        with self._changed:
            if key not in self._table:
                if expected:
                    return expected
            elif self._table[key] != expected:
                return self._table[key]
            self._table[key] = desired
            self._changed.notify_all()
            return desired

    def check(self, keys: Sequence[str]) -> bool:
        with self._changed:
            return all(key in self._table for key in keys)

    def wait(self, keys: Sequence[str], timeout: timedelta | None = None) -> None:
        with self._changed:
            self._wait_for(lambda: all(key in self._table for key in keys), self._seconds(timeout))

    def delete_key(self, key: str) -> bool:
        with self._changed:
            return self._table.pop(key, None) is not None

    def num_keys(self) -> int:
        return len(self._table)

    def append(self, key: str, value: str | bytes) -> None:
        data = as_bytes("append", value)
        with self._changed:
            self._table[key] = self._table.get(key, b"") + data
            self._changed.notify_all()

    def queue_push(self, key: str, value: str | bytes) -> None:
        data = as_bytes("queue_push", value)
        with self._changed:
            self._queues.setdefault(key, deque()).append(data)
            self._changed.notify_all()

    def queue_pop(self, key: str, block: bool = True) -> bytes:
        with self._changed:
            if not block and not self._queues.get(key):
                raise QueueEmptyError("queue is empty")
            self._wait_for(lambda: bool(self._queues.get(key)), self._seconds())
            return self._queues[key].popleft()

    def queue_len(self, key: str) -> int:
        return len(self._queues.get(key, ()))

    def list_keys(self) -> list[str]:
        with self._changed:
            return list(self._table)

    def has_extended_api(self) -> bool:
        return True


class PrefixStore(Store):
    """Another store, seen through a prefix that is put before every key."""

    def __init__(self, prefix: str, store: Store) -> None:
        self._prefix = prefix
        self._store = store

    @property
    def underlying_store(self) -> Store:
        return self._store

    @property
    def _underlying_non_prefix_store(self) -> Store:
        store = self._store
        while isinstance(store, PrefixStore):
            store = store._store
        return store

    def _key(self, key: str) -> str:
        return f"{self._prefix}/{key}"

    def _keys(self, keys: Sequence[str]) -> list[str]:
        return [self._key(key) for key in keys]

    @property
    def timeout(self) -> timedelta:
        return self._store.timeout

    def set_timeout(self, timeout: timedelta) -> None:
        self._store.set_timeout(timeout)

    def clone(self) -> Store:
        return PrefixStore(self._prefix, self._store.clone())

    def set(self, key: str, value: str | bytes) -> None:
        self._store.set(self._key(key), value)

    def get(self, key: str) -> bytes:
        return self._store.get(self._key(key))

    def add(self, key: str, amount: int) -> int:
        return self._store.add(self._key(key), amount)

    def compare_set(self, key: str, expected_value: str | bytes, desired_value: str | bytes) -> bytes:
        return self._store.compare_set(self._key(key), expected_value, desired_value)

    def check(self, keys: Sequence[str]) -> bool:
        return self._store.check(self._keys(keys))

    def wait(self, keys: Sequence[str], timeout: timedelta | None = None) -> None:
        if timeout is None:
            self._store.wait(self._keys(keys))
        else:
            self._store.wait(self._keys(keys), timeout)

    def delete_key(self, key: str) -> bool:
        return self._store.delete_key(self._key(key))

    def num_keys(self) -> int:
        return self._store.num_keys()

    def append(self, key: str, value: str | bytes) -> None:
        self._store.append(self._key(key), value)

    def multi_get(self, keys: Sequence[str]) -> list[bytes]:
        return self._store.multi_get(self._keys(keys))

    def multi_set(self, keys: Sequence[str], values: Sequence[str | bytes]) -> None:
        self._store.multi_set(self._keys(keys), values)

    def queue_push(self, key: str, value: str | bytes) -> None:
        self._store.queue_push(self._key(key), value)

    def queue_pop(self, key: str, block: bool = True) -> bytes:
        return self._store.queue_pop(self._key(key), block)

    def queue_len(self, key: str) -> int:
        return self._store.queue_len(self._key(key))

    def list_keys(self) -> list[str]:
        start = f"{self._prefix}/"
        return [key.removeprefix(start) for key in self._store.list_keys() if key.startswith(start)]

    def has_extended_api(self) -> bool:
        return self._store.has_extended_api()


PrefixStore.__module__ = "torch.distributed.distributed_c10d"


class FileStore(Store):
    """A table in a file that all processes can open and lock: each change is a line at its end.

    With ``world_size`` the last of that many stores to be closed removes the file.
    """

    _USERS = "&users"  # how many have it open, as one of its keys

    def __init__(self, file_name: str, world_size: int = -1) -> None:
        self._path = os.fspath(file_name)
        self._world_size = world_size
        self._table: dict[str, bytes] = {}
        self._read_to = 0
        self._lock = threading.RLock()
        self.add(self._USERS, 1)

    @property
    def path(self) -> str:
        return self._path

    def _change(self, change: Callable[[], tuple[str, bytes | None] | None] | None = None) -> None:
        """Read what others wrote; ``change`` then says which key to write (None: to forget)."""
        import fcntl

        with self._lock, open(self._path, "a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # closing the file gives the lock back
            file.seek(self._read_to)
            for line in file.read().splitlines():
                key, _, text = line.decode().partition(" ")
                self._apply(bytes.fromhex(key).decode(), None if text == "-" else bytes.fromhex(text))
            written = change() if change is not None else None
            if written is not None:
                self._apply(*written)
                text = "-" if written[1] is None else written[1].hex()
                file.write(f"{written[0].encode().hex()} {text}\n".encode())
                file.flush()
            self._read_to = file.seek(0, os.SEEK_END)

    def _apply(self, key: str, value: bytes | None) -> None:
        if value is None:
            self._table.pop(key, None)
        else:
            self._table[key] = value

    def set(self, key: str, value: str | bytes) -> None:
        data = as_bytes("set", value)
        self._change(lambda: (key, data))

    def get(self, key: str) -> bytes:
        self._wait_for([key], self._seconds())
        return self._table[key]

    def _wait_for(self, keys: Sequence[str], seconds: float) -> None:
        end, pause = time.monotonic() + seconds, 0.001
        while not self.check(keys):
            if time.monotonic() > end:
                missing = ", ".join(key for key in keys if key not in self._table)
                raise DistStoreError(f"Timeout waiting for key: {missing} after {round(seconds * 1000)} ms")
            time.sleep(pause)
            pause = min(2 * pause, 0.05)

    def add(self, key: str, amount: int) -> int:
        def change() -> tuple[str, bytes]:
            return key, b"%d" % (int(self._table.get(key, b"0")) + amount)

        with self._lock:
            self._change(change)
            return int(self._table[key])

    def compare_set(self, key: str, expected_value: str | bytes, desired_value: str | bytes) -> bytes:
        expected, desired = as_bytes("compare_set", expected_value), as_bytes("compare_set", desired_value)

        def change() -> tuple[str, bytes] | None:
            return (key, desired) if self._table.get(key, b"") == expected else None

        with self._lock:
            self._change(change)
            return self._table.get(key, expected)

    def check(self, keys: Sequence[str]) -> bool:
        self._change()
        return all(key in self._table for key in keys)

    def wait(self, keys: Sequence[str], timeout: timedelta | None = None) -> None:
        self._wait_for(keys, self._seconds(timeout))

    def delete_key(self, key: str) -> bool:
        found = []

        def change() -> tuple[str, None] | None:
            found.append(key in self._table)
            return (key, None) if found[0] else None

        self._change(change)
        return found[0]

    def num_keys(self) -> int:
        self._change()
        return len(self._table)

    def append(self, key: str, value: str | bytes) -> None:
        data = as_bytes("append", value)
        self._change(lambda: (key, self._table.get(key, b"") + data))

    def list_keys(self) -> list[str]:
        self._change()
        return list(self._table)

    def has_extended_api(self) -> bool:
        return True

    def __del__(self) -> None:
        if self._world_size <= 0:
            return
        try:
            if self.add(self._USERS + "/gone", 1) == self._world_size:
                os.unlink(self._path)
        except Exception:
            # The file, its folder or the interpreter may be gone already: nothing is left to remove.
            return


for _kind in (HashStore, FileStore):
    _kind.__module__ = "torch._C._distributed_c10d"
