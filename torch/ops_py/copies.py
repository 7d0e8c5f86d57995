"""The forms of the view operations that copy: ``view_copy`` and its kin, and the ``_scatter`` functions."""

from __future__ import annotations

import torch

from ._common import exactly_into, into_all, wrap_dim

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from torch import Tensor


def _copy(tensor: Tensor) -> Tensor:
    dense = tensor.layout is torch.strided
    return tensor.clone(memory_format=torch.contiguous_format if dense else torch.preserve_format)


def _narrow(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    if input.layout is torch.strided:
        return input.narrow(dim, start, length)
    from ..sparse._shape import narrow_copy

    return narrow_copy(input, dim, start, length)


def _copying(name: str, view: Callable[..., Any]) -> Callable[..., Any]:
    def function(input: Tensor, *args: Any, out: Any = None, **kwargs: Any) -> Any:
        result = view(input, *args, **kwargs)
        if isinstance(result, (tuple, list)):
            copies = tuple(_copy(one) for one in result)
            if out is None:
                return copies
            into_all(copies, out)
            return None
        return exactly_into(_copy(result), out)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"Like ``{name.removesuffix('_copy')}``, but the result has memory of its own."
    return function


_METHODS = (
    "as_strided", "detach", "diagonal", "expand", "permute", "select", "split", "split_with_sizes", "squeeze",
    "t", "transpose", "unbind", "unfold", "unsqueeze", "view",
)  # fmt: skip
for _name in _METHODS:
    globals()[f"{_name}_copy"] = _copying(f"{_name}_copy", getattr(torch.Tensor, _name))
for _name in ("view_as_complex", "view_as_real"):
    globals()[f"{_name}_copy"] = _copying(f"{_name}_copy", getattr(torch, _name))
narrow_copy = _copying("narrow_copy", _narrow)
alias_copy = _copying("alias_copy", lambda input: input)


def _slice(input: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1) -> Tensor:
    dim = wrap_dim(dim, input.dim())
    if step < 1:
        raise RuntimeError("slice step must be positive")
    return input[(slice(None),) * dim + (slice(start, end, step),)]


slice_copy = _copying("slice_copy", _slice)


def _replaced(input: Tensor, src: Tensor, view: Callable[[Tensor], Tensor]) -> Tensor:
    result = torch._C._vmap_spread_like(input, src).clone()
    part = view(result)
    if part.shape != src.shape:
        raise RuntimeError(
            f"expected src to have a size equal to the slice of self. src size = {list(src.shape)}, slice size = "
            f"{list(part.shape)}"
        )
    part.copy_(src)
    return result


def select_scatter(input: Tensor, src: Tensor, dim: int, index: int, *, out: Tensor | None = None) -> Tensor:
    """A copy of ``input`` with ``src`` in place of ``input.select(dim, index)``.

    >>> torch.select_scatter(torch.zeros(2, 2), torch.ones(2), 0, 1)
    tensor([[0., 0.],
            [1., 1.]])
    """
    return exactly_into(_replaced(input, src, lambda t: t.select(dim, index)), out)


def slice_scatter(
    input: Tensor, src: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1, *,
    out: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """A copy of ``input`` with ``src`` in place of a slice along ``dim``.

    >>> torch.slice_scatter(torch.zeros(3), torch.ones(2), start=1)
    tensor([0., 1., 1.])
    """
    return exactly_into(_replaced(input, src, lambda t: _slice(t, dim, start, end, step)), out)


def diagonal_scatter(
    input: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1, *, out: Tensor | None = None
) -> Tensor:
    """A copy of ``input`` with ``src`` on a diagonal.

    >>> torch.diagonal_scatter(torch.zeros(2, 2), torch.ones(2))
    tensor([[1., 0.],
            [0., 1.]])
    """
    return exactly_into(_replaced(input, src, lambda t: t.diagonal(offset, dim1, dim2)), out)
