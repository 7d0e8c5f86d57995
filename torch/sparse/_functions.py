"""Functions of one sparse tensor that keep zeros, and writes of all its elements."""

from __future__ import annotations

import torch

from ._arithmetic import cast_for, elementwise, elementwise_, linear
from ._convert import coalesce
from ._make import zeros
from ._parts import (
    BLOCKED,
    COO,
    assign,
    cannot_run,
    coo,
    indices,
    is_compressed,
    nnz,
    raw_values,
    title,
    values,
    with_values,
)  # fmt: skip

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from torch import Tensor

# Those that PyTorch has for both kinds of layout; the value says whether they are linear.
_BOTH = dict.fromkeys(
    """
    abs asin asinh atan atanh ceil conj_physical deg2rad erf erfinv expm1 floor frac isinf isnan isneginf isposinf log1p
    rad2deg relu round sgn sign signbit sin sinh sqrt tan tanh trunc
    """.split(),
    False,
) | {"neg": True, "conj_physical": True}  # fmt: skip
_ALIASES = {
    "absolute": "abs", "arcsin": "asin", "arcsinh": "asinh", "arctan": "atan", "arctanh": "atanh", "negative": "neg",
    "fix": "trunc",
}  # fmt: skip
_NO_IN_PLACE = {"isinf", "isnan", "isneginf", "isposinf", "signbit"}


def _unary(name: str, is_linear: bool) -> Callable[..., Tensor]:
    function = getattr(torch, name)

    def rule(input: Tensor, *args: Any) -> Tensor:
        if name == "round" and args and args[0]:
            raise cannot_run("round.decimals", input)
        return linear(function, input) if is_linear else elementwise(function, input)

    return rule


def _unary_(name: str, is_linear: bool) -> Callable[..., Tensor]:
    function = getattr(torch, name)

    def rule(input: Tensor, *args: Any) -> Tensor:
        if is_linear:
            return assign(input, cast_for(input, linear(function, input)))
        return elementwise_(f"{name}_", function, input)

    return rule


def nan_to_num(input: Tensor, nan: Any = None, posinf: Any = None, neginf: Any = None) -> Tensor:
    """nan and infinities replaced."""
    if is_compressed(input):
        raise cannot_run("nan_to_num.out", input)
    if nan:
        raise RuntimeError("nan_to_num(): nan must be zero for sparse tensors, whose other elements are zero")
    return elementwise(torch.nan_to_num, input, nan, posinf, neginf)


def angle(input: Tensor) -> Tensor:
    """The angle in the complex plane."""
    if input.layout is COO:
        raise cannot_run("angle", input)
    return elementwise(torch.angle, input)


def conj(input: Tensor) -> Tensor:
    """The complex conjugate; the tensor itself if it is real."""
    return linear(torch.conj_physical, input) if input.is_complex() else input


def identity(input: Tensor, *args: Any) -> Tensor:
    """The tensor itself."""
    return input


def _real_view(input: Tensor) -> Tensor:
    if is_compressed(input):
        raise cannot_run("view_as_real", input)
    pairs = torch.view_as_real(values(input))
    return coo(indices(input), pairs, (*input.shape, 2), input.is_coalesced())


def _complex_view(input: Tensor) -> Tensor:
    if is_compressed(input):
        raise cannot_run("view_as_complex", input)
    return coo(indices(input), torch.view_as_complex(values(input)), input.shape[:-1], input.is_coalesced())


def dropout(input: Tensor, p: float = 0.5, train: bool = True, *inplace: bool) -> Tensor:
    """The tensor, where nothing is dropped."""
    if train and p:
        raise cannot_run("bernoulli_.float", input)
    return input


def any_(input: Tensor) -> Tensor:
    """Whether some element is not zero."""
    if is_compressed(input):
        raise cannot_run("any", input)
    return values(coalesce(input)).any()


def zero_(target: Tensor) -> Tensor:
    """Drop all elements."""
    if target.layout is COO:
        sparse = target.sparse_dim()
        index = indices(target).new_empty((sparse, 0))
        value = raw_values(target).new_empty((0, *target.shape[sparse:]))
        return assign(target, coo(index, value, target.shape, True))
    if target.layout in BLOCKED:
        return assign(target, torch.zeros_like(target))
    return assign(target, zeros("zeros", target.shape, target.dtype, target.layout, target.device))


def fill_(target: Tensor, value: Any) -> Tensor:
    """Give all elements that a compressed tensor holds one value."""
    if target.layout is COO:
        raise cannot_run("fill_.Scalar", target)
    return assign(target, with_values(target, torch.full_like(raw_values(target), value)))


def copy_(target: Tensor, source: Tensor, *args: Any) -> Tensor:
    """Take over another sparse tensor's elements, in the target's dtype."""
    if is_compressed(source) or is_compressed(target):
        if source.layout is not target.layout:
            if not is_compressed(target):
                raise RuntimeError(
                    f"copy_sparse_compressed_ expected sparse compressed tensor layout but got {title(target)}"
                )
            raise RuntimeError(
                "torch.copy_: copy of sparse compressed tensors having different layouts is not supported. self layout "
                f"is {title(target)} and src layout is {title(source)}"
            )
        if nnz(target) != nnz(source):
            raise RuntimeError(
                "torch.copy_: only sparse compressed tensors with the same number of specified elements are supported."
            )
    elif source.layout is not target.layout:
        raise RuntimeError(
            "copy_() between dense and sparse Tensors is not implemented! Found self type = "
            f"{target.type()} and src type = {source.type()}"
        )
    if source.shape != target.shape and target.layout is not COO:
        raise RuntimeError(f"torch.copy_: the sizes {list(target.shape)} and {list(source.shape)} differ")
    if target.layout is COO:
        from ._shape import resize_as_sparse_

        resize_as_sparse_(target, source)
    return assign(target, source.to(target.dtype).clone())


RULES: dict[str, Any] = {
    "is_nonzero": lambda input: bool(input), "dropout": dropout, "nan_to_num": nan_to_num, "angle": angle,
    "conj": conj, "_conj": conj, "any": any_, "view_as_real": _real_view, "view_as_complex": _complex_view,
    **dict.fromkeys(("positive", "contiguous", "resolve_conj", "resolve_neg", "alias"), identity),
    "real": lambda input: linear(torch.real, input) if input.is_complex() else input,
    "imag": lambda input: linear(torch.imag, input),
    **{name: _unary(name, is_linear) for name, is_linear in _BOTH.items()},
    **{alias: _unary(name, _BOTH[name]) for alias, name in _ALIASES.items()},
}  # fmt: skip
IN_PLACE: dict[str, Any] = {
    "zero_": zero_, "fill_": fill_, "copy_": copy_,
    **{name: _unary_(name, is_linear) for name, is_linear in _BOTH.items() if name not in _NO_IN_PLACE},
    **{alias: _unary_(name, _BOTH[name]) for alias, name in _ALIASES.items()},
    "relu_": _unary_("relu", False),
}  # fmt: skip
