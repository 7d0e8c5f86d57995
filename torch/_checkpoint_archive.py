"""The zip container of checkpoints: stored records whose data starts at multiples of 64 bytes.

The standard library's zipfile is not used because it cannot place data at an alignment, costs import time, and
copies each record once more than needed.
"""

from __future__ import annotations

import struct
import zlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ALIGNMENT = 64

_LOCAL = struct.Struct("<4sHHHHHIIIHH")
_CENTRAL = struct.Struct("<4sHHHHHHIIIHHHHHII")
_END = struct.Struct("<4sHHHHIIH")
_END64 = struct.Struct("<4sQHHIIQQQQ")
_LOCATOR64 = struct.Struct("<4sIQI")
_UTF8 = 0x0800
_MAX32 = 0xFFFFFFFF
_MAX16 = 0xFFFF
# 1 January 1980, the earliest date that a zip file can hold: equal content gives equal bytes.
_DATE = (1 << 5) | 1


class ArchiveWriter:
    """Writes records one after another to an object that only needs ``write``."""

    def __init__(self, file: Any, name: str, compute_crc: bool = True) -> None:
        self._file = file
        self._name = name
        self._compute_crc = compute_crc
        self._offset = 0
        self._central: list[bytes] = []
        self._fingerprint = 0
        self._name_fingerprint = 0

    def _write(self, data: Any) -> None:
        view = memoryview(data).cast("B")
        while len(view):
            # A raw file may take less than it was given; file-likes that return None take all.
            written = self._file.write(view)
            count = len(view) if not isinstance(written, int) else written
            self._offset += count
            view = view[count:]

    def write_record(self, name: str, data: Any) -> None:
        view = memoryview(data)
        size = view.nbytes
        path = f"{self._name}/{name}".encode()
        crc = zlib.crc32(view) if self._compute_crc and size else 0
        start = self._offset
        large = size >= _MAX32
        extra64 = struct.pack("<HHQQ", 1, 16, size, size) if large else b""
        # The filler needs its own 4-byte header.
        before = start + _LOCAL.size + len(path) + len(extra64) + 4
        padding = -before % ALIGNMENT
        extra = extra64 + struct.pack("<2sH", b"FB", padding) + b"Z" * padding
        size32 = _MAX32 if large else size
        version = 45 if large else 20
        header = _LOCAL.pack(
            b"PK\3\4", version, _UTF8, 0, 0, _DATE, crc, size32, size32, len(path), len(extra)
        )
        self._write(header + path + extra)
        if size:
            self._write(view)
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
            b"PK\1\2", version, version, _UTF8, 0, 0, _DATE, crc, size32, size32, len(path), len(extra), 0, 0, 0, 0,
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


class _Record:
    __slots__ = ("method", "compressed", "size", "header")

    def __init__(self, method: int, compressed: int, size: int, header: int) -> None:
        self.method = method
        self.compressed = compressed
        self.size = size
        self.header = header


class ArchiveReader:
    """Reads records by name from a seekable file. Every size and offset is checked against the file's length."""

    def __init__(self, file: Any) -> None:
        self._file = file
        file.seek(0, 2)
        self._length = file.tell()
        self._records: dict[str, _Record] = {}
        self._read_directory()
        self.name = next(iter(self._records), "").partition("/")[0]

    def _bytes_at(self, offset: int, size: int) -> bytes:
        if offset < 0 or size < 0 or offset + size > self._length:
            raise RuntimeError("PytorchStreamReader failed reading zip archive: invalid header or archive is corrupted")
        self._file.seek(offset)
        data = bytearray()
        while len(data) < size:
            chunk = self._file.read(size - len(data))
            if not chunk:
                raise EOFError("the checkpoint ended early")
            data += chunk
        return bytes(data)

    def _read_directory(self) -> None:
        tail_size = min(self._length, _END.size + _MAX16 + _LOCATOR64.size)
        tail = self._bytes_at(self._length - tail_size, tail_size)
        at = tail.rfind(b"PK\5\6")
        if at < 0 or at + _END.size > len(tail):
            raise RuntimeError(
                "PytorchStreamReader failed reading zip archive: failed finding central directory"
            )
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
        if position + _CENTRAL.size > len(directory):
            raise RuntimeError("PytorchStreamReader failed reading zip archive: invalid header or archive is corrupted")
        fields = _CENTRAL.unpack_from(directory, position)
        method, compressed, size = fields[4], fields[8], fields[9]
        name_size, extra_size, comment_size, header = fields[10], fields[11], fields[12], fields[16]
        position += _CENTRAL.size
        name = directory[position : position + name_size].decode("utf-8", "replace")
        extra = directory[position + name_size : position + name_size + extra_size]
        if _MAX32 in (compressed, size, header):
            size, compressed, header = self._wide(extra, size, compressed, header)
        self._records[name] = _Record(method, compressed, size, header)
        return position + name_size + extra_size + comment_size

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
        return self._record(name).size

    def data_offset(self, name: str) -> int:
        """Where the record's data begins in the file. Only stored records have data that can be used in place."""
        record = self._record(name)
        magic, *_, name_size, extra_size = _LOCAL.unpack(self._bytes_at(record.header, _LOCAL.size))
        if magic != b"PK\3\4":
            raise RuntimeError("PytorchStreamReader failed reading zip archive: invalid header or archive is corrupted")
        offset: int = record.header + _LOCAL.size + name_size + extra_size
        if offset + record.compressed > self._length:
            raise RuntimeError("PytorchStreamReader failed reading zip archive: invalid header or archive is corrupted")
        return offset

    def is_stored(self, name: str) -> bool:
        return self._record(name).method == 0

    def read(self, name: str) -> bytes:
        record = self._record(name)
        data = self._bytes_at(self.data_offset(name), record.compressed)
        if record.method == 0:
            return data
        if record.method != 8:
            raise RuntimeError(f"unsupported compression method {record.method} in record {name}")
        # The limit keeps a small file from asking for unlimited memory.
        return zlib.decompressobj(-15).decompress(data, record.size)

    def read_into(self, name: str, view: memoryview) -> None:
        record = self._record(name)
        if record.size < len(view):
            raise RuntimeError(f"record {name} holds {record.size} bytes, but {len(view)} are needed")
        if record.method != 0 or not hasattr(self._file, "readinto"):
            view[:] = self.read(name)[: len(view)]
            return
        self._file.seek(self.data_offset(name))
        while len(view):
            count = self._file.readinto(view)
            if not count:
                raise EOFError("the checkpoint ended early")
            view = view[count:]
