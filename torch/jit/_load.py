"""Archives of compiled modules and functions: reading."""

from __future__ import annotations

import collections
import io
import os
import pickle

import torch
import torch._utils as _utils
from torch import _checkpoint_archive, storage
from torch._checkpoint_devices import Restorer
from torch._checkpoint_sources import ZipSource

from . import _deprecated, _pickle
from ._compile import surfacing
from ._importer import Importer
from ._objects import enum_class, instance_class
from ._script import RecursiveScriptModule
from ._types import ClassType, EnumType, TupleType, Type
from ._unit import CompilationUnit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_ALLOWED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch", "device"): torch.device,
    ("torch", "Size"): torch.Size,
    ("builtins", "complex"): complex,
    **{
        ("torch._utils", n): getattr(_utils, n)
        for n in (
            "_rebuild_tensor",
            "_rebuild_tensor_v2",
            "_rebuild_parameter",
            "_rebuild_qtensor",
            "_rebuild_sparse_tensor",
            "_rebuild_meta_tensor_no_storage",
        )
    },
    **{
        ("torch.jit._pickle", n): getattr(_pickle, n)
        for n in (
            "build_intlist",
            "build_tensorlist",
            "build_doublelist",
            "build_boollist",
            "build_complexlist",
            "restore_type_tag",
            "build_tensor_from_id",
        )
    },
}


_NEWEST = 10


class _Unpickler(pickle._Unpickler):  # type: ignore[name-defined,misc]
    """Builds tensors, plain containers and instances of the archive's own classes, nothing else."""

    dispatch = pickle._Unpickler.dispatch.copy()  # type: ignore[attr-defined]

    def __init__(self, data: bytes, source: ZipSource, importer: Importer) -> None:
        super().__init__(io.BytesIO(data))
        self._source, self._importer = source, importer

    def load_reduce(self) -> None:
        # The value of an enum's member stands where the arguments of a call do.
        values = self.stack.pop()
        self.stack[-1] = self.stack[-1](*(values if isinstance(values, tuple) else (values,)))

    dispatch[pickle.REDUCE[0]] = load_reduce

    def persistent_load(self, saved_id: Any) -> Any:
        return self._source.persistent_load(saved_id)

    def find_class(self, module: str, name: str) -> Any:
        if module == "__torch__" or module.startswith("__torch__."):
            return _builder(self._importer.type(f"{module}.{name}"))
        if module == "torch" and name in storage._LEGACY_CLASSES:
            return storage._LEGACY_CLASSES[name]
        if (module, name) in _ALLOWED:
            return _ALLOWED[module, name]
        if module == "torch" and isinstance(getattr(torch, name, None), torch.qscheme):
            return getattr(torch, name)
        raise pickle.UnpicklingError(f"the archive's pickle names {module}.{name}, which archives do not hold")


def _builder(kind: Type) -> Any:
    """What the pickle calls to make an instance of an archive's class."""
    if isinstance(kind, EnumType):
        return enum_class(kind)
    if isinstance(kind, TupleType):
        return lambda *values: tuple(values)
    assert isinstance(kind, ClassType)
    if not kind.is_module():
        return instance_class(kind)

    def new(cls: Any, *args: Any) -> Any:
        made = RecursiveScriptModule(kind)
        made.__dict__["_loading"] = True
        return made

    return type(kind.name(), (), {"__new__": new})


def _checked_file(f: Any) -> tuple[Any, bool]:
    """An open file for a path or a buffer, and whether it has to be closed."""
    if isinstance(f, (str, os.PathLike)):
        if not os.path.exists(f):
            raise ValueError(f"The provided filename {f} does not exist")
        if os.path.isdir(f):
            raise ValueError(f"The provided filename {f} is a directory")
        return open(f, "rb"), True  # noqa: SIM115  the caller closes it
    if not hasattr(f, "read"):
        raise TypeError(f"torch.jit.load takes a path or a file, not a {type(f).__name__}")
    return io.BytesIO(f.read()), False


def load(f: Any, map_location: Any = None, _extra_files: Any = None, _restore_shapes: bool = False) -> Any:
    """Read a module or function that ``torch.jit.save`` wrote, here or in PyTorch.

    Args:
        f: A path, or a file opened for reading bytes.
        map_location: Where the tensors go, as for ``torch.load``.
        _extra_files: A dictionary whose keys are names of further records; their contents become its values.

    Raises:
        ValueError: the file does not exist.
        RuntimeError: the file is no archive, or it is damaged.

    Only the archive's own language is compiled and only tensors and plain values are built: no Python code of the file
    runs.
    """
    _deprecated("load", "Please switch to `torch.export`.")
    file, opened = _checked_file(f)
    try:
        return surfacing(_load, file, map_location, _extra_files)
    finally:
        if opened:
            file.close()


def _load(file: Any, map_location: Any, extra_files: Any) -> Any:
    reader = _checkpoint_archive.ArchiveReader(file)
    if "constants.pkl" not in reader:
        if "data.pkl" in reader:
            raise RuntimeError(
                "PytorchStreamReader failed locating file constants.pkl: file not found: this is a checkpoint of "
                "torch.save, which torch.load reads"
            )
        raise RuntimeError("PytorchStreamReader failed locating file constants.pkl: file not found")
    restore = Restorer(map_location)

    def text_of(path: str) -> str | None:
        return reader.read(path).decode("utf-8") if path in reader else None

    unit = CompilationUnit()
    constants: list[Any] = []
    importer = Importer(unit, text_of, constants, _version(reader))
    try:
        constants += _Unpickler(
            reader.read("constants.pkl"), ZipSource(file, restore, False, reader, "constants"), importer
        ).load()
        value = _Unpickler(reader.read("data.pkl"), ZipSource(file, restore, False, reader), importer).load()
    except (pickle.UnpicklingError, EOFError, IndexError, TypeError, AttributeError, KeyError, ValueError) as error:
        raise RuntimeError(f"the archive is damaged: {error}") from error
    if extra_files is not None:
        for name in extra_files:
            if f"extra/{name}" in reader:
                data = reader.read(f"extra/{name}")
                extra_files[name] = data.decode("utf-8") if not _is_binary(data) else data
    if not isinstance(value, RecursiveScriptModule):
        raise RuntimeError(f"the archive holds a {type(value).__name__}, not a module")
    return _finished(value)


def _version(reader: _checkpoint_archive.ArchiveReader) -> int:
    """The version of the format of an archive."""
    text = reader.read("version").strip() if "version" in reader else b"3"
    if not text.isdigit():
        raise RuntimeError(f"the archive's version is no number: {text[:20]!r}")
    if int(text) > _NEWEST:
        raise RuntimeError(
            f"Attempted to read a PyTorch file with version {int(text)}, but the maximum supported version for "
            f"reading is "
            f"{_NEWEST}. Your PyTorch installation may be too old."
        )
    return int(text)


def _is_binary(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return True
    return False


def _finished(module: RecursiveScriptModule) -> Any:
    """Compile everything, so that what is wrong shows now."""
    seen: set[int] = set()
    for part in module.modules():
        kind = part._type
        if id(kind) not in seen:
            seen.add(id(kind))
            for method in kind.methods.values():
                method.ensure()
        if "training" not in kind.attributes:
            part.__dict__.pop("training", None)
    return module


def jit_module_from_flatbuffer(f: Any) -> Any:
    """Not part of Tabula: the format of the lite interpreter.

    Raises:
        NotImplementedError: always; archives of ``torch.jit.save`` are read by ``torch.jit.load``.
    """
    raise NotImplementedError("the flatbuffer format is not part of Tabula: use torch.jit.save and torch.jit.load")
