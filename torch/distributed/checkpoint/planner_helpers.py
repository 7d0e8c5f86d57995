"""Pieces of tensors as items of plans."""

from __future__ import annotations

import io

import torch
from torch.distributed.tensor import DTensor, Replicate, Shard
from torch.distributed.tensor._redistribute import local_shape_and_offset

from .metadata import ChunkStorageMetadata, MetadataIndex, TensorProperties, TensorStorageMetadata
from .planner import LoadItemType, ReadItem, TensorWriteData, WriteItem, WriteItemType
from .resharding import overlap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["chunk_of", "pickled", "read_items", "write_item"]


def pickled(value: Any) -> io.BytesIO:
    """An object as the bytes of ``torch.save``."""
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer


def chunk_of(tensor: torch.Tensor) -> tuple[torch.Tensor, ChunkStorageMetadata]:
    """The numbers that this process has of a tensor, and which piece they are."""
    if not isinstance(tensor, DTensor):
        zeros = torch.Size([0] * tensor.dim())
        return tensor.detach(), ChunkStorageMetadata(zeros, tensor.shape)
    if any(not isinstance(place, (Shard, Replicate)) or type(place).__name__ == "_StridedShard"
           for place in tensor.placements):  # fmt: skip
        tensor = tensor.redistribute(placements=[Replicate()] * tensor.device_mesh.ndim)
    shape, offset = local_shape_and_offset(tuple(tensor.shape), tensor.device_mesh, tensor.placements)
    return tensor._local_tensor, ChunkStorageMetadata(torch.Size(offset), torch.Size(shape))


def write_item(name: str, value: Any, is_coordinator: bool) -> list[WriteItem]:
    """What a process writes of a value: its piece of a tensor of many, and whole objects in one process."""
    if not isinstance(value, torch.Tensor):
        return [WriteItem(MetadataIndex(name), WriteItemType.BYTE_IO)] if is_coordinator else []
    if isinstance(value, DTensor) and value.device_mesh.get_coordinate() is None:
        return []
    _, chunk = chunk_of(value)
    if not all(chunk.sizes) and value.numel():
        return []  # nothing of it is here
    data = TensorWriteData(chunk, TensorProperties.create_from_tensor(value), value.shape)
    kind = WriteItemType.SHARD if isinstance(value, DTensor) else WriteItemType.TENSOR
    return [WriteItem(MetadataIndex(name, chunk.offsets), kind, tensor_data=data)]


def read_items(name: str, stored: Any, value: Any) -> list[ReadItem]:
    """What has to be read for a value: each stored piece that overlaps with what is here."""
    if not isinstance(value, torch.Tensor) or not isinstance(stored, TensorStorageMetadata):
        nothing = torch.Size([0])
        index = MetadataIndex(name)
        return [ReadItem(LoadItemType.BYTE_IO, index, nothing, index, nothing, nothing)]
    if isinstance(value, DTensor) and value.device_mesh.get_coordinate() is None:
        return []
    _, mine = chunk_of(value)
    found = []
    for number, chunk in enumerate(stored.chunks):
        common = overlap(mine, chunk)
        if common is None:
            if value.numel():
                continue
            common = [0] * value.dim(), [0] * value.dim(), list(value.shape)
        here, there, lengths = common
        found.append(
            ReadItem(
                LoadItemType.TENSOR,
                MetadataIndex(name, mine.offsets),
                torch.Size(here),
                MetadataIndex(name, chunk.offsets, number),
                torch.Size(there),
                torch.Size(lengths),
            )
        )
    return found
