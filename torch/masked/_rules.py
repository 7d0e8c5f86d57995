"""What operations do with masked tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch._over_parts import OPERATORS, differentiate

from . import operations
from ._masked_tensor import MaskedTensor, _wrap

Rule = Callable[..., Any]

# Element by element, of one tensor: the mask stays.
UNARY = frozenset(
    """
    abs absolute acos arccos acosh arccosh angle asin arcsin asinh arcsinh atan arctan atanh arctanh bitwise_not ceil
    clamp clip conj_physical cos cosh deg2rad digamma erf erfc erfinv exp exp2 expm1 fix floor frac lgamma log log10
    log1p log2 logit i0 isnan isfinite isinf isneginf isposinf isreal logical_not nan_to_num neg negative positive pow
    rad2deg reciprocal round rsqrt sigmoid sign sgn signbit sin sinc sinh sqrt square tan tanh trunc relu gelu silu
    softplus elu selu leaky_relu hardtanh mish ones_like zeros_like full_like empty_like rand_like randn_like float
    double half int long short char bool to type real data detach contiguous clone fill zero polygamma mvlgamma
    """.split()
)
# Of two tensors, or of a tensor and a number.
BINARY = frozenset(
    """
    add atan2 arctan2 bitwise_and bitwise_or bitwise_xor bitwise_left_shift bitwise_right_shift div divide floor_divide
    fmod logaddexp logaddexp2 mul multiply nextafter remainder sub subtract true_divide eq ne le ge
    greater greater_equal
    gt less_equal lt less maximum minimum fmax fmin not_equal copysign hypot logical_and logical_or
    logical_xor rsub copy
    """.split()
)
# Moves elements: the mask's move with them.
MOVES = frozenset(
    """
    transpose t swapaxes swapdims reshape view flatten unflatten unsqueeze squeeze permute movedim moveaxis expand
    broadcast_to getitem select narrow unbind split split_with_sizes chunk tensor_split index_select cat concat
    concatenate stack hstack vstack flip roll repeat tile take_along_dim gather diagonal view_as expand_as reshape_as
    contiguous clone mT T
    """.split()
)


def _data(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return type(value)(map(_data, value))
    return value._part if isinstance(value, MaskedTensor) else value


def _mask(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return type(value)(map(_mask, value))
    return value._mask if isinstance(value, MaskedTensor) else value


def run(func: Any, args: Any, kwargs: Any) -> Any:
    """Answer a call of ``func`` that has a masked tensor among its arguments; NotImplemented if there is no rule."""
    name = getattr(func, "__name__", str(func))
    if name == "__get__":
        return _attribute(func, *args)
    name = OPERATORS.get(name, name)
    rule = _RULES.get(name)
    if rule is not None:
        return rule(func, *args, **kwargs)
    base = name[:-1] if name.endswith("_") else name
    if base in MOVES:
        return _move(func, args, kwargs)
    if base in UNARY:
        return _unary(func, args, kwargs)
    if base in BINARY:
        return _binary(func, args, kwargs)
    return func(*_data(args), **kwargs) if name in _QUESTIONS else NotImplemented


_QUESTIONS = frozenset(
    """
    size dim ndimension numel nelement stride storage_offset element_size is_floating_point is_complex is_contiguous
    is_signed get_device data_ptr is_pinned is_same_size
    """.split()
)


def _attribute(func: Any, input: MaskedTensor, *owner: Any) -> Any:
    name = func.__self__.__name__
    value = getattr(input._part, name)
    return _wrap(value, getattr(input._mask, name)) if isinstance(value, Tensor) else value


def _paired(data: Any, mask: Any) -> Any:
    if isinstance(data, (tuple, list)):
        return type(data)(map(_paired, data, mask))
    return _wrap(data, mask)


def _move(func: Any, args: Any, kwargs: Any) -> Any:
    return _paired(func(*_data(args), **_all(_data, kwargs)), func(*_mask(args), **_all(_mask, kwargs)))


def _all(part: Rule, kwargs: dict[str, Any]) -> dict[str, Any]:
    return {name: part(value) for name, value in kwargs.items()}


def _finish(func: Any, target: Any, rest: Any, kwargs: Any, mask: Tensor) -> MaskedTensor:
    if isinstance(target, MaskedTensor) and func.__name__.endswith("_") and not func.__name__.endswith("__"):
        # a write replaces the data, which belong to whoever gave them
        target._part = func(target._part.clone(), *rest, **kwargs)
        return target
    result = func(_data(target), *rest, **kwargs)
    return _wrap(result, mask.expand(result.shape))


def _unary(func: Any, args: Any, kwargs: Any) -> Any:
    input, *rest = args
    if not isinstance(input, MaskedTensor) or any(isinstance(a, MaskedTensor) for a in rest):
        raise TypeError("MaskedTensor unary ops do not support additional Tensor arguments")
    return _finish(func, input, rest, kwargs, input._mask)


def _binary(func: Any, args: Any, kwargs: Any) -> Any:
    masks = [a._mask for a in args if isinstance(a, MaskedTensor)]
    if len(masks) == 2 and not torch.equal(*masks):
        raise ValueError(
            "Input masks must match. If you need support for this, please open an issue on Github.\nBring both "
            "under one "
            "mask: masked_tensor(x.get_data(), x.get_mask() & y.get_mask())"
        )
    return _finish(func, args[0], _data(args[1:]), kwargs, masks[0])


def _reversed_division(func: Any, input: MaskedTensor, other: Any) -> MaskedTensor:
    return input.like(torch.div(other, input._part))


def _reduce(reduction: Any) -> Rule:
    def rule(func: Any, input: MaskedTensor, dim: Any = None, keepdim: bool = False, **kwargs: Any) -> MaskedTensor:
        everything = dim is None or dim == ()
        if everything and input._part.dim() == 0:
            return input.like(reduction(input._part, mask=input._mask, **kwargs))
        data = reduction(input._part, dim, keepdim=keepdim, mask=input._mask, **kwargs)
        dims = tuple(range(input._mask.dim())) if everything else dim
        return _wrap(data, input._mask.any(dims, keepdim))

    return rule


def _all_true(data: Tensor, dim: Any = None, *, keepdim: bool = False, mask: Tensor) -> Tensor:
    filled = data.masked_fill(~mask, True)
    return filled.all() if dim is None else filled.all(dim, keepdim)


def _normalise(operation: Any) -> Rule:
    def rule(func: Any, input: MaskedTensor, dim: int, *args: Any, dtype: Any = None, **kwargs: Any) -> MaskedTensor:
        return input.like(operation(input._part, dim, dtype=dtype, mask=input._mask))

    return rule


def _where(func: Any, condition: Any, input: Any, other: Any) -> MaskedTensor:
    if not isinstance(input, MaskedTensor) or not isinstance(other, MaskedTensor):
        raise TypeError("where(): both alternatives must be masked tensors")
    choice = _data(condition)
    return _wrap(torch.where(choice, input._part, other._part), torch.where(choice, input._mask, other._mask))


def _norm(func: Any, input: MaskedTensor, p: Any = 2, dim: Any = None, keepdim: bool = False, **kwargs: Any) -> Any:
    order = 2.0 if p is None or p == "fro" else float(p)
    return _reduce(lambda data, dims, **more: operations.norm(data, order, dims, **more))(
        func, input, dim, keepdim, **kwargs
    )


def _moment(name: str) -> Rule:
    operation = getattr(operations, name)

    def rule(func: Any, input: MaskedTensor, dim: Any = None, *args: Any, **kwargs: Any) -> MaskedTensor:
        if isinstance(dim, bool):
            dim, args = None, (dim, *args)
        names = ("unbiased", "keepdim")
        given = dict(zip(names, args, strict=False)) | kwargs
        keep = given.pop("keepdim", False)
        return _reduce(lambda data, dims=None, **more: operation(data, dims, **more, **given))(func, input, dim, keep)

    return rule


_RULES: dict[str, Rule] = {
    **{
        name: _reduce(getattr(operations, name)) for name in ("sum", "mean", "prod", "amax", "amin", "argmax", "argmin")
    },
    "all": _reduce(_all_true),
    **dict.fromkeys(("norm", "vector_norm"), _norm),
    "var": _moment("var"),
    "std": _moment("std"),
    **dict.fromkeys(("softmax", "_softmax"), _normalise(operations.softmax)),
    **dict.fromkeys(("log_softmax", "_log_softmax"), _normalise(operations.log_softmax)),
    **dict.fromkeys(("__rdiv__", "__rtruediv__"), _reversed_division),
    "where": _where,
    "grad": differentiate,
    **dict.fromkeys(("to_dense", "to_sparse", "to_sparse_coo"), lambda func, input, *args: input),
}
