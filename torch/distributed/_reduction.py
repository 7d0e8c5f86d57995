"""How contributions become one: always in the order of the ranks, so that every process and run has the same bits."""

from __future__ import annotations

import torch

from ._options import ReduceOp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["check", "combine", "divide", "prepare"]

_BITWISE = {ReduceOp.BAND: torch.bitwise_and, ReduceOp.BOR: torch.bitwise_or, ReduceOp.BXOR: torch.bitwise_xor}
_PLAIN: dict[ReduceOp.RedOpType, Callable[..., torch.Tensor]] = {
    ReduceOp.SUM: torch.add,
    ReduceOp.AVG: torch.add,
    ReduceOp.PREMUL_SUM: torch.add,
    ReduceOp.PRODUCT: torch.mul,
    ReduceOp.MIN: torch.minimum,
    ReduceOp.MAX: torch.maximum,
    **_BITWISE,
}
# Stored only: their sums are taken in float32.
_NARROW = tuple(getattr(torch, name) for name in ("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz"))
_UNSIGNED = {torch.uint16: torch.int32, torch.uint32: torch.int64, torch.uint64: torch.int64}


def check(op: ReduceOp, dtype: torch.dtype) -> None:
    """RuntimeError where an operation says nothing about a dtype."""
    if op.op in _BITWISE and (dtype.is_floating_point or dtype.is_complex):
        raise RuntimeError(f"Cannot use ReduceOp.{op.op.name} with non-integral dtype")
    if op.op is ReduceOp.AVG and not (dtype.is_floating_point or dtype.is_complex):
        name = {torch.bool: "Bool", torch.uint8: "Byte", torch.int8: "Char", torch.int16: "Short", torch.int32: "Int"}
        raise RuntimeError(
            f"result type Float can't be cast to the desired output type {name.get(dtype, 'Long')}"
        )


def combine(op: ReduceOp, a: torch.Tensor, b: torch.Tensor, out: torch.Tensor) -> None:
    """Write ``a`` and ``b``, flat and of one dtype, as one into ``out``, which may be either."""
    dtype = a.dtype
    if dtype is torch.bool:
        if op.op in (ReduceOp.SUM, ReduceOp.MAX):
            torch.logical_or(a, b, out=out)
        elif op.op in (ReduceOp.PRODUCT, ReduceOp.MIN):
            torch.logical_and(a, b, out=out)
        else:
            _PLAIN[op.op](a, b, out=out)
    elif dtype in _NARROW:
        out.copy_(_PLAIN[op.op](a.float(), b.float()))
    elif dtype in _UNSIGNED:
        wide = _UNSIGNED[dtype]
        if dtype is torch.uint64 and op.op in (ReduceOp.MIN, ReduceOp.MAX):
            raise RuntimeError(f"ReduceOp.{op.op.name} of uint64 is not supported")
        out.copy_(_PLAIN[op.op](a.to(wide), b.to(wide)).to(dtype))
    else:
        _PLAIN[op.op](a, b, out=out)


def prepare(op: ReduceOp, mine: torch.Tensor) -> torch.Tensor:
    """What a rank contributes: for PREMUL_SUM the product with the factor."""
    return mine * op.factor if op.op is ReduceOp.PREMUL_SUM else mine


def divide(op: ReduceOp, total: torch.Tensor, size: int) -> None:
    """The last step of an average."""
    if op.op is ReduceOp.AVG:
        total.div_(size)
