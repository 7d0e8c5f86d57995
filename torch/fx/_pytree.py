"""Flattening of the arguments of generated code by the structure that was recorded when it was traced."""

from __future__ import annotations

from torch.utils import _pytree as pytree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["tree_flatten_spec"]


def tree_flatten_spec(pytree_: Any, spec: pytree.TreeSpec, exact_structural_match: bool = False) -> list[Any]:
    """The leaves of a value that has the structure ``spec``."""
    if spec.is_leaf():
        return [pytree_]
    node_type = spec.type
    if node_type is dict or isinstance(pytree_, dict):
        # Generated code may be given a dictionary in another order of keys.
        children = [pytree_[key] for key in spec.context if key in pytree_]
        if exact_structural_match and len(children) != len(pytree_):
            raise RuntimeError(f"{pytree_} has other keys than {spec}")
    else:
        children = list(pytree.SUPPORTED_NODES[node_type].flatten_fn(pytree_)[0])
    if exact_structural_match and len(children) != spec.num_children:
        raise RuntimeError(f"{pytree_} does not have the structure {spec}")
    leaves: list[Any] = []
    for child, part in zip(children, spec.children(), strict=False):
        leaves.extend(tree_flatten_spec(child, part, exact_structural_match))
    return leaves
