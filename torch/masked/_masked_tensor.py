"""Tensors that carry a mask: what it leaves out takes no part in reductions, and has no gradient."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch._over_parts import OverParts

_DTYPES = frozenset(
    (torch.float16, torch.float32, torch.float64, torch.bool, torch.int8, torch.int16, torch.int32, torch.int64)
)


class MaskedTensor(OverParts):
    """A tensor together with a mask of the same shape: True where an element is there.

    Operations keep the mask; those of two masked tensors need equal ones. Made by ``torch.masked.masked_tensor``, or by
    ``torch.masked.as_masked_tensor`` where gradients shall reach the data.

    >>> masked = torch.masked.masked_tensor(torch.tensor([1., 2., 3.]), torch.tensor([True, False, True]))
    >>> masked.sum()
    MaskedTensor(  4.0000, True)
    """

    _mask: Tensor

    def __new__(cls, data: Any, mask: Any, requires_grad: bool = False) -> MaskedTensor:
        """Wrap copies without history.

        Raises:
            TypeError: unless ``data`` is a dense tensor of one of the dtypes float16 to float64, bool and int8 to
                int64, and ``mask`` a bool tensor.
            ValueError: unless their shapes are equal.
        """
        if type(data) is MaskedTensor or not isinstance(data, Tensor):
            raise TypeError("data must be a Tensor")
        if type(mask) is MaskedTensor or not isinstance(mask, Tensor):
            raise TypeError("mask must be a Tensor")
        if data.requires_grad:
            import warnings

            warnings.warn(
                "It is not recommended to create a MaskedTensor with a tensor that requires_grad. To avoid this, "
                "you can use "
                "data.detach().clone()",
                UserWarning,
                stacklevel=2,
            )
        _check(data, mask)
        return _wrap(data.detach().requires_grad_(requires_grad), mask.detach())

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        from ._rules import run

        return run(func, args, kwargs or {})

    def like(self, part: Tensor) -> MaskedTensor:
        """Other data under the same mask."""
        return _wrap(part, self._mask)

    def get_data(self) -> Tensor:
        """The data; what it holds where the mask is False has no meaning."""
        return self._part

    def get_mask(self) -> Tensor:
        """The mask."""
        return self._mask

    def to_tensor(self, value: Any) -> Tensor:
        """The data, with ``value`` where the mask is False."""
        return self._part.masked_fill(~self._mask, value)

    def is_sparse_coo(self) -> bool:
        """Whether the data are sparse in COO layout."""
        return self._part.layout == torch.sparse_coo

    def is_sparse_csr(self) -> bool:
        """Whether the data are sparse in CSR layout."""
        return self._part.layout == torch.sparse_csr

    def __len__(self) -> int:
        return len(self._part)

    def __bool__(self) -> bool:
        return bool(self._part)

    def __float__(self) -> float:
        return float(self._part)

    def __int__(self) -> int:
        return int(self._part)

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        if self._part.dim() == 0:
            there = bool(self._mask)
            return f"MaskedTensor({_number(self._part.item()) if there else '--'}, {there})"
        return f"MaskedTensor(\n{_indent(_rows(self._part, self._mask))}\n)"

    __str__ = __repr__

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _wrap, (self._part, self._mask)


def _check(data: Tensor, mask: Tensor) -> None:
    if data.layout != mask.layout:
        raise TypeError("data and mask must have the same layout.")
    if data.layout != torch.strided:
        raise NotImplementedError(
            "masked tensors of sparse layouts are not part of Tabula yet: give dense data and mask"
        )
    if mask.dtype != torch.bool:
        raise TypeError("mask must have dtype bool.")
    if data.dtype not in _DTYPES:
        raise TypeError(f"{data.dtype} is not supported in MaskedTensor.")
    if data.dim() != mask.dim():
        raise ValueError("data.dim() must equal mask.dim()")
    if data.shape != mask.shape:
        raise ValueError("data.size() must equal mask.size()")


def _wrap(data: Tensor, mask: Tensor) -> MaskedTensor:
    result = data.detach().as_subclass(MaskedTensor)
    result._part, result._mask = data, mask
    return result


def tied(data: Tensor, mask: Tensor) -> MaskedTensor:
    """Wrap data whose gradients, where the mask is True, go on to what made them."""
    _check(data, mask)
    # an operation may be undefined for what the mask hides: its gradient must not reach the data as NaN
    return _wrap(torch.where(mask, data, data.detach()), mask)


def _number(value: Any) -> str:
    return f"{value:8.4f}" if isinstance(value, float) else str(value)


def _indent(text: str) -> str:
    return "\n".join("  " + line for line in text.split("\n"))


def _rows(data: Tensor, mask: Tensor) -> str:
    if data.dim() == 1:
        pairs = zip(data.tolist(), mask.tolist(), strict=True)
        return "[" + ", ".join(_number(x) if there else "      --" for x, there in pairs) + "]"
    rows = ",\n".join(_rows(d, m) for d, m in zip(data, mask, strict=True))
    return f"[\n{_indent(rows)}\n]"
