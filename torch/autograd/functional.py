"""Jacobians, Hessians and their products with vectors."""

from __future__ import annotations

import torch

from . import forward_ad as fwAD  # noqa: F401 - a name that is here to be found

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]


def _tensors(value: Any, name: str, function: str) -> tuple[bool, tuple[Any, ...]]:
    """Whether ``value`` was a tuple, and the value as a tuple of tensors."""
    is_tuple = isinstance(value, tuple)
    items = value if is_tuple else (value,)
    for i, item in enumerate(items):
        if not isinstance(item, torch.Tensor):
            if is_tuple:
                raise TypeError(
                    f"The {name} given to {function} must be either a Tensor or a tuple of Tensors but the value at "
                    f"index {i} has type {type(item)}."
                )
            raise TypeError(
                f"The {name} given to {function} must be either a Tensor or a tuple of Tensors but the given {name} "
                f"has type {type(item)}."
            )
    return is_tuple, items


def _prepare(inputs: tuple[Any, ...], create_graph: bool) -> tuple[Any, ...]:
    # With create_graph the results must stay connected to what the caller passed; otherwise they must not.
    if create_graph:
        return tuple(t.view_as(t) if t.requires_grad else t.detach().requires_grad_() for t in inputs)
    return tuple(t.detach().requires_grad_() for t in inputs)


def _finish(results: Any, create_graph: bool) -> Any:
    if isinstance(results, torch.Tensor):
        return results if create_graph else results.detach()
    return tuple(_finish(item, create_graph) for item in results)


def _unwrap(results: tuple[Any, ...], is_tuple: bool) -> Any:
    return results if is_tuple else results[0]


def _check_vector(v: tuple[Any, ...], other: tuple[Any, ...], is_other_tuple: bool) -> None:
    if len(v) != len(other):
        if is_other_tuple:
            raise RuntimeError(
                f"v is a tuple of invalid length: should be {len(other)} but got {len(v)}."
            )
        raise RuntimeError("The given v should contain a single Tensor.")
    for i, (vector, tensor) in enumerate(zip(v, other, strict=True)):
        if vector.size() != tensor.size():
            prefix = f"Entry {i} in " if is_other_tuple else ""
            raise RuntimeError(
                f"{prefix}v has invalid size: should be {tensor.size()} but got {vector.size()}."
            )


def _strict_error(what: str) -> RuntimeError:
    return RuntimeError(f"{what} This is not allowed in strict mode.")


def _grad(
    outputs: tuple[Any, ...], inputs: tuple[Any, ...], weights: tuple[Any, ...] | None, create_graph: bool, strict: bool
) -> tuple[Any, ...]:
    """Gradients with zeros for what does not depend; in strict mode that is an error."""
    pairs = [(o, None if weights is None else weights[i]) for i, o in enumerate(outputs) if o.requires_grad]
    if strict and len(pairs) != len(outputs):
        raise _strict_error("Output of the user-provided function does not require gradients.")
    grads: tuple[Any, ...] = (None,) * len(inputs)
    if pairs:
        sources = [pair[0] for pair in pairs]
        factors = None if weights is None else [pair[1] for pair in pairs]
        grads = torch.autograd.grad(
            sources, inputs, factors, allow_unused=True, create_graph=create_graph, retain_graph=True
        )
    if strict and any(grad is None for grad in grads):
        raise _strict_error("The output of the user-provided function is independent of an input.")
    return tuple(torch.zeros_like(t) if g is None else g for g, t in zip(grads, inputs, strict=True))


def _call(func: Callable[..., Any], inputs: tuple[Any, ...], name: str) -> tuple[bool, tuple[Any, ...]]:
    return _tensors(func(*inputs), "outputs of the user-provided function", name)


def vjp(func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> Any:
    """``func(*inputs)`` and the product of the vector ``v`` with its Jacobian."""
    with torch.enable_grad():
        is_tuple, values = _tensors(inputs, "inputs", "vjp")
        values = _prepare(values, create_graph)
        outputs_tuple, outputs = _call(func, values, "vjp")
        if v is None:
            if len(outputs) != 1 or outputs[0].nelement() != 1:
                raise RuntimeError(
                    "The vector v can only be None if the user-provided function returns a single Tensor with a "
                    "single element."
                )
            weights = (torch.ones_like(outputs[0]),)
        else:
            _, weights = _tensors(v, "v", "vjp")
            weights = weights if create_graph else tuple(w.detach() for w in weights)
            _check_vector(weights, outputs, outputs_tuple)
        grads = _grad(outputs, values, weights, create_graph, strict)
    return (
        _unwrap(_finish(outputs, create_graph), outputs_tuple),
        _unwrap(_finish(grads, create_graph), is_tuple),
    )


def _double_backward(
    outputs: tuple[Any, ...], values: tuple[Any, ...], vectors: tuple[Any, ...], create_graph: bool, strict: bool
) -> tuple[Any, ...]:
    """J v from two reverse passes: u -> J^T u is linear, so its own transpose applied to v is J v."""
    dual = tuple(torch.zeros_like(out, requires_grad=True) for out in outputs)
    pulled = _grad(outputs, values, dual, True, strict)
    return _grad(pulled, dual, vectors, create_graph, False)


def jvp(func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> Any:
    """``func(*inputs)`` and the product of its Jacobian with the vector ``v``."""
    with torch.enable_grad():
        is_tuple, values = _tensors(inputs, "inputs", "jvp")
        values = _prepare(values, create_graph)
        if v is None:
            if len(values) != 1 or values[0].nelement() != 1:
                raise RuntimeError(
                    "The vector v can only be None if the input to the user-provided function is a single Tensor "
                    "with a single element."
                )
            vectors = (torch.ones_like(values[0]),)
        else:
            _, vectors = _tensors(v, "v", "jvp")
            vectors = vectors if create_graph else tuple(w.detach() for w in vectors)
            _check_vector(vectors, values, is_tuple)
        outputs_tuple, outputs = _call(func, values, "jvp")
        result = _double_backward(outputs, values, vectors, create_graph, strict)
    return (
        _unwrap(_finish(outputs, create_graph), outputs_tuple),
        _unwrap(_finish(result, create_graph), outputs_tuple),
    )


def _stack_rows(rows: list[Any], output: Any, target: Any) -> Any:
    if rows:
        return torch.stack(rows).view(output.size() + target.size())
    return torch.zeros(output.size() + target.size(), dtype=output.dtype, device=output.device)


def jacobian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """The Jacobian of ``func`` at ``inputs``: shape of an output followed by shape of an input, nested for tuples.

    By one reverse pass per element of the outputs, or with ``strategy="forward-mode"`` by one forward pass per element
    of the inputs; ``vectorize`` runs the passes as a batch, and the forward ones need it. ``create_graph`` keeps the
    result differentiable (reverse mode alone). ``strict`` refuses outputs that don't depend on an input (reverse mode
    without ``vectorize`` alone). RuntimeError, NotImplementedError: a combination that is not supported.

    >>> x = torch.tensor([1., 2.])
    >>> torch.autograd.functional.jacobian(torch.square, x, strategy="forward-mode", vectorize=True)
    tensor([[2., 0.],
            [0., 4.]])
    """
    if strategy not in ("forward-mode", "reverse-mode"):
        raise AssertionError(
            'Expected strategy to be either "forward-mode" or "reverse-mode". Hint: If your function has more outputs '
            'than inputs, "forward-mode" tends to be more performant. Otherwise, prefer to use "reverse-mode".'
        )
    if strategy == "forward-mode":
        return _forward_jacobian(func, inputs, create_graph, strict, vectorize)
    if strict and vectorize:
        raise RuntimeError(
            "torch.autograd.functional.jacobian: `strict=True` and `vectorized=True` are not supported together. "
            "Please either set `strict=False` or `vectorize=False`."
        )
    with torch.enable_grad():
        is_tuple, values = _tensors(inputs, "inputs", "jacobian")
        values = _prepare(values, create_graph)
        outputs_tuple, outputs = _call(func, values, "jacobian")
        result = []
        for output in outputs:
            if vectorize and output.requires_grad and output.numel():
                result.append(_batched_rows(output, values, create_graph))
                continue
            rows: list[tuple[Any, ...]] = []
            flat = output.reshape(-1)
            for j in range(flat.numel()):
                rows.append(_grad((flat[j],), values, None, create_graph, strict))
            columns: list[list[Any]] = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in values]
            result.append(tuple(_stack_rows(c, output, t) for c, t in zip(columns, values, strict=True)))
    finished = _finish(tuple(result), create_graph)
    per_output = tuple(_unwrap(row, is_tuple) for row in finished)
    return _unwrap(per_output, outputs_tuple)


def _batched_rows(output: Any, values: tuple[Any, ...], create_graph: bool) -> tuple[Any, ...]:
    weights = torch.eye(output.numel(), dtype=output.dtype, device=output.device).view(-1, *output.shape)
    rows = torch.func.vmap(lambda weight: _grad((output,), values, (weight,), create_graph, False))(weights)
    return tuple(row.reshape(output.size() + t.size()) for row, t in zip(rows, values, strict=True))


def _forward_jacobian(
    func: Callable[..., Any], inputs: Any, create_graph: bool, strict: bool, vectorize: bool
) -> Any:
    for name, wanted in (("create_graph", create_graph), ("strict", strict)):
        if wanted:
            kind = RuntimeError if name == "strict" else NotImplementedError
            raise kind(
                f'torch.autograd.functional.jacobian: `{name}=True` and `strategy="forward-mode"` are not supported '
                f'together (yet). Please either set `{name}=False` or `strategy="reverse-mode"`.'
            )
    if not vectorize:
        raise NotImplementedError(
            "Computing Jacobian using forward-AD or forward-over-reverse Hessian isonly implemented for "
            "`vectorize=True`."
        )
    is_tuple, values = _tensors(inputs, "inputs", "jacobian")
    outputs_tuple = False

    def called(*args: Any) -> tuple[Any, ...]:
        nonlocal outputs_tuple
        outputs_tuple, outputs = _call(func, args, "jacobian")
        return outputs

    blocks = torch.func.jacfwd(called, tuple(range(len(values))))(*[t.detach() for t in values])
    per_output = tuple(_unwrap(_finish(row, False), is_tuple) for row in blocks)
    return _unwrap(per_output, outputs_tuple)


def _scalar(func: Callable[..., Any], name: str) -> Callable[..., Any]:
    def checked(*args: Any) -> Any:
        is_tuple, outputs = _tensors(func(*args), "outputs of the user-provided function", name)
        if is_tuple or len(outputs) != 1:
            raise RuntimeError(f"The function given to {name} should return a single Tensor")
        if outputs[0].nelement() != 1:
            raise RuntimeError(f"The Tensor returned by the function given to {name} should contain a single element")
        return outputs[0].reshape(())

    return checked


def hessian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """The Hessian of a scalar function, nested twice for a tuple of inputs.

    ``outer_jacobian_strategy`` is how the gradient is differentiated again; it and the other arguments are those of
    :func:`jacobian`.

    >>> torch.autograd.functional.hessian(lambda x: (x**3).sum(), torch.tensor([1., 2.]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    if outer_jacobian_strategy not in ("forward-mode", "reverse-mode"):
        raise AssertionError('Expected strategy to be either "forward-mode" or "reverse-mode".')
    is_tuple, _ = _tensors(inputs, "inputs", "hessian")
    forward = outer_jacobian_strategy == "forward-mode"
    scalar = _scalar(func, "hessian")

    def gradient(*args: Any) -> Any:
        with torch.enable_grad():
            values = tuple(t if t.requires_grad else torch._C._fresh_leaf(t) for t in args)
            return _unwrap(_grad((scalar(*values),), values, None, not forward, strict), is_tuple)

    return jacobian(gradient, inputs, create_graph, strict, vectorize, outer_jacobian_strategy)


def _hessian_product(
    func: Callable[..., Any], inputs: Any, v: Any, create_graph: bool, strict: bool, name: str, transposed: bool
) -> Any:
    with torch.enable_grad():
        is_tuple, values = _tensors(inputs, "inputs", name)
        values = _prepare(values, create_graph)
        if v is None:
            if len(values) != 1 or values[0].nelement() != 1:
                raise RuntimeError(
                    "The vector v can only be None if the input to the user-provided function is a single Tensor "
                    "with a single element."
                )
            vectors = (torch.ones_like(values[0]),)
        else:
            _, vectors = _tensors(v, "v", name)
            vectors = vectors if create_graph else tuple(w.detach() for w in vectors)
            _check_vector(vectors, values, is_tuple)
        output = _scalar(func, name)(*values)
        gradient = _grad((output,), values, None, True, strict)
        if transposed:
            product = _grad(gradient, values, vectors, create_graph, strict)
        else:
            product = _double_backward(gradient, values, vectors, create_graph, strict)
    return _finish(output, create_graph), _unwrap(_finish(product, create_graph), is_tuple)


def vhp(func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> Any:
    """``func(*inputs)`` and the product of ``v`` with its Hessian; faster than :func:`hvp`, which is equal."""
    return _hessian_product(func, inputs, v, create_graph, strict, "vhp", True)


def hvp(func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> Any:
    """``func(*inputs)`` and the product of its Hessian with ``v``."""
    return _hessian_product(func, inputs, v, create_graph, strict, "hvp", False)
