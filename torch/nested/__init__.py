"""Nested tensors: batches of tensors whose sizes differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import SymInt, Tensor
from torch.nn import functional as F  # noqa: N812 - PyTorch's name here

if TYPE_CHECKING:
    from collections.abc import Sequence

Device, DType = torch.device, torch.dtype

__all__ = [
    "as_nested_tensor",
    "masked_select",
    "narrow",
    "nested_tensor",
    "nested_tensor_from_jagged",
    "to_padded_tensor",
]


def _is_jagged(layout: Any) -> bool:
    if layout not in (None, torch.strided, torch.jagged):
        raise RuntimeError(f"Specified layout is unsupported for nested tensors: {layout}")
    return layout is torch.jagged


def _pack(tensors: Sequence[Tensor], dtype: Any, device: Any) -> Tensor:
    """Tensors as one jagged tensor, which autograd ties to them."""
    from ._jagged import NestedTensor

    if not tensors:
        raise RuntimeError("Cannot construct a nested tensor from an empty tensor list")
    first = tensors[0]
    if any(t.dim() != first.dim() for t in tensors):
        raise RuntimeError("When constructing a nested tensor, all tensors in list must have the same dim")
    if first.dim() == 0:
        raise RuntimeError("Cannot construct a nested tensor from a list of zero-dim tensors")
    if any(t.dtype != first.dtype or t.device != first.device for t in tensors):
        raise RuntimeError("When constructing a nested tensor, all tensors in list must have the same dtype and device")
    shapes = [t.shape for t in tensors]
    differ = [d for d in range(first.dim()) if len({s[d] for s in shapes}) > 1]
    if len(differ) > 1:
        raise RuntimeError(
            "Cannot represent given tensor list as a nested tensor with the jagged layout. Note that the jagged "
            "layout only "
            "represents shapes of the form (B, *_0, *_1, ..., *_P, D_0, D_1, ..., D_N) with P >= 0 and a single ragged "
            f"dimension\nThe tensors differ in dimensions {differ}: {[tuple(s) for s in shapes]}"
        )
    ragged = differ[0] if differ else 0
    lengths = [s[ragged] for s in shapes]
    values = torch.cat(list(tensors), ragged).to(device=device, dtype=dtype)
    offsets = torch.tensor([0, *lengths], device=values.device).cumsum(0)
    return NestedTensor(values, offsets, ragged_idx=ragged + 1, min_seqlen=min(lengths), max_seqlen=max(lengths))


def nested_tensor(
    tensor_list: Sequence[Any], *, dtype: torch.dtype | None = None, layout: torch.layout | None = None,
    device: Any = None, requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """Make a leaf from copies of tensors, or of what ``torch.tensor`` takes, that differ in one dimension at most.

    Args:
        tensor_list: B tensors of the same number of dimensions.
        dtype: of the result; the first tensor's by default.
        layout: ``torch.jagged``, or ``torch.strided`` (the default) for tensors that may differ anywhere, with fewer
            operations.
        device: of the result; the first tensor's by default.
        requires_grad: whether gradients are wanted.
        pin_memory: ignored: there is no pinned memory.

    Returns:
        A nested tensor of shape (B, ..., j1, ...), where ``j1`` stands for the ragged size.

    Raises:
        RuntimeError: for an empty list, and for tensors whose dimensions do not go together.

    >>> torch.nested.nested_tensor([[1, 2], [3]], layout=torch.jagged).unbind()
    (tensor([1, 2]), tensor([3]))
    """
    jagged = _is_jagged(layout)
    tensors = [
        t.detach() if isinstance(t, Tensor) else torch.as_tensor(t, dtype=dtype, device=device) for t in tensor_list
    ]
    if jagged:
        result = _pack(tensors, dtype, device)
    else:
        from ._strided import gathered

        result = gathered(tensors, dtype, device)
    if len(tensors) == 1:
        result = result.clone()
    return result.requires_grad_(requires_grad)


def as_nested_tensor(
    ts: Tensor | list[Tensor] | tuple[Tensor, ...], dtype: torch.dtype | None = None, device: Any = None,
    layout: torch.layout | None = None,
) -> Tensor:  # fmt: skip
    """Make a nested tensor through which gradients flow back to the given tensors.

    Args:
        ts: tensors that differ in one dimension at most, or one tensor of at least two dimensions as the batch.
        dtype: of the result.
        device: of the result.
        layout: as in ``nested_tensor``.

    Raises:
        TypeError: if ``ts`` is no tensor and no list of them.
        RuntimeError: as ``nested_tensor``.

    >>> torch.nested.as_nested_tensor(torch.ones(2, 3), layout=torch.jagged).offsets()
    tensor([0, 3, 6])
    """
    is_list = isinstance(ts, (list, tuple)) and all(isinstance(t, Tensor) for t in ts)
    if not isinstance(ts, Tensor) and not is_list:
        raise TypeError("as_nested_tensor(): Expected first argument to be a tensor or a list / tuple of tensors ")
    if isinstance(ts, Tensor) and ts.is_nested:
        return ts if layout in (None, ts.layout) else ts.to(dtype=dtype, device=device)
    if not _is_jagged(layout):
        from ._strided import gathered

        return gathered(ts.unbind() if isinstance(ts, Tensor) else ts, dtype, device)
    if isinstance(ts, Tensor):
        if ts.dim() < 2:
            raise RuntimeError("as_nested_tensor(): Expected tensor argument to have dim() > 1")
        from ._jagged import NestedTensor

        batch, length = ts.shape[:2]
        offsets = torch.arange(batch + 1, device=ts.device) * length
        dense = ts.to(device=device, dtype=dtype)
        return NestedTensor(dense.flatten(0, 1), offsets, min_seqlen=length, max_seqlen=length)
    return _pack(ts, dtype, device)


def nested_tensor_from_jagged(
    values: Tensor, offsets: Tensor | None = None, lengths: Tensor | None = None, jagged_dim: int | None = None,
    min_seqlen: int | None = None, max_seqlen: int | None = None,
) -> Tensor:  # fmt: skip
    """Make a nested tensor over packed values, without copying them.

    Args:
        values: (sum of lengths, ...), or with ``jagged_dim`` the packed dimension at another place.
        offsets: (B + 1,) integers, where each entry starts and the last one ends.
        lengths: (B,) integers. With ``offsets``, entries may leave holes between them; without, ``offsets`` are their
            sums.
        jagged_dim: the ragged dimension of the result; 1 by default.
        min_seqlen: the shortest length, if known.
        max_seqlen: the longest length, if known.

    Raises:
        RuntimeError: without ``offsets`` and ``lengths``.
        TypeError: if ``values`` is no tensor.

    >>> nt = torch.nested.nested_tensor_from_jagged(torch.arange(5), torch.tensor([0, 2, 5]))
    >>> nt.unbind()
    (tensor([0, 1]), tensor([2, 3, 4]))
    """
    from ._jagged import NestedTensor

    if offsets is None and lengths is None:
        raise RuntimeError("nested_tensor_from_jagged(): At least one of offsets or lengths is required.")
    if not isinstance(values, Tensor):
        raise TypeError(
            f"_nested_view_from_jagged(): argument 'input' (position 1) must be Tensor, not {type(values).__name__}"
        )
    if offsets is None:
        offsets, lengths = F.pad(lengths.cumsum(0), (1, 0)), None
    dim = 1 if jagged_dim is None else jagged_dim
    return NestedTensor(values, offsets, lengths=lengths, ragged_idx=dim, min_seqlen=min_seqlen, max_seqlen=max_seqlen)


def narrow(
    tensor: Tensor, dim: int, start: int | Tensor, length: int | Tensor, layout: torch.layout = torch.strided
) -> Tensor:
    """Select from each row of a batch a range of its own; a view.

    Args:
        tensor: (B, L, ...).
        dim: 1.
        start: the first position, a number or (B,).
        length: how many, a number or (B,).
        layout: ``torch.jagged``; in the strided layout, entries are selected.

    Raises:
        RuntimeError: for another ``dim`` than 1 (than 0 in the strided layout, which takes numbers only), and for
            ranges that leave the dimension.

    >>> rows = torch.arange(6).reshape(2, 3)
    >>> torch.nested.narrow(rows, 1, torch.tensor([0, 1]), torch.tensor([1, 2]), layout=torch.jagged).unbind()
    (tensor([0]), tensor([4, 5]))
    """
    from ._jagged import NestedTensor

    if not _is_jagged(layout):
        if not isinstance(start, int) or not isinstance(length, int):
            raise RuntimeError("start and length must be integers for the strided layout NT impl")
        if dim != 0:
            raise RuntimeError(f"narrow(): only dim=0 supported for nested tensors, but got: {dim}")
        return as_nested_tensor(list(tensor.unbind()[start : start + length]))
    if not isinstance(start, (int, SymInt, Tensor)):
        raise RuntimeError("start must be an integer or a tensor")
    if not isinstance(length, (int, SymInt, Tensor)):
        raise RuntimeError("length must be an integer or a tensor")
    if dim != 1:
        raise RuntimeError("jagged layout only supports dim=1")
    batch, longest = tensor.shape[:2]
    starts = torch.as_tensor(start, dtype=torch.int64, device=tensor.device).expand(batch)
    lengths = torch.as_tensor(length, dtype=torch.int64, device=tensor.device).expand(batch)
    if bool((starts < 0).any()) or bool((lengths < 0).any()) or bool((starts + lengths > longest).any()):
        raise RuntimeError(f"narrow(): start and start + length must lie in 0 to {longest}, the size of dimension 1")
    begin = torch.arange(batch, device=tensor.device) * longest + starts
    offsets = torch.cat([begin, (begin + lengths)[-1:]])
    return NestedTensor(tensor.flatten(0, 1), offsets, lengths=lengths.contiguous())


def masked_select(tensor: Tensor, mask: Tensor) -> Tensor:
    """Select from each row of a matrix the elements where the mask is true.

    Args:
        tensor: (B, L).
        mask: bool, of a shape that broadcasts with (B, L).

    Raises:
        RuntimeError: for another layout than strided, and for masks that are not bool.

    >>> torch.nested.masked_select(torch.tensor([[1, 2], [3, 4]]), torch.tensor([[True, True], [False, True]])).unbind()
    (tensor([1, 2]), tensor([4]))
    """
    from ._jagged import NestedTensor

    if tensor.layout != torch.strided:
        raise RuntimeError(f"torch.nested.masked_select requires a strided tensor, given {tensor.layout}")
    if mask.layout != torch.strided:
        raise RuntimeError(f"torch.nested.masked_select requires a strided mask, given: {mask.layout}")
    data, keep = torch.broadcast_tensors(tensor, mask)
    if data.dim() != 2:
        raise RuntimeError(f"masked_select only support 2-D selections currently\nThe shape is {tuple(data.shape)}")
    offsets = F.pad(keep.sum(1).cumsum(0), (1, 0))
    return NestedTensor(data.masked_select(keep), offsets)


def to_padded_tensor(
    input: Tensor, padding: float, output_size: Sequence[int] | None = None, out: Any = None
) -> Tensor:
    """Make a dense tensor that has the longest entry's size, with ``padding`` behind the shorter ones.

    Args:
        input: a nested tensor of shape (B, ..., j1, ...).
        padding: the number to fill with.
        output_size: the shape of the result; a shorter ragged size cuts the entries.
        out: not supported.

    Raises:
        RuntimeError: for tensors that are not nested, or have holes, and for an ``output_size`` that does not fit.

    >>> nt = torch.nested.nested_tensor([[1, 2], [3]], layout=torch.jagged)
    >>> torch.nested.to_padded_tensor(nt, 0)
    tensor([[1, 2],
            [3, 0]])
    """
    if not input.is_nested:
        raise RuntimeError("to_padded_tensor expects a nested tensor")
    if out is not None:
        raise RuntimeError("to_padded_tensor(): out= is not supported for nested tensors")
    return input.to_padded_tensor(padding, output_size)
