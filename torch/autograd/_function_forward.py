"""How custom operations take part in forward mode."""

from __future__ import annotations

import torch
from torch.autograd import function

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def apply(cls: Any, args: tuple[Any, ...], kwargs: dict[str, Any], levels: tuple[int, ...]) -> Any:
    """Run an operation whose arguments carry tangents: once, and then its ``jvp`` for each level.

    A level sees the tangents of lower ones alone, so that ``jvp`` may be differentiated by these. What is saved keeps
    all tangents, since ``backward`` may run before the levels are closed.
    """
    ctx, output = function._record(cls, args, kwargs, issubclass(cls, function.TransposedFunction))
    single = not isinstance(output, tuple)
    outputs = (output,) if single else output
    ctx._outputs = outputs
    limit = torch._C._set_forward_limit(0)
    try:
        for level in levels:
            torch._C._set_forward_limit(limit)
            tangents = [torch._C._tangent(a, level) if isinstance(a, torch.Tensor) else None for a in args]
            torch._C._set_forward_limit(level)
            for i, along in enumerate(_push(cls, ctx, args, tangents)):
                if along is not None:
                    _attach(ctx, args, tangents, i, along, level)
    finally:
        torch._C._set_forward_limit(limit)
        ctx.saved_for_forward = ctx._outputs = None
    return output


def _push(cls: Any, ctx: Any, args: tuple[Any, ...], tangents: list[Any]) -> tuple[Any, ...]:
    """The tangents of the results: what ``jvp`` makes of those of the arguments."""
    given = list(tangents)
    if ctx.materialize_grads:
        for i, arg in enumerate(args):
            if given[i] is None and isinstance(arg, torch.Tensor):
                given[i] = torch.zeros_like(arg)
    result = cls.jvp(ctx, *given)
    if not isinstance(result, tuple):
        result = tuple(result) if isinstance(result, list) else (result,)
    if len(result) != len(ctx._outputs):
        raise RuntimeError(
            "Function's jvp returned an invalid number of forward gradients (expected "
            f"{len(ctx._outputs)} but got {len(result)})"
        )
    for i, value in enumerate(result):
        if value is not None and not isinstance(value, torch.Tensor):
            raise RuntimeError(f"expected Variable or None (got {type(value).__name__}) for grad output {i}.")
    return result


def _attach(
    ctx: Any, args: tuple[Any, ...], tangents: list[Any], position: int, tangent: Any, level: int
) -> None:
    value = ctx._outputs[position]
    differentiable = isinstance(value, torch.Tensor) and (value.is_floating_point() or value.is_complex())
    if not differentiable or any(value is t for t in ctx.non_differentiable):
        raise RuntimeError(
            f"Function's jvp returned a gradient at position {position}, but  the corresponding forward output is not "
            "a differentiable Tensor.You should return None at that position instead."
        )
    if any(value is t for t in ctx.dirty_tensors):
        current = next((t for a, t in zip(args, tangents, strict=True) if a is value), None)
        if current is not None and tangent is not current:
            raise RuntimeError(
                "An inplace custom Function is not modifying the forward mode gradients inplace. If the forward is "
                "modifying an input inplace, then the jvp function must modify the corresponding gradient inplace."
            )
        if current is not None:
            return
    elif value._is_view() and not tangent._is_view() and not issubclass(ctx._forward_cls, function.TransposedFunction):
        raise RuntimeError(
            "A custom Function's forward is returning a view (or an input as-is) but the jvp is not returning a view."
        )
    if value.shape != tangent.shape:
        raise RuntimeError(
            "Trying to set a forward gradient that has a different size than that of the original Tensor, this is not "
            f"supported. Tensor is of size {list(value.shape)} while the given forward gradient is of size "
            f"{list(tangent.shape)}."
        )
    torch._C._set_tangent(value, tangent, level)


def transposed(ctx: Any, tangents: tuple[Any, ...]) -> tuple[Any, ...]:
    """The tangents of the results from ``backward``: that is linear, u -> Jᵀ u, and d<Jᵀ u, t>/du is J t."""
    outputs = ctx._outputs
    skipped = {id(t) for t in ctx.non_differentiable}
    wanted = [
        i for i, t in enumerate(outputs)
        if isinstance(t, torch.Tensor) and (t.is_floating_point() or t.is_complex()) and id(t) not in skipped
    ]  # fmt: skip
    weights = [torch.zeros_like(t) if isinstance(t, torch.Tensor) else None for t in outputs]
    needs = ctx.needs_input_grad
    linked = torch.is_grad_enabled()
    with torch.enable_grad():
        for i in wanted:
            weights[i] = torch._C._fresh_leaf(torch.zeros_like(outputs[i].detach()))
        ctx.needs_input_grad = tuple([
            t is not None and (t.is_floating_point() or t.is_complex()) for t in tangents
        ])  # fmt: skip
        try:
            pulled = function._user_backward(ctx._forward_cls)(ctx, *weights)
        finally:
            ctx.needs_input_grad = needs
        pulled = pulled if isinstance(pulled, tuple) else (pulled,)
        pairs = [
            (p, _fitted(t, p))
            for p, t in zip(pulled, tangents, strict=False)
            if p is not None and t is not None and p.requires_grad
        ]
    result = [None] * len(outputs)
    found: tuple[Any, ...] = (None,) * len(wanted)
    if pairs:
        found = torch.autograd.grad(
            [p for p, _ in pairs], [weights[i] for i in wanted], [t for _, t in pairs], create_graph=linked,
            allow_unused=True,
        )  # fmt: skip
    for i, along in zip(wanted, found, strict=True):
        result[i] = torch.zeros_like(outputs[i]) if along is None else along
    return tuple(result)


def _fitted(tangent: Any, like: Any) -> Any:
    if tangent.is_complex() and not like.is_complex():
        tangent = tangent.real
    return tangent.to(like.dtype).expand(like.shape)
