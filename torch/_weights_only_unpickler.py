"""A pickle reader that can only build data: tensors, containers, numbers, text and what a user explicitly allows.

It is an interpreter of its own and not a subclass of ``pickle.Unpickler``: each instruction that calls or changes
something (REDUCE, NEWOBJ, BUILD) checks the object it works on, so that a file cannot reach a function or modify a
class through an object that it was allowed to name. What a damaged or hostile file can cost is bounded as well: time
and memory grow no faster than the file, and what would overflow Python's own stack is refused.
"""

from __future__ import annotations

import struct

import torch

from . import _checkpoint_inert, _utils
from ._checkpoint_globals import (
    BLOCKED_MODULES,
    PARAMETER,
    PY2_MODULES,
    PY2_NAMES,
    default_allowed,
    fail,
    parameter_class,
    user_allowed,
)
from ._checkpoint_inert import InertGlobal, InertRecord
from ._unpickler_guards import check_attributes, check_call, check_keys, inert_class

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# Errors that a wrong sequence of instructions leads to in the reader itself.
_DAMAGE = (
    IndexError, KeyError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError, struct.error
)  # fmt: skip

_U8 = struct.Struct("<B")
_U16 = struct.Struct("<H")
_I32 = struct.Struct("<i")
_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")
_F64 = struct.Struct(">d")


class Unpickler:
    """Interprets one or more pickles that follow one another in ``data``.

    Raises:
        UnpicklingError: for what is damaged, and for what may not be built.
        EOFError: if the data ends before the pickle does.
    """

    def __init__(self, data: bytes, *, encoding: str = "bytes") -> None:
        self.data = data
        self.position = 0
        self.encoding = encoding
        self.proto = 2
        self.persistent_load: Callable[[Any], Any] | None = None
        # None: what the ids look like is the business of persistent_load.
        self.persistent_kinds: frozenset[str] | None = frozenset({"storage"})
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.handlers = HANDLERS
        self.inert = _checkpoint_inert.wanted()
        self.sparse: list[Any] = []
        # Whether something was built from the values of tensors, which some formats hold behind the pickle.
        self.reads_contents = False
        # How much work is left that instructions may cost beyond their own size, in elements.
        self.budget = 10_000_000 + 32 * len(data)
        self.hashes: dict[int, int] = {}
        self._user = user_allowed()
        self._default = default_allowed()
        self.user_ids = {id(obj) for obj in self._user.values()}
        self.default_ids = {id(obj) for obj in self._default.values()}
        self._foreign = False

    def load(self) -> Any:
        """The object of the next pickle."""
        self.sparse = []
        self.stack = []
        self.marks = []
        self.memo = {}
        try:
            return self._run()
        except _DAMAGE as error:
            # What a user's own function raises is not the file's damage.
            if self._foreign:
                raise
            text = f"{type(error).__name__}: {error}".rstrip(": ")
            raise fail(f"the pickle is damaged at byte {self.position} ({text})") from error

    def _run(self) -> Any:
        handlers = self.handlers
        data = self.data
        size = len(data)
        while self.position < size:
            opcode = data[self.position]
            self.position += 1
            handler = handlers.get(opcode)
            if handler is None:
                if opcode == _STOP:
                    return self.stack.pop()
                raise fail(f"Unsupported operand {opcode}")
            handler(self)
        raise EOFError("Ran out of input")

    def charge(self, amount: int) -> None:
        """Count work that grows faster than the file."""
        self.budget -= amount
        if self.budget < 0:
            raise fail("the pickle asks for far more work than its size explains; refused")

    def check_sparse(self) -> None:
        """Raise RuntimeError for a sparse tensor whose indices are not within its sizes."""
        # Only now have the indices of every format been read.
        for tensor in self.sparse:
            func, args = tensor.__reduce_ex__(2)
            if func is not _utils._rebuild_sparse_tensor:
                func, args = args[0], args[2]
            _utils._rebuild_sparse_tensor(*args, check_invariants=True)

    # ---- reading

    def take(self, size: int) -> bytes:
        """The next ``size`` bytes."""
        end = self.position + size
        if size < 0 or end > len(self.data):
            raise fail("pickle data was truncated")
        piece = self.data[self.position : end]
        self.position = end
        return piece

    def number(self, layout: struct.Struct) -> Any:
        at = self.position
        end = self.position = at + layout.size
        if end > len(self.data):
            raise fail("pickle data was truncated")
        return layout.unpack_from(self.data, at)[0]

    def line(self) -> str:
        end = self.data.find(b"\n", self.position)
        if end < 0:
            raise fail("pickle data was truncated")
        text = self.data[self.position : end].decode("utf-8")
        self.position = end + 1
        return text

    def quoted(self) -> Any:
        text = self.line()
        if len(text) < 2 or text[0] != text[-1] or text[0] not in "'\"":
            raise fail("the STRING opcode argument must be quoted")
        return self._text(text[1:-1].encode().decode("unicode_escape").encode("latin1"))

    def since_mark(self) -> list[Any]:
        items = self.stack
        self.stack = self.marks.pop()
        return items

    def _text(self, data: bytes) -> Any:
        return data if self.encoding == "bytes" else data.decode(self.encoding)

    # ---- what has a name

    def renamed(self, module: str, name: str) -> tuple[str, str]:
        """The name in Python 3 of what an old protocol names."""
        if self.proto >= 3:
            return module, name
        module = PY2_MODULES.get(module, module)
        return module, PY2_NAMES.get((module, name), name)

    def find_global(self, module: str, name: str) -> Any:
        """The object of this name, if a checkpoint may use it."""
        module, name = self.renamed(module, name)
        full = f"{module}.{name}"
        blocked = module.partition(".")[0] in BLOCKED_MODULES
        if not blocked:
            for table in (self._default, self._user):
                if full in table:
                    return table[full]
            if full == PARAMETER:
                return torch.nn.Parameter
        if self.inert:
            return InertGlobal(full)
        if blocked:
            raise fail(f"Trying to load unsupported GLOBAL {full} whose module {module} is blocked.")
        shown = name if module == "builtins" else full
        raise fail(
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
            raise fail("STACK_GLOBAL requires str")
        self.stack.append(self.find_global(module, name))

    def foreign(self, func: Any, *args: Any, **kwargs: Any) -> Any:
        """Call what a user gave us; its errors stay as they are."""
        self._foreign = True
        result = func(*args, **kwargs)
        self._foreign = False
        return result

    # ---- instructions that call or change something

    def reduce(self) -> None:
        args = self.stack.pop()
        self.stack[-1] = self.call(self.stack[-1], args)

    def call(self, func: Any, args: Any) -> Any:
        """What an allowed function gives."""
        if type(func) in (InertGlobal, InertRecord):
            return _record(func.name, args)
        if type(args) is not tuple:
            raise fail("the arguments of a reconstruction must be a tuple")
        if id(func) in self.default_ids or func is parameter_class():
            if func is _utils._rebuild_from_type_v2 and (kind := inert_class(args)):
                record = InertRecord(kind.name, (self.call(args[0], args[2]),))
                record.state = args[3]
                return record
            check_call(self, func, args)
            self.reads_contents |= func is _utils._rebuild_nested_tensor
            result = func(*args)
            if isinstance(result, torch.Tensor) and result.layout is not torch.strided:
                self.sparse.append(result)
            return result
        if id(func) in self.user_ids:
            return self.foreign(func, *args)
        raise fail(f"Trying to call reduce for unrecognized function {func}")

    def _new(self, cls: Any, args: Any, kwargs: Any) -> Any:
        if type(cls) is InertGlobal:
            return _record(cls.name, args, kwargs)
        if type(args) is not tuple or type(kwargs) is not dict:
            raise fail("the arguments of a new object must be a tuple and a dict")
        if cls is parameter_class():
            return cls(*args)
        if not isinstance(cls, type):
            raise fail(f"Trying to create new object for {cls}, which is not a class")
        if id(cls) in self.user_ids:
            return self.foreign(cls.__new__, cls, *args, **kwargs)
        if cls in (self._default["collections.OrderedDict"], self._default["collections.Counter"]):
            return cls()
        raise fail(f"Trying to create new object for unsupported class {cls}")

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
        if kind is InertRecord:
            obj.state = state
        elif kind is torch.Tensor or kind is parameter_class():
            if isinstance(state, tuple) and len(state) != 2:
                if len(state) == 4:
                    storage, *geometry = state
                    _utils._rebuild_tensor(storage, *geometry)
                obj.__setstate__(state)
            else:
                check_attributes(state)
                _set_attributes(obj, state)
        elif kind in (self._default["collections.OrderedDict"], self._default["collections.Counter"]):
            check_attributes(state)
            self.charge(len(state))
            obj.__dict__.update(state)
        elif id(kind) in self.user_ids:
            setstate = getattr(obj, "__setstate__", None)
            if setstate is not None:
                self.foreign(setstate, state)
            else:
                check_attributes(state)
                self.foreign(_set_attributes, obj, state)
        else:
            raise fail(
                "Can only build Tensor, Parameter, OrderedDict or types allowlisted via `add_safe_globals`, "
                f"but got {kind}"
            )

    def persistent(self, pid: Any) -> None:
        if self.persistent_kinds is not None:
            if type(pid) is not tuple or not pid:
                raise fail(f"persistent_load id must be tuple, but got {type(pid)}")
            kind = pid[0].decode("latin1") if type(pid[0]) is bytes else pid[0]
            if type(kind) is not str or kind not in self.persistent_kinds:
                raise fail(f"Only persistent_load of storage is allowed, but got {pid[0]}")
        if self.persistent_load is None:
            raise fail("A load persistent id instruction was encountered, but no persistent_load function was given.")
        self.stack.append(self.foreign(self.persistent_load, pid))

    # ---- containers

    def _extend(self, target: Any, items: list[Any]) -> None:
        if type(target) is list:
            target.extend(items)
        elif type(target) is InertRecord:
            target.items.extend(items)
        elif id(type(target)) in self.user_ids:
            for item in items:
                self.foreign(target.append, item)
        else:
            raise fail(f"Can only append to lists, but got {type(target)}")

    def append_items(self) -> None:
        items = self.since_mark()
        self._extend(self.stack[-1], items)

    def append(self) -> None:
        item = self.stack.pop()
        self._extend(self.stack[-1], [item])

    def _set(self, target: Any, keys: list[Any], values: list[Any]) -> None:
        if len(keys) != len(values):
            raise fail("odd number of items for a dict")
        if isinstance(target, dict):
            check_keys(self, keys)
            for key, value in zip(keys, values, strict=True):
                target[key] = value
        elif type(target) is InertRecord:
            target.entries.extend(zip(keys, values, strict=True))
        else:
            raise fail(f"Can only set items of dicts, but got {type(target)}")

    def set_items(self) -> None:
        items = self.since_mark()
        self._set(self.stack[-1], items[::2], items[1::2])

    def set_item(self) -> None:
        value = self.stack.pop()
        key = self.stack.pop()
        self._set(self.stack[-1], [key], [value])

    def add_items(self) -> None:
        items = self.since_mark()
        target = self.stack[-1]
        if type(target) is InertRecord:
            target.items.extend(items)
        elif type(target) is set:
            check_keys(self, items)
            target.update(items)
        else:
            raise fail(f"Can only add items to sets, but got {type(target)}")

    def collect(self, kind: Any) -> None:
        items = self.since_mark()
        self.stack.append(kind(items))

    def collect_frozenset(self) -> None:
        items = self.since_mark()
        check_keys(self, items)
        self.stack.append(frozenset(items))

    def collect_dict(self) -> None:
        items = self.since_mark()
        target: dict[Any, Any] = {}
        self._set(target, items[::2], items[1::2])
        self.stack.append(target)

    def tuple_of(self, count: int) -> None:
        if len(self.stack) < count:
            raise fail("the pickle's stack is too short for a tuple")
        self.stack[-count:] = [tuple(self.stack[-count:])]

    def mark(self) -> None:
        self.marks.append(self.stack)
        self.stack = []

    def pop(self) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self.since_mark()

    # ---- numbers

    def long(self, size: int) -> None:
        self.stack.append(int.from_bytes(self.take(size), "little", signed=True))

    def text_int(self) -> None:
        text = self.line()
        self.stack.append({"00": False, "01": True}[text] if text in ("00", "01") else int(text.rstrip("L")))

    def set_proto(self) -> None:
        self.proto = self.take(1)[0]
        if self.proto > 5:
            raise fail(f"unsupported pickle protocol: {self.proto}")


def _record(name: str, args: Any, kwargs: Any = None) -> InertRecord:
    args = args if type(args) is tuple else (args,)
    if name == "copyreg._reconstructor" and args and type(args[0]) is InertGlobal:
        # How protocols 0 and 1 write an object whose class does nothing special.
        return InertRecord(args[0].name)
    return InertRecord(name, args, kwargs)


def _set_attributes(obj: Any, state: Any) -> None:
    import sys

    attributes, slots = state if isinstance(state, tuple) else (state, None)
    for values in (attributes, slots):
        for name, value in (values or {}).items():
            setattr(obj, sys.intern(name), value)


def _push(make: Callable[[Unpickler], Any]) -> Callable[[Unpickler], None]:
    def handler(reader: Unpickler) -> None:
        reader.stack.append(make(reader))

    return handler


def _get(index: Callable[[Unpickler], int]) -> Callable[[Unpickler], None]:
    def handler(reader: Unpickler) -> None:
        at = index(reader)
        if at not in reader.memo:
            raise fail(f"Memo value not found at index {at}")
        reader.stack.append(reader.memo[at])

    return handler


def _put(index: Callable[[Unpickler], int]) -> Callable[[Unpickler], None]:
    def handler(reader: Unpickler) -> None:
        reader.memo[index(reader)] = reader.stack[-1]

    return handler


def _byte(reader: Unpickler) -> int:
    data = reader.data
    at = reader.position
    if at >= len(data):
        raise fail("pickle data was truncated")
    reader.position = at + 1
    return data[at]


def _sized(layout: struct.Struct) -> Callable[[Unpickler], bytes]:
    return lambda r: r.take(r.number(layout))


_STOP = ord(".")


def _unicode(layout: struct.Struct) -> Callable[[Unpickler], str]:
    return lambda r: str(r.take(r.number(layout)), "utf-8", "surrogatepass")


HANDLERS: dict[int, Callable[[Unpickler], Any]] = {
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
    ord("S"): _push(Unpickler.quoted),
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
    ord("\x91"): Unpickler.collect_frozenset,
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
    ord("Q"): lambda r: r.persistent(r.stack.pop()),
    ord("g"): _get(lambda r: int(r.line())),
    ord("h"): _get(_byte),
    ord("j"): _get(lambda r: r.number(_U32)),
    ord("p"): _put(lambda r: int(r.line())),
    ord("q"): _put(_byte),
    ord("r"): _put(lambda r: r.number(_U32)),
    ord("\x94"): _put(lambda r: len(r.memo)),
    ord("\x80"): Unpickler.set_proto,
    ord("\x95"): lambda r: r.take(8) and None,
}
