"""Memory that several processes map, and the tensors over it.

There are two ways to name such memory to another process. With ``file_descriptor`` it is a file without a name whose
descriptor travels over a Unix socket; the system frees it with the last process that has it. With ``file_system`` it is
a named file, which costs no descriptor while it travels, but has to be deleted by somebody: see ``NamedFile``.

Neither depends on the size of ``/dev/shm``: ``memfd_create`` is not limited by it, and a named file that does not fit
there is put into the directory for temporary files. Space is reserved before it is written to, since the alternative to
an error here is a bus error later.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import struct
import tempfile
import threading
import time
import weakref

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_COUNT = struct.Struct("q")
_PREFIX = "torch_"
# How long a message may be on its way from a process that is gone to one that has not read it yet.
_IN_TRANSIT_SECONDS = 60.0


class Mapping(mmap.mmap):
    """Shared bytes. They are unmapped when no storage lies over them any more."""

    key: tuple[int, int]  # device and inode: what names the file in every process
    name: str | None = None  # the path of a named file
    descriptor = -1  # keeps the file open; to be duplicated when it is given away
    storage: Any = None  # weak reference to the storage over the bytes
    closer: Any = None


def _identity(descriptor: int) -> tuple[int, int]:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino


def _make_mapping(descriptor: int, nbytes: int) -> Mapping:
    # mmap duplicates the descriptor that it is given and does not tell. Keeping another one open for each tensor would
    # halve how many there can be, so the duplicate is found: it is the lowest free number.
    key = _identity(descriptor)
    for _ in range(10):
        expected = os.dup(descriptor)
        os.close(expected)
        mapping = Mapping(descriptor, nbytes)
        mapping.key = key
        try:
            if _identity(expected) == key:
                mapping.descriptor = expected
                return mapping
        except OSError:
            pass
        # Another thread has opened a file in between.
    raise RuntimeError("could not find the descriptor of a shared storage: other threads open files all the time")


_by_key: weakref.WeakValueDictionary[tuple[int, int], Mapping] = weakref.WeakValueDictionary()
_by_address: weakref.WeakValueDictionary[int, Mapping] = weakref.WeakValueDictionary()
_lock = threading.RLock()


def _reserve(descriptor: int, nbytes: int) -> None:
    """Give a file its size and its space; OSError if there is no room."""
    os.posix_fallocate(descriptor, 0, nbytes)


def anonymous_file(nbytes: int) -> int:
    """Open a file without a name that has room for so many bytes, in memory if the system allows."""
    descriptor = -1
    try:
        descriptor = os.memfd_create("torch_shared", os.MFD_CLOEXEC)
        # Not reserved: this file system has no limit of its own, and reserving would clear the pages in advance.
        os.ftruncate(descriptor, nbytes)
        return descriptor
    except (AttributeError, OSError) as error:
        if descriptor >= 0:
            os.close(descriptor)
        if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
            raise
    descriptor, path = tempfile.mkstemp(prefix=_PREFIX)
    try:
        os.unlink(path)
        _reserve(descriptor, nbytes)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def map_file(descriptor: int, nbytes: int, name: str | None = None) -> Mapping:
    """Map an open file, or return the mapping that this process has of it. The descriptor stays the caller's."""
    with _lock:
        known = _by_key.get(_identity(descriptor))
        if known is not None and len(known) >= nbytes:
            return known
        mapping = _make_mapping(descriptor, nbytes)
        mapping.name = name
        _by_key[mapping.key] = mapping
    return mapping


def storage_over(mapping: Mapping) -> Any:
    """The storage over a mapping; one and the same as long as somebody uses it."""
    with _lock:
        storage = mapping.storage() if mapping.storage is not None else None
        if storage is None:
            storage = torch._C._storage_from_bytes(mapping)
            mapping.storage = weakref.ref(storage)
            _by_address[storage.data_ptr()] = mapping
    return storage


def mapping_of(storage: Any) -> Mapping | None:
    """The mapping that a storage lies over, if it is shared."""
    if storage.device.type != "cpu" or not storage.nbytes():
        return None
    mapping = _by_address.get(storage.data_ptr())
    return mapping if mapping is not None and len(mapping) == storage.nbytes() else None


# ---- named files


class NamedFile:
    """The bookkeeping of a file that processes share by its name.

    Its last eight bytes count the messages that name it and have not been read. Every process that maps it holds a
    shared ``flock``, which the system takes back from killed processes too. Who unmaps it and finds neither deletes it.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def count(self, change: int = 0) -> int:
        """Messages on their way, after adding ``change``."""
        at = os.fstat(self.descriptor).st_size - _COUNT.size
        # Record locks belong to the process, hence the second lock between threads.
        with _lock:
            fcntl.lockf(self.descriptor, fcntl.LOCK_EX, _COUNT.size, at)
            try:
                (value,) = _COUNT.unpack(os.pread(self.descriptor, _COUNT.size, at))
                value += change
                if change:
                    os.pwrite(self.descriptor, _COUNT.pack(value), at)
            finally:
                fcntl.lockf(self.descriptor, fcntl.LOCK_UN, _COUNT.size, at)
        return int(value)

    def in_use(self) -> bool:
        """Whether somebody who opened the file anew, other than this descriptor, has it mapped."""
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        return False


def _named_directories() -> list[str]:
    places = ["/dev/shm"] if os.access("/dev/shm", os.W_OK) else []
    return [*places, tempfile.gettempdir()]


class _Closer:
    """An attribute of a named file's mapping: what goes with it deletes the file, if nobody else needs it."""

    def __init__(self, mapping: Mapping) -> None:
        assert mapping.name is not None
        self.path = mapping.name
        self.descriptor = mapping.descriptor
        self.owner = os.getpid()
        # The lock belongs to the open file. It is gone when the mapping, which keeps that open, or the process is.
        fcntl.flock(self.descriptor, fcntl.LOCK_SH)
        _closers.add(self)
        _at_exit()

    def __del__(self) -> None:
        self.release()

    def release(self) -> None:
        """Give up the file. Forked children share the lock of their parent, so it is not theirs to release."""
        if os.getpid() != self.owner:
            return
        self.owner = -1
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_UN)
            descriptor = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return
        try:
            file = NamedFile(descriptor)
            if not file.in_use() and file.count() <= 0:
                os.unlink(self.path)
        except OSError:
            pass
        finally:
            os.close(descriptor)


_closers: weakref.WeakSet[_Closer] = weakref.WeakSet()
_exit_process = -1


def _at_exit() -> None:
    """Have this process release its files when it ends. Worker processes leave without Python's own exit functions."""
    global _exit_process
    if _exit_process != os.getpid():
        from multiprocessing import util

        _exit_process = os.getpid()
        util.Finalize(None, _release_all, exitpriority=-10)


def _release_all() -> None:
    for closer in tuple(_closers):
        closer.release()


def _map_named(path: str, descriptor: int, nbytes: int) -> Mapping:
    mapping = map_file(descriptor, nbytes, path)
    if mapping.closer is None:
        mapping.closer = _Closer(mapping)
    return mapping


def _sweep(directory: str) -> None:
    """Delete the files that killed processes left behind."""
    try:
        entries = [entry for entry in os.scandir(directory) if entry.name.startswith(_PREFIX)]
    except OSError:
        return
    for entry in entries:
        parts = entry.name.split("_")
        if len(parts) != 4 or not parts[1].isdigit() or os.path.exists(f"/proc/{parts[1]}"):
            continue
        try:
            if entry.stat().st_uid == os.getuid() and time.time() - entry.stat().st_mtime > _IN_TRANSIT_SECONDS:
                descriptor = os.open(entry.path, os.O_RDWR | os.O_CLOEXEC)
                try:
                    if not NamedFile(descriptor).in_use():
                        os.unlink(entry.path)
                finally:
                    os.close(descriptor)
        except OSError:
            continue


_swept: set[str] = set()
_serial = 0


def _create_named(nbytes: int) -> Mapping:
    global _serial
    failure: OSError | None = None
    for directory in _named_directories():
        if directory not in _swept:
            _swept.add(directory)
            _sweep(directory)
        with _lock:
            _serial += 1
            path = os.path.join(directory, f"{_PREFIX}{os.getpid()}_{os.urandom(4).hex()}_{_serial}")
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            _reserve(descriptor, -(-nbytes // _COUNT.size) * _COUNT.size + _COUNT.size)
            return _map_named(path, descriptor, nbytes)
        except OSError as error:
            os.unlink(path)
            failure = error
        finally:
            os.close(descriptor)
    assert failure is not None
    raise RuntimeError(f"unable to allocate {nbytes} bytes of shared memory: {failure}") from failure


def open_named(path: str, nbytes: int) -> Any:
    """The storage over a named file that another process sent."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        mapping = _map_named(path, descriptor, nbytes)
        NamedFile(descriptor).count(-1)
    finally:
        os.close(descriptor)
    return storage_over(mapping)


def announce_named(mapping: Mapping) -> None:
    """Count one more message that names this mapping's file."""
    assert mapping.name is not None
    descriptor = os.open(mapping.name, os.O_RDWR | os.O_CLOEXEC)
    try:
        NamedFile(descriptor).count(1)
    finally:
        os.close(descriptor)


# ---- storages and tensors


def new_storage(nbytes: int, named: bool) -> Any:
    """A shared storage, its bytes zero."""
    if nbytes == 0:
        return torch.UntypedStorage(0)
    if named:
        return storage_over(_create_named(nbytes))
    try:
        descriptor = anonymous_file(nbytes)
    except OSError as error:
        if error.errno not in (errno.EMFILE, errno.ENFILE):
            raise RuntimeError(f"unable to allocate {nbytes} bytes of shared memory: {error}") from error
        raise RuntimeError(
            f"unable to allocate {nbytes} bytes of shared memory: too many open files. Every shared storage keeps one "
            "open with the file_descriptor sharing strategy; raise the limit (ulimit -n) or call "
            "torch.multiprocessing.set_sharing_strategy('file_system')"
        ) from error
    try:
        return storage_over(map_file(descriptor, nbytes))
    finally:
        os.close(descriptor)


def shared_copy(storage: Any) -> Any:
    """A shared storage with the same bytes."""
    from . import get_sharing_strategy

    if storage.device.type != "cpu":
        raise RuntimeError("_share_fd_: only available on CPU")
    copy = new_storage(storage.nbytes(), get_sharing_strategy() == "file_system")
    if storage.nbytes():
        copy.copy_(storage)
    return copy


def is_shared(storage: Any) -> bool:
    """Whether other processes can map the bytes."""
    return mapping_of(storage) is not None


def share_tensor(tensor: Any) -> Any:
    """Move a tensor's whole storage to shared memory, so that the tensor and its base, if it is a view, lie there."""
    storage = tensor.untyped_storage()
    if storage.device.type != "cpu":
        raise RuntimeError("_share_fd_: only available on CPU")
    if not storage.nbytes() or is_shared(storage):
        return tensor
    base = tensor._base
    if base is not None and base.untyped_storage().nbytes() == storage.nbytes():
        target = share_tensor(base).untyped_storage()
    else:
        target = shared_copy(storage)
    flags = {"conj": tensor.is_conj(), "neg": tensor.is_neg()}
    # The memory is exchanged, not the tensor: its history stays, and whoever holds it sees the shared bytes.
    tensor.data = torch._utils._set_flags(
        torch._C._tensor_from_storage(
            target, tensor.dtype, tensor.storage_offset(), tuple(tensor.size()), tuple(tensor.stride())
        ),
        flags,
    )
    return tensor
