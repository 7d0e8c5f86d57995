"""Causal masks of attention that are known by their kind, not by their elements."""

from __future__ import annotations

from enum import IntEnum, auto

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["causal_upper_left", "causal_lower_right", "CausalVariant", "CausalBias"]


class CausalVariant(IntEnum):
    """From which corner the triangle of a causal mask grows.

    ``UPPER_LEFT`` lets the first query see the first key alone; ``LOWER_RIGHT`` lets the last query see all keys. For
    as many queries as keys the two are the same.
    """

    UPPER_LEFT = auto()
    LOWER_RIGHT = auto()


class CausalBias(Tensor):
    """A causal mask of ``seq_len_q`` queries and ``seq_len_kv`` keys, to pass as ``attn_mask``.

    Made by ``causal_upper_left`` and ``causal_lower_right``. ``scaled_dot_product_attention`` takes it with any kernel
    that knows the mask by its kind; its elements come into being only where they are needed. With the lower right
    corner and more queries than keys, the first queries see nothing. AssertionError for another kind of variant.

    >>> from torch.nn.attention.bias import causal_lower_right
    >>> causal_lower_right(2, 3)
    tensor([[ True,  True, False],
            [ True,  True,  True]])
    """

    def __new__(cls, variant: CausalVariant, seq_len_q: int, seq_len_kv: int) -> CausalBias:
        if not isinstance(variant, CausalVariant):
            raise AssertionError(f"variant must be a CausalVariant, got {type(variant).__name__}")
        return torch.empty((variant, seq_len_q, seq_len_kv)).as_subclass(cls)

    def __init__(self, variant: CausalVariant, seq_len_q: int, seq_len_kv: int) -> None:
        self.variant = variant
        self.seq_len_q = seq_len_q
        self.seq_len_kv = seq_len_kv
        if variant is CausalVariant.LOWER_RIGHT and seq_len_q > seq_len_kv:
            import warnings

            warnings.warn(
                "Lower right causal bias will produce NaNs in the output when seq_len_q > seq_len_kv!", stacklevel=3
            )

    def _materialize(self, device: Any = None) -> Tensor:
        """The mask's elements: True where a query sees a key."""
        right = self.variant is CausalVariant.LOWER_RIGHT
        ones = torch.ones(self.seq_len_q, self.seq_len_kv, device=device, dtype=torch.bool)
        return torch.tril(ones, diagonal=self.seq_len_kv - self.seq_len_q if right else 0)

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = {} if kwargs is None else kwargs
        if func is F.scaled_dot_product_attention:
            return _attend(*args, **kwargs)
        return super().__torch_function__(func, types, args, kwargs)

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return repr(self._materialize())


def _attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: CausalBias,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """``scaled_dot_product_attention`` with a causal mask by its kind."""
    if is_causal:
        raise ValueError("CausalBias should not be used with causal=True")
    same = attn_mask.seq_len_q == attn_mask.seq_len_kv or attn_mask.variant is CausalVariant.UPPER_LEFT
    fits = (attn_mask.seq_len_q, attn_mask.seq_len_kv) == (query.shape[-2], key.shape[-2])
    if same and fits:
        return F.scaled_dot_product_attention(
            query, key, value, dropout_p=dropout_p, is_causal=True, scale=scale, enable_gqa=enable_gqa
        )
    mask = attn_mask._materialize(query.device)
    return F.scaled_dot_product_attention(
        query, key, value, mask, dropout_p=dropout_p, scale=scale, enable_gqa=enable_gqa
    )


def _check_size(size: tuple[int, ...]) -> None:
    if len(size) != 2:
        raise AssertionError("causal_upper_left only supports 2D tensors")


def causal_upper_left(*size: int) -> CausalBias:
    """The causal mask of (queries, keys) in which query i sees the keys up to i; AssertionError for other sizes."""
    _check_size(size)
    return CausalBias(CausalVariant.UPPER_LEFT, *size)


def causal_lower_right(*size: int) -> CausalBias:
    """The causal mask of (queries, keys) in which the last query sees all keys; AssertionError for other sizes."""
    _check_size(size)
    return CausalBias(CausalVariant.LOWER_RIGHT, *size)
