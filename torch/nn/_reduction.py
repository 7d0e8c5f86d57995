"""The ``reduction`` argument of losses, and the older pair of arguments that it replaced."""

from __future__ import annotations

import warnings


def get_enum(reduction: str) -> int:
    """Return the number of a reduction."""
    if reduction == "none":
        return 0
    if reduction == "mean":
        return 1
    if reduction == "elementwise_mean":
        warnings.warn("reduction='elementwise_mean' is deprecated. Please use reduction='mean' instead.", stacklevel=2)
        return 1
    if reduction == "sum":
        return 2
    raise ValueError(f"{reduction} is not a valid value for reduction")


def legacy_get_string(size_average, reduce, emit_warning: bool = True) -> str:
    """Return the reduction that the two older arguments stand for."""
    size_average = True if size_average is None else size_average
    reduce = True if reduce is None else reduce
    result = "none" if not reduce else "mean" if size_average else "sum"
    if emit_warning:
        warnings.warn(
            f"size_average and reduce args will be deprecated, please use reduction='{result}' instead.", stacklevel=2
        )
    return result


def legacy_get_enum(size_average, reduce, emit_warning: bool = True) -> int:
    """Return the number of the reduction that the two older arguments stand for."""
    return get_enum(legacy_get_string(size_average, reduce, emit_warning))


def reduced(loss, reduction: str):
    """Apply a reduction."""
    number = get_enum(reduction)
    return loss if number == 0 else loss.mean() if number == 1 else loss.sum()
