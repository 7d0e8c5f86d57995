"""The zip container of checkpoints: stored records whose data starts at multiples of 64 bytes.

The standard library's zipfile is not used because it cannot place data at an alignment, costs import time, and
copies each record once more than needed.
"""

from __future__ import annotations

import struct
import zlib
from _thread import allocate_lock, start_new_thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

ALIGNMENT = 64

_LOCAL = struct.Struct("<4sHHHHHIIIHH")
_CENTRAL = struct.Struct("<4sHHHHHHIIIHHHHHII")
_END = struct.Struct("<4sHHHHIIH")
_END64 = struct.Struct("<4sQHHIIQQQQ")
_LOCATOR64 = struct.Struct("<4sIQI")
_TAIL = struct.Struct("<4sIII")
_TAIL64 = struct.Struct("<4sIQQ")
# Names are UTF-8; checksums and sizes follow the data.
_FLAGS = 0x0808
_ENCRYPTED = 0x0001
# What compressed records may come to: PyTorch compresses none, and deflate can make a thousand bytes out of one.
_MOST_GROWTH = 100
_FREE_GROWTH = 1 << 26
_MAX32 = 0xFFFFFFFF
_MAX16 = 0xFFFF
# 1 January 1980, the earliest date that a zip file can hold: equal content gives equal bytes.
_DATE = (1 << 5) | 1
# How much is written or summed at a time, and from which size on a record's checksum is worth a thread.
_PIECE = 1 << 22
# What is smaller waits for more, so that many small records are few calls.
_SMALL = 1 << 16
_LARGE_PIECE = 1 << 26
_PARALLEL = 1 << 20


def write_all(file: Any, view: memoryview) -> None:
    """Write all of ``view``: a raw file may take less than it was given, and file-likes that return None take all."""
    while len(view):
        count = file.write(view)
        view = view[count if isinstance(count, int) else len(view) :]


class ArchiveWriter:
    """Writes records one after another to an object that only needs ``write``.

    Checksums and sizes follow the data, as in the files of PyTorch: a record's checksum is computed beside its
    writing, in one pass over the memory.

    Args:
        file: what is written to.
        name: the folder of all records.
        compute_crc: whether records get checksums.
        alignment: the data of every record begins at a multiple of this.
        written: called with the number of bytes after each piece.
    """

    def __init__(
        self, file: Any, name: str, compute_crc: bool = True, alignment: int = ALIGNMENT,
        written: Callable[[int], None] | None = None,
    ) -> None:  # fmt: skip
        self._file = file
        self._name = name
        self._compute_crc = compute_crc
        self._alignment = alignment
        self._written = written
        self._offset = 0
        self._pending = bytearray()
        self._central: list[bytes] = []
        self._fingerprint = 0
        self._name_fingerprint = 0

    def _write(self, data: Any) -> None:
        view = memoryview(data).cast("B")
        self._offset += len(view)
        if len(view) < _SMALL:
            self._pending += view
            if len(self._pending) >= _PIECE:
                self._flush()
            return
        self._flush()
        for at in range(0, len(view), _PIECE):
            self._send(view[at : at + _PIECE])

    def _flush(self) -> None:
        pending, self._pending = self._pending, bytearray()
        self._send(memoryview(pending))

    def _send(self, piece: memoryview) -> None:
        write_all(self._file, piece)
        if self._written is not None:
            self._written(len(piece))

    def write_record(self, name: str, data: Any) -> None:
        view = memoryview(data)
        size = view.nbytes
        path = f"{self._name}/{name}".encode()
        start = self._offset
        large = size >= _MAX32
        extra64 = struct.pack("<HHQQ", 1, 16, 0, 0) if large else b""
        # The filler needs its own 4-byte header.
        before = start + _LOCAL.size + len(path) + len(extra64) + 4
        padding = -before % self._alignment
        extra = extra64 + struct.pack("<2sH", b"FB", padding) + b"Z" * padding
        version = 45 if large else 20
        sizes = (_MAX32, _MAX32) if large else (0, 0)
        header = _LOCAL.pack(b"PK\3\4", version, _FLAGS, 0, 0, _DATE, 0, *sizes, len(path), len(extra))
        self._write(header + path + extra)
        crc = 0
        if self._compute_crc and size >= _PARALLEL:
            sum_beside = _Checksum(view)
            try:
                self._write(view)
            finally:
                crc = sum_beside.result()
        elif size:
            crc = zlib.crc32(view) if self._compute_crc else 0
            self._write(view)
        self._write((_TAIL64 if large else _TAIL).pack(b"PK\7\10", crc, size, size))
        self._add_central(path, crc, size, start)
        self._name_fingerprint = zlib.crc32(path, self._name_fingerprint)
        self._fingerprint = zlib.crc32(crc.to_bytes(4, "little"), self._fingerprint)

    def _add_central(self, path: bytes, crc: int, size: int, start: int) -> None:
        fields = b""
        if size >= _MAX32:
            fields += struct.pack("<QQ", size, size)
        if start >= _MAX32:
            fields += struct.pack("<Q", start)
        extra = struct.pack("<HH", 1, len(fields)) + fields if fields else b""
        version = 45 if fields else 20
        size32 = min(size, _MAX32)
        head = _CENTRAL.pack(
            b"PK\1\2", version, version, _FLAGS, 0, 0, _DATE, crc, size32, size32, len(path), len(extra), 0, 0, 0, 0,
            min(start, _MAX32),
        )  # fmt: skip
        self._central.append(head + path + extra)

    def close(self) -> None:
        serial = f"{self._name_fingerprint:020d}{self._fingerprint:020d}"
        self.write_record(".data/serialization_id", serial.encode())
        start = self._offset
        self._write(b"".join(self._central))
        size = self._offset - start
        count = len(self._central)
        if count >= _MAX16 or start >= _MAX32 or size >= _MAX32:
            end64 = self._offset
            self._write(_END64.pack(b"PK\6\6", _END64.size - 12, 45, 45, 0, 0, count, count, size, start))
            self._write(_LOCATOR64.pack(b"PK\6\7", 0, end64, 1))
        short_count = min(count, _MAX16)
        end = _END.pack(b"PK\5\6", 0, 0, short_count, short_count, min(size, _MAX32), min(start, _MAX32), 0)
        self._write(end)
        self._flush()


class _Checksum:
    """The CRC-32 of some memory, computed by a thread of its own: zlib lets go of the interpreter's lock."""

    def __init__(self, view: memoryview) -> None:
        self._value = 0
        self._lock = allocate_lock()
        self._lock.acquire()
        try:
            start_new_thread(self._run, (view.cast("B"),))
        except RuntimeError:
            # No thread starts while the interpreter shuts down, and some systems allow few.
            self._run(view.cast("B"))

    def _run(self, view: memoryview) -> None:
        try:
            for at in range(0, len(view), _PIECE):
                self._value = zlib.crc32(view[at : at + _PIECE], self._value)
        finally:
            self._lock.release()

    def result(self) -> int:
        self._lock.acquire()
        return self._value


class _Record:
    __slots__ = ("compressed", "crc", "header", "method", "size")

    def __init__(self, method: int, compressed: int, size: int, header: int, crc: int) -> None:
        self.method = method
        self.compressed = compressed
        self.size = size
        self.header = header
        self.crc = crc


def _corrupt(detail: str) -> RuntimeError:
    return RuntimeError(
        f"PytorchStreamReader failed reading zip archive: {detail}. This is an internal miniz error. If you are seeing "
        "this error, there is a high likelihood that your checkpoint file is corrupted. This can happen if the "
        "checkpoint was not saved properly, was transferred incorrectly, or the file was modified after saving."
    )


class ArchiveReader:
    """Reads records by name from a seekable file.

    Every size and offset is checked against the file's length; records may not share bytes or names, nor leave the
    archive's folder, and compressed ones may not grow out of all proportion.

    Raises:
        RuntimeError: for a file that is damaged or does one of these.
    """

    def __init__(self, file: Any) -> None:
        self._file = file
        file.seek(0, 2)
        self.length = file.tell()
        self._records: dict[str, _Record] = {}
        self._read_directory()
        self._check_records()
        first = next(iter(self._records), "")
        self.name, slash, _ = first.partition("/")
        if not slash:
            raise _corrupt(f"file in archive is not in a subdirectory: {first}")

    def _bytes_at(self, offset: int, size: int) -> bytes:
        if offset < 0 or size < 0 or offset + size > self.length:
            raise _corrupt("invalid header or archive is corrupted")
        self._file.seek(offset)
        data = bytearray()
        while len(data) < size:
            chunk = self._file.read(size - len(data))
            if not chunk:
                raise EOFError("the checkpoint ended early")
            data += chunk
        return bytes(data)

    def _read_directory(self) -> None:
        tail_size = min(self.length, _END.size + _MAX16 + _LOCATOR64.size)
        if tail_size < _END.size:
            raise _corrupt("not a ZIP archive")
        tail = self._bytes_at(self.length - tail_size, tail_size)
        at = tail.rfind(b"PK\5\6")
        if at < 0 or at + _END.size > len(tail):
            raise _corrupt("failed finding central directory")
        _, _, _, _, count, size, start, _ = _END.unpack_from(tail, at)
        if (count == _MAX16 or size == _MAX32 or start == _MAX32) and at >= _LOCATOR64.size:
            magic, _, end64, _ = _LOCATOR64.unpack_from(tail, at - _LOCATOR64.size)
            if magic == b"PK\6\7":
                fields = _END64.unpack(self._bytes_at(end64, _END64.size))
                count, size, start = fields[7], fields[8], fields[9]
        directory = self._bytes_at(start, size)
        position = 0
        for _ in range(count):
            position = self._read_entry(directory, position)

    def _read_entry(self, directory: bytes, position: int) -> int:
        if position + _CENTRAL.size > len(directory) or directory[position : position + 4] != b"PK\1\2":
            raise _corrupt("invalid header or archive is corrupted")
        fields = _CENTRAL.unpack_from(directory, position)
        flags, method, crc, compressed, size = fields[3], fields[4], fields[7], fields[8], fields[9]
        name_size, extra_size, comment_size, header = fields[10], fields[11], fields[12], fields[16]
        position += _CENTRAL.size
        name = directory[position : position + name_size].decode("utf-8", "replace")
        extra = directory[position + name_size : position + name_size + extra_size]
        if _MAX32 in (compressed, size, header):
            size, compressed, header = self._wide(extra, size, compressed, header)
        if name in self._records:
            raise _corrupt(f"record {name!r} is there twice")
        if name.startswith("/") or "\\" in name or "\0" in name or ".." in name.split("/"):
            raise _corrupt(f"the name of record {name!r} leaves the archive")
        if flags & _ENCRYPTED:
            raise _corrupt(f"record {name!r} is encrypted")
        self._records[name] = _Record(method, compressed, size, header, crc)
        return position + name_size + extra_size + comment_size

    def _check_records(self) -> None:
        end, before, expanded = 0, "", 0
        for name, record in sorted(self._records.items(), key=lambda item: item[1].header):
            if record.header < end:
                raise _corrupt(f"records {before!r} and {name!r} overlap")
            if record.method == 0 and record.compressed != record.size:
                raise _corrupt(f"record {name!r} has two sizes")
            end, before = record.header + _LOCAL.size + len(name.encode()) + record.compressed, name
            expanded += record.size if record.method else 0
        if end > self.length:
            raise _corrupt(f"record {before!r} ends after the file")
        if expanded > _MOST_GROWTH * self.length + _FREE_GROWTH:
            raise _corrupt(
                f"{self.length} bytes claim to hold {expanded} compressed ones; store the records uncompressed to load "
                "such a file"
            )

    @staticmethod
    def _wide(extra: bytes, *values: int) -> list[int]:
        """Replace the saturated 32-bit values by those of the zip64 field, which holds only these, in this order."""
        at = 0
        while at + 4 <= len(extra):
            tag, size = struct.unpack_from("<HH", extra, at)
            at += 4
            if tag == 1:
                wide = []
                for value in values:
                    if value == _MAX32 and at + 8 <= len(extra):
                        value = struct.unpack_from("<Q", extra, at)[0]
                        at += 8
                    wide.append(value)
                return wide
            at += size
        return list(values)

    def names(self) -> list[str]:
        """The records, without the archive's folder."""
        skip = len(self.name) + 1
        return [name[skip:] for name in self._records]

    def __contains__(self, name: str) -> bool:
        return f"{self.name}/{name}" in self._records

    def _record(self, name: str) -> _Record:
        record = self._records.get(f"{self.name}/{name}")
        if record is None:
            raise RuntimeError(f"PytorchStreamReader failed locating file {name}: file not found")
        return record

    def size(self, name: str) -> int:
        """The bytes of a record."""
        return self._record(name).size

    def data_offset(self, name: str) -> int:
        """Where the record's data begins in the file. Only stored records have data that can be used in place."""
        record = self._record(name)
        magic, *_, name_size, extra_size = _LOCAL.unpack(self._bytes_at(record.header, _LOCAL.size))
        if magic != b"PK\3\4":
            raise _corrupt("invalid header or archive is corrupted")
        offset: int = record.header + _LOCAL.size + name_size + extra_size
        if offset + record.compressed > self.length:
            raise _corrupt("invalid header or archive is corrupted")
        return offset

    def is_stored(self, name: str) -> bool:
        """Whether the record is not compressed."""
        return self._record(name).method == 0

    def read(self, name: str) -> bytes:
        """All bytes of a record."""
        record = self._record(name)
        data = self._bytes_at(self.data_offset(name), record.compressed)
        if record.method == 0:
            return data
        if record.method != 8:
            raise RuntimeError(f"unsupported compression method {record.method} in record {name}")
        # The limit keeps a small file from asking for unlimited memory.
        try:
            data = zlib.decompressobj(-15).decompress(data, record.size) if record.size else b""
        except zlib.error as error:
            raise _corrupt(f"record {name!r}: {error}") from None
        if len(data) != record.size:
            raise _corrupt(f"record {name!r} holds {len(data)} bytes, not {record.size}")
        return data

    def read_into(self, name: str, view: memoryview, done: Callable[[int], None] | None = None) -> None:
        """Fill ``view`` from the beginning of a record; ``done`` is told of each piece."""
        record = self._record(name)
        if record.size < len(view):
            raise RuntimeError(f"record {name} holds {record.size} bytes, but {len(view)} are needed")
        if record.method != 0 or not hasattr(self._file, "readinto"):
            view[:] = self.read(name)[: len(view)]
            return
        self._file.seek(self.data_offset(name))
        while len(view):
            count = self._file.readinto(view[:_LARGE_PIECE])
            if not count:
                raise EOFError("the checkpoint ended early")
            view = view[count:]
            if done is not None:
                done(count)

    def is_intact(self, name: str) -> bool:
        """Whether a record's checksum is right; records written without one have zero."""
        record = self._record(name)
        return record.crc == 0 or zlib.crc32(self.read(name)) == record.crc
