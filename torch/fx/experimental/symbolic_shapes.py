"""Sizes that are not known: symbols for them, what is known about them, and the conditions that a program relies on."""

from __future__ import annotations

from dataclasses import dataclass

from torch._symbolic import SymBool, SymFloat, SymInt

from ._expressions import Call, Expr, Symbol
from .sym_node import RelationNode, SymNode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

__all__ = [
    "Constraint",
    "ConstraintViolationError",
    "DimDynamic",
    "GuardOnDataDependentSymNode",
    "ShapeEnv",
    "SymBool",
    "SymFloat",
    "SymInt",
    "Symbol",
    "ValueRanges",
    "definitely_false",
    "definitely_true",
    "free_symbols",
    "guard_bool",
    "guard_int",
    "guard_or_false",
    "guard_or_true",
    "guard_size_oblivious",
    "guarding_hint_or_throw",
    "has_free_symbols",
    "hint_int",
    "int_oo",
    "is_concrete_bool",
    "is_concrete_int",
    "is_symbolic",
    "optimization_hint",
    "statically_known_false",
    "statically_known_true",
    "sym_and",
    "sym_eq",
    "sym_or",
]


class _Infinity:
    """An integer larger than all others."""

    def __init__(self, sign: int) -> None:
        self.sign = sign

    def __repr__(self) -> str:
        return "int_oo" if self.sign > 0 else "-int_oo"

    def __neg__(self) -> _Infinity:
        return _LOWEST if self.sign > 0 else int_oo

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Infinity) and other.sign == self.sign

    def __hash__(self) -> int:
        return hash(self.sign * float("inf"))

    def __lt__(self, other: Any) -> bool:
        return self.sign < 0 and self != other

    def __gt__(self, other: Any) -> bool:
        return self.sign > 0 and self != other

    def __le__(self, other: Any) -> bool:
        return self.sign < 0 or self == other

    def __ge__(self, other: Any) -> bool:
        return self.sign > 0 or self == other

    def _same(self, other: Any) -> _Infinity:
        return self

    __add__ = __radd__ = __sub__ = _same

    def __mul__(self, other: Any) -> Any:
        return self if other > 0 else -self

    __rmul__ = __mul__

    def __floordiv__(self, other: Any) -> Any:
        return self


int_oo = _Infinity(1)
_LOWEST = _Infinity(-1)


@dataclass(frozen=True)
class ValueRanges:
    """The numbers from ``lower`` to ``upper``, both included."""

    lower: Any
    upper: Any

    def __repr__(self) -> str:
        return f"VR[{self.lower}, {self.upper}]"

    def __contains__(self, value: Any) -> bool:
        return bool(self.lower <= value <= self.upper)

    def __and__(self, other: ValueRanges) -> ValueRanges:
        return ValueRanges(max(self.lower, other.lower), min(self.upper, other.upper))


class ConstraintViolationError(RuntimeError):
    """The program relies on a size being other than was declared."""


class GuardOnDataDependentSymNode(RuntimeError):  # noqa: N818
    """The program decides by a number that depends on the elements of a tensor."""

    def __init__(self, cond: Any, msg: str = "") -> None:
        super().__init__(msg or f"Could not guard on data-dependent expression {cond}")
        self.cond = cond


class Constraint:
    """What was declared about a size."""


class DimDynamic:
    """How a size is treated: ``DYNAMIC`` has a symbol, ``STATIC`` is the number that it is."""

    DYNAMIC = 0
    DUCK = 1
    STATIC = 2


class ShapeEnv:
    """The symbols of one traced program: their values for the example, their ranges, and the conditions relied on.

    >>> from torch.fx.experimental.symbolic_shapes import ShapeEnv
    >>> env = ShapeEnv()
    >>> s = env.create_symint(8, "s0")
    >>> s * 2 + 1, bool(s > 4), env.guards
    (2*s0 + 1, True, ['s0 > 4'])
    """

    def __init__(self, **options: Any) -> None:
        self.var_to_val: dict[Symbol, int] = {}
        self.var_to_range: dict[Symbol, ValueRanges] = {}
        self.replacements: dict[Symbol, Expr] = {}
        self.relations: list[RelationNode] = []
        # Symbols that depend on elements of tensors: their value here is one of those possible, no example's.
        self.unbacked: set[Symbol] = set()
        self.floating: set[Symbol] = set()
        # What the program states about them with torch._check.
        self.expected: list[RelationNode] = []
        self.recorder: Any = None

    # ---- symbols

    def create_symint(self, hint: int, name: str | None = None, lower: Any = 0, upper: Any = int_oo) -> Any:
        """A symbolic integer that is ``hint`` for the example."""
        symbol = Symbol(name if name is not None else f"s{len(self.var_to_val)}")
        self.var_to_val[symbol] = hint
        self.var_to_range[symbol] = ValueRanges(lower, upper)
        return self.symint(Expr.of(symbol))

    def create_unbacked(self, lower: Any, upper: Any, floating: bool = False) -> Any:
        """A symbolic number that depends on elements of tensors."""
        number = sum((s in self.floating) is floating for s in self.unbacked)
        symbol = Symbol(f"{'zuf' if floating else 'u'}{number}")
        self.var_to_range[symbol] = ValueRanges(lower, upper)
        self.unbacked.add(symbol)
        if floating:
            self.floating.add(symbol)
            self.var_to_val[symbol] = 2.5
            return SymFloat(SymNode(Expr.of(symbol), self, float))
        self.var_to_val[symbol] = _value_within(self.var_to_range[symbol])
        return self.symint(Expr.of(symbol))

    def depends_on_elements(self, *exprs: Expr) -> bool:
        """Whether expressions have symbols that depend on elements of tensors."""
        return bool(self.unbacked) and any(s in self.unbacked for e in exprs for s in self.simplify(e).symbols)

    def expect(self, relation: RelationNode) -> bool:
        """What ``torch._check`` states: relied on, and checked when the program runs. False if it never holds."""
        if relation.sign == "and":
            return self.expect(relation.left) and self.expect(relation.right)
        if relation.sign == "or" or not self.depends_on_elements(relation.left, relation.right):
            return self.guard(relation)
        known = self.statically(relation.sign, relation.left, relation.right)
        if known is None:
            self.expected.append(relation)
            self.assume(relation)
            self._settle_values()
        return known is not False

    def _settle_values(self) -> None:
        """Give symbols without a value for the example one that is possible."""
        for symbol in self.unbacked - self.floating:
            known = self.var_to_range[symbol]
            if self.var_to_val[symbol] not in known:
                self.var_to_val[symbol] = _value_within(known)

    def symint(self, expr: Any) -> Any:
        """The symbolic integer of an expression, or a plain one."""
        constant = self.simplify(Expr.of(expr)).constant
        return int(constant) if constant is not None else SymInt(SymNode(Expr.of(expr), self, int))

    def simplify(self, expr: Expr) -> Expr:
        """The expression with what is known about the symbols put in."""
        for _ in range(len(self.replacements) + 1):
            if not any(s in self.replacements for s in expr.symbols):
                break
            expr = expr.replace(self.replacements)
        return expr

    def hint(self, expr: Expr) -> Any:
        """The value for the example."""
        return expr.value(self.var_to_val)

    def note(self, function: Any, args: tuple[Any, ...], result: Any) -> Any:
        """Tell the recorder, if there is one, how a symbolic number was computed."""
        if self.recorder is not None:
            wrapped = tuple((SymInt if a.pytype is int else SymFloat)(a) if isinstance(a, SymNode) else a for a in args)
            return self.recorder(function, wrapped, result)
        return result

    # ---- conditions

    def bounds(self, expr: Expr) -> ValueRanges:
        """Between which numbers an expression lies, as far as the ranges of its symbols say."""
        lower: Any = 0
        upper: Any = 0
        for monomial, coefficient in self.simplify(expr).terms.items():
            low, high = self._monomial_bounds(monomial)
            if coefficient < 0:
                low, high = high, low
            lower, upper = _sum(lower, _times(low, coefficient)), _sum(upper, _times(high, coefficient))
        return ValueRanges(lower, upper)

    def _monomial_bounds(self, monomial: Any) -> tuple[Any, Any]:
        low: Any = 1
        high: Any = 1
        for atom, power in monomial:
            r = self._atom_range(atom)
            if r.lower < 0:
                return _LOWEST, int_oo
            for _ in range(power):
                low, high = _times(low, r.lower), _times(high, r.upper)
        return low, high

    def _atom_range(self, atom: Any) -> ValueRanges:
        if isinstance(atom, Symbol):
            return self.var_to_range.get(atom, ValueRanges(_LOWEST, int_oo))
        assert isinstance(atom, Call)
        parts = [self.bounds(a) for a in atom.args]
        if atom.name == "floordiv" and parts[0].lower >= 0 and parts[1].lower > 0:
            low = 0 if parts[1].upper == int_oo else parts[0].lower // parts[1].upper
            return ValueRanges(low, parts[0].upper // parts[1].lower)
        if atom.name == "mod" and parts[1].lower > 0:
            return ValueRanges(0, _sum(parts[1].upper, -1))
        if atom.name == "max":
            return ValueRanges(max(parts[0].lower, parts[1].lower), max(parts[0].upper, parts[1].upper))
        if atom.name == "min":
            return ValueRanges(min(parts[0].lower, parts[1].lower), min(parts[0].upper, parts[1].upper))
        return ValueRanges(_LOWEST, int_oo)

    def statically(self, sign: str, left: Expr, right: Expr) -> bool | None:
        """Whether a comparison holds whatever the sizes are, or never does; None if that depends."""
        difference = self.simplify(left) - self.simplify(right)
        constant = difference.constant
        if constant is not None:
            low = high = constant
        else:
            found = self.bounds(difference)
            low, high = found.lower, found.upper
        if sign in ("==", "!="):
            answer = True if low == high == 0 else False if low > 0 or high < 0 else None
            return answer if sign == "==" or answer is None else not answer
        if sign in ("<", ">="):
            answer = True if high < 0 else False if low >= 0 else None
        else:
            answer = True if high <= 0 else False if low > 0 else None
        return answer if sign in ("<", "<=") or answer is None else not answer

    def relation(self, sign: str, left: Expr, right: Expr) -> Any:
        """A comparison: a plain truth value where it is known, else a symbolic one."""
        known = self.statically(sign, left, right)
        return known if known is not None else SymBool(RelationNode(sign, left, right, self))

    def guard(self, relation: RelationNode) -> bool:
        """Whether a comparison holds for the example. The program relies on that from now on."""
        if relation.sign in ("and", "or"):
            return _joined(relation)
        known = self.statically(relation.sign, relation.left, relation.right)
        if known is not None:
            return known
        if self.depends_on_elements(relation.left, relation.right):
            raise GuardOnDataDependentSymNode(relation, _undecided("guard on", relation))
        holds = relation.value(self.var_to_val)
        self.assume(relation if holds else relation.negated().node)
        return holds

    def assume(self, relation: RelationNode) -> None:
        """Note a condition that holds, and what follows for the symbols."""
        difference = self.simplify(relation.left) - self.simplify(relation.right)
        if not self._narrow(relation.sign, difference):
            self.relations.append(relation)

    def assume_all(self, relation: RelationNode) -> None:
        """Note several conditions joined by "and", or one."""
        if relation.sign == "and":
            self.assume_all(relation.left)
            self.assume_all(relation.right)
        elif relation.sign == "or":
            self.relations.append(relation)
        else:
            self.assume(relation)

    def _narrow(self, sign: str, difference: Expr) -> bool:
        """Put a condition on one symbol, or an equality of two, into ranges and replacements."""
        linear = [(m, c) for m, c in difference.terms.items() if m]
        rest = difference.terms.get((), 0)
        if any(len(m) != 1 or m[0][1] != 1 or not isinstance(m[0][0], Symbol) for m, _ in linear):
            return False
        if sign == "==":
            for m, c in sorted(linear, key=lambda t: repr(t[0]), reverse=True):
                if c in (1, -1):
                    symbol = m[0][0]
                    others = {n: d for n, d in difference.terms.items() if n != m}
                    value = Expr(others) * (-1 if c == 1 else 1)
                    self.replacements[symbol] = value
                    if len(value.terms) == 1 and not isinstance(value.constant, int):
                        ((monomial, one),) = value.terms.items()
                        if one == 1 and len(monomial) == 1 and isinstance(monomial[0][0], Symbol):
                            self.var_to_range[monomial[0][0]] &= self.var_to_range[symbol]
                    return True
            if len(linear) == 1:
                symbol, c = linear[0][0][0][0], linear[0][1]
                self.replacements[symbol] = Expr.of(-rest // c)
                return True
            return False
        if len(linear) != 1 or sign == "!=":
            return False
        symbol, c = linear[0][0][0][0], linear[0][1]
        # c*s + rest (sign) 0
        bound = -rest
        if sign in (">", ">=") if c > 0 else sign in ("<", "<="):
            strict = sign in ("<", ">")
            magnitude, limit = abs(c), bound if c > 0 else -bound
            lower = limit // magnitude + 1 if strict else -(-limit // magnitude)
            self.var_to_range[symbol] &= ValueRanges(lower, int_oo)
        else:
            strict = sign in ("<", ">")
            magnitude, limit = abs(c), bound if c > 0 else -bound
            upper = -(-limit // magnitude) - 1 if strict else limit // magnitude
            self.var_to_range[symbol] &= ValueRanges(_LOWEST, upper)
        return True

    def specialise(self, expr: Expr) -> Any:
        """The value for the example. The program relies on it from now on."""
        value = self.hint(expr)
        if self.depends_on_elements(expr):
            raise GuardOnDataDependentSymNode(expr, _undecided("extract specialized integer from", self.simplify(expr)))
        if self.simplify(expr).constant is None:
            self.assume(RelationNode("==", expr, Expr.of(value), self))
        return value

    @property
    def guards(self) -> list[str]:
        """The conditions that the program relies on, as text, besides what the ranges of the symbols say."""
        narrowed = [f"{s} > {r.lower - 1}" for s, r in self.var_to_range.items() if r.lower not in (0, _LOWEST)] + [
            f"{s} < {r.upper + 1}" for s, r in self.var_to_range.items() if r.upper != int_oo
        ]
        return narrowed + [str(r) for r in self.relations] + [f"Eq({s}, {e!r})" for s, e in self.replacements.items()]


def _value_within(known: ValueRanges) -> int:
    """A number of a range, 2 where that is possible: 0 and 1 are sizes of a special meaning."""
    return int(min(max(2, known.lower), known.upper))


def _undecided(what: str, condition: Any) -> str:
    return (
        f"Could not {what} data-dependent expression {condition} (unhinted: {condition}).  (Size-like symbols: none)"
        "\n\nconsider using data-dependent friendly APIs such as guard_or_false, guard_or_true and "
        "statically_known_true."
    )


def _joined(relation: RelationNode) -> bool:
    """A condition with "and" or "or": as much of it as decides."""
    left = relation.shape_env.guard(relation.left)
    if left is (relation.sign == "or"):
        return left
    return relation.shape_env.guard(relation.right)


def _times(bound: Any, factor: Any) -> Any:
    if bound == 0 or factor == 0:
        return 0
    return bound * factor


def _sum(a: Any, b: Any) -> Any:
    return b if isinstance(b, _Infinity) else a + b


# ---- questions about numbers that may be symbolic


def _nodes(value: Any) -> Iterator[Any]:
    if isinstance(value, (SymInt, SymFloat, SymBool)):
        yield value.node
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _nodes(part)
    elif hasattr(value, "shape") and hasattr(value, "dtype"):
        yield from _nodes(tuple(value.shape))


def free_symbols(val: Any) -> set[Symbol]:
    """The symbols in a number, a sequence of them, or the sizes of a tensor."""
    found: set[Symbol] = set()
    for node in _nodes(val):
        found |= node.expr.symbols if isinstance(node, SymNode) else node.left.symbols | node.right.symbols
    return found


def has_free_symbols(val: Any) -> bool:
    """Whether there are symbols in a number, a sequence of them, or the sizes of a tensor."""
    return bool(free_symbols(val))


def is_symbolic(val: Any) -> bool:
    """Whether a number is symbolic."""
    return isinstance(val, (SymInt, SymFloat, SymBool))


def is_concrete_int(a: Any) -> bool:
    """Whether an integer is known."""
    return not isinstance(a, SymInt) or a.node.is_constant()


def is_concrete_bool(a: Any) -> bool:
    """Whether a truth value is known."""
    return not isinstance(a, SymBool)


def hint_int(a: Any, fallback: int | None = None) -> int:
    """The value of an integer for the example."""
    return int(a.node.hint) if isinstance(a, SymInt) else int(a)


def optimization_hint(a: Any, fallback: int | None = None) -> int:
    """The value of an integer for the example, for choices that change nothing but speed."""
    return hint_int(a, fallback)


def guarding_hint_or_throw(a: Any) -> Any:
    """The value for the example."""
    return a.node.hint if isinstance(a, (SymInt, SymFloat)) else a


def guard_int(a: Any) -> int:
    """The value of an integer, which the program relies on from now on."""
    return int(a)


def guard_bool(a: Any) -> bool:
    """The value of a condition, which the program relies on from now on."""
    return bool(a)


guard_size_oblivious = guard_bool


def statically_known_true(x: Any) -> bool:
    """Whether a condition holds whatever the sizes are; nothing is noted."""
    return x is True or (isinstance(x, SymBool) and _known(x.node) is True)


def statically_known_false(x: Any) -> bool:
    """Whether a condition fails whatever the sizes are; nothing is noted."""
    return x is False or (isinstance(x, SymBool) and _known(x.node) is False)


def _known(node: RelationNode) -> bool | None:
    if node.sign in ("and", "or"):
        parts = (_known(node.left), _known(node.right))
        decisive = node.sign == "or"
        if decisive in parts:
            return decisive
        return None if None in parts else not decisive
    return node.shape_env.statically(node.sign, node.left, node.right)


def guard_or_true(a: Any) -> bool:
    """The value of a condition, which is relied on; True where it depends on elements of tensors."""
    return _guard_or(a, True)


def guard_or_false(a: Any) -> bool:
    """The value of a condition, which is relied on; False where it depends on elements of tensors."""
    return _guard_or(a, False)


def _guard_or(a: Any, otherwise: bool) -> bool:
    try:
        return bool(a)
    except GuardOnDataDependentSymNode:
        return otherwise


definitely_true = statically_known_true
definitely_false = statically_known_false


def sym_and(x: Any, *others: Any) -> Any:
    """Whether all conditions hold."""
    for other in others:
        x = x & other
    return x


def sym_or(x: Any, *others: Any) -> Any:
    """Whether one of the conditions holds."""
    for other in others:
        x = x | other
    return x


def sym_eq(x: Any, y: Any) -> Any:
    """Whether numbers, or sequences of them, are equal."""
    if isinstance(x, (tuple, list)) and isinstance(y, (tuple, list)):
        if len(x) != len(y):
            return False
        return sym_and(True, *(a == b for a, b in zip(x, y, strict=True)))
    return x == y
