"""How a tensor lies over the processes of one dimension of a mesh."""

from __future__ import annotations

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Partial", "Placement", "Replicate", "Shard"]


class Placement:
    """How a tensor lies over one dimension of a mesh: ``Shard(dim)``, ``Replicate()`` or ``Partial(reduce_op)``."""

    def is_shard(self, dim: int | None = None) -> bool:
        """Whether it is cut into parts, along ``dim`` if that is given."""
        return isinstance(self, Shard) and (dim is None or self.dim == dim)

    def is_replicate(self) -> bool:
        """Whether everybody has all of it."""
        return isinstance(self, Replicate)

    def is_partial(self, reduce_op: str | None = None) -> bool:
        """Whether everybody has a part of the sum."""
        return isinstance(self, Partial) and (reduce_op is None or self.reduce_op == reduce_op)


class Shard(Placement):
    """Each process has one of the pieces that ``torch.chunk`` would give along ``dim``; the last may be empty."""

    def __init__(self, dim: int) -> None:
        self.dim = int(dim)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self.dim == other.dim  # type: ignore[attr-defined]

    def __hash__(self) -> int:
        return hash((type(self), self.dim))

    def __repr__(self) -> str:
        return f"Shard(dim={self.dim})"

    def __str__(self) -> str:
        return f"S({self.dim})"

    @staticmethod
    def local_shard_size_and_offset(curr_local_size: int, num_chunks: int, rank: int) -> tuple[int, int]:
        """How many of ``curr_local_size`` rows piece ``rank`` of ``num_chunks`` has, and where it begins."""
        each = -(-curr_local_size // num_chunks)
        start = min(curr_local_size, each * rank)
        return min(curr_local_size, start + each) - start, start

    @staticmethod
    def _local_shard_size_on_dim(size: int, chunks: int, rank: int, return_offset: bool = False) -> tuple[int, int]:
        length, start = Shard.local_shard_size_and_offset(size, chunks, rank)
        return length, start if return_offset else -1

    _local_shard_size_and_offset = local_shard_size_and_offset

    def take(self, tensor: torch.Tensor, chunks: int, rank: int) -> torch.Tensor:
        """This process's piece."""
        length, start = self.local_shard_size_and_offset(tensor.shape[self.dim], chunks, rank)
        return tensor.narrow(self.dim, start, length)


class _StridedShard(Shard):
    """Pieces of pieces: the dimension is cut into ``split_factor`` parts first, and each of those into pieces."""

    def __init__(self, dim: int, *, split_factor: int) -> None:
        super().__init__(dim)
        self.split_factor = split_factor

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _StridedShard) and (self.dim, self.split_factor) == (other.dim, other.split_factor)

    def __hash__(self) -> int:
        return hash((self.dim, self.split_factor))

    def __repr__(self) -> str:
        return f"_StridedShard(dim={self.dim}, sf={self.split_factor})"

    def __str__(self) -> str:
        return f"_S({self.dim}, {self.split_factor})"

    def take(self, tensor: torch.Tensor, chunks: int, rank: int) -> torch.Tensor:
        parts = tensor.chunk(self.split_factor, self.dim)
        return torch.cat([Shard.take(self, part, chunks, rank) for part in parts], self.dim)


class Replicate(Placement):
    """Each process has the whole tensor."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Replicate)

    def __hash__(self) -> int:
        return -1

    def __repr__(self) -> str:
        return "Replicate()"

    def __str__(self) -> str:
        return "R"


class Partial(Placement):
    """Each process has a tensor of the whole shape, and their sum (``"avg"``, ``"max"``, ...) is what is meant."""

    def __init__(self, reduce_op: str = "sum") -> None:
        self.reduce_op = reduce_op

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Partial) and self.reduce_op == other.reduce_op

    def __hash__(self) -> int:
        return hash(("partial", self.reduce_op))

    def __repr__(self) -> str:
        return f"Partial({self.reduce_op})"

    def __str__(self) -> str:
        return f"P({self.reduce_op})"


for _kind in (Partial, Placement, Replicate, Shard):
    _kind.__module__ = "torch.distributed.tensor.placement_types"


class TensorMeta:
    """Shape, strides and dtype of the tensor that the pieces make up."""

    def __init__(self, shape: Any, stride: Any, dtype: torch.dtype) -> None:
        self.shape = torch.Size(shape)
        self.stride = tuple(stride)
        self.dtype = dtype


class DTensorSpec:
    """A mesh, a placement for each of its dimensions, and the whole tensor's shape."""

    def __init__(self, mesh: Any, placements: tuple[Placement, ...], tensor_meta: TensorMeta) -> None:
        self.mesh = mesh
        self.placements = placements
        self.tensor_meta = tensor_meta

    @property
    def device_mesh(self) -> Any:
        return self.mesh

    @property
    def shape(self) -> torch.Size:
        return self.tensor_meta.shape

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DTensorSpec):
            return False
        mine, theirs = self.tensor_meta, other.tensor_meta
        return (self.mesh, self.placements, mine.shape, mine.dtype) == (
            other.mesh, other.placements, theirs.shape, theirs.dtype,
        )  # fmt: skip

    def __hash__(self) -> int:
        return hash((self.mesh, self.placements, self.tensor_meta.shape))

    def __repr__(self) -> str:
        return f"DTensorSpec(mesh={self.mesh}, placements={self.placements}, shape={tuple(self.shape)})"
