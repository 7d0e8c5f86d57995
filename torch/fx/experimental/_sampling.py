"""Finding out how results depend on sizes: an operation runs for the example and for a few other sizes, and the
numbers that come out are written as expressions of the sizes that went in."""

from __future__ import annotations

import itertools
import random
from fractions import Fraction

from ._expressions import Expr, call

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from .symbolic_shapes import ShapeEnv

_SAMPLES = 4
_SPREAD = 97


class NoExpression(RuntimeError):  # noqa: N818
    """A number depends on the sizes in a way that is not found."""


def sample_points(env: ShapeEnv, symbols: Iterable[Any], multiples: dict[Any, int]) -> list[dict[Any, int]]:
    """The example's sizes, and some others that fit all that is known about the symbols."""
    wanted = sorted({s for e in symbols for s in env.simplify(Expr.of(e)).symbols})
    points = [dict(env.var_to_val)]
    if not wanted or all(s in env.floating for s in wanted):
        return points
    draw = random.Random(len(wanted))
    for _ in range(60):
        point = dict(env.var_to_val)
        for symbol in wanted:
            known = env.var_to_range[symbol]
            low = min(max(2, known.lower), known.upper) if known.lower > -1 else 2
            high = low + _SPREAD if known.upper > low + _SPREAD else max(low, known.upper)
            factor = multiples.get(symbol, 1)
            value = draw.randint(-(-low // factor), max(-(-low // factor), high // factor)) * factor
            point[symbol] = value
        for symbol, expr in env.replacements.items():
            point[symbol] = env.simplify(expr).value(point)
        if point not in points and all(r.value(point) for r in env.relations):
            points.append(point)
        if len(points) > _SAMPLES:
            break
    return points


def fit(values: Sequence[int], points: Sequence[dict[Any, int]], candidates: Sequence[Expr]) -> Expr:
    """The expression that has these values at these points. Raises NoExpression where none is found.

    Tried are a number, the candidates, then ``a * c + b`` and ``(c + b) // a`` of a candidate, and sums and products of
    two.
    """
    if all(v == values[0] for v in values):
        return Expr.of(values[0])
    known = [(c, [c.value(p) for p in points]) for c in candidates]
    known = [(c, v) for c, v in known if len(set(v)) > 1]
    for c, v in known:
        if list(values) == v:
            return c
    for c, v in known:
        found = _linear(c, v, values)
        if found is not None:
            return found
    pairs = [
        (a * b, [x * y for x, y in zip(v, w, strict=True)])
        for (a, v), (b, w) in itertools.combinations_with_replacement(known, 2)
    ]
    for c, v in pairs:
        found = _linear(c, v, values)
        if found is not None:
            return found
    for (a, v), (b, w) in itertools.combinations(known, 2):
        found = _plane(a, v, b, w, values)
        if found is not None:
            return found
    for c, v in known:
        found = _quotient(c, v, values)
        if found is not None:
            return found
    triples = itertools.combinations_with_replacement(known, 3)
    for (a, v), (b, w), (c, u) in triples:
        found = _linear(a * b * c, [x * y * z for x, y, z in zip(v, w, u, strict=True)], values)
        if found is not None:
            return found
    raise NoExpression(f"no expression found for the sizes {list(values)}")


def _linear(c: Expr, v: Sequence[int], values: Sequence[int]) -> Expr | None:
    i = next(k for k in range(1, len(v)) if v[k] != v[0]) if len(set(v)) > 1 else None
    if i is None:
        return None
    slope = Fraction(values[i] - values[0], v[i] - v[0])
    offset = values[0] - slope * v[0]
    if slope.denominator != 1 or any(slope * x + offset != y for x, y in zip(v, values, strict=True)):
        return None
    return c * int(slope) + int(offset)


def _plane(a: Expr, v: Sequence[int], b: Expr, w: Sequence[int], values: Sequence[int]) -> Expr | None:
    for i, j in itertools.combinations(range(1, len(values)), 2):
        x1, x2, y1, y2 = v[i] - v[0], v[j] - v[0], w[i] - w[0], w[j] - w[0]
        determinant = x1 * y2 - x2 * y1
        if determinant == 0:
            continue
        d1, d2 = values[i] - values[0], values[j] - values[0]
        p, q = Fraction(d1 * y2 - d2 * y1, determinant), Fraction(x1 * d2 - x2 * d1, determinant)
        offset = values[0] - p * v[0] - q * w[0]
        if p.denominator != 1 or q.denominator != 1:
            return None
        if all(p * x + q * y + offset == z for x, y, z in zip(v, w, values, strict=True)):
            return a * int(p) + b * int(q) + int(offset)
        return None
    return None


def _quotient(c: Expr, v: Sequence[int], values: Sequence[int]) -> Expr | None:
    """``(c + b) // a + d``, as the results of pooling and strided slices are."""
    for divisor in range(2, 33):
        for shift in range(-divisor - 8, divisor + 1):
            rest = values[0] - (v[0] + shift) // divisor
            if abs(rest) <= 2 and all((x + shift) // divisor + rest == y for x, y in zip(v, values, strict=True)):
                return call("floordiv", c + shift, divisor) + rest
    return None
