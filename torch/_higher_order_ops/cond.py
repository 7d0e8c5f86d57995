"""``torch.cond``: one of two functions, as an element of a tensor decides."""

from __future__ import annotations

import torch
from torch._ops import HigherOrderOperator

from ._operands import check_operands, same_structure, tracer_of_mode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["cond", "cond_op"]


class CondOp(HigherOrderOperator):
    """The operation behind ``torch.cond``, which graphs call."""

    def __init__(self) -> None:
        super().__init__("cond")

    def __call__(self, pred: Any, true_fn: Any, false_fn: Any, operands: Any = ()) -> Any:
        tracer = tracer_of_mode()
        if tracer is not None and isinstance(pred, (torch.Tensor, torch.SymBool)):
            return tracer.branches(self, pred, true_fn, false_fn, tuple(operands), same_structure)
        return true_fn(*operands) if pred else false_fn(*operands)


cond_op = CondOp()


def cond(
    pred: bool | int | float | torch.Tensor,
    true_fn: Callable[..., Any],
    false_fn: Callable[..., Any],
    operands: tuple[Any, ...] | list[Any] = (),
) -> Any:
    """``true_fn(*operands)`` if ``pred`` holds, else ``false_fn(*operands)``.

    In a program that is exported both functions become graphs, and the choice is made when it runs.

    Args:
        pred: a truth value, or a tensor with one element.
        operands: tensors in nested containers.

    Raises:
        RuntimeError: the condition has several elements, a branch is no function, or the operands are no tensors.

    >>> torch.cond(torch.tensor(True), lambda x: x + 1, lambda x: x - 1, (torch.tensor(1.),))
    tensor(2.)
    """
    if isinstance(pred, torch.Tensor) and pred.numel() != 1:
        raise RuntimeError(f"Expected pred to be bool or single-element tensor, but got {pred}.")
    if not isinstance(pred, (bool, int, float, torch.Tensor, torch.SymBool, torch.SymInt, torch.SymFloat)):
        raise RuntimeError(f"Expected pred to be bool or tensor, but got {pred}.")
    if not callable(true_fn) or not callable(false_fn):
        raise RuntimeError("Expect both branches to be callable.")
    check_operands(operands)
    return cond_op(pred, true_fn, false_fn, tuple(operands))
