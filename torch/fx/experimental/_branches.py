"""Branches and loops in traced programs: the functions that they take become graphs of their own."""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils import _pytree as pytree

from ..node import Node
from ._trace_helpers import plain_copy

__all__ = ["FunctionOperations"]


class FunctionOperations:
    """The part of ``ProgramTracer`` that records operations on functions."""

    graph: Any
    env: Any
    fake_mode: Any
    whole: bool
    decompositions: Any
    keeps: Any
    multiples: Any
    size_sources: Any
    parts: dict[str, Any]
    taken: list[torch.Tensor]
    _describe: Any
    argument: Any
    bind: Any
    _made_fake: Any
    _note_gradients: Any

    def branches(
        self, op: Any, pred: torch.Tensor, true_fn: Any, false_fn: Any, operands: tuple[Any, ...], check: Any
    ) -> Any:
        """The node of a choice between two functions, each of which becomes a graph."""
        with torch.overrides._pop_mode_temporarily():
            return self._branches(op, pred, true_fn, false_fn, operands, check)

    def _branches(
        self, op: Any, pred: torch.Tensor, true_fn: Any, false_fn: Any, operands: tuple[Any, ...], check: Any
    ) -> Any:
        leaves, spec = pytree.tree_flatten(self._made_fake(operands))
        yes, true_graph, captured = self._part("true_graph", true_fn, leaves, spec)
        no, false_graph, more = self._part("false_graph", false_fn, leaves, spec)
        check("torch.cond branches", yes, no)
        given = tuple(self.argument(v) for v in [*leaves, *captured, *more])
        self._widen(true_graph, [], more)
        self._widen(false_graph, captured, [])
        args = (self.argument(pred), true_graph[0], false_graph[0], given)
        return self._joint(op, args, yes)

    def loop(self, op: Any, cond_fn: Any, body_fn: Any, carried: tuple[Any, ...], extra: tuple[Any, ...]) -> Any:
        """The node of a loop, whose condition and body become graphs."""
        with torch.overrides._pop_mode_temporarily():
            return self._loop(op, cond_fn, body_fn, carried, extra)

    def _loop(self, op: Any, cond_fn: Any, body_fn: Any, carried: tuple[Any, ...], extra: tuple[Any, ...]) -> Any:
        carried, extra = self._made_fake((carried, extra))
        leaves, spec = pytree.tree_flatten((*carried, *extra))
        _, cond_graph, captured = self._part("while_loop_cond_graph", cond_fn, leaves, spec, single=True)
        out, body_graph, more = self._part("while_loop_body_graph", body_fn, leaves, spec)
        self._widen(cond_graph, [], more)
        self._widen(body_graph, captured, [])
        count = len(pytree.tree_leaves(carried))
        nodes = [self.argument(v) for v in leaves]
        given = tuple(nodes[count:]) + tuple(self.argument(v) for v in [*captured, *more])
        return self._joint(op, (cond_graph[0], body_graph[0], tuple(nodes[:count]), given), out)

    def _part(self, name: str, function: Any, leaves: list[Any], spec: Any, single: bool = False) -> Any:
        """Trace a function into a graph of its own; its result, the graph's node, and what it takes from outside."""
        captured: list[torch.Tensor] = []
        inner: Any = type(self)(
            self.env, self.fake_mode, whole=self.whole, decompositions=self.decompositions,
            constant=lambda t: _captured(inner, captured, t), describe=self._describe,
        )  # fmt: skip
        inner.keeps, inner.multiples = self.keeps, self.multiples
        inner.size_sources = dict(self.size_sources)
        given = []
        for leaf in leaves:
            node = self.argument(leaf)
            place = inner.graph.placeholder(node.name if isinstance(node, Node) else "constant")
            value = leaf
            if isinstance(leaf, FakeTensor):
                value = plain_copy(leaf)
                inner.bind(value, place)
            given.append(value)
        with inner.running():
            result = function(*pytree.tree_unflatten(given, spec))
        outputs = pytree.tree_leaves(result)
        made = tuple(inner.argument(v) for v in outputs)
        inner.graph.output(made[0] if single else made)
        number = sum(n.startswith(name) for n in self.parts)
        path = f"{name}_{number}"
        self.parts[path] = inner.graph
        node = self.graph.create_node("get_attr", path, name=path)
        self._describe(node)
        return result, (node, inner), captured

    @staticmethod
    def _widen(part: Any, before: list[Any], after: list[Any]) -> None:
        """Let a graph take tensors that only the other one uses."""
        _, inner = part
        places = [n for n in inner.graph.nodes if n.op == "placeholder"]
        own = len(places) - len(inner.taken)
        for values, at in ((before, own), (after, len(places))):
            for i, value in enumerate(values):
                anchor = places[at - 1] if at else inner.graph._root
                with inner.graph.inserting_after(anchor):
                    made = inner.graph.placeholder(f"unused_{i}")
                made.meta["val"] = value
                places.insert(at, made)
                at += 1

    def _joint(self, op: Any, args: Any, result: Any) -> Any:
        self._note_gradients()
        node = self.graph.call_function(op, args, {}, name=op.name())
        self._describe(node)
        leaves, spec = pytree.tree_flatten(result)
        made = []
        for i, value in enumerate(leaves):
            item = self.graph.call_function(operator.getitem, (node, i))
            self._describe(item)
            if isinstance(value, FakeTensor):
                value = plain_copy(value)
                self.bind(value, item)
            made.append(value)
        node.meta["val"] = tuple(made)
        return pytree.tree_unflatten(made, spec)


def _captured(tracer: Any, captured: list[torch.Tensor], t: torch.Tensor) -> Node:
    """A further input of a branch for a tensor that it takes from outside."""
    captured.append(t)
    tracer.taken.append(t)
    last = next(n for n in reversed(list(tracer.graph.nodes)) if n.op == "placeholder") if any(
        n.op == "placeholder" for n in tracer.graph.nodes) else tracer.graph._root  # fmt: skip
    with tracer.graph.inserting_after(last):
        node = tracer.graph.placeholder(f"outer_{len(tracer.taken) - 1}")
    node.meta["val"] = t
    return node
