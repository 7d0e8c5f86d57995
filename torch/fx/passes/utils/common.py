"""Parts of graphs as modules of their own, and whether two graphs are alike."""

from __future__ import annotations

from torch.nn import Module

from ...graph import Graph
from ...graph_module import GraphModule, _assign_attr, _get_attr
from .matcher_utils import SubgraphMatcher

__all__ = ["HolderModule", "compare_graphs", "lift_subgraph_as_module"]


class HolderModule(Module):
    """A module that only has submodules."""

    def __init__(self, d: dict[str, Module | None]) -> None:
        super().__init__()
        for name, module in d.items():
            self.add_module(name, module)


def lift_subgraph_as_module(
    gm: GraphModule, subgraph: Graph, comp_name: str = "", class_name: str = "GraphModule"
) -> tuple[GraphModule, dict[str, str]]:
    """A module for a graph that was cut out of another, with the parts of ``gm`` that it uses.

    Returns the module, and which path in it stands for which in ``gm``.
    """
    root = HolderModule({})
    paths = {}
    for node in subgraph.nodes:
        if node.op not in ("call_module", "get_attr"):
            continue
        paths[f"{comp_name}.{node.target}" if comp_name else node.target] = node.target
        _assign_attr(_get_attr(gm, node.target), root, node.target)
    return GraphModule(root, subgraph, class_name), paths


def compare_graphs(left: Graph, right: Graph) -> bool:
    """Whether two graphs do the same to the same number of inputs."""
    matches = SubgraphMatcher(left, match_output=True, match_placeholder=True).match(right)
    return len(matches) > 0
