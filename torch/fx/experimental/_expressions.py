"""Arithmetic over unknown integers: polynomials whose atoms are symbols and calls such as floor division.

Two expressions that are equal as polynomials are one expression, so that ``s0 + s0`` is ``2*s0``. What is not a
polynomial (a floor division, a remainder, the larger of two) is an atom with its arguments.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import total_ordering
from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any, Union

    Number = Union[int, float, Fraction]


@total_ordering
class Symbol:
    """An unknown number with a name."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Symbol) and self.name == other.name

    def __hash__(self) -> int:
        return hash(("symbol", self.name))

    def __lt__(self, other: Any) -> bool:
        return _rank(self) < _rank(other)

    def __reduce__(self) -> Any:
        return Symbol, (self.name,)


@total_ordering
class Call:
    """A function of expressions that is not a polynomial."""

    __slots__ = ("name", "args")

    def __init__(self, name: str, args: tuple[Expr, ...]) -> None:
        self.name, self.args = name, args

    def __repr__(self) -> str:
        return _CALLS[self.name].write(*self.args)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Call) and (self.name, self.args) == (other.name, other.args)

    def __hash__(self) -> int:
        return hash((self.name, self.args))

    def __lt__(self, other: Any) -> bool:
        return _rank(self) < _rank(other)

    def __reduce__(self) -> Any:
        return Call, (self.name, self.args)


def _rank(atom: Any) -> tuple[bool, str]:
    return isinstance(atom, Call), repr(atom)


Monomial = tuple  # of pairs (atom, power), sorted


class Expr:
    """A sum of terms, each a number times a product of powers of atoms."""

    __slots__ = ("terms", "_hash")

    def __init__(self, terms: Mapping[Any, Number]) -> None:
        self.terms = {m: _plain(c) for m, c in terms.items() if c != 0}
        self._hash = hash(frozenset(self.terms.items()))

    # ---- making

    @staticmethod
    def of(value: Any) -> Expr:
        """An expression from a number, a symbol or an expression."""
        if isinstance(value, Expr):
            return value
        if isinstance(value, (Symbol, Call)):
            return Expr({((value, 1),): 1})
        return Expr({(): value})

    @property
    def constant(self) -> Any:
        """The number that it is, or None."""
        if not self.terms:
            return 0
        return self.terms[()] if len(self.terms) == 1 and () in self.terms else None

    @property
    def symbols(self) -> set[Symbol]:
        """The symbols that occur in it."""
        return set(self._symbols())

    def _symbols(self) -> Iterator[Symbol]:
        for monomial in self.terms:
            for atom, _ in monomial:
                if isinstance(atom, Symbol):
                    yield atom
                else:
                    for arg in atom.args:
                        yield from arg._symbols()

    # ---- arithmetic

    def __add__(self, other: Any) -> Expr:
        terms = dict(self.terms)
        for m, c in Expr.of(other).terms.items():
            terms[m] = terms.get(m, 0) + c
        return Expr(terms)

    __radd__ = __add__

    def __neg__(self) -> Expr:
        return Expr({m: -c for m, c in self.terms.items()})

    def __sub__(self, other: Any) -> Expr:
        return self + -Expr.of(other)

    def __rsub__(self, other: Any) -> Expr:
        return Expr.of(other) - self

    def __mul__(self, other: Any) -> Expr:
        terms: dict[Any, Number] = {}
        for m, c in self.terms.items():
            for n, d in Expr.of(other).terms.items():
                powers: dict[Any, int] = dict(m)
                for atom, power in n:
                    powers[atom] = powers.get(atom, 0) + power
                key = tuple(sorted((a, p) for a, p in powers.items() if p))
                terms[key] = terms.get(key, 0) + c * d
        return Expr(terms)

    __rmul__ = __mul__

    def __pow__(self, power: int) -> Expr:
        result = Expr.of(1)
        for _ in range(power):
            result = result * self
        return result

    # ---- meaning

    def value(self, numbers: Mapping[Symbol, Number]) -> Any:
        """The number that it is when the symbols are these; KeyError if one is missing."""
        total: Any = 0
        for monomial, coefficient in self.terms.items():
            product: Any = coefficient
            for atom, power in monomial:
                if isinstance(atom, Symbol):
                    base = numbers[atom]
                else:
                    base = _CALLS[atom.name].compute(*(a.value(numbers) for a in atom.args))
                product = product * base**power
            total = total + product
        return _plain(total)

    def replace(self, new: Mapping[Symbol, Expr]) -> Expr:
        """The expression with other expressions in place of symbols."""
        total = Expr({})
        for monomial, coefficient in self.terms.items():
            product = Expr.of(coefficient)
            for atom, power in monomial:
                if isinstance(atom, Symbol):
                    part = new.get(atom, Expr.of(atom))
                else:
                    part = call(atom.name, *(a.replace(new) for a in atom.args))
                product = product * part**power
            total = total + product
        return total

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expr) and self.terms == other.terms

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> Any:
        return Expr, (self.terms,)

    def __repr__(self) -> str:
        if not self.terms:
            return "0"
        ordered = sorted(self.terms.items(), key=lambda t: (-sum(p for _, p in t[0]), [_rank(a) for a, _ in t[0]]))
        text = ""
        for i, (monomial, coefficient) in enumerate(ordered):
            sign = "-" if coefficient < 0 else "+"
            body = _term(monomial, abs(coefficient))
            text += (f"-{body}" if sign == "-" else body) if i == 0 else f" {sign} {body}"
        return text


def _plain(number: Any) -> Any:
    """An int where a fraction is whole."""
    return int(number) if isinstance(number, Fraction) and number.denominator == 1 else number


def _term(monomial: Any, coefficient: Any) -> str:
    factors = [repr(atom) if power == 1 else f"{atom!r}**{power}" for atom, power in monomial]
    if not factors:
        return str(coefficient)
    if len(factors) > 1 or coefficient != 1:
        factors = [f"({f})" if f.startswith("(") else f for f in factors]
    return "*".join(factors if coefficient == 1 else [str(coefficient), *factors])


def _wrap(e: Expr) -> str:
    text = repr(e)
    simple = len(e.terms) == 1 and (text.isidentifier() or text.lstrip("-").isdigit())
    return text if simple else f"({text})"


class _Function(NamedTuple):
    compute: Callable[..., Any]
    write: Callable[..., str]


_CALLS = {
    "floordiv": _Function(lambda a, b: a // b, lambda a, b: f"({_wrap(a)}//{_wrap(b)})"),
    "mod": _Function(lambda a, b: a % b, lambda a, b: f"Mod({a!r}, {b!r})"),
    "truediv": _Function(lambda a, b: a / b, lambda a, b: f"({_wrap(a)}/{_wrap(b)})"),
    "max": _Function(max, lambda a, b: f"Max({a!r}, {b!r})"),
    "min": _Function(min, lambda a, b: f"Min({a!r}, {b!r})"),
    "floor": _Function(math.floor, lambda a: f"FloorToInt({a!r})"),
    "ceil": _Function(math.ceil, lambda a: f"CeilToInt({a!r})"),
    "trunc": _Function(math.trunc, lambda a: f"TruncToInt({a!r})"),
    "round": _Function(round, lambda a: f"RoundToInt({a!r})"),
    "sqrt": _Function(math.sqrt, lambda a: f"OpaqueUnaryFn_sqrt({a!r})"),
    "float": _Function(float, lambda a: f"ToFloat({a!r})"),
    "pow": _Function(lambda a, b: a**b, lambda a, b: f"{_wrap(a)}**{_wrap(b)}"),
}


def call(name: str, *args: Any) -> Expr:
    """A function of expressions: a number where all are known, else an atom, simplified where that is plain.

    >>> from torch.fx.experimental._expressions import Expr, Symbol, call
    >>> s = Expr.of(Symbol("s0"))
    >>> call("floordiv", 4 * s, 2), call("floordiv", s + 1, 2)
    (2*s0, ((s0 + 1)//2))
    """
    parts = tuple(Expr.of(a) for a in args)
    constants = [p.constant for p in parts]
    if all(c is not None for c in constants):
        return Expr.of(_CALLS[name].compute(*constants))
    if name in ("floordiv", "mod"):
        top, bottom = parts
        if bottom.constant == 1:
            return top if name == "floordiv" else Expr({})
        if top == bottom:
            return Expr.of(1 if name == "floordiv" else 0)
        quotient = _exact(top, bottom)
        if quotient is not None:
            return quotient if name == "floordiv" else Expr({})
    if name in ("max", "min") and parts[0] == parts[1]:
        return parts[0]
    return Expr.of(Call(name, parts))


def _exact(top: Expr, bottom: Expr) -> Expr | None:
    """The quotient, where it is a polynomial with whole coefficients; the divisor has one term."""
    if len(bottom.terms) != 1:
        return None
    ((divisor, number),) = bottom.terms.items()
    terms = {}
    for monomial, coefficient in top.terms.items():
        powers = dict(monomial)
        for atom, power in divisor:
            if powers.get(atom, 0) < power:
                return None
            powers[atom] -= power
        if not isinstance(coefficient, int) or not isinstance(number, int) or coefficient % number:
            return None
        terms[tuple(sorted((a, p) for a, p in powers.items() if p))] = coefficient // number
    return Expr(terms)
