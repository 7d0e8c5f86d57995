"""Checks of derivatives against finite differences."""

from __future__ import annotations

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["GradcheckError", "gradcheck", "gradgradcheck"]


class GradcheckError(RuntimeError):
    """The derivatives are wrong."""


def _tuple(value: Any) -> tuple[Any, ...]:
    return (value,) if isinstance(value, torch.Tensor) else tuple(value)


def _differentiable(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.requires_grad


def _real_outputs(outputs: Any) -> list[tuple[int, str, Any]]:
    """The differentiable outputs as real tensors: the parts of a complex one are functions of their own."""
    result = []
    for i, output in enumerate(_tuple(outputs)):
        if not _differentiable(output):
            continue
        if output.layout is not torch.strided:
            raise ValueError(
                "Sparse output is not supported at gradcheck yet. Please call to_dense(masked_grad=...) on the output "
                "of "
                "fn for gradcheck."
            )
        if output.is_complex():
            result.append((i, "real", torch.view_as_real(output.resolve_conj())[..., 0]))
            result.append((i, "imag", torch.view_as_real(output.resolve_conj())[..., 1]))
        else:
            result.append((i, "", output))
    return result


def _places(shape: Any) -> list[tuple[int, ...]]:
    """The indices of all elements, in order."""
    import itertools

    return list(itertools.product(*[range(size) for size in shape]))


def _slope(outputs: Callable[[], list[Any]], base: Any, where: Any, step: complex) -> list[Any]:
    """The derivative of each output in the direction of ``step`` by central differences, in place in ``base``."""
    before = base[where].item()
    base[where] = before + step
    high = outputs()
    base[where] = before - step
    low = outputs()
    base[where] = before
    return [(h - w) / (2 * abs(step)) for h, w in zip(high, low, strict=True)]


def _numerical(func: Callable[..., Any], inputs: tuple[Any, ...], target: Any, eps: float) -> list[Any]:
    """Jacobians: entries of ``target`` by entries of each output."""
    base = target.detach()
    rows: list[list[Any]] = []

    def outputs() -> list[Any]:
        return [out.detach().reshape(-1).clone() for _, _, out in _real_outputs(func(*inputs))]

    for where in _places(base.shape):
        row = _slope(outputs, base, where, eps)
        if base.is_complex():
            # The gradient of a real function of x + iy is df/dx + i df/dy.
            row = [torch.complex(dx, dy) for dx, dy in zip(row, _slope(outputs, base, where, eps * 1j), strict=True)]
        rows.append(row)
    if not rows:
        return []
    return [torch.stack(column) for column in zip(*rows, strict=True)]


def _analytical(output: Any, targets: list[Any]) -> list[Any]:
    """The same Jacobians by one backward pass per entry of the output."""
    columns: list[list[Any]] = [[] for _ in targets]
    weights = torch.zeros_like(output, memory_format=torch.contiguous_format)
    flat = weights.view(-1)
    for i in range(output.numel()):
        flat[i] = 1
        grads = torch.autograd.grad(output, targets, weights.clone(), retain_graph=True, allow_unused=True)
        flat[i] = 0
        for column, grad, target in zip(columns, grads, targets, strict=True):
            if grad is None:
                grad = torch.zeros_like(target)
            if grad.shape != target.shape:
                raise GradcheckError("grad is incorrect size")
            column.append((grad.to_dense() if grad.layout is not torch.strided else grad).detach().reshape(-1))
    return [
        torch.stack(column, 1) if column else torch.zeros(target.numel(), 0, dtype=target.dtype)
        for column, target in zip(columns, targets, strict=True)
    ]


def _check_inputs(inputs: tuple[Any, ...]) -> list[int]:
    positions = [i for i, value in enumerate(inputs) if _differentiable(value)]
    if not positions:
        raise ValueError(
            "gradcheck expects at least one input tensor to require gradient, but none of them have "
            "requires_grad=True."
        )
    for i in positions:
        value = inputs[i]
        if value.dtype not in (torch.float64, torch.complex128):
            import warnings

            warnings.warn(
                f"Input #{i} requires gradient and is not a double precision floating point or complex. This check "
                "will likely fail if all the inputs are not of double precision floating point or complex. ",
                stacklevel=4,
            )
        if any(stride == 0 and size > 1 for stride, size in zip(value.stride(), value.shape, strict=True)):
            raise RuntimeError(
                f"The {i}th input has a dimension with stride 0. gradcheck only supports inputs that are "
                "non-overlapping to be able to compute the numerical gradients correctly. You should call "
                ".contiguous on the input before passing it to gradcheck."
            )
    return positions


def _close(left: Any, right: Any, rtol: float, atol: float) -> bool:
    return bool(torch.allclose(left, right, rtol, atol, equal_nan=True))


def _check_undefined(func: Callable[..., Any], inputs: tuple[Any, ...]) -> None:
    """Undefined gradients of some outputs must act like zeros: no input may then get a gradient that is not zero."""
    outputs = [out for out in _tuple(func(*inputs)) if _differentiable(out)]
    targets = [value for value in inputs if _differentiable(value)]
    if not outputs:
        return
    zeros = [torch.zeros_like(out) for out in outputs]
    for grad in torch.autograd.grad(outputs, targets, zeros, allow_unused=True):
        if grad is not None and bool((grad != 0).any()):
            raise GradcheckError(
                "Expected all input grads to be undefined or zero when all output grads are undefined or zero. Please "
                "look at 'Notes about undefined output gradients' in tools/autograd/derivatives.yaml"
            )


def _gradcheck(
    func: Callable[..., Any], inputs: tuple[Any, ...], positions: list[int], eps: float, atol: float, rtol: float,
    nondet_tol: float, check_undefined_grad: bool, check_grad_dtypes: bool,
) -> None:  # fmt: skip
    targets = [inputs[i] for i in positions]
    outputs = _real_outputs(func(*inputs))
    if not outputs:
        for i in positions:
            for column in _numerical_any(func, inputs, inputs[i], eps):
                if bool((column != 0).any()):
                    raise GradcheckError("Numerical gradient for function expected to be zero")
        return
    numerical = [_numerical(func, inputs, target, eps) for target in targets]
    # The inputs were changed and changed back: what the first call saved counts as stale.
    outputs = _real_outputs(func(*inputs))
    for o, (index, part, output) in enumerate(outputs):
        analytical = _analytical(output, targets)
        again = _analytical(output, targets)
        for t, position in enumerate(positions):
            if not targets[t].numel():
                continue
            expected = numerical[t][o]
            if check_grad_dtypes and analytical[t].dtype != targets[t].dtype:
                raise GradcheckError(f"expected gradient of dtype {targets[t].dtype}, got {analytical[t].dtype}")
            if not _close(analytical[t], expected.to(analytical[t].dtype), rtol, atol):
                raise GradcheckError(_mismatch(index, part, position, expected, analytical[t]))
            if analytical[t].numel() and not bool(((analytical[t] - again[t]).abs() <= nondet_tol).all()):
                raise GradcheckError(
                    "Backward is not reentrant, i.e., running backward with same input and grad_output multiple "
                    "times gives different values, although analytical gradient matches numerical gradient. The "
                    f"tolerance for nondeterminism was {nondet_tol}."
                )
    if check_undefined_grad:
        _check_undefined(func, inputs)


def _check_forward(
    func: Callable[..., Any], inputs: tuple[Any, ...], positions: list[int], eps: float, atol: float, rtol: float
) -> None:
    """Forward mode, a direction at a time: each entry of an input, and i times it for a complex one."""
    kept = [i for i, out in enumerate(_tuple(func(*inputs))) if _differentiable(out)]

    def outputs() -> list[Any]:
        results = _tuple(func(*inputs))
        return [results[i].detach().resolve_conj().reshape(-1).clone() for i in kept]

    for position in positions:
        base = inputs[position].detach()
        if not base.numel():
            continue
        for part, factor in (("real", 1.0), ("imaginary", 1j)) if base.is_complex() else (("", 1.0),):
            numerical: list[list[Any]] = []
            analytical: list[list[Any]] = []
            for where in _places(base.shape):
                numerical.append(_slope(outputs, base, where, eps * factor))
                tangent = torch.zeros_like(base)
                tangent[where] = factor
                analytical.append([_pushed(func, inputs, {position: tangent})[i].reshape(-1) for i in kept])
            for o, index in enumerate(kept):
                expected = torch.stack([row[o] for row in numerical])
                found = torch.stack([row[o] for row in analytical]).to(expected.dtype)
                if not _close(found, expected, rtol, atol):
                    lead = f"While considering the {part} part of complex inputs only, " if part else ""
                    raise GradcheckError(
                        f"{lead}Jacobian computed with forward mode mismatch for output {index} with respect to input "
                        f"{position},\nnumerical:{expected}\nanalytical:{found}\n"
                    )


def _pushed(func: Callable[..., Any], inputs: tuple[Any, ...], tangents: dict[int, Any]) -> list[Any]:
    """The tangents of all outputs, given those of some inputs."""
    forward_ad = torch.autograd.forward_ad
    with forward_ad.dual_level():
        args = [forward_ad.make_dual(v.detach(), tangents[i]) if i in tangents else v for i, v in enumerate(inputs)]
        args = [torch._C._fresh_leaf(v) if i in tangents and inputs[i].requires_grad else v for i, v in enumerate(args)]
        results = []
        for out in _tuple(func(*args)):
            along = forward_ad.unpack_dual(out).tangent if isinstance(out, torch.Tensor) else None
            results.append(torch.zeros_like(out) if along is None and isinstance(out, torch.Tensor) else along)
    return [along if along is None else along.detach().resolve_conj() for along in results]


def _compare_batched(kind: str, index: int, batched: Any, expected: Any) -> None:
    if not _close(batched, expected, 1e-5, 1e-8):
        raise GradcheckError(
            f"For output {index}: gradcheck or gradgradcheck failed while testing {kind} computation.\n\n"
            f"Got:\n{batched}\n\nExpected:\n{expected}"
        )


def _check_batched_backward(func: Callable[..., Any], inputs: tuple[Any, ...]) -> None:
    """Gradients for a batch of weights, all at once by ``vmap``, are those taken one after the other."""
    targets = [value for value in inputs if _differentiable(value)]
    for index, output in enumerate(_tuple(func(*inputs))):
        if not _differentiable(output):
            continue

        def pull(weight: Any, output: Any = output) -> tuple[Any, ...]:
            grads = torch.autograd.grad(output, targets, weight, retain_graph=True, allow_unused=True)
            return tuple(torch.zeros_like(t) if g is None else g for g, t in zip(grads, targets, strict=True))

        weights = torch.stack([torch.randn_like(output), torch.randn_like(output)]).detach()
        batched = torch.func.vmap(pull)(weights)
        expected = [torch.stack(parts) for parts in zip(*[pull(weight) for weight in weights], strict=True)]
        for have, want in zip(batched, expected, strict=True):
            _compare_batched("batched gradient", index, have.detach(), want.detach())


def _check_batched_forward(func: Callable[..., Any], inputs: tuple[Any, ...], positions: list[int]) -> None:
    """The same for tangents."""
    for position in positions:
        directions = torch.stack([torch.randn_like(inputs[position]) for _ in range(2)]).detach()

        def push(direction: Any, position: int = position) -> tuple[Any, ...]:
            return tuple(along for along in _pushed(func, inputs, {position: direction}) if along is not None)

        batched = torch.func.vmap(push)(directions)
        expected = [torch.stack(parts) for parts in zip(*[push(direction) for direction in directions], strict=True)]
        for index, (have, want) in enumerate(zip(batched, expected, strict=True)):
            _compare_batched("batched forward-mode gradient", index, have, want)


def _numerical_any(func: Callable[..., Any], inputs: tuple[Any, ...], target: Any, eps: float) -> list[Any]:
    """Finite differences of outputs that have no graph, which must not depend on any input."""

    def attached(*args: Any) -> tuple[Any, ...]:
        outputs = [out for out in _tuple(func(*args)) if isinstance(out, torch.Tensor) and out.is_floating_point()]
        return tuple(out.detach().requires_grad_() for out in outputs)

    return _numerical(attached, inputs, target, eps)


def _mismatch(index: int, part: str, position: int, numerical: Any, analytical: Any) -> str:
    lead = ""
    if part:
        word = "Real" if part == "real" else "Imaginary"
        lead = f"While considering the {word.lower()} part of complex outputs only, "
    return (
        f"{lead}Jacobian mismatch for output {index} with respect to input {position},\n"
        f"numerical:{numerical}\nanalytical:{analytical}\n"
    )


def gradcheck(
    func: Callable[..., Any],
    inputs: Any,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_batched_forward_grad: bool = False,
    check_forward_ad: bool = False,
    check_backward_ad: bool = True,
    fast_mode: bool = False,
    masked: bool | None = None,
) -> bool:
    """Compare the derivatives of ``func`` with finite differences, for all inputs that require gradients.

    ``check_backward_ad``: gradients; ``check_forward_ad``: tangents. The ``batched`` ones compare what ``vmap`` gives
    with one at a time. The whole Jacobian is compared in ``fast_mode`` too. ``raise_exception=False`` returns
    ``False`` on a mismatch instead of raising GradcheckError.

    >>> x = torch.tensor([1., 2.], dtype=torch.float64, requires_grad=True)
    >>> torch.autograd.gradcheck(torch.exp, x, check_forward_ad=True)
    True
    """
    if not (check_forward_ad or check_backward_ad):
        raise AssertionError("Expected at least one of check_forward_ad or check_backward_ad to be True")
    if check_batched_grad and not check_backward_ad:
        raise AssertionError("Setting check_batched_grad=True requires check_backward_ad to be True")
    if check_batched_forward_grad and not check_forward_ad:
        raise AssertionError("Setting check_batched_forward_grad=True requires check_forward_ad to be True")
    values = _tuple(inputs)
    if any(isinstance(value, torch.Tensor) and value.layout is not torch.strided for value in values):
        from ..sparse._gradcheck import strided

        func, values = strided(func, values, bool(masked), False)
    positions = _check_inputs(values)
    try:
        if check_forward_ad:
            _check_forward(func, values, positions, eps, atol, rtol)
        if check_batched_forward_grad:
            _check_batched_forward(func, values, positions)
        if check_backward_ad:
            _gradcheck(
                func, values, positions, eps, atol, rtol, nondet_tol, check_undefined_grad, check_grad_dtypes
            )
        if check_batched_grad:
            _check_batched_backward(func, values)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Any,
    grad_outputs: Any = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    gen_non_contig_grad_outputs: bool = False,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_fwd_over_rev: bool = False,
    check_rev_over_rev: bool = True,
    fast_mode: bool = False,
    masked: bool = False,
) -> bool:
    """Compare second derivatives with finite differences of the first, also with respect to ``grad_outputs``.

    ``check_rev_over_rev`` and ``check_fwd_over_rev`` say by which modes the first are differentiated.
    """
    if not (check_fwd_over_rev or check_rev_over_rev):
        raise AssertionError("Expected at least one of check_fwd_over_rev or check_rev_over_rev to be True")
    values = _tuple(inputs)
    if grad_outputs is None:
        weights = tuple(
            _random_like(out, gen_non_contig_grad_outputs) for out in _tuple(func(*values)) if _differentiable(out)
        )
    else:
        weights = _tuple(grad_outputs)
    count = len(weights)
    positions = [i for i, value in enumerate(values) if _differentiable(value)]

    def first_derivative(*args: Any) -> tuple[Any, ...]:
        given = args[: len(args) - count]
        outputs = [out for out in _tuple(func(*given)) if _differentiable(out)]
        targets = [given[i] for i in positions]
        grads = torch.autograd.grad(outputs, targets, args[len(args) - count :], create_graph=True, allow_unused=True)
        return tuple(grad for grad in grads if grad is not None)

    return gradcheck(
        first_derivative, (*values, *weights), eps=eps, atol=atol, rtol=rtol, raise_exception=raise_exception,
        nondet_tol=nondet_tol, check_undefined_grad=check_undefined_grad, check_grad_dtypes=check_grad_dtypes,
        check_batched_grad=check_batched_grad, check_forward_ad=check_fwd_over_rev,
        check_backward_ad=check_rev_over_rev, fast_mode=fast_mode, masked=masked,
    )  # fmt: skip


def _random_like(output: Any, noncontiguous: bool) -> Any:
    dtype = output.dtype if output.is_floating_point() or output.is_complex() else torch.float64
    if noncontiguous and output.dim():
        weights = torch.randn((*output.shape, 2), dtype=dtype, device=output.device)[..., 0]
    else:
        weights = torch.randn(output.shape, dtype=dtype, device=output.device)
    return weights.requires_grad_()
