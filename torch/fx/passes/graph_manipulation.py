"""Small changes of graphs, and the sizes of their values."""

from __future__ import annotations

from typing import NamedTuple

import torch

from ..graph import Graph
from ..graph_module import GraphModule
from ..node import Node, map_arg
from .shape_prop import ShapeProp, TensorMetadata

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = [
    "get_size_of_all_nodes",
    "get_size_of_node",
    "get_tensor_meta",
    "replace_target_nodes_with",
    "size_bytes",
]


def replace_target_nodes_with(
    fx_module: GraphModule,
    old_op: str,
    old_target: Callable[..., Any] | str,
    new_op: str,
    new_target: Callable[..., Any] | str,
) -> None:
    """Replace all nodes of a kind and target by ones of another, with the same arguments."""
    made = Graph()
    copies: dict[Node, Node] = {}
    for node in fx_module.graph.nodes:
        if node.op == old_op and node.target == old_target:
            args, kwargs = map_arg(node.args, copies.__getitem__), map_arg(node.kwargs, copies.__getitem__)
            copies[node] = made.create_node(new_op, new_target, args, dict(kwargs), node.name)
        else:
            copies[node] = made.node_copy(node, copies.__getitem__)
    fx_module.graph = made


class size_bytes(NamedTuple):  # noqa: N801
    """The bytes of a node's result, and with those of its submodule's parameters."""

    output_size: int
    total_size: int


def get_size_of_all_nodes(fx_module: GraphModule, args: list[torch.Tensor] | None = None) -> None:
    """Give each node an attribute ``size_bytes``. With ``args`` the graph is run to find the sizes out."""
    if args is not None:
        ShapeProp(fx_module).propagate(*args)
    for node in fx_module.graph.nodes:
        if node.op == "output":
            break
        node.size_bytes = get_size_of_node(fx_module, node)  # type: ignore[attr-defined]


def get_tensor_meta(node: Node) -> TensorMetadata:
    """What ``ShapeProp`` noted about a node.

    Raises:
        RuntimeError: nothing.
    """
    found = node.meta.get("tensor_meta")
    if not found:
        raise RuntimeError(
            f"Node {node} has no tensor metadata associated with it! Check that shape propagation has run."
        )
    return found  # type: ignore[no-any-return]


def get_size_of_node(fx_module: GraphModule, node: Node) -> size_bytes:
    """The bytes of a node's result, and with those of its submodule's parameters and buffers."""
    elements = 0
    if node.op == "call_module":
        module = dict(fx_module.named_modules())[node.target]
        elements += sum(p.nelement() * p.element_size() for _, p in module.named_parameters())
        elements += sum(b.nelement() * b.element_size() for _, b in module.named_buffers())
    meta = get_tensor_meta(node)
    own = torch.empty(0, dtype=meta.dtype).element_size() * meta.shape.numel()
    return size_bytes(own, elements + own)
