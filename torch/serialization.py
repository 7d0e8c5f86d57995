"""``torch.save`` and ``torch.load``.

What is saved is a pickle and the bytes of its storages; ARCHITECTURE.md, "Files", describes the formats, what the
reader builds and what it refuses.
"""

from __future__ import annotations

import os

import torch

from . import _checkpoint_globals
from ._checkpoint_devices import default_restore_location, location_tag, register_package
from ._checkpoint_globals import safe_globals
from ._checkpoint_inert import InertGlobal, InertRecord, inert_unknown
from ._checkpoint_options import (
    MAP_PRIVATE,
    MAP_SHARED,
    LoadEndianness,
    get_crc32_options,
    get_default_load_endianness,
    get_default_mmap_options,
    set_crc32_options,
    set_default_load_endianness,
    set_default_mmap_options,
    skip_data,
)
from ._checkpoint_writing import MAGIC_NUMBER, PROTOCOL_VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO, Any, TypeAlias

    FileLike: TypeAlias = str | os.PathLike[str] | IO[bytes]
    MapLocation: TypeAlias = Callable[[Any, str], Any] | torch.device | str | dict[str, str] | None

__all__ = [
    "MAGIC_NUMBER",
    "MAP_PRIVATE",
    "MAP_SHARED",
    "PROTOCOL_VERSION",
    "InertGlobal",
    "InertRecord",
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
    "inert_unknown",
    "inspect",
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

# Small helpers of programs that write checkpoints of their own; they load when they are named.
_NAMES = frozenset(
    """
    INT_SIZE IS_WINDOWS LONG_SIZE MAP_LOCATION SHORT_SIZE STORAGE_KEY_SEPARATOR Storage StorageType T
    check_module_version_greater_or_equal get_source_lines_and_file mkdtemp normalize_storage_type
    storage_to_tensor_type validate_cuda_device validate_hpu_device
    """.split()
)


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        from . import _checkpoint_names

        return getattr(_checkpoint_names, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


DEFAULT_PROTOCOL = 2
UNSAFE_MESSAGE = (
    "In PyTorch 2.6, we changed the default value of the `weights_only` argument in `torch.load` from `False` to "
    "`True`. Re-running `torch.load` with `weights_only` set to `False` will likely succeed, but it can result in "
    "arbitrary code execution. Do it only if you got the file from a trusted source."
)
_DOCS = (
    "\n\nCheck the documentation of torch.load to learn more about types accepted by default with weights_only "
    "https://pytorch.org/docs/stable/generated/torch.load.html."
)


class SourceChangeWarning(Warning):
    """Kept for programs that filter it: checkpoints have carried no source code for a long time."""


def add_safe_globals(safe_globals: list[Any]) -> None:
    """Allow ``torch.load(weights_only=True)`` to use these classes and functions from now on.

    An entry is a class or function, or a pair of it and the name that checkpoints have for it.
    """
    _checkpoint_globals.add_safe_globals(safe_globals)


def get_safe_globals() -> list[Any]:
    """Classes and functions that users have allowed."""
    return _checkpoint_globals.get_safe_globals()


def clear_safe_globals() -> None:
    """Forget all classes and functions that users have allowed."""
    _checkpoint_globals.clear_safe_globals()


def _get_layout(name: str) -> Any:
    from . import _utils

    return _utils._get_layout(name)


# ---- saving


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
    complete: whoever reads it sees the old one or the new one, also if this process is killed. Links are followed, and
    the file keeps its mode. A terminal shows how far it is when much is written.

    Args:
        obj: what is saved: anything that pickles.
        f: the path, or what is written to, from its current position.
        pickle_module: whose ``Pickler`` is used; ``pickle`` by default.
        pickle_protocol: of the pickle inside. PyTorch reads 2 with ``weights_only=True``.
        _use_new_zipfile_serialization: False writes the format before PyTorch 1.6.
        _disable_byteorder_record: leave out the record that names the byte order.

    Raises:
        AttributeError: for an ``f`` that is neither.
        RuntimeError: for a folder that does not exist, and for tensors that view the same memory as different dtypes.
        OSError: if it cannot be written.
    """
    if pickle_module is None:
        import pickle as pickle_module
    from . import _checkpoint_writing as writing
    from ._checkpoint_options import skips_data

    is_path = isinstance(f, (str, os.PathLike))
    if not is_path and not hasattr(f, "write"):
        raise AttributeError("expected 'f' to be string, path, or a file-like object with a 'write' attribute")
    if not _use_new_zipfile_serialization and skips_data():
        raise RuntimeError("Cannot use skip_data=True with _use_new_zipfile_serialization=False")

    def write(file: Any, name: str) -> None:
        if _use_new_zipfile_serialization:
            byteorder = not _disable_byteorder_record
            writing.save_zip(obj, file, name, pickle_module, pickle_protocol, byteorder, skips_data())
        else:
            writing.save_legacy(obj, file, name, pickle_module, pickle_protocol)

    if is_path:
        name = os.path.splitext(os.path.basename(os.fspath(f)))[0]  # type: ignore[arg-type]
        with writing.AtomicFile(f) as file:  # type: ignore[arg-type]
            write(file, name)
    else:
        write(f, "archive")
        if hasattr(f, "flush"):
            f.flush()  # type: ignore[union-attr]


# ---- loading


def _environment(name: str) -> bool:
    return os.getenv(name, "0").lower() in ("1", "y", "yes", "true")


def load(
    f: FileLike,
    map_location: MapLocation = None,
    pickle_module: Any = None,
    *,
    weights_only: bool | None = None,
    mmap: bool | None = None,
    **pickle_load_args: Any,
) -> Any:
    """Read an object that ``torch.save`` wrote, here or in any release of PyTorch.

    With ``weights_only`` (the default, unless a pickle module is given) only tensors, plain containers and classes
    allowed by :func:`add_safe_globals` can be built: nothing in the file is executed. Inside a block of
    :class:`inert_unknown` other classes become records. With ``weights_only=False`` the file is unpickled by Python,
    which imports the modules that it names and calls what it says: only for files that you trust.

    Args:
        f: the path, or a file-like object that can be read and sought, at the position where the checkpoint starts.
        map_location: where storages go: a device or its name, a dict from the names in the file to others, or a
            function of a storage in CPU memory and a name that gives the storage to use, or None for the default.
        pickle_module: whose ``Unpickler`` is used with ``weights_only=False``.
        weights_only: see above. The environment's ``TORCH_FORCE_WEIGHTS_ONLY_LOAD=1`` sets it to True everywhere,
            ``TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1`` to False where a call does not say.
        mmap: whether the storages of a file at a path stay on disk until they are used;
            ``torch.utils.serialization.config.load.mmap`` by default.
        pickle_load_args: for the unpickler: ``encoding``.

    Raises:
        UnpicklingError: for a pickle that is damaged or names what is not allowed.
        RuntimeError: for a damaged container, storages that are too small for their tensors, and devices that are
            not there.
        EOFError: for a file that ends early.
        ValueError: for ``mmap`` without a path.
    """
    force, force_not = (_environment(f"TORCH_FORCE_{name}WEIGHTS_ONLY_LOAD") for name in ("", "NO_"))
    if force and force_not:
        raise RuntimeError(
            "Only one of `TORCH_FORCE_WEIGHTS_ONLY_LOAD` or `TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD` should be set, but both "
            "were set."
        )
    if force:
        weights_only = True
    elif weights_only is None:
        weights_only = pickle_module is None and not force_not
    if weights_only and pickle_module is not None:
        raise RuntimeError("Can not safely load weights when explicit pickle_module is specified")
    if not weights_only and pickle_module is None:
        import pickle as pickle_module
    is_path = isinstance(f, (str, os.PathLike))
    if mmap is None:
        from .utils.serialization import config

        mmap = config.load.mmap and is_path
    if mmap and not is_path:
        raise ValueError("f must be a file path in order to use the mmap argument")
    pickle_load_args.setdefault("encoding", "utf-8")

    def read(file: Any) -> Any:
        from ._checkpoint_sources import open_source

        source = open_source(file, f, map_location, bool(mmap))
        if not weights_only:
            return source.load_pickle(pickle_module, pickle_load_args)
        from _pickle import UnpicklingError

        try:
            return source.load_restricted(pickle_load_args)
        except UnpicklingError as error:
            raise UnpicklingError(_weights_only_message(error)) from error.__cause__

    if is_path:
        with open(f, "rb") as file:  # type: ignore[arg-type]
            return read(file)
    _check_seekable(f)
    return read(f)


def _check_seekable(f: Any) -> None:
    for name in ("seek", "tell", "read"):
        if not hasattr(f, name):
            raise AttributeError(
                f"'{type(f).__name__}' object has no attribute '{name}'. You can only torch.load from a file that is "
                "seekable. Please pre-load the data into a buffer like io.BytesIO and try to load from it instead."
            )


def _weights_only_message(error: BaseException) -> str:
    text = str(error)
    if "was not an allowed global by default" in text or "allowlisted via `add_safe_globals`" in text:
        return (
            "Weights only load failed. This file can still be loaded, to do so you have two options, "
            "\033[1mdo those steps only if you trust the source of the checkpoint\033[0m. \n\t(1) "
            f"{UNSAFE_MESSAGE}\n\t(2) Alternatively, to load with `weights_only=True` please check the recommended "
            f"steps in the following error message.\n\tWeightsUnpickler error: {text}{_DOCS}"
        )
    lead = f"Weights only load failed. {UNSAFE_MESSAGE}\n"
    if "is blocked" in text:
        return f"{lead}\n\n{text}{_DOCS}"
    return (
        f"{lead}Please file an issue with the following so that we can make `weights_only=True` compatible with your "
        f"use case: WeightsUnpickler error: \n\n{text}{_DOCS}"
    )


def get_unsafe_globals_in_checkpoint(f: FileLike) -> list[str]:
    """Names of the globals in a checkpoint that ``torch.load(weights_only=True)`` would refuse; nothing is loaded.

    Raises ValueError for a file that is no zip checkpoint.
    """
    if isinstance(f, (str, os.PathLike)):
        with open(f, "rb") as file:
            return get_unsafe_globals_in_checkpoint(file)
    from . import _checkpoint_archive, _checkpoint_inspect

    if f.read(4) != b"PK\3\4":
        raise ValueError("Expected input to be a checkpoint returned by torch.save")
    data = _checkpoint_archive.ArchiveReader(f).read("data.pkl")
    names = _checkpoint_inspect.named_globals(data)
    return sorted(name for name in names if not _checkpoint_globals.is_allowed(name))


def inspect(f: FileLike, *, checksums: bool = False) -> Any:
    """List what a checkpoint holds without loading it: its globals, its tensors and its storages.

    Nothing of the file is executed, no class is imported and no storage is read, so that it is safe for files of any
    origin. Damage in the container raises; damage in the pickle ends the list, and the result says so.

    Args:
        f: the path, or a file-like object that can be read and sought.
        checksums: read every record of a zip checkpoint and compare its checksum.

    Returns:
        A ``CheckpointSummary``; printed, it is a table.

    Raises:
        RuntimeError: for a damaged container.
        EOFError: for an empty file.

    >>> import io
    >>> buffer = io.BytesIO()
    >>> torch.save({"weight": torch.ones(2, 3), "steps": 7}, buffer)
    >>> _ = buffer.seek(0)
    >>> summary = torch.serialization.inspect(buffer)
    >>> summary.tensors[0].path, summary.tensors[0].dtype, summary.tensors[0].shape, summary.tensors[0].nbytes
    ('weight', torch.float32, (2, 3), 24)
    >>> [(entry.name, entry.allowed) for entry in summary.globals][:1]
    [('torch._utils._rebuild_tensor_v2', True)]
    """
    from . import _checkpoint_inspect

    if isinstance(f, (str, os.PathLike)):
        with open(f, "rb") as file:
            return _checkpoint_inspect.summarize(file, os.fspath(f), checksums)
    _check_seekable(f)
    return _checkpoint_inspect.summarize(f, None, checksums)
