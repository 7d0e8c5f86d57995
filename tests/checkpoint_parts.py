"""Checkpoints put together by hand: pickles from instructions written by name, and the containers around them."""

from __future__ import annotations

import io
import pickle
import pickletools
import struct
import zipfile
from typing import Any

CODES = {opcode.name: opcode.code.encode("latin1") for opcode in pickletools.opcodes}


# ---- pickles from instructions


def glob(name: str) -> bytes:
    """GLOBAL of a dotted name."""
    module, _, attribute = name.rpartition(".")
    return CODES["GLOBAL"] + f"{module}\n{attribute}\n".encode()


def text(value: str) -> bytes:
    return CODES["BINUNICODE"] + struct.pack("<I", len(value.encode())) + value.encode()


def number(value: int) -> bytes:
    data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return CODES["LONG4"] + struct.pack("<i", len(data)) + data


def ints(values: Any) -> bytes:
    """A tuple of integers."""
    return CODES["MARK"] + b"".join(map(number, values)) + CODES["TUPLE"]


def ops(*parts: Any) -> bytes:
    """Instructions: opcodes by name, other bytes as they are."""
    return b"".join(CODES[part] if isinstance(part, str) else part for part in parts)


def program(*parts: Any, protocol: int = 2) -> bytes:
    """A whole pickle."""
    return CODES["PROTO"] + bytes([protocol]) + ops(*parts) + CODES["STOP"]


def storage(kind: str = "torch.FloatStorage", key: Any = b"", location: Any = b"", numel: Any = 4) -> bytes:
    """The instructions that push a storage: its persistent id, then BINPERSID."""
    fields = [
        text("storage"),
        glob(kind),
        key or text("0"),
        location or text("cpu"),
        numel if isinstance(numel, bytes) else number(numel),
    ]
    return ops("MARK", *fields, "TUPLE", "BINPERSID")


def tensor(memory: bytes = b"", offset: Any = 0, size: Any = (2,), stride: Any = (1,), more: bytes = b"") -> bytes:
    """The instructions that push a float32 tensor."""
    fields = [
        memory or storage(),
        offset if isinstance(offset, bytes) else number(offset),
        size if isinstance(size, bytes) else ints(size),
        stride if isinstance(stride, bytes) else ints(stride),
        CODES["NEWFALSE"],
        more or ops(glob("collections.OrderedDict"), "EMPTY_TUPLE", "REDUCE"),
    ]
    return ops(glob("torch._utils._rebuild_tensor_v2"), "MARK", *fields, "TUPLE", "REDUCE")


# ---- containers

FLOATS = struct.pack("<4f", 0, 1, 2, 3)


def archive(data: bytes, records: dict[str, bytes] | None = None, method: int = zipfile.ZIP_STORED) -> bytes:
    """A zip checkpoint with this pickle and one storage of four floats."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as file:
        held = {"archive/data.pkl": data, "archive/byteorder": b"little", "archive/data/0": FLOATS, **(records or {})}
        for name, content in held.items():
            file.writestr(name, content)
    return out.getvalue()


def sound() -> bytes:
    """A checkpoint with nothing wrong."""
    return archive(program(tensor()))


def legacy(*parts: bytes, magic: int = 0x1950A86A20F9469CFC6C, version: int = 1001) -> bytes:
    """The format before PyTorch 1.6: these bytes after its three headers."""
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    return b"".join([*(pickle.dumps(value, 2) for value in (magic, version, system)), *parts])


def legacy_tail(key: Any = "0", numel: int = 4, data: bytes = FLOATS) -> bytes:
    return pickle.dumps([key], 2) + struct.pack("<q", numel) + data


def tar(**members: Any) -> bytes:
    """The oldest format; a member given as (size, bytes) claims that size."""
    out = b""
    for name, content in members.items():
        size, content = content if isinstance(content, tuple) else (len(content), content)
        head = name.encode().ljust(100, b"\0") + b"0000644\0" * 3 + b"%011o\0" % size
        head = head.ljust(156, b"\0") + b"0" + bytes(100) + b"ustar\x0000"
        out += head.ljust(512, b"\0") + content + bytes(-len(content) % 512)
    return out + bytes(1024)


def tar_storage(kind: str = "torch.FloatStorage", count: int = 1, numel: int = 4, views: Any = ()) -> bytes:
    fields = program("MARK", number(7), text("cpu"), glob(kind), "TUPLE")
    return pickle.dumps(count, 2) + fields + struct.pack("<q", numel) + FLOATS + pickle.dumps(list(views), 2)


def tar_tensor(dims: int = 1, size: int = 2, stride: int = 1, offset: int = 0, key: int = 7) -> bytes:
    fields = program("MARK", number(1), number(key), glob("torch.FloatTensor"), "TUPLE")
    return pickle.dumps(1, 2) + fields + struct.pack("<i4x3q", dims, size, stride, offset)
