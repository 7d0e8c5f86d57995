"""Damaged and hostile checkpoints, each with the error that reading it has to raise: test_hostile_checkpoints.py.

Everything is generated: pickles from instructions written by name, zip files record by record. Run it to see the list:

    python tests/hostile_checkpoints.py
"""

from __future__ import annotations

import io
import pickle
import pickletools
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

CODES = {opcode.name: opcode.code.encode("latin1") for opcode in pickletools.opcodes}
UNPICKLING = "UnpicklingError"
CORRUPT = "PytorchStreamReader failed reading zip archive"
REFUSED_CALL = "Trying to call reduce for unrecognized function"

Part = str | bytes | int | tuple[str, ...]


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


def with_directory_entry(name: bytes, offset_in_entry: int, value: bytes) -> bytes:
    """A sound checkpoint, a field of one entry of its directory overwritten."""
    data = bytearray(sound())
    at = data.rfind(name) - 46
    data[at + offset_in_entry : at + offset_in_entry + len(value)] = value
    return bytes(data)


def with_end(offset: int, value: bytes) -> bytes:
    """A sound checkpoint, a field of the directory's end overwritten."""
    data = bytearray(sound())
    at = data.rfind(b"PK\5\6")
    data[at + offset : at + offset + len(value)] = value
    return bytes(data)


def twice() -> bytes:
    """One record's name in the directory made equal to another's."""
    return archive(program(tensor()), {"archive/data/1": FLOATS}).replace(b"archive/data/1", b"archive/data/0")


def overlapping() -> bytes:
    """Two entries of the directory for the same bytes of the file."""
    data = bytearray(archive(program(tensor()), {"archive/data/1": FLOATS}))
    first, second = (data.rfind(b"archive/data/" + digit) - 46 for digit in (b"0", b"1"))
    data[second + 42 : second + 46] = data[first + 42 : first + 46]
    return bytes(data)


def bomb(layers: int = 300_000_000) -> bytes:
    """A few hundred kilobytes that are hundreds of megabytes of zeros."""
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -15)
    piece = bytes(1 << 20)
    squeezed = b"".join(squeezer.compress(piece) for _ in range(layers >> 20)) + squeezer.flush()
    small = bytearray(archive(program(tensor()), {"archive/data/1": squeezed}))
    size = (layers >> 20) << 20
    local, central = small.find(b"archive/data/1") - 30, small.rfind(b"archive/data/1") - 46
    small[local + 8 : local + 10] = small[central + 10 : central + 12] = struct.pack("<H", 8)
    small[local + 22 : local + 26] = small[central + 24 : central + 28] = struct.pack("<I", size)
    return bytes(small)


def liar() -> bytes:
    """A compressed record that holds more than its entry says."""
    data = bytearray(archive(program(tensor()), {"archive/byteorder": b"little" * 50}, zipfile.ZIP_DEFLATED))
    central = data.rfind(b"archive/byteorder") - 46
    data[central + 24 : central + 28] = struct.pack("<I", 6 * 51)
    return bytes(data)


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


# ---- what the pickles say

def calls(name: str, argument: str = "echo harm > /tmp/harmed") -> bytes:
    return program(glob(name), text(argument), "TUPLE1", "REDUCE")


def nested_tuples(depth: int) -> bytes:
    return ops("EMPTY_TUPLE", "TUPLE1" if not depth else b"", *["TUPLE1"] * depth)


def doubled_tuples(depth: int) -> bytes:
    """A tuple of 2 ** depth leaves, of a few bytes each level."""
    parts: list[Any] = ["EMPTY_TUPLE"]
    for _ in range(depth):
        parts += ["DUP", "TUPLE2"]
    return ops(*parts)


def colliding_keys(count: int) -> bytes:
    """A dict of integers whose hashes are all zero."""
    prime = (1 << 61) - 1
    return program(
        "EMPTY_DICT", "MARK", *(number((i + 1) * prime << 8) + CODES["NONE"] for i in range(count)), "SETITEMS"
    )


def copies(count: int, size: int) -> bytes:
    """One text copied over and over by a call that is allowed."""
    put, get = CODES["BINPUT"] + b"\0", CODES["BINGET"] + b"\0"
    function = glob("_codecs.encode") + CODES["BINPUT"] + b"\1"
    pair = ops(text("latin1"), CODES["BINPUT"] + b"\2", "POP", "POP")
    one = ops(CODES["BINGET"] + b"\1", get, CODES["BINGET"] + b"\2", "TUPLE2", "REDUCE")
    return program("MARK", text("a" * size), put, function, pair, *[one] * count, "LIST")


def cases() -> dict[str, tuple[Callable[[], bytes], str, str]]:
    """By title: what makes the file, the type of the error, and a part of its text."""
    allowed = "was not an allowed global by default"
    found: dict[str, tuple[Callable[[], bytes], str, str]] = {}

    def add(title: str, make: Callable[[], bytes], error: str, part: str) -> None:
        assert title not in found, title
        found[title] = (make, error, part)

    def pickled(title: str, data: Callable[[], bytes], error: str, part: str) -> None:
        add(title, lambda: archive(data()), error, part)

    # Truncated, in the container and in the pickle.
    for share in (1, 5, 20, 40, 60, 80, 95, 99):
        add(f"a zip file cut to {share} %", lambda s=share: sound()[: max(4, len(sound()) * s // 100)], "RuntimeError",
            CORRUPT)  # fmt: skip
    add("a zip file without its last byte", lambda: sound()[:-1], "RuntimeError", CORRUPT)
    for count in (1, 3, 30, 60, 90, 120):
        pickled(f"a pickle cut to {count} bytes", lambda n=count: program(tensor())[:n], "UnpicklingError|EOFError", "")
    add("an empty file", lambda: b"", "EOFError", "Ran out of input")
    add("text", lambda: b"hello world, this is no checkpoint", UNPICKLING, "Weights only load failed")
    add("zeros", lambda: bytes(4096), UNPICKLING, "Unsupported operand 0")
    add("ones", lambda: b"\xff" * 4096, UNPICKLING, "Unsupported operand 255")

    # Functions that run something.
    for name in ("os.system", "posix.system", "nt.system", "sys.exit", "os.execv"):
        pickled(f"REDUCE of {name}", lambda n=name: calls(n), UNPICKLING, "is blocked")
    for name in (
        "builtins.eval", "builtins.exec", "builtins.getattr", "builtins.__import__", "builtins.open", "runpy.run_path",
        "subprocess.Popen", "subprocess.check_output", "importlib.import_module", "shutil.rmtree", "pickle.loads",
        "numpy.testing._private.utils.runstring", "numpy.core.multiarray._reconstruct", "numpy.load", "torch.load",
        "torch.hub.load", "torch.storage._load_from_bytes", "torch.jit.load", "torch._C._from_dlpack",
        "operator.attrgetter", "operator.methodcaller", "functools.partial", "functools.reduce", "types.FunctionType",
        "marshal.loads", "ctypes.CDLL", "webbrowser.open", "code.interact", "pty.spawn", "timeit.timeit",
        "cProfile.run", "torch.utils.cpp_extension.load", "copyreg._reconstructor", "copyreg.__newobj__",
        "collections.defaultdict", "collections.OrderedDict.__reduce__", "torch._utils._import_dotted_name",
    ):  # fmt: skip
        pickled(f"REDUCE of {name}", lambda n=name: calls(n), UNPICKLING, allowed)
    pickled("GLOBAL of a method by a dotted name", lambda: program(
        text("builtins"), text("str.format"), "STACK_GLOBAL", protocol=4), UNPICKLING, allowed)  # fmt: skip
    pickled("STACK_GLOBAL of os.system", lambda: program(
        text("os"), text("system"), "STACK_GLOBAL", protocol=4), UNPICKLING, "is blocked")  # fmt: skip
    pickled("STACK_GLOBAL of what is no text", lambda: program(
        number(1), number(2), "STACK_GLOBAL", protocol=4), UNPICKLING, "STACK_GLOBAL requires str")  # fmt: skip
    pickled("GLOBAL of Python 2's eval", lambda: calls("__builtin__.eval"), UNPICKLING, allowed)
    pickled("INST of os.system", lambda: program(
        "MARK", text("true"), b"ios\nsystem\n"), UNPICKLING, "Unsupported operand 105")  # fmt: skip
    pickled("OBJ of a class", lambda: program(
        "MARK", glob("torch.Size"), text("1"), "OBJ"), UNPICKLING, "Unsupported operand 111")  # fmt: skip
    for size in (1, 2, 4):
        pickled(f"EXT{size}", lambda n=size: program(
            f"EXT{n}", bytes([1] * n)), UNPICKLING, "Unsupported operand 13")  # fmt: skip
    pickled("REDUCE of text", lambda: program(text("system"), "EMPTY_TUPLE", "REDUCE"), UNPICKLING, REFUSED_CALL)
    pickled("REDUCE of a dtype", lambda: program(glob("torch.float32"), "EMPTY_TUPLE", "REDUCE"), UNPICKLING,
            REFUSED_CALL)  # fmt: skip
    pickled("REDUCE of torch.Tensor with a size", lambda: program(
        glob("torch.Tensor"), number(1 << 40), "TUPLE1", "REDUCE"), UNPICKLING, REFUSED_CALL)  # fmt: skip
    for name in ("torch.FloatStorage", "torch.storage.TypedStorage", "torch.storage.UntypedStorage",
                 "torch.FloatTensor", "torch.cuda.FloatTensor", "torch.sparse.FloatTensor"):  # fmt: skip
        pickled(f"REDUCE of {name} with a size", lambda n=name: program(
            glob(n), number(1 << 40), "TUPLE1", "REDUCE"), UNPICKLING, REFUSED_CALL)  # fmt: skip
    pickled("REDUCE with a list of arguments", lambda: program(
        glob("torch.Size"), "EMPTY_LIST", "REDUCE"), UNPICKLING, "must be a tuple")  # fmt: skip
    pickled("bytearray of a size", lambda: program(
        glob("builtins.bytearray"), number(1 << 40), "TUPLE1", "REDUCE"), UNPICKLING, "bytearray is only allowed")
    pickled("encode with the codec of zlib", lambda: program(
        glob("_codecs.encode"), text("a"), text("zlib"), "TUPLE2", "REDUCE"), UNPICKLING, "only allowed for text")
    pickled("a set of a number", lambda: program(
        glob("builtins.set"), number(1 << 40), "TUPLE1", "REDUCE"), UNPICKLING, "a container cannot be made from")
    pickled("an OrderedDict of what are no pairs", lambda: program(
        glob("collections.OrderedDict"), "EMPTY_LIST", number(3), "APPEND", "TUPLE1", "REDUCE"), UNPICKLING,
            "must be made from pairs")  # fmt: skip
    pickled("NEWOBJ of a dtype's class", lambda: program(
        glob("torch.device"), text("cpu"), "TUPLE1", "NEWOBJ"), UNPICKLING, "create new object for unsupported class")
    pickled("NEWOBJ of what is no class", lambda: program(
        glob("torch._utils._rebuild_tensor_v2"), "EMPTY_TUPLE", "NEWOBJ"), UNPICKLING, "which is not a class")
    pickled("NEWOBJ_EX with arguments by name", lambda: program(
        glob("torch.Tensor"), "EMPTY_TUPLE", "EMPTY_DICT", "NEWOBJ_EX", protocol=4), UNPICKLING, "unsupported class")
    pickled("BUILD of a module of Python", lambda: program(
        glob("torch.float32"), "EMPTY_DICT", text("x"), number(1), "SETITEM", "BUILD"), UNPICKLING, "Can only build")
    pickled("BUILD of a class", lambda: program(
        glob("torch.Size"), "EMPTY_DICT", text("x"), number(1), "SETITEM", "BUILD"), UNPICKLING, "Can only build")
    pickled("BUILD of a function", lambda: program(
        glob("torch._utils._rebuild_tensor"), "EMPTY_DICT", text("__code__"), "NONE", "SETITEM", "BUILD"), UNPICKLING,
            "Can only build")  # fmt: skip
    pickled("BUILD that changes a tensor's class", lambda: program(
        tensor(), "EMPTY_DICT", text("__class__"), glob("torch.Size"), "SETITEM", "BUILD"), UNPICKLING,
            "a checkpoint cannot set __class__")  # fmt: skip
    pickled("BUILD that replaces an OrderedDict's attributes", lambda: program(
        glob("collections.OrderedDict"), "EMPTY_TUPLE", "REDUCE", "EMPTY_DICT", text("__class__"), glob("torch.Size"),
        "SETITEM", "BUILD"), UNPICKLING, "a checkpoint cannot set __class__")  # fmt: skip
    pickled("BUILD with a list", lambda: program(
        glob("collections.OrderedDict"), "EMPTY_TUPLE", "REDUCE", "EMPTY_LIST", "BUILD"), UNPICKLING,
            "attributes must be a dict")  # fmt: skip
    pickled("BUILD with an attribute whose name is a number", lambda: program(
        tensor(), "EMPTY_DICT", number(1), number(1), "SETITEM", "BUILD"), UNPICKLING, "must be text")
    pickled("a tensor with hooks", lambda: program(
        tensor(more=ops("EMPTY_DICT", number(0), glob("builtins.set"), "SETITEM"))), UNPICKLING, "cannot set hooks")
    pickled("a tensor of another class", lambda: program(
        glob("torch._tensor._rebuild_from_type_v2"), "MARK", glob("builtins.set"), glob("torch.Tensor"), "EMPTY_TUPLE",
        "NONE", "TUPLE", "REDUCE"), UNPICKLING, REFUSED_CALL)  # fmt: skip
    pickled("a tensor as a storage", lambda: program(
        glob("torch._tensor._rebuild_from_type_v2"), "MARK", glob("torch._utils._rebuild_tensor_v2"),
        glob("builtins.set"), "EMPTY_TUPLE", "NONE", "TUPLE", "REDUCE"), UNPICKLING, "unsupported class")  # fmt: skip
    pickled("a wrapper of a class that is none of tensors", lambda: program(
        glob("torch._utils._rebuild_wrapper_subclass"), glob("builtins.set"), "TUPLE1", "REDUCE"), UNPICKLING,
            "must be of an allowed subclass")  # fmt: skip

    # Instructions in a wrong order, and of a wrong form.
    for protocol in (6, 9, 255):
        pickled(f"protocol {protocol}", lambda n=protocol: program("NONE", protocol=n), UNPICKLING,
                f"unsupported pickle protocol: {protocol}")  # fmt: skip
    pickled("STOP on an empty stack", lambda: program(), UNPICKLING, "IndexError")
    pickled("POP_MARK without a mark", lambda: program("POP_MARK"), UNPICKLING, "IndexError")
    pickled("TUPLE without a mark", lambda: program("TUPLE"), UNPICKLING, "IndexError")
    pickled("TUPLE3 of two", lambda: program("NONE", "NONE", "TUPLE3"), UNPICKLING, "too short for a tuple")
    pickled("SETITEMS of an odd number", lambda: program(
        "EMPTY_DICT", "MARK", text("a"), "SETITEMS"), UNPICKLING, "odd number of items")  # fmt: skip
    pickled("DICT of an odd number", lambda: program("MARK", "NONE", "DICT"), UNPICKLING, "odd number of items")
    pickled("APPEND to a number", lambda: program(number(1), "NONE", "APPEND"), UNPICKLING, "only append to lists")
    pickled("APPENDS to a tensor", lambda: program(
        tensor(), "MARK", "NONE", "APPENDS"), UNPICKLING, "only append to lists")  # fmt: skip
    pickled("SETITEM of a list", lambda: program(
        "EMPTY_LIST", number(0), "NONE", "SETITEM"), UNPICKLING, "only set items of dicts")  # fmt: skip
    pickled("ADDITEMS to a list", lambda: program(
        "EMPTY_LIST", "MARK", "NONE", "ADDITEMS", protocol=4), UNPICKLING, "only add items to sets")  # fmt: skip
    pickled("a key that has no hash", lambda: program(
        "EMPTY_DICT", "EMPTY_LIST", "NONE", "SETITEM"), UNPICKLING, "unhashable")  # fmt: skip
    pickled("BINGET of what was never put", lambda: program(
        CODES["BINGET"] + b"\7"), UNPICKLING, "Memo value not found at index 7")  # fmt: skip
    pickled("LONG_BINGET of the largest index", lambda: program(
        CODES["LONG_BINGET"] + b"\xff" * 4), UNPICKLING, "Memo value not found")  # fmt: skip
    pickled("GET of text", lambda: program(b"gabc\n"), UNPICKLING, "ValueError")
    pickled("BINPUT on an empty stack", lambda: program(CODES["BINPUT"] + b"\0"), UNPICKLING, "IndexError")
    pickled("LONG4 of a negative size", lambda: program(
        CODES["LONG4"] + struct.pack("<i", -5)), UNPICKLING, "truncated")  # fmt: skip
    pickled("BINSTRING of a negative size", lambda: program(
        CODES["BINSTRING"] + struct.pack("<i", -1)), UNPICKLING, "truncated")  # fmt: skip
    for name, layout, size in (
        ("BINUNICODE", "<I", 0xFFFFFFFF), ("BINUNICODE8", "<Q", 1 << 62), ("BINBYTES", "<I", 0xFFFFFFF0),
        ("BINBYTES8", "<Q", (1 << 64) - 1), ("BYTEARRAY8", "<Q", 1 << 60), ("FRAME", "<Q", 0),
    ):  # fmt: skip
        if name != "FRAME":
            pickled(f"{name} of {size} bytes", lambda n=name, f=layout, s=size: program(
                CODES[n] + struct.pack(f, s), protocol=5), UNPICKLING, "truncated")  # fmt: skip
    pickled("INT of a million digits", lambda: program(b"I" + b"9" * 1_000_000 + b"\n"), UNPICKLING, "ValueError")
    pickled("LONG of a million digits", lambda: program(b"L" + b"9" * 1_000_000 + b"L\n"), UNPICKLING, "ValueError")
    pickled("FLOAT of words", lambda: program(b"Fone\n"), UNPICKLING, "ValueError")
    pickled("UNICODE that is none", lambda: program(
        CODES["BINUNICODE"] + struct.pack("<I", 2) + b"\xff\xfe"), UNPICKLING, "UnicodeDecodeError")  # fmt: skip
    pickled("STRING without quotes", lambda: program(b"Sabc\n"), UNPICKLING, "must be quoted")
    pickled("NEXT_BUFFER", lambda: program("NEXT_BUFFER", protocol=5), UNPICKLING, "Unsupported operand 151")

    # Persistent ids.
    pickled("PERSID of a line", lambda: program(b"Pstorage\n"), UNPICKLING, "Unsupported operand 80")
    for title, parts in {
        "a number": [number(3)], "text": [text("storage")], "an empty tuple": ["EMPTY_TUPLE"],
        "a list": ["EMPTY_LIST"], "None": ["NONE"],
    }.items():  # fmt: skip
        pickled(f"a persistent id that is {title}", lambda p=parts: program(*p, "BINPERSID"), UNPICKLING,
                "persistent_load id must be tuple")  # fmt: skip
    pickled("a persistent id of a module", lambda: program(
        text("module"), glob("torch.Size"), "TUPLE2", "BINPERSID"), UNPICKLING, "Only persistent_load of storage")
    pickled("a persistent id whose kind is a list", lambda: program(
        "EMPTY_LIST", "NONE", "TUPLE2", "BINPERSID"), UNPICKLING, "Only persistent_load of storage")  # fmt: skip
    pickled("a persistent id of two fields", lambda: program(
        text("storage"), glob("torch.FloatStorage"), "TUPLE2", "BINPERSID"), UNPICKLING, "must be a tuple of 5 fields")
    pickled("a storage of a class that is none", lambda: program(storage("torch.Size")), UNPICKLING,
            "must be of a class of storages")  # fmt: skip
    pickled("a storage of a dtype that is none", lambda: program(storage("torch.Float33Storage")), UNPICKLING, allowed)
    pickled("a storage whose key is a number", lambda: program(storage(key=number(0))), UNPICKLING, "must be text")
    pickled("a storage whose device is a dict", lambda: program(
        storage(location=CODES["EMPTY_DICT"])), UNPICKLING, "must be text")  # fmt: skip
    pickled("a storage on a device that is none", lambda: program(
        storage(location=text("moon:0"))), "RuntimeError", "don't know how to restore data location")  # fmt: skip
    pickled("a storage that leaves the archive", lambda: program(
        storage(key=text("../../../etc/passwd"))), "RuntimeError", "file not found")  # fmt: skip
    pickled("a storage that is not there", lambda: program(storage(key=text("77"))), "RuntimeError", "file not found")
    for title, numel in {"negative": -1, "as large as memory": 1 << 62, "beyond integers": 1 << 70}.items():
        pickled(f"a storage whose size is {title}", lambda n=numel: program(storage(numel=n)),
                "RuntimeError" if numel == 1 << 60 else UNPICKLING, "invalid size of a storage")  # fmt: skip
    pickled("a storage larger than its record", lambda: program(
        storage(numel=1 << 40)), "RuntimeError", "holds 16 bytes, but")  # fmt: skip
    pickled("a storage whose size is text", lambda: program(storage(numel=text("4"))), UNPICKLING, "invalid size")
    pickled("a storage whose size is True", lambda: program(storage(numel=CODES["NEWTRUE"])), UNPICKLING,
            "invalid size")  # fmt: skip

    # Geometry.
    bounds = "out of bounds for storage"
    pickled("a tensor longer than its storage", lambda: program(tensor(size=(5,))), "RuntimeError", bounds)
    pickled("an offset past the end", lambda: program(tensor(offset=4)), "RuntimeError", bounds)
    pickled("strides that overrun", lambda: program(
        tensor(size=(2, 2), stride=(1, 3))), "RuntimeError", bounds)  # fmt: skip
    pickled("a storage without elements", lambda: program(
        tensor(storage(numel=0))), "RuntimeError", bounds)  # fmt: skip
    pickled("a negative size", lambda: program(tensor(size=(-2,))), "RuntimeError", "invalid size")
    pickled("a negative stride", lambda: program(tensor(stride=(-1,))), "RuntimeError", "invalid size")
    pickled("a negative offset", lambda: program(tensor(offset=-1)), "RuntimeError", bounds)
    pickled("a size of 2 ** 63", lambda: program(
        tensor(size=(1 << 63,), stride=(0,))), "RuntimeError", "invalid size")  # fmt: skip
    pickled("sizes whose product overflows", lambda: program(
        tensor(size=(1 << 40, 1 << 40), stride=(0, 0))), "RuntimeError", "too many elements")  # fmt: skip
    pickled("no elements, and sizes that overflow", lambda: program(
        tensor(size=(0, 1 << 70), stride=(0, 0))), "RuntimeError", "invalid size")  # fmt: skip
    pickled("strides that overflow", lambda: program(
        tensor(size=(2,), stride=(1 << 64,))), "RuntimeError", "invalid size")  # fmt: skip
    pickled("more sizes than strides", lambda: program(
        tensor(size=(1, 1))), "RuntimeError", "2 sizes and 1 strides")  # fmt: skip
    pickled("a thousand dimensions", lambda: program(
        tensor(size=[1] * 1000, stride=[1] * 1000)), "RuntimeError", "1000 sizes")  # fmt: skip
    pickled("sizes that are text", lambda: program(tensor(size=text("22"), stride=text("11"))), UNPICKLING, "TypeError")
    pickled("an offset that is text", lambda: program(tensor(offset=text("0"))), UNPICKLING, "TypeError")
    pickled("a tensor over a dict", lambda: program(tensor(CODES["EMPTY_DICT"])), UNPICKLING, "AttributeError")
    pickled("a tensor of too few arguments", lambda: program(
        glob("torch._utils._rebuild_tensor_v2"), storage(), "TUPLE1", "REDUCE"), UNPICKLING, "TypeError")
    pickled("a tensor whose dtype is a class", lambda: program(
        glob("torch._utils._rebuild_tensor_v3"), "MARK", storage(), number(0), ints([1]), ints([1]), "NEWFALSE",
        "EMPTY_DICT", glob("torch.Size"), "TUPLE", "REDUCE"), UNPICKLING, "needs a storage and a dtype")  # fmt: skip
    pickled("a sparse tensor with indices out of range", lambda: program(
        glob("torch._utils._rebuild_sparse_tensor"), glob("torch.serialization._get_layout"), text("torch.sparse_coo"),
        "TUPLE1", "REDUCE", "MARK",
        tensor(storage("torch.LongStorage", numel=2), size=(1, 2), stride=(2, 1)), tensor(), ints([1]), "TUPLE",
        "TUPLE2", "REDUCE"), "RuntimeError", "")  # fmt: skip
    pickled("a layout that is none", lambda: program(
        glob("torch.serialization._get_layout"), text("torch.round"), "TUPLE1", "REDUCE"), UNPICKLING, "KeyError")
    pickled("a tensor of ten thousand million elements copied to a device", lambda: program(
        glob("torch._utils._rebuild_device_tensor_from_cpu_tensor"), "MARK",
        tensor(size=(10_000_000_000,), stride=(0,)), glob("torch.float64"), text("cpu"), "NEWFALSE", "TUPLE",
        "REDUCE"), UNPICKLING, "far more work than its size explains")  # fmt: skip
    pickled("an old state with strides that overrun", lambda: program(
        glob("torch.nn.parameter.Parameter"), "EMPTY_TUPLE", "NEWOBJ", "MARK", storage(), number(0), ints([9]),
        ints([1]), "TUPLE", "BUILD"), "RuntimeError", bounds)  # fmt: skip

    # What grows faster than the file.
    pickled("a key nested a million deep", lambda: program(
        "EMPTY_DICT", nested_tuples(1_000_000), "NONE", "SETITEM"), UNPICKLING, "too deep")  # fmt: skip
    pickled("a key of 2 ** 60 leaves", lambda: program(
        "EMPTY_DICT", doubled_tuples(60), "NONE", "SETITEM"), UNPICKLING, "far more work")  # fmt: skip
    pickled("a set of a tuple of 2 ** 60 leaves", lambda: program(
        glob("builtins.set"), "EMPTY_LIST", doubled_tuples(60), "APPEND", "TUPLE1", "REDUCE"), UNPICKLING,
            "far more work")  # fmt: skip
    pickled("a frozenset of a deep tuple", lambda: program(
        "MARK", nested_tuples(100_000), "FROZENSET", protocol=4), UNPICKLING, "too deep")  # fmt: skip
    pickled("integers that all have one hash", lambda: colliding_keys(30_000), UNPICKLING, "the same hash")
    pickled("one text copied a hundred thousand times", lambda: copies(100_000, 1_000_000), UNPICKLING, "far more work")

    # The container.
    add("a record twice", twice, "RuntimeError", "is there twice")
    add("records that overlap", overlapping, "RuntimeError", "overlap")
    for name in ("../outside", "archive/../../etc/passwd", "/etc/passwd", "archive\\..\\x"):
        add(f"a record named {name}", lambda n=name: archive(program(tensor()), {n: b"x"}), "RuntimeError",
            "leaves the archive")  # fmt: skip
    add("a zip bomb", bomb, "RuntimeError", "claim to hold")
    add("a record that holds less than it says", liar, "RuntimeError", "holds 300 bytes, not 306")
    add("a record that ends after the file", lambda: with_directory_entry(
        b"archive/data/0", 20, struct.pack("<II", 1 << 31, 1 << 31)), "RuntimeError", "ends after the file")
    add("a stored record with two sizes", lambda: with_directory_entry(
        b"archive/data/0", 24, struct.pack("<I", 1 << 31)), "RuntimeError", "has two sizes")  # fmt: skip
    add("a record that begins after the file", lambda: with_directory_entry(
        b"archive/data/0", 42, struct.pack("<I", 1 << 31)), "RuntimeError", "ends after the file")  # fmt: skip
    add("a record that begins elsewhere", lambda: with_directory_entry(
        b"archive/data.pkl", 42, struct.pack("<I", 5)), "RuntimeError", CORRUPT)  # fmt: skip
    add("an encrypted record", lambda: with_directory_entry(
        b"archive/data/0", 8, struct.pack("<H", 1)), "RuntimeError", "is encrypted")  # fmt: skip
    add("an unknown compression", lambda: with_directory_entry(
        b"archive/data.pkl", 10, struct.pack("<H", 14)), "RuntimeError", "unsupported compression method 14")
    add("a compressed record of noise", lambda: with_directory_entry(
        b"archive/data.pkl", 10, struct.pack("<H", 8)), "RuntimeError", CORRUPT)  # fmt: skip
    add("more records than the directory holds", lambda: with_end(10, struct.pack("<H", 60_000)), "RuntimeError",
        CORRUPT)  # fmt: skip
    add("a directory that begins after the file", lambda: with_end(16, struct.pack("<I", 1 << 31)), "RuntimeError",
        CORRUPT)  # fmt: skip
    add("a directory of no records", lambda: with_end(8, struct.pack("<HH", 0, 0)), "RuntimeError", CORRUPT)
    add("a zip64 directory that is not there", lambda: with_end(10, b"\xff\xff"), "RuntimeError", CORRUPT)
    add("a byte order that is none", lambda: archive(program(tensor()), {"archive/byteorder": b"middle"}),
        "ValueError", "Unknown endianness type: middle")  # fmt: skip
    add("no pickle", lambda: archive(b"").replace(b"data.pkl", b"none.pkl"), "RuntimeError", "file not found")
    add("records without a folder", lambda: sound().replace(b"archive/", b"archive_"), "RuntimeError",
        "not in a subdirectory")  # fmt: skip
    add("a TorchScript archive", lambda: archive(program("NONE"), {"archive/constants.pkl": b"N."}), "RuntimeError",
        "TorchScript archives")  # fmt: skip

    # The format before PyTorch 1.6.
    good = program(tensor())
    add("a legacy file with another magic number", lambda: legacy(magic=7), "RuntimeError", "Invalid magic number")
    add("a legacy file of another version", lambda: legacy(version=7), "RuntimeError", "Invalid protocol version: 7")
    add("a legacy file without its object", lambda: legacy(), "EOFError", "")
    add("a legacy file without its storages", lambda: legacy(good), "EOFError", "")
    add("a legacy file cut in a storage", lambda: legacy(good, legacy_tail())[:-3], UNPICKLING, "truncated")
    add("a legacy storage as large as memory", lambda: legacy(program(storage(numel=1 << 40))), "RuntimeError",
        "cannot hold storage")  # fmt: skip
    add("many legacy storages as large as the file", lambda: legacy(program("MARK", *(
        storage(key=text(str(i)), numel=200) for i in range(1000)), "LIST")), "RuntimeError", "cannot hold storage")
    add("a legacy storage of another size", lambda: legacy(good, legacy_tail(numel=3)), "RuntimeError",
        "wrong byte size")  # fmt: skip
    add("a legacy storage of a negative size", lambda: legacy(good, legacy_tail(numel=-1)), "RuntimeError",
        "wrong byte size")  # fmt: skip
    add("a legacy storage that nobody asked for", lambda: legacy(good, legacy_tail(key="9")), "RuntimeError",
        "no tensor uses")  # fmt: skip
    add("a legacy list of storages that is a number", lambda: legacy(good, pickle.dumps(3, 2)), UNPICKLING,
        "must be a list")  # fmt: skip
    add("a legacy view past the end", lambda: legacy(program("MARK", text("storage"), glob("torch.FloatStorage"),
        text("0"), text("cpu"), number(4), "MARK", text("v"), number(3), number(9), "TUPLE", "TUPLE", "BINPERSID")),
        "RuntimeError", "a view of elements")  # fmt: skip
    add("a legacy view of the wrong form", lambda: legacy(program("MARK", text("storage"), glob("torch.FloatStorage"),
        text("0"), text("cpu"), number(4), text("v"), "TUPLE", "BINPERSID")), UNPICKLING, "a tuple of 3 fields")
    add("a legacy file that calls os.system", lambda: legacy(calls("os.system")), UNPICKLING, "is blocked")

    # The oldest format.
    whole = {"storages": tar_storage(), "tensors": tar_tensor()}
    add("a tar file without a pickle", lambda: tar(**whole), "RuntimeError", "holds no 'pickle'")
    add("a tar file that calls os.system", lambda: tar(**whole, pickle=calls("os.system")), UNPICKLING, "is blocked")
    add("a tar member that ends after the file", lambda: tar(storages=(1 << 32, b"x")), "RuntimeError",
        "ends after the file")  # fmt: skip
    add("a tar member twice", lambda: tar(**whole)[:-1024] + tar(**whole), "RuntimeError", "twice")
    add("a tar file of a thousand million storages", lambda: tar(
        storages=tar_storage(count=10**9), tensors=tar_tensor()), UNPICKLING, "invalid number")  # fmt: skip
    add("a tar storage that ends after the file", lambda: tar(storages=tar_storage(numel=1 << 40)), UNPICKLING,
        "truncated")  # fmt: skip
    add("a tar view past the end", lambda: tar(storages=tar_storage(views=[(8, 7, 3, 9)])), "RuntimeError",
        "a view of elements")  # fmt: skip
    add("a tar tensor past the end", lambda: tar(storages=tar_storage(), tensors=tar_tensor(size=9)), "RuntimeError",
        bounds)  # fmt: skip
    add("a tar tensor of many dimensions", lambda: tar(storages=tar_storage(), tensors=tar_tensor(dims=1 << 30)),
        UNPICKLING, "truncated")  # fmt: skip
    add("a tar tensor without a storage", lambda: tar(storages=tar_storage(), tensors=tar_tensor(key=3)), UNPICKLING,
        "there is no storage")  # fmt: skip
    add("a tar reference to nothing", lambda: tar(**whole, pickle=program(number(99), "BINPERSID")), UNPICKLING,
        "there is no storage or tensor")  # fmt: skip
    return found


if __name__ == "__main__":
    for title, (make, error, part) in cases().items():
        print(f"{len(make()):>9}  {title}: {error}, {part!r}")
