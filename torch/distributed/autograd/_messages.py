"""Tensors that went to another process, and the gradients that come back for them."""

from __future__ import annotations

import itertools
import threading
from contextlib import contextmanager

import torch
from torch.utils._pytree import tree_map

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from torch import Tensor

_local = threading.local()
_lock = threading.Lock()
_numbers = itertools.count()


class _Context:
    """What one pass knows in this process."""

    def __init__(self) -> None:
        self.sent: dict[tuple[int, int], Tensor] = {}  # what others have a copy of
        self.received: dict[Tensor, tuple[int, tuple[int, int]]] = {}  # copies: whose, and its number there
        self.gradients: dict[Tensor, Tensor] = {}
        self.known: set[int] = set()  # workers that have a part of it


_contexts: dict[int, _Context] = {}


class _Sent:
    """A tensor on its way, and its number."""

    def __init__(self, value: Tensor, number: tuple[int, int]) -> None:
        self.value, self.number = value, number


def current_context() -> int | None:
    """The number of the pass that this thread is in."""
    return getattr(_local, "context", None)


@contextmanager
def entered(context: int | None) -> Iterator[None]:
    """A block that is part of a pass."""
    before = current_context()
    _local.context = context
    if context is not None:
        with _lock:
            _contexts.setdefault(context, _Context())
    try:
        yield
    finally:
        _local.context = before


def state(context: int) -> _Context:
    """What is known of a pass; RuntimeError if nothing is."""
    with _lock:
        if context not in _contexts:
            raise RuntimeError(f"Could not find autograd context with id: {context}")
        return _contexts[context]


def sent(value: Any, context: int | None) -> Any:
    """A value to be sent, its tensors that need gradients noted."""
    if context is None:
        return value
    from ..rpc._agent import current

    known, me = state(context), current().info.id

    def note(leaf: Any) -> Any:
        if not isinstance(leaf, torch.Tensor) or not leaf.requires_grad:
            return leaf
        number = (me, next(_numbers))
        known.sent[number] = leaf
        return _Sent(leaf.detach(), number)

    return tree_map(note, value)


def received(value: Any, source: int) -> Any:
    """A value that came, within the pass of this thread."""
    context = current_context()
    return value if context is None else received_in(value, source, context)


def received_in(value: Any, source: int, context: int) -> Any:
    """A value that came as a part of a pass."""
    known = state(context)
    known.known.add(source)

    def note(leaf: Any) -> Any:
        if not isinstance(leaf, _Sent):
            return leaf
        copy = leaf.value.requires_grad_()
        known.received[copy] = (source, leaf.number)
        return copy

    return tree_map(note, value)


def _leaves(roots: list[Tensor]) -> list[Tensor]:
    nodes = [root.grad_fn for root in roots if root.grad_fn is not None]
    found = {root: None for root in roots if root.grad_fn is None and root.requires_grad}
    seen = set(nodes)
    while nodes:
        node = nodes.pop()
        variable = getattr(node, "variable", None)
        if variable is not None:
            found[variable] = None
        for following, _ in node.next_functions:
            if following is not None and following not in seen:
                seen.add(following)
                nodes.append(following)
    return list(found)


def run_backward(context: int, roots: list[Tensor], grads: list[Any]) -> None:
    """Go back from some tensors, through other processes too, until all gradients are where they belong."""
    from ..rpc._agent import current

    known, agent = state(context), current()
    leaves = _leaves(roots)
    if not leaves:
        return
    # the graph may be gone through again, when another gradient for it arrives
    found = torch.autograd.grad(roots, leaves, grads, retain_graph=True, allow_unused=True)
    calls = []
    for leaf, grad in zip(leaves, found, strict=True):
        if grad is None:
            continue
        if leaf in known.received:
            worker, number = known.received[leaf]
            calls.append(agent.call(agent.workers[worker], "backward", context, number, grad))
        else:
            with _lock:
                before = known.gradients.get(leaf)
                known.gradients[leaf] = grad if before is None else before + grad
    for call in calls:
        call.wait()


def continue_backward(context: int, number: tuple[int, int], grad: Tensor) -> None:
    """A gradient has come for a tensor that was sent."""
    run_backward(context, [state(context).sent[number]], [grad])


def release(context: int) -> None:
    """Forget a pass, here and wherever it went."""
    from ..rpc import _agent

    with _lock:
        known = _contexts.pop(context, None)
    agent = _agent._agent
    if known is None or agent is None or agent.closed:
        return
    for worker in known.known:
        agent.call(agent.workers[worker], "release", context)
