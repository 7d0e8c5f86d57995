"""Notes the sizes and dtypes of all results of a graph, by running it."""

from __future__ import annotations

import traceback
from typing import Any, NamedTuple

import torch

from ..graph_module import GraphModule
from ..interpreter import Interpreter
from ..node import Node, map_aggregate

__all__ = ["ShapeProp", "TensorMetadata"]


class TensorMetadata(NamedTuple):
    """What is known of a tensor without its elements."""

    shape: torch.Size
    dtype: torch.dtype
    requires_grad: bool
    stride: tuple[int, ...]
    memory_format: torch.memory_format | None
    is_quantized: bool
    qparams: dict[str, Any]


def _extract_tensor_metadata(result: torch.Tensor, include_contiguity: bool = True) -> TensorMetadata:
    memory_format = None
    if include_contiguity:
        formats = (torch.contiguous_format, torch.channels_last, torch.channels_last_3d)
        ranks = {torch.contiguous_format: None, torch.channels_last: 4, torch.channels_last_3d: 5}
        for candidate in formats:
            if ranks[candidate] in (None, result.dim()) and result.is_contiguous(memory_format=candidate):
                memory_format = candidate
                break
    return TensorMetadata(result.shape, result.dtype, result.requires_grad, result.stride(), memory_format, False, {})


class ShapeProp(Interpreter):
    """Runs a graph and puts a ``TensorMetadata`` for each result into ``node.meta["tensor_meta"]``.

    Args:
        gm: the module.
        fake_mode: run with fake tensors of this mode instead of computing.

    >>> from torch.fx.passes.shape_prop import ShapeProp
    >>> gm = torch.fx.symbolic_trace(lambda x: x.sum(0))
    >>> _ = ShapeProp(gm).propagate(torch.ones(2, 3))
    >>> [n.meta["tensor_meta"].shape for n in gm.graph.nodes]
    [torch.Size([2, 3]), torch.Size([3]), torch.Size([3])]
    """

    def __init__(self, gm: GraphModule, fake_mode: Any = None) -> None:
        super().__init__(gm)
        self.fake_mode = fake_mode
        self.real_module = self.module
        if fake_mode is not None:
            import copy

            self.fake_module: Any = copy.deepcopy(self.module)
            for holder in self.fake_module.modules():
                for table in (holder._parameters, holder._buffers):
                    for name, value in table.items():
                        if value is not None:
                            table[name] = fake_mode.from_tensor(value)
        else:
            self.fake_module = None

    def run_node(self, n: Node) -> Any:
        """The value of a node; its metadata is noted."""
        try:
            if self.fake_module is not None:
                self.module = self.fake_module
                with self.fake_mode:
                    result = super().run_node(n)
            else:
                result = super().run_node(n)
        except Exception as e:
            traceback.print_exc()
            raise RuntimeError(f"ShapeProp error for: node={n.format_node()} with meta={n.meta}") from e
        finally:
            self.module = self.real_module
        found = False

        def note(value: Any) -> Any:
            nonlocal found
            if not isinstance(value, torch.Tensor):
                return value
            found = True
            return _extract_tensor_metadata(value)

        meta = map_aggregate(result, note)
        if found:
            n.meta["tensor_meta"] = meta
        if self.fake_mode is not None and found:
            n.meta["val"] = result
        n.meta["type"] = type(result)
        return result

    def propagate(self, *args: Any) -> Any:
        """Run the graph with these arguments, note all metadata, and return the result."""
        if self.fake_mode is not None:
            args = tuple(self.fake_mode.from_tensor(a) if isinstance(a, torch.Tensor) else a for a in args)
        return super().run(*args)
