"""Computing what depends only on a module's own tensors once, ahead of its first run."""

from __future__ import annotations

import re

import torch

from .._symbolic_trace import symbolic_trace
from ..graph import Graph
from ..graph_module import GraphModule
from ..node import Node
from ..passes.split_module import split_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["FoldedGraphModule", "get_unique_attr_name_in_module", "split_const_subgraphs"]


class FoldedGraphModule(GraphModule):
    """A module whose constant part runs before the first call, and not again.

    Args:
        root, graph: as for ``GraphModule``.
        const_subgraph: the constant part.
        fx_const_folded_attrs_name: the attribute that its result is kept in.
    """

    def __init__(
        self,
        root: torch.nn.Module,
        graph: Graph,
        const_subgraph: Graph | None = None,
        fx_const_folded_attrs_name: str | None = None,
        device_for_folded_attrs: str = "cuda",
    ) -> None:
        super().__init__(root, graph)
        self.const_subgraph_module = None if const_subgraph is None else GraphModule(root, const_subgraph)
        self.has_folding_been_run = False
        self.fx_const_folded_attrs_name = fx_const_folded_attrs_name
        self.device_for_folded_attrs = device_for_folded_attrs

    def __call__(self, *args: object, **kwargs: object) -> Any:
        if not self.has_folding_been_run:
            self.run_folding()
        return super().__call__(*args)

    def run_folding(self) -> None:
        """Compute the constant part.

        Raises:
            AssertionError: it was computed before.
        """
        if self.const_subgraph_module is None or self.fx_const_folded_attrs_name is None:
            return
        if self.has_folding_been_run:
            raise AssertionError("Folding has already been run")
        self.has_folding_been_run = True
        values = self.const_subgraph_module()

        def parameter(value: torch.Tensor) -> torch.nn.Parameter:
            if not isinstance(value, torch.Tensor):
                return torch.nn.Parameter(torch.tensor(value), requires_grad=False)
            return torch.nn.Parameter(value.detach(), requires_grad=value.requires_grad)

        made = (
            torch.nn.ParameterList([parameter(v) for v in values]) if isinstance(values, tuple) else parameter(values)
        )
        setattr(self, self.fx_const_folded_attrs_name, made)


def get_unique_attr_name_in_module(mod_traced: GraphModule, name: str) -> str:
    """A name like this one that the module has no attribute of."""
    name = re.sub("[^0-9a-zA-Z_]+", "_", name)
    if name[0].isdigit():
        name = f"_{name}"
    while hasattr(mod_traced, name):
        match = re.match(r"(.*)_(\d+)$", name)
        name = f"{name}_1" if match is None else f"{match[1]}_{int(match[2]) + 1}"
    return name


def _inline_module(gm: GraphModule, inline_mod_name: str, run_dce: bool = True) -> dict[Node, Node]:
    """Put the nodes of a submodule's graph in place of its call; which node stands for which."""
    module = gm.get_submodule(inline_mod_name)
    if not isinstance(module, GraphModule):
        raise AssertionError(f"{inline_mod_name} is no GraphModule")
    (call,) = [n for n in gm.graph.nodes if n.op == "call_module" and n.target == inline_mod_name]
    places = [n for n in module.graph.nodes if n.op == "placeholder"]
    values: dict[Node, Any] = dict(zip(places, call.args, strict=True))
    with gm.graph.inserting_before(call):
        for node in module.graph.nodes:
            if node.op in ("placeholder", "output"):
                continue
            values[node] = gm.graph.node_copy(node, lambda n: values[n])
    result = module.graph.output_node().args[0]
    if isinstance(result, tuple):
        for user in list(call.users):
            user.replace_all_uses_with(values[result[user.args[1]]])
            gm.graph.erase_node(user)
    else:
        call.replace_all_uses_with(values[result])
    gm.graph.erase_node(call)
    if run_dce:
        gm.graph.eliminate_dead_code()
    return values


def split_const_subgraphs(
    module: torch.nn.Module | GraphModule,
    skip_folding_node_fn: Callable[[Node], bool] | None = None,
    device_for_folded_attrs: str = "cpu",
) -> FoldedGraphModule:
    """A module whose nodes that depend on no input run once.

    Args:
        skip_folding_node_fn: says of a constant node that it shall stay.

    >>> class Scaled(torch.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.scale = torch.nn.Parameter(torch.ones(1))
    ...     def forward(self, x):
    ...         return x * self.scale.exp().log()
    >>> folded = torch.fx.experimental.const_fold.split_const_subgraphs(Scaled())
    >>> [n.op for n in folded.graph.nodes]
    ['placeholder', 'get_attr', 'call_function', 'output']
    """
    traced = module if isinstance(module, GraphModule) else symbolic_trace(module)
    constant: set[Node] = set()
    found = False
    for node in traced.graph.nodes:
        if node.op in ("placeholder", "output"):
            continue
        if node.op != "get_attr" and not set(node.all_input_nodes) <= constant:
            continue
        if skip_folding_node_fn and skip_folding_node_fn(node):
            continue
        if node.is_impure():
            continue
        constant.add(node)
        found = found or node.op != "get_attr"
    if not found:
        return FoldedGraphModule(traced, traced.graph)
    split = split_module(traced, traced, lambda node: 0 if node in constant else 1)
    part: GraphModule = split.submod_0
    _lift_attributes(split, part)
    attribute = get_unique_attr_name_in_module(traced, "_FX_CONST_FOLDED_ATTRS")
    (call,) = [n for n in split.graph.nodes if n.op == "call_module" and n.target == "submod_0"]
    setattr(split, attribute, torch.nn.Parameter(torch.randn(1)))
    with split.graph.inserting_before(call):
        folded = split.graph.get_attr(attribute)
    folded.meta["is_folded_attr"] = True
    call.replace_all_uses_with(folded)
    split.graph.erase_node(call)
    split.graph.eliminate_dead_code()
    if hasattr(split, "submod_1"):
        _inline_module(split, "submod_1")
    for name, _ in list(traced.named_parameters()) + list(traced.named_buffers()):
        from ..graph_module import _assign_attr, _get_attr

        _assign_attr(_get_attr(traced, name), split, name)
    return FoldedGraphModule(split, split.graph, part.graph, attribute, device_for_folded_attrs)


def _lift_attributes(split: GraphModule, part: GraphModule) -> None:
    """Let the constant part read attributes itself, which splitting made inputs of it."""
    (call,) = [n for n in split.graph.nodes if n.op == "call_module" and n.target == "submod_0"]
    for place, given in zip([n for n in part.graph.nodes if n.op == "placeholder"], call.args, strict=True):
        with part.graph.inserting_before(place):
            from ..graph_module import _assign_attr, _get_attr

            _assign_attr(_get_attr(split, given.target), part, given.target)
            read = part.graph.create_node("get_attr", given.target, name=place.name)
        place.replace_all_uses_with(read)
        part.graph.erase_node(place)
    call.args = ()
    part.recompile()
