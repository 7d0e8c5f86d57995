"""Custom operations under ``vmap``: by their own rule, or by mapping their ``forward`` and ``backward`` in turn."""

from __future__ import annotations

from typing import NamedTuple

import torch

from .function import Function, FunctionCtx, _user_backward

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from torch import Tensor

__all__ = ["VmapInfo", "apply"]

_SEE = "For more details, please see https://pytorch.org/docs/main/notes/extending.func.html"


class VmapInfo(NamedTuple):
    """What a Function's ``vmap`` method learns about the batch."""

    batch_size: int
    randomness: str


class _ExampleCtx(FunctionCtx):
    """The ``ctx`` that the mapped methods see."""

    saved_tensors: tuple[Any, ...] = ()
    needs_input_grad: tuple[bool, ...] = ()


def _parts(args: tuple[Any, ...]) -> tuple[int, list[Any]]:
    """The innermost level among the arguments, and for each argument of that level its tensor and dimension."""
    found = [torch._C._vmap_parts(a) if isinstance(a, torch.Tensor) else None for a in args]
    level = max((part[2] for part in found if part is not None), default=0)
    return level, [part if part is not None and part[2] == level else None for part in found]


def _example(value: Any, dim: int | None, level: int) -> Any:
    return value if dim is None or value is None else torch._C._vmap_example(value, dim, level)


def _generated(cls: Any, dims: list[int | None], size: int, randomness: str) -> Any:
    """The Function of whole batches behind ``cls``."""

    class Batched(Function):
        @staticmethod
        def forward(ctx: Any, *args: Any) -> Any:  # type: ignore[override]
            level = torch._C._vmap_enter(size, randomness)
            try:
                examples = [_example(a, d, level) for a, d in zip(args, dims, strict=True)]
                inner = _ExampleCtx()
                inner.needs_input_grad = ctx.needs_input_grad
                if cls.setup_context is Function.setup_context:
                    output = cls.forward(inner, *examples)
                else:
                    output = cls.forward(*examples)
                    cls.setup_context(inner, tuple(examples), output)
                outputs = output if isinstance(output, tuple) else (output,)
                kept = [torch._C._vmap_parts(t) if t is not None else None for t in inner.to_save or ()]
                forward = inner.saved_for_forward
                kept_forward = [torch._C._vmap_parts(t) if t is not None else None for t in forward or ()]
                plain = [id(t) for t in inner.non_differentiable]
                results = tuple(
                    torch._C._vmap_batch(t, 0, level, size) if isinstance(t, torch.Tensor) else t for t in outputs
                )
            finally:
                torch._C._vmap_leave()
            ctx.save_for_backward(*[t if p is None else p[0] for t, p in zip(inner.to_save or (), kept, strict=True)])
            if forward is not None:
                ctx.save_for_forward(*[t if p is None else p[0] for t, p in zip(forward, kept_forward, strict=True)])
            ctx.forward_dims = [None if p is None else p[1] for p in kept_forward]
            inner.to_save = inner.saved_for_forward = None
            ctx.mark_non_differentiable(*[r for r, t in zip(results, outputs, strict=True) if id(t) in plain])
            ctx.set_materialize_grads(inner.materialize_grads)
            ctx.inner, ctx.saved_dims = inner, [None if p is None else p[1] for p in kept]
            return results if isinstance(output, tuple) else results[0]

        @staticmethod
        def jvp(ctx: Any, *tangents: Any) -> Any:
            level = torch._C._vmap_enter(size, randomness)
            try:
                saved = zip(ctx.saved_for_forward or (), ctx.forward_dims, strict=True)
                ctx.inner.saved_tensors = tuple([_example(t, d, level) for t, d in saved])
                result = cls.jvp(ctx.inner, *[_example(t, d, level) for t, d in zip(tangents, dims, strict=True)])
                result = result if isinstance(result, tuple) else (result,)
                return tuple([None if t is None else torch._C._vmap_batch(t, 0, level, size) for t in result])
            finally:
                torch._C._vmap_leave()

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> Any:
            level = torch._C._vmap_enter(size, randomness)
            try:
                inner = ctx.inner
                saved = zip(ctx.saved_tensors, ctx.saved_dims, strict=True)
                inner.saved_tensors = tuple([_example(t, d, level) for t, d in saved])
                result = _user_backward(cls)(inner, *[_example(g, 0, level) for g in grads])
                result = result if isinstance(result, tuple) else (result,)
                return tuple([_gradient(g, d, level, size) for g, d in zip(result, dims, strict=False)])
            finally:
                torch._C._vmap_leave()

    Batched.__name__ = Batched.__qualname__ = cls.__name__
    return Batched


def _gradient(grad: Any, dim: int | None, level: int, size: int) -> Tensor | None:
    """For what all examples share, the sum over them."""
    if grad is None:
        return None
    batch = torch._C._vmap_batch(grad, dim or 0, level, size)
    return batch.sum(0) if dim is None else batch


def _one_by_one(cls: Any, args: tuple[Any, ...], parts: list[Any], level: int) -> Any:
    import warnings

    warnings.warn(
        "There is a performance drop because we have not yet implemented the batching rule for "
        f"{cls.__name__.strip('_')}. Please file us an issue on GitHub so that we can prioritize its implementation.",
        stacklevel=4,
    )
    rows = []
    for i in range(torch._C._vmap_level(level)[0]):
        rows.append(cls.apply(*[a if p is None else p[0].select(p[1], i) for a, p in zip(args, parts, strict=True)]))
    if not isinstance(rows[0], tuple):
        return _example(torch.stack(rows), 0, level)
    return tuple([_example(torch.stack(column), 0, level) for column in zip(*rows, strict=True)])


def apply(cls: Any, args: tuple[Any, ...]) -> Any:
    """Run a Function on arguments of which some are examples."""
    own = cls.vmap is not Function.vmap
    level, parts = _parts(args)
    if torch._C._dual_levels(tuple([a for a, part in zip(args, parts, strict=True) if part is None])) is not None:
        # what the examples share may have a tangent of its own for each
        batch = next(a for a, part in zip(args, parts, strict=True) if part is not None)
        args = tuple([torch._C._vmap_spread_like(a, batch) if isinstance(a, torch.Tensor) else a for a in args])
        level, parts = _parts(args)
    internal = cls.__module__.startswith("torch.")
    if internal and not own and not cls.generate_vmap_rule:
        return _one_by_one(cls, args, parts, level)
    if cls.setup_context is Function.setup_context and not internal:
        raise RuntimeError(
            "In order to use an autograd.Function with functorch transforms (vmap, grad, jvp, jacrev, ...), it must "
            f"override the setup_context staticmethod. {_SEE}"
        )
    if own and cls.generate_vmap_rule:
        raise RuntimeError(
            f"You tried to vmap over {cls.__name__}, but it has both generate_vmap_rule=True and an overriden vmap "
            f"staticmethod. Please set generate_vmap_rule=False or delete the overriden vmap staticmethod to avoid "
            f"ambiguity. {_SEE}"
        )
    if not own and not cls.generate_vmap_rule:
        raise RuntimeError(
            f"You tried to vmap over {cls.__name__}, but it does not have vmap support. Please override and implement "
            f"the vmap staticmethod or set generate_vmap_rule=True. {_SEE}"
        )
    dims = [None if part is None else part[1] for part in parts]
    inner = [a if part is None else part[0] for a, part in zip(args, parts, strict=True)]
    size, randomness = torch._C._vmap_level(level)
    if own:
        output, out_dims = cls.vmap(VmapInfo(size, randomness), tuple(dims), *inner)
    else:
        output, out_dims = _generated(cls, dims, size, randomness).apply(*inner), 0
    if not isinstance(output, tuple):
        return _example(output, out_dims, level)
    places = out_dims if isinstance(out_dims, tuple) else (out_dims,) * len(output)
    return tuple([_example(o, d, level) for o, d in zip(output, places, strict=True)])
