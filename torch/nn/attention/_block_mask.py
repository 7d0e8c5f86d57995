"""``BlockMask``: which blocks of an attention matrix are computed at all."""

from __future__ import annotations

import itertools

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Self

    from torch import Tensor

    MaskMod = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]

DEFAULT_BLOCK = 128

_TENSORS = (
    "kv_num_blocks",
    "kv_indices",
    "full_kv_num_blocks",
    "full_kv_indices",
    "q_num_blocks",
    "q_indices",
    "full_q_num_blocks",
    "full_q_indices",
    "dq_write_order",
    "dq_write_order_full",
    "dq_kv_order",
)


def noop_mask(batch: Tensor, head: Tensor, token_q: Tensor, token_kv: Tensor) -> Tensor:
    """The ``mask_mod`` that lets every query see every key."""
    return batch.new_ones(size=(), dtype=torch.bool, device=batch.device)


def sliced_mask_mod(batch: Tensor, head: Tensor, token_q: Tensor, token_kv: Tensor) -> Tensor:
    """The ``mask_mod`` of a slice: the positions that it would get have moved, so it refuses."""
    raise RuntimeError(
        "Cannot use mask_mod from a sliced BlockMask. When you slice a BlockMask using [], the mask_mod attribute is "
        "reset. You must set it from the original BlockMask's mask_mod.\n\n"
        "Incorrect usage:\n"
        "  base_mask = create_block_mask(my_mask_fn, ...)\n"
        "  sliced_mask = base_mask[:, :, block_idx]\n"
        "  sliced_mask.mask_mod = apply_offset(sliced_mask.mask_mod, offset)  # WRONG!\n\n"
        "Correct usage:\n"
        "  base_mask = create_block_mask(my_mask_fn, ...)\n"
        "  sliced_mask = base_mask[:, :, block_idx]\n"
        "  sliced_mask.mask_mod = apply_offset(base_mask.mask_mod, offset)  # Use base_mask!"
    )


def dense_to_ordered(dense: Tensor) -> tuple[Tensor, Tensor]:
    """From a matrix of flags to the number of set columns of each row, and all columns with the set ones first."""
    flags = dense.to(torch.int32)
    columns = torch.argsort(flags, dim=-1, descending=True, stable=True)
    return flags.sum(-1).to(torch.int32), columns.to(torch.int32).contiguous()


def ordered_to_dense(counts: Tensor, columns: Tensor) -> Tensor:
    """The inverse of ``dense_to_ordered``: int32 zeros and ones."""
    places = torch.arange(columns.shape[-1], dtype=torch.int32, device=columns.device)
    dense = torch.zeros_like(columns, dtype=torch.int32)
    return dense.scatter_(-1, columns.long(), (places < counts.unsqueeze(-1)).to(torch.int32))


def _transposed(counts: Tensor | None, columns: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
    if counts is None or columns is None:
        return None, None
    return dense_to_ordered(ordered_to_dense(counts, columns).transpose(-2, -1))


def _cropped(counts: Tensor, columns: Tensor, rows: int, width: int) -> tuple[Tensor, Tensor]:
    """The first ``rows`` rows and ``width`` columns; a larger mask stays as it is."""
    dense = ordered_to_dense(counts, columns)[..., :rows, :width]
    return dense_to_ordered(dense)


def _kept(part: Any, size: int | None) -> Any:
    """An index that keeps its dimension: a number becomes a slice of one."""
    if type(part) is not int or size is None:
        return part
    start = part + size if part < 0 else part
    return slice(start, start + 1)


class BlockMask:
    """A sparse attention mask: for each block of queries, the blocks of keys that it looks at.

    ``kv_num_blocks`` (B, H, rows) and ``kv_indices`` (B, H, rows, columns) name the blocks in which ``mask_mod``
    decides about each pair; ``full_kv_num_blocks`` and ``full_kv_indices`` name those in which all pairs count. The
    ``q_`` tensors are the same by columns. Blocks that stand in neither list are never computed. Made by
    ``create_block_mask``, or from index tensors by ``BlockMask.from_kv_blocks``. The ``dq_`` tensors tell a kernel in
    which order to add up the gradients of the queries; they change no result.
    """

    def __init__(
        self,
        seq_lengths: tuple[int, int],
        kv_num_blocks: Tensor,
        kv_indices: Tensor,
        full_kv_num_blocks: Tensor | None,
        full_kv_indices: Tensor | None,
        q_num_blocks: Tensor | None,
        q_indices: Tensor | None,
        full_q_num_blocks: Tensor | None,
        full_q_indices: Tensor | None,
        BLOCK_SIZE: tuple[int, int] = (DEFAULT_BLOCK, DEFAULT_BLOCK),  # noqa: N803
        mask_mod: MaskMod = noop_mask,
        *,
        dq_write_order: Tensor | None = None,
        dq_write_order_full: Tensor | None = None,
        dq_kv_order: Tensor | None = None,
        dq_kv_order_spt: bool | None = None,
    ) -> None:
        if kv_indices.dim() < 2:
            raise RuntimeError("BlockMask must have at least 2 dimensions")
        if (full_kv_num_blocks is None) != (full_kv_indices is None):
            raise AssertionError("full_kv_num_blocks and full_kv_indices must be both provided or omitted")
        if (full_q_num_blocks is None) != (full_q_indices is None):
            raise AssertionError("full_q_num_blocks and full_q_indices must be both provided or omitted")
        self.seq_lengths = seq_lengths
        self.kv_num_blocks = kv_num_blocks
        self.kv_indices = kv_indices
        self.full_kv_num_blocks = full_kv_num_blocks
        self.full_kv_indices = full_kv_indices
        self.q_num_blocks = q_num_blocks
        self.q_indices = q_indices
        self.full_q_num_blocks = full_q_num_blocks
        self.full_q_indices = full_q_indices
        self.BLOCK_SIZE = BLOCK_SIZE
        self.mask_mod = mask_mod
        self.dq_write_order = dq_write_order
        self.dq_write_order_full = dq_write_order_full
        self.dq_kv_order = dq_kv_order
        self.dq_kv_order_spt = dq_kv_order_spt

    @classmethod
    def from_kv_blocks(
        cls,
        kv_num_blocks: Tensor,
        kv_indices: Tensor,
        full_kv_num_blocks: Tensor | None = None,
        full_kv_indices: Tensor | None = None,
        BLOCK_SIZE: int | tuple[int, int] = DEFAULT_BLOCK,  # noqa: N803
        mask_mod: MaskMod | None = None,
        seq_lengths: tuple[int, int] | None = None,
        compute_q_blocks: bool = True,
        *,
        dq_write_order: Tensor | None = None,
        dq_write_order_full: Tensor | None = None,
        dq_kv_order: Tensor | bool | None = None,
    ) -> Self:
        """A mask from the indices of its blocks; the lists by columns follow from them.

        ``seq_lengths`` is (queries, keys), by default all that the blocks cover. RuntimeError for indices of less than
        two dimensions; AssertionError if only one of the tensors of full blocks is given.
        """
        if kv_indices.dim() < 2:
            raise RuntimeError("BlockMask must have at least 2 dimensions")
        if (full_kv_num_blocks is None) != (full_kv_indices is None):
            raise AssertionError("full_kv_num_blocks and full_kv_indices must be both provided or omitted")
        by_column = full_by_column = (None, None)
        if compute_q_blocks:
            by_column = _transposed(kv_num_blocks, kv_indices)
            full_by_column = _transposed(full_kv_num_blocks, full_kv_indices)
        size = (BLOCK_SIZE, BLOCK_SIZE) if isinstance(BLOCK_SIZE, int) else BLOCK_SIZE
        if seq_lengths is None:
            seq_lengths = (kv_indices.shape[-2] * size[0], kv_indices.shape[-1] * size[1])
        return cls(
            seq_lengths,
            kv_num_blocks,
            kv_indices,
            full_kv_num_blocks,
            full_kv_indices,
            *by_column,
            *full_by_column,
            BLOCK_SIZE=size,
            mask_mod=noop_mask if mask_mod is None else mask_mod,
            dq_write_order=dq_write_order,
            dq_write_order_full=dq_write_order_full,
            dq_kv_order=None if isinstance(dq_kv_order, bool) else dq_kv_order,
            dq_kv_order_spt=dq_kv_order if isinstance(dq_kv_order, bool) else None,
        )

    def as_tuple(self, flatten: bool = True) -> tuple[Any, ...]:
        """All parts in the order of the constructor; with ``flatten`` the two pairs of numbers are spread."""
        lengths = tuple(self.seq_lengths) if flatten else (self.seq_lengths,)
        size = tuple(self.BLOCK_SIZE) if flatten else (self.BLOCK_SIZE,)
        tensors = (getattr(self, name) for name in _TENSORS)
        return (*lengths, *tensors, self.dq_kv_order_spt, *size, self.mask_mod)

    @property
    def shape(self) -> tuple[int, ...]:
        """Batches, heads, queries, keys."""
        return (*self.kv_indices.shape[:-2], *self.seq_lengths)

    def numel(self) -> int:
        """The number of pairs of a query and a key."""
        count = 1
        for size in self.shape:
            count *= size
        return count

    def sparsity(self) -> float:
        """The share, in per cent, of the pairs whose blocks are not computed. Padding may make it negative."""
        blocks = int(self.kv_num_blocks.sum())
        if self.full_kv_num_blocks is not None:
            blocks += int(self.full_kv_num_blocks.sum())
        computed = blocks * self.BLOCK_SIZE[0] * self.BLOCK_SIZE[1]
        return 100 * (1 - computed / self.numel())

    def to_dense(self) -> Tensor:
        """An int32 tensor with a 1 for each block that is computed: (B, H, rows, columns)."""
        dense = ordered_to_dense(self.kv_num_blocks, self.kv_indices)
        if self.full_kv_num_blocks is not None and self.full_kv_indices is not None:
            dense = dense | ordered_to_dense(self.full_kv_num_blocks, self.full_kv_indices)
        return dense

    def to(self, device: torch.device | str) -> BlockMask:
        """The same mask with its tensors on a device."""
        moved = {name: getattr(self, name) for name in _TENSORS}
        moved = {name: value if value is None else value.to(device) for name, value in moved.items()}
        return BlockMask(
            self.seq_lengths,
            BLOCK_SIZE=self.BLOCK_SIZE,
            mask_mod=self.mask_mod,
            dq_kv_order_spt=self.dq_kv_order_spt,
            **moved,
        )

    def __getitem__(self, index: int | slice | Tensor | tuple[int | slice | Tensor, ...]) -> Self:
        """A part of the batches, heads and rows of blocks. The part has no ``mask_mod``: set it before use."""
        parts = index if isinstance(index, tuple) else (index,)
        sizes = self.kv_indices.shape[: len(parts)]
        parts = tuple(_kept(part, size) for part, size in itertools.zip_longest(parts, sizes))
        full = self.full_kv_num_blocks is not None and self.full_kv_indices is not None
        # The orders of writing lie by columns: (B, H, columns, rows).
        by_column = (*parts[:2], *(slice(None),) * (3 - len(parts[:2])), *parts[2:3])
        orders = [
            None if order is None else order[by_column] for order in (self.dq_write_order, self.dq_write_order_full)
        ]
        return type(self).from_kv_blocks(
            self.kv_num_blocks[parts],
            self.kv_indices[parts],
            self.full_kv_num_blocks[parts] if full else None,
            self.full_kv_indices[parts] if full else None,
            BLOCK_SIZE=self.BLOCK_SIZE,
            mask_mod=sliced_mask_mod,
            seq_lengths=self.seq_lengths,
            compute_q_blocks=self.q_indices is not None,
            dq_write_order=orders[0],
            dq_write_order_full=orders[1],
            dq_kv_order=self.dq_kv_order if self.dq_kv_order is not None else self.dq_kv_order_spt,
        )

    def _adjust(self, new_q_len: int, new_kv_len: int) -> Self:
        """The upper left corner, for shorter sequences."""
        rows = -(-new_q_len // self.BLOCK_SIZE[0])
        width = -(-new_kv_len // self.BLOCK_SIZE[1])
        counts, columns = _cropped(self.kv_num_blocks, self.kv_indices, rows, width)
        full_counts = full_columns = None
        if self.full_kv_num_blocks is not None:
            full_counts, full_columns = _cropped(self.full_kv_num_blocks, self.full_kv_indices, rows, width)
        return type(self).from_kv_blocks(
            counts,
            columns,
            full_counts,
            full_columns,
            self.BLOCK_SIZE,
            self.mask_mod,
            seq_lengths=(new_q_len, new_kv_len),
        )

    def to_string(self, grid_size: int | tuple[int, int] = (20, 20), limit: int = 4) -> str:
        """A picture of the blocks: full, partly full, empty.

        ``grid_size`` is the largest number of rows and columns shown, -1 for all; ``limit`` is the number of matrices.
        """
        dense = self.to_dense()
        rows, columns = dense.shape[-2:]
        if isinstance(grid_size, int):
            grid_size = (rows, columns) if grid_size == -1 else (grid_size, grid_size)
        row_step = max(-(-rows // grid_size[0]), 1)
        column_step = max(-(-columns // grid_size[1]), 1)
        pictures: list[str] = []
        for number, place in enumerate(itertools.product(*(range(n) for n in dense.shape[:-2]))):
            if number >= limit:
                pictures.append(
                    "...\nTo print out more, set BlockMask.to_string(limit=N)\n"
                    "You can also index (BlockMask[batch, head]) to choose a specific batch or head"
                )
                break
            flags = dense[place].tolist()
            picture = f"{place}\n"
            for top in range(0, rows, row_step):
                band = flags[top : top + row_step]
                for left in range(0, columns, column_step):
                    cells = [flag for row in band for flag in row[left : left + column_step]]
                    picture += "██" if all(cells) else "░░" if any(cells) else "  "
                picture += "\n"
            pictures.append(picture)
        return "\n".join(pictures)

    def __str__(self) -> str:
        picture = self.to_string().strip()
        return f"BlockMask(shape={self.shape}, sparsity={self.sparsity():.2f}%, \n{picture}\n)"

    def __repr__(self) -> str:
        def shown(name: str) -> str:
            value = getattr(self, name)
            return f"    {name}={None if value is None else value.shape}"

        name = getattr(self.mask_mod, "__name__", None) or self.mask_mod
        lines = [shown(tensor) for tensor in _TENSORS[:8]]
        lines += [
            f"    BLOCK_SIZE={self.BLOCK_SIZE}",
            f"    shape={self.shape}",
            f"    sparsity={self.sparsity():.2f}%",
            f"    mask_mod={name}",
        ]
        return "BlockMask(\n" + ",\n".join(lines) + "\n)"
