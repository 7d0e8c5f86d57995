"""The functions ``torch._foreach_*``: one operation on each tensor of a list.

PyTorch's optimizers and the packages that follow them use these to start few kernels on an accelerator. Here a list is
gone through one tensor after the other. Functions whose name ends with an underscore write to the list's tensors and
return the list; the others return a tuple.

>>> import torch
>>> torch._foreach_add([torch.ones(2), torch.zeros(1)], [torch.ones(2), torch.ones(1)], alpha=3)
(tensor([4., 4.]), tensor([3.]))
"""

from __future__ import annotations

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from torch import Tensor

_UNARY = frozenset(
    """
    abs acos asin atan ceil cos cosh erf erfc exp expm1 floor frac lgamma log log10 log1p log2 neg reciprocal round
    rsqrt sigmoid sign sin sinh sqrt tan tanh trunc
    """.split()
)
# Operations of two lists, or of a list and a number or numbers; the value tells whether a tensor without dimensions may
# stand for the number, and whether ``alpha`` is known.
_BINARY = {
    "add": (True, True), "sub": (True, True), "mul": (True, False), "div": (True, False),
    "maximum": (False, False), "minimum": (False, False), "clamp_min": (False, False), "clamp_max": (False, False),
    "pow": (False, False),
}  # fmt: skip
_BY_NUMBER = {"maximum": "clamp_min", "minimum": "clamp_max"}


def _listed(tensors: Any, name: str) -> Sequence[Tensor]:
    if not isinstance(tensors, (list, tuple)) or not all(isinstance(t, torch.Tensor) for t in tensors):
        kind = type(tensors).__name__
        raise TypeError(f"_foreach_{name}(): argument 'self' (position 1) must be tuple of Tensors, not {kind}")
    torch._check(len(tensors) > 0, lambda: "Tensor list must have at least one tensor.")
    return tensors


def _same_length(tensors: Sequence[Tensor], others: Sequence[Any]) -> Sequence[Any]:
    if any(not isinstance(other, torch.Tensor) for other in others):
        torch._check(
            len(others) == len(tensors), lambda: "Tensor list must have same number of elements as scalar list."
        )
    torch._check(
        len(others) == len(tensors),
        lambda: f"Tensor lists must have the same number of tensors, got {len(tensors)} and {len(others)}",
    )
    return others


def _spread(tensors: Sequence[Tensor], value: Any) -> Sequence[Any]:
    """A value for each tensor: its own of a list, or the same for all."""
    return _same_length(tensors, value) if isinstance(value, (list, tuple)) else [value] * len(tensors)


def _only(name: str, given: dict[str, Any], *allowed: str) -> Any:
    """The one argument of a call that goes by several names."""
    if len(given) != 1 or not set(given) <= set(allowed):
        raise TypeError(f"_foreach_{name}() takes one of the arguments {', '.join(allowed)}, got {sorted(given)}")
    return next(iter(given.values()))


def _unary(name: str, operation: Callable[..., Any], in_place: bool) -> Any:
    def function(self: Sequence[Tensor]) -> Any:
        results = [operation(tensor) for tensor in _listed(self, name)]
        return self if in_place else tuple(results)

    return function


def _operation(base: str, in_place: bool) -> Callable[..., Any]:
    return getattr(torch.Tensor if in_place else torch, base + "_" * in_place)


def _binary(name: str, base: str, in_place: bool) -> Any:
    takes_tensor, takes_alpha = _BINARY[base]
    of_lists, of_numbers = _operation(base, in_place), _operation(_BY_NUMBER.get(base, base), in_place)

    def function(self: Any, *args: Any, **kwargs: Any) -> Any:
        options = {"alpha": kwargs.pop("alpha")} if takes_alpha and "alpha" in kwargs else {}
        if args:
            kwargs["other"], *rest = args
            if rest:
                raise TypeError(f"_foreach_{name}() takes 2 positional arguments but {len(args) + 1} were given")
        other = _only(name, kwargs, "other", "scalar", "scalars", "exponent")
        if base == "pow" and not in_place and isinstance(self, (int, float, complex)):
            return tuple(torch.pow(self, tensor) for tensor in _listed(other, name))
        tensors = _listed(self, name)
        if isinstance(other, torch.Tensor):
            if not takes_tensor:
                raise TypeError(f"_foreach_{name}(): argument 'other' must be tuple of Tensors, not Tensor")
            torch._check(
                other.dim() == 0,
                lambda: f"scalar tensor expected to be 0 dim but it has {other.dim()} dimensions and "
                f"{other.numel()} elements.",
            )
        elif options and not isinstance(other, (list, tuple)):
            kind = type(other).__name__
            raise TypeError(f"_foreach_{name}(): argument 'other' (position 2) must be tuple of Tensors, not {kind}")
        results = [
            (of_lists if isinstance(value, torch.Tensor) else of_numbers)(tensor, value, **options)
            for tensor, value in zip(tensors, _spread(tensors, other), strict=True)
        ]
        return self if in_place else tuple(results)

    return function


def _fused(name: str, base: str, in_place: bool) -> Any:
    operation = _operation(base, in_place)

    def function(
        self: Sequence[Tensor], tensor1: Sequence[Tensor], tensor2: Sequence[Tensor], *args: Any, **kwargs: Any
    ) -> Any:
        if args:
            kwargs["value"] = args[0]
        value = _only(name, kwargs or {"value": 1}, "value", "scalars")
        tensors = _listed(self, name)
        if isinstance(value, torch.Tensor):
            value = value.tolist()
        first, second = _same_length(tensors, tensor1), _same_length(tensors, tensor2)
        results = [
            operation(*three, value=scale)
            for *three, scale in zip(tensors, first, second, _spread(tensors, value), strict=True)
        ]
        return self if in_place else tuple(results)

    return function


def _lerp(name: str, base: str, in_place: bool) -> Any:
    operation = _operation(base, in_place)

    def function(self: Sequence[Tensor], tensors1: Sequence[Tensor], *args: Any, **kwargs: Any) -> Any:
        if args:
            kwargs["weight"] = args[0]
        weight = _only(name, kwargs, "weight", "weights")
        tensors = _listed(self, name)
        ends = _same_length(tensors, tensors1)
        results = [operation(*three) for three in zip(tensors, ends, _spread(tensors, weight), strict=True)]
        return self if in_place else tuple(results)

    return function


def _norm(self: Sequence[Tensor], ord: Any = 2, dtype: Any = None) -> tuple[Tensor, ...]:  # noqa: A002
    return tuple(torch.linalg.vector_norm(tensor, ord, dtype=dtype) for tensor in _listed(self, "norm"))


def _powsum(self: Sequence[Tensor], ord: Any = 2, dtype: Any = None) -> tuple[Tensor, ...]:  # noqa: A002
    return tuple(tensor.abs().pow(ord).sum(dtype=dtype) for tensor in _listed(self, "powsum"))


def _max(self: Sequence[Tensor]) -> tuple[Tensor, ...]:
    torch._check(
        all(tensor.numel() for tensor in _listed(self, "max")),
        lambda: "_foreach_max cannot compute the maximum of an empty tensor; max over zero elements is undefined.",
    )
    return tuple(tensor.max() for tensor in self)


def _mm(self: Sequence[Tensor], mat2: Sequence[Tensor]) -> tuple[Tensor, ...]:
    pairs = zip(_listed(self, "mm"), _same_length(self, mat2), strict=True)
    return tuple(left.mm(right) for left, right in pairs)


def _clone(self: Sequence[Tensor], *, memory_format: Any = None) -> tuple[Tensor, ...]:
    options = {} if memory_format is None else {"memory_format": memory_format}
    return tuple(tensor.clone(**options) for tensor in _listed(self, "clone"))


def _copy_(self: Sequence[Tensor], src: Sequence[Tensor], non_blocking: bool = False) -> Sequence[Tensor]:
    for tensor, source in zip(_listed(self, "copy_"), _same_length(self, src), strict=True):
        tensor.copy_(source, non_blocking)
    return self


def _zero_(self: Sequence[Tensor]) -> Sequence[Tensor]:
    for tensor in _listed(self, "zero_"):
        tensor.zero_()
    return self


_OTHERS = {"norm": _norm, "powsum": _powsum, "max": _max, "mm": _mm, "clone": _clone, "copy_": _copy_, "zero_": _zero_}


def _make(name: str) -> Any:
    if name in _OTHERS:
        return _OTHERS[name]
    base = name.removesuffix("_")
    in_place = base != name
    if base in _UNARY:
        return _unary(name, _operation(base, in_place), in_place)
    if base in _BINARY:
        return _binary(name, base, in_place)
    if base in ("addcmul", "addcdiv"):
        return _fused(name, base, in_place)
    return _lerp(name, base, in_place) if base == "lerp" else None


def find(name: str) -> Any:
    """The function of this name, such as ``_foreach_add_``; None if there is none."""
    function = _make(name.removeprefix("_foreach_"))
    if function is not None:
        function.__name__ = function.__qualname__ = name
        function.__module__ = "torch"
    return function
