"""Branches and loops: their graphs stand inside the node; values from outside are seen there."""

from __future__ import annotations

from typing import Any

import torch

from .._builder import Builder, Value
from ._registry import form


@form("higher_order.cond")
def cond(b: Builder, predicate: Value, yes: Any, no: Any, operands: Any) -> Any:
    graphs = [part(operands) for part in (yes, no)]
    made = b.op("If", b.cast(predicate, torch.bool), then_branch=graphs[0], else_branch=graphs[1],
                outputs=max(len(graphs[0].outputs), 2))  # fmt: skip
    return _trimmed(b, made, graphs[0])


def _trimmed(b: Builder, made: Any, graph: Any) -> Any:
    """The results of a node with a graph, of which there may be one."""
    count = len(graph.outputs)
    del b.nodes[-1].outputs[count:]
    found = list(made)[:count]
    for value, inner in zip(found, graph.outputs, strict=True):
        value.dtype, value.shape = inner.dtype, inner.shape
    return tuple(found)


@form("higher_order.wrap_with_set_grad_enabled")
def wrapped(b: Builder, enabled: bool, part: Any, *operands: Any) -> Any:
    return tuple(part.inline(operands))


@form("higher_order.while_loop")
def while_loop(b: Builder, condition: Any, body: Any, carried: Any, extra: Any) -> Any:
    first = condition.inline([*carried, *extra])
    graph = body.loop(condition, carried, extra)
    made = b.op("Loop", None, b.cast(first[0], torch.bool), *carried, body=graph, outputs=max(len(carried), 2))
    del b.nodes[-1].outputs[len(carried) :]
    found = list(made)[: len(carried)]
    for value, start in zip(found, carried, strict=True):
        value.dtype, value.shape = start.dtype, start.shape
    return tuple(found)
