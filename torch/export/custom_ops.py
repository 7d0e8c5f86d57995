"""Operations that only exported programs use."""

from __future__ import annotations

import torch

__all__: list[str] = []


def _access_subclass_inner_tensor(src_subclass_tensor: torch.Tensor, attr: str) -> torch.Tensor:
    """A tensor that a wrapper subclass holds, by the name of its attribute."""
    value = getattr(src_subclass_tensor, attr, None)
    if not isinstance(value, torch.Tensor):
        raise RuntimeError(f"Attribute {attr} is not a tensor")
    return value
