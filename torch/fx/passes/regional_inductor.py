"""Compiling only the annotated regions of a graph."""

from __future__ import annotations

import torch

from ..graph_module import GraphModule
from ..node import Node
from .utils.fuser_utils import fuse_by_partitions, validate_partition

__all__ = ["regional_inductor"]

_KEY = "compile_with_inductor"


def _is_annotated(node: Node) -> bool:
    return node.op in ("call_function", "call_method", "call_module") and _KEY in (node.meta.get("custom") or {})


def regional_inductor(gm: GraphModule, *example_args: object) -> GraphModule:
    """The module with each region that ``torch.fx.traceback.annotate({"compile_with_inductor": ...})`` marked compiled.

    Neighbouring marked nodes are a region; it becomes a submodule, which ``torch.compile`` takes.
    """
    regions: list[list[Node]] = []
    for node in gm.graph.nodes:
        if not _is_annotated(node):
            continue
        joined = regions[-1] if regions else []
        if (
            joined
            and validate_partition([*joined, node])
            and joined[-1].meta["custom"][_KEY] == node.meta["custom"][_KEY]
        ):
            joined.append(node)
        else:
            regions.append([node])
    prefix = "__marked_inductor_submod_"
    made = fuse_by_partitions(gm, [dict.fromkeys(region) for region in regions], prefix)
    for name, child in list(made.named_children()):
        if name.startswith(prefix):
            child.forward = torch.compile(child.forward)  # type: ignore[method-assign]
    return made
