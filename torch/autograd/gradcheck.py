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
        if output.is_complex():
            result.append((i, "real", torch.view_as_real(output.resolve_conj())[..., 0]))
            result.append((i, "imag", torch.view_as_real(output.resolve_conj())[..., 1]))
        else:
            result.append((i, "", output))
    return result


def _numerical(func: Callable[..., Any], inputs: tuple[Any, ...], target: Any, eps: float) -> list[Any]:
    """Jacobians (entries of ``target`` by entries of each output) by central differences, in place in ``target``."""
    base = target.detach()
    rows: list[list[Any]] = []

    def outputs() -> list[Any]:
        return [out.detach().reshape(-1).clone() for _, _, out in _real_outputs(func(*inputs))]

    def slope(index: Any, step: complex) -> list[Any]:
        before = base[index].item()
        base[index] = before + step
        high = outputs()
        base[index] = before - step
        low = outputs()
        base[index] = before
        return [(h - w) / (2 * eps) for h, w in zip(high, low, strict=True)]

    for flat in range(base.numel()):
        index, rest = [], flat
        for size in reversed(base.shape):
            index.append(rest % size)
            rest //= size
        where = tuple(reversed(index))
        row = slope(where, eps)
        if base.is_complex():
            # The gradient of a real function of x + iy is df/dx + i df/dy.
            row = [torch.complex(dx, dy) for dx, dy in zip(row, slope(where, eps * 1j), strict=True)]
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
    func: Callable[..., Any], inputs: tuple[Any, ...], eps: float, atol: float, rtol: float, nondet_tol: float,
    check_undefined_grad: bool, check_grad_dtypes: bool,
) -> bool:  # fmt: skip
    positions = _check_inputs(inputs)
    targets = [inputs[i] for i in positions]
    outputs = _real_outputs(func(*inputs))
    if not outputs:
        for i in positions:
            for column in _numerical_any(func, inputs, inputs[i], eps):
                if bool((column != 0).any()):
                    raise GradcheckError("Numerical gradient for function expected to be zero")
        return True
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
    return True


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
    """Compare the gradients of ``func`` with finite differences, for all inputs that require gradients.

    The whole Jacobian is compared in ``fast_mode`` too. ``raise_exception=False`` returns ``False`` on a mismatch.
    """
    if not (check_forward_ad or check_backward_ad):
        raise AssertionError("Expected at least one of check_forward_ad or check_backward_ad to be True")
    for name, wanted in (
        ("check_forward_ad", check_forward_ad),
        ("check_batched_grad", check_batched_grad),
        ("check_batched_forward_grad", check_batched_forward_grad),
    ):
        if wanted:
            raise NotImplementedError(f"gradcheck: {name}=True is not supported")
    try:
        return _gradcheck(
            func, _tuple(inputs), eps, atol, rtol, nondet_tol, check_undefined_grad, check_grad_dtypes
        )
    except GradcheckError:
        if raise_exception:
            raise
        return False


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
    """Compare second derivatives with finite differences of the first, also with respect to ``grad_outputs``."""
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
