"""Finding the parts of a graph that another system can run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch

from ...graph_module import GraphModule
from ...node import Node, _get_qualified_name
from ..operator_support import OperatorSupportBase
from ..utils.fuser_utils import fuse_by_partitions

__all__ = ["CapabilityBasedPartitioner", "Partition"]


class Partition:
    """A part: its nodes, with their places."""

    def __init__(
        self, id: int | None = None, nodes: Iterable[Node] | None = None, node_orders: Iterable[int] | None = None
    ) -> None:
        self.id = id
        places: Iterable[int | None] = [None] * len(list(nodes or ())) if node_orders is None else node_orders
        self.nodes: dict[Node, int | None] = dict(zip(nodes or (), places, strict=True))

    def __repr__(self) -> str:
        return str(self.nodes)

    def add_node(self, node: Node, node_order: int | None = None) -> None:
        """Another node."""
        self.nodes[node] = node_order

    def remove_node(self, node: Node) -> None:
        """Without a node."""
        del self.nodes[node]

    def size(self) -> int:
        """How many nodes."""
        return len(self.nodes)


class CapabilityBasedPartitioner:
    """Groups the nodes that are supported into parts as large as can be, without parts that need each other.

    Args:
        graph_module: the module.
        operator_support: says which nodes are supported.
        allows_single_node_partition: whether a part may be one node.
        non_compute_ops: targets that do not count as work.
        allowed_single_node_partition_ops: targets that may be a part alone in any case.
    """

    def __init__(
        self,
        graph_module: GraphModule,
        operator_support: OperatorSupportBase,
        allows_single_node_partition: bool = False,
        non_compute_ops: Sequence[str] | None = None,
        allowed_single_node_partition_ops: Sequence[str] | None = None,
        skip_horizontal_fusion: bool = False,
    ) -> None:
        self.graph_module, self.operator_support = graph_module, operator_support
        self.allows_single_node_partition = allows_single_node_partition
        self.non_compute_ops = list(non_compute_ops or [])
        self.allowed_single_node_partition_ops = list(allowed_single_node_partition_ops or [])
        self.skip_horizontal_fusion = skip_horizontal_fusion

    def _is_node_supported(self, node: Node) -> bool:
        modules: Mapping[str, torch.nn.Module] = dict(self.graph_module.named_modules())
        return self.operator_support.is_node_supported(modules, node)

    def propose_partitions(self) -> list[Partition]:
        """The parts: from the last node to the first, each joins the parts of its users where that makes no cycle."""
        nodes = list(self.graph_module.graph.nodes)
        place = {n: i for i, n in enumerate(nodes)}
        after: dict[Node, set[Node]] = {}
        for node in reversed(nodes):
            after[node] = set(node.users).union(*(after[u] for u in node.users))
        parts: dict[int, Partition] = {}
        of: dict[Node, int] = {}
        for node in reversed(nodes):
            if node.op in ("placeholder", "output", "get_attr") or not self._is_node_supported(node):
                continue
            mine = Partition(len(parts), [node], [place[node]])
            parts[mine.id] = mine  # type: ignore[index]
            of[node] = mine.id  # type: ignore[assignment]
            candidates = dict.fromkeys(of[u] for u in node.users if u in of)
            if not self.skip_horizontal_fusion:
                candidates.update(dict.fromkeys(i for i in parts if parts[i].nodes and i != mine.id))
            for other in candidates:
                target = parts[of[node]]
                if other == target.id or not parts[other].nodes:
                    continue
                both = set(target.nodes) | set(parts[other].nodes)
                touching = any(u in parts[other].nodes for n in target.nodes for u in n.users)
                if (touching or not self.skip_horizontal_fusion) and not _leaves_and_returns(both, after):
                    for moved, at in target.nodes.items():
                        parts[other].nodes[moved] = at
                        of[moved] = other
                    target.nodes = {}
        found = [p for p in parts.values() if p.nodes]
        if not self.allows_single_node_partition:
            found = [p for p in found if self._has_work(p)]
        return found

    def _has_work(self, part: Partition) -> bool:
        plain = {"torch.ops.aten.view", "_operator.getitem", "operator.getitem", *self.non_compute_ops}
        count = 0
        for node in part.nodes:
            if node.op == "call_function":
                name = _get_qualified_name(node.target)
                if name in self.allowed_single_node_partition_ops:
                    return True
                if name in plain:
                    continue
            count += 1
        return count > 1

    def fuse_partitions(self, partitions: list[Partition], prefix: str = "fused_") -> GraphModule:
        """The module with a submodule for each part."""
        return fuse_by_partitions(self.graph_module, [p.nodes for p in partitions], prefix)

    def remove_bookend_non_compute_ops(self, partitions: list[Partition]) -> None:
        """Take nodes that are no work off the beginnings and ends of parts."""
        plain = set(self.non_compute_ops)

        def is_plain(node: Node) -> bool:
            return node.op == "call_function" and _get_qualified_name(node.target) in plain

        for part in partitions:
            changed = True
            while changed:
                changed = False
                for node in list(part.nodes):
                    first = all(n not in part.nodes for n in node.all_input_nodes)
                    last = all(u not in part.nodes for u in node.users)
                    if is_plain(node) and (first or last):
                        part.remove_node(node)
                        changed = True

    def partition_and_fuse(self, prefix: str = "fused_") -> GraphModule:
        """The module with a submodule for each part that was found."""
        return self.fuse_partitions(self.propose_partitions(), prefix)


def _leaves_and_returns(nodes: set[Node], after: dict[Node, set[Node]]) -> bool:
    """Whether a way leads out of a set of nodes and into it again."""
    outside = {u for n in nodes for u in n.users if u not in nodes}
    return any(after[u] & nodes for u in outside)
