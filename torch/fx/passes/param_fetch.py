"""The attributes of modules that a node needs to be run elsewhere."""

from __future__ import annotations

import torch

from ..graph_module import GraphModule, _get_attr

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["default_matching", "extract_attrs_for_lowering", "lift_lowering_attrs_to_nodes", "module_fetch_book"]


def default_matching(name: str, target_version: int) -> str:
    """The name itself: attributes are called the same in all versions."""
    return name


_CONVOLUTION = "weight bias kernel_size stride padding dilation groups padding_mode"
_NORM = "weight bias running_mean running_var eps"

# Class to version, the names of its attributes, and how they are called in another version.
module_fetch_book: dict[type, tuple[int, list[str], Callable[[str, int], str]]] = {
    torch.nn.Linear: (1, ["weight", "bias"], default_matching),
    torch.nn.Conv2d: (1, _CONVOLUTION.split(), default_matching),
    torch.nn.BatchNorm2d: (2, _NORM.split(), default_matching),
    torch.nn.AdaptiveAvgPool2d: (1, [], default_matching),
    torch.nn.MaxPool2d: (1, "kernel_size stride padding dilation return_indices ceil_mode".split(), default_matching),
    torch.nn.ReLU: (1, ["inplace"], default_matching),
}


def extract_attrs_for_lowering(mod: torch.nn.Module) -> dict[str, Any]:
    """The attributes of a module that its class needs, with the class's name.

    Raises:
        RuntimeError: the class is unknown, or another version of it.
    """
    if type(mod) not in module_fetch_book:
        raise RuntimeError(
            f"cannot find {torch.typename(mod)} in module_fetch_book, please add it to the module_fetch_book if needed"
        )
    version, names, matching = module_fetch_book[type(mod)]
    own = getattr(mod, "_version", version)
    if own < version:
        raise RuntimeError(f"cannot match {torch.typename(mod)} of version {own} with version {version}")
    return {"name": torch.typename(mod), **{name: getattr(mod, matching(name, own)) for name in names}}


def lift_lowering_attrs_to_nodes(fx_module: GraphModule) -> None:
    """Give each call of a submodule an attribute ``attrs_for_lowering``, in graphs inside the graph too."""
    modules = dict(fx_module.named_modules())
    for node in fx_module.graph.nodes:
        if node.op != "call_module":
            continue
        module = modules[node.target]
        if isinstance(module, GraphModule):
            lift_lowering_attrs_to_nodes(module)
        else:
            node.attrs_for_lowering = extract_attrs_for_lowering(_get_attr(fx_module, node.target))
