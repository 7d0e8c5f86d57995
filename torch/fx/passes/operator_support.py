"""Which nodes another system can run."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import Any, Optional

import torch

from ..node import Node
from .tools_common import get_node_target

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["OpSupports", "OperatorSupport", "OperatorSupportBase", "any_chain", "chain", "create_op_support"]

TargetTypeName = str
SupportedArgumentDTypes = Optional[tuple[Sequence[Sequence[torch.dtype]], dict[str, Sequence[torch.dtype]]]]
SupportDict = Mapping[TargetTypeName, SupportedArgumentDTypes]


class OperatorSupportBase(abc.ABC):
    """Says of each node whether it is supported."""

    @abc.abstractmethod
    def is_node_supported(self, submodules: Mapping[str, torch.nn.Module], node: Node) -> bool:
        """Whether the node is supported. ``submodules`` are those of the graph's module by path."""


class OperatorSupport(OperatorSupportBase):
    """Supports the targets of a table, for the dtypes that it gives.

    Args:
        support_dict: target, as ``get_node_target`` names it, to None for all dtypes, or to the dtypes for each
            positional and each keyword argument.
    """

    _support_dict: SupportDict = {}

    def __init__(self, support_dict: SupportDict | None = None) -> None:
        if support_dict is not None:
            self._support_dict = support_dict

    def is_node_supported(self, submodules: Mapping[str, torch.nn.Module], node: Node) -> bool:
        if node.op not in ("call_module", "call_function", "call_method"):
            return True
        target = get_node_target(submodules, node)
        if target not in self._support_dict:
            return False
        dtypes = self._support_dict[target]
        if dtypes is None:
            return True
        positional, keyword = dtypes
        for wanted, arg in zip(positional, node.args, strict=False):
            if isinstance(arg, Node) and _dtype(arg) not in wanted:
                return False
        return all(
            not isinstance(node.kwargs.get(name), Node) or _dtype(node.kwargs[name]) in wanted
            for name, wanted in keyword.items()
        )


def _dtype(node: Node) -> Any:
    return getattr(node.meta.get("tensor_meta", node.meta.get("val")), "dtype", None)


class _Function(OperatorSupportBase):
    def __init__(self, function: Callable[[Mapping[str, torch.nn.Module], Node], bool]) -> None:
        self._function = function

    def is_node_supported(self, submodules: Mapping[str, torch.nn.Module], node: Node) -> bool:
        return self._function(submodules, node)


def create_op_support(
    is_node_supported: Callable[[Mapping[str, torch.nn.Module], Node], bool],
) -> OperatorSupportBase:
    """An ``OperatorSupportBase`` from a function."""
    return _Function(is_node_supported)


def chain(*op_support: OperatorSupportBase) -> OperatorSupportBase:
    """Supports what all of them do."""
    return _Function(lambda modules, node: all(s.is_node_supported(modules, node) for s in op_support))


def any_chain(*op_support: OperatorSupportBase) -> OperatorSupportBase:
    """Supports what one of them does."""
    return _Function(lambda modules, node: any(s.is_node_supported(modules, node) for s in op_support))


class OpSupports:
    """Common conditions."""

    @classmethod
    def decline_if_input_dtype(cls, dtype: torch.dtype) -> OperatorSupportBase:
        """Does not support nodes that take a tensor of this dtype."""
        return _Function(lambda modules, node: all(_dtype(n) != dtype for n in node.all_input_nodes))

    @classmethod
    def decline_if_node_in_names(cls, disallow_set: set[str]) -> OperatorSupportBase:
        """Does not support nodes of these names."""
        return _Function(lambda modules, node: node.name not in disallow_set)
