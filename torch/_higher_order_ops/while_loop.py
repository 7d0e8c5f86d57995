"""``torch.while_loop``: a function again and again, as long as an element of a tensor says so."""

from __future__ import annotations

import torch
from torch._ops import HigherOrderOperator
from torch.utils import _pytree as pytree

from ._operands import check_operands, tracer_of_mode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["while_loop", "while_loop_op"]


class WhileLoopOp(HigherOrderOperator):
    """The operation behind ``torch.while_loop``, which graphs call."""

    def __init__(self) -> None:
        super().__init__("while_loop")

    def __call__(self, cond_fn: Any, body_fn: Any, carried_inputs: Any, additional_inputs: Any = ()) -> Any:
        tracer = tracer_of_mode()
        carried = tuple(carried_inputs)
        if tracer is not None:
            return tracer.loop(self, cond_fn, body_fn, carried, tuple(additional_inputs))
        while _holds(cond_fn(*carried, *additional_inputs)):
            result = body_fn(*carried, *additional_inputs)
            if not isinstance(result, (tuple, list)):
                raise RuntimeError(f"Expect the output of body_fn to be a tuple, but got {type(result)}")
            if pytree.tree_structure(tuple(result)) != pytree.tree_structure(carried):
                raise RuntimeError(
                    "Expected body_fn_output and carried_inputs to have same number of outputs but got "
                    f"lhs:{list(result)} and rhs:{list(carried)}"
                )
            carried = tuple(result)
        return carried


def _holds(condition: Any) -> bool:
    if isinstance(condition, torch.Tensor):
        if condition.numel() != 1 or condition.dtype != torch.bool:
            raise RuntimeError(
                f"cond_fn must return a boolean scalar tensor or a boolean but got {condition.dtype} of size "
                f"{tuple(condition.shape)}"
            )
        return bool(condition)
    if not isinstance(condition, bool):
        raise RuntimeError(f"cond_fn must return a boolean scalar tensor or a boolean but got {type(condition)}")
    return condition


while_loop_op = WhileLoopOp()


def while_loop(cond_fn: Callable[..., Any], body_fn: Callable[..., Any], carried_inputs: Any) -> Any:
    """Apply ``body_fn`` to the values until ``cond_fn`` of them is False, and return them.

    Args:
        cond_fn: a function of the values that returns a truth value or a boolean tensor with one element.
        body_fn: a function of the values that returns as many, of the same sizes and dtypes.
        carried_inputs: the values to start with, tensors in a tuple.

    Raises:
        RuntimeError: a function returns something else, or the values are no tensors.

    >>> torch.while_loop(lambda i, x: i < 3, lambda i, x: (i + 1, x * 2), (torch.tensor(0), torch.tensor(1.)))
    (tensor(3), tensor(8.))
    """
    if not callable(cond_fn) or not callable(body_fn):
        raise RuntimeError("Expect cond_fn and body_fn to be callable.")
    check_operands(carried_inputs)
    return while_loop_op(cond_fn, body_fn, tuple(carried_inputs), ())
