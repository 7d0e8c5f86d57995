"""How ``torch.save`` writes: files that appear whole, and the storages that a pickle refers to."""

from __future__ import annotations

import io
import os
import sys

import torch

from . import storage as _storage
from ._checkpoint_archive import ArchiveWriter, write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
PROTOCOL_VERSION = 1001
_DESCRIPTORS = "/proc/self/fd"


class AtomicFile:
    """A file that appears under its name only when it is complete.

    A link is followed, and the file that it names is replaced. The new file has the old one's mode, and its owner where
    that is permitted. In a folder where nothing may be created, an existing file is written in place.

    Raises:
        RuntimeError: if the folder does not exist.
        OSError: if neither a new file nor the old one can be written.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._target = os.path.realpath(os.fspath(path))
        self._folder, self._name = os.path.split(self._target)
        if not os.path.isdir(self._folder):
            raise RuntimeError(f"Parent directory {os.path.dirname(os.fspath(path))} does not exist.")
        self._part: str | None = None
        exists = os.path.exists(self._target)
        # Pipes and devices cannot be replaced, only written to.
        if exists and not os.path.isfile(self._target):
            self._file = open(self._target, "wb", buffering=0)
            return
        try:
            self._file = self._new_file()
        except PermissionError:
            if not exists:
                raise
            self._part = None
            self._file = open(self._target, "wb", buffering=0)

    def _new_file(self) -> Any:
        self._part = os.path.join(self._folder, f".{self._name[:200]}.{os.getpid()}.{id(self):x}.part")
        try:
            # A file without a name: nothing is left of it if this process is killed.
            if not os.path.isdir(_DESCRIPTORS):
                raise OSError(f"{_DESCRIPTORS} is not there")
            descriptor = os.open(self._folder, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o666)
        except (OSError, AttributeError):
            return open(self._part, "xb", buffering=0)
        return open(descriptor, "wb", buffering=0)

    def __enter__(self) -> Any:
        return self._file

    def _keep_owner_and_mode(self) -> None:
        try:
            old = os.stat(self._target)
        except FileNotFoundError:
            return
        descriptor = self._file.fileno()
        new = os.fstat(descriptor)
        if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
            try:
                os.fchown(descriptor, old.st_uid, old.st_gid)
            except PermissionError:
                pass
        os.fchmod(descriptor, old.st_mode & 0o7777)

    def _give_name(self) -> None:
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            # Only with a descriptor of a folder does Python ask the system to follow the link.
            source = f"{_DESCRIPTORS}/{self._file.fileno()}"
            os.link(source, str(self._part), src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=True)
        finally:
            os.close(folder)

    def __exit__(self, kind: Any, value: Any, trace: Any) -> None:
        try:
            if self._part is None:
                return
            if kind is None:
                self._keep_owner_and_mode()
                if not os.path.lexists(self._part):
                    self._give_name()
                os.replace(self._part, self._target)
        finally:
            self._file.close()
            if self._part is not None and os.path.lexists(self._part):
                os.unlink(self._part)


class StorageTable:
    """Gives every distinct piece of memory met while pickling one key, and remembers it for writing."""

    def __init__(self) -> None:
        self.storages: dict[str, Any] = {}
        self._keys: dict[Any, str] = {}
        self._dtypes: dict[int, Any] = {}

    def persistent_id(self, obj: Any) -> tuple[Any, ...] | None:
        if isinstance(obj, _storage.TypedStorage):
            untyped, dtype = obj.untyped(), obj.dtype
            kind = getattr(torch, obj._pickle_storage_type())
            numel = obj.size()
        elif isinstance(obj, torch.UntypedStorage):
            untyped, dtype, kind, numel = obj, torch.uint8, torch.UntypedStorage, obj.nbytes()
        else:
            return None
        pointer = untyped.data_ptr()
        if pointer and self._dtypes.setdefault(pointer, dtype) is not dtype:
            raise RuntimeError(
                "Cannot save multiple tensors or storages that view the same data as different types"
            )
        # Wrappers of one storage may differ, but its memory does not. Empty ones share nothing.
        identity = (pointer, untyped.nbytes()) if pointer else id(untyped)
        key = self._keys.setdefault(identity, str(len(self._keys)))
        self.storages.setdefault(key, untyped)
        return ("storage", kind, key, torch.serialization.location_tag(untyped), numel)

    def itemsize(self, storage: Any) -> int:
        """The bytes of an element, as the pickle counts them."""
        pointer = storage.data_ptr()
        return int(self._dtypes[pointer].itemsize) if pointer else 1

    def nbytes(self) -> int:
        """The bytes of all storages."""
        return sum(storage.nbytes() for storage in self.storages.values())


def _cpu_bytes(storage: Any) -> Any:
    if not storage.nbytes():
        return b""
    return _storage._bytes_view(storage if storage.device.type == "cpu" else storage.cpu())


def _progress(table: StorageTable, name: str) -> Any:
    from .utils._progress import Progress

    return Progress(table.nbytes(), f"Saving {name}")


def save_zip(obj: object, file: Any, name: str, pickle_module: Any, protocol: int, byteorder: bool, skip: bool) -> None:
    """Write the format of PyTorch 1.6 and later: a zip file with the pickle and a record for each storage."""
    from .utils.serialization import config

    table = StorageTable()
    buffer = io.BytesIO()

    class Pickler(pickle_module.Pickler):  # type: ignore[misc, name-defined]
        def persistent_id(self, obj: Any) -> Any:
            return table.persistent_id(obj)

    Pickler(buffer, protocol=protocol).dump(obj)
    options = config.save
    with _progress(table, name) as progress:
        archive = ArchiveWriter(file, name, options.compute_crc32, options.storage_alignment, progress.update)
        archive.write_record("data.pkl", buffer.getbuffer())
        archive.write_record(".format_version", b"1")
        archive.write_record(".storage_alignment", str(options.storage_alignment).encode())
        if byteorder:
            archive.write_record("byteorder", sys.byteorder.encode())
        for key, storage in table.storages.items():
            archive.write_record(f"data/{key}", bytes(storage.nbytes()) if skip else _cpu_bytes(storage))
        archive.write_record("version", b"3\n")
        archive.close()


def save_legacy(obj: object, file: Any, name: str, pickle_module: Any, protocol: int) -> None:
    """Write the format before PyTorch 1.6: pickles one after another, then the bytes of all storages."""
    table = StorageTable()

    class Pickler(pickle_module.Pickler):  # type: ignore[misc, name-defined]
        def persistent_id(self, obj: Any) -> Any:
            found = table.persistent_id(obj)
            # The sixth field described views of storages, which no longer exist.
            return None if found is None else (*found, None)

    system = {
        "protocol_version": PROTOCOL_VERSION,
        "little_endian": sys.byteorder == "little",
        "type_sizes": {"short": 2, "int": 4, "long": 4},
    }
    head = io.BytesIO()
    for header in (MAGIC_NUMBER, PROTOCOL_VERSION, system):
        pickle_module.dump(header, head, protocol=protocol)
    Pickler(head, protocol=protocol).dump(obj)
    keys = sorted(table.storages)
    pickle_module.dump(keys, head, protocol=protocol)
    with _progress(table, name) as progress:
        write_all(file, head.getbuffer())
        for key in keys:
            storage = table.storages[key]
            numel = storage.nbytes() // table.itemsize(storage)
            write_all(file, memoryview(numel.to_bytes(8, sys.byteorder)))
            write_all(file, memoryview(_cpu_bytes(storage)))
            progress.update(storage.nbytes())
