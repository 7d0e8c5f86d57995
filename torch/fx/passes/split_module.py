"""Cutting a graph into parts, each of which becomes a submodule."""

from __future__ import annotations

import copy
import operator

import torch

from ..graph import Graph
from ..graph_module import GraphModule, _assign_attr, _get_attr
from ..node import Node, map_arg

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["Partition", "split_module", "split_module_simple"]


class Partition:
    """A part: its nodes, what it takes from others and what others take from it."""

    def __init__(self, name: str) -> None:
        self.name, self.submod_name = name, f"submod_{name}"
        self.node_names: list[str] = []
        self.inputs: dict[str, None] = {}
        self.outputs: dict[str, None] = {}
        self.dependencies: dict[str, None] = {}
        self.dependents: dict[str, None] = {}
        self.graph = Graph()
        self.environment: dict[Node, Node] = {}
        self.targets: dict[str, Any] = {}

    def __repr__(self) -> str:
        return (
            f"name: {self.name},\n nodes: {self.node_names},\n inputs: {list(self.inputs)},\n outputs: "
            f"{list(self.outputs)},\n partitions depended on: {list(self.dependencies)},\n partition dependents: "
            f"{list(self.dependents)}"
        )


def split_module(
    m: GraphModule,
    root_m: torch.nn.Module,
    split_callback: Callable[[Node], int],
    qualname_map: dict[str, str] | None = None,
    keep_original_order: bool | None = False,
    keep_original_node_name: bool | None = False,
    keep_original_input_name: bool = True,
    *,
    partition_affix: str | None = None,
    tuple_return: bool = False,
) -> GraphModule:
    """A module that calls one submodule for each part of the graph.

    Args:
        m: the module.
        root_m: accepted; the parts' submodules are taken from ``m``.
        split_callback: gives the number of the part for a node.
        qualname_map: gets, for each path in the new module, the one in the old.
        keep_original_order: run the parts in the order in which they begin in the graph.
        partition_affix: stands in the names of the parts before their number.
        tuple_return: let each part return a tuple, even of one value.

    Raises:
        RuntimeError: two parts need each other.

    >>> from torch.fx.passes.split_module import split_module
    >>> gm = torch.fx.symbolic_trace(lambda x: x.sin().cos())
    >>> split = split_module(gm, None, lambda node: int(node.name == "cos"))
    >>> [n.name for n in split.graph.nodes]
    ['x', 'submod_0', 'submod_1', 'output']
    """
    del root_m, keep_original_input_name
    partitions: dict[str, Partition] = {}
    part_of: dict[Node, Partition] = {}
    nodes = {n.name: n for n in m.graph.nodes}
    for node in m.graph.nodes:
        if node.op in ("placeholder", "get_attr", "output"):
            continue
        number = str(split_callback(node))
        name = f"{partition_affix}_{number}" if partition_affix else number
        part = partitions.setdefault(name, Partition(name))
        part.node_names.append(node.name)
        part_of[node] = part
    for node in m.graph.nodes:
        mine = part_of.get(node)
        for arg in node.all_input_nodes:
            theirs = part_of.get(arg)
            if mine is theirs:
                continue
            if theirs is not None:
                theirs.outputs.setdefault(arg.name)
            if mine is not None:
                mine.inputs.setdefault(arg.name)
                if theirs is not None:
                    mine.dependencies.setdefault(theirs.name)
                    theirs.dependents.setdefault(mine.name)
    order = _order(partitions, bool(keep_original_order), m)
    for name in order:
        _fill(partitions[name], nodes, m, qualname_map, bool(keep_original_node_name))
    return _assemble(m, partitions, order, nodes, part_of, tuple_return)


def _order(partitions: dict[str, Partition], original: bool, m: GraphModule) -> list[str]:
    """The parts, each after those that it needs."""
    waiting = {name: set(p.dependencies) for name, p in partitions.items()}
    first = {name: i for i, name in enumerate(partitions)}
    done: list[str] = []
    while waiting:
        ready = [name for name, needs in waiting.items() if not needs]
        if not ready:
            raise RuntimeError("cycle exists between partitions!")
        chosen = min(ready, key=first.__getitem__) if original else ready[0]
        done.append(chosen)
        del waiting[chosen]
        for needs in waiting.values():
            needs.discard(chosen)
    return done


def _fill(part: Partition, nodes: dict[str, Node], m: GraphModule, names: Any, keep_names: bool) -> None:
    """Copy a part's nodes into a graph of its own."""
    for name in part.inputs:
        source = nodes[name]
        made = part.graph.placeholder(name, type_expr=source.type)
        made.meta = copy.copy(source.meta)
        part.environment[source] = made
    for name in part.node_names:
        node = nodes[name]
        local = node.target
        if node.op == "call_module":
            local = node.target.replace(".", "_")
            part.targets[local] = _get_attr(m, node.target)
            if names is not None:
                names[f"{part.submod_name}.{local}"] = node.target
        made = part.graph.create_node(
            node.op, local, map_arg(node.args, part.environment.__getitem__),
            dict(map_arg(node.kwargs, part.environment.__getitem__)), node.name if keep_names else None, node.type,
        )  # fmt: skip
        made.meta = copy.copy(node.meta)
        part.environment[node] = made


def _assemble(
    m: GraphModule, partitions: dict[str, Partition], order: list[str], nodes: dict[str, Node],
    part_of: dict[Node, Partition], tuple_return: bool,
) -> GraphModule:  # fmt: skip
    root = torch.nn.Module()
    graph = Graph()
    values: dict[Node, Node] = {}
    for node in m.graph.nodes:
        if node.op == "placeholder":
            values[node] = graph.node_copy(node)
        elif node.op == "get_attr":
            values[node] = graph.node_copy(node)
            _assign_attr(_get_attr(m, node.target), root, node.target)
    for name in order:
        part = partitions[name]
        outputs = [part.environment[nodes[o]] for o in part.outputs]
        single = len(outputs) == 1 and not tuple_return
        part.graph.output(outputs[0] if single else tuple(outputs))
        root.add_module(part.submod_name, GraphModule(part.targets, part.graph))
        call = graph.call_module(part.submod_name, tuple(values[nodes[i]] for i in part.inputs))
        for i, output in enumerate(part.outputs):
            if single:
                values[nodes[output]] = call
                call.meta = copy.copy(nodes[output].meta)
                continue
            values[nodes[output]] = graph.call_function(operator.getitem, (call, i))
            values[nodes[output]].meta = copy.copy(nodes[output].meta)
    output = m.graph.output_node()
    graph.output(map_arg(output.args[0], lambda n: values[n]), type_expr=output.type)
    return GraphModule(root, graph)


def split_module_simple(
    m: GraphModule, node_to_partition: dict[Node, int], *, partition_affix: str | None = None
) -> GraphModule:
    """``split_module`` by a table from node to part; each part returns a tuple."""
    return split_module(m, m, node_to_partition.__getitem__, partition_affix=partition_affix, tuple_return=True)
