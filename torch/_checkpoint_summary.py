"""What ``torch.serialization.inspect`` returns: entries for what a checkpoint holds, and a table of them."""

from __future__ import annotations

import math

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MOST_ROWS = 60


def _size(nbytes: int | None) -> str:
    if nbytes is None:
        return "?"
    value, unit = float(nbytes), "B"
    for unit in ("B", "KB", "MB", "GB", "TB"):  # noqa: B007
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{nbytes} B" if unit == "B" else f"{value:.1f} {unit}"


class _Entry:
    """Shows its attributes by name."""

    __slots__: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in self.__slots__)})"


class GlobalEntry(_Entry):
    """A class or function that the pickle names.

    Attributes:
        name: its full name.
        count: how often it is named.
        allowed: whether ``torch.load(weights_only=True)`` accepts it.
    """

    __slots__ = ("allowed", "count", "name")

    def __init__(self, name: str, count: int, allowed: bool) -> None:
        self.name = name
        self.count = count
        self.allowed = allowed


class RecordEntry(_Entry):
    """A record of the container: its name, its bytes, where they begin in the file, and whether it is compressed."""

    __slots__ = ("compressed", "name", "nbytes", "offset")

    def __init__(self, name: str, nbytes: int, offset: int | None, compressed: bool) -> None:
        self.name = name
        self.nbytes = nbytes
        self.offset = offset
        self.compressed = compressed


class StorageEntry(_Entry):
    """A piece of memory that tensors lie in.

    Attributes:
        key: its name in the file.
        kind: the class of storages, such as ``"FloatStorage"``.
        numel: the number of elements.
        location: the device that it was saved from.
        offset: where its bytes begin in the file; None if that is not known.
    """

    __slots__ = ("key", "kind", "location", "numel", "offset")

    def __init__(self, key: str, kind: str, numel: int, location: str) -> None:
        self.key = key
        self.kind = kind
        self.numel = numel
        self.location = location
        self.offset: int | None = None

    @property
    def dtype(self) -> Any:
        """The dtype of its elements; None for a class that is not known."""
        if self.kind == "UntypedStorage":
            return torch.uint8
        known = torch.storage._LEGACY_CLASSES.get(self.kind)
        return None if known is None else known.dtype

    @property
    def nbytes(self) -> int | None:
        """Its bytes; None for a class that is not known or a number of elements that cannot be."""
        return None if self.dtype is None or self.numel < 0 else self.numel * self.dtype.itemsize


class TensorEntry(_Entry):
    """A tensor of the checkpoint.

    Attributes:
        path: the keys that lead to it, such as ``"model.0.weight"``.
        kind: its class.
        dtype: its dtype; None if the file names none that is known.
        shape: its sizes.
        stride: its strides, in elements.
        storage: the ``StorageEntry`` that it lies in; None for one of the meta device.
        storage_offset: the element of the storage where it begins.
        requires_grad: whether it wants a gradient.
    """

    __slots__ = ("dtype", "kind", "path", "requires_grad", "shape", "storage", "storage_offset", "stride")

    def __init__(
        self, path: str, kind: str, dtype: Any, shape: Any, stride: Any, storage: Any, storage_offset: Any,
        requires_grad: bool,
    ) -> None:  # fmt: skip
        self.path = path
        self.kind = kind
        self.dtype = dtype
        self.shape = shape
        self.stride = stride
        self.storage = storage
        self.storage_offset = storage_offset
        self.requires_grad = requires_grad

    @property
    def nbytes(self) -> int | None:
        """The bytes of its elements; None if the file does not say."""
        if self.dtype is None or self.shape is None or min(self.shape, default=0) < 0:
            return None
        return int(math.prod(self.shape) * self.dtype.itemsize)

    @property
    def offset(self) -> int | None:
        """Where its first element lies in the file; None if that is not known."""
        if self.storage is None or self.storage.offset is None or self.dtype is None or self.storage_offset is None:
            return None
        return int(self.storage.offset + self.storage_offset * self.dtype.itemsize)

    @property
    def problem(self) -> str | None:
        """What is wrong with its geometry; None if it can be loaded."""
        if self.dtype is None:
            return "its dtype is not known"
        if self.shape is None or self.stride is None or self.storage_offset is None:
            return "its sizes, strides or offset are no integers"
        if len(self.shape) != len(self.stride) or min((*self.shape, *self.stride, self.storage_offset)) < 0:
            return "its sizes, strides and offset do not describe a tensor"
        if self.storage is None or self.storage.nbytes is None or 0 in self.shape:
            return None
        last = self.storage_offset + sum((n - 1) * step for n, step in zip(self.shape, self.stride, strict=True))
        needed = (last + 1) * self.dtype.itemsize
        if needed > self.storage.nbytes:
            return f"it needs {needed} bytes of storage {self.storage.key}, which has {self.storage.nbytes}"
        return None

    def row(self) -> tuple[str, ...]:
        """What the table shows of it."""
        shape = "?" if self.shape is None else " x ".join(map(str, self.shape)) or "scalar"
        stride = "?" if self.stride is None else ", ".join(map(str, self.stride))
        place = "-" if self.storage is None else f"{self.storage.key} + {self.storage_offset}"
        where = "-" if self.offset is None else str(self.offset)
        name = "?" if self.dtype is None else str(self.dtype).removeprefix("torch.")
        kind = "" if self.kind == "Tensor" else self.kind
        return self.path or "(the object itself)", name, shape, stride, place, where, _size(self.nbytes), kind


_HEADER = ("tensor", "dtype", "shape", "stride", "storage", "at byte", "bytes", "class")


class CheckpointSummary:
    """What a checkpoint holds; printed, it is a table.

    Attributes:
        path: the file's; None for a file-like object.
        format: ``"zip"``, ``"legacy"`` (before PyTorch 1.6) or ``"tar"`` (before 0.2).
        size: the bytes of the file.
        byteorder: ``"little"`` or ``"big"``.
        globals: a ``GlobalEntry`` for each class and function that is named.
        tensors: a ``TensorEntry`` for each tensor, in the pickle's order.
        storages: a ``StorageEntry`` for each storage.
        records: a ``RecordEntry`` for each record of the container.
        problems: what is wrong with the file, in words; empty for a sound one.
    """

    def __init__(self, path: str | None, size: int, byteorder: str) -> None:
        self.path = path
        self.format = "zip"
        self.size = size
        self.byteorder = byteorder
        self.globals: list[GlobalEntry] = []
        self.tensors: list[TensorEntry] = []
        self.storages: list[StorageEntry] = []
        self.records: list[RecordEntry] = []
        self.problems: list[str] = []

    @property
    def unsafe_globals(self) -> list[str]:
        """The names that ``torch.load(weights_only=True)`` refuses."""
        return sorted(entry.name for entry in self.globals if not entry.allowed)

    def table(self, rows: int | None = None) -> str:
        """The summary as text, with so many tensors at most."""
        held = sum(storage.nbytes or 0 for storage in self.storages)
        lines = [
            f"{self.path or 'checkpoint'}: {self.format}, {_size(self.size)}, {self.byteorder} endian, "
            f"{len(self.tensors)} tensors in {len(self.storages)} storages of {_size(held)}"
        ]
        table = [_HEADER, *(tuple(map(_printable, tensor.row())) for tensor in self.tensors[:rows])]
        widths = [max(len(row[i]) for row in table) for i in range(len(_HEADER))]
        for row in table if self.tensors else ():
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            lines.append("  ".join(cells).rstrip())
        if rows is not None and len(self.tensors) > rows:
            lines.append(f"... {len(self.tensors) - rows} more: print(summary.table())")
        for name, chosen in (("allowed", True), ("not allowed", False)):
            names = [f"{_printable(e.name)} ({e.count})" for e in self.globals if e.allowed is chosen]
            if names:
                lines.append(f"globals {name}: {', '.join(names)}")
        lines += [f"problem: {_printable(problem)}" for problem in self.problems]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return self.table(_MOST_ROWS)

    def __str__(self) -> str:
        return self.table(_MOST_ROWS)


def _printable(text: str) -> str:
    # Names of a hostile file must not steer the terminal.
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
