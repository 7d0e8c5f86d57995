"""Where ``torch.load`` reads from: zip checkpoints, and the stream of pickles before PyTorch 1.6."""

from __future__ import annotations

import io
import os
import sys

import torch

from . import storage as _storage
from ._checkpoint_archive import ArchiveReader
from ._checkpoint_devices import Restorer
from ._checkpoint_globals import fail
from ._checkpoint_options import MAP_SHARED, LoadEndianness, skips_data
from ._checkpoint_writing import MAGIC_NUMBER, PROTOCOL_VERSION
from ._weights_only_unpickler import Unpickler

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_BLOCK = 512  # bytes of a tar file


def open_source(file: Any, given: Any, map_location: Any, mapped: bool) -> Any:
    """What reads the checkpoint that starts at the file's position: by its first bytes one of three formats."""
    start = file.tell()
    head = file.read(_BLOCK)
    if not head:
        raise EOFError("Ran out of input")
    file.seek(start)
    restore = Restorer(map_location)
    if head.startswith(b"PK\3\4"):
        return ZipSource(Shifted(file, start) if start else file, restore, mapped)
    if mapped:
        raise RuntimeError(
            f"mmap can only be used with files saved with `torch.save({given}, _use_new_zipfile_serialization=True), "
            "please torch.save your checkpoint with this option in order to use mmap."
        )
    if head[257:262] == b"ustar":
        from ._checkpoint_tar import TarSource

        return TarSource(file, restore)
    return LegacySource(file, restore)


class Shifted:
    """The rest of a file as a file of its own: a checkpoint may follow other data."""

    def __init__(self, file: Any, start: int) -> None:
        self._file = file
        self._start = start
        self.read = file.read
        if hasattr(file, "readinto"):
            self.readinto = file.readinto

    def seek(self, offset: int, whence: int = 0) -> int:
        position = self._file.seek(offset + self._start if whence == 0 else offset, whence)
        return int(position) - self._start

    def tell(self) -> int:
        return int(self._file.tell()) - self._start


def _text(value: Any, what: str) -> str:
    if isinstance(value, bytes):
        return value.decode("latin1")
    if not isinstance(value, str):
        raise fail(f"the {what} of a storage must be text, but got {type(value)}")
    return value


def storage_dtype(kind: Any) -> Any:
    """The dtype of a class of storages, as a checkpoint names it."""
    if kind is torch.UntypedStorage:
        return torch.uint8
    dtype = getattr(kind, "dtype", None)
    if not isinstance(dtype, torch.dtype) or isinstance(kind, torch.Tensor):
        raise fail(f"a storage must be of a class of storages, but got {kind!r}")
    return dtype


def storage_size(numel: Any, dtype: Any) -> int:
    """The bytes of so many elements."""
    if type(numel) is not int or not 0 <= numel <= sys.maxsize // dtype.itemsize:
        raise fail(f"invalid size of a storage: {numel!r}")
    return int(numel * dtype.itemsize)


def storage_fields(saved_id: Any) -> tuple[Any, str, str, int]:
    """The dtype, key, location and size in bytes that a persistent id has for a storage.

    Raises UnpicklingError for what is no such id.
    """
    if type(saved_id) is not tuple or len(saved_id) < 5:
        raise fail(f"the id of a storage must be a tuple of 5 fields, but got {saved_id!r:.80}")
    if saved_id[0] not in ("storage", b"storage"):
        raise RuntimeError(f"Unknown typename for persistent_load, expected 'storage' but got '{saved_id[0]}'")
    _, kind, key, location, numel = saved_id[:5]
    dtype = storage_dtype(kind)
    return dtype, _text(key, "key"), _text(location, "location"), storage_size(numel, dtype)


def typed(storage: Any, dtype: Any) -> Any:
    """A storage as the rebuilding functions take it."""
    return _storage.TypedStorage(wrap_storage=storage, dtype=dtype)


def trusting_unpickler(pickle_module: Any, persistent_load: Callable[[Any], Any]) -> Any:
    """A subclass of the module's own ``Unpickler``: it imports and calls whatever the file says."""

    class TrustingUnpickler(pickle_module.Unpickler):  # type: ignore[misc, name-defined]
        reads_contents = False

        def persistent_load(self, saved_id: Any) -> Any:
            return persistent_load(saved_id)

        def find_class(self, module: str, name: str) -> Any:
            # Storage classes stay themselves even when their modules move.
            if module in ("torch", "torch.cuda") and name in _storage._LEGACY_CLASSES:
                return _storage._LEGACY_CLASSES[name]
            if name == "_rebuild_nested_tensor":
                self.reads_contents = True
            return super().find_class(module, name)

    return TrustingUnpickler


def _progress(file: Any, total: int) -> Any:
    from .utils._progress import Progress

    name = getattr(file, "name", None)
    return Progress(total, f"Loading {os.path.basename(name) if isinstance(name, str) else 'a checkpoint'}")


class ZipSource:
    """Storages of a zip checkpoint, read when the pickle first names them.

    ``folder`` is where their records are, ``archive`` the reader of a file that was looked into already.
    """

    def __init__(
        self, file: Any, restore: Restorer, mapped: bool, archive: ArchiveReader | None = None, folder: str = "data"
    ) -> None:
        self._file = file
        self._archive = ArchiveReader(file) if archive is None else archive
        self._folder = folder
        self._restore = restore
        self._loaded: dict[str, Any] = {}
        self._swap = self._byteorder() != sys.byteorder
        self._map = self._open_map(file) if mapped else None
        self._progress = _progress(file, 0 if mapped else self._archive.length)

    def _open_map(self, file: Any) -> Any:
        import mmap

        from .utils.serialization import config

        if config.load.mmap_flags != MAP_SHARED:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        if self._swap:
            # To swap the bytes of shared pages would be to change the file.
            return None
        with open(file.name, "r+b") as writable:
            return mmap.mmap(writable.fileno(), 0, access=mmap.ACCESS_WRITE)

    def _byteorder(self) -> str:
        from .utils.serialization import config

        if "byteorder" in self._archive:
            order = self._archive.read("byteorder").decode()
            if order not in ("little", "big"):
                raise ValueError("Unknown endianness type: " + order)
            return order
        assumed = config.load.endianness
        if assumed is None or assumed is LoadEndianness.LITTLE:
            return "little"
        return "big" if assumed is LoadEndianness.BIG else sys.byteorder

    def _read(self, key: str, nbytes: int) -> Any:
        name = f"{self._folder}/{key}"
        if self._archive.size(name) < nbytes:
            raise RuntimeError(f"record {name} holds {self._archive.size(name)} bytes, but {nbytes} are needed")
        if skips_data():
            return torch.UntypedStorage(nbytes)
        if self._map is not None and nbytes and self._archive.is_stored(name):
            offset = self._archive.data_offset(name)
            return torch._C._storage_from_bytes(memoryview(self._map)[offset : offset + nbytes])
        storage = torch.UntypedStorage(nbytes)
        if nbytes:
            self._archive.read_into(name, _storage._bytes_view(storage), self._progress.update)
        return storage

    def persistent_load(self, saved_id: Any) -> Any:
        dtype, key, location, nbytes = storage_fields(saved_id)
        if key not in self._loaded:
            if self._restore.skips(location):
                storage = torch.UntypedStorage(nbytes, device="meta")
            else:
                storage = self._read(key, nbytes)
                if self._swap:
                    _storage._byteswap(storage, _storage._swap_size(dtype))
                storage = self._restore(storage, location)
            self._loaded[key] = typed(storage, dtype)
        return self._loaded[key]

    def load_restricted(self, load_args: dict[str, Any]) -> Any:
        """The object, built by the restricted reader."""
        if self._is_torchscript():
            raise RuntimeError(
                "Cannot use ``weights_only=True`` with TorchScript archives passed to ``torch.load``. "
                + torch.serialization.UNSAFE_MESSAGE
            )
        reader = Unpickler(self._archive.read("data.pkl"), **load_args)
        reader.persistent_load = self.persistent_load
        with self._progress:
            result = reader.load()
        reader.check_sparse()
        return result

    def load_pickle(self, pickle_module: Any, load_args: dict[str, Any]) -> Any:
        """The object, built by the module's own unpickler."""
        if self._is_torchscript():
            self._file.seek(0)
            return torch.jit.load(self._file)
        data = io.BytesIO(self._archive.read("data.pkl"))
        with self._progress:
            return trusting_unpickler(pickle_module, self.persistent_load)(data, **load_args).load()

    def _is_torchscript(self) -> bool:
        if "constants.pkl" not in self._archive:
            return False
        import warnings

        warnings.warn(
            "'torch.load' received a zip file that looks like a TorchScript archive dispatching to 'torch.jit.load' "
            "(call 'torch.jit.load' directly to silence this warning)",
            UserWarning,
            stacklevel=5,
        )
        return True


class LegacySource:
    """The format before PyTorch 1.6: pickles one after another, then the bytes of all storages.

    The pickle names storages before their bytes are read: they are allocated first and filled at the end.
    """

    def __init__(self, file: Any, restore: Restorer) -> None:
        self._file = file
        self._restore = restore
        self._loaded: dict[str, Any] = {}
        self._views: dict[str, Any] = {}
        self._raw: dict[str, tuple[Any, Any]] = {}
        start = file.tell()
        file.seek(0, 2)
        # No storage can be larger than the file, and so not all of them together.
        self._length = self._left = file.tell() - start
        file.seek(start)

    def persistent_load(self, saved_id: Any) -> Any:
        if isinstance(saved_id, tuple) and saved_id and saved_id[0] in ("module", b"module"):
            # A module's class came with its source, which served to warn of changes.
            if len(saved_id) < 2:
                raise fail("the id of a module's class must name it")
            return saved_id[1]
        dtype, key, location, nbytes = storage_fields(saved_id)
        if key not in self._loaded:
            self._left -= nbytes
            if self._left < 0:
                raise RuntimeError(f"the file of {self._length} bytes cannot hold storage {key} of {nbytes} bytes")
            storage = torch.UntypedStorage(nbytes)
            self._raw[key] = (storage, dtype)
            self._loaded[key] = typed(self._restore(storage, location), dtype)
        view = saved_id[5] if len(saved_id) > 5 else None
        return self._loaded[key] if view is None else self._view(key, view)

    def _view(self, key: str, fields: Any) -> Any:
        if type(fields) is not tuple or len(fields) != 3:
            raise fail(f"the view of a storage must be a tuple of 3 fields, but got {fields!r:.80}")
        name, start, count = fields
        name = f"{key}/{_text(name, 'name')}"
        if name not in self._views:
            self._views[name] = view_of(self._loaded[key], start, count)
        return self._views[name]

    def _check(self, magic: Any, version: Any) -> None:
        if magic != MAGIC_NUMBER:
            raise RuntimeError("Invalid magic number; corrupt file?")
        if version != PROTOCOL_VERSION:
            raise RuntimeError(f"Invalid protocol version: {version}")

    def _fill(self, keys: Any, read: Callable[[int], bytes], swap: bool) -> None:
        if not isinstance(keys, (list, tuple)):
            raise fail("the keys of the storages must be a list")
        order = "big" if swap is (sys.byteorder == "little") else "little"
        with _progress(self._file, self._length) as progress:
            for key in keys:
                key = _text(key, "key")
                if key not in self._raw:
                    raise RuntimeError(f"the file holds a storage {key} that no tensor uses; corrupt file?")
                storage, dtype = self._raw[key]
                numel = int.from_bytes(_exactly(read, 8), order, signed=True)  # type: ignore[arg-type]
                if numel * dtype.itemsize != storage.nbytes():
                    raise RuntimeError(
                        f"storage has wrong byte size: expected {storage.nbytes()} got {numel * dtype.itemsize}"
                    )
                if storage.nbytes():
                    _storage._bytes_view(storage)[:] = _exactly(read, storage.nbytes())
                progress.update(storage.nbytes())
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
        """The object, built by the restricted reader."""
        reader = Unpickler(self._file.read(), **load_args)
        reader.persistent_kinds = frozenset({"storage", "module"})
        reader.persistent_load = self.persistent_load
        self._check(*(reader.load() for _ in range(2)))
        system = reader.load()
        begin = reader.position
        result = reader.load()
        self._fill(reader.load(), reader.take, self._swapped(system))
        if reader.reads_contents:
            reader.position = begin
            result = reader.load()
        reader.check_sparse()
        return result

    def load_pickle(self, pickle_module: Any, load_args: dict[str, Any]) -> Any:
        """The object, built by the module's own unpickler."""
        file = self._file
        self._check(pickle_module.load(file, **load_args), pickle_module.load(file, **load_args))
        system = pickle_module.load(file, **load_args)
        begin = file.tell()
        kind = trusting_unpickler(pickle_module, self.persistent_load)
        reader = kind(file, **load_args)
        result = reader.load()
        self._fill(pickle_module.load(file, **load_args), file.read, self._swapped(system))
        if reader.reads_contents:
            file.seek(begin)
            result = kind(file, **load_args).load()
        return result


def view_of(storage: Any, start: Any, count: Any) -> Any:
    """A part of a typed storage, over the same memory: PyTorch had these before 0.4."""
    if not all(type(number) is int for number in (start, count)) or not 0 <= start <= start + count <= storage.size():
        raise RuntimeError(f"a view of elements {start!r} and {count!r} more in a storage of {storage.size()} elements")
    size = storage.element_size()
    untyped = storage.untyped()
    if not count or untyped.device.type != "cpu":
        part = untyped[start * size : (start + count) * size]
    else:
        part = torch._C._storage_from_bytes(_storage._bytes_view(untyped)[start * size : (start + count) * size])
    return typed(part, storage.dtype)


def _exactly(read: Callable[[int], bytes], size: int) -> bytes:
    data = read(size)
    if len(data) < size:
        raise EOFError("the checkpoint ended early")
    return data
