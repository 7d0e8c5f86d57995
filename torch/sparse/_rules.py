"""What an operation does with sparse tensors: one table from rows to rules, which the choke point asks."""

from __future__ import annotations

import torch

from . import _arithmetic, _functions, _methods, _products, _reduce, _shape
from ._parts import backend, cannot_run, is_compressed, is_sparse, title

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from torch import Tensor

_FAMILIES = (_arithmetic, _functions, _shape, _reduce, _products, _methods)
RULES: dict[str, Any] = {name: rule for family in _FAMILIES for name, rule in family.RULES.items()}
IN_PLACE: dict[str, Any] = {
    name: rule for family in (_arithmetic, _functions, _shape, _methods) for name, rule in family.IN_PLACE.items()
}

# Composites whose parts have rules, or refuse by themselves.
_BY_PARTS = frozenset(
    """
    hstack vstack dstack row_stack column_stack adjoint embedding.nn relu.nn view_as reshape_as
    swapaxes_ select_backward
    """.split()
)
_NAMESPACES = frozenset(("special", "nn", "linalg", "torch"))
_SECOND_OPERAND = frozenset(
    """
    add sub mul div eq ne lt le gt ge pow remainder fmod bitwise_and bitwise_or bitwise_xor floor_divide lerp
    masked_fill
    """.split()
)
# Overloads as PyTorch's message names them, where that is not the operation's name.
_OVERLOADS = {
    "index": "index.Tensor", "fill_": "fill_.Scalar", "set_": "set_.source_Tensor", "sort": "sort.stable",
    "mean": "mean.dim", "pow": "pow.Tensor_Tensor", "remainder": "remainder.Tensor", "rand_like": "uniform_",
    "rand": "uniform_", "randn": "normal_", "randn_like": "normal_", "full_like": "fill_.Scalar",
    "new_full": "fill_.Scalar", "new_ones": "fill_.Scalar", "softmax": "_softmax", "log_softmax": "_log_softmax",
    "isclose": "eq.Tensor", "allclose": "eq.Tensor", "vector_norm": "linalg_vector_norm", "dropout": "bernoulli_.float",
    "eye": "eye.m_out", "arange": "arange.start_out",
}  # fmt: skip


def _refuse(name: str, in_place: bool, args: tuple[Any, ...], pointwise: bool) -> Exception:
    if name in _shape.STRIDED:
        return _shape.no_strides(args[0], "strides")
    tensors = [a for a in args if isinstance(a, torch.Tensor)]
    for value in args:
        if isinstance(value, tuple):
            tensors += [a for a in value if isinstance(a, torch.Tensor)]
    sparse = next((t for t in tensors if is_sparse(t)), None)
    if sparse is None:
        layout = next(a for a in args if isinstance(a, torch.layout))
        if name in ("ones", "full"):
            return RuntimeError("full(...) is not implemented for sparse layout")
        sparse = torch.empty((1, 1), layout=layout if layout is torch.sparse_coo else torch.sparse_csr)
        return cannot_run(name, sparse)
    if pointwise and is_compressed(sparse):
        return RuntimeError(f"unsupported tensor layout: {title(sparse)}")
    shown = _OVERLOADS.get(name, name)
    if name in _SECOND_OPERAND and shown == name and len(args) > 1:
        shown += ".Tensor" if isinstance(args[1], torch.Tensor) else ".Scalar"
    if in_place and not shown.split(".")[0].endswith("_"):
        head, dot, tail = shown.partition(".")
        shown = f"{head}_{dot}{tail}"
    return cannot_run(shown, sparse)


def call(
    overload: str, name: str, in_place: bool, args: tuple[Any, ...], into: Any, composite: bool, pointwise: bool
) -> Any:
    """Run one operation. NotImplemented: it is made of others, which shall be asked instead."""
    # the same operation in another namespace: erf.special, relu.nn
    key = name if overload.rpartition(".")[2] in _NAMESPACES and overload not in _BY_PARTS else overload
    if in_place and (rule := IN_PLACE.get(key)) is not None:
        return rule(*args)
    if (rule := RULES.get(key) or IN_PLACE.get(key)) is None:
        if composite and overload in _BY_PARTS:
            return NotImplemented
        raise _refuse(name, in_place, args, pointwise)
    if into is not None:
        with torch.no_grad():
            return _write(into[0], rule(*args))
    if in_place:
        return _arithmetic.store(args[0], rule(*args))
    return rule(*args)


def _write(out: Tensor, result: Tensor) -> Tensor:
    if is_sparse(result) and not is_sparse(out):
        raise RuntimeError(
            f"the result has the layout {title(result)}, but the out tensor has the layout {title(out)} "
            f"({backend(out)})"
        )
    if not is_sparse(out):
        from ..ops_py._common import into

        return into(result, out)
    return _arithmetic.store(out, result)
