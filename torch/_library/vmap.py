"""Operations written in Python under ``vmap``: by their rule, or one example after the other."""

from __future__ import annotations

import torch
from torch.utils import _pytree as pytree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .operation import Operation


def is_mapped(tensors: tuple[torch.Tensor, ...]) -> bool:
    """Whether one of the tensors is an example of a running ``vmap``."""
    return bool(torch._C._vmap_depth()) and any(torch._C._vmap_parts(t) is not None for t in tensors)


def mapped(operation: Operation, values: list[Any]) -> Any:
    """Run the operation on whole batches, at the innermost level that its arguments have."""
    leaves, spec = pytree.tree_flatten(values)
    parts = [torch._C._vmap_parts(leaf) if isinstance(leaf, torch.Tensor) else None for leaf in leaves]
    level = max(part[2] for part in parts if part is not None)
    parts = [part if part is not None and part[2] == level else None for part in parts]
    size, randomness = torch._C._vmap_level(level)
    if operation.vmap is None:
        return _one_by_one(operation, leaves, spec, parts, level, size)
    batches = spec.unflatten([leaf if part is None else part[0] for leaf, part in zip(leaves, parts, strict=True)])
    dims = spec.unflatten([None if part is None else part[1] for part in parts])
    args, kwargs = operation.split(batches, all_of_them=True)
    from torch.autograd._function_vmap import VmapInfo

    result, out_dims = operation.vmap(VmapInfo(size, randomness), tuple(dims[: len(args)]), *args, **kwargs)
    found, result_spec = pytree.tree_flatten(result)
    spread = pytree._broadcast_to_and_flatten(out_dims, result_spec, is_leaf=lambda x: x is None or isinstance(x, int))
    if spread is None:
        raise RuntimeError(
            f"{operation.overload}: the vmap rule returned out_dims {out_dims} that do not fit its result"
        )
    return result_spec.unflatten(
        [t if dim is None else torch._C._vmap_example(t, dim, level) for t, dim in zip(found, spread, strict=True)]
    )


def _one_by_one(
    operation: Operation, leaves: list[Any], spec: pytree.TreeSpec, parts: list[Any], level: int, size: int
) -> Any:
    rows, result_spec = [], None
    for i in range(size):
        example = [
            leaf if part is None else part[0].select(part[1], i) for leaf, part in zip(leaves, parts, strict=True)
        ]
        args, kwargs = operation.split(spec.unflatten(example), all_of_them=True)
        row, result_spec = pytree.tree_flatten(operation.call(*args, **kwargs))
        rows.append(row)
    if result_spec is None:
        raise RuntimeError(f"{operation.overload}: vmap over a batch of size 0 needs register_vmap")
    columns = [
        torch._C._vmap_example(torch.stack(column), 0, level) if isinstance(column[0], torch.Tensor) else column[0]
        for column in zip(*rows, strict=True)
    ]
    return result_spec.unflatten(columns)
