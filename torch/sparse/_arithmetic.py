"""Element by element arithmetic on sparse tensors: it works on the values where zeros stay zeros."""

from __future__ import annotations

from functools import partial

import torch

from ._convert import coalesce, compressed_to_coo, find, project, to_compressed, to_dense
from ._parts import (
    BLOCKED,
    COMPRESSED,
    COO,
    CSR,
    assign,
    cannot_run,
    coo,
    flat_keys,
    indices,
    is_compressed,
    is_sparse,
    nnz,
    plain,
    title,
    values,
    with_values,
)  # fmt: skip

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from torch import Tensor


def elementwise(function: Callable[..., Tensor], tensor: Tensor, *args: Any) -> Tensor:
    """A function that keeps zeros and is not linear: equal indices have to be added up first."""
    if tensor.layout is COO:
        tensor = coalesce(tensor)
    return with_values(tensor, function(values(tensor), *args))


def linear(function: Callable[..., Tensor], tensor: Tensor, *args: Any) -> Tensor:
    """A linear function, which needs no order among the indices."""
    return with_values(tensor, function(values(tensor), *args))


def elementwise_(name: str, function: Callable[..., Tensor], tensor: Tensor, *args: Any) -> Tensor:
    """The in-place form, which does not reorder what the caller may hold on to."""
    if tensor.layout is COO and not tensor.is_coalesced():
        raise RuntimeError(f"{name} requires coalesced input")
    return assign(tensor, cast_for(tensor, elementwise(function, tensor, *args)))


def cast_for(target: Tensor, result: Tensor) -> Tensor:
    """The result of an in-place operation in its target's dtype, if it may be cast to it."""
    if result.dtype is target.dtype:
        return result
    if not torch.can_cast(result.dtype, target.dtype):
        from ..ops_py._common import scalar_type

        raise RuntimeError(
            f"result type {scalar_type(result.dtype)} can't be cast to the desired output type "
            f"{scalar_type(target.dtype)}"
        )
    return result.to(target.dtype)


def is_number(value: Any) -> bool:
    """A number, or a strided tensor that holds one."""
    return not isinstance(value, torch.Tensor) or (value.dim() == 0 and value.layout is torch.strided)


# ---- sums ----


def _common_dtype(a: Tensor, b: Any) -> Any:
    return torch.result_type(a, b)


def _scaled(value: Tensor, alpha: Any, dtype: Any) -> Tensor:
    value = value.to(dtype)
    return value if alpha == 1 else value * alpha


def _check_alpha(dtype: Any, alpha: Any) -> None:
    if isinstance(alpha, bool) and dtype is not torch.bool:
        raise RuntimeError("Boolean alpha only supported for Boolean results.")
    if not (dtype.is_floating_point or dtype.is_complex) and isinstance(alpha, (float, complex)):
        raise RuntimeError("For integral input tensors, argument alpha must not be a floating point number.")


def add(input: Any, other: Any, alpha: Any = 1) -> Tensor:
    """input + alpha * other, where at least one of them is sparse."""
    if isinstance(input, torch.Tensor) and input.layout is torch.strided:
        return _add_to_dense(input, other, alpha)
    if is_compressed(input):
        return _add_to_compressed(input, other, alpha)
    if not is_sparse(other):
        raise RuntimeError("add(sparse, dense) is not supported. Use add(dense, sparse) instead.")
    if is_compressed(other):
        raise RuntimeError("memory format option is only supported by strided tensors")
    dtype = _common_dtype(input, other)
    _check_alpha(dtype, alpha)
    if input.shape != other.shape:
        raise RuntimeError(
            f"add: expected sizes of 'self' and 'other' to match, but {list(input.shape)} != {list(other.shape)}"
        )
    if input.sparse_dim() != other.sparse_dim():
        raise RuntimeError(
            f"add: expected 'self' and 'other' to have same density, but 'self' has {input.sparse_dim()} sparse "
            "dimensions "
            f"while 'other' has {other.sparse_dim()} sparse dimensions"
        )
    if not nnz(other):
        return input.to(dtype).clone()
    first, second = values(input).to(dtype), _scaled(values(other), alpha, dtype)
    if not nnz(input):
        return coo(indices(other), second, other.shape, other.is_coalesced())
    index, index_other = indices(input), indices(other)
    if index.shape == index_other.shape and torch.equal(index, index_other):
        return coo(index, first + second, input.shape, input.is_coalesced())
    joined = coo(torch.cat((index, index_other), 1), torch.cat((first, second)), input.shape)
    return coalesce(joined) if input.is_coalesced() and other.is_coalesced() else joined


def _same_sizes(dense: Tensor, other: Tensor) -> None:
    if dense.shape != other.shape:
        raise RuntimeError(
            f"add: expected 'self' and 'other' to have same size, but self has size {list(dense.shape)} while other "
            f"has size {list(other.shape)} (FYI: dense-sparse addition does not currently support broadcasting)"
        )


def _places(other: Tensor) -> tuple[Tensor, Tensor, int]:
    """Flat places of a sparse tensor's entries in its sparse dimensions, their values, and how many places there "
    "are."""
    other = compressed_to_coo(other) if other.layout in COMPRESSED else other
    sizes = other.shape[: other.sparse_dim()]
    count = 1
    for size in sizes:
        count *= size
    return flat_keys(indices(other), sizes), values(other), count


def _add_to_dense(dense: Tensor, other: Tensor, alpha: Any) -> Tensor:
    _same_sizes(dense, other)
    dtype = _common_dtype(dense, other)
    _check_alpha(dtype, alpha)
    place, value, count = _places(other)
    flat = dense.to(dtype).reshape(count, *value.shape[1:])
    if dtype is torch.bool:
        return (
            flat
            | add(torch.zeros_like(flat, dtype=torch.int64), coo(place.unsqueeze(0), value.long(), flat.shape)).bool()
        ).reshape(dense.shape)
    return flat.index_add(0, place, _scaled(value, alpha, dtype)).reshape(dense.shape)


def add_(target: Tensor, other: Any, alpha: Any = 1) -> Tensor:
    """target += alpha * other; for a dense target only the places that other has are touched."""
    recorded = torch.is_grad_enabled() and (target.requires_grad or getattr(other, "requires_grad", False))
    flat = target.layout is torch.strided and target.is_contiguous() and target.dtype is not torch.bool
    if recorded or not flat:
        return store(target, add(target, other, alpha))
    _same_sizes(target, other)
    cast_for(target, torch.empty(0, dtype=_common_dtype(target, other)))
    _check_alpha(target.dtype, alpha)
    place, value, count = _places(other)
    target.view(count, *value.shape[1:]).index_add_(0, place, _scaled(value, alpha, target.dtype))
    return target


def store(target: Tensor, result: Tensor) -> Tensor:
    """Write the result of an operation to the tensor that it is to replace."""
    result = cast_for(target, result)
    if target.layout is not torch.strided:
        if result.layout is torch.strided:
            raise RuntimeError(f"the result is dense, but the tensor to write to has the layout {title(target)}")
        return assign(target, result)
    result = to_dense(result) if result.layout is not torch.strided else result
    if result.shape != target.shape:
        raise RuntimeError(
            f"output with shape {list(target.shape)} doesn't match the broadcast shape {list(result.shape)}"
        )
    return target.copy_(result)


def _add_to_compressed(input: Tensor, other: Any, alpha: Any) -> Tensor:
    if is_number(other):
        raise RuntimeError(
            "add: expected 'self' and 'other' to have same size, but self has size [] while other has size "
            f"{list(input.shape)} (FYI: op2-sparse addition does not currently support broadcasting)"
        )
    if input.shape != other.shape:
        raise RuntimeError(
            f"torch.add: Expected input tensors to have the same shape, but got tensor `self` with shape "
            f"{list(input.shape)} and tensor `other` with shape {list(other.shape)}"
        )
    dtype = _common_dtype(input, other)
    _check_alpha(dtype, alpha)
    if other.layout is torch.strided:
        place, value, count = _places(input)
        flat = _scaled(other, alpha, dtype).reshape(count, *value.shape[1:])
        return flat.index_add(0, place, value.to(dtype)).reshape(other.shape)
    if other.layout is not input.layout:
        if other.layout is COO:
            raise RuntimeError(
                f"add: the sum of {title(input)} and Sparse tensors is not supported: convert one of them"
            )
        raise RuntimeError("crow_indices expected sparse row compressed tensor layout but got SparseCsc")
    first, second = values(input).to(dtype), _scaled(values(other), alpha, dtype)
    same = indices(input).shape == indices(other).shape and plain(input).shape == plain(other).shape
    if same and torch.equal(indices(input), indices(other)) and torch.equal(plain(input), plain(other)):
        return with_values(input, first + second)
    if input.layout in BLOCKED:
        raise RuntimeError("add: block-sparse tensors can only be added where their patterns agree")
    total = add(compressed_to_coo(with_values(input, first)), compressed_to_coo(with_values(other, second)))
    if total.sparse_dim() > 2:
        raise RuntimeError("add: batches of compressed tensors can only be added where their patterns agree")
    result = to_compressed(total, input.layout)
    index_dtype = indices(input).dtype
    if index_dtype is torch.int64:
        return result
    from ._parts import compressed

    return compressed(
        input.layout, indices(result).to(index_dtype), plain(result).to(index_dtype), values(result), input.shape
    )


def sub(input: Any, other: Any, alpha: Any = 1) -> Tensor:
    """input - alpha * other."""
    if not isinstance(input, torch.Tensor):
        return rsub(other, input, alpha)
    if torch.result_type(input, other) is torch.bool:
        raise RuntimeError(
            "Subtraction, the `-` operator, with two bool tensors is not supported. Use the `^` or `logical_xor()` "
            "operator instead."
        )
    for one in (input, other):
        if is_compressed(one):
            raise RuntimeError(f"unsupported tensor layout: {title(one)}")
    return add(input, other, -alpha)


def sub_(target: Tensor, other: Any, alpha: Any = 1) -> Tensor:
    """target -= alpha * other."""
    return add_(target, other, -alpha)


def rsub(input: Tensor, other: Any, alpha: Any = 1) -> Tensor:
    """other - alpha * input."""
    if not isinstance(other, torch.Tensor):
        if is_compressed(input):
            raise RuntimeError(f"unsupported tensor layout: {title(input)}")
        other = torch.tensor(other)
    return sub(other, input, alpha)


# ---- products ----


def mul(input: Any, other: Any) -> Tensor:
    """input * other: where one of them has no element, neither has the product."""
    if not is_sparse(input):
        input, other = other, input
    if is_number(other):
        return linear(torch.mul, input, other)
    if input.layout in COMPRESSED:
        return _mul_compressed(input, other)
    if other.layout is torch.strided:
        return _mul_dense(input, other)
    if other.layout in COMPRESSED:
        raise RuntimeError("Expected result Tensor to be of format CSR")
    if input.shape != other.shape or input.sparse_dim() != other.sparse_dim():
        raise RuntimeError(
            "sparse_binary_op_intersection_cpu(): expects sparse inputs with equal dimensionality, number of sparse "
            "dimensions, and shape of sparse dimensions"
        )
    if input.is_coalesced() and other.is_coalesced() and torch.equal(indices(input), indices(other)):
        return coo(indices(input), values(input) * values(other), input.shape, True)
    # entries of equal indices: the product of sums is the sum of products with the other's sum
    other = coalesce(other)
    sizes = input.shape[: input.sparse_dim()]
    at, found = find(flat_keys(indices(other), sizes), flat_keys(indices(input), sizes))
    kept = found.nonzero().squeeze(1)
    product = values(input)[kept] * values(other)[at[kept]]
    return coo(indices(input)[:, kept], product, input.shape, input.is_coalesced())


def _mul_dense(input: Tensor, dense: Tensor) -> Tensor:
    if dense.dim() > input.dim() or torch.broadcast_shapes(input.shape, dense.shape) != input.shape:
        raise RuntimeError("expand is unsupported for Sparse tensors")
    dense = dense.expand(input.shape)
    return coo(indices(input), values(input) * dense[tuple(indices(input))], input.shape, input.is_coalesced())


def _mul_compressed(input: Tensor, other: Tensor) -> Tensor:
    if input.layout in BLOCKED:
        raise RuntimeError(
            f"empty_sparse_compressed expected sparse compressed (non-block) tensor layout but got {title(input)}"
        )
    if input.layout is not CSR and is_sparse(other):
        raise RuntimeError("Expected result Tensor to be of format CSR")
    if other.layout is torch.strided:
        if input.shape != other.shape:
            other = other.expand(input.shape)
        return with_values(input, values(input) * project(other, input.detach()))
    if input.shape != other.shape:
        raise RuntimeError(
            f"torch.mul: Expected input tensors to have the same shape, but got tensor `self` with shape "
            f"{list(input.shape)} and tensor `other` with shape {list(other.shape)}"
        )
    first = compressed_to_coo(input)
    return to_compressed(mul(first, compressed_to_coo(other) if other.layout in COMPRESSED else coalesce(other)), CSR)


def mul_(target: Tensor, other: Any) -> Tensor:
    """target *= other."""
    return store(target, mul(target, other))


def div(input: Any, other: Any, rounding_mode: str | None = None) -> Tensor:
    """input / other, where other is a number or a 0-d tensor."""
    for one in (input, other):
        if is_compressed(one):
            raise RuntimeError(f"unsupported tensor layout: {title(one)}")
    if not isinstance(input, torch.Tensor):
        raise cannot_run("reciprocal", other)
    if not is_number(other):
        raise RuntimeError(
            "Sparse division requires a scalar or zero-dim dense tensor divisor (got shape "
            f"{list(other.shape)} for divisor)"
        )
    if not is_sparse(input):
        raise RuntimeError("Sparse division requires a sparse dividend")
    if rounding_mode is None:
        return linear(torch.true_divide, input, other)
    return elementwise(partial(torch.div, rounding_mode=rounding_mode), input, other)


def div_(target: Tensor, other: Any, rounding_mode: str | None = None) -> Tensor:
    """target /= other."""
    return store(target, div(target, other, rounding_mode))


def floor_divide(input: Any, other: Any) -> Tensor:
    """input // other, where other is a number or a 0-d tensor."""
    for one in (input, other):
        if is_compressed(one):
            raise cannot_run("floor_divide", one)
    return div(input, other, "floor")


def power(input: Any, exponent: Any) -> Tensor:
    """input ** exponent for a number other than zero, which would not keep zeros."""
    if is_compressed(input):
        raise RuntimeError(f"unsupported tensor layout: {title(input)}")
    if not isinstance(input, torch.Tensor):
        raise cannot_run("pow.Scalar", exponent)
    if isinstance(exponent, torch.Tensor) and exponent.dim():
        raise cannot_run("pow.Tensor_Tensor", input if is_sparse(input) else exponent)
    if exponent == 0:
        raise RuntimeError("pow: cannot raise to zeroth power on sparse tensor; it would make the result tensor dense")
    return elementwise(torch.pow, input, exponent)


def square(input: Tensor) -> Tensor:
    """input * input."""
    if is_compressed(input):
        raise RuntimeError(f"unsupported tensor layout: {title(input)}")
    return elementwise(torch.square, input)


def float_power(input: Any, exponent: Any) -> Tensor:
    """input ** exponent in double precision."""
    if not isinstance(input, torch.Tensor):
        raise cannot_run("pow.Scalar", exponent)
    return power(input.to(torch.complex128 if input.is_complex() else torch.float64), exponent)


RULES: dict[str, Any] = {
    "add": add, "sub": sub, "subtract": sub, "rsub": rsub, "mul": mul, "multiply": mul, "div": div, "div.mode": div,
    "divide": div, "divide.mode": div, "true_divide": div, "floor_divide": floor_divide, "pow": power,
    "float_power": float_power, "square": square,
}  # fmt: skip
IN_PLACE: dict[str, Any] = {
    "add": add_, "sub": sub_, "subtract": sub_, "mul": mul_, "multiply": mul_, "div": div_, "div.mode": div_,
    "divide": div_, "divide.mode": div_, "true_divide": div_,
}  # fmt: skip
