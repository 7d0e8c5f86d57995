"""Operations that may write to their argument instead of making a new tensor."""

from __future__ import annotations

import torch

from ..graph_module import GraphModule
from ..interpreter import Interpreter
from ..node import Node

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["reinplace"]


class _FunctionalizationMetadataProp(Interpreter):
    """Runs a graph of aten operations with fake tensors, and notes which nodes share memory."""

    def run_node(self, node: Node) -> Any:
        result = super().run_node(node)
        node.meta["fake_result"] = result
        if node.op == "call_function" and isinstance(node.target, torch._ops.OpOverload) and node.target.is_view:
            base = node.args[0]
            node.meta["view_of"] = base.meta.get("view_of", base) if isinstance(base, Node) else None
        return result

    def propagate(self, *args: object) -> Any:
        from torch._subclasses.fake_tensor import FakeTensorMode

        mode = FakeTensorMode(allow_non_fake_inputs=True)
        fakes = [mode.from_tensor(a) if isinstance(a, torch.Tensor) else a for a in args]
        with mode:
            return super().run(*fakes)


def _in_place(op: Any) -> Any:
    """The overload that writes its result to the first argument, or None."""
    if not isinstance(op, torch._ops.OpOverload) or op._opname.endswith("_") or op.is_view:
        return None
    packet = getattr(torch.ops.aten, f"{op._opname}_", None)
    if packet is None or op._overloadname not in packet.overloads():
        return None
    made = getattr(packet, op._overloadname)
    mine, theirs = op._schema.arguments, made._schema.arguments
    return made if [a.name for a in mine] == [a.name for a in theirs] else None


def reinplace(gm: GraphModule, *sample_args: Any) -> GraphModule:
    """Let operations write to their first argument where nobody needs its old value.

    The argument must be the result of another operation (never an input), of the same size and dtype as the result, and
    neither it nor anything that shares its memory may be used later.

    Args:
        gm: a module whose graph calls aten operations without writes.
        sample_args: arguments to find the sizes out with.

    >>> from torch.fx.experimental.proxy_tensor import make_fx
    >>> gm = make_fx(lambda x: x.sin().cos())(torch.ones(2))
    >>> print(torch.fx.passes.reinplace.reinplace(gm, torch.ones(2)).code.strip())
    def forward(self, x_1):
        sin = torch.ops.aten.sin.default(x_1);  x_1 = None
        cos = torch.ops.aten.cos_.default(sin);  cos = None
        return sin
    """
    _FunctionalizationMetadataProp(gm).propagate(*sample_args)
    nodes = list(gm.graph.nodes)
    place = {n: i for i, n in enumerate(nodes)}
    owner = {n: n.meta.get("view_of") or n for n in nodes}
    replaced: dict[Node, Node] = {}
    for node in nodes:
        made = _in_place(node.target) if node.op == "call_function" else None
        target = node.args[0] if node.args else None
        if made is None or not isinstance(target, Node):
            continue
        base = owner[target]
        if base.op != "call_function" or "view_of" in target.meta:
            continue
        mine, theirs = node.meta.get("fake_result"), target.meta.get("fake_result")
        if not isinstance(mine, torch.Tensor) or not isinstance(theirs, torch.Tensor):
            continue
        if (mine.shape, mine.dtype) != (theirs.shape, theirs.dtype):
            continue
        shared = [n for n in nodes if owner[n] is base]
        if any(place[u] > place[node] for n in shared for u in n.users):
            continue
        if list(node.args).count(target) + list(node.kwargs.values()).count(target) > 1:
            continue
        node.target = made
        replaced[node] = target
        for n in nodes:
            if owner[n] is node:
                owner[n] = base
    for node, target in replaced.items():
        node.replace_all_uses_with(target, lambda user: user is not node)
    for node in nodes:
        node.meta.pop("fake_result", None)
        node.meta.pop("view_of", None)
    gm.recompile()
    return gm
