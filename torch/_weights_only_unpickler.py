"""A pickle reader that can only build data: tensors, containers, numbers, text and what a user explicitly allows.

It is an interpreter of its own and not a subclass of ``pickle.Unpickler``: each instruction that calls or changes
something (REDUCE, NEWOBJ, BUILD) checks the object it works on, so that a file cannot reach a function or modify a
class through an object that it was allowed to name.
"""

from __future__ import annotations

import struct
import sys

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_BLOCKED_MODULES = frozenset({"sys", "os", "posix", "nt"})
_PY2_MODULES = {"__builtin__": "builtins", "copy_reg": "copyreg"}
_PY2_NAMES = {("builtins", "unicode"): "str", ("builtins", "xrange"): "range", ("builtins", "long"): "int"}

_QSCHEMES = (
    "per_channel_affine", "per_channel_affine_float_qparams", "per_channel_symmetric", "per_tensor_affine",
    "per_tensor_symmetric",
)  # fmt: skip

_user_globals: list[Any] = []
_allowed: dict[str, Any] = {}


class _Missing:
    """Stands for nothing: the marker of an absent value."""


_MISSING = _Missing()


def _fail(message: str) -> Any:
    # The C module has the same class as `pickle` and none of its imports.
    from _pickle import UnpicklingError

    return UnpicklingError(message)


def add_safe_globals(objects: list[Any]) -> None:
    _user_globals.extend(obj for obj in objects if not any(obj is old for old in _user_globals))


def get_safe_globals() -> list[Any]:
    return list(_user_globals)


def clear_safe_globals() -> None:
    _user_globals.clear()


def _remove_safe_globals(objects: list[Any]) -> None:
    _user_globals[:] = [old for old in _user_globals if not any(old is obj for obj in objects)]


class safe_globals:  # noqa: N801
    """Allow additional globals inside a ``with`` block."""

    def __init__(self, objects: list[Any]) -> None:
        self._objects = objects

    def __enter__(self) -> None:
        self._before = list(_user_globals)
        add_safe_globals(self._objects)

    def __exit__(self, *exc: Any) -> None:
        _user_globals[:] = self._before


def _full_name(obj: Any) -> str:
    return f"{obj.__module__}.{getattr(obj, '__qualname__', obj.__name__)}"


def _get_user_allowed_globals() -> dict[str, Any]:
    result = {}
    for entry in _user_globals:
        if isinstance(entry, tuple):
            if len(entry) != 2:
                raise ValueError(f"Expected tuple of length 2 (callable, str), got tuple of length: {len(entry)}")
            if not callable(entry[0]):
                raise TypeError(f"Expected first item in tuple to be callable, got: {type(entry[0])}")
            if not isinstance(entry[1], str):
                raise TypeError(f"Expected second item in tuple to be str, got: {type(entry[1])}")
            result[entry[1]] = entry[0]
        else:
            result[_full_name(entry)] = entry
    return result


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    # Python writes bytes this way in old protocols. The codec registry must not be reachable for any other codec.
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise _fail("_codecs.encode is only allowed for text in latin1")
    return text.encode("latin1")


def _bytearray(*args: Any) -> bytearray:
    if len(args) == 2 and isinstance(args[0], str) and args[1] in ("latin1", "latin-1"):
        return bytearray(args[0], "latin1")
    if not args:
        return bytearray()
    if len(args) == 1 and isinstance(args[0], (bytes, bytearray)):
        return bytearray(args[0])
    raise _fail("bytearray is only allowed for bytes or latin1 text")


def _get_allowed_globals() -> dict[str, Any]:
    """Names that any checkpoint may use. Values are the objects that stand for them, not always the named ones."""
    if _allowed:
        return _allowed
    from collections import Counter, OrderedDict

    from . import _tensor, _utils, serialization, storage

    names: dict[str, Any] = {
        "collections.OrderedDict": OrderedDict,
        "collections.Counter": Counter,
        "torch.nn.parameter.Parameter": torch.nn.Parameter,
        "torch.serialization._get_layout": serialization._get_layout,
        "torch.Size": torch.Size,
        "torch.Tensor": torch.Tensor,
        "torch.device": torch.device,
        "_codecs.encode": _encode,
        "builtins.bytearray": _bytearray,
        "builtins.set": set,
        "builtins.complex": complex,
        "torch.storage.TypedStorage": storage.TypedStorage,
        "torch.storage.UntypedStorage": storage.UntypedStorage,
        "torch._tensor._rebuild_from_type_v2": _tensor._rebuild_from_type_v2,
    }
    for name, value in vars(torch).items():
        if isinstance(value, (torch.dtype, torch.memory_format)):
            names[f"torch.{name}"] = value
    for name in _QSCHEMES:
        names[f"torch.{name}"] = getattr(torch, name)
    for name, value in storage._LEGACY_CLASSES.items():
        names[f"torch.{name}"] = value
        names[f"torch.cuda.{name}"] = value
    for name, value in vars(_utils).items():
        if name.startswith("_rebuild_") and name != "_rebuild_from_type_v2":
            names[f"torch._utils.{name}"] = value
    _allowed.update(names)
    return _allowed


def _contains(values: Any, obj: Any) -> bool:
    return any(value is obj for value in values)


_U16 = struct.Struct("<H")
_I32 = struct.Struct("<i")
_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")
_F64 = struct.Struct(">d")


class Unpickler:
    """Interprets one or more pickles that follow one another in ``data``."""

    def __init__(self, data: bytes, *, encoding: str = "bytes") -> None:
        self.data = data
        self.position = 0
        self.encoding = encoding
        self.proto = 2
        self.persistent_load: Callable[[Any], Any] | None = None
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self._user: dict[str, Any] = _get_user_allowed_globals()
        self._default = _get_allowed_globals()

    def load(self) -> Any:
        self.stack = []
        self.marks = []
        self.memo = {}
        handlers = _HANDLERS
        while True:
            if self.position >= len(self.data):
                raise EOFError
            opcode = self.data[self.position]
            self.position += 1
            handler = handlers.get(opcode)
            if handler is None:
                if opcode == _STOP:
                    return self.stack.pop()
                raise _fail(f"Unsupported operand {opcode}")
            handler(self)

    def take(self, size: int) -> bytes:
        end = self.position + size
        if size < 0 or end > len(self.data):
            raise _fail("pickle data was truncated")
        piece = self.data[self.position : end]
        self.position = end
        return piece

    def number(self, layout: struct.Struct) -> Any:
        return layout.unpack(self.take(layout.size))[0]

    def line(self) -> str:
        end = self.data.find(b"\n", self.position)
        if end < 0:
            raise _fail("pickle data was truncated")
        text = self.data[self.position : end].decode("utf-8")
        self.position = end + 1
        return text

    def since_mark(self) -> list[Any]:
        items = self.stack
        self.stack = self.marks.pop()
        return items

    def _text(self, data: bytes) -> Any:
        return data if self.encoding == "bytes" else data.decode(self.encoding)

    def find_global(self, module: str, name: str) -> Any:
        if self.proto < 3:
            module = _PY2_MODULES.get(module, module)
            name = _PY2_NAMES.get((module, name), name)
        full = f"{module}.{name}"
        if module.partition(".")[0] in _BLOCKED_MODULES:
            raise _fail(f"Trying to load unsupported GLOBAL {full} whose module {module} is blocked.")
        for table in (self._default, self._user):
            if full in table:
                return table[full]
        if full in ("torch.nested._internal.nested_tensor.NestedTensor", "torch.nested._internal.nested_tensor"):
            raise _fail("Nested tensors are not supported in checkpoints yet.")
        shown = name if module == "builtins" else full
        raise _fail(
            f"Unsupported global: GLOBAL {shown} was not an allowed global by default. Please use "
            f"`torch.serialization.add_safe_globals([{shown}])` or the `torch.serialization.safe_globals([{shown}])` "
            "context manager to allowlist this global if you trust this class/function."
        )

    def global_(self) -> None:
        module = self.line()
        self.stack.append(self.find_global(module, self.line()))

    def stack_global(self) -> None:
        name = self.stack.pop()
        module = self.stack.pop()
        if type(name) is not str or type(module) is not str:
            raise _fail("STACK_GLOBAL requires str")
        self.stack.append(self.find_global(module, name))

    def reduce(self) -> None:
        args = self.stack.pop()
        func = self.stack[-1]
        if not _contains(self._default.values(), func) and not _contains(self._user.values(), func):
            raise _fail(f"Trying to call reduce for unrecognized function {func}")
        if type(args) is not tuple:
            raise _fail("the arguments of a reconstruction must be a tuple")
        if func is torch.Tensor or isinstance(func, torch.dtype):
            raise _fail(f"Trying to call reduce for unrecognized function {func}")
        self.stack[-1] = func(*args)

    def _new(self, cls: Any, args: Any, kwargs: Any) -> Any:
        if cls is torch.nn.Parameter:
            return torch.nn.Parameter(*args)
        if not isinstance(cls, type):
            raise _fail(f"Trying to create new object for {cls}, which is not a class")
        if cls.__name__ in ("OrderedDict", "Counter") or _contains(self._user.values(), cls):
            return cls.__new__(cls, *args, **kwargs)
        raise _fail(f"Trying to create new object for unsupported class {cls}")

    def newobj(self) -> None:
        args = self.stack.pop()
        self.stack.append(self._new(self.stack.pop(), args, {}))

    def newobj_ex(self) -> None:
        kwargs = self.stack.pop()
        args = self.stack.pop()
        self.stack.append(self._new(self.stack.pop(), args, kwargs))

    def build(self) -> None:
        state = self.stack.pop()
        obj = self.stack[-1]
        kind = type(obj)
        if isinstance(obj, torch.Tensor) and kind in (torch.Tensor, torch.nn.Parameter):
            if isinstance(state, tuple):
                _restore_old_state(obj, state)
            else:
                _set_attributes(obj, state)
        elif kind in (self._default["collections.OrderedDict"], self._default["collections.Counter"]):
            obj.__dict__.update(state)
        elif _contains(self._user.values(), kind):
            setstate = getattr(obj, "__setstate__", None)
            if setstate is not None:
                setstate(state)
            else:
                _set_attributes(obj, state)
        else:
            raise _fail(
                "Can only build Tensor, Parameter, OrderedDict or types allowlisted via `add_safe_globals`, "
                f"but got {kind}"
            )

    def persistent(self, pid: Any) -> None:
        if type(pid) is tuple and pid and pid[0] not in ("storage", b"storage"):
            raise _fail(f"Only persistent_load of storage is allowed, but got {pid[0]}")
        if self.persistent_load is None:
            raise _fail("A load persistent id instruction was encountered, but no persistent_load function was given.")
        self.stack.append(self.persistent_load(pid))

    def append_items(self) -> None:
        items = self.since_mark()
        target = self.stack[-1]
        if type(target) is list:
            target.extend(items)
        elif _contains(self._user.values(), type(target)):
            for item in items:
                target.append(item)
        else:
            raise _fail(f"Can only append to lists, but got {type(target)}")

    def append(self) -> None:
        item = self.stack.pop()
        target = self.stack[-1]
        if type(target) is not list and not _contains(self._user.values(), type(target)):
            raise _fail(f"Can only append to lists, but got {type(target)}")
        target.append(item)

    def set_items(self) -> None:
        items = self.since_mark()
        target = self.stack[-1]
        if not isinstance(target, dict):
            raise _fail(f"Can only set items of dicts, but got {type(target)}")
        for i in range(0, len(items), 2):
            target[items[i]] = items[i + 1]

    def set_item(self) -> None:
        value = self.stack.pop()
        key = self.stack.pop()
        if not isinstance(self.stack[-1], dict):
            raise _fail(f"Can only set items of dicts, but got {type(self.stack[-1])}")
        self.stack[-1][key] = value

    def add_items(self) -> None:
        items = self.since_mark()
        if type(self.stack[-1]) is not set:
            raise _fail(f"Can only add items to sets, but got {type(self.stack[-1])}")
        self.stack[-1].update(items)

    def collect(self, kind: Any) -> None:
        items = self.since_mark()
        self.stack.append(kind(items))

    def collect_dict(self) -> None:
        items = self.since_mark()
        self.stack.append(dict(zip(items[::2], items[1::2], strict=True)))

    def tuple_of(self, count: int) -> None:
        self.stack[-count:] = [tuple(self.stack[-count:])]

    def mark(self) -> None:
        self.marks.append(self.stack)
        self.stack = []

    def pop(self) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self.since_mark()

    def long(self, size: int) -> None:
        self.stack.append(int.from_bytes(self.take(size), "little", signed=True))

    def text_int(self) -> None:
        text = self.line()
        self.stack.append({"00": False, "01": True}.get(text, _MISSING))
        if self.stack[-1] is _MISSING:
            self.stack[-1] = int(text.rstrip("L"))

    def set_proto(self) -> None:
        self.proto = self.take(1)[0]
        if self.proto > 5:
            raise _fail(f"unsupported pickle protocol: {self.proto}")


def _set_attributes(obj: Any, state: Any) -> None:
    attributes, slots = state if isinstance(state, tuple) and len(state) == 2 else (state, None)
    for values in (attributes, slots):
        for name, value in (values or {}).items():
            setattr(obj, sys.intern(name) if type(name) is str else name, value)


def _restore_old_state(tensor: Any, state: tuple[Any, ...]) -> None:
    tensor.__setstate__(state)


def _push(make: Callable[[Unpickler], Any]) -> Callable[[Unpickler], None]:
    def handler(reader: Unpickler) -> None:
        reader.stack.append(make(reader))

    return handler


def _get(index: Callable[[Unpickler], int]) -> Callable[[Unpickler], None]:
    def handler(reader: Unpickler) -> None:
        reader.stack.append(reader.memo[index(reader)])

    return handler


def _put(index: Callable[[Unpickler], int]) -> Callable[[Unpickler], None]:
    def handler(reader: Unpickler) -> None:
        reader.memo[index(reader)] = reader.stack[-1]

    return handler


def _byte(reader: Unpickler) -> int:
    data = reader.data
    at = reader.position
    if at >= len(data):
        raise _fail("pickle data was truncated")
    reader.position = at + 1
    return data[at]


def _sized(layout: struct.Struct) -> Callable[[Unpickler], bytes]:
    return lambda r: r.take(r.number(layout))


_U8 = struct.Struct("<B")
_STOP = ord(".")


def _unicode(layout: struct.Struct) -> Callable[[Unpickler], str]:
    return lambda r: str(r.take(r.number(layout)), "utf-8", "surrogatepass")


_HANDLERS: dict[int, Callable[[Unpickler], Any]] = {
    ord("("): Unpickler.mark,
    ord("0"): Unpickler.pop,
    ord("1"): Unpickler.since_mark,
    ord("2"): _push(lambda r: r.stack[-1]),
    ord("F"): _push(lambda r: float(r.line())),
    ord("G"): _push(lambda r: r.number(_F64)),
    ord("I"): Unpickler.text_int,
    ord("J"): _push(lambda r: r.number(_I32)),
    ord("K"): _push(_byte),
    ord("L"): _push(lambda r: int(r.line().rstrip("L"))),
    ord("M"): _push(lambda r: r.number(_U16)),
    ord("N"): _push(lambda r: None),
    ord("\x88"): _push(lambda r: True),
    ord("\x89"): _push(lambda r: False),
    ord("\x8a"): lambda r: r.long(_byte(r)),
    ord("\x8b"): lambda r: r.long(r.number(_I32)),
    ord("T"): _push(lambda r: r._text(r.take(r.number(_I32)))),
    ord("U"): _push(lambda r: r._text(r.take(_byte(r)))),
    ord("B"): _push(_sized(_U32)),
    ord("C"): _push(_sized(_U8)),
    ord("\x8e"): _push(_sized(_U64)),
    ord("\x96"): _push(lambda r: bytearray(r.take(r.number(_U64)))),
    ord("V"): _push(lambda r: r.line().encode().decode("raw-unicode-escape")),
    ord("X"): _push(_unicode(_U32)),
    ord("\x8c"): _push(_unicode(_U8)),
    ord("\x8d"): _push(_unicode(_U64)),
    ord(")"): _push(lambda r: ()),
    ord("]"): _push(lambda r: []),
    ord("}"): _push(lambda r: {}),
    ord("\x8f"): _push(lambda r: set()),
    ord("t"): lambda r: r.collect(tuple),
    ord("l"): lambda r: r.collect(list),
    ord("d"): Unpickler.collect_dict,
    ord("\x91"): lambda r: r.collect(frozenset),
    ord("\x85"): lambda r: r.tuple_of(1),
    ord("\x86"): lambda r: r.tuple_of(2),
    ord("\x87"): lambda r: r.tuple_of(3),
    ord("a"): Unpickler.append,
    ord("e"): Unpickler.append_items,
    ord("s"): Unpickler.set_item,
    ord("u"): Unpickler.set_items,
    ord("\x90"): Unpickler.add_items,
    ord("c"): Unpickler.global_,
    ord("\x93"): Unpickler.stack_global,
    ord("R"): Unpickler.reduce,
    ord("b"): Unpickler.build,
    ord("\x81"): Unpickler.newobj,
    ord("\x92"): Unpickler.newobj_ex,
    ord("P"): lambda r: r.persistent(r.line()),
    ord("Q"): lambda r: r.persistent(r.stack.pop()),
    ord("g"): _get(lambda r: int(r.line())),
    ord("h"): _get(_byte),
    ord("j"): _get(lambda r: r.number(_U32)),
    ord("p"): _put(lambda r: int(r.line())),
    ord("q"): _put(_byte),
    ord("r"): _put(lambda r: r.number(_U32)),
    ord("\x94"): _put(lambda r: len(r.memo)),
    ord("\x80"): Unpickler.set_proto,
    ord("\x95"): lambda r: r.take(8),
}


def get_globals_in_pickle(data: bytes) -> set[str]:
    """All globals that a pickle names, found without building anything."""
    import pickletools

    found = set()
    texts: list[str] = []
    memo: dict[int, str] = {}
    for opcode, arg, _ in pickletools.genops(data):
        if opcode.name == "GLOBAL":
            module, _, name = str(arg).partition(" ")
            found.add(f"{_PY2_MODULES.get(module, module)}.{name}")
        elif opcode.name == "STACK_GLOBAL":
            found.add(".".join(texts[-2:]))
        elif opcode.name in ("SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE"):
            texts.append(str(arg))
        elif opcode.name == "MEMOIZE":
            memo[len(memo)] = texts[-1] if texts else ""
        elif opcode.name in ("BINGET", "LONG_BINGET") and arg in memo:
            texts.append(memo[int(arg)])
    return found
