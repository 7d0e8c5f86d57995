"""The oldest format, of PyTorch before 0.2: a tar file with the storages, the tensors and the pickle one by one."""

from __future__ import annotations

import io
import struct
import sys

import torch

from . import storage as _storage
from ._checkpoint_globals import fail
from ._checkpoint_sources import storage_dtype, storage_size, trusting_unpickler, typed, view_of
from ._weights_only_unpickler import Unpickler

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._checkpoint_devices import Restorer

_BLOCK = 512
_PLAIN = (b"0", b"\0")


def read_members(data: bytes) -> dict[str, bytes]:
    """The plain files of a tar file by name.

    Raises RuntimeError for one that is damaged.
    """
    members: dict[str, bytes] = {}
    at = 0
    while at + _BLOCK <= len(data) and data[at] != 0:
        head = data[at : at + _BLOCK]
        digits = head[124:136].strip(b" \0")
        if not digits.isdigit() or any(digit > ord("7") for digit in digits):
            raise RuntimeError(f"the tar file is damaged at byte {at}: no size of a member")
        size = int(digits, 8)
        at += _BLOCK
        if size > len(data) - at:
            raise RuntimeError(f"the tar file is damaged at byte {at}: a member ends after the file")
        if head[156:157] in _PLAIN:
            name = head[:100].partition(b"\0")[0].decode("utf-8", "replace").removeprefix("./")
            if name in members:
                raise RuntimeError(f"the tar file holds {name!r} twice")
            members[name] = data[at : at + size]
        at += -(-size // _BLOCK) * _BLOCK
    return members


class TarSource:
    """Reads ``sys_info``, ``storages``, ``tensors`` and ``pickle``, which refers to tensors by number."""

    def __init__(self, file: Any, restore: Restorer) -> None:
        self._members = read_members(file.read())
        self._restore = restore
        self._objects: dict[int, Any] = {}

    def _member(self, name: str) -> bytes:
        if name not in self._members:
            raise RuntimeError(f"the tar file holds no {name!r}; corrupt file?")
        return self._members[name]

    def _put(self, key: Any, value: Any) -> None:
        if type(key) is not int or key in self._objects:
            raise fail(f"invalid number of a storage or tensor: {key!r:.80}")
        self._objects[key] = value

    def _typed(self, key: Any) -> Any:
        found = self._objects.get(key) if type(key) is int else None
        if not isinstance(found, _storage.TypedStorage):
            raise fail(f"there is no storage {key!r:.80}")
        return found

    def _read_storages(self, load_args: dict[str, Any], swap: bool, order: str) -> None:
        reader = Unpickler(self._member("storages"), **load_args)
        for _ in range(_count(reader)):
            key, location, kind = _fields(reader, 3)
            dtype = storage_dtype(kind)
            (numel,) = struct.unpack(f"{order}q", reader.take(8))
            data = reader.take(storage_size(numel, dtype))
            storage = torch.UntypedStorage(len(data))
            if data:
                _storage._bytes_view(storage)[:] = data
            if swap:
                _storage._byteswap(storage, _storage._swap_size(dtype))
            location = location.decode("latin1") if isinstance(location, bytes) else location
            self._put(key, typed(self._restore(storage, str(location)), dtype))
        for view in _views(reader):
            self._put(view[0], view_of(self._typed(view[1]), view[2], view[3]))

    def _read_tensors(self, load_args: dict[str, Any], order: str) -> None:
        from ._utils import _rebuild_tensor

        reader = Unpickler(self._member("tensors"), **load_args)
        for _ in range(_count(reader)):
            key, storage, _ = _fields(reader, 3)
            dims, _ = struct.unpack(f"{order}iI", reader.take(8))
            size, stride = (struct.unpack(f"{order}{dims}q", reader.take(8 * dims)) for _ in range(2))
            (offset,) = struct.unpack(f"{order}q", reader.take(8))
            # A tensor without elements had no storage.
            held = self._typed(storage) if storage is not None else typed(torch.UntypedStorage(0), torch.float32)
            self._put(key, _rebuild_tensor(held, offset, size, stride))

    def _read_objects(self, load_args: dict[str, Any]) -> None:
        system = {}
        if "sys_info" in self._members:
            system = Unpickler(self._members["sys_info"], **load_args).load()
        little = bool(system.get("little_endian", True)) if isinstance(system, dict) else True
        order = "<" if little else ">"
        self._read_storages(load_args, little != (sys.byteorder == "little"), order)
        self._read_tensors(load_args, order)

    def persistent_load(self, saved_id: Any) -> Any:
        if isinstance(saved_id, tuple) and saved_id:
            # A module's class came with its source, which served to warn of changes.
            return saved_id[0]
        try:
            return self._objects[int(saved_id)]
        except (KeyError, TypeError, ValueError):
            raise fail(f"there is no storage or tensor {saved_id!r:.80}") from None

    def load_restricted(self, load_args: dict[str, Any]) -> Any:
        """The object, built by the restricted reader."""
        self._read_objects(load_args)
        reader = Unpickler(self._member("pickle"), **load_args)
        reader.persistent_kinds = None
        reader.persistent_load = self.persistent_load
        return reader.load()

    def load_pickle(self, pickle_module: Any, load_args: dict[str, Any]) -> Any:
        """The object, built by the module's own unpickler; the numbers around it by the restricted one."""
        self._read_objects(load_args)
        data = io.BytesIO(self._member("pickle"))
        return trusting_unpickler(pickle_module, self.persistent_load)(data, **load_args).load()


def _count(reader: Unpickler) -> int:
    count = reader.load()
    if type(count) is not int or not 0 <= count <= len(reader.data):
        raise fail(f"invalid number of storages or tensors: {count!r:.80}")
    return count


def _fields(reader: Unpickler, count: int) -> tuple[Any, ...]:
    fields = reader.load()
    if type(fields) is not tuple or len(fields) != count:
        raise fail(f"a storage or tensor must have {count} fields, but got {fields!r:.80}")
    return fields


def _views(reader: Unpickler) -> list[tuple[Any, ...]]:
    views = reader.load()
    if not isinstance(views, list) or not all(isinstance(view, tuple) and len(view) == 4 for view in views):
        raise fail("the views of storages must be a list of 4 fields each")
    return views
