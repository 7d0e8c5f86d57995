"""Operations that run a function as it is, under a setting: graphs use them for parts of a program."""

from __future__ import annotations

import torch
from torch._ops import HigherOrderOperator

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["wrap_with_set_grad_enabled_op"]


class WrapWithSetGradEnabled(HigherOrderOperator):
    """``wrapped(*args)`` with the recording of gradients switched on or off."""

    def __init__(self) -> None:
        super().__init__("wrap_with_set_grad_enabled")

    def __call__(self, enable_grad: bool, wrapped_func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        with torch.set_grad_enabled(enable_grad):
            return wrapped_func(*args, **kwargs)


wrap_with_set_grad_enabled_op = WrapWithSetGradEnabled()
