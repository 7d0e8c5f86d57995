"""Indexing in traces: ``x[1:, None, mask]`` as the operations that PyTorch makes of it."""

from __future__ import annotations

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._trace_record import Recorder

__all__ = ["traced_getitem", "traced_setitem"]

_END = 9223372036854775807


def _is_listed(index: Any) -> bool:
    """Whether an index picks elements one by one."""
    if isinstance(index, torch.Tensor):
        return index.dim() > 0 or index.dtype in (torch.bool, torch.uint8)
    return isinstance(index, (list, bool)) or type(index).__name__ == "ndarray"


def _call(r: Recorder, overload: Any, bound: list[Any]) -> torch.Tensor:
    """Run and note an operation."""
    node = r.node(overload, bound)
    positional = [v for a, v in zip(overload._schema.arguments, bound, strict=True) if not a.kwarg_only]
    result: torch.Tensor = overload(*positional)
    r.results(node, overload._schema, result)
    return result


def _as_tensor(index: Any, device: Any) -> torch.Tensor:
    if isinstance(index, torch.Tensor):
        return index
    return torch.as_tensor(index, device=device)


def _number(r: Recorder, value: Any) -> Any:
    """A bound or a place: traced where it comes from a tensor."""
    if isinstance(value, torch.Tensor):
        known = r.values.get(id(value))
        return int(value) if known is None else r.numbers(value)
    return value


def _views(r: Recorder, x: torch.Tensor, index: Any) -> tuple[torch.Tensor, list[Any]]:
    """Do the part of an indexing that makes views; the tensor that is left, and the lists of places in it."""
    items = list(index) if isinstance(index, tuple) else [index]
    aten = torch.ops.aten
    taken = sum(
        (i.dim() if isinstance(i, torch.Tensor) and i.dtype in (torch.bool, torch.uint8) else 1)
        for i in items
        if i is not None and i is not Ellipsis and not isinstance(i, bool)
    )
    if any(i is Ellipsis for i in items):
        at = next(n for n, i in enumerate(items) if i is Ellipsis)
        rest = [i for n, i in enumerate(items[at + 1 :])]
        items = [*items[:at], *([slice(None)] * (x.dim() - taken)), *[i for i in rest if i is not Ellipsis]]
        explicit = {n for n in range(len(items)) if n < at or n >= at + x.dim() - taken}
    else:
        explicit = set(range(len(items)))
    listed: list[Any] = []
    dim = 0
    for number, item in enumerate(items):
        if item is None:
            x = _call(r, aten.unsqueeze.default, [x, dim])
            dim += 1
        elif isinstance(item, slice):
            # PyTorch leaves a slice of everything out only where it stands for an ellipsis.
            if number in explicit:
                start, stop, step = (_number(r, v) for v in (item.start, item.stop, item.step))
                start, stop, step = 0 if start is None else start, _END if stop is None else stop, step or 1
                x = _call(r, aten.slice.Tensor, [x, dim, start, stop, step])
            dim += 1
        elif isinstance(item, bool) or _is_listed(item):
            if isinstance(item, bool):
                x = _call(r, aten.unsqueeze.default, [x, dim])
                tensor = torch.full((1,), item, dtype=torch.bool)
            else:
                tensor = _as_tensor(item, x.device)
            listed.extend([None] * (dim - len(listed)))
            listed.append(tensor)
            dim += tensor.dim() if tensor.dtype in (torch.bool, torch.uint8) else 1
            listed.extend([None] * (dim - len(listed)))
            while listed and listed[-1] is None and len(listed) > dim:
                listed.pop()
        else:
            x = _call(r, aten.select.int, [x, dim, _number(r, item)])
    return x, _trimmed(listed)


def _trimmed(listed: list[Any]) -> list[Any]:
    """A mask of two dimensions is one entry of the list."""
    made: list[Any] = []
    skip = 0
    for entry in listed:
        if skip:
            skip -= 1
            continue
        made.append(entry)
        if isinstance(entry, torch.Tensor) and entry.dtype in (torch.bool, torch.uint8):
            skip = entry.dim() - 1
    return made


def traced_getitem(r: Recorder, func: Any, args: Any) -> Any:
    """``x[index]``."""
    x, index = args
    r._name_arguments(func, args, {})
    before = len(r.scope.items)
    left, listed = _views(r, x, index)
    if listed:
        result: torch.Tensor = func(left, tuple(slice(None) if t is None else t for t in listed))
        overload = torch.ops.aten.index.Tensor
        node = r.node(overload, [left, listed])
        r.results(node, overload._schema, result)
        return result
    if len(r.scope.items) == before:
        result = func(x, index)
        overload = torch.ops.aten.alias.default
        r.results(r.node(overload, [x]), overload._schema, result)
        return result
    return left


def _value_tensor(r: Recorder, value: Any, x: torch.Tensor) -> torch.Tensor:
    if isinstance(value, torch.Tensor):
        return value
    return torch.as_tensor(value, dtype=x.dtype, device=x.device)


def traced_setitem(r: Recorder, func: Any, args: Any) -> None:
    """``x[index] = value``."""
    x, index, value = args
    r._name_arguments(func, args, {})
    aten = torch.ops.aten
    left, listed = _views(r, x, index)
    tensor = _value_tensor(r, value, left)
    if listed:
        overload, bound = aten.index_put_.default, [left, listed, tensor, False]
        node = r.node(overload, bound)
        left[tuple(slice(None) if t is None else t for t in listed)] = tensor
    elif not isinstance(value, torch.Tensor):
        overload = aten.fill_.Tensor
        node = r.node(overload, [left, tensor])
        left.fill_(tensor)
    else:
        if tensor.dim() > left.dim():
            tensor = _call(r, aten.view.default, [tensor, list(tensor.shape[tensor.dim() - left.dim() :])])
        overload = aten.copy_.default
        node = r.node(overload, [left, tensor, False])
        left.copy_(tensor)
    r.results(node, overload._schema, left)

