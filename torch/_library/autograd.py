"""Derivatives of operations written in Python: one autograd function per operation."""

from __future__ import annotations

import functools

import torch
from torch.utils import _pytree as pytree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .operation import Operation


class _Call:
    """A call on its way through the autograd function, which takes tensors and plain values alone."""

    def __init__(self, operation: Operation, spec: pytree.TreeSpec) -> None:
        self.operation, self.spec = operation, spec
        self.result_spec: pytree.TreeSpec | None = None


def _expand_gradients(grads: Any, spec: pytree.TreeSpec, positional: int, name: str) -> list[Any]:
    """One gradient per leaf of the arguments; None stands for a whole list."""
    grads = grads if isinstance(grads, tuple) else (grads,)
    if len(grads) != positional:
        raise RuntimeError(
            f"Expected {positional} gradients from the backward of {name}, one per positional argument, got "
            f"{len(grads)}"
        )
    leaves: list[Any] = []
    for i, child in enumerate(spec.children_specs):
        grad = grads[i] if i < len(grads) else None
        if child.is_leaf():
            leaves.append(grad)
        elif grad is None:
            leaves.extend([None] * child.num_leaves)
        else:
            if not isinstance(grad, (list, tuple)) or len(grad) != child.num_leaves:
                raise RuntimeError(
                    f"Expected the gradient of {name} for a list of {child.num_leaves} tensors to be such a "
                    f"list, got {grad!r}"
                )
            leaves.extend(grad)
    return leaves


@functools.lru_cache(None)
def _function(operation: Operation) -> Any:
    class Generated:
        @staticmethod
        def forward(ctx: Any, call: _Call, *leaves: Any) -> Any:
            values = call.spec.unflatten(leaves)
            result = operation.below(list(values))
            flat, call.result_spec = pytree.tree_flatten(result)
            ctx._call = call
            if operation.setup_context is not None:
                inputs, named = operation.split(list(values), all_of_them=True)
                options = {"keyword_only_inputs": named} if _has_keywords(operation) else {}
                operation.setup_context(ctx=ctx, inputs=inputs, output=result, **options)
            return tuple(flat)

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> Any:
            if operation.backward is None:
                raise RuntimeError(
                    f"Trying to backward through {operation.overload} but no autograd formula was registered. "
                    "Please use "
                    "register_autograd to add one."
                )
            call = ctx._call
            given = call.result_spec.unflatten(grads)
            several = isinstance(given, tuple) and len(operation.schema.returns) > 1
            found = operation.backward(ctx, *given) if several else operation.backward(ctx, given)
            positional = sum(not a.kwarg_only for a in operation.schema.arguments)
            return None, *_expand_gradients(found, call.spec, positional, operation.qualname)

    name = f"GeneratedBackwardFor_{operation.namespace}_{operation.name}_{operation.overload_name}"
    body = {"forward": staticmethod(Generated.forward), "backward": staticmethod(Generated.backward)}
    return type(name, (torch.autograd.Function,), body)


def _has_keywords(operation: Operation) -> bool:
    return any(a.kwarg_only for a in operation.schema.arguments)


def recorded(operation: Operation, values: list[Any]) -> Any:
    """Run the operation as a node of the graph."""
    leaves, spec = pytree.tree_flatten(tuple(values))
    call = _Call(operation, spec)
    flat = _function(operation).apply(call, *leaves)
    assert call.result_spec is not None
    return call.result_spec.unflatten(flat if isinstance(flat, tuple) else (flat,))
