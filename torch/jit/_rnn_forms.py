"""Functions of ``torch.nn.utils.rnn`` in TorchScript's language; compiled, never run."""

from typing import List, Optional, Tuple  # noqa: UP035  the language's own names

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

# ruff: noqa: UP006, UP007, UP045


def invert_permutation(permutation: Optional[Tensor]) -> Optional[Tensor]:
    if permutation is None:
        return None
    output = torch.empty_like(permutation)
    output.scatter_(0, permutation, torch.arange(0, permutation.numel(), device=permutation.device))
    return output


def pack_padded_sequence(
    input: Tensor, lengths: Tensor, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    order: Optional[Tensor] = None
    if not enforce_sorted:
        lengths, places = torch.sort(lengths, descending=True)
        order = places.to(input.device)
        input = input.index_select(0 if batch_first else 1, order)
    data, batch_sizes = torch.ops.aten._pack_padded_sequence(input, lengths, batch_first)
    return PackedSequence(data, batch_sizes, order, invert_permutation(order))


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: Optional[int] = None
) -> Tuple[Tensor, Tensor]:
    length = sequence.batch_sizes.size(0)
    if total_length is not None:
        if total_length < length:
            raise ValueError(
                "Expected total_length to be at least the length of the longest sequence in input, but got "
                f"total_length={total_length} and max sequence length being {length}"
            )
        length = total_length
    output, lengths = torch.ops.aten._pad_packed_sequence(
        sequence.data, sequence.batch_sizes, batch_first, padding_value, length
    )
    order = sequence.unsorted_indices
    if order is not None:
        return output.index_select(0 if batch_first else 1, order), lengths[order.cpu()]
    return output, lengths


def pad_sequence(
    sequences: List[Tensor], batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right"
) -> Tensor:
    return torch.ops.aten.pad_sequence(sequences, batch_first, padding_value, padding_side)
