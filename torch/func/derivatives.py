"""Derivatives as functions. Those in reverse mode build the graph of one call on fresh leaves and differentiate that;
those in forward mode give the arguments tangents of a new level. Both nest, in themselves and in each other."""

from __future__ import annotations

import functools

import torch
from torch.autograd.forward_ad import _EVERY_LEVEL
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
        return leaf.view_as(leaf) if leaf.requires_grad else torch._C._fresh_leaf(leaf)

    return _pytree.tree_map(one, tree)


def _pick(args: tuple[Any, ...], argnums: Any) -> tuple[Any, ...]:
    if not isinstance(argnums, (int, tuple)):
        raise RuntimeError(f"argnums must be int or Tuple[int, ...], got: {type(argnums)}")
    if argnums == ():
        raise RuntimeError("argnums must be non-empty")
    chosen = (argnums,) if isinstance(argnums, int) else argnums
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


def _leads_out(tree: Any, own: Any = ()) -> bool:
    """Whether a derivative must stay in a graph: that of an outer derivative, or of something the function closes over.

    True if the history of ``tree``, or of its tangents, leads to other leaves than ``own``.
    """
    return bool(torch._C._reaches_leaf(tuple(_pytree.tree_leaves(tree)), tuple(_pytree.tree_leaves(own))))


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
    return _pytree.tree_map_only(torch.Tensor, torch._C._without_graph, tree)


def grad_and_value(func: Callable[..., Any], argnums: Any = 0, has_aux: bool = False) -> Callable[..., Any]:
    """A function that returns the gradient of ``func``, and its value.

    >>> torch.func.grad_and_value(torch.sin)(torch.tensor(0.))
    (tensor(1.), tensor(0.))
    """

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with torch.enable_grad():
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
            keep = _leads_out((output, aux), leaves)
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
    with torch.enable_grad():
        fresh = _fresh(primals)
        output = func(*fresh)
        aux = None
        if has_aux:
            output, aux = output
    inputs, in_spec = _pytree.tree_flatten(fresh)
    outputs, out_spec = _pytree.tree_flatten(output)
    keep = _leads_out((output, aux), inputs)

    def pull(*cotangents: Any, retain_graph: bool = True, create_graph: bool | None = None) -> Any:
        given = cotangents[0] if len(cotangents) == 1 else cotangents
        weights, spec = _pytree.tree_flatten(given)
        if spec != out_spec and len(weights) != len(outputs):
            raise RuntimeError("Expected pytree structure of cotangents to be the same as pytree structure of outputs"
                               f" to the function. cotangents: {spec}, primal output: {out_spec}")  # fmt: skip
        linked = keep or _leads_out(weights)
        with torch.enable_grad():
            grads = _gradients(outputs, inputs, weights, linked)
        return _detach(_pytree.tree_unflatten(grads, in_spec), linked)

    value = _detach(output, keep)
    return (value, pull, _detach(aux, keep)) if has_aux else (value, pull)


def jvp(func: Callable[..., Any], primals: Any, tangents: Any, *, strict: bool = False, has_aux: bool = False) -> Any:
    """The value of ``func``, and its derivative in a direction, by forward mode.

    ``primals`` is the tuple of arguments, ``tangents`` the direction: tensors in the same structure, of the same
    shapes, floating point or complex. With ``has_aux`` the function returns a pair, whose second part is passed on.
    RuntimeError: the structures or shapes differ; with ``strict``, a result does not depend on the arguments.

    >>> torch.func.jvp(torch.sin, (torch.tensor(0.),), (torch.tensor(2.),))
    (tensor(0.), tensor(2.))
    """
    if not isinstance(primals, tuple):
        raise RuntimeError(
            "jvp(f, primals, tangents): Expected primals to be a tuple. E.g. it should be valid to call f(*primals)."
        )
    points, in_spec = _pytree.tree_flatten(primals)
    directions, direction_spec = _pytree.tree_flatten(tangents)
    if in_spec != direction_spec:
        raise RuntimeError(
            "jvp(f, primals, tangents): Expected primals and tangents to have the same python structure. For example, "
            f"if primals is a tuple of 3 tensors, tangents also must be. Got primals with structure {in_spec} and "
            f"tangents with structure {direction_spec}"
        )
    for name, values in (("primals", points), ("tangents", directions)):
        for value in values:
            if not isinstance(value, torch.Tensor):
                raise RuntimeError(
                    f"jvp(f, primals, tangents): Expected {name} to only contain Tensors, got {type(value)}"
                )
    if not points:
        raise RuntimeError("jvp(f, primals, tangents): Expected primals to contain at least one Tensor.")
    for value in points:
        if not (value.is_floating_point() or value.is_complex()):
            raise ValueError(f"Expected primal to be floating point or complex, but got: {value.dtype}")
    limit = torch._C._set_forward_limit(_EVERY_LEVEL)
    level = torch._C._enter_dual_level()
    try:
        duals = [torch._C._make_dual(p, t, level) for p, t in zip(points, directions, strict=True)]
        output = func(*_pytree.tree_unflatten(duals, in_spec))
        aux = None
        if has_aux:
            output, aux = _pair("jvp(f, primals, tangents)", output)
            for leaf in _pytree.tree_leaves(aux):
                if not isinstance(leaf, torch.Tensor):
                    raise RuntimeError(f"Expected tensors, got unsupported type {type(leaf)}")
            aux = _pytree.tree_map(lambda leaf: torch._C._primal(leaf, level), aux)
        outputs, out_spec = _pytree.tree_flatten(output)
        values, pushed = [], []
        for out in outputs:
            if not isinstance(out, torch.Tensor):
                raise RuntimeError(
                    "jvp(f, primals, tangents): expected f(*primals) to return only tensors, got unsupported type "
                    f"{type(out)}"
                )
            along = torch._C._tangent(out, level)
            if along is None:
                if strict:
                    raise RuntimeError(
                        "jvp(f, primals, tangents, strict=True): The output of f is independent of the inputs. This is "
                        "not allowed with strict=True."
                    )
                along = torch.zeros_like(out)
            values.append(torch._C._primal(out, level))
            pushed.append(along)
    finally:
        torch._C._exit_dual_level(level)
        torch._C._set_forward_limit(limit)
    value, result = _pytree.tree_unflatten(values, out_spec), _pytree.tree_unflatten(pushed, out_spec)
    return (value, result, aux) if has_aux else (value, result)


def _pair(who: str, output: Any) -> Any:
    if not (isinstance(output, tuple) and len(output) == 2):
        raise RuntimeError(f"{who}: output of function f should be a tuple: (output, aux) if has_aux is True")
    return output


def linearize(func: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[..., Any]]:
    """The value of ``func``, and its derivative as a function of the direction.

    The function runs once: its vjp, u -> Jᵀ u, is linear, and the derivative applies the transpose of that.
    RuntimeError: a direction whose structure, shapes or dtypes are not those of ``primals``.

    >>> torch.func.linearize(torch.sin, torch.tensor(0.))[1](torch.tensor(2.))
    tensor(2.)
    """
    points, in_spec = _pytree.tree_flatten(primals)
    with torch.enable_grad():
        fresh = _fresh(primals)
        output = func(*fresh)
        outputs, out_spec = _pytree.tree_flatten(output)
        tensors = [out for out in outputs if isinstance(out, torch.Tensor)]
        keep = _leads_out(tensors, fresh)
        weights = [torch.zeros_like(out.detach(), requires_grad=out.requires_grad) for out in tensors]
        pulled = _gradients(tensors, _pytree.tree_leaves(fresh), weights, True)

    def push(*tangents: Any) -> Any:
        directions, spec = _pytree.tree_flatten(tangents)
        if spec != in_spec:
            raise RuntimeError(
                f"Expected the tangents {spec} to have the same argspec as the primals {in_spec}"
            )
        for i, (point, direction) in enumerate(zip(points, directions, strict=True)):
            for what in ("shape", "dtype"):
                have, expected = getattr(direction, what), getattr(point, what)
                if have != expected:
                    raise RuntimeError(
                        f"tangent:{i} with {what} {have} in flattened pytree doesn't match the {what} {expected} of "
                        "the corresponding primal."
                    )
        linked = keep or _leads_out(directions)
        pairs = [i for i, weight in enumerate(weights) if weight.requires_grad]
        with torch.enable_grad():
            found = _gradients(pulled, [weights[i] for i in pairs], directions, linked)
        along = dict(zip(pairs, found, strict=True))
        results = iter([along.get(i, torch.zeros_like(out)) for i, out in enumerate(tensors)])
        filled = [next(results) if isinstance(out, torch.Tensor) else out for out in outputs]
        return _detach(_pytree.tree_unflatten(filled, out_spec), linked)

    return _detach(output, keep), push


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
        with torch.enable_grad():
            full, picked = _with_fresh(args, argnums)
            output = func(*full, **kwargs)
            aux = None
            if has_aux:
                output, aux = output
            inputs, in_spec = _pytree.tree_flatten(picked)
            outputs, out_spec = _pytree.tree_flatten(output)
            keep = _leads_out((outputs, aux), inputs)
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
    """A function that returns the Jacobian of ``func``, a column of arguments at a time, by forward mode.

    ``argnums`` says by which positional arguments, an int or a tuple of ints. ``randomness`` is that of ``vmap``, by
    which the columns are found together. RuntimeError: a result that is complex or no tensor.

    >>> torch.func.jacfwd(torch.sin)(torch.zeros(1))
    tensor([[1.]])
    """

    @functools.wraps(func)
    def wrapper(*args: Any) -> Any:
        chosen = _pick(args, argnums)
        picked = args[argnums] if isinstance(argnums, int) else tuple(args[i] for i in chosen)
        points, in_spec = _pytree.tree_flatten(picked)
        sizes = [point.numel() for point in points]
        notes: dict[str, Any] = {}

        def of_picked(*values: Any) -> Any:
            full = list(args)
            tree = _pytree.tree_unflatten(values, in_spec)
            for i, part in zip(chosen, (tree,) if isinstance(argnums, int) else tree, strict=True):
                full[i] = part
            return func(*full)

        def push(*directions: Any) -> Any:
            found = jvp(of_picked, tuple(points), directions, has_aux=has_aux)
            columns, notes["spec"] = _pytree.tree_flatten(found[1])
            aux, notes["aux_spec"] = _pytree.tree_flatten(found[2] if has_aux else ())
            notes["columns"] = len(columns)
            for i, column in enumerate(columns):
                if column.is_complex():
                    raise RuntimeError(
                        "jacfwd: Expected all outputs to be real but received complex tensor at flattened input idx: "
                        f"{i}"
                    )
            return (*columns, *aux)

        basis = _joint_basis(points, sizes)
        if sum(sizes):
            rows = vmap(push, randomness=randomness)(*basis)
        else:
            found = push(*(torch.zeros_like(p) for p in points))
            columns = [part.new_empty(0, *part.shape) for part in found[: notes["columns"]]]
            rows = (*columns, *[part[None] for part in found[notes["columns"] :]])
        blocks = []
        for row in rows[: notes["columns"]]:
            parts = [
                part.movedim(0, -1).reshape(*row.shape[1:], *point.shape)
                for part, point in zip(row.split(sizes, 0), points, strict=True)
            ]
            blocks.append(_pytree.tree_unflatten(parts, in_spec))
        result = _pytree.tree_unflatten(blocks, notes["spec"])
        if not has_aux:
            return result
        # what is passed on does not depend on the direction
        return result, _pytree.tree_unflatten([part[0] for part in rows[notes["columns"] :]], notes["aux_spec"])

    return wrapper


def _joint_basis(points: list[Tensor], sizes: list[int]) -> tuple[Tensor, ...]:
    """The unit vectors of the space of all points together: for each point, the batch of their parts in it."""
    total, start, parts = sum(sizes), 0, []
    for point, size in zip(points, sizes, strict=True):
        part = point.new_zeros(total, size)
        part[start : start + size].diagonal().fill_(1)
        parts.append(part.view(total, *point.shape))
        start += size
    return tuple(parts)


def hessian(func: Callable[..., Any], argnums: Any = 0) -> Callable[..., Any]:
    """A function that returns the second derivatives of ``func``: forward mode over reverse mode.

    >>> torch.func.hessian(lambda x: (x ** 3).sum())(torch.ones(1))
    tensor([[6.]])
    """
    return jacfwd(jacrev(func, argnums), argnums)
