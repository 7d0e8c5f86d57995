"""Putting nodes of a graph into a submodule."""

from __future__ import annotations

import copy
import operator

from ...graph import Graph
from ...graph_module import GraphModule
from ...node import Node
from .common import lift_subgraph_as_module

__all__ = [
    "erase_nodes",
    "fuse_as_graphmodule",
    "fuse_by_partitions",
    "insert_subgm",
    "topo_sort",
    "validate_partition",
]


def topo_sort(nodes: list[Node]) -> list[Node]:
    """The nodes in the order of their graph."""
    return sorted(nodes)


def validate_partition(partition: list[Node]) -> bool:
    """Whether the nodes can be one: no way leads out of them and back."""
    inside = set(partition)
    front = [u for n in partition for u in n.users if u not in inside]
    seen: set[Node] = set()
    while front:
        node = front.pop()
        if node in seen:
            continue
        seen.add(node)
        if node in inside:
            return False
        front.extend(node.users)
    return True


def fuse_as_graphmodule(
    gm: GraphModule,
    nodes: list[Node],
    module_name: str,
    partition_lookup_table: dict[Node, int | None] | None = None,
    *,
    always_return_tuple: bool = False,
) -> tuple[GraphModule, tuple[Node, ...], tuple[Node, ...]]:
    """A module for some nodes of a graph; also what its inputs and outputs are there.

    Raises:
        AssertionError: the nodes are of another graph, or cannot be one.
    """
    for node in nodes:
        if node.graph.owning_module is not gm:
            raise AssertionError(f"{node} doesn't belong to passed in graph module {gm._get_name()}")
    if not validate_partition(nodes):
        raise AssertionError("Invalid partition, found dependency cycles")
    inside = set(nodes)
    graph = Graph()
    inputs: dict[Node, Node] = {}
    values: dict[Node, Node] = {}

    def value(node: Node) -> Node:
        if node in inside:
            return values[node]
        if node.op == "get_attr" and node not in inputs:
            inputs.setdefault(node, graph.placeholder(node.name, type_expr=node.type))
        if node not in inputs:
            inputs[node] = graph.placeholder(node.name, type_expr=node.type)
            inputs[node].meta = copy.copy(node.meta)
        return inputs[node]

    for node in nodes:
        values[node] = graph.node_copy(node, value)
    outputs = {n: values[n] for n in nodes if any(u not in inside for u in n.users)}
    made = tuple(outputs.values())
    graph.output(made[0] if len(made) == 1 and not always_return_tuple else made)
    _inputs_first(graph)
    module, _ = lift_subgraph_as_module(gm, graph, comp_name="", class_name=module_name)
    return module, tuple(inputs), tuple(outputs)


def _inputs_first(graph: Graph) -> None:
    """Move the inputs, which appeared where they were first used, to the front."""
    last = graph._root
    for node in [n for n in graph.nodes if n.op == "placeholder"]:
        last.append(node)
        last = node


def insert_subgm(
    gm: GraphModule,
    sub_gm: GraphModule,
    orig_inputs: tuple[Node, ...],
    orig_outputs: tuple[Node, ...],
    insertion_point: Node | None = None,
) -> GraphModule:
    """Call a module in a graph, in place of the nodes that ``orig_outputs`` are."""
    name = type(sub_gm).__name__
    gm.add_submodule(name, sub_gm)
    if insertion_point is None:
        after = max(orig_outputs) if orig_outputs else gm.graph.output_node().prev
        point = gm.graph.inserting_after(after)
    else:
        point = gm.graph.inserting_before(insertion_point)
    with point:
        call = gm.graph.call_module(name, args=orig_inputs)
    returned = sub_gm.graph.output_node().args[0]
    if not isinstance(returned, tuple):
        (output,) = orig_outputs
        output.replace_all_uses_with(call)
        call.meta = copy.copy(output.meta)
        return gm
    with gm.graph.inserting_after(call):
        for i, output in reversed(list(enumerate(orig_outputs))):
            item = gm.graph.call_function(operator.getitem, (call, i))
            output.replace_all_uses_with(item)
            item.meta = copy.copy(output.meta)
    return gm


def erase_nodes(gm: GraphModule, nodes: list[Node]) -> None:
    """Erase nodes that nobody uses any more, the last ones first."""
    for node in reversed(nodes):
        gm.graph.erase_node(node)


def fuse_by_partitions(
    gm: GraphModule,
    partitions: list[dict[Node, int | None]],
    prefix: str = "fused_",
    always_return_tuple: bool = False,
) -> GraphModule:
    """The module with a submodule ``PREFIX`` and number for each set of nodes."""
    from ..tools_common import legalize_graph

    for number, nodes in enumerate(partitions):
        ordered = topo_sort(list(nodes))
        module, inputs, outputs = fuse_as_graphmodule(
            gm, ordered, f"{prefix}{number}", always_return_tuple=always_return_tuple
        )
        insert_subgm(gm, module, inputs, outputs)
        erase_nodes(gm, ordered)
    legalize_graph(gm)
    return gm
