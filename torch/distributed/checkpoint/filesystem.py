"""Checkpoints in a folder: a file ``__RANK_N.distcp`` for each process, and ``.metadata``."""

from __future__ import annotations

import io
import os
import pickle
import uuid
from abc import ABC, abstractmethod
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

import torch
from torch.futures import Future

from .metadata import CURRENT_DCP_VERSION, Metadata, MetadataIndex, StorageMeta
from .planner import LoadItemType, LoadPlan, LoadPlanner, SavePlan, SavePlanner, WriteItemType
from .staging import BlockingAsyncStager
from .storage import StorageReader, StorageWriter, WriteResult

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

__all__ = ["FileSystem", "FileSystemBase", "FileSystemReader", "FileSystemWriter", "SerializationFormat"]


@dataclass
class _StorageInfo:
    """A file, and where in it the bytes are."""

    relative_path: str
    offset: int
    length: int
    transform_descriptors: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if value is not None}


@dataclass
class _StoragePrefix:
    """How this process's files begin."""

    prefix: str


class SerializationFormat(Enum):
    """How tensors are written."""

    TORCH_SAVE = "torch_save"
    SAFETENSORS = "safetensors"


class FileSystemBase(ABC):
    """What the reader and the writer do with files."""

    @contextmanager
    @abstractmethod
    def create_stream(self, path: str | os.PathLike[str], mode: str) -> Iterator[io.IOBase]: ...

    @abstractmethod
    def concat_path(self, path: str | os.PathLike[str], suffix: str) -> str | os.PathLike[str]: ...

    @abstractmethod
    def rename(self, path: str | os.PathLike[str], new_path: str | os.PathLike[str]) -> None: ...

    @abstractmethod
    def init_path(self, path: str | os.PathLike[str]) -> str | os.PathLike[str]: ...

    @abstractmethod
    def mkdir(self, path: str | os.PathLike[str]) -> None: ...

    @classmethod
    @abstractmethod
    def validate_checkpoint_id(cls, checkpoint_id: str | os.PathLike[str]) -> bool: ...

    @abstractmethod
    def exists(self, path: str | os.PathLike[str]) -> bool: ...

    @abstractmethod
    def rm_file(self, path: str | os.PathLike[str]) -> None: ...


class FileSystem(FileSystemBase):
    """The files of this machine."""

    @contextmanager
    def create_stream(self, path: str | os.PathLike[str], mode: str) -> Iterator[io.IOBase]:
        with open(path, mode) as stream:
            yield stream

    def concat_path(self, path: str | os.PathLike[str], suffix: str) -> Path:
        return Path(path) / suffix

    def init_path(self, path: str | os.PathLike[str]) -> Path:
        return Path(path)

    def rename(self, path: str | os.PathLike[str], new_path: str | os.PathLike[str]) -> None:
        os.replace(path, new_path)

    def mkdir(self, path: str | os.PathLike[str]) -> None:
        Path(path).mkdir(parents=True, exist_ok=True)

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: str | os.PathLike[str]) -> bool:
        if isinstance(checkpoint_id, Path):
            return True
        if "://" in str(checkpoint_id):
            return False
        # some folder above it has to be there and writable
        for parent in Path(checkpoint_id).absolute().parents:
            if parent.exists():
                return os.access(parent, os.W_OK)
        return False

    def exists(self, path: str | os.PathLike[str]) -> bool:
        return Path(path).exists()

    def rm_file(self, path: str | os.PathLike[str]) -> None:
        Path(path).unlink()

    def ls(self, path: str | os.PathLike[str]) -> list[str]:
        return [str(one) for one in Path(path).iterdir()]


class FileSystemWriter(StorageWriter, BlockingAsyncStager):
    """Writes a checkpoint to a folder, whose files appear under their names when they are complete.

    ``single_file_per_rank=False`` writes a file for each item; ``sync_files`` waits for the disk.

    Raises:
        NotImplementedError: another format than that of ``torch.save``, or transformations of streams.
        RuntimeError: the folder has a checkpoint, and ``overwrite`` is False.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        single_file_per_rank: bool = True,
        sync_files: bool = True,
        thread_count: int = 1,
        per_thread_copy_ahead: int = 10_000_000,
        cache_staged_state_dict: bool = False,
        overwrite: bool = True,
        _extensions: Any = None,
        serialization_format: SerializationFormat = SerializationFormat.TORCH_SAVE,
    ) -> None:
        if _extensions or serialization_format is not SerializationFormat.TORCH_SAVE:
            raise NotImplementedError(
                "FileSystemWriter writes tensors as torch.save does, without transformations; for safetensors use "
                "HuggingFaceStorageWriter"
            )
        BlockingAsyncStager.__init__(self, cache_staged_state_dict)
        self.fs: FileSystemBase = FileSystem()
        self.path = self.fs.init_path(path)
        self.single_file_per_rank = single_file_per_rank
        self.sync_files = sync_files
        self.thread_count = thread_count
        self.per_thread_copy_ahead = per_thread_copy_ahead
        self.overwrite = overwrite
        self.save_id = str(uuid.uuid4())

    def reset(self, checkpoint_id: str | os.PathLike[str] | None = None) -> None:
        if checkpoint_id:
            self.path = self.fs.init_path(checkpoint_id)
        self.save_id = str(uuid.uuid4())

    def set_up_storage_writer(self, is_coordinator: bool, *args: Any, **kwargs: Any) -> None:
        self.rank = kwargs.get("rank")
        self.use_collectives = kwargs.get("use_collectives", True)

    def prepare_local_plan(self, plan: SavePlan) -> SavePlan:
        self.fs.mkdir(self.path)
        if self.fs.exists(self._metadata_path()):
            if not self.overwrite:
                raise RuntimeError(f"Checkpoint already exists and self.overwrite={self.overwrite}.")
        if not self.use_collectives:
            plan = replace(plan, storage_data=_StoragePrefix(f"__{self.rank}_"))
        return plan

    def prepare_global_plan(self, plans: list[SavePlan]) -> list[SavePlan]:
        return [
            replace(plan, storage_data=_StoragePrefix(f"__{rank}_")) if plan.storage_data is None else plan
            for rank, plan in enumerate(plans)
        ]

    def write_data(self, plan: SavePlan, planner: SavePlanner) -> Future:
        prefix, results = plan.storage_data.prefix, []
        # objects first, then pieces, large ones last
        items = sorted(plan.items, key=lambda one: one.tensor_storage_size() or 0)
        items.sort(key=lambda one: one.type is not WriteItemType.BYTE_IO)
        groups = [items] if self.single_file_per_rank else [[item] for item in items]
        for number, group in enumerate(groups):
            if not group:
                continue
            name = f"{prefix}{number}.distcp"
            with self.fs.create_stream(self.fs.concat_path(self.path, name), "wb") as stream:
                for item in group:
                    results.append(self._write_item(stream, name, item, planner))
                if self.sync_files:
                    stream.flush()
                    os.fsync(stream.fileno())
        future = Future()
        future.set_result(results)
        return future

    def _write_item(self, stream: Any, name: str, item: Any, planner: SavePlanner) -> WriteResult:
        start = stream.tell()
        data = planner.resolve_data(item)
        if item.type is WriteItemType.BYTE_IO:
            stream.write(data.getbuffer())  # type: ignore[union-attr]
        else:
            # its own memory only, not all of the storage that it is a part of
            piece = data.detach().cpu()  # type: ignore[union-attr]
            if piece.untyped_storage().nbytes() != piece.numel() * piece.element_size():
                piece = piece.clone()
            buffer = io.BytesIO()
            torch.save(piece, buffer)
            stream.write(buffer.getbuffer())
        length = stream.tell() - start
        return WriteResult(item.index, length, _StorageInfo(name, start, length))

    def finish(self, metadata: Metadata, results: list[list[WriteResult]]) -> None:
        places = {one.index: one.storage_data for written in results for one in written}
        metadata = replace(
            metadata, storage_data=places, storage_meta=self.storage_meta(), version=CURRENT_DCP_VERSION
        )
        name = ".metadata" if self.use_collectives else f"__{self.rank}.metadata"
        final = self.fs.concat_path(self.path, name)
        temporary = self.fs.concat_path(self.path, f"{os.path.basename(final)}.tmp")
        with self.fs.create_stream(temporary, "wb") as stream:
            pickle.dump(metadata, stream)  # type: ignore[arg-type]
            if self.sync_files:
                stream.flush()
                os.fsync(stream.fileno())
        self.fs.rename(temporary, final)

    def storage_meta(self) -> StorageMeta | None:
        return StorageMeta(checkpoint_id=self.path, save_id=self.save_id)

    def _metadata_path(self) -> str | os.PathLike[str]:
        return self.fs.concat_path(self.path, ".metadata")

    @property
    def checkpoint_id(self) -> str | os.PathLike[str]:
        """The folder."""
        return self.path

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: str | os.PathLike[str]) -> bool:
        return FileSystem.validate_checkpoint_id(checkpoint_id)


class FileSystemReader(StorageReader):
    """Reads a checkpoint from a folder, PyTorch's too."""

    def __init__(self, path: str | os.PathLike[str], _extension_registry: Any = None) -> None:
        self.fs: FileSystemBase = FileSystem()
        self.path = self.fs.init_path(path)
        self.storage_data: dict[MetadataIndex, _StorageInfo] = {}
        self.load_id = str(uuid.uuid4())

    def reset(self, checkpoint_id: str | os.PathLike[str] | None = None) -> None:
        self.storage_data = {}
        if checkpoint_id:
            self.path = self.fs.init_path(checkpoint_id)
        self.load_id = str(uuid.uuid4())

    def read_metadata(self, *args: Any, **kwargs: Any) -> Metadata:
        rank = kwargs.get("rank")
        name = ".metadata" if rank is None else f"__{rank}.metadata"
        with self.fs.create_stream(self.fs.concat_path(self.path, name), "rb") as stream:
            metadata = pickle.load(stream)  # type: ignore[arg-type]
        if getattr(metadata, "storage_meta", None) is None:
            metadata.storage_meta = StorageMeta()
        metadata.storage_meta.load_id = self.load_id
        return metadata

    def set_up_storage_reader(self, metadata: Metadata, is_coordinator: bool, *args: Any, **kwargs: Any) -> None:
        self.storage_data = metadata.storage_data

    def prepare_local_plan(self, plan: LoadPlan) -> LoadPlan:
        return plan

    def prepare_global_plan(self, plans: list[LoadPlan]) -> list[LoadPlan]:
        return plans

    def read_data(self, plan: LoadPlan, planner: LoadPlanner) -> Future:
        by_file: dict[str, list[Any]] = {}
        for item in plan.items:
            by_file.setdefault(self.storage_data[item.storage_index].relative_path, []).append(item)
        for name, items in by_file.items():
            with self.fs.create_stream(self.fs.concat_path(self.path, name), "rb") as stream:
                loaded: dict[MetadataIndex, torch.Tensor] = {}
                for item in items:
                    self._read_item(stream, item, planner, loaded)
        future = Future()
        future.set_result(None)
        return future

    def _read_item(self, stream: Any, item: Any, planner: LoadPlanner, loaded: dict[Any, torch.Tensor]) -> None:
        info = self.storage_data[item.storage_index]
        if getattr(info, "transform_descriptors", None):
            raise NotImplementedError(f"{info.relative_path}: transformed streams cannot be read")
        if item.storage_index not in loaded:
            stream.seek(info.offset)
            data = io.BytesIO(stream.read(info.length))
            if item.type is LoadItemType.BYTE_IO:
                planner.load_bytes(item, data)
                return
            loaded[item.storage_index] = torch.load(data, map_location="cpu", weights_only=True)
        piece = loaded[item.storage_index]
        for dim, (start, length) in enumerate(zip(item.storage_offsets, item.lengths, strict=True)):
            piece = piece.narrow(dim, start, length)
        place = planner.resolve_tensor(item).detach()
        if place.shape != piece.shape:
            raise AssertionError(f"req {item.storage_index} mismatch sizes {place.shape} vs {piece.shape}")
        place.copy_(piece)
        planner.commit_tensor(item, place)

    @property
    def checkpoint_id(self) -> str | os.PathLike[str]:
        """The folder."""
        return self.path

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: str | os.PathLike[str]) -> bool:
        return FileSystem.validate_checkpoint_id(checkpoint_id)
