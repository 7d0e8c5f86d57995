"""Jacobians, Hessians and their products with vectors, by reverse mode."""

from __future__ import annotations

import torch

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

    All modes compute the same numbers, by one reverse pass per output element.
    """
    if strategy not in ("forward-mode", "reverse-mode"):
        raise AssertionError(
            'Expected strategy to be either "forward-mode" or "reverse-mode". Hint: If your function has more outputs '
            'than inputs, "forward-mode" tends to be more performant. Otherwise, prefer to use "reverse-mode".'
        )
    if strategy == "forward-mode" and (create_graph or not vectorize):
        raise NotImplementedError(
            "torch.autograd.functional.jacobian: strategy='forward-mode' needs `vectorize=True` and "
            "`create_graph=False`"
        )
    with torch.enable_grad():
        is_tuple, values = _tensors(inputs, "inputs", "jacobian")
        values = _prepare(values, create_graph)
        outputs_tuple, outputs = _call(func, values, "jacobian")
        result = []
        for output in outputs:
            rows: list[tuple[Any, ...]] = []
            flat = output.reshape(-1)
            for j in range(flat.numel()):
                rows.append(_grad((flat[j],), values, None, create_graph, strict))
            columns: list[list[Any]] = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in values]
            result.append(tuple(_stack_rows(c, output, t) for c, t in zip(columns, values, strict=True)))
    finished = _finish(tuple(result), create_graph)
    per_output = tuple(_unwrap(row, is_tuple) for row in finished)
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
    """The Hessian of a scalar function, nested twice for a tuple of inputs."""
    is_tuple, _ = _tensors(inputs, "inputs", "hessian")
    scalar = _scalar(func, "hessian")

    def gradient(*args: Any) -> Any:
        values = tuple(t if t.requires_grad else t.detach().requires_grad_() for t in args)
        return _unwrap(_grad((scalar(*values),), values, None, True, strict), is_tuple)

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
