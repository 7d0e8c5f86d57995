"""Programs as graphs: traced from Python, changed, and turned back into Python code.

>>> module = torch.fx.symbolic_trace(lambda x: torch.relu(x) + 1)
>>> print(module.graph)
graph():
    %x : [num_users=1] = placeholder[target=x]
    %relu : [num_users=1] = call_function[target=torch.relu](args = (%x,), kwargs = {})
    %add : [num_users=1] = call_function[target=operator.add](args = (%relu, 1), kwargs = {})
    return add
"""

from __future__ import annotations

from . import config, immutable_collections, operator_schemas, tensor_type, traceback
from ._symbolic_trace import PH, PHWithMeta, ProxyableClassMeta, Tracer, symbolic_trace, wrap
from .graph import CodeGen, Graph
from .graph_module import GraphModule
from .interpreter import Interpreter, Transformer
from .node import Node, has_side_effect, map_arg
from .proxy import Proxy
from .subgraph_rewriter import replace_pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "PH",
    "CodeGen",
    "Graph",
    "GraphModule",
    "Interpreter",
    "Node",
    "PHWithMeta",
    "Proxy",
    "ProxyableClassMeta",
    "Tracer",
    "Transformer",
    "config",
    "has_side_effect",
    "immutable_collections",
    "map_arg",
    "operator_schemas",
    "replace_pattern",
    "symbolic_trace",
    "tensor_type",
    "traceback",
    "wrap",
]


def __getattr__(name: str) -> Any:
    if name in ("experimental", "passes"):
        from importlib import import_module

        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
