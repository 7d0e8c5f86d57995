"""Finding the places of a graph that look like a pattern."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field

import torch

from ...graph import Graph
from ...node import Node

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["InternalMatch", "SubgraphMatcher"]


@dataclass
class InternalMatch:
    """One place: which node (or number) stands for which node of the pattern."""

    anchors: list[Node]
    nodes_map: dict[Node, Any] = field(default_factory=dict)
    placeholder_nodes: list[Any] = field(default_factory=list)
    returning_nodes: list[Any] = field(default_factory=list)
    name_node_map: dict[str, Any] = field(default_factory=dict)

    def __copy__(self) -> InternalMatch:
        return InternalMatch(
            list(self.anchors), dict(self.nodes_map), list(self.placeholder_nodes), list(self.returning_nodes)
        )


class SubgraphMatcher:
    """Looks for a pattern, which is a graph, in other graphs.

    Args:
        pattern: the pattern. Its inputs stand for any node.
        match_output: the pattern's results are those of the graph.
        match_placeholder: the pattern's inputs are those of the graph.
        remove_overlapping_matches: of places that share a node, keep the first.
        ignore_literals: a number in the pattern stands for any.

    Raises:
        ValueError: the pattern is empty.
    """

    def __init__(
        self,
        pattern: Graph,
        match_output: bool = False,
        match_placeholder: bool = False,
        remove_overlapping_matches: bool = True,
        ignore_literals: bool = False,
    ) -> None:
        self.pattern = pattern
        self.match_output, self.match_placeholder = match_output, match_placeholder
        self.remove_overlapping_matches = remove_overlapping_matches
        self.ignore_literals = ignore_literals
        if len(pattern.nodes) == 0:
            raise ValueError("SubgraphMatcher cannot be initialized with an empty pattern")
        for node in pattern.nodes:
            if node.op not in ("output", "placeholder") and not node.users:
                raise AssertionError("SubgraphMatcher cannot be initialized with an pattern with dead code")
        self.pattern_placeholder_nodes = [n for n in pattern.nodes if n.op == "placeholder"]
        output = pattern.output_node()
        self.pattern_returning_nodes: list[Node] = output.all_input_nodes
        self.pattern_anchors: list[Node] = []
        if match_output:
            self.pattern_anchors = [output]
        else:
            # Results of the pattern that nothing else in it uses: from these the rest is reached.
            self.pattern_anchors = [n for n in output.all_input_nodes if len(n.users) == 1]

    # ---- one node

    def _match_attributes(self, pn: Node, gn: Node) -> bool:
        mine, theirs = _attribute(pn), _attribute(gn)
        if isinstance(mine, torch.Tensor) and isinstance(theirs, torch.Tensor):
            return True
        return type(mine) is type(theirs) and (mine is theirs or isinstance(mine, torch.nn.Module) or mine == theirs)

    def _nodes_are_equal(self, pn: Node, gn: Any, node_name_match: str = "") -> bool:
        if not isinstance(gn, Node):
            return False
        if node_name_match and node_name_match in gn.name:
            return True
        if not self.match_placeholder and pn.op == "placeholder":
            return True
        if pn.op != gn.op:
            return False
        if pn.op in ("placeholder", "output"):
            return True
        if pn.op == "get_attr":
            return self._match_attributes(pn, gn)
        if pn.op == "call_module" and pn.target != gn.target:
            return _same_module(pn, gn)
        return bool(pn.target == gn.target)

    def _literals_match(self, p: Any, g: Any) -> bool:
        if self.ignore_literals:
            return True
        return type(p) is type(g) and bool(p == g)

    # ---- from results to inputs

    def _match_values(self, p: Any, g: Any, match: InternalMatch) -> bool:
        if isinstance(p, Node):
            if not isinstance(g, Node):
                return self._match_number(p, g, match)
            return self._match_nodes(p, g, match)
        if isinstance(p, (list, tuple)):
            return (
                isinstance(g, (list, tuple))
                and len(p) == len(g)
                and all(self._match_values(a, b, match) for a, b in zip(p, g, strict=True))
            )
        if isinstance(p, dict):
            return (
                isinstance(g, dict)
                and p.keys() == g.keys()
                and all(self._match_values(v, g[k], match) for k, v in p.items())
            )
        if isinstance(p, slice):
            return isinstance(g, slice) and all(
                self._match_values(a, b, match) for a, b in ((p.start, g.start), (p.stop, g.stop), (p.step, g.step))
            )
        return not isinstance(g, Node) and self._literals_match(p, g)

    def _match_number(self, p: Node, g: Any, match: InternalMatch) -> bool:
        """An input of the pattern that stands for a number."""
        if p.op != "placeholder" or self.match_placeholder:
            return False
        if p in match.nodes_map:
            return self._literals_match(match.nodes_map[p], g)
        match.nodes_map[p] = g
        return True

    def _match_nodes(self, pn: Node, gn: Node, match: InternalMatch, node_name_match: str = "") -> bool:
        if isinstance(pn, Node) and pn in match.nodes_map:
            return match.nodes_map[pn] is gn
        if any(gn is found for found in match.nodes_map.values()):
            return False
        if not self._nodes_are_equal(pn, gn, node_name_match):
            return False
        saved = copy.copy(match)
        match.nodes_map[pn] = gn
        if pn.op == "placeholder":
            return True
        if self._match_arguments(pn, gn, match):
            return True
        match.__dict__.update(saved.__dict__)
        return False

    def _match_arguments(self, pn: Node, gn: Node, match: InternalMatch) -> bool:
        if pn.op == "call_function":
            mine, theirs = _in_order(pn), _in_order(gn)
            if mine is not None and theirs is not None:
                return self._match_values(mine, theirs, match)
        return self._match_values(tuple(pn.args), tuple(gn.args), match) and self._match_values(
            dict(pn.kwargs), dict(gn.kwargs), match
        )

    def _is_contained(self, nodes_map: dict[Node, Any]) -> bool:
        """Whether nobody outside uses what only exists inside."""
        inside = {g for p, g in nodes_map.items() if p.op != "placeholder" and isinstance(g, Node)}
        for p, g in nodes_map.items():
            if p.op in ("placeholder", "get_attr") or p in self.pattern_returning_nodes or not isinstance(g, Node):
                continue
            if any(user not in inside for user in g.users):
                return False
        return True

    def _without_overlaps(self, matches: list[InternalMatch]) -> list[InternalMatch]:
        taken: set[Node] = set()
        kept = []
        for match in matches:
            mine = {
                g for p, g in match.nodes_map.items() if p.op not in ("placeholder", "output") and isinstance(g, Node)
            }
            if not mine & taken:
                kept.append(match)
                taken |= mine
        return kept

    def match(self, graph: Graph, node_name_match: str = "") -> list[InternalMatch]:
        """The places of ``graph`` that look like the pattern, in the order of the graph."""
        candidates = [
            (pattern_anchor, [n for n in graph.nodes if self._nodes_are_equal(pattern_anchor, n, node_name_match)])
            for pattern_anchor in self.pattern_anchors
        ]
        found: list[InternalMatch] = []

        def extend(index: int, match: InternalMatch) -> None:
            if index == len(candidates):
                if match not in found:
                    match.placeholder_nodes = [match.nodes_map.get(p) for p in self.pattern_placeholder_nodes]
                    match.returning_nodes = [match.nodes_map[p] for p in self.pattern_returning_nodes]
                    found.append(match)
                return
            anchor, nodes = candidates[index]
            for node in nodes:
                attempt = copy.copy(match)
                if self._match_nodes(anchor, node, attempt, node_name_match):
                    extend(index + 1, attempt)

        extend(0, InternalMatch(anchors=self.pattern_anchors))
        found = [m for m in found if self._is_contained(m.nodes_map) and self._has_all(m)]
        return self._without_overlaps(found) if self.remove_overlapping_matches else found

    def _has_all(self, match: InternalMatch) -> bool:
        if not self.match_placeholder:
            return all(p in match.nodes_map for p in self.pattern_returning_nodes)
        return all(isinstance(match.nodes_map.get(p), Node) for p in self.pattern_placeholder_nodes if p.users)


def _attribute(node: Node) -> Any:
    value: Any = node.graph.owning_module
    for part in node.target.split("."):
        value = getattr(value, part, None)
    return value


def _same_module(pn: Node, gn: Node) -> bool:
    """Modules under other names match where both graphs say what they are and the classes agree."""
    mine, theirs = _attribute(pn), _attribute(gn)
    return mine is not None and type(mine) is type(theirs) and pn.target == gn.target


def _in_order(node: Node) -> tuple[Any, ...] | None:
    """The arguments of an aten operation in the order of its schema, with defaults."""
    schema = getattr(node.target, "_schema", None)
    if schema is None:
        return None
    values = []
    given = dict(node.kwargs)
    for i, argument in enumerate(schema.arguments):
        if i < len(node.args):
            values.append(node.args[i])
        elif argument.name in given:
            values.append(given[argument.name])
        elif argument.has_default_value():
            values.append(argument.default_value)
        else:
            return None
    return tuple(values)
