"""Conditions on sizes as nodes of the graph, which are checked when it runs."""

from __future__ import annotations

import operator

import torch

from ..experimental._expressions import Call, Expr, Symbol
from ..experimental.symbolic_shapes import int_oo
from ..graph_module import GraphModule
from ..node import Node

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["insert_deferred_runtime_asserts"]

_COMPARE = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_CALLS = {"floordiv": operator.floordiv, "mod": operator.mod, "max": torch.sym_max, "min": torch.sym_min}


def insert_deferred_runtime_asserts(gm: GraphModule, shape_env: Any, name: str, export: bool = False) -> None:
    """Check the conditions of ``shape_env``, and the ranges of its symbols, after the inputs of the graph.

    The inputs have symbolic sizes in ``meta["val"]``. ``name`` is of the program, for messages.
    """
    graph = gm.graph
    last = next((n for n in reversed(graph.nodes) if n.op == "placeholder"), None)
    if last is None:
        return
    sources: dict[Symbol, tuple[Node, int]] = {}
    for node in graph.nodes:
        value = node.meta.get("val")
        if node.op == "placeholder" and isinstance(value, torch.Tensor):
            for dim, size in enumerate(value.shape):
                if (
                    isinstance(size, torch.SymInt)
                    and size.node.expr.constant is None
                    and len(size.node.expr.symbols) == 1
                ):
                    (symbol,) = size.node.expr.symbols
                    if size.node.expr == Expr.of(symbol):
                        sources.setdefault(symbol, (node, dim))
    lower = _Lowering(graph, sources)
    with graph.inserting_before(last.next):
        for relation in shape_env.relations:
            if relation.sign in _COMPARE and (relation.left.symbols | relation.right.symbols) <= set(sources):
                lower.check(relation.sign, relation.left, relation.right, str(relation))
        for symbol, known in shape_env.var_to_range.items():
            if symbol not in sources or symbol in shape_env.replacements:
                continue
            if known.lower > 0:
                lower.check(">=", Expr.of(symbol), Expr.of(known.lower), f"{symbol} >= {known.lower}")
            if known.upper != int_oo:
                lower.check("<=", Expr.of(symbol), Expr.of(known.upper), f"{symbol} <= {known.upper}")
    gm.recompile()


class _Lowering:
    """Nodes for expressions of sizes."""

    def __init__(self, graph: Any, sources: dict[Symbol, tuple[Node, int]]) -> None:
        self.graph, self.sources = graph, sources
        self.made: dict[Any, Any] = {}

    def check(self, sign: str, left: Expr, right: Expr, text: str) -> None:
        condition = self.graph.call_function(_COMPARE[sign], (self.value(left), self.value(right)))
        message = f"Runtime assertion failed for expression {text} on node '{condition.name}'"
        self.graph.call_function(torch.ops.aten._assert_scalar.default, (condition, message))

    def value(self, e: Expr) -> Any:
        if e.constant is not None:
            return e.constant
        if e not in self.made:
            total: Any = None
            for monomial, coefficient in e.terms.items():
                product: Any = None
                for atom, power in monomial:
                    for _ in range(power):
                        part = self.atom(atom)
                        product = part if product is None else self.graph.call_function(operator.mul, (product, part))
                if product is None:
                    product = coefficient
                elif coefficient != 1:
                    product = self.graph.call_function(operator.mul, (product, coefficient))
                total = product if total is None else self.graph.call_function(operator.add, (total, product))
            self.made[e] = total
        return self.made[e]

    def atom(self, atom: Any) -> Any:
        if atom not in self.made:
            if isinstance(atom, Symbol):
                made = self.graph.call_function(torch.ops.aten.sym_size.int, self.sources[atom])
            else:
                assert isinstance(atom, Call)
                made = self.graph.call_function(_CALLS[atom.name], tuple(self.value(a) for a in atom.args))
            self.made[atom] = made
        return self.made[atom]
