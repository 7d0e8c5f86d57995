"""Parts of a program that run with the recording of gradients switched: each becomes a graph that one operation runs.

The tracer leaves a call where the program switches; here what lies between two of them goes into a graph of its own.
"""

from __future__ import annotations

import copy
import operator

import torch
from torch.fx import Graph, GraphModule
from torch.fx.experimental._trace_helpers import set_grad_enabled
from torch.fx.node import Node

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["separate"]


def separate(graph: Graph, root: torch.nn.Module, enabled: bool) -> None:
    """Replace the parts of a graph between switches by calls of graphs, which become attributes of ``root``.

    ``enabled`` says whether gradients were recorded around the program.
    """
    segments = _segments(graph, enabled)
    if len(segments) == 1:
        return
    if segments[-1][0] != enabled:
        segments.append((enabled, []))
    number = len(segments)
    for i, (mode, nodes) in enumerate(segments):
        if mode != enabled and nodes:
            _wrap(graph, root, mode, nodes, f"submod_{i}", f"submod_{number}")
            number += 1


def _segments(graph: Graph, enabled: bool) -> list[tuple[bool, list[Node]]]:
    """The operations between switches, each with the state that they run in. The switches are erased."""
    segments: list[tuple[bool, list[Node]]] = [(enabled, [])]
    for node in list(graph.nodes):
        if node.op == "call_function" and node.target is set_grad_enabled:
            segments.append((bool(node.args[0]), []))
            graph.erase_node(node)
        elif node.op not in ("placeholder", "output"):
            segments[-1][1].append(node)
    return segments


def _wrap(graph: Graph, root: torch.nn.Module, mode: bool, nodes: list[Node], path: str, name: str) -> None:
    inside = set(nodes)
    inputs = dict.fromkeys(n for node in nodes for n in node.all_input_nodes if n not in inside and n.op != "get_attr")
    outputs = [n for n in nodes if any(u not in inside for u in n.users)]
    body, owner = Graph(), torch.nn.Module()
    values: dict[Node, Node] = {}
    for node in inputs:
        values[node] = body._create_named("placeholder", node.name, (), {}, node.name)
        values[node].meta = copy.copy(node.meta)
    for node in nodes:
        for part in [n for n in node.all_input_nodes if n.op == "get_attr" and n not in values]:
            values[part] = body.node_copy(part)
            owner.add_module(str(part.target), getattr(root, str(part.target)))
        if node not in values:
            values[node] = body.node_copy(node, lambda n: values[n])
            values[node].name = node.name
    body.output(tuple(values[n] for n in outputs))
    root.add_module(path, GraphModule(owner, body, path))
    with graph.inserting_before(nodes[0]):
        part = graph.create_node("get_attr", path, name=name)
        single = len(outputs) == 1
        target = torch.ops.higher_order.wrap_with_set_grad_enabled
        call = graph.call_function(target, (mode, part, *inputs), name=target.name())
        items = [graph.call_function(operator.getitem, (call, i)) for i in range(len(outputs))]
    call.meta = {"val": tuple(n.meta.get("val") for n in outputs), **_place(nodes[0])}
    names = [n.name for n in outputs]
    for node, item in zip(outputs, items, strict=True):
        item.meta = copy.copy(node.meta)
        node.replace_all_uses_with(item, delete_user_cb=lambda user: user not in inside)
    for node in reversed(nodes):
        graph.erase_node(node)
    _rename(graph, [call] if single else items, names)


def _rename(graph: Graph, nodes: list[Node], names: list[str]) -> None:
    """Give nodes the names of those that they stand for."""
    for node, name in zip(nodes, names, strict=True):
        node.name = name


def _place(node: Node) -> dict[str, Any]:
    stack = node.meta.get("nn_module_stack")
    return {"nn_module_stack": dict(list(stack.items())[:1]) if stack else {}}
