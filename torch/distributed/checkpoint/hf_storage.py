"""Checkpoints as files of safetensors, as Hugging Face keeps models.

A file is the length of a header in 8 bytes, the header in JSON, and the tensors' bytes. Where a tensor is in pieces,
the header says which piece a file has; files may be consolidated into whole tensors afterwards.
"""

from __future__ import annotations

import json
import os
import struct
from dataclasses import replace

import torch
from torch.futures import Future

from .filesystem import FileSystemReader, FileSystemWriter, _StorageInfo, _StoragePrefix
from .metadata import (
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
    StorageMeta,
    TensorProperties,
    TensorStorageMetadata,
)
from .planner import LoadPlan, LoadPlanner, SavePlan, SavePlanner, WriteItemType
from .storage import WriteResult

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["HuggingFaceStorageReader", "HuggingFaceStorageWriter"]

_LENGTH = struct.Struct("<Q")
_DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64,
    "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool,
    "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2, "C64": torch.complex64,
}  # fmt: skip
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_PIECES = "DCP_SHARDING_INFO"  # where each piece begins in its tensor
_INDEX = "model.safetensors.index.json"


def read_header(path: str | os.PathLike[str]) -> tuple[dict[str, Any], int]:
    """The header of a file, and where the bytes begin."""
    with open(path, "rb") as file:
        (length,) = _LENGTH.unpack(file.read(_LENGTH.size))
        return json.loads(file.read(length)), _LENGTH.size + length


def write_file(
    path: str | os.PathLike[str], tensors: dict[str, torch.Tensor], facts: dict[str, str] | None = None
) -> None:
    """Write tensors to a file."""
    from .._transport import bytes_of

    header: dict[str, Any] = {"__metadata__": {"format": "pt", **(facts or {})}}
    at = 0
    for name, tensor in tensors.items():
        if tensor.dtype not in _NAMES:
            raise NotImplementedError(f"{name}: safetensors has no name for {tensor.dtype}")
        end = at + tensor.numel() * tensor.element_size()
        header[name] = {"dtype": _NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [at, end]}
        at = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(_LENGTH.pack(len(text)) + text)
        for tensor in tensors.values():
            file.write(bytes_of(tensor.detach().contiguous()))


class HuggingFaceStorageWriter(FileSystemWriter):
    """Writes tensors to files of safetensors; a plain dict of tensors, without other objects.

    ``fqn_to_index_mapping`` says which file, by number, has which tensor. ``save_distributed`` writes each process's
    pieces; ``enable_consolidation`` joins them into whole tensors at the end.

    Raises:
        NotImplementedError: for values that are no tensors.
    """

    def __init__(
        self,
        path: str,
        fqn_to_index_mapping: dict[str, int] | None = None,
        thread_count: int = 1,
        save_distributed: bool = False,
        enable_consolidation: bool = False,
        thread_count_consolidation: int = 1,
    ) -> None:
        super().__init__(path, thread_count=thread_count)
        self.fqn_to_index_mapping = fqn_to_index_mapping
        self.save_distributed = save_distributed
        self.enable_consolidation = enable_consolidation

    def prepare_global_plan(self, plans: list[SavePlan]) -> list[SavePlan]:
        return [replace(plan, storage_data=_StoragePrefix(str(rank))) for rank, plan in enumerate(plans)]

    def write_data(self, plan: SavePlan, planner: SavePlanner) -> Future:
        files: dict[int, dict[str, torch.Tensor]] = {}
        pieces: dict[int, dict[str, Any]] = {}
        results = []
        for item in plan.items:
            name = item.index.fqn
            if item.type is WriteItemType.BYTE_IO:
                raise NotImplementedError(f"{name}: safetensors files hold tensors only")
            number = (self.fqn_to_index_mapping or {}).get(name, 1)
            assert item.tensor_data is not None
            if list(item.tensor_data.chunk.sizes) != list(item.tensor_data.size) and not self.save_distributed:
                raise ValueError(f"{name} is in pieces: writing it needs save_distributed=True")
            files.setdefault(number, {})[name] = planner.resolve_data(item)  # type: ignore[assignment]
            place = {"saved_offsets": list(item.tensor_data.chunk.offsets), "size": list(item.tensor_data.size)}
            pieces.setdefault(number, {})[name] = place
            results.append(WriteResult(item.index, 0, (number, name)))
        count = max((self.fqn_to_index_mapping or {"": 1}).values())
        rank = int(plan.storage_data.prefix)
        for number, tensors in files.items():
            start = f"shard-{rank:05d}-" if self.save_distributed else ""
            path = self.fs.concat_path(self.path, f"{start}model-{number:05d}-of-{count:05d}.safetensors")
            write_file(path, tensors, {_PIECES: json.dumps(pieces[number])})
        future = Future()
        future.set_result(results)
        return future

    def finish(self, metadata: Metadata, results: list[list[WriteResult]]) -> None:
        if self.save_distributed:
            if self.enable_consolidation:
                self._consolidate()
            return
        count = max((self.fqn_to_index_mapping or {"": 1}).values())
        names = {
            result.index.fqn: f"model-{result.storage_data[0]:05d}-of-{count:05d}.safetensors"
            for written in results
            for result in written
        }
        self._write_index(names)

    def _write_index(self, names: dict[str, str]) -> None:
        total = sum(os.path.getsize(self.fs.concat_path(self.path, file)) for file in set(names.values()))
        with open(self.fs.concat_path(self.path, _INDEX), "w", encoding="utf-8") as file:
            json.dump({"metadata": {"total_size": total}, "weight_map": names}, file, indent=2)

    def _consolidate(self) -> None:
        whole = _load_alone(HuggingFaceStorageReader(str(self.path)))
        count = max((self.fqn_to_index_mapping or {"": 1}).values())
        files: dict[int, dict[str, torch.Tensor]] = {}
        for name, tensor in whole.items():
            files.setdefault((self.fqn_to_index_mapping or {}).get(name, 1), {})[name] = tensor
        names = {}
        for number, tensors in files.items():
            file = f"model-{number:05d}-of-{count:05d}.safetensors"
            write_file(self.fs.concat_path(self.path, file), tensors)
            names |= dict.fromkeys(tensors, file)
        for file in os.listdir(self.path):
            if file.startswith("shard-"):
                os.unlink(self.fs.concat_path(self.path, file))
        self._write_index(names)

    def storage_meta(self) -> StorageMeta | None:
        return StorageMeta(checkpoint_id=str(self.path), save_id=self.save_id)


def _load_alone(reader: HuggingFaceStorageReader) -> dict[str, torch.Tensor]:
    """All tensors of a folder, read by one process."""
    from .default_planner import _EmptyStateDictLoadPlanner
    from .state_dict_loader import _load_state_dict

    found: dict[str, Any] = {}
    _load_state_dict(found, reader, planner=_EmptyStateDictLoadPlanner(), no_dist=True)
    return found


class HuggingFaceStorageReader(FileSystemReader):
    """Reads tensors of the files of safetensors in a folder: whole ones, or pieces that a writer left."""

    def __init__(self, path: str, thread_count: int = 1) -> None:
        super().__init__(path)

    def read_metadata(self, *args: Any, **kwargs: Any) -> Metadata:
        found: dict[str, Any] = {}
        places: dict[MetadataIndex, _StorageInfo] = {}
        for file in sorted(os.listdir(self.path)):
            if not file.endswith(".safetensors"):
                continue
            header, start = read_header(self.fs.concat_path(self.path, file))
            facts = header.pop("__metadata__", None) or {}
            pieces = json.loads(facts.get(_PIECES, "{}"))
            for name, entry in header.items():
                offsets = pieces.get(name, {}).get("saved_offsets", [0] * len(entry["shape"]))
                size = torch.Size(pieces.get(name, {}).get("size", entry["shape"]))
                tensor = found.setdefault(
                    name, TensorStorageMetadata(TensorProperties(_DTYPES[entry["dtype"]]), size, [])
                )
                tensor.chunks.append(ChunkStorageMetadata(torch.Size(offsets), torch.Size(entry["shape"])))
                low, high = entry["data_offsets"]
                places[MetadataIndex(name, offsets)] = _StorageInfo(file, start + low, high - low)
        return Metadata(found, storage_data=places, storage_meta=StorageMeta(str(self.path), load_id=self.load_id))

    def set_up_storage_reader(self, metadata: Metadata, is_coordinator: bool, *args: Any, **kwargs: Any) -> None:
        super().set_up_storage_reader(metadata, is_coordinator)
        self._metadata = metadata

    def _piece(self, index: MetadataIndex) -> torch.Tensor:
        """A piece of a file."""
        info, stored = self.storage_data[index], self._metadata.state_dict_metadata[index.fqn]
        chunk = next(one for one in stored.chunks if one.offsets == index.offset)  # type: ignore[union-attr]
        with open(self.fs.concat_path(self.path, info.relative_path), "rb") as file:
            file.seek(info.offset)
            data = bytearray(file.read(info.length))
        dtype = stored.properties.dtype  # type: ignore[union-attr]
        flat = torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)
        return flat.view(tuple(chunk.sizes))

    def read_data(self, plan: LoadPlan, planner: LoadPlanner) -> Future:
        loaded: dict[MetadataIndex, torch.Tensor] = {}
        for item in plan.items:
            if item.storage_index not in loaded:
                loaded[item.storage_index] = self._piece(item.storage_index)
            piece = loaded[item.storage_index]
            for dim, (start, length) in enumerate(zip(item.storage_offsets, item.lengths, strict=True)):
                piece = piece.narrow(dim, start, length)
            place = planner.resolve_tensor(item).detach()
            place.copy_(piece)
            planner.commit_tensor(item, place)
        future = Future()
        future.set_result(None)
        return future
