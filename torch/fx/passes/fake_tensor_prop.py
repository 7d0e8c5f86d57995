"""Notes fake tensors for all results of a graph, by running it without computing."""

from __future__ import annotations

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from ..graph_module import GraphModule
from ..interpreter import Interpreter
from ..node import Node
from .shape_prop import _extract_tensor_metadata

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["FakeTensorProp"]


class FakeTensorProp(Interpreter):
    """Runs a graph with fake tensors and puts each result into ``node.meta["val"]``.

    Args:
        module: the module. Its own tensors become fake ones while it runs.
        mode: of the fake tensors; a new one by default.

    >>> from torch.fx.passes.fake_tensor_prop import FakeTensorProp
    >>> gm = torch.fx.symbolic_trace(lambda x: x.sum(0))
    >>> FakeTensorProp(gm).propagate(torch.ones(2, 3))
    FakeTensor(..., size=(3,))
    """

    def __init__(self, module: GraphModule, mode: FakeTensorMode | None = None) -> None:
        super().__init__(module)
        self._mode = FakeTensorMode(allow_non_fake_inputs=True) if mode is None else mode

    def run_node(self, n: Node) -> Any:
        """The fake value of a node; it is noted."""
        result = super().run_node(n)
        if isinstance(result, torch.Tensor):
            n.meta["tensor_meta"] = _extract_tensor_metadata(result)
        n.meta["val"] = result
        return result

    def fetch_attr(self, target: str) -> Any:
        """An attribute of the module; tensors as fake ones."""
        found = super().fetch_attr(target)
        return self._mode.from_tensor(found) if isinstance(found, torch.Tensor) else found

    def propagate(self, *args: Any) -> Any:
        """Run the graph with these arguments, which become fake, and return the result."""
        return self.propagate_dont_convert_inputs(
            *(self._mode.from_tensor(a) if isinstance(a, torch.Tensor) else a for a in args)
        )

    def propagate_dont_convert_inputs(self, *args: Any) -> Any:
        """Run the graph with these arguments as they are, and return the result."""
        with self._mode:
            return super().run(*args)
