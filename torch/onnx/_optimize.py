"""Simplification of a graph: what computes nothing goes, what is known is computed."""

from __future__ import annotations

from typing import Any

import torch

from ._builder import Builder, Node, Value

__all__ = ["optimize", "remove_unused"]

# Results of more elements than this are not stored instead of computed, unless their input is stored anyway.
_LARGEST = 2**16


def optimize(b: Builder) -> None:
    """Compute operations on known values, and leave out identities and what nobody uses."""
    _fold(b)
    _skip_identities(b)
    remove_unused(b)


def _inner(node: Node) -> list[Builder]:
    return [v for v in node.attributes.values() if isinstance(v, Builder)]


def _used(b: Builder, found: set[int]) -> None:
    for node in b.nodes:
        found |= {id(v) for v in node.inputs if v is not None}
        for graph in _inner(node):
            found |= {id(v) for v in graph.outputs}
            _used(graph, found)


def remove_unused(b: Builder) -> None:
    """Leave out operations and weights whose values nobody uses."""
    while True:
        found: set[int] = {id(v) for v in b.outputs}
        _used(b, found)
        kept = [n for n in b.nodes if any(id(v) in found for v in n.outputs)]
        if len(kept) == len(b.nodes):
            break
        b.nodes = kept
    b.weights = {name: v for name, v in b.weights.items() if id(v) in found}


def _fold(b: Builder) -> None:
    for node in list(b.nodes):
        rule = _RULES.get(node.kind) if not node.domain and len(node.outputs) == 1 else None
        given = [None if v is None else v.constant for v in node.inputs]
        if rule is None or any(v is None for v in given):
            continue
        made = rule(*given, **node.attributes)
        stored = max((t.numel() for t in given if t is not None), default=0)
        if made is None or (made.numel() > _LARGEST and made.numel() > stored):
            continue
        value = node.outputs[0]
        value.constant, value.dtype, value.shape = made.contiguous(), made.dtype, tuple(made.shape)
        b.top.weights[value.name] = value
        b.nodes.remove(node)
        if value in b.outputs:
            b.nodes.append(Node("Identity", "", [value], [_renamed(b, value)], {}, b.name(f"node_{value.name}")))


def _renamed(b: Builder, value: Value) -> Value:
    """Another value with the name of one that becomes a weight, as a result of the model."""
    made = Value(value.name, value.dtype, value.shape)
    del b.top.weights[value.name]
    value.name = b.name("val_constant")
    b.top.weights[value.name] = value
    b.outputs[b.outputs.index(value)] = made
    return made


def _skip_identities(b: Builder) -> None:
    results = {id(v) for v in b.outputs}
    other: dict[int, Value] = {}
    for node in list(b.nodes):
        if node.kind == "Identity" and id(node.outputs[0]) not in results and node.inputs[0] is not None:
            other[id(node.outputs[0])] = node.inputs[0]
            b.nodes.remove(node)

    def now(v: Value | None) -> Value | None:
        while v is not None and id(v) in other:
            v = other[id(v)]
        return v

    def replace(graph: Builder) -> None:
        for node in graph.nodes:
            node.inputs = [now(v) for v in node.inputs]
            for inner in _inner(node):
                replace(inner)

    replace(b)


def _cast(x: torch.Tensor, to: int) -> torch.Tensor:
    from ._enums import ELEMENT_TYPES

    return x.to(next(d for d, number in ELEMENT_TYPES.items() if number == to))


def _slice(x: torch.Tensor, starts: Any, ends: Any, axes: Any = None, steps: Any = None) -> torch.Tensor | None:
    if steps is not None and min(steps.tolist()) < 1:
        return None
    dims = axes.tolist() if axes is not None else range(len(starts))
    by = steps.tolist() if steps is not None else [1] * len(starts)
    for dim, start, end, step in zip(dims, starts.tolist(), ends.tolist(), by, strict=True):
        index: list[Any] = [slice(None)] * x.dim()
        index[dim] = slice(start, min(end, 2**62), step)
        x = x[tuple(index)]
    return x


def _unsqueeze(x: torch.Tensor, axes: torch.Tensor) -> torch.Tensor:
    for dim in sorted(axes.tolist()):
        x = x.unsqueeze(dim)
    return x


def _squeeze(x: torch.Tensor, axes: torch.Tensor) -> torch.Tensor:
    return x.squeeze(tuple(axes.tolist()))


def _reshape(x: torch.Tensor, sizes: torch.Tensor, allowzero: int = 0) -> torch.Tensor | None:
    return None if 0 in sizes.tolist() else x.reshape(sizes.tolist())


def _whole_division(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return x / y if x.is_floating_point() else torch.div(x, y, rounding_mode="trunc")


_RULES: dict[str, Any] = {
    "Transpose": lambda x, perm: x.permute(perm),
    "Unsqueeze": _unsqueeze,
    "Squeeze": _squeeze,
    "Concat": lambda *parts, axis: torch.cat(parts, axis),
    "Cast": _cast,
    "Reshape": _reshape,
    "Slice": _slice,
    "Add": torch.add,
    "Sub": torch.sub,
    "Mul": torch.mul,
    "Div": _whole_division,
    "Neg": torch.neg,
    "Not": torch.logical_not,
    "Sqrt": torch.sqrt,
    "Less": torch.lt,
    "Greater": torch.gt,
    "Equal": torch.eq,
    "Where": torch.where,
    "Expand": lambda x, sizes: torch.broadcast_to(x, torch.broadcast_shapes(x.shape, tuple(sizes.tolist()))),
    "Range": lambda a, b, c: torch.arange(a.item(), b.item(), c.item(), dtype=a.dtype),
}
