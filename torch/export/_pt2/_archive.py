"""The archive of a .pt2 file: records without compression, as those of ``torch.save``."""

from __future__ import annotations

import io
import json
import os
import pickle
import sys
from typing import Any

import torch
from torch import storage as _storage
from torch._checkpoint_archive import ArchiveReader, ArchiveWriter

from ..exported_program import ExportedProgram
from ..graph_signature import InputKind
from ._read import program_from_json, tensor_geometry
from ._write import program_json, tensor_json

__all__ = ["read", "write"]

_FORMAT, _VERSION = b"pt2", b"0"


# ---- writing


def write(program: ExportedProgram, f: Any, extra_files: dict[str, Any]) -> None:
    """Write a program and some texts to a path or a file."""
    text = json.dumps(program_json(program)).encode()
    if isinstance(f, (str, os.PathLike)):
        path = os.fspath(f)
        name = os.path.basename(path)
        name = name[: name.rindex(".")] if "." in name else name
        with open(path, "wb") as file:
            _write_records(ArchiveWriter(file, name or "archive"), program, text, extra_files)
    else:
        _write_records(ArchiveWriter(f, "archive"), program, text, extra_files)
        if hasattr(f, "flush"):
            f.flush()


def _write_records(archive: ArchiveWriter, program: ExportedProgram, text: bytes, extra: dict[str, Any]) -> None:
    parameters = {str(s.target) for s in program.graph_signature.input_specs if s.kind is InputKind.PARAMETER}
    _write_tensors(archive, "weights/weight_", "weights/model_weights_config.json", program.state_dict, parameters)
    _write_tensors(archive, "constants/tensor_", "constants/model_constants_config.json", program.constants, set())
    archive.write_record("models/model.json", text)
    if program.example_inputs is not None:
        archive.write_record("data/sample_inputs/model.pt", _pickled(program.example_inputs))
    for name, content in extra.items():
        data = content if isinstance(content, bytes) else str(content).encode()
        archive.write_record(f"extra/{name}", data)
    archive.write_record("archive_format", _FORMAT)
    archive.write_record("archive_version", _VERSION)
    archive.write_record(".data/version", b"6\n")
    archive.write_record("byteorder", sys.byteorder.encode())
    archive.close()


def _write_tensors(
    archive: ArchiveWriter, head: str, config: str, tensors: dict[str, Any], parameters: set[str]
) -> None:
    """Write tensors as the bytes of their storages, each once, and which tensor lies where."""
    places: dict[int, str] = {}
    entries = {}
    for name, tensor in tensors.items():
        tensor = tensor.detach() if isinstance(tensor, torch.Tensor) else tensor
        if not isinstance(tensor, torch.Tensor):
            raise TypeError(f"torch.export.save: the constant {name!r} of type {type(tensor)} cannot be stored")
        storage = tensor.untyped_storage()
        path = places.get(storage.data_ptr()) if storage.nbytes() else None
        if path is None:
            path = f"{head.partition('/')[2]}{len(set(places.values()))}"
            places[storage.data_ptr() or -len(places) - 1] = path
            content = _storage._bytes_view(storage) if storage.nbytes() else b""
            archive.write_record(f"data/{head.partition('/')[0]}/{path}", content)
        meta = tensor_json(tensor)
        meta["requires_grad"] = tensors[name].requires_grad
        entries[name] = {
            "path_name": path, "is_param": name in parameters, "use_pickle": False, "tensor_meta": meta,
        }  # fmt: skip
    archive.write_record(f"data/{config}", json.dumps({"config": entries}).encode())


def _pickled(example: Any) -> bytes:
    buffer = io.BytesIO()
    with torch.no_grad():
        plain = torch.utils._pytree.tree_map_only(torch.Tensor, torch.Tensor.detach, example)
    torch.save(plain, buffer)
    return buffer.getvalue()


# ---- reading


def read(f: Any, extra_files: dict[str, Any] | None) -> ExportedProgram:
    """Read a program from a path or a file, and the texts that ``extra_files`` names."""
    if isinstance(f, (str, os.PathLike)):
        with open(f, "rb") as file:
            return _read_records(file, extra_files)
    return _read_records(f, extra_files)


def _read_records(file: Any, extra_files: dict[str, Any] | None) -> ExportedProgram:
    try:
        archive = ArchiveReader(file)
        kind = archive.read("archive_format")
        version = archive.read("archive_version")
    except (RuntimeError, EOFError) as e:
        raise RuntimeError(f"torch.export.load: the file is not an archive of an exported program: {e}") from e
    if (kind, version) != (_FORMAT, _VERSION):
        raise RuntimeError(
            f"torch.export.load: an archive of kind {kind[:40]!r}, version {version[:20]!r}; only kind "
            f"{_FORMAT.decode()!r}, version {_VERSION.decode()!r} can be read"
        )
    if "byteorder" in archive and archive.read("byteorder") != sys.byteorder.encode():
        raise RuntimeError("torch.export.load: the file's numbers have the other byte order")
    state = _read_tensors(archive, "weights", "model_weights_config.json")
    constants = _read_tensors(archive, "constants", "model_constants_config.json")
    program = program_from_json(_json(archive, "models/model.json"), state, constants, _example(archive))
    for name in extra_files or {}:
        assert extra_files is not None
        extra_files[name] = archive.read(f"extra/{name}").decode("utf-8")
    return program


def _json(archive: ArchiveReader, name: str) -> Any:
    try:
        return json.loads(archive.read(name))
    except (ValueError, RecursionError) as e:
        raise RuntimeError(f"torch.export.load: the record {name} is no JSON text: {e}") from e


def _read_tensors(archive: ArchiveReader, folder: str, config: str) -> dict[str, Any]:
    name = f"data/{folder}/{config}"
    if name not in archive:
        return {}
    storages: dict[str, Any] = {}
    found = {}
    try:
        for key, entry in _json(archive, name)["config"].items():
            path = f"data/{folder}/{entry['path_name']}"
            if entry.get("use_pickle"):
                tensor = torch.load(io.BytesIO(archive.read(path)), weights_only=True)
                if not isinstance(tensor, torch.Tensor):
                    raise RuntimeError(f"torch.export.load: the record {path} is no tensor")
            else:
                tensor = _view(storages, archive, path, entry["tensor_meta"])
            if entry.get("is_param"):
                wanted = bool(entry["tensor_meta"]["requires_grad"])
                tensor = torch.nn.Parameter(tensor, requires_grad=wanted)
            found[key] = tensor
    except (KeyError, TypeError, AttributeError, pickle.UnpicklingError) as e:
        raise RuntimeError(f"torch.export.load: the record {name} cannot be read: {type(e).__name__}: {e}") from e
    return found


def _view(storages: dict[str, Any], archive: ArchiveReader, path: str, meta: Any) -> torch.Tensor:
    """A stored tensor. Tensors of one record share their memory."""
    dtype, sizes, strides, offset = tensor_geometry(meta)
    last = sum((s - 1) * t for s, t in zip(sizes, strides, strict=True)) + offset
    needed = 0 if 0 in sizes else (last + 1) * dtype.itemsize
    if path not in storages:
        storage = torch.UntypedStorage(archive.size(path))
        if storage.nbytes():
            archive.read_into(path, _storage._bytes_view(storage))
        storages[path] = storage
    if needed > storages[path].nbytes():
        raise RuntimeError(
            f"torch.export.load: record {path} holds {storages[path].nbytes()} bytes, but {needed} are needed"
        )
    typed = _storage.TypedStorage(wrap_storage=storages[path], dtype=dtype)
    return torch._utils._rebuild_tensor(typed, offset, tuple(sizes), tuple(strides))


def _example(archive: ArchiveReader) -> Any:
    """The example's arguments; None where they have types that a plain pickle may not make."""
    name = "data/sample_inputs/model.pt"
    if name not in archive:
        return None
    try:
        found = torch.load(io.BytesIO(archive.read(name)), weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError):
        return None
    fits = isinstance(found, tuple) and len(found) == 2
    return found if fits and isinstance(found[0], tuple) and isinstance(found[1], dict) else None
