"""The conditions under which an exported program may run: what its example inputs were, where that matters."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import torch
from torch.fx.experimental._expressions import Expr, Symbol
from torch.fx.experimental.symbolic_shapes import ShapeEnv, int_oo

__all__ = ["Guard", "GuardsFn", "collect"]


class Guard(NamedTuple):
    """A condition: its text, and a function of the leaves of the arguments."""

    text: str
    holds: Any


class GuardsFn(torch.nn.Module):
    """Checks the arguments of an exported program; AssertionError names the first condition that fails."""

    def __init__(self, guards: list[Guard]) -> None:
        super().__init__()
        self.guards = guards

    def forward(self, *args: Any) -> None:
        for guard in self.guards:
            if not guard.holds(args):
                raise AssertionError(f"Guard failed: {guard.text}")


def collect(env: ShapeEnv, leaves: list[Any], names: list[str]) -> list[Guard]:
    """The conditions on the arguments: ``leaves`` are the fake tensors and numbers of the example."""
    guards: list[Guard] = []
    sources: dict[Symbol, tuple[int, int]] = {}
    derived: list[tuple[int, int, Expr]] = []
    for i, leaf in enumerate(leaves):
        if isinstance(leaf, torch.Tensor):
            for dim, size in enumerate(leaf.shape):
                expr = size.node.expr if isinstance(size, torch.SymInt) else Expr.of(size)
                constant = expr.constant
                if constant is not None:
                    guards.append(_size_is(i, dim, constant, names))
                    continue
                ((monomial, factor), *rest) = expr.terms.items()
                plain = not rest and factor == 1 and len(monomial) == 1 and monomial[0][1] == 1
                atom = monomial[0][0]
                if plain and isinstance(atom, Symbol) and atom not in sources:
                    sources[atom] = (i, dim)
                else:
                    derived.append((i, dim, expr))
        elif leaf is not None and isinstance(leaf, (int, float, bool, str)):
            guards.append(_value_is(i, leaf, names))
        elif leaf is None:
            guards.append(_value_is(i, None, names))
    solved = _solve(sources, derived)
    for i, dim, expr in derived:
        if solved.get((i, dim)) is None and expr.symbols <= set(sources):
            guards.append(_derived(i, dim, expr, sources, names))
    for symbol, place in sources.items():
        guards += _ranges(env, symbol, place, names)
    for relation in env.relations:
        text = relation.as_python(lambda e: _text(env.simplify(e), sources, names))
        guards.append(Guard(text, partial(_relation_holds, env, relation, sources)))
    return guards


def _solve(sources: dict[Symbol, tuple[int, int]], derived: list[tuple[int, int, Expr]]) -> dict[Any, bool]:
    """Take the value of a symbol from ``a*s + b`` where no size is the symbol itself."""
    found = {}
    for i, dim, expr in derived:
        unknown = [s for s in expr.symbols if s not in sources]
        if len(expr.symbols) == 1 and len(unknown) == 1:
            (symbol,) = unknown
            sources[symbol] = _Inverse(i, dim, expr)  # type: ignore[assignment]
            found[i, dim] = True
    return found


class _Inverse(NamedTuple):
    """A symbol that a size is a linear expression of."""

    leaf: int
    dim: int
    expr: Expr

    def read(self, args: Any) -> int:
        (symbol,) = self.expr.symbols
        at_zero, at_one = self.expr.value({symbol: 0}), self.expr.value({symbol: 1})
        return (args[self.leaf].shape[self.dim] - at_zero) // (at_one - at_zero)


def _read(place: Any, args: Any) -> int:
    return place.read(args) if isinstance(place, _Inverse) else args[place[0]].shape[place[1]]


def _relation_holds(env: ShapeEnv, relation: Any, sources: dict[Symbol, Any], args: Any) -> bool:
    point = {s: _read(p, args) for s, p in sources.items()}
    for symbol, expr in env.replacements.items():
        point[symbol] = env.simplify(expr).value(point)
    return bool(relation.value(point))


def _has_size(i: int, dim: int, size: int, args: Any) -> bool:
    return bool(args[i].shape[dim] == size)


def _has_value(i: int, value: Any, args: Any) -> bool:
    return type(args[i]) is type(value) and args[i] == value


def _has_expression(i: int, dim: int, expr: Expr, sources: dict[Symbol, Any], args: Any) -> bool:
    return bool(args[i].shape[dim] == expr.value({s: _read(p, args) for s, p in sources.items()}))


def _at_least(place: Any, bound: int, args: Any) -> bool:
    return _read(place, args) >= bound


def _at_most(place: Any, bound: int, args: Any) -> bool:
    return _read(place, args) <= bound


def _size_is(i: int, dim: int, size: int, names: list[str]) -> Guard:
    return Guard(f"{names[i]}.size()[{dim}] == {size}", partial(_has_size, i, dim, size))


def _value_is(i: int, value: Any, names: list[str]) -> Guard:
    shown = f"{names[i]} is None" if value is None else f"{names[i]} == {value!r}"
    return Guard(shown, partial(_has_value, i, value))


def _derived(i: int, dim: int, expr: Expr, sources: dict[Symbol, Any], names: list[str]) -> Guard:
    text = f"{names[i]}.size()[{dim}] == {_text(expr, sources, names)}"
    return Guard(text, partial(_has_expression, i, dim, expr, sources))


def _ranges(env: ShapeEnv, symbol: Symbol, place: Any, names: list[str]) -> list[Guard]:
    known = env.var_to_range.get(symbol)
    if known is None:
        return []
    shown = _text(Expr.of(symbol), {symbol: place}, names)
    guards = []
    # Sizes 0 and 1 are let through, as PyTorch does: a program that treats them otherwise was exported for them.
    if known.lower > 2:
        guards.append(Guard(f"{shown} >= {known.lower}", partial(_at_least, place, known.lower)))
    if known.upper != int_oo:
        guards.append(Guard(f"{shown} <= {known.upper}", partial(_at_most, place, known.upper)))
    return guards


def _text(expr: Expr, sources: dict[Symbol, Any], names: list[str]) -> str:
    shown = repr(expr)
    for symbol in sorted(expr.symbols, key=lambda s: -len(s.name)):
        place = sources.get(symbol)
        if place is not None and not isinstance(place, _Inverse):
            shown = shown.replace(symbol.name, f"{names[place[0]]}.size()[{place[1]}]")
    return shown
