"""The nodes that one call of a module or function became."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...graph import Graph
from ...node import Node

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["SourcePartition", "check_subgraphs_connected", "get_source_partitions"]


@dataclass
class SourcePartition:
    """The nodes of one source, what goes in and out, and the attributes that they read."""

    nodes: list[Node]
    source: Any
    input_nodes: list[Node] = field(default_factory=list)
    output_nodes: list[Node] = field(default_factory=list)
    params: list[Node] = field(default_factory=list)


def get_source_partitions(
    graph: Graph, wanted_sources: list[Any], filter_fn: Callable[[Node], bool] | None = None
) -> dict[Any, list[SourcePartition]]:
    """For each source, the groups of nodes that come from it.

    A source is a class of modules or a function; nodes say theirs in ``meta["source_fn_stack"]`` or ``"torch_fn"``.
    """
    groups: dict[Any, dict[str, list[Node]]] = {}
    for node in graph.nodes:
        stack = node.meta.get("source_fn_stack")
        if stack:
            name, source = stack[-1]
        elif "torch_fn" in node.meta:
            name, source = node.meta["torch_fn"]
        else:
            continue
        for wanted in wanted_sources:
            if source == wanted or (
                isinstance(source, str) and source.rpartition(".")[2] == getattr(wanted, "__name__", "")
            ):
                groups.setdefault(wanted, {}).setdefault(name, []).append(node)
    return {
        source: [
            _partition(nodes, source) for nodes in found.values() if filter_fn is None or all(map(filter_fn, nodes))
        ]
        for source, found in groups.items()
    }


def _partition(nodes: list[Node], source: Any) -> SourcePartition:
    inside = set(nodes)
    inputs: dict[Node, None] = {}
    params: dict[Node, None] = {}
    for node in nodes:
        for arg in node.all_input_nodes:
            if arg not in inside:
                inputs[arg] = None
                if arg.op == "get_attr":
                    params[arg] = None
    outputs = [n for n in nodes if any(u not in inside for u in n.users)]
    return SourcePartition(nodes, source, [n for n in inputs if n not in params], outputs, list(params))


def check_subgraphs_connected(subgraph1: SourcePartition, subgraph2: SourcePartition) -> bool:
    """Whether a node of the second uses one of the first."""
    first = set(subgraph1.nodes)
    return any(arg in first for node in subgraph2.nodes for arg in node.all_input_nodes)
