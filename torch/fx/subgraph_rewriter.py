"""Replacing the places of a graph that look like a pattern."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import NamedTuple

import torch

from ._symbolic_trace import symbolic_trace
from .graph import Graph
from .graph_module import GraphModule
from .node import Node

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .passes.utils.matcher_utils import InternalMatch

__all__ = ["Match", "ReplacedPatterns", "replace_pattern", "replace_pattern_with_filters"]


class Match(NamedTuple):
    """A place that was replaced: its last node, and which node stood for which node of the pattern."""

    anchor: Node
    nodes_map: dict[Node, Node]


@dataclass
class ReplacedPatterns:
    """A place that was replaced, and the nodes that are there now."""

    anchor: Node
    nodes_map: dict[Node, Node]
    replacements: list[Node]


def _replace_attributes(gm: GraphModule, replacement: torch.nn.Module) -> None:
    """Give the module the parts of the replacement that its graph refers to now."""
    gm.delete_all_unused_submodules()
    if isinstance(replacement, GraphModule):
        replacement.graph.lint()
    for node in gm.graph.nodes:
        if node.op not in ("call_module", "get_attr"):
            continue
        present, own = _find(gm, node.target), _find(replacement, node.target)
        if present is not None:
            continue
        if own is None:
            raise RuntimeError(
                f'Attempted to create a "{node.op}" node during subgraph rewriting with target {node.target}, but the '
                "referenced attribute does not exist in the replacement GraphModule"
            )
        made = copy.deepcopy(own)
        if isinstance(made, torch.nn.Module):
            gm.add_submodule(node.target, made)
        else:
            from .graph_module import _assign_attr

            _assign_attr(made, gm, node.target)


def _find(module: Any, path: str) -> Any:
    for part in path.split("."):
        module = getattr(module, part, None)
        if module is None:
            return None
    return module


def _graph_of(program: Any) -> Graph:
    if isinstance(program, GraphModule):
        return program.graph
    if isinstance(program, Graph):
        return program
    return symbolic_trace(program).graph


def replace_pattern(
    gm: GraphModule, pattern: Callable[..., Any] | GraphModule, replacement: Callable[..., Any] | GraphModule
) -> list[Match]:
    """Replace, in a module's graph, each place that does what ``pattern`` does by what ``replacement`` does.

    Pattern and replacement are functions of the same parameters, or modules. Places that share a node with an earlier
    one are left, and so are those whose inner values are used outside. Returns the places.

    >>> module = torch.fx.symbolic_trace(lambda x: torch.relu(x + 1))
    >>> _ = torch.fx.replace_pattern(module, lambda x: x + 1, lambda x: x * 2)
    >>> print(module.code.strip())
    def forward(self, x):
        mul = x * 2;  x = None
        relu = torch.relu(mul);  mul = None
        return relu
    """
    return [Match(r.anchor, r.nodes_map) for r in _replace_pattern(gm, pattern, replacement)]


def replace_pattern_with_filters(
    gm: GraphModule,
    pattern: Any,
    replacement: Any = None,
    match_filters: list[Callable[[InternalMatch, Graph, Graph], bool]] | None = None,
    ignore_literals: bool = False,
    replacement_callback: Callable[[InternalMatch, Graph, Graph], Graph] | None = None,
    node_name_match: str = "",
) -> list[ReplacedPatterns]:
    """``replace_pattern``, only where all filters agree.

    Args:
        match_filters: functions of the place, the graph and the pattern's graph.
        ignore_literals: a number in the pattern stands for any.
        replacement_callback: makes the replacement's graph for a place; instead of ``replacement``.
        node_name_match: nodes whose name contains it match any node of the pattern.
    """
    return _replace_pattern(
        gm, pattern, replacement, match_filters, ignore_literals, replacement_callback, node_name_match
    )


def _replace_pattern(
    gm: GraphModule,
    pattern: Any,
    replacement: Any = None,
    match_filters: list[Callable[[InternalMatch, Graph, Graph], bool]] | None = None,
    ignore_literals: bool = False,
    replacement_callback: Callable[[InternalMatch, Graph, Graph], Graph] | None = None,
    node_name_match: str = "",
) -> list[ReplacedPatterns]:
    from .passes.utils.matcher_utils import SubgraphMatcher

    graph, pattern_graph = gm.graph, _graph_of(pattern)
    matcher = SubgraphMatcher(pattern_graph, ignore_literals=ignore_literals)
    places = [
        m
        for m in matcher.match(graph, node_name_match)
        if all(accepts(m, graph, pattern_graph) for accepts in match_filters or ())
    ]
    fixed = None if replacement is None else _graph_of(replacement)
    if fixed is None and replacement_callback is None:
        raise AssertionError("Must provide either a replacement GraphModule or a replacement callback")
    # A replaced node that is an input of a later place: what stands there now.
    now: dict[Node, Node] = {}
    replaced = []
    for place in places:
        made = fixed if replacement_callback is None else replacement_callback(place, graph, pattern_graph)
        assert made is not None
        replaced.append(_replace_place(gm, pattern_graph, place, made, now))
    gm.recompile()
    if isinstance(replacement, torch.nn.Module):
        _replace_attributes(
            gm, symbolic_trace(replacement) if not isinstance(replacement, GraphModule) else replacement
        )
    return replaced


def _replace_place(
    gm: GraphModule, pattern_graph: Graph, place: InternalMatch, replacement: Graph, now: dict[Node, Node]
) -> ReplacedPatterns:
    graph = gm.graph
    inputs = [n for n in replacement.nodes if n.op == "placeholder"]
    if len(place.placeholder_nodes) != len(inputs):
        raise AssertionError(f"the pattern has {len(place.placeholder_nodes)} inputs and the replacement {len(inputs)}")
    values: dict[Node, Any] = {}
    for own, given in zip(inputs, place.placeholder_nodes, strict=True):
        given = now.get(given, given) if isinstance(given, Node) else given
        values[own] = given
    for node, given in list(place.nodes_map.items()):
        if isinstance(given, Node):
            place.nodes_map[node] = now.get(given, given) if node.op == "placeholder" else given
    inside = {g for p, g in place.nodes_map.items() if p.op != "placeholder" and isinstance(g, Node)}
    users = {user for node in place.returning_nodes for user in node.users if user not in inside}
    place_before = min(users) if users else None
    if place_before is None:
        place_before = next((n for n in reversed(graph.nodes) if n in inside), None)
    if place_before is None or not place.anchors:
        raise AssertionError("The insert point can't be None")
    before = {id(n) for n in graph.nodes}
    with graph.inserting_before(place_before):
        result = graph.graph_copy(replacement, values)
    made = [n for n in graph.nodes if id(n) not in before]
    results = list(result) if isinstance(result, (list, tuple)) else [result]
    if len(place.returning_nodes) != len(results):
        raise AssertionError("the pattern and the replacement return different numbers of values")
    for old, new in zip(place.returning_nodes, results, strict=True):
        if isinstance(old, Node) and isinstance(new, Node):
            old.replace_all_uses_with(new)
            now[old] = new
    for node in reversed(pattern_graph.nodes):
        old = place.nodes_map.get(node)
        if node.op not in ("placeholder", "output") and isinstance(old, Node) and not old.users:
            graph.erase_node(old)
    return ReplacedPatterns(place.anchors[0], place.nodes_map, made)
