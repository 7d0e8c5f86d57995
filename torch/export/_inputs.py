"""Whether arguments fit an exported program, argument by argument."""

from __future__ import annotations

from typing import Any

import torch
from torch.fx.experimental._expressions import Expr, Symbol
from torch.utils import _pytree as pytree

from .exported_program import ExportedProgram
from .graph_signature import InputKind

__all__ = ["check_inputs"]

_DYNAMIC = (
    ". If you meant for this dimension to be dynamic, please re-export and specify dynamic_shapes (e.g. with "
    "Dim.DYNAMIC)"
)


def check_inputs(program: ExportedProgram, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """RuntimeError that names the first argument whose size or value is not one that the program was exported for."""
    places = [
        n.meta.get("val")
        for n, s in zip(program.graph.nodes, program.graph_signature.input_specs, strict=False)
        if s.kind is InputKind.USER_INPUT
    ]
    found: dict[Symbol, int] = {}
    with_paths = pytree.tree_flatten_with_path((args, kwargs))[0]
    for (path, value), known in zip(with_paths, places, strict=True):
        place = _text(path)
        if isinstance(known, torch.Tensor):
            if isinstance(value, torch.Tensor):
                _check_sizes(program, place, tuple(value.shape), known, found)
        elif isinstance(known, (int, float, str)) and value != known:
            raise RuntimeError(f"Expected input at {place} to be equal to {known}, but got {value}")


def _text(path: Any) -> str:
    kind, *rest = path
    nested = pytree.keystr(tuple(rest[1:]))
    return f"*args{pytree.keystr((rest[0],))}{nested}" if kind.idx == 0 else f"{rest[0].key!r}{nested}"


def _check_sizes(program: ExportedProgram, place: str, sizes: Any, known: Any, found: dict[Symbol, int]) -> None:
    if len(sizes) != len(known.shape):
        shown = torch.Size([s if isinstance(s, int) else s.node.hint for s in known.shape])
        raise RuntimeError(
            f"Unexpected number of dimensions in input at {place}.shape (expected {shown}, got {torch.Size(sizes)})"
        )
    for dim, (size, wanted) in enumerate(zip(sizes, known.shape, strict=True)):
        at = f"Expected input at {place}.shape[{dim}] to be "
        if isinstance(wanted, int):
            if size != wanted:
                raise RuntimeError(f"{at}equal to {wanted}, but got {size}{_DYNAMIC}")
            continue
        expr = wanted.node.expr
        if all(s in found for s in expr.symbols):
            if expr.value(found) != size:
                raise RuntimeError(f"{at}equal to {expr.value(found)}, but got {size}")
        elif len(expr.symbols) == 1 and expr == Expr.of(next(iter(expr.symbols))):
            (symbol,) = expr.symbols
            found[symbol] = size
            _check_range(program, at, symbol, size)


def _check_range(program: ExportedProgram, at: str, symbol: Symbol, size: int) -> None:
    known = program.range_constraints.get(symbol)
    if known is not None and known.lower > 2 and size < known.lower:
        raise RuntimeError(f"{at}>= {known.lower}, but got {size}")
    if known is not None and size > known.upper:
        raise RuntimeError(f"{at}<= {known.upper}, but got {size}")
