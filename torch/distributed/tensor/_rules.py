"""Which placements an operation takes, and which its results have, for each dimension of a mesh by itself.

A rule gets the operands' placements along one dimension of the mesh and says what they have to be and what the results
will be. An operation without a rule takes whole tensors, which is right for every operation and saves nothing.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from .placement_types import Partial, Placement, Replicate, Shard, _StridedShard

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Answer = tuple[list[Placement], list[Placement]]

__all__ = ["RULES", "Operand", "Question", "replicated"]


class Operand(NamedTuple):
    """A tensor that an operation takes: how it lies, and the whole's shape."""

    placement: Placement
    shape: tuple[int, ...]


class Question(NamedTuple):
    """What a rule is asked."""

    name: str  # of the operation, without overload
    operands: list[Operand]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    results: list[tuple[int, ...]]  # the whole results' shapes
    size: int  # of the mesh, along this dimension
    in_place: bool


R = Replicate()
RULES: dict[str, Callable[[Question], Answer | None]] = {}


def _rule(names: str) -> Callable[[Any], Any]:
    def note(function: Any) -> Any:
        for name in names.split():
            RULES[name] = function
        return function

    return note


def replicated(question: Question) -> Answer:
    """Whole tensors everywhere."""
    return [R] * len(question.operands), [R] * len(question.results)


def _plain_shard(placement: Placement) -> bool:
    return isinstance(placement, Shard) and not isinstance(placement, _StridedShard)


_LINEAR = frozenset("add sub neg clone _to_copy detach alias positive".split())
_BY_NUMBERS = frozenset("mul div".split())


@_rule(
    """
    abs acos acosh add addcdiv addcmul alias angle asin asinh atan atan2 atanh bernoulli bitwise_and bitwise_left_shift
    bitwise_not bitwise_or bitwise_right_shift bitwise_xor ceil celu clamp clamp_max clamp_min clone conj_physical copy
    copysign cos cosh deg2rad detach digamma div dropout elu elu_backward eq erf erfc erfinv exp exp2 expm1 fill floor
    floor_divide fmax fmin fmod frac ge gelu gelu_backward gt hardsigmoid hardsigmoid_backward hardswish
    hardswish_backward hardtanh hardtanh_backward heaviside hypot i0 isfinite isinf isnan isneginf isposinf le
    leaky_relu leaky_relu_backward lerp lgamma log log10 log1p log2 log_sigmoid_backward log_sigmoid_forward logaddexp
    logical_and logical_not logical_or logical_xor logit lt masked_fill maximum minimum mish mish_backward mul
    nan_to_num native_dropout native_dropout_backward ne neg nextafter positive pow rad2deg reciprocal relu remainder
    round rsqrt rsub selu sgn sigmoid sigmoid_backward sign signbit silu silu_backward sin sinc sinh softplus
    softplus_backward softshrink sqrt square sub tan tanh tanh_backward threshold threshold_backward trunc where
    xlogy zero zeros_like ones_like empty_like full_like _to_copy normal_functional
    """
)
def _pointwise(question: Question) -> Answer | None:
    operands, results = question.operands, question.results
    rank = max((len(shape) for shape in results), default=0)
    scales = question.name in _BY_NUMBERS and not question.kwargs.get("rounding_mode")
    if question.in_place:
        # what is written to stays as it lies
        lead = operands[0].placement
        if isinstance(lead, Partial):
            if scales and lead.reduce_op in ("sum", "avg"):
                return [lead] + [R] * (len(operands) - 1), [lead] * len(results)
            linear = question.name == "zero" or (
                question.name in ("add", "sub", "copy") and all(o.placement == lead for o in operands)
            )
            if not linear or (len(operands) == 1) != (question.name == "zero"):
                return None
            return [lead] * len(operands), [lead] * len(results)
    sums = [o.placement for o in operands if isinstance(o.placement, Partial)]
    if sums and len(set(sums)) == 1 and sums[0].reduce_op in ("sum", "avg") and not question.in_place:
        partial, count = sums[0], len(operands)
        if question.name in _LINEAR and len(sums) == count:
            if question.name not in ("add", "sub") or count > 1:
                return [partial] * count, [partial] * len(results)
        others_whole = all(o.placement == partial or isinstance(o.placement, Replicate) for o in operands)
        if scales and len(sums) == 1 and others_whole:
            if question.name == "mul" or operands[0].placement == partial:
                return [o.placement for o in operands], [partial] * len(results)
    chosen = None
    for operand in [operands[0]] if question.in_place else operands:
        if _plain_shard(operand.placement) and operand.shape[operand.placement.dim] != 1:  # type: ignore[attr-defined]
            chosen = operand.placement.dim + rank - len(operand.shape)  # type: ignore[attr-defined]
            break
    if chosen is None:
        if question.in_place and isinstance(operands[0].placement, Shard):
            return None
        return replicated(question)
    whole = question.results[0][chosen] if rank == len(question.results[0]) else None
    wanted: list[Placement] = []
    for operand in operands:
        dim = chosen - (rank - len(operand.shape))
        spans = dim >= 0 and operand.shape[dim] == whole and whole != 1
        wanted.append(Shard(dim) if spans else R)
    return wanted, [Shard(chosen) if len(shape) == rank else R for shape in results]


@_rule("mm bmm")
def _product(question: Question) -> Answer | None:
    a, b = (operand.placement for operand in question.operands)
    row, column = (0, 1) if question.name == "mm" else (1, 2)
    if question.name == "bmm" and (a == Shard(0) or b == Shard(0)):
        return [Shard(0), Shard(0)], [Shard(0)]
    if a == Shard(row):
        return [a, R], [Shard(row)]
    if b == Shard(column):
        return [R, b], [Shard(column)]
    if a == Shard(column) or b == Shard(row):
        return [Shard(column), Shard(row)], [Partial()]
    if isinstance(a, Partial) and a.reduce_op in ("sum", "avg") and isinstance(b, Replicate):
        return [a, R], [a]
    if isinstance(b, Partial) and b.reduce_op in ("sum", "avg") and isinstance(a, Replicate):
        return [R, b], [b]
    return replicated(question)


@_rule("addmm")
def _product_and_sum(question: Question) -> Answer | None:
    bias, a, b = question.operands
    inner = question._replace(name="mm", operands=[a, b])
    answer = _product(inner)
    assert answer is not None
    (first, second), (result,) = answer
    rank = len(bias.shape)
    if isinstance(result, Shard):
        dim = result.dim - (2 - rank)
        spans = dim >= 0 and bias.shape[dim] != 1
        return [Shard(dim) if spans else R, first, second], [result]
    if isinstance(result, Partial):
        return [result, first, second], [result]
    return [R, first, second], [R]


_REDUCED_BY = {"sum": "sum", "mean": "avg", "amax": "max", "amin": "min", "nansum": "sum", "max": "max", "min": "min"}


def _dims(value: Any, rank: int) -> list[int]:
    if value is None or (isinstance(value, (list, tuple)) and not value):
        return list(range(rank))
    return [dim % rank if rank else 0 for dim in (value if isinstance(value, (list, tuple)) else [value])]


@_rule("sum mean amax amin nansum any all prod var std logsumexp linalg_vector_norm argmax argmin cumsum max min")
def _reduction(question: Question) -> Answer | None:
    (operand, *others) = question.operands
    if others:
        return None
    placement, rank = operand.placement, len(operand.shape)
    at = 2 if question.name == "linalg_vector_norm" else 1
    given = question.kwargs.get("dim", question.args[at] if len(question.args) > at else None)
    if question.name == "cumsum":
        if _plain_shard(placement) and placement.dim != given % rank:  # type: ignore[attr-defined]
            return [placement], [placement]
        return replicated(question)
    dims = _dims(None if isinstance(given, bool) else given, rank)
    if isinstance(placement, Partial):
        if placement.reduce_op == _REDUCED_BY.get(question.name) or (
            question.name in ("sum", "mean") and placement.reduce_op in ("sum", "avg")
        ):
            return [placement], [placement] * len(question.results)
        return replicated(question)
    if not _plain_shard(placement):
        return replicated(question)
    dim = placement.dim  # type: ignore[attr-defined]
    if dim in dims:
        whole = len(question.results) == 1
        how = _REDUCED_BY.get(question.name)
        even = operand.shape[dim] % question.size == 0 and operand.shape[dim]
        if whole and how and (how == "sum" or even):
            return [placement], [Partial(how)]
        return replicated(question)
    keeps = question.results and len(question.results[0]) == rank
    left = dim if keeps else dim - sum(1 for other in dims if other < dim)
    return [placement], [Shard(left)] * len(question.results)


@_rule("t transpose permute unsqueeze squeeze")
def _moved(question: Question) -> Answer | None:
    (operand,) = question.operands
    placement, rank = operand.placement, len(operand.shape)
    if not isinstance(placement, Shard):
        return [placement], [placement]
    if not _plain_shard(placement):
        return replicated(question)
    dim, args = placement.dim, question.args
    if question.name == "t":
        new = 1 - dim if rank == 2 else dim
    elif question.name == "transpose":
        first, second = args[1] % rank, args[2] % rank
        new = {first: second, second: first}.get(dim, dim)
    elif question.name == "permute":
        new = [one % rank for one in args[1]].index(dim)
    elif question.name == "unsqueeze":
        new = dim + (args[1] % (rank + 1) <= dim)
    else:
        gone = [one for one in (_dims(args[1], rank) if len(args) > 1 else range(rank)) if operand.shape[one] == 1]
        if dim in gone:
            return replicated(question)
        new = dim - sum(1 for one in gone if one < dim)
    return [placement], [Shard(new)]


@_rule("view _unsafe_view reshape")
def _viewed(question: Question) -> Answer | None:
    (operand,) = question.operands
    placement = operand.placement
    if not isinstance(placement, Shard):
        return [placement], [placement]
    if not _plain_shard(placement):
        return replicated(question)
    dim, (result,) = placement.dim, question.results
    before, length = math.prod(operand.shape[:dim]), operand.shape[dim]
    for new, size in enumerate(result):
        if size == 1 or math.prod(result[:new]) != before:
            continue
        even = size % question.size == 0 and length % question.size == 0
        if (even and (size % length == 0 or length % size == 0)) or size == length:
            return [placement], [Shard(new)]
    return replicated(question)


@_rule("expand")
def _expanded(question: Question) -> Answer | None:
    (operand,) = question.operands
    placement, (result,) = operand.placement, question.results
    if not isinstance(placement, Shard):
        return [placement], [placement]
    if not _plain_shard(placement) or operand.shape[placement.dim] == 1:
        return replicated(question)
    return [placement], [Shard(placement.dim + len(result) - len(operand.shape))]


@_rule("slice select split split_with_sizes unbind chunk flip roll narrow index_select gather")
def _along_one_dim(question: Question) -> Answer | None:
    operand, *others = question.operands
    placement, rank = operand.placement, len(operand.shape)
    if others:
        return None
    if isinstance(placement, (Replicate, Partial)):
        return [placement], [placement] * len(question.results)
    args = question.args
    name = question.name
    at = 2 if name in ("split", "split_with_sizes", "chunk", "roll") else 1
    given = question.kwargs.get("dim", args[at] if len(args) > at else 0)
    touched = _dims(given, rank)
    if not _plain_shard(placement) or placement.dim in touched:  # type: ignore[attr-defined]
        return replicated(question)
    dim = placement.dim  # type: ignore[attr-defined]
    if name in ("select", "unbind"):
        dim -= touched[0] < dim
    return [placement], [Shard(dim)] * len(question.results)


@_rule("cat stack")
def _joined(question: Question) -> Answer | None:
    placements = {operand.placement for operand in question.operands}
    rank = len(question.operands[0].shape)
    given = question.kwargs.get("dim", question.args[1] if len(question.args) > 1 else 0)
    if len(placements) == 1 and question.name == "cat":
        (placement,) = placements
        if _plain_shard(placement) and placement.dim != given % rank:  # type: ignore[attr-defined]
            return [placement] * len(question.operands), [placement]
        if isinstance(placement, Partial):
            return [placement] * len(question.operands), [placement]
    return replicated(question)


@_rule("_softmax _log_softmax _softmax_backward_data _log_softmax_backward_data")
def _softmax(question: Question) -> Answer | None:
    at = 2 if "backward" in question.name else 1
    rank = len(question.operands[0].shape)
    over = question.args[at] % max(rank, 1)
    for operand in question.operands:
        if _plain_shard(operand.placement) and operand.placement.dim != over:  # type: ignore[attr-defined]
            return [operand.placement] * len(question.operands), [operand.placement]
    return replicated(question)


@_rule("native_layer_norm")
def _layer_norm(question: Question) -> Answer | None:
    placement = question.operands[0].placement
    outer = len(question.operands[0].shape) - len(question.args[1])
    if _plain_shard(placement) and placement.dim < outer:  # type: ignore[attr-defined]
        return [placement, *[R] * (len(question.operands) - 1)], [placement] * len(question.results)
    return replicated(question)


@_rule("embedding")
def _embedding(question: Question) -> Answer | None:
    weight, indices = (operand.placement for operand in question.operands)
    if weight == Shard(1):
        return [weight, R], [Shard(len(question.results[0]) - 1)]
    if _plain_shard(indices):
        return [R, indices], [indices]
    return replicated(question)


@_rule("embedding_dense_backward")
def _embedding_gradient(question: Question) -> Answer | None:
    grad, indices = question.operands
    if _plain_shard(grad.placement):
        last = len(grad.shape) - 1
        if grad.placement.dim == last:  # type: ignore[attr-defined]
            return [grad.placement, R], [Shard(1)]
        return [grad.placement, grad.placement], [Partial()]
    return replicated(question)


@_rule("scaled_dot_product_attention _scaled_dot_product_attention_math")
def _attention(question: Question) -> Answer | None:
    for operand in question.operands[:3]:
        placement = operand.placement
        if _plain_shard(placement) and placement.dim < len(operand.shape) - 2:  # type: ignore[attr-defined]
            if len(question.operands) > 3:
                return None
            same = all(other.shape[placement.dim] == operand.shape[placement.dim] for other in question.operands)  # type: ignore[attr-defined]
            return ([placement] * 3, [placement] * len(question.results)) if same else None
    return replicated(question)
