"""What a pass is, and what it returns."""

from __future__ import annotations

import abc
from typing import NamedTuple

import torch

from ...graph_module import GraphModule

__all__ = ["PassBase", "PassResult"]


class _PassResult(NamedTuple):
    graph_module: torch.nn.Module
    modified: bool


class PassResult(_PassResult):
    """A module, and whether the pass changed it."""

    __slots__ = ()

    def __new__(cls, graph_module: torch.nn.Module, modified: bool) -> PassResult:
        return super().__new__(cls, graph_module, modified)


class PassBase(abc.ABC):
    """A pass: ``requires``, then ``call``, then ``ensures``.

    >>> from torch.fx.passes.infra.pass_base import PassBase, PassResult
    >>> class Nothing(PassBase):
    ...     def call(self, graph_module):
    ...         return PassResult(graph_module, False)
    >>> Nothing()(torch.fx.symbolic_trace(lambda x: x)).modified
    False
    """

    def __call__(self, graph_module: GraphModule) -> PassResult | None:
        self.requires(graph_module)
        result = self.call(graph_module)
        self.ensures(graph_module)
        return result

    @abc.abstractmethod
    def call(self, graph_module: GraphModule) -> PassResult | None:
        """Change the module."""

    def requires(self, graph_module: GraphModule) -> None:  # noqa: B027
        """Raise an error if the module is not what the pass needs."""

    def ensures(self, graph_module: GraphModule) -> None:  # noqa: B027
        """Raise an error if the module is not what the pass promises."""
