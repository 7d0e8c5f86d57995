"""What happens when an operation is called with a nested tensor: which rule answers, and the pointwise ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch._over_parts import OPERATORS, differentiate

from ._jagged import NestedTensor, compact, packed

Rule = Callable[..., Any]

# Operations that act element by element: they run on the values. With several tensors, these must fit each other.
POINTWISE = frozenset(
    """
    abs absolute acos acosh add addcdiv addcmul alpha_dropout angle arccos arccosh arcsin arcsinh arctan arctan2 arctanh
    asin asinh atan atan2 atanh bernoulli bfloat16 bitwise_and bitwise_left_shift bitwise_not bitwise_or
    bitwise_right_shift bitwise_xor bool byte ceil celu char clamp clamp_max clamp_min clip conj conj_physical copysign
    cos cosh cpu deg2rad digamma div divide double dropout elu eq erf erfc erfinv exp exp2 exp_ expm1 fill
    fix float float_power floor floor_divide fmax fmin fmod frac gcd ge gelu glu_jvp greater greater_equal gt half
    hardshrink hardsigmoid hardswish hardtanh heaviside hypot i0 igamma igammac int isclose isfinite
    isinf isnan isneginf
    isposinf isreal lcm ldexp le leaky_relu lerp less less_equal lgamma log log10 log1p log2 log_sigmoid logaddexp
    logaddexp2 logical_and logical_not logical_or logical_xor logit logsigmoid long lt masked_fill maximum minimum mish
    mul multiply mvlgamma nan_to_num ne neg negative nextafter not_equal polygamma positive pow rad2deg real imag
    reciprocal relu relu6 remainder rrelu rsqrt rsub selu sgn short sigmoid sign signbit silu sin sinc sinh softplus
    softshrink softsign sqrt square sub subtract tan tanh tanhshrink threshold to true_divide trunc type type_as where
    xlogy zero special_bessel_j0 special_bessel_j1 special_digamma special_entr special_erf special_erfc special_erfcx
    special_erfinv special_exp2 special_expit special_expm1 special_gammaln special_i0 special_i0e special_i1
    special_i1e special_log1p special_log_ndtr special_logit special_multigammaln special_ndtr special_ndtri
    special_polygamma special_psi special_round special_sinc special_xlog1py special_xlogy special_zeta round
    zeros_like ones_like empty_like full_like rand_like randn_like randint_like clone contiguous
    resolve_conj resolve_neg
    __rpow__ __rdiv__ __rtruediv__ __rmod__ __rfloordiv__ __rlshift__ __rrshift__
    native_dropout normal_ uniform_ random_ bernoulli_ pin_memory
    """.split()
)


def size_text(x: Tensor) -> str:
    """A shape as messages show it."""
    return "(" + ", ".join(map(str, x.shape)) + ")"


def nested_arguments(args: Iterable[Any]) -> list[NestedTensor]:
    """The nested tensors among arguments and lists of them."""
    found = []
    for a in args:
        if isinstance(a, NestedTensor):
            found.append(a)
        elif isinstance(a, (tuple, list)):
            found += nested_arguments(a)
    return found


def run(func: Any, args: Any, kwargs: Any) -> Any:
    """Answer a call of ``func`` that has a nested tensor among its arguments.

    Raises:
        NotImplementedError: if there is no rule for it.
        RuntimeError: if the nested tensors' sizes do not fit.
    """
    name = getattr(func, "__name__", str(func))
    name = OPERATORS.get(name, name)
    rule = rules().get(name)
    if rule is not None:
        return rule(func, *args, **kwargs)
    base = name[:-1] if name.endswith("_") and not name.endswith("__") else name
    if base in POINTWISE or name in POINTWISE:
        return pointwise(base, func, args, kwargs)
    raise NotImplementedError(
        f"aten.{name}.default\n{name} has no rule for nested tensors: call it with nt.values(), or with the "
        "padded batch "
        "nt.to_padded_tensor(padding)"
    )


_rules: dict[str, Rule] = {}


def rules() -> dict[str, Rule]:
    """The rules of all operations that are not pointwise, by name."""
    if not _rules:
        from . import _attention, _reductions, _shapes

        _rules.update(_shapes.RULES | _reductions.RULES | _attention.RULES | _RULES)
    return _rules


# ---- pointwise ----


def fitted(name: str, nested: NestedTensor, other: Tensor) -> Tensor:
    """Another tensor so that it broadcasts against the values of ``nested``."""
    if isinstance(other, NestedTensor):
        if other.shape[: nested._ragged_idx + 1] != nested.shape[: nested._ragged_idx + 1]:
            raise RuntimeError(
                f"cannot call binary pointwise function {name}.{'default' if name == 'equal' else 'Tensor'} with "
                "inputs of "
                f"shapes {size_text(nested)} and {size_text(other)}\nThe ragged sizes differ: tensors go "
                "together if they were made over the same offsets "
                "(torch.nested.nested_tensor_from_jagged(values, offsets=other.offsets()))"
            )
        return other._values
    n, ragged = nested.dim(), nested._ragged_idx
    if other.dim() > n:
        raise NotImplementedError("NYI: broadcasting NT with T with larger dim")
    if other.dim() == 0:
        return other
    aligned = other.reshape([1] * (n - other.dim()) + list(other.shape))
    batch, across = aligned.shape[0], aligned.shape[ragged]
    if batch == 1 and across == 1:
        return aligned.squeeze(0)
    if batch != nested._batch or other.dim() < n:
        raise RuntimeError(
            f"cannot call binary pointwise function {name}.Tensor with inputs of shapes {nested.shape} and "
            f"{other.shape}"
        )
    if nested._lengths is None:
        if across == 1:
            rows = aligned.squeeze(ragged).repeat_interleave(nested._offsets.diff(), 0)
            return rows.movedim(0, ragged - 1)
        longest = nested._max_seqlen
        return packed(aligned.expand([*aligned.shape[:ragged], longest, *aligned.shape[ragged + 1 :]]), nested)._values
    raise RuntimeError(f"{name}(): a dense tensor per entry is not supported for nested tensors with holes")


def pointwise(name: str, func: Any, args: Any, kwargs: Any) -> Any:
    """Run on the values. Of several nested tensors the first gives the offsets."""
    everything = [*args, *kwargs.values()]
    nested = nested_arguments(everything)[0]
    if kwargs.get("out") is not None:
        raise RuntimeError(f"{name}(): out= is not supported for nested tensors")
    if name == "contiguous" and not nested.is_contiguous() and nested._lengths is not None:
        return compact(nested)
    target = args[0] if args else None

    def plain(a: Any) -> Any:
        if a is nested:
            return a._values
        return fitted(name, nested, a) if isinstance(a, Tensor) else a

    with torch._C.DisableTorchFunctionSubclass():
        result = func(*map(plain, args), **{k: plain(v) for k, v in kwargs.items()})
    if isinstance(target, NestedTensor) and result is target._values:
        return target
    if isinstance(result, Tensor):
        return nested.like(result)
    return type(result)(nested.like(r) for r in result)


def _copy_(func: Any, input: NestedTensor, src: Any, non_blocking: bool = False) -> NestedTensor:
    if not isinstance(src, NestedTensor) or not isinstance(input, NestedTensor):
        raise RuntimeError(
            "NestedTensor-to-Tensor copy_ is not supported: expected a nested source of the same sizes, got "
            f"{type(src).__name__}"
        )
    if not torch.equal(input._offsets, src._offsets) or input._values.shape != src._values.shape:
        raise RuntimeError("copy_ only supports Nested Tensors that have same size and the exact same offset tensor.")
    input._values.copy_(src._values)
    return input


def _frexp(func: Any, input: NestedTensor) -> Any:
    parts = func(input._values)
    return type(parts)([input.like(p) for p in parts])


def _new(func: Any, input: NestedTensor, size: Any = (), *args: Any, **kwargs: Any) -> Tensor:
    if tuple(size) if isinstance(size, (tuple, list)) else size != ():
        raise RuntimeError(f"{func.__name__}() not supported for NJT with shape != ()")
    return func(input._values, size, *args, **kwargs)


def _embedding(func: Any, input: Any, weight: Any = None, *args: Any, **kwargs: Any) -> NestedTensor:
    indices = input if isinstance(input, NestedTensor) else weight  # the native form has the weight first
    if not isinstance(indices, NestedTensor):
        raise RuntimeError("embedding(): expected nested indices")
    plain = [a._values if isinstance(a, NestedTensor) else a for a in (input, weight, *args)]
    return indices.like(func(*plain, **kwargs))


def _one_hot(func: Any, input: NestedTensor, *args: Any, **kwargs: Any) -> NestedTensor:
    return input.like(func(input._values, *args, **kwargs))


def _same_size(func: Any, input: Any, other: Any) -> bool:
    return tuple(input.shape) == tuple(other.shape)


def _equal(func: Any, input: Any, other: Any) -> bool:
    return func(input._values, fitted("equal", input, other))


def _parts(name: str) -> Rule:
    return lambda func, input, *args: getattr(NestedTensor, name)(input, *args)


def _attribute(func: Any, input: NestedTensor, *owner: Any) -> Any:
    name = func.__self__.__name__
    if name in ("mT", "mH", "T", "H"):
        result = input.transpose(-2, -1) if name[0] == "m" else input.permute(*range(input.dim())[::-1])
        return result.conj() if name.endswith("H") else result
    value = getattr(input._values, name)
    return input.like(value) if isinstance(value, Tensor) else value


def _masked_select(func: Any, input: NestedTensor, mask: Any) -> NestedTensor:
    if input._values.dim() != 1:
        raise RuntimeError("masked_select only support 2-D selections currently")
    keep = fitted("masked_select", input, mask)
    counts = torch.cat([input._offsets.new_zeros(1), keep.cumsum(0)])[input._offsets]
    return NestedTensor(input._values[keep], counts)


def _index_put(func: Any, input: NestedTensor, indices: Any, values: Any, accumulate: bool = False) -> NestedTensor:
    if not isinstance(indices, (tuple, list)) or len(indices) < 2:
        raise RuntimeError("index_put(): a nested tensor needs indices of at least the batch and the ragged dimension")
    batch, step, *rest = indices
    result = func(input._values, (input._offsets[batch] + step, *rest), values, accumulate)
    return input if func.__name__.endswith("_") else input.like(result)


_RULES: dict[str, Rule] = {
    "copy_": _copy_,
    "frexp": _frexp,
    **dict.fromkeys(("new_empty", "new_zeros", "new_ones"), _new),
    "embedding": _embedding,
    "one_hot": _one_hot,
    "is_same_size": _same_size,
    "equal": _equal,
    "masked_select": _masked_select,
    **dict.fromkeys(("index_put", "index_put_"), _index_put),
    "grad": differentiate,
    "numel": _parts("numel"),
    "is_floating_point": _parts("is_floating_point"),
    "is_complex": _parts("is_complex"),
    "detach": _parts("detach"),
    "__get__": _attribute,
    "is_nonzero": lambda func, input: bool(input._values),
    "is_pinned": lambda func, input: func(input._values),
    "new_tensor": lambda func, input, *args, **kwargs: input._values.new_tensor(*args, **kwargs),
}
