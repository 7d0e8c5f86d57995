"""The jagged tensor: a batch of tensors that differ in one dimension, packed one after the other."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch._over_parts import OverParts

from ._ragged_size import RaggedSize, ragged_size


class NestedTensor(OverParts):
    """A batch of tensors with one ragged dimension, over ``values`` and ``offsets``.

    Entry ``b`` is ``values[offsets[b]:offsets[b + 1]]`` (or, with ``lengths``, as many rows from ``offsets[b]`` on),
    where the ragged dimension is the first of ``values``; after ``transpose`` it may be a later one. Made by
    ``torch.nested.nested_tensor(..., layout=torch.jagged)`` and its companions.

    >>> torch.nested.nested_tensor([torch.ones(2), torch.ones(3)], layout=torch.jagged).offsets()
    tensor([0, 2, 5])
    """

    _offsets: Tensor
    _lengths: Tensor | None
    _ragged_idx: int

    def __new__(
        cls, values: Tensor, offsets: Tensor, *, lengths: Tensor | None = None, ragged_idx: int = 1,
        min_seqlen: int | None = None, max_seqlen: int | None = None,
    ) -> NestedTensor:  # fmt: skip
        """Wrap packed values.

        Raises:
            RuntimeError: if ``values`` and ``offsets`` are on different devices, or the sizes do not go together.
        """
        if values.device != offsets.device:
            raise RuntimeError(
                f"values and offsets must be on the same device, got {values.device} and {offsets.device}"
            )
        if offsets.dim() != 1 or not 1 <= ragged_idx <= values.dim():
            raise RuntimeError(f"offsets must be a vector, and dimension {ragged_idx} one of the nested tensor's")
        self = torch.empty(0, dtype=values.dtype, device=values.device).as_subclass(cls)
        self._part, self._offsets, self._lengths, self._ragged_idx = values, offsets, lengths, ragged_idx
        self._extremes = (min_seqlen, max_seqlen)
        return self

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        from ._operations import run

        return run(func, args, kwargs or {})

    # ---- parts ----

    @property
    def _values(self) -> Tensor:
        return self._part

    def values(self) -> Tensor:
        """The packed entries: a view that has one dimension less."""
        return self._values

    def offsets(self) -> Tensor:
        """Where each entry starts along the ragged dimension of ``values``, and where the last one ends."""
        return self._offsets

    def lengths(self) -> Tensor | None:
        """The length of each entry, if there are holes between them; else None."""
        return self._lengths

    def _entry_lengths(self) -> Tensor:
        return self._offsets.diff() if self._lengths is None else self._lengths

    def _extreme(self, which: int) -> int:
        if self._extremes[which] is None:
            low, high = self._entry_lengths().aminmax() if self._batch else (0, 0)
            self._extremes = (int(low), int(high))
        return self._extremes[which]

    @property
    def _min_seqlen(self) -> int:
        return self._extreme(0)

    @property
    def _max_seqlen(self) -> int:
        return self._extreme(1)

    @property
    def _batch(self) -> int:
        return self._offsets.shape[0] - 1

    def like(self, values: Tensor, ragged_idx: int | None = None) -> NestedTensor:
        """Other values over the same offsets."""
        result = NestedTensor(
            values,
            self._offsets,
            lengths=self._lengths,
            ragged_idx=self._ragged_idx if ragged_idx is None else ragged_idx,
        )
        result._extremes = self._extremes
        return result

    # ---- what it is ----

    @property
    def _ragged_size(self) -> RaggedSize:
        return ragged_size(self._offsets if self._lengths is None else self._lengths)

    @property
    def shape(self) -> torch.Size:
        """The sizes, with a symbol for the ragged one."""
        sizes: list[Any] = list(self._values.shape)
        sizes[self._ragged_idx - 1] = self._ragged_size
        return torch.Size([self._batch, *sizes])

    def size(self, dim: int | None = None) -> Any:
        """The sizes, or that of one dimension."""
        return self.shape if dim is None else self.shape[self.outer_dim(dim)]

    def stride(self, dim: int | None = None) -> Any:
        """The strides; the batch's is a multiple of the ragged size."""
        strides: list[Any] = list(self._values.stride())
        inside = self._ragged_idx - 1
        below = [self._ragged_size * s if s > strides[inside] else s for s in strides]
        batch = self._ragged_size * max([strides[inside], *(s for s in strides if s <= strides[inside])])
        for size, s in zip(self._values.shape, strides, strict=True):
            if s > strides[inside]:
                batch = self._ragged_size * (size * s)
        result = (batch, *below)
        return result if dim is None else result[self.outer_dim(dim)]

    def outer_dim(self, dim: int, extra: int = 0) -> int:
        """A dimension, counted from the front; IndexError if there is none such."""
        n = self.dim() + extra
        if not -n <= dim < n:
            raise IndexError(f"Dimension out of range (expected to be in range of [{-n}, {n - 1}], but got {dim})")
        return dim % n

    def dim(self) -> int:
        """The number of dimensions, with the batch."""
        return self._values.dim() + 1

    def numel(self) -> int:
        """The number of elements, without those in holes."""
        if self._lengths is None:
            return self._values.numel()
        rest = self._values.numel() // max(self._values.shape[self._ragged_idx - 1], 1)
        return int(self._lengths.sum()) * rest

    nelement = numel

    @property
    def nbytes(self) -> int:
        """The number of bytes of all elements."""
        return self.numel() * self.element_size()

    @property
    def layout(self) -> torch.layout:
        """``torch.jagged``."""
        return torch.jagged

    @property
    def is_nested(self) -> bool:
        """True."""
        return True

    def is_contiguous(self, memory_format: torch.memory_format = torch.contiguous_format) -> bool:
        """Whether the entries lie one after the other, each contiguous."""
        return self._lengths is None and self._values.is_contiguous(memory_format=memory_format)

    def storage_offset(self) -> int:
        """Where the values start in their storage."""
        return self._values.storage_offset()

    def __len__(self) -> int:
        return self._batch

    def __iter__(self) -> Any:
        return iter(self.unbind())

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        sizes = ", ".join(map(str, self.shape))
        history = ""
        if self.requires_grad:
            history = f", grad_fn={self.grad_fn}" if self.grad_fn is not None else ", requires_grad=True"
        return f"NestedTensor(size=({sizes}), offsets={self._offsets}{history}, contiguous={self.is_contiguous()})"

    # ---- conversions ----

    def to_padded_tensor(self, padding: float, output_size: Any = None) -> Tensor:
        """The dense batch, as ``torch.nested.to_padded_tensor``."""
        if self._lengths is not None:
            raise RuntimeError("to_padded_tensor(): not supported for nested tensors with holes")
        longest = None if output_size is None else output_size[self._ragged_idx]
        result = padded(self, padding, longest)
        if output_size is not None and tuple(output_size) != tuple(result.shape):
            raise RuntimeError(
                f"to_padded_tensor(): output_size {tuple(output_size)} does not fit the sizes {tuple(self.shape)}"
            )
        return result

    def to(self, *args: Any, **kwargs: Any) -> NestedTensor:
        """Another dtype or device, as ``Tensor.to``."""
        args = tuple(a._values if isinstance(a, NestedTensor) else a for a in args)
        kwargs = {k: v._values if isinstance(v, NestedTensor) else v for k, v in kwargs.items()}
        values = self._values.to(*args, **kwargs)
        if values is self._values:
            return self
        if values.device == self.device:
            return self.like(values)
        lengths = None if self._lengths is None else self._lengths.to(values.device)
        return NestedTensor(values, self._offsets.to(values.device), lengths=lengths, ragged_idx=self._ragged_idx)

    def __reduce_ex__(self, protocol: Any) -> Any:
        # PyTorch keeps the two lengths that it has found as the sizes of empty tensors.
        found = zip(("min_seqlen", "max_seqlen"), self._extremes, strict=True)
        cache = {name: torch.empty(length, 0) for name, length in found if length is not None}
        fields = {
            "values": self._values,
            "offsets": self._offsets,
            "lengths": self._lengths,
            "_ragged_idx": self._ragged_idx,
            "_metadata_cache": cache,
            "requires_grad": self.requires_grad,
        }
        return torch._utils._rebuild_from_type_v2, (_rebuild_njt, type(self), (fields,), {})

    def __setstate__(self, state: Any) -> None:
        """Take the attributes of a file, apart from those that the parts have given."""
        own = {
            name: value
            for name, value in (state or {}).items()
            if name not in _GIVEN and not name.startswith(("_dynamo_", "_specialize_on"))
        }
        torch._utils._set_obj_state(self, own)


_GIVEN = frozenset("_values _offsets _lengths _ragged_idx _metadata_cache".split())


def _rebuild_njt(fields: dict[str, Any]) -> NestedTensor:
    """A jagged tensor from what a file keeps of it."""
    cache = fields.get("_metadata_cache") or {}
    values = fields["values"]
    if fields.get("requires_grad"):
        values.requires_grad = True
    extremes = {name: int(cache[name].shape[0]) for name in ("min_seqlen", "max_seqlen") if name in cache}
    return NestedTensor(
        values, fields["offsets"], lengths=fields["lengths"], ragged_idx=fields["_ragged_idx"], **extremes
    )


# The names that PyTorch's files have for them.
NestedTensor.__module__ = _rebuild_njt.__module__ = "torch.nested._internal.nested_tensor"


# ---- between packed and padded ----


def entry_numbers(nested: NestedTensor) -> Tensor:
    """For each row of packed values (without holes) the number of its entry."""
    batch = torch.arange(nested._batch, device=nested.device)
    return batch.repeat_interleave(nested._offsets.diff(), output_size=nested._values.shape[nested._ragged_idx - 1])


def positions(nested: NestedTensor, longest: int) -> tuple[Tensor, Tensor]:
    """Which row of ``values`` a place of the padded batch holds, and whether it holds one: (batch, longest) tensors."""
    steps = torch.arange(longest, device=nested.device)
    there = steps < nested._entry_lengths().unsqueeze(1)
    return (nested._offsets[:-1].unsqueeze(1) + steps).where(there, 0), there


def padded(nested: NestedTensor, padding: Any, longest: int | None = None) -> Tensor:
    """The batch as one tensor whose ragged dimension has the longest entry's size, or ``longest``."""
    rows, there = positions(nested, nested._max_seqlen if longest is None else longest)
    values = nested._values.movedim(nested._ragged_idx - 1, 0)
    if values.shape[0] == 0:
        result = values.new_full((*rows.shape, *values.shape[1:]), padding)
    else:
        fill = torch.full((), padding, dtype=values.dtype, device=values.device)
        result = values[rows].where(there.view(*there.shape, *[1] * (values.dim() - 1)), fill)
    return result.movedim(1, nested._ragged_idx)


def packed(dense: Tensor, like: NestedTensor) -> NestedTensor:
    """The reverse of ``padded``: the places of a dense batch that entries of ``like`` reach."""
    _, there = positions(like, dense.shape[like._ragged_idx])
    values = dense.movedim(like._ragged_idx, 1)[there].movedim(0, like._ragged_idx - 1)
    if like._lengths is None:
        return like.like(values)
    return without_holes(like, values)


def without_holes(like: NestedTensor, values: Tensor) -> NestedTensor:
    """Values that lie one after the other, over offsets of their own."""
    offsets = torch.cat([like._offsets.new_zeros(1), like._entry_lengths().cumsum(0)])
    return NestedTensor(values, offsets, ragged_idx=like._ragged_idx)


def compact(nested: NestedTensor) -> NestedTensor:
    """The same entries, contiguous and without holes."""
    if nested._lengths is None:
        return nested.like(nested._values.contiguous())
    rows, there = positions(nested, nested._max_seqlen)
    return without_holes(nested, nested._values.index_select(nested._ragged_idx - 1, rows[there]))
