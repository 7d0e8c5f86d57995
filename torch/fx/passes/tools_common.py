"""What several passes need: names of targets, groups of nodes that stay together, orders of graphs."""

from __future__ import annotations

import collections
import heapq
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from ..graph import Graph
from ..graph_module import GraphModule
from ..node import Node, _get_qualified_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "CALLABLE_NODE_OPS",
    "FxNetAccFusionsFinder",
    "NodeList",
    "NodeSet",
    "get_acc_ops_name",
    "get_node_target",
    "is_node_output_tensor",
    "legalize_graph",
    "stable_topological_sort",
]

NodeList = list[Node]
NodeSet = set[Node]
CALLABLE_NODE_OPS = {"call_module", "call_function", "call_method"}


def get_acc_ops_name(k: Any) -> str:
    """How a function of an accelerator's own operations is named; other functions by their path."""
    if isinstance(k, str):
        return k
    if k.__module__ and "acc_ops" in k.__module__:
        return f"acc_ops.{k.__name__}"
    return f"{k.__module__.replace('torch._ops', 'torch.ops') if k.__module__ else ''}.{k.__name__}"


def get_node_target(submodules: Mapping[str, torch.nn.Module], node: Node) -> str:
    """The target of a call as one string: a function's path, a module's class, a method's name.

    Raises:
        AssertionError: the node is no call.
    """
    if node.op not in CALLABLE_NODE_OPS:
        raise AssertionError(f"Expect op types of {', '.join(sorted(CALLABLE_NODE_OPS))}, but found {node.op}")
    if node.op == "call_module":
        module = submodules[node.target]
        return torch.typename(getattr(module, "_base_class_origin", type(module)))
    if node.op == "call_function":
        return (
            f"acc_ops.{node.target.__name__}"
            if "acc_ops" in node.target.__module__
            else _get_qualified_name(node.target)
        )
    return str(node.target)


def is_node_output_tensor(node: Node) -> bool:
    """Whether a node's result is known to be a tensor: ``meta["type"]`` says so, as ``ShapeProp`` notes it."""
    kind = node.meta.get("type")
    return isinstance(kind, type) and issubclass(kind, torch.Tensor)


class FxNetAccFusionsFinder:
    """Finds groups of nodes that must not be separated: those that hand on values which are no tensors.

    Args:
        module: the module.
        acc_nodes: the nodes to look at.
    """

    @dataclass
    class FusionGroup:
        """A group while it grows."""

        top_node_idx: int
        nodes: set[Node]
        inputs: set[Node]
        nodes_need_process: set[Node]

        def add_node(self, node: Node) -> None:
            if node not in self.nodes:
                self.nodes_need_process.add(node)
                self.nodes.add(node)
                self.inputs.discard(node)
                self.inputs.update(n for n in node.all_input_nodes if n.op in CALLABLE_NODE_OPS and n not in self.nodes)

    def __init__(self, module: GraphModule, acc_nodes: set[Node]) -> None:
        self.module, self.nodes, self.acc_nodes = module, list(module.graph.nodes), acc_nodes

    def recursive_add_node(
        self, fusion_group: FxNetAccFusionsFinder.FusionGroup, inputs: Any, visited: set[Node] | None = None
    ) -> bool:
        """Add the inputs from which the group can be reached; whether there was one."""
        visited = set() if visited is None else visited
        found = False
        for arg in inputs:
            if arg in visited or arg.op not in CALLABLE_NODE_OPS:
                continue
            visited.add(arg)
            if self.nodes.index(arg) < fusion_group.top_node_idx:
                continue
            if arg in fusion_group.nodes or self.recursive_add_node(fusion_group, arg.all_input_nodes, visited):
                fusion_group.add_node(arg)
                found = True
        return found

    def __call__(self) -> dict[Node, set[Node]]:
        """Node to the group that it belongs to."""
        result: dict[Node, set[Node]] = {}
        acc = list(self.acc_nodes)
        for node in acc:
            if node in result or node.op not in CALLABLE_NODE_OPS or "tensor_meta" in node.meta:
                continue
            if node not in self.acc_nodes:
                continue
            group = self.FusionGroup(self.nodes.index(node), {node}, set(node.all_input_nodes), {node})
            while group.nodes_need_process:
                current = group.nodes_need_process.pop()
                self.recursive_add_node(group, group.inputs)
                if "tensor_meta" not in current.meta:
                    for user in current.users:
                        if user.op in CALLABLE_NODE_OPS and user not in group.nodes:
                            group.add_node(user)
                            self.recursive_add_node(group, group.inputs)
                for arg in current.all_input_nodes:
                    if arg.op in CALLABLE_NODE_OPS and "tensor_meta" not in arg.meta and arg not in group.nodes:
                        group.add_node(arg)
                        group.top_node_idx = min(group.top_node_idx, self.nodes.index(arg))
                        self.recursive_add_node(group, group.inputs)
            if not group.nodes <= self.acc_nodes:
                self.acc_nodes -= group.nodes
            else:
                for member in group.nodes:
                    result[member] = group.nodes
        return result


def _reordered(gm: GraphModule, order: list[Node]) -> GraphModule:
    made = Graph()
    made._codegen = gm.graph._codegen
    copies: dict[Node, Node] = {}
    for node in order:
        if node.op == "output":
            made.output(torch.fx.map_arg(node.args[0], lambda n: copies[n]), type_expr=node.type)
        else:
            copies[node] = made.node_copy(node, lambda n: copies[n])
    gm.graph = made
    return gm


def legalize_graph(gm: GraphModule) -> GraphModule:
    """Put the nodes in an order in which each comes after what it needs, inputs first.

    Raises:
        RuntimeError: nodes need each other.
    """
    needs = {node: len(node.all_input_nodes) for node in gm.graph.nodes}
    queue = collections.deque(sorted((n for n, c in needs.items() if c == 0), key=lambda n: n.op != "placeholder"))
    order: list[Node] = []
    while queue:
        node = queue.popleft()
        order.append(node)
        for user in node.users:
            needs[user] -= 1
            if needs[user] == 0:
                queue.append(user)
    if len(order) < len(gm.graph.nodes):
        raise RuntimeError(f"Input graph has cycles, unable to add {[n for n, c in needs.items() if c > 0]}")
    return _reordered(gm, [n for n in order if n.op != "output"] + [n for n in order if n.op == "output"])


def stable_topological_sort(gm: GraphModule) -> GraphModule:
    """``legalize_graph`` that keeps the order of nodes which do not need each other.

    Raises:
        AssertionError: nodes need each other.
    """
    place = {node: i for i, node in enumerate(gm.graph.nodes)}
    needs = {node: len(node.all_input_nodes) for node in gm.graph.nodes}
    heap = [(place[n], n) for n, c in needs.items() if c == 0]
    heapq.heapify(heap)
    order: list[Node] = []
    while heap:
        _, node = heapq.heappop(heap)
        order.append(node)
        for user in node.users:
            needs[user] -= 1
            if needs[user] == 0:
                heapq.heappush(heap, (place[user], user))
    if len(order) != len(gm.graph.nodes):
        raise AssertionError(f"Input graph has cycles, unable to add {[n for n, c in needs.items() if c > 0]}")
    return _reordered(gm, order)
