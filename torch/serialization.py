"""``torch.save`` and ``torch.load``."""

from __future__ import annotations

import io
import os
import sys

import torch

from . import _checkpoint_archive, _weights_only_unpickler
from . import storage as _storage
from ._weights_only_unpickler import safe_globals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import IO, Any, TypeAlias

    FileLike: TypeAlias = str | os.PathLike[str] | IO[bytes]
    MapLocation: TypeAlias = Callable[[Any, str], Any] | torch.device | str | dict[str, str] | None

__all__ = [
    "LoadEndianness",
    "SourceChangeWarning",
    "add_safe_globals",
    "clear_safe_globals",
    "default_restore_location",
    "get_crc32_options",
    "get_default_load_endianness",
    "get_default_mmap_options",
    "get_safe_globals",
    "get_unsafe_globals_in_checkpoint",
    "load",
    "location_tag",
    "register_package",
    "safe_globals",
    "save",
    "set_crc32_options",
    "set_default_load_endianness",
    "set_default_mmap_options",
    "skip_data",
]

_NAMES = frozenset(
    """
    StorageType check_module_version_greater_or_equal mkdtemp normalize_storage_type storage_to_tensor_type
    validate_cuda_device validate_hpu_device
    """.split()
)


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        from . import _checkpoint_names

        return getattr(_checkpoint_names, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


DEFAULT_PROTOCOL = 2
MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
PROTOCOL_VERSION = 1001
_DOCS = (
    "\n\nCheck the documentation of torch.load to learn more about types accepted by default with weights_only "
    "https://pytorch.org/docs/stable/generated/torch.load.html."
)
_DEFAULT_CHANGED = (
    "In PyTorch 2.6, we changed the default value of the `weights_only` argument in `torch.load` from `False` to "
    "`True`. Re-running `torch.load` with `weights_only` set to `False` will likely succeed, but it can result in "
    "arbitrary code execution. Do it only if you got the file from a trusted source."
)


class SourceChangeWarning(Warning):
    """Kept for programs that filter it: checkpoints have carried no source code for a long time."""


class _EndiannessMeta(type):
    """Gives ``LoadEndianness`` the parts of an enum that callers use, without importing enum."""

    def __iter__(cls) -> Iterator[Any]:
        return iter(cls._members.values())  # type: ignore[attr-defined]

    def __getitem__(cls, name: str) -> Any:
        return cls._members[name]  # type: ignore[attr-defined]


class LoadEndianness(metaclass=_EndiannessMeta):
    """Byte order to assume for checkpoints that do not record theirs."""

    _members: dict[str, LoadEndianness] = {}
    NATIVE: LoadEndianness
    LITTLE: LoadEndianness
    BIG: LoadEndianness

    def __init__(self, name: str, value: int) -> None:
        self.name = name
        self.value = value
        LoadEndianness._members[name] = self
        setattr(LoadEndianness, name, self)

    def __repr__(self) -> str:
        return f"<LoadEndianness.{self.name}: {self.value}>"


LoadEndianness("NATIVE", 1)
LoadEndianness("LITTLE", 2)
LoadEndianness("BIG", 3)


class _Options:
    __slots__ = ("compute_crc32", "endianness", "mmap", "mmap_flags", "skip_materialize")

    def __init__(self) -> None:
        self.compute_crc32 = True
        self.endianness: Any = None
        self.mmap = False  # unless ``torch.load`` is told
        # MAP_PRIVATE: writes to a mapped storage stay in this process.
        self.mmap_flags = 2
        self.skip_materialize: bool | None = None


_options = _Options()


def get_crc32_options() -> bool:
    """Whether ``torch.save`` computes a checksum of every record."""
    return _options.compute_crc32


def set_crc32_options(compute_crc32: bool) -> None:
    """Choose whether ``torch.save`` computes checksums; other zip tools complain about files without them."""
    _options.compute_crc32 = compute_crc32


def get_default_load_endianness() -> Any:
    return _options.endianness


def set_default_load_endianness(endianness: Any) -> None:
    if not isinstance(endianness, LoadEndianness) and endianness is not None:
        raise TypeError("Invalid argument type in function set_default_load_endianness")
    _options.endianness = endianness


def get_default_mmap_options() -> int:
    """The flags that ``torch.load(mmap=True)`` maps files with: ``MAP_PRIVATE`` or ``MAP_SHARED``."""
    return _options.mmap_flags


class set_default_mmap_options:  # noqa: N801
    """Set the flags for ``torch.load(mmap=True)``: at once, and until the end of a ``with`` block if used as one."""

    def __init__(self, flags: int) -> None:
        if flags not in (1, 2):
            raise ValueError(
                f"Invalid argument in function set_default_mmap_options, expected mmap.MAP_PRIVATE or "
                f"mmap.MAP_SHARED, but got {flags}"
            )
        self._before = _options.mmap_flags
        _options.mmap_flags = flags

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc: Any) -> None:
        _options.mmap_flags = self._before


class skip_data:  # noqa: N801
    """Inside the block ``torch.save`` leaves the bytes of storages unwritten and ``torch.load`` leaves them unread."""

    def __init__(self, materialize_fake_tensors: bool = False) -> None:
        self._materialize = materialize_fake_tensors

    def __enter__(self) -> None:
        self._before = _options.skip_materialize
        _options.skip_materialize = self._materialize

    def __exit__(self, *exc: Any) -> None:
        _options.skip_materialize = self._before


def add_safe_globals(safe_globals: list[Any]) -> None:
    """Allow ``torch.load(weights_only=True)`` to use these classes and functions from now on."""
    _weights_only_unpickler.add_safe_globals(safe_globals)


def get_safe_globals() -> list[Any]:
    """Classes and functions that users have allowed."""
    return _weights_only_unpickler.get_safe_globals()


def clear_safe_globals() -> None:
    """Forget all classes and functions that users have allowed."""
    _weights_only_unpickler.clear_safe_globals()


def _get_layout(name: str) -> Any:
    from . import _utils

    return _utils._get_layout(name)


_registry: list[tuple[int, Callable[[Any], str | None], Callable[[Any, str], Any]]] = []


def register_package(
    priority: int, tagger: Callable[[Any], str | None], deserializer: Callable[[Any, str], Any]
) -> None:
    """Register how storages of a device are tagged when saved and restored when loaded; low priorities go first."""
    _registry.append((priority, tagger, deserializer))
    _registry.sort(key=lambda entry: entry[0])


def location_tag(storage: Any) -> str:
    """The name under which a checkpoint remembers the device of ``storage``."""
    for _, tagger, _ in _registry:
        location = tagger(storage)
        if location:
            return location
    return str(storage.device)


def _validate_cuda_device(location: str) -> Any:
    cuda = getattr(torch, "cuda", None)
    if cuda is None or not cuda.is_available():
        raise RuntimeError(
            "Attempting to deserialize object on a CUDA device but torch.cuda.is_available() is False. If you are "
            "running on a CPU-only machine, please use torch.load with map_location=torch.device('cpu') to map your "
            "storages to the CPU."
        )
    index = torch.device(location).index
    index = cuda.current_device() if index is None else index
    count = cuda.device_count()
    if index >= count:
        raise RuntimeError(
            f"Attempting to deserialize object on CUDA device {index} but torch.cuda.device_count() is {count}. "
            "Please use torch.load with map_location to map your storages to an existing device."
        )
    return torch.device("cuda", index)


def default_restore_location(storage: Any, location: str) -> Any:
    """Bring a freshly read CPU ``storage`` to the device that ``location`` names."""
    for _, _, deserializer in _registry:
        result = deserializer(storage, location)
        if result is not None:
            return result
    if location == "cpu":
        return storage
    if location == "meta":
        return torch.UntypedStorage(storage.nbytes(), device="meta")
    if location.startswith("cuda"):
        device = _validate_cuda_device(location)
        whole = torch._C._tensor_from_storage(storage, torch.uint8, 0, (storage.nbytes(),), (1,))
        return whole.to(device).untyped_storage()
    raise RuntimeError(
        f"don't know how to restore data location of torch.storage.UntypedStorage (tagged with {location})"
    )


def _restorer(map_location: Any) -> Callable[[Any, str], Any]:
    if map_location is None:
        return default_restore_location
    if isinstance(map_location, dict):
        table = map_location
        return lambda storage, location: default_restore_location(storage, table.get(location, location))
    if isinstance(map_location, (str, bytes)):
        target = map_location if isinstance(map_location, str) else map_location.decode()
        return lambda storage, location: default_restore_location(storage, target)
    if isinstance(map_location, torch.device):
        name = str(map_location)
        return lambda storage, location: default_restore_location(storage, name)

    def restore(storage: Any, location: str) -> Any:
        result = map_location(storage, location)
        return default_restore_location(storage, location) if result is None else result

    return restore


# ---- saving


class _AtomicFile:
    """A file that appears under its name only when it is complete."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._target = os.path.realpath(os.fspath(path))
        parent = os.path.dirname(self._target)
        if not os.path.isdir(parent):
            raise RuntimeError(f"Parent directory {os.path.dirname(os.fspath(path))} does not exist.")
        self._part: str | None = None
        # Pipes and devices cannot be replaced, only written to.
        if os.path.exists(self._target) and not os.path.isfile(self._target):
            self._file = open(self._target, "wb")
            return
        part = f"{self._target}.{os.getpid()}.{id(self):x}.part"
        self._file = open(part, "xb")
        self._part = part

    def __enter__(self) -> Any:
        return self._file

    def __exit__(self, kind: Any, value: Any, trace: Any) -> None:
        self._file.close()
        if self._part is None:
            return
        if kind is None:
            if os.path.exists(self._target):
                os.chmod(self._part, os.stat(self._target).st_mode & 0o7777)
            os.replace(self._part, self._target)
        else:
            os.unlink(self._part)


def save(
    obj: object,
    f: FileLike,
    pickle_module: Any = None,
    pickle_protocol: int = DEFAULT_PROTOCOL,
    _use_new_zipfile_serialization: bool = True,
    _disable_byteorder_record: bool = False,
) -> None:
    """Write ``obj`` to a path or to a file-like object with a ``write`` method.

    Tensors that share memory share it again after loading. A file at a path is replaced only once the new one is
    complete.
    """
    if pickle_module is None:
        import pickle as pickle_module
    is_path = isinstance(f, (str, os.PathLike))
    if not is_path and not hasattr(f, "write"):
        raise AttributeError("expected 'f' to be string, path, or a file-like object with a 'write' attribute")
    write: Callable[[Any, str], None]
    if _use_new_zipfile_serialization:

        def write(file: Any, name: str) -> None:
            _save_zip(obj, file, name, pickle_module, pickle_protocol, _disable_byteorder_record)

    else:

        def write(file: Any, name: str) -> None:
            _save_legacy(obj, file, pickle_module, pickle_protocol)

    if is_path:
        name = os.path.splitext(os.path.basename(os.fspath(f)))[0]  # type: ignore[arg-type]
        with _AtomicFile(f) as file:  # type: ignore[arg-type]
            write(file, name)
    else:
        write(f, "archive")
        if hasattr(f, "flush"):
            f.flush()  # type: ignore[union-attr]


class _StorageTable:
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
        return ("storage", kind, key, location_tag(untyped), numel)


def _cpu_bytes(storage: Any) -> Any:
    if not storage.nbytes():
        return b""
    return _storage._bytes_view(storage if storage.device.type == "cpu" else storage.cpu())


def _save_zip(
    obj: object, file: Any, name: str, pickle_module: Any, protocol: int, disable_byteorder: bool
) -> None:
    table = _StorageTable()
    buffer = io.BytesIO()

    class Pickler(pickle_module.Pickler):  # type: ignore[misc, name-defined]
        def persistent_id(self, obj: Any) -> Any:
            return table.persistent_id(obj)

    Pickler(buffer, protocol=protocol).dump(obj)
    archive = _checkpoint_archive.ArchiveWriter(file, name, _options.compute_crc32)
    archive.write_record("data.pkl", buffer.getbuffer())
    archive.write_record(".format_version", b"1")
    archive.write_record(".storage_alignment", str(_checkpoint_archive.ALIGNMENT).encode())
    if not disable_byteorder:
        archive.write_record("byteorder", sys.byteorder.encode())
    skip = _options.skip_materialize is not None
    for key, storage in table.storages.items():
        archive.write_record(f"data/{key}", bytes(storage.nbytes()) if skip else _cpu_bytes(storage))
    archive.write_record("version", b"3\n")
    archive.close()


def _save_legacy(obj: object, file: Any, pickle_module: Any, protocol: int) -> None:
    table = _StorageTable()

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
    for header in (MAGIC_NUMBER, PROTOCOL_VERSION, system):
        pickle_module.dump(header, file, protocol=protocol)
    Pickler(file, protocol=protocol).dump(obj)
    pickle_module.dump(sorted(table.storages), file, protocol=protocol)
    for key in sorted(table.storages):
        storage = table.storages[key]
        pointer = storage.data_ptr()
        itemsize = table._dtypes[pointer].itemsize if pointer else 1
        file.write((storage.nbytes() // itemsize).to_bytes(8, "little"))
        file.write(_cpu_bytes(storage))


# ---- loading


def load(
    f: FileLike,
    map_location: MapLocation = None,
    pickle_module: Any = None,
    *,
    weights_only: bool | None = None,
    mmap: bool | None = None,
    **pickle_load_args: Any,
) -> Any:
    """Read an object that ``torch.save`` wrote.

    With ``weights_only`` (the default, unless a pickle module is given) only tensors, plain containers and classes
    allowed by :func:`add_safe_globals` can be built: nothing in the file is executed. With ``mmap`` the storages of
    a file at a path stay on disk until they are used.
    """
    default_weights_only = weights_only is None
    if os.getenv("TORCH_FORCE_WEIGHTS_ONLY_LOAD", "0").lower() in ("1", "y", "yes", "true"):
        weights_only = True
    elif default_weights_only and os.getenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "0").lower() in (
        "1", "y", "yes", "true",
    ):  # fmt: skip
        weights_only = False
    if weights_only is None:
        weights_only = pickle_module is None
    if weights_only and pickle_module is not None:
        raise RuntimeError("Can not safely load weights when explicit pickle_module is specified")
    if not weights_only and pickle_module is None:
        import pickle as pickle_module
    is_path = isinstance(f, (str, os.PathLike))
    mmap = _options.mmap if mmap is None else mmap
    if mmap and not is_path:
        raise ValueError("f must be a file path in order to use the mmap argument")
    pickle_load_args.setdefault("encoding", "utf-8")
    if not is_path:
        _check_seekable(f)
        return _load_open(f, map_location, pickle_module, bool(weights_only), None, default_weights_only,
                          pickle_load_args)  # fmt: skip
    with open(f, "rb") as file:  # type: ignore[arg-type]
        mapped = os.fspath(f) if mmap else None  # type: ignore[arg-type]
        return _load_open(file, map_location, pickle_module, bool(weights_only), mapped, default_weights_only,
                          pickle_load_args)  # fmt: skip


def _check_seekable(f: Any) -> None:
    for name in ("seek", "tell", "read"):
        if not hasattr(f, name):
            raise AttributeError(
                f"'{type(f).__name__}' object has no attribute '{name}'. You can only torch.load from a file that is "
                "seekable. Please pre-load the data into a buffer like io.BytesIO and try to load from it instead."
            )


def _weights_only_message(error: BaseException, default: bool) -> str:
    text = str(error)
    if "was not an allowed global by default" in text or "allowlisted via `add_safe_globals`" in text:
        return (
            "Weights only load failed. This file can still be loaded, to do so you have two options, "
            "\033[1mdo those steps only if you trust the source of the checkpoint\033[0m. \n\t(1) "
            f"{_DEFAULT_CHANGED}\n\t(2) Alternatively, to load with `weights_only=True` please check the recommended "
            f"steps in the following error message.\n\tWeightsUnpickler error: {text}{_DOCS}"
        )
    lead = f"Weights only load failed. {_DEFAULT_CHANGED}\n"
    if "is blocked" in text:
        return f"{lead}\n\n{text}{_DOCS}"
    return (
        f"{lead}Please file an issue with the following so that we can make `weights_only=True` compatible with your "
        f"use case: WeightsUnpickler error: \n\n{text}{_DOCS}"
    )


def _load_open(
    file: Any, map_location: Any, pickle_module: Any, weights_only: bool, mapped: str | None, default: bool,
    load_args: dict[str, Any],
) -> Any:  # fmt: skip
    start = file.tell()
    head = file.read(4)
    if not head:
        raise EOFError("Ran out of input")
    file.seek(start)
    from ._checkpoint_sources import LegacySource, ZipSource

    source: ZipSource | LegacySource
    if head == b"PK\3\4":
        source = ZipSource(_Shifted(file, start) if start else file, _restorer(map_location), mapped)
    else:
        if mapped is not None:
            raise RuntimeError(
                "mmap can only be used with files saved with `torch.save(_use_new_zipfile_serialization=True), "
                "please torch.save your checkpoint with this option in order to use mmap."
            )
        source = LegacySource(file, _restorer(map_location))
    if not weights_only:
        return source.load_pickle(pickle_module, load_args)
    from _pickle import UnpicklingError

    try:
        return source.load_restricted(load_args)
    except UnpicklingError as error:
        raise UnpicklingError(_weights_only_message(error, default)) from None


class _Shifted:
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


def get_unsafe_globals_in_checkpoint(f: FileLike) -> list[str]:
    """Names of the globals in a checkpoint that ``torch.load(weights_only=True)`` would refuse."""
    if isinstance(f, (str, os.PathLike)):
        with open(f, "rb") as file:
            return get_unsafe_globals_in_checkpoint(file)
    if f.read(4) != b"PK\3\4":
        raise ValueError("Expected input to be a checkpoint returned by torch.save")
    data = _checkpoint_archive.ArchiveReader(f).read("data.pkl")
    allowed = {**_weights_only_unpickler._get_allowed_globals(), **_weights_only_unpickler._get_user_allowed_globals()}
    return sorted(_weights_only_unpickler.get_globals_in_pickle(data) - set(allowed))
