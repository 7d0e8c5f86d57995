"""``make_fx`` with open sizes, or with operations kept whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, plain_sizes
from torch.utils import _pytree as pytree

from ..graph_module import GraphModule
from ..node import Node
from ._expressions import Expr
from ._program_trace import ProgramTracer
from .symbolic_shapes import ShapeEnv

__all__ = ["set_sizes", "trace_function"]


def trace_function(
    f: Callable[..., Any],
    args: tuple[Any, ...],
    decompositions: dict[Any, Callable[..., Any]],
    *,
    whole: bool,
    symbolic: bool,
    names: list[str],
) -> GraphModule:
    """``make_fx`` with open sizes, or with operations kept whole."""
    from .proxy_tensor import PythonKeyTracer, finish, leaf_names

    env = ShapeEnv()
    fake_mode = FakeTensorMode(allow_non_fake_inputs=True)
    root = torch.nn.Module()

    def constant(t: torch.Tensor) -> Node:
        kind = "_param_constant" if isinstance(t, torch.nn.Parameter) else "_tensor_constant"
        name = f"{kind}{sum(n.startswith(kind) for n in (*root._parameters, *root._buffers))}"
        if isinstance(t, torch.nn.Parameter):
            root.register_parameter(name, t)
        else:
            root.register_buffer(name, t)
        node = tracer.graph.get_attr(name)
        node.meta["val"] = fake_mode.from_tensor(t)
        return node

    tracer = ProgramTracer(
        env, fake_mode, whole=whole, decompositions=decompositions, constant=constant, tracer_cls=PythonKeyTracer
    )
    leaves, in_spec = pytree.tree_flatten(args)
    given, number = [], 0
    for leaf, name in zip(leaves, leaf_names(args, names), strict=True):
        node = tracer.graph.placeholder(name)
        if not isinstance(leaf, torch.Tensor):
            given.append(leaf)
            continue
        fake = fake_mode.from_tensor(leaf)
        if symbolic:
            number = open_sizes(tracer, fake, node, [True] * fake.dim(), number)
        tracer.bind(fake, node)
        given.append(fake)
    with tracer.running():
        result = f(*pytree.tree_unflatten(given, in_spec))
    return finish(root, tracer.graph, result, tracer.argument, in_spec, names[: len(args)], f)


def open_sizes(tracer: ProgramTracer, fake: FakeTensor, node: Node, wanted: list[bool], number: int) -> int:
    """Give a fake tensor symbols for its sizes, the same one for equal sizes; how many there are by then."""
    sizes: list[Any] = list(fake.shape)
    for dim, size in enumerate(sizes):
        if not wanted[dim] or size in (0, 1):
            continue
        symbol = next((s for s, v in tracer.env.var_to_val.items() if v == size), None)
        if symbol is None:
            sizes[dim] = tracer.env.create_symint(size, f"s{len(tracer.env.var_to_val)}", lower=2)
            (symbol,) = sizes[dim].node.expr.symbols
            tracer.size_sources[symbol] = (node, dim, number)
            number += 1
        else:
            sizes[dim] = tracer.env.symint(Expr.of(symbol))
    set_sizes(tracer, fake, sizes)
    return number


def set_sizes(tracer: ProgramTracer, fake: FakeTensor, sizes: list[Any]) -> None:
    """Give a contiguous fake tensor these sizes, and the strides that follow."""
    if not any(isinstance(s, torch.SymInt) for s in sizes):
        return
    steps: list[Any] = []
    step: Any = 1
    with plain_sizes():
        order = sorted(range(len(sizes)), key=lambda d: (fake.stride(d), -d))
    found: dict[int, Any] = {}
    for dim in order:
        found[dim] = step
        step = step * sizes[dim]
    steps = [found[d] for d in range(len(sizes))]
    fake._sizes, fake._steps = tuple(sizes), tuple(steps)
