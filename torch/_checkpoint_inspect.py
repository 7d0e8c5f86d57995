"""``torch.serialization.inspect``: what a checkpoint holds, found by reading its pickle with every class inert."""

from __future__ import annotations

import os
import sys

import torch

from ._checkpoint_archive import ArchiveReader
from ._checkpoint_globals import fail, is_allowed
from ._checkpoint_inert import InertGlobal, InertRecord
from ._checkpoint_summary import (
    CheckpointSummary,
    GlobalEntry,
    RecordEntry,
    StorageEntry,
    TensorEntry,
)
from ._weights_only_unpickler import HANDLERS, Unpickler

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

# Beyond this depth nothing is listed: containers nested so deep are a trick, and their paths would fill the memory.
_DEEPEST = 200

_PLAIN = "_rebuild_tensor _rebuild_tensor_v2 _rebuild_tensor_v3 _rebuild_qtensor".split()
_WRAPPED = "_rebuild_parameter _rebuild_parameter_with_state _rebuild_device_tensor_from_cpu_tensor".split()
_PREFIX = "torch._utils."


class Lister(Unpickler):
    """Reads a pickle of any kind, and makes records of everything in it that is not plain data."""

    def __init__(self, data: Any) -> None:
        super().__init__(data, encoding="latin1")
        self.handlers = _ALL_HANDLERS
        self.persistent_kinds = None
        self.persistent_load = self._storage
        self.names: dict[str, int] = {}
        self.storages: dict[Any, StorageEntry] = {}
        self.made: list[InertRecord] = []

    def find_global(self, module: str, name: str) -> Any:
        module, name = self.renamed(module, name)
        full = f"{module}.{name}"
        self.names[full] = self.names.get(full, 0) + 1
        return InertGlobal(full)

    def call(self, func: Any, args: Any) -> Any:
        record = super().call(func, args)
        if tensor_parts(record) is not None:
            self.made.append(record)
        return record

    def _storage(self, pid: Any) -> Any:
        if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] != "storage":
            return InertRecord("persistent id", (pid,))
        _, kind, key, location, numel = pid[:5]
        if not all(isinstance(text, str) for text in (key, location)) or type(numel) is not int:
            return InertRecord("persistent id", (pid,))
        if key not in self.storages:
            name = kind.name.rpartition(".")[2] if isinstance(kind, InertGlobal) else repr(kind)[:40]
            self.storages[key] = StorageEntry(key, name, numel, location)
        return self.storages[key]

    def instance(self) -> None:
        module = self.line()
        found = self.find_global(module, self.line())
        self.stack, args = self.marks.pop(), self.stack
        self.stack.append(self.call(found, tuple(args)))

    def object(self) -> None:
        self.stack, (cls, *args) = self.marks.pop(), self.stack
        self.stack.append(self.call(cls, tuple(args)))

    def extension(self, size: int) -> None:
        name = f"copyreg extension {int.from_bytes(self.take(size), 'little')}"
        self.names[name] = self.names.get(name, 0) + 1
        self.stack.append(InertGlobal(name))


_ALL_HANDLERS: dict[int, Callable[[Any], Any]] = {
    **HANDLERS,
    ord("i"): Lister.instance,
    ord("o"): Lister.object,
    ord("P"): lambda r: r.persistent(r.line()),
    ord("\x82"): lambda r: r.extension(1),
    ord("\x83"): lambda r: r.extension(2),
    ord("\x84"): lambda r: r.extension(4),
}


def named_globals(data: bytes) -> set[str]:
    """All globals that a pickle names.

    Raises UnpicklingError or EOFError for one that is damaged: there may be more of them behind the damage.
    """
    lister = Lister(data)
    lister.load()
    return set(lister.names)


def _dtype(value: Any) -> Any:
    found = getattr(torch, value.name.rpartition(".")[2], None) if isinstance(value, InertGlobal) else None
    return found if isinstance(found, torch.dtype) else None


def _plain_record(record: InertRecord) -> tuple[Any, ...] | None:
    """The storage, offset, sizes, strides and dtype of a record of a tensor that has memory."""
    args = record.args
    if len(args) < 4 or not isinstance(args[0], StorageEntry):
        return None
    dtype = _dtype(args[6]) if record.name == f"{_PREFIX}_rebuild_tensor_v3" and len(args) > 6 else args[0].dtype
    return (*args[:4], dtype)


def tensor_parts(record: Any) -> tuple[str, bool, tuple[Any, ...]] | None:
    """The class, whether it wants a gradient, and the geometry of what rebuilds a tensor; None for other records."""
    kind, wants_grad = "Tensor", False
    # A subclass of a parameter of a tensor is the deepest there is.
    for _ in range(4):
        if type(record) is not InertRecord:
            return None
        name, args = record.name.removeprefix(_PREFIX), record.args
        if name in _PLAIN:
            geometry = _plain_record(record)
            kind = "QuantizedTensor" if name == "_rebuild_qtensor" else kind
            wants_grad |= len(args) > 4 and args[4] is True
            return None if geometry is None else (kind, wants_grad, geometry)
        if name == "_rebuild_meta_tensor_no_storage" and len(args) >= 4:
            return kind, wants_grad or args[3] is True, (None, 0, args[1], args[2], _dtype(args[0]))
        if name in _WRAPPED and len(args) > 1:
            if "parameter" in name:
                kind, wants_grad = "Parameter", args[1] is True
            record = args[0]
        elif record.name == "torch._tensor._rebuild_from_type_v2" and len(args) == 4:
            func, cls, inner, _ = args
            if not isinstance(func, InertGlobal) or type(inner) is not tuple:
                return None
            kind = cls.name.rpartition(".")[2] if isinstance(cls, InertGlobal) else kind
            record = InertRecord(func.name, inner)
        else:
            return None
    return None


def _entry(path: str, parts: tuple[str, bool, tuple[Any, ...]]) -> TensorEntry:
    kind, wants_grad, (storage, offset, size, stride, dtype) = parts
    geometry = []
    for value in (size, stride):
        value = value.args[0] if isinstance(value, InertRecord) and len(value.args) == 1 else value
        plain = isinstance(value, (tuple, list)) and len(value) <= 64 and all(type(n) is int for n in value)
        geometry.append(tuple(value) if plain else None)
    return TensorEntry(path, kind, dtype, *geometry, storage, offset if type(offset) is int else None, wants_grad)


def _children(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from ((_key(key), item) for key, item in value.items())
    elif isinstance(value, (list, tuple, set, frozenset)):
        yield from ((f"[{i}]", item) for i, item in enumerate(value))
    elif isinstance(value, InertRecord):
        yield from ((f"({i})", item) for i, item in enumerate(value.args))
        yield from ((f"({name!s:.40}=)", item) for name, item in value.kwargs.items())
        yield from ((f"[{i}]", item) for i, item in enumerate(value.items))
        yield from ((_key(key), item) for key, item in value.entries)
        yield "", value.state


def _key(key: Any) -> str:
    return f".{key:.200}" if isinstance(key, str) else f"[{key!r:.80}]" if isinstance(key, (int, float)) else "[?]"


def _walk(root: Any) -> tuple[list[TensorEntry], bool]:
    """All tensors below an object, by their first paths, and whether some are nested too deep to be listed."""
    found: list[TensorEntry] = []
    known: set[int] = set()
    cut = False
    stack = [iter([("", root)])]
    path: list[str] = []
    while stack:
        step = next(stack[-1], None)
        if step is None:
            stack.pop()
            if path:
                path.pop()
            continue
        name, value = step
        if not isinstance(value, (dict, list, tuple, set, frozenset, InertRecord)) or id(value) in known:
            continue
        known.add(id(value))
        parts = tensor_parts(value)
        if parts is not None:
            found.append(_entry("".join((*path, name)).removeprefix("."), parts))
        elif len(stack) > _DEEPEST:
            cut = True
        else:
            path.append(name)
            stack.append(_children(value))
    return found, cut


def _list_pickle(lister: Lister, summary: CheckpointSummary, load: Callable[[], Any]) -> bool:
    """Add what one pickle holds; False if it is damaged."""
    from _pickle import UnpicklingError

    whole = True
    try:
        summary.tensors, cut = _walk(load())
        if cut:
            summary.problems.append(f"what is nested more than {_DEEPEST} deep is not listed")
    except (UnpicklingError, EOFError) as error:
        whole = False
        summary.problems.append(f"the pickle is damaged: {error}")
        summary.tensors = [_entry(f"?{i}", parts) for i, r in enumerate(lister.made) if (parts := tensor_parts(r))]
    summary.globals = [GlobalEntry(name, count, is_allowed(name)) for name, count in lister.names.items()]
    summary.storages = list(lister.storages.values())
    return whole


def _check_geometry(summary: CheckpointSummary) -> None:
    for tensor in summary.tensors:
        problem = tensor.problem
        if problem:
            summary.problems.append(f"{tensor.path}: {problem}")
    for storage in summary.storages:
        if storage.dtype is None:
            summary.problems.append(f"storage {storage.key} is of an unknown class, {storage.kind}")


def _zip(file: Any, summary: CheckpointSummary, checksums: bool) -> None:
    archive = ArchiveReader(file)
    for name in archive.names():
        summary.records.append(
            RecordEntry(name, archive.size(name), archive.data_offset(name), not archive.is_stored(name))
        )
    if "byteorder" in archive:
        summary.byteorder = archive.read("byteorder")[:16].decode("latin1")
    lister = Lister(archive.read("data.pkl"))
    _list_pickle(lister, summary, lister.load)
    for storage in summary.storages:
        name = f"data/{storage.key}"
        if name not in archive:
            summary.problems.append(f"storage {storage.key} is not in the file")
            continue
        storage.offset = archive.data_offset(name)
        if storage.nbytes is not None and archive.size(name) < storage.nbytes:
            summary.problems.append(
                f"storage {storage.key} has {archive.size(name)} bytes, where the pickle wants {storage.nbytes}"
            )
    if checksums:
        summary.problems += [f"record {n}: wrong checksum" for n in archive.names() if not archive.is_intact(n)]


def _legacy(data: Any, start: int, summary: CheckpointSummary) -> None:
    from ._checkpoint_writing import MAGIC_NUMBER

    lister = Lister(data)
    lister.position = start
    if lister.load() != MAGIC_NUMBER:
        raise RuntimeError("Invalid magic number; corrupt file?")
    lister.load()
    system = lister.load()
    little = bool(system.get("little_endian", True)) if isinstance(system, dict) else True
    summary.byteorder = "little" if little else "big"
    if not _list_pickle(lister, summary, lister.load):
        return
    storages = dict(lister.storages)
    for key in lister.load():
        storage = storages.get(key)
        numel = int.from_bytes(lister.take(8), "little" if little else "big", signed=True)
        if storage is None or storage.nbytes is None or numel != storage.numel:
            summary.problems.append(f"storage {key!r:.40} has {numel} elements that the pickle does not know of")
            return
        storage.offset = lister.position
        if storage.nbytes > len(data) - lister.position:
            summary.problems.append(f"storage {key} ends after the file")
            return
        lister.position += storage.nbytes


def _tar(data: bytes, summary: CheckpointSummary) -> None:
    from ._checkpoint_tar import read_members

    members = read_members(data)
    summary.records = [RecordEntry(name, len(content), None, False) for name, content in members.items()]
    lister = Lister(members.get("pickle", b""))
    _list_pickle(lister, summary, lister.load)
    for name in ("storages", "tensors"):
        summary.problems.append(f"the {name} of this oldest format are in the record {name!r}, and not listed")


def _bytes_of(file: Any) -> Any:
    """The whole file: mapped where it is a real one."""
    import io
    import mmap

    try:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (AttributeError, OSError, ValueError, io.UnsupportedOperation):
        file.seek(0)
        return file.read()


def summarize(file: Any, path: str | None, checksums: bool) -> CheckpointSummary:
    """What the checkpoint holds that starts at the file's position."""
    start = file.tell()
    head = file.read(512)
    if not head:
        raise EOFError("Ran out of input")
    end = file.seek(0, os.SEEK_END)
    file.seek(start)
    summary = CheckpointSummary(path, end - start, sys.byteorder)
    if head.startswith(b"PK\3\4"):
        from ._checkpoint_sources import Shifted

        summary.format = "zip"
        _zip(Shifted(file, start) if start else file, summary, checksums)
    elif head[257:262] == b"ustar":
        summary.format = "tar"
        _tar(file.read(), summary)
    else:
        summary.format = "legacy"
        try:
            _legacy(_bytes_of(file), start, summary)
        except (TypeError, ValueError):
            raise fail("this is no checkpoint, or a damaged one") from None
    _check_geometry(summary)
    return summary


