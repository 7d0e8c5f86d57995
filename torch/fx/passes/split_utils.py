"""Cutting a graph by the tags of its nodes."""

from __future__ import annotations

import copy
import operator
from dataclasses import dataclass, field

import torch

from ..graph import Graph
from ..graph_module import GraphModule
from ..node import Node, map_arg
from .tools_common import CALLABLE_NODE_OPS, is_node_output_tensor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .splitter_base import Subgraph

__all__ = ["Component", "getattr_recursive", "move_non_tensor_nodes_on_boundary", "setattr_recursive", "split_by_tags"]


def getattr_recursive(obj: Any, name: str) -> Any:
    """The attribute at a path; None where it ends early."""
    for part in name.split("."):
        if not hasattr(obj, part):
            return None
        obj = getattr(obj, part)
    return obj


def setattr_recursive(obj: Any, attr: str, value: object) -> None:
    """Set the attribute at a path."""
    *way, name = attr.split(".")
    for part in way:
        obj = getattr(obj, part)
    setattr(obj, name, value)


@dataclass
class Component:
    """A part: its graph, and what its inputs and outputs are in the whole."""

    graph: Graph
    order: int
    name: str
    input_placeholders: list[Node] = field(default_factory=list)
    orig_inputs: list[Node] = field(default_factory=list)
    orig_outputs: list[Node] = field(default_factory=list)
    getattr_maps: dict[Node, Node] = field(default_factory=dict)
    constructor_args: list[str] = field(default_factory=list)
    gm: GraphModule | None = None


def split_by_tags(
    gm: GraphModule,
    tags: list[str],
    return_fqn_mapping: bool = False,
    return_tuple: bool = False,
    GraphModuleCls: type[GraphModule] = GraphModule,  # noqa: N803
) -> Any:
    """A module with one submodule for each tag; nodes carry theirs as an attribute ``tag``.

    Args:
        tags: all tags, in the order in which the parts run.
        return_fqn_mapping: also return which path in the result stands for which in ``gm``.
        return_tuple: let each part return a tuple, even of one value.

    Raises:
        AssertionError: a call has no tag.
        RuntimeError: a part needs a later one.
    """
    parts = {tag: Component(Graph(), i, tag) for i, tag in enumerate(tags)}
    part_of: dict[Node, Component] = {}
    inner: dict[Node, Node] = {}
    paths: dict[str, str] = {}
    for node in gm.graph.nodes:
        if node.op in ("placeholder", "output", "get_attr"):
            continue
        if not hasattr(node, "tag"):
            raise AssertionError(f"Node does not have tag: {node.format_node()}")
        part = parts[node.tag]
        part_of[node] = part
        inner[node] = part.graph.node_copy(node, lambda n: _value_in(part, n, part_of, inner))
        if node.op == "call_module":
            paths[f"{part.name}.{node.target}"] = node.target
    for node in gm.graph.nodes:
        for arg in node.all_input_nodes:
            source = part_of.get(arg)
            if source is not None and part_of.get(node) is not source and arg not in source.orig_outputs:
                source.orig_outputs.append(arg)
    root = torch.nn.Module()
    graph = Graph()
    values: dict[Node, Node] = {}
    for node in gm.graph.nodes:
        if node.op == "placeholder":
            values[node] = graph.node_copy(node)
    for node in gm.graph.output_node().all_input_nodes:
        if node.op == "get_attr":
            values[node] = graph.node_copy(node)
            setattr(root, node.target.split(".")[0], getattr(gm, node.target.split(".")[0]))
    for part in parts.values():
        for node in part.getattr_maps:
            paths[f"{part.name}.{node.target}"] = node.target
        outputs = [inner[o] for o in part.orig_outputs]
        single = len(outputs) == 1 and not return_tuple
        part.graph.output(outputs[0] if single else tuple(outputs))
        part.gm = GraphModuleCls(gm, part.graph)
        root.add_module(part.name, part.gm)
        call = graph.call_module(part.name, tuple(values[n] for n in part.orig_inputs))
        for i, node in enumerate(part.orig_outputs):
            values[node] = call if single else graph.call_function(operator.getitem, (call, i))
            values[node].meta = copy.copy(node.meta)
    output = gm.graph.output_node()
    graph.output(map_arg(output.args[0], lambda n: values[n]), type_expr=output.type)
    made = GraphModuleCls(root, graph)
    return (made, paths) if return_fqn_mapping else made


def _value_in(part: Component, node: Node, part_of: dict[Node, Component], inner: dict[Node, Node]) -> Node:
    """The node that stands, in a part, for one of the whole."""
    if node.op == "get_attr":
        if node not in part.getattr_maps:
            part.getattr_maps[node] = part.graph.node_copy(node)
        return part.getattr_maps[node]
    source = part_of.get(node)
    if source is part:
        return inner[node]
    if source is not None and source.order > part.order:
        raise RuntimeError(f"{part.name} needs {node}, which {source.name} computes later")
    if node not in part.orig_inputs:
        part.orig_inputs.append(node)
        made = part.graph.placeholder(node.name, type_expr=node.type)
        made.meta = copy.copy(node.meta)
        part.input_placeholders.append(made)
    return part.input_placeholders[part.orig_inputs.index(node)]


def move_non_tensor_nodes_on_boundary(subgraphs: list[Subgraph]) -> None:
    """Move nodes whose result is no tensor from an accelerated part to the next one, if only that one uses them."""
    for part, following in zip(subgraphs, subgraphs[1:], strict=False):
        if not part.is_acc:
            continue
        changed = True
        while changed:
            changed = False
            for node in reversed(part.nodes):
                users = [u for u in node.users if u.op in CALLABLE_NODE_OPS]
                outside = [u for u in users if u not in part.nodes]
                if outside and len(outside) == len(users) and not is_node_output_tensor(node) and "type" in node.meta:
                    if all(u in following.nodes for u in outside):
                        part.nodes.remove(node)
                        following.nodes.insert(0, node)
                        changed = True
                        break
