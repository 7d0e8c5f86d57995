"""Archives of compiled modules and functions: writing.

An archive is a zip file with the texts of all classes and functions (``code/``), the module's values as a pickle
(``data.pkl``, ``data/``), and the tensors that texts name (``constants.pkl``, ``constants/``).
"""

from __future__ import annotations

import enum
import io
import os
import struct
import sys

import torch
from torch import _checkpoint_archive, storage
from torch._checkpoint_devices import location_tag
from torch._checkpoint_writing import AtomicFile, _cpu_bytes

from . import _deprecated
from ._ir import Graph, type_of_constant
from ._print import FunctionPrinter, Names, quoted
from ._script import RecursiveScriptModule
from ._types import (
    ANY,
    BOOL,
    FLOAT,
    INT,
    TENSOR,
    ClassType,
    DictType,
    EnumType,
    FunctionType,
    InterfaceType,
    ListType,
    OptionalType,
    TupleType,
    Type,
    UnionType,
)
from ._unit import CompilationUnit, Function

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_LIST_MAKERS = {INT: "build_intlist", FLOAT: "build_doublelist", BOOL: "build_boollist", TENSOR: "build_tensorlist"}


class _Pickler:
    """Writes values of known types in the form that PyTorch's unpickler for archives reads."""

    def __init__(self, names: Names | None = None) -> None:
        self.out = bytearray(b"\x80\x02")
        self.memo: dict[Any, int] = {}
        self.kept: list[Any] = []
        self.storages: list[Any] = []
        self._keys: dict[Any, int] = {}
        self.names = names

    def finish(self) -> bytes:
        return bytes(self.out + b".")

    # ---- the memo

    def known(self, key: Any) -> bool:
        at = self.memo.get(key)
        if at is None:
            return False
        self.out += b"h" + bytes([at]) if at < 256 else b"j" + struct.pack("<I", at)
        return True

    def remember(self, key: Any) -> None:
        at = self.memo[key] = len(self.memo)
        self.out += b"q" + bytes([at]) if at < 256 else b"r" + struct.pack("<I", at)

    # ---- plain values

    def name(self, module: str, name: str) -> None:
        key = ("name", module, name)
        if not self.known(key):
            self.out += f"c{module}\n{name}\n".encode()
            self.remember(key)

    def text(self, value: str) -> None:
        key = ("text", value)
        if not self.known(key):
            data = value.encode("utf-8", "surrogatepass")
            self.out += b"X" + struct.pack("<I", len(data)) + data
            self.remember(key)

    def whole(self, value: int) -> None:
        if 0 <= value < 256:
            self.out += b"K" + bytes([value])
        elif 0 <= value < 65536:
            self.out += b"M" + struct.pack("<H", value)
        elif -(2**31) <= value < 2**31:
            self.out += b"J" + struct.pack("<i", value)
        else:
            self.out += b"\x8a\x08" + struct.pack("<q", value)

    def empty_tuple(self) -> None:
        self.out += b")"

    # ---- values of a type

    def value(self, value: Any, kind: Type) -> None:
        if value is None:
            self.out += b"N"
        elif isinstance(kind, OptionalType):
            self.value(value, kind.element)
        elif isinstance(kind, (ClassType, InterfaceType)):
            self.object(value)
        elif isinstance(kind, EnumType) or isinstance(value, enum.Enum):
            self.enumerated(value, kind)
        elif value is True or value is False:
            self.out += b"\x88" if value else b"\x89"
        elif isinstance(value, torch.Tensor):
            self.tensor(value)
        elif isinstance(value, int):
            self.whole(value)
        elif isinstance(value, float):
            self.out += b"G" + struct.pack(">d", value)
        elif isinstance(value, str):
            self.text(value)
        elif isinstance(value, complex):
            self.name("builtins", "complex")
            self.out += b"(G" + struct.pack(">d", value.real) + b"G" + struct.pack(">d", value.imag) + b"tR"
        elif isinstance(value, torch.device):
            self.name("torch", "device")
            self.text(str(value))
            self.out += b"\x85R"
        elif isinstance(value, (list, tuple, dict)):
            self.container(value, kind)
        elif hasattr(value, "_type"):
            self.object(value)
        else:
            raise RuntimeError(f"a {type(value).__name__} cannot be written to an archive")

    def container(self, value: Any, kind: Type) -> None:
        if kind is ANY or isinstance(kind, UnionType):
            from ._type_text import of_value

            kind = of_value(value)
        if isinstance(value, tuple):
            assert isinstance(kind, TupleType)
            self.out += b"("
            for v, t in zip(value, kind.types, strict=True):
                self.value(v, t)
            self.out += b"t"
            return
        key = ("object", id(value))
        if self.known(key):
            return
        self.kept.append(value)
        if isinstance(value, list):
            assert isinstance(kind, ListType)
            maker = _LIST_MAKERS.get(kind.element)
            self.name("torch.jit._pickle", maker or "restore_type_tag")
            self.out += b"(]("
            for v in value:
                self.value(v, kind.element)
            self.out += b"e"
            if maker is None:
                self.text(kind.annotation_str)
        else:
            assert isinstance(kind, DictType)
            self.name("torch.jit._pickle", "restore_type_tag")
            self.out += b"(}("
            for k, v in value.items():
                self.value(k, kind.key)
                self.value(v, kind.value)
            self.out += b"u"
            self.text(kind.annotation_str)
        self.out += b"tR"
        self.remember(key)

    def enumerated(self, value: Any, kind: Type) -> None:
        assert isinstance(kind, EnumType)
        if self.names is not None:
            self.names.note(kind)
        module, _, name = kind.name.rpartition(".")
        self.name(module, name)
        self.value(value.value, kind.value_type)
        self.out += b"R"

    def tensor(self, value: torch.Tensor) -> None:
        key = ("object", id(value))
        if self.known(key):
            return
        self.kept.append(value)
        if value.layout is not torch.strided or type(value) not in (torch.Tensor, torch.nn.Parameter):
            raise RuntimeError(
                f"archives hold plain dense tensors, not one with layout {value.layout} of type {type(value).__name__}"
            )
        untyped = value.untyped_storage()
        typed = storage.TypedStorage(wrap_storage=untyped, dtype=value.dtype)
        pointer = untyped.data_ptr()
        identity = (pointer, untyped.nbytes()) if pointer else id(untyped)
        number = self._keys.get(identity)
        if number is None:
            number = self._keys[identity] = len(self.storages)
            self.storages.append(untyped)
        self.name("torch._utils", "_rebuild_tensor_v2")
        self.out += b"(("
        self.text("storage")
        self.name("torch", typed._pickle_storage_type())
        self.text(str(number))
        self.text(location_tag(untyped))
        self.whole(typed.size())
        self.out += b"tQ"
        self.whole(value.storage_offset())
        for numbers in (value.size(), value.stride()):
            self.out += b"("
            for n in numbers:
                self.whole(n)
            self.out += b"t"
        self.out += b"\x88" if value.requires_grad else b"\x89"
        self.name("collections", "OrderedDict")
        self.out += b")RtR"
        self.remember(key)

    def object(self, value: Any) -> None:
        key = ("object", id(value))
        if self.known(key):
            return
        self.kept.append(value)
        kind = value._type if hasattr(value, "_type") else _type_of_instance(value)
        if self.names is not None:
            self.names.note(kind)
        module, _, name = kind.qualified_name.rpartition(".")
        self.name(module, name)
        self.out += b")\x81"
        getter = kind.find_method("__getstate__")
        if getter is not None:
            self.value(getter.run(value), getter.schema.returns)
        else:
            self.out += b"}("
            for attribute in kind.attributes.values():
                self.text(attribute.name)
                self.value(attribute_value(value, attribute), attribute.type)
            self.out += b"u"
        self.out += b"b"
        self.remember(key)


def _type_of_instance(value: Any) -> Any:
    from ._recursive import type_of_class

    found = type_of_class(type(value))
    if found is None:
        raise RuntimeError(f"an instance of {type(value).__name__}, which was not compiled, cannot be written")
    return found


def attribute_value(owner: Any, attribute: Any) -> Any:
    """The value of a module's or an object's attribute."""
    name = attribute.name
    if isinstance(owner, RecursiveScriptModule):
        values = owner.__dict__
        for table in ("_parameters", "_buffers", "_modules", "_attributes"):
            if name in values[table]:
                return values[table][name]
        if name == "training":
            return values["training"]
        raise RuntimeError(f"the module has no value for '{name}'")
    return getattr(owner, name)


# ---- texts


class _Texts:
    """The files of an archive: what is needed is written, and what that needs in turn."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.files: dict[str, list[str]] = {}
        self.counters: dict[str, int] = {}
        self._done: set[str] = set()

    def write(self) -> None:
        while True:
            waiting: list[Any] = [(n, t) for n, t in self.names.types.items() if n not in self._done]
            waiting += [(n, f) for n, f in self.names.functions.items() if n not in self._done]
            if not waiting:
                return
            for name, thing in waiting:
                if name in self._done:
                    continue
                self._done.add(name)
                package = name.rpartition(".")[0]
                if package in self.names.types:
                    # A hook stands in its class.
                    continue
                lines = self.files.setdefault(package, [])
                if isinstance(thing, Function):
                    self._function(thing, lines, package)
                else:
                    self._class(thing, lines, package)

    def _function(self, function: Function, lines: list[str], package: str, kind: ClassType | None = None) -> None:
        if function.in_python:
            raise RuntimeError(
                f"Could not export Python function call '{function.name}'. Remove calls to Python functions "
                f"before export."
            )
        printer = FunctionPrinter(function, self.names, 1 if kind is not None else 0, typed_self=True)
        lines += printer.write(self.counters.get(package, 0))
        self.counters[package] = printer.temporaries

    def _class(self, kind: Type, lines: list[str], package: str) -> None:
        if isinstance(kind, ClassType):
            self._plain_class(kind, lines, package)
        elif isinstance(kind, InterfaceType):
            lines.append(
                f"class {kind.qualified_name.rpartition('.')[2]}({'Module' if kind.is_module() else ''}Interface):"
            )
            for name, schema in kind.methods.items():
                args = ", ".join(f"{a.name}: {self.names.type(a.type)}" for a in schema.arguments[1:])
                lines.append(f"  def {name}(self{', ' if args else ''}{args}) -> {self.names.type(schema.returns)}:")
                lines.append("    pass")
        elif isinstance(kind, EnumType):
            lines.append(f"class {kind.name.rpartition('.')[2]}(Enum):")
            for name, value in kind.members:
                text = quoted(value) if isinstance(value, str) else repr(value)
                lines.append(f"  {name} = {text}")
        elif isinstance(kind, TupleType):
            lines.append(f"class {kind.name.rpartition('.')[2]}(NamedTuple):")
            lines += [f"  {n} : {self.names.type(t)}" for n, t in zip(kind.fields, kind.types, strict=True)]

    def _plain_class(self, kind: ClassType, lines: list[str], package: str) -> None:
        lines.append(f"class {kind.name()}{'(Module)' if kind.is_module() else ''}:")
        if kind.is_module():
            for title, names in (
                ("__parameters__", [a.name for a in kind.attributes.values() if a.is_parameter]),
                ("__buffers__", [a.name for a in kind.attributes.values() if a.is_buffer]),
            ):
                lines.append(f"  {title} = [{''.join(f'{quoted(n)}, ' for n in names)}]")
            for title, names in (("__forward_pre_hooks__", kind.pre_hooks), ("__forward_hooks__", kind.hooks)):
                if names:
                    lines.append(f"  {title} = [{''.join(f'{quoted(n)}, ' for n in names)}]")
        start = len(lines)
        for attribute in kind.attributes.values():
            text = self.names.type(attribute.type)
            if attribute.name.isidentifier():
                lines.append(f"  {attribute.name} : {text}")
            else:
                lines.append(f"  __annotations__[{quoted(attribute.name)}] = {text}")
        writer = FunctionPrinter(Function("constant"), self.names)
        for name, value in kind.constants.items():
            declared = kind.constant_types[name]
            if isinstance(declared, FunctionType):
                continue
            lines.append(f"  {name} : Final[{self.names.type(declared)}] = {writer.literal(value, declared)}")
        for function in kind.methods.values():
            self._function(function, lines, package, kind)
        if len(lines) == start and not kind.is_module():
            lines.append("  pass")


# ---- archives


def write_archive(module: RecursiveScriptModule, file: Any, name: str, extra_files: Any) -> None:
    """Write a module to an open file."""
    names = Names()
    names.note(module._type)
    pickler = _Pickler(names)
    pickler.object(module)
    data = pickler.finish()
    texts = _Texts(names)
    texts.write()
    constants = _Pickler()
    if names.constants:
        constants.out += b"("
        for value in names.constants:
            constants.value(value, type_of_constant(value))
        constants.out += b"t"
    else:
        constants.empty_tuple()
    archive = _checkpoint_archive.ArchiveWriter(file, name)
    for key, content in (extra_files or {}).items():
        archive.write_record(f"extra/{key}", content.encode() if isinstance(content, str) else content)
    for number, untyped in enumerate(pickler.storages):
        archive.write_record(f"data/{number}", _cpu_bytes(untyped))
    archive.write_record("data.pkl", data)
    for package, lines in texts.files.items():
        archive.write_record(f"code/{package.replace('.', '/')}.py", ("\n".join(lines) + "\n").encode())
    for number, untyped in enumerate(constants.storages):
        archive.write_record(f"constants/{number}", _cpu_bytes(untyped))
    archive.write_record("constants.pkl", constants.finish())
    archive.write_record("version", f"{names.version}\n".encode())
    archive.write_record("byteorder", sys.byteorder.encode())
    archive.close()


def save_module(module: RecursiveScriptModule, f: Any, extra_files: Any = None) -> None:
    """Write a module to a path or an open file."""
    if isinstance(f, (str, os.PathLike)):
        name = os.path.splitext(os.path.basename(os.fspath(f)))[0]
        with AtomicFile(f) as file:
            write_archive(module, file, name, extra_files)
    else:
        write_archive(module, f, "archive", extra_files)
        if hasattr(f, "flush"):
            f.flush()


def save_function(function: Function, f: Any, extra_files: Any = None) -> None:
    """Write a function: it becomes the ``forward`` of a module without attributes."""
    kind = ClassType("__torch__.PlaceholderModule", CompilationUnit(), is_module=True)
    kind.add_attribute("training", BOOL)
    graph = Graph()
    graph.add_input("self", kind)
    schema = function.schema
    inputs = [graph.add_input(a.name, a.type) for a in schema.arguments]
    callee = graph.constant(function.name, FunctionType(function))
    callee.node.attributes.clear()  # type: ignore[union-attr]
    callee.node.attributes.update(name=function.name, _function=function)  # type: ignore[union-attr]
    graph.add_output(graph.insert("prim::CallFunction", [callee, *inputs], schema.returns))
    made = RecursiveScriptModule(kind)
    defaults = {a.name: a.default for a in schema.arguments if a.has_default}
    made._add_method("forward", graph, defaults)
    save_module(made, f, extra_files)


def save(m: Any, f: Any, _extra_files: Any = None) -> None:
    """Write a compiled module or function to a path or an open file.

    Args:
        m: What ``torch.jit.script`` or ``torch.jit.trace`` returned.
        f: A path, or a file opened for writing bytes.
        _extra_files: Further records of the archive, name to text or bytes.

    Raises:
        RuntimeError: the program calls functions that were kept in Python.

    Example:
        >>> import io, torch
        >>> buffer = io.BytesIO()
        >>> torch.jit.save(torch.jit.script(torch.nn.Linear(2, 3)), buffer)
        >>> size = buffer.seek(0)
        >>> torch.jit.load(buffer)(torch.ones(1, 2)).shape
        torch.Size([1, 3])
    """
    _deprecated("save", "Please switch to `torch.export`.")
    m.save(f, _extra_files=_extra_files)


def to_bytes(write: Callable[[Any], None]) -> bytes:
    """The bytes that ``write`` writes to a file."""
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


def save_jit_module_to_flatbuffer(m: Any, f: Any, _extra_files: Any = None) -> None:
    """Not part of Tabula: the format of the lite interpreter.

    Raises:
        NotImplementedError: always; ``torch.jit.save`` writes archives.
    """
    raise NotImplementedError("the flatbuffer format is not part of Tabula: use torch.jit.save and torch.jit.load")
