"""Checks of the functions and values that operations on functions take."""

from __future__ import annotations

import torch
from torch.utils import _pytree as pytree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def tracer_of_mode() -> Any:
    """The tracer that records torch functions now, or None."""
    from torch.fx.experimental._program_trace import current_tracer

    return current_tracer()


def check_operands(operands: Any) -> None:
    """RuntimeError unless the operands are tensors and integers in nested containers."""
    if not isinstance(operands, (tuple, list)) or any(
        not isinstance(t, (torch.Tensor, int, torch.SymInt)) for t in pytree.tree_leaves(operands)
    ):
        raise RuntimeError(
            "Expect operands to be a tuple of possibly nested dict/list/tuple that only consists of tensor leaves, but "
            f"got {operands}."
        )


def same_structure(what: str, first: Any, second: Any) -> None:
    """RuntimeError unless two results have the same nesting, sizes and dtypes."""
    leaves, spec = pytree.tree_flatten(first)
    others, other_spec = pytree.tree_flatten(second)
    if spec != other_spec:
        raise RuntimeError(f"Unmatched output spec from {what}: {spec} vs {other_spec}")
    for a, b in zip(leaves, others, strict=True):
        if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
            if a.dtype != b.dtype or a.shape != b.shape:
                raise RuntimeError(
                    f"Expected the results of {what} to agree in size and dtype, but got {tuple(a.shape)} of {a.dtype} "
                    f"and {tuple(b.shape)} of {b.dtype}"
                )
