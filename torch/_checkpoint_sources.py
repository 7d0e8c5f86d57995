"""Where ``torch.load`` reads from: zip checkpoints, and the format before PyTorch 1.6."""

from __future__ import annotations

import io
import sys

import torch

from . import _weights_only_unpickler
from . import storage as _storage
from .serialization import MAGIC_NUMBER, PROTOCOL_VERSION, LoadEndianness, _options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def _storage_fields(saved_id: Any) -> tuple[Any, Any, str, str, int]:
    if not isinstance(saved_id, tuple) or saved_id[0] not in ("storage", b"storage"):
        raise RuntimeError(f"Unknown typename for persistent_load, expected 'storage' but got '{saved_id[0]}'")
    _, kind, key, location, numel = saved_id[:5]
    key = key.decode() if isinstance(key, bytes) else key
    location = location.decode() if isinstance(location, bytes) else location
    dtype = torch.uint8 if kind is torch.UntypedStorage else kind.dtype
    if not isinstance(numel, int) or numel < 0:
        raise RuntimeError(f"invalid storage size {numel}")
    return kind, dtype, key, location, numel


class ZipSource:
    """Storages of a zip checkpoint, read when the pickle first names them."""

    def __init__(
        self, archive: Any, restore: Callable[[Any, str], Any], mapped: str | None = None, folder: str = "data"
    ) -> None:
        self._archive = archive
        self._folder = folder
        self._restore = restore
        self._loaded: dict[str, Any] = {}
        self._map = self._open_map(mapped) if mapped is not None else None
        self._swap = self._byteorder() != sys.byteorder

    @staticmethod
    def _open_map(path: str) -> Any:
        import mmap

        shared = _options.mmap_flags == mmap.MAP_SHARED
        with open(path, "r+b" if shared else "rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_WRITE if shared else mmap.ACCESS_COPY)

    def _byteorder(self) -> str:
        if "byteorder" in self._archive:
            order = self._archive.read("byteorder").decode()
            if order not in ("little", "big"):
                raise ValueError("Unknown endianness type: " + order)
            return order
        assumed = _options.endianness
        if assumed is None or assumed is LoadEndianness["LITTLE"]:
            return "little"
        return "big" if assumed is LoadEndianness["BIG"] else sys.byteorder

    def _read(self, key: str, nbytes: int) -> Any:
        name = f"{self._folder}/{key}"
        if _options.skip_materialize is not None:
            return torch.UntypedStorage(nbytes)
        if self._archive.size(name) < nbytes:
            raise RuntimeError(f"record {name} holds {self._archive.size(name)} bytes, but {nbytes} are needed")
        if self._map is not None and nbytes and self._archive.is_stored(name):
            offset = self._archive.data_offset(name)
            return torch._C._storage_from_bytes(memoryview(self._map)[offset : offset + nbytes])
        storage = torch.UntypedStorage(nbytes)
        if nbytes:
            self._archive.read_into(name, _storage._bytes_view(storage))
        return storage

    def persistent_load(self, saved_id: Any) -> Any:
        _, dtype, key, location, numel = _storage_fields(saved_id)
        if key not in self._loaded:
            storage = self._read(key, numel * dtype.itemsize)
            if self._swap:
                _storage._byteswap(storage, _storage._swap_size(dtype))
            restored = self._restore(storage, location)
            if isinstance(restored, _storage.TypedStorage):
                restored = restored.untyped()
            self._loaded[key] = _storage.TypedStorage(wrap_storage=restored, dtype=dtype)
        return self._loaded[key]

    def load_restricted(self, load_args: dict[str, Any]) -> Any:
        reader = _weights_only_unpickler.Unpickler(self._archive.read("data.pkl"), **load_args)
        reader.persistent_load = self.persistent_load
        return reader.load()

    def load_pickle(self, pickle_module: Any, load_args: dict[str, Any]) -> Any:
        data = io.BytesIO(self._archive.read("data.pkl"))
        return _trusting_unpickler(pickle_module, self.persistent_load)(data, **load_args).load()


def _trusting_unpickler(pickle_module: Any, persistent_load: Callable[[Any], Any]) -> Any:
    class Unpickler(pickle_module.Unpickler):  # type: ignore[misc, name-defined]
        def persistent_load(self, saved_id: Any) -> Any:
            return persistent_load(saved_id)

        def find_class(self, module: str, name: str) -> Any:
            # Storage classes stay themselves even when their modules move.
            if module == "torch" and name in _storage._LEGACY_CLASSES:
                return _storage._LEGACY_CLASSES[name]
            return super().find_class(module, name)

    return Unpickler


class LegacySource:
    """The format before PyTorch 1.6: pickles one after another, then the bytes of all storages.

    The pickle names storages before their bytes are read: they are allocated first and filled at the end.
    """

    def __init__(self, file: Any, restore: Callable[[Any, str], Any]) -> None:
        self._file = file
        self._restore = restore
        self._loaded: dict[str, Any] = {}
        self._raw: dict[str, tuple[Any, Any, str]] = {}

    def persistent_load(self, saved_id: Any) -> Any:
        if saved_id[0] in ("module", b"module"):
            return saved_id[1]
        _, dtype, key, location, numel = _storage_fields(saved_id)
        if key not in self._loaded:
            storage = torch.UntypedStorage(numel * dtype.itemsize)
            restored = self._restore(storage, location)
            if isinstance(restored, _storage.TypedStorage):
                restored = restored.untyped()
            self._raw[key] = (storage, dtype, location)
            self._loaded[key] = _storage.TypedStorage(wrap_storage=restored, dtype=dtype)
        view = saved_id[5] if len(saved_id) > 5 else None
        if view is None:
            return self._loaded[key]
        raise RuntimeError("views of storages, from files written before PyTorch 0.4, are not supported")

    def _check(self, magic: Any, version: Any) -> None:
        if magic != MAGIC_NUMBER:
            raise RuntimeError("Invalid magic number; corrupt file?")
        if version != PROTOCOL_VERSION:
            raise RuntimeError(f"Invalid protocol version: {version}")

    def _fill(self, keys: Any, read: Callable[[int], bytes], swap: bool) -> None:
        for key in keys:
            key = key.decode() if isinstance(key, bytes) else key
            if key not in self._raw:
                raise RuntimeError(f"the file holds a storage {key} that no tensor uses; corrupt file?")
            storage, dtype, _ = self._raw[key]
            numel = int.from_bytes(read(8), "big" if swap else "little", signed=True)
            if numel * dtype.itemsize != storage.nbytes():
                raise RuntimeError(f"storage has wrong byte size: expected {storage.nbytes()} got "
                                   f"{numel * dtype.itemsize}")  # fmt: skip
            if storage.nbytes():
                _storage._bytes_view(storage)[:] = read(storage.nbytes())
            if swap:
                _storage._byteswap(storage, _storage._swap_size(dtype))
            target = self._loaded[key].untyped()
            if target is not storage and target.data_ptr() != storage.data_ptr() and target.device.type != "meta":
                target.copy_(storage)

    @staticmethod
    def _swapped(system: Any) -> bool:
        little = system.get("little_endian", True) if isinstance(system, dict) else True
        return bool(little) != (sys.byteorder == "little")

    def load_restricted(self, load_args: dict[str, Any]) -> Any:
        data = self._file.read()
        reader = _weights_only_unpickler.Unpickler(data, **load_args)
        reader.persistent_load = self.persistent_load
        try:
            self._check(reader.load(), reader.load())
        except IndexError:
            raise RuntimeError("Invalid magic number; corrupt file?") from None
        system = reader.load()
        result = reader.load()
        keys = reader.load()
        self._fill(keys, reader.take, self._swapped(system))
        return result

    def load_pickle(self, pickle_module: Any, load_args: dict[str, Any]) -> Any:
        file = self._file
        self._check(pickle_module.load(file, **load_args), pickle_module.load(file, **load_args))
        system = pickle_module.load(file, **load_args)
        result = _trusting_unpickler(pickle_module, self.persistent_load)(file, **load_args).load()
        keys = pickle_module.load(file, **load_args)
        self._fill(keys, file.read, self._swapped(system))
        return result
