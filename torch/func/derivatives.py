"""Derivatives as functions. Each builds the graph of one call on fresh leaves and differentiates that; with
``create_graph``, so that derivatives nest."""

from __future__ import annotations

import functools

import torch
from torch.utils import _pytree

from .mapping import vmap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from torch import Tensor

__all__ = ["grad", "grad_and_value", "hessian", "jacfwd", "jacrev", "jvp", "linearize", "vjp"]


def _fresh(tree: Any) -> Any:
    """Views of all tensors that a derivative can be taken by, still connected to an outer graph."""

    def one(leaf: Any) -> Any:
        if not isinstance(leaf, torch.Tensor):
            return leaf
        if torch._C._vmap_depth():
            # What the examples of a batch share has a derivative of its own for each.
            leaf = torch._C._vmap_spread(leaf)
        if leaf.requires_grad:
            return leaf.view_as(leaf)
        leaf = leaf.detach()
        leaf.requires_grad = True
        return leaf

    return _pytree.tree_map(one, tree)


def _pick(args: tuple[Any, ...], argnums: Any) -> tuple[Any, ...]:
    chosen = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    for i in chosen:
        if not -len(args) <= i < len(args):
            raise RuntimeError(f"Got argnum={i}, but only {len(args)} positional inputs")
    return chosen


def _with_fresh(args: tuple[Any, ...], argnums: Any) -> tuple[tuple[Any, ...], Any]:
    """The arguments with fresh ones in the chosen places, and those."""
    chosen = _pick(args, argnums)
    result = list(args)
    for i in chosen:
        result[i] = _fresh(args[i])
    picked = result[argnums] if isinstance(argnums, int) else tuple(result[i] for i in chosen)
    return tuple(result), picked


def _outer_graph(tree: Any) -> bool:
    return any(isinstance(t, torch.Tensor) and t.requires_grad for t in _pytree.tree_leaves(tree))


def _gradients(outputs: list[Tensor], inputs: list[Tensor], weights: list[Tensor], keep: bool) -> list[Tensor]:
    pairs = [(out, w) for out, w in zip(outputs, weights, strict=True) if out.requires_grad]
    if not pairs:
        return [torch.zeros_like(x) for x in inputs]
    found = torch.autograd.grad(
        [p[0] for p in pairs], inputs, [p[1] for p in pairs], retain_graph=True, create_graph=keep, allow_unused=True
    )
    return [torch.zeros_like(x) if g is None else g for g, x in zip(found, inputs, strict=True)]


def _detach(tree: Any, keep: bool) -> Any:
    if keep:
        return tree
    return _pytree.tree_map_only(torch.Tensor, lambda t: t.detach(), tree)


# How many derivatives are being taken around this one: an inner one must leave its result in the outer one's graph.
_depth = 0


class _Level:
    def __enter__(self) -> bool:
        global _depth
        _depth += 1
        return _depth > 1

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        global _depth
        _depth -= 1


def grad_and_value(func: Callable[..., Any], argnums: Any = 0, has_aux: bool = False) -> Callable[..., Any]:
    """A function that returns the gradient of ``func``, and its value.

    >>> torch.func.grad_and_value(torch.sin)(torch.tensor(0.))
    (tensor(1.), tensor(0.))
    """

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with _Level() as nested, torch.enable_grad():
            keep = nested or _outer_graph((args, kwargs))
            full, picked = _with_fresh(args, argnums)
            output = func(*full, **kwargs)
            aux = None
            if has_aux:
                if not (isinstance(output, tuple) and len(output) == 2):
                    raise RuntimeError(
                        "grad_and_value(f)(*args): output of function f should be a tuple: (output, aux) if has_aux "
                        "is True"
                    )
                output, aux = output
            if not isinstance(output, torch.Tensor):
                raise RuntimeError(
                    f"grad_and_value(f)(*args): Expected f(*args) to return a Tensor, got {type(output)}"
                )
            if output.dim() != 0:
                raise RuntimeError(
                    "grad_and_value(f)(*args): Expected f(*args) to return a scalar tensor, got tensor with "
                    f"{output.dim()} dims. Maybe you wanted to use the vjp or jacrev APIs instead?"
                )
            leaves, spec = _pytree.tree_flatten(picked)
            grads = _gradients([output], leaves, [torch.ones_like(output)], keep)
            result = _detach(_pytree.tree_unflatten(grads, spec), keep)
            value, aux = _detach(output, keep), _detach(aux, keep)
        return (result, (value, aux)) if has_aux else (result, value)

    return wrapper


def grad(func: Callable[..., Any], argnums: Any = 0, has_aux: bool = False) -> Callable[..., Any]:
    """A function that returns the gradient of ``func``.

    >>> torch.func.grad(torch.sin)(torch.tensor(0.))
    tensor(1.)
    """
    both = grad_and_value(func, argnums, has_aux)

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        gradient, value = both(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return wrapper


def vjp(func: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """The value of ``func``, and a function from weights of the results to gradients of the arguments.

    >>> value, pull = torch.func.vjp(torch.sin, torch.tensor([0.]))
    >>> pull(torch.tensor([2.]))
    (tensor([2.]),)
    """
    with _Level() as nested, torch.enable_grad():
        keep = nested or _outer_graph(primals)
        fresh = _fresh(primals)
        output = func(*fresh)
        aux = None
        if has_aux:
            output, aux = output
    inputs, in_spec = _pytree.tree_flatten(fresh)
    outputs, out_spec = _pytree.tree_flatten(output)

    def pull(*cotangents: Any, retain_graph: bool = True, create_graph: bool | None = None) -> Any:
        given = cotangents[0] if len(cotangents) == 1 else cotangents
        weights, spec = _pytree.tree_flatten(given)
        if spec != out_spec and len(weights) != len(outputs):
            raise RuntimeError("Expected pytree structure of cotangents to be the same as pytree structure of outputs"
                               f" to the function. cotangents: {spec}, primal output: {out_spec}")  # fmt: skip
        linked = keep or _depth > 0 or any(w.requires_grad for w in weights)
        with torch.enable_grad():
            grads = _gradients(outputs, inputs, weights, linked)
        return _detach(_pytree.tree_unflatten(grads, in_spec), linked)

    value = _detach(output, keep)
    return (value, pull, _detach(aux, keep)) if has_aux else (value, pull)


def jvp(func: Callable[..., Any], primals: Any, tangents: Any, *, strict: bool = False, has_aux: bool = False) -> Any:
    """The value of ``func``, and its derivative in a direction: the gradient of the (linear) vjp by its weights.

    >>> torch.func.jvp(torch.sin, (torch.tensor(0.),), (torch.tensor(2.),))
    (tensor(0.), tensor(2.))
    """
    if not isinstance(primals, tuple):
        raise RuntimeError("jvp(f, primals, tangents): Expected primals to be a tuple. E.g. it should be valid to call "
                           f"f(*primals). Got {type(primals)}")  # fmt: skip
    with _Level() as nested, torch.enable_grad():
        keep = nested or _outer_graph((primals, tangents))
        fresh = _fresh(primals)
        output = func(*fresh)
        aux = None
        if has_aux:
            output, aux = output
        inputs = _pytree.tree_leaves(fresh)
        directions, _ = _pytree.tree_flatten(tangents)
        outputs, out_spec = _pytree.tree_flatten(output)
        weights = [torch.zeros_like(out, requires_grad=True) for out in outputs]
        pulled = _gradients(outputs, inputs, weights, True)
        pushed = _gradients(pulled, weights, directions, keep)
        result = _detach(_pytree.tree_unflatten(pushed, out_spec), keep)
        value = _detach(output, keep)
    return (value, result, _detach(aux, keep)) if has_aux else (value, result)


def linearize(func: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[..., Any]]:
    """The value of ``func``, and its derivative as a function of the direction.

    >>> torch.func.linearize(torch.sin, torch.tensor(0.))[1](torch.tensor(2.))
    tensor(2.)
    """
    return func(*primals), lambda *tangents: jvp(func, primals, tangents)[1]


def _basis(t: Tensor) -> Tensor:
    return torch.eye(t.numel(), dtype=t.dtype, device=t.device).reshape(t.numel(), *t.shape)


def jacrev(
    func: Callable[..., Any],
    argnums: Any = 0,
    *,
    has_aux: bool = False,
    chunk_size: int | None = None,
    _preallocate_and_copy: bool = False,
) -> Callable[..., Any]:
    """A function that returns the Jacobian of ``func``, a row of results at a time.

    >>> torch.func.jacrev(torch.sin)(torch.zeros(2))
    tensor([[1., 0.],
            [0., 1.]])
    """

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with _Level() as nested, torch.enable_grad():
            keep = nested or _outer_graph((args, kwargs))
            full, picked = _with_fresh(args, argnums)
            output = func(*full, **kwargs)
            aux = None
            if has_aux:
                output, aux = output
            inputs, in_spec = _pytree.tree_flatten(picked)
            outputs, out_spec = _pytree.tree_flatten(output)
            blocks = []
            for out in outputs:

                def pull(weight: Tensor, out: Tensor = out) -> tuple[Tensor, ...]:
                    return tuple(_gradients([out], inputs, [weight], keep))

                basis = _basis(out)
                rows = vmap(pull, chunk_size=chunk_size)(basis) if len(basis) else [x.new_zeros(0) for x in inputs]
                columns = [row.reshape(*out.shape, *x.shape) for row, x in zip(rows, inputs, strict=True)]
                blocks.append(_pytree.tree_unflatten(columns, in_spec))
            result = _detach(_pytree.tree_unflatten(blocks, out_spec), keep)
            aux = _detach(aux, keep)
        return (result, aux) if has_aux else result

    return wrapper


def jacfwd(
    func: Callable[..., Any], argnums: Any = 0, has_aux: bool = False, *, randomness: str = "error"
) -> Callable[..., Any]:
    """A function that returns the Jacobian of ``func``; computed as ``jacrev`` does.

    >>> torch.func.jacfwd(torch.sin)(torch.zeros(1))
    tensor([[1.]])
    """
    return jacrev(func, argnums, has_aux=has_aux)


def hessian(func: Callable[..., Any], argnums: Any = 0) -> Callable[..., Any]:
    """A function that returns the second derivatives of ``func``.

    >>> torch.func.hessian(lambda x: (x ** 3).sum())(torch.ones(1))
    tensor([[6.]])
    """
    return jacrev(jacrev(func, argnums), argnums)
