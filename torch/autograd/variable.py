"""``Variable``: the old name of a tensor. Calling it returns its argument, perhaps with ``requires_grad`` set."""

from __future__ import annotations

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Variable", "VariableMeta"]


class VariableMeta(type):
    def __instancecheck__(cls, other: object) -> bool:
        return isinstance(other, torch.Tensor)


class Variable(metaclass=VariableMeta):
    def __new__(cls, data: Any, requires_grad: bool = False, volatile: Any = None) -> Any:
        result = data.detach()
        if requires_grad:
            result.requires_grad_()
        return result
