"""Products of narrow floats with scales, and what else ``torch.nn.functional`` names for the sake of its callers."""

from __future__ import annotations

import enum
from typing import Any

import torch
from torch import Tensor

__all__ = ["ScalingType", "SwizzleType", "scaled_grouped_mm", "scaled_mm"]


class ScalingType(enum.Enum):
    """Which elements share a scale."""

    TensorWise = 0
    RowWise = 1
    BlockWise1x16 = 2
    BlockWise1x32 = 3
    BlockWise1x128 = 4
    BlockWise128x128 = 5


class SwizzleType(enum.Enum):
    """How scales lie in memory."""

    NO_SWIZZLE = 0
    SWIZZLE_32_4_4 = 1


def _only(value: Any) -> Any:
    if not isinstance(value, (list, tuple)):
        return value
    if len(value) != 1:
        raise NotImplementedError(f"scaled_mm with {len(value)} levels of scales is not part of Tabula yet: give one")
    return value[0]


def scaled_mm(
    mat_a: Tensor, mat_b: Tensor, scale_a: Any, scale_recipe_a: Any, scale_b: Any, scale_recipe_b: Any,
    swizzle_a: Any = None, swizzle_b: Any = None, bias: Tensor | None = None,
    output_dtype: torch.dtype | None = torch.bfloat16, contraction_dim: Any = (), use_fast_accum: bool = False,
) -> Tensor:  # fmt: skip
    """Multiply two matrices of 8-bit floats whose elements are to be multiplied by scales.

    Args:
        mat_a: (M, K), a float8 dtype.
        mat_b: (K, N), a float8 dtype.
        scale_a: float32, one number (``TensorWise``) or (M, 1) (``RowWise``).
        scale_recipe_a: a ``ScalingType``.
        scale_b: float32, one number or (1, N).
        scale_recipe_b: the same ``ScalingType``.
        swizzle_a: ``SwizzleType.NO_SWIZZLE`` or None.
        swizzle_b: the same.
        bias: (N,).
        output_dtype: of the result; that of ``mat_a`` if None.
        contraction_dim: not used by these recipes.
        use_fast_accum: has no effect.

    Raises:
        ValueError: for other dtypes, shapes of scales and combinations of recipes.
        NotImplementedError: for block-wise scales.

    >>> a = torch.ones(2, 4).to(torch.float8_e4m3fn)
    >>> one, kind = torch.tensor(0.5), torch.nn.functional.ScalingType.TensorWise
    >>> torch.nn.functional.scaled_mm(a, a.t(), one, kind, one, kind, output_dtype=torch.float32)
    tensor([[1., 1.],
            [1., 1.]])
    """
    a, b, recipe_a, recipe_b = _only(scale_a), _only(scale_b), _only(scale_recipe_a), _only(scale_recipe_b)
    if mat_a.dim() != 2 or mat_b.dim() != 2:
        raise ValueError("mat_a and mat_b must be matrices")
    rows, columns = mat_a.shape[0], mat_b.shape[1]
    for recipe in (recipe_a, recipe_b):
        if isinstance(recipe, ScalingType) and recipe.value > 1:
            raise NotImplementedError(f"scaled_mm with {recipe} scales is not part of Tabula yet: use RowWise")
    narrow = all(m.dtype.is_floating_point and m.dtype.itemsize == 1 for m in (mat_a, mat_b))
    whole = recipe_a == recipe_b == ScalingType.TensorWise and a.numel() == b.numel() == 1
    by_row = recipe_a == recipe_b == ScalingType.RowWise and a.shape == (rows, 1) and b.shape == (1, columns)
    if not narrow or not (whole or by_row) or a.dtype != torch.float32 or b.dtype != torch.float32:
        raise ValueError(
            "Invalid scaling configuration.\n"
            "- For TensorWise scaling, a and b should be float8, scales should be float and singletons.\n"
            "- For RowWise scaling, a and b should be float8, scales should be float, scale_a should be "
            f"({rows}, 1) and "
            f"scale_b should be (1, {columns}), and both should be contiguous.\n"
            f"Got mat_a.dtype()={mat_a.dtype}, scale_a.dtype()={a.dtype}, scale_a.size()={list(a.shape)}, "
            f"mat_b.dtype()={mat_b.dtype}, scale_b.dtype()={b.dtype}, scale_b.size()={list(b.shape)}"
        )
    product = (mat_a.float() @ mat_b.float()) * (a * b)
    if bias is not None:
        product = product + bias.float()
    return product.to(mat_a.dtype if output_dtype is None else output_dtype)


def scaled_grouped_mm(
    mat_a: Tensor, mat_b: Tensor, scale_a: Any, scale_recipe_a: Any, scale_b: Any, scale_recipe_b: Any,
    swizzle_a: Any = None, swizzle_b: Any = None, bias: Tensor | None = None, offs: Tensor | None = None,
    output_dtype: torch.dtype | None = torch.bfloat16, contraction_dim: Any = (), use_fast_accum: bool = False,
) -> Tensor:  # fmt: skip
    """Raise NotImplementedError: grouped products with scales run on GPUs only, as in PyTorch."""
    raise NotImplementedError(
        "Could not run 'aten::_scaled_grouped_mm_v2' with arguments from the 'CPU' backend.\nMultiply by the "
        "scales first: "
        "torch.nn.functional.grouped_mm(mat_a.float() * scale_a, mat_b.float() * scale_b, offs=offs)"
    )


class _Broadcasting:
    """``BroadcastingList2[int]``: in an annotation, a number or two of them."""

    def __getitem__(self, types: Any) -> None:
        return None


BroadcastingList1 = BroadcastingList2 = BroadcastingList3 = _Broadcasting()
DType = int
