"""Expressions of sizes as the text that PyTorch's files have: nested calls such as ``Add(Symbol('s0'), Integer(1))``.

The text is parsed, never evaluated.
"""

from __future__ import annotations

import ast
import re
from fractions import Fraction
from typing import Any

from torch.fx.experimental._expressions import Expr, Symbol, call
from torch.fx.experimental.sym_node import RelationNode

__all__ = ["expression_text", "python_text", "read_condition", "read_expression", "read_python", "relation_text"]

_NAMES = {
    "floordiv": "FloorDiv", "mod": "Mod", "truediv": "IntTrueDiv", "max": "Max", "min": "Min", "floor": "FloorToInt",
    "ceil": "CeilToInt", "trunc": "TruncToInt", "round": "RoundToInt", "sqrt": "OpaqueUnaryFn_sqrt",
    "float": "ToFloat", "pow": "Pow",
}  # fmt: skip
_CALLS = {name: own for own, name in _NAMES.items()} | {"PythonMod": "mod", "FloatTrueDiv": "truediv"}
_CALLS |= {"PowByNatural": "pow", "FloatPow": "pow", "CleanDiv": "floordiv", "TruncToFloat": "trunc"}
_SIGNS = {
    "==": "Equality", "!=": "Unequality", "<": "StrictLessThan", "<=": "LessThan", ">": "StrictGreaterThan",
    ">=": "GreaterThan", "and": "And", "or": "Or",
}  # fmt: skip
_RELATIONS = {name: sign for sign, name in _SIGNS.items()}
_DEPTH = 200


# ---- writing


def _number(value: Any) -> str:
    if isinstance(value, Fraction):
        return f"Rational({value.numerator}, {value.denominator})"
    return f"Float('{value!r}', precision=53)" if isinstance(value, float) else f"Integer({value})"


def expression_text(expr: Expr, positive: set[Symbol]) -> str:
    """The text of an expression; ``positive`` are the symbols that stand for sizes of inputs."""
    sums = []
    for monomial, coefficient in expr.terms.items():
        factors = [_power(_atom(a, positive), power) for a, power in monomial]
        if coefficient != 1 or not factors:
            factors.insert(0, _number(coefficient))
        sums.append(factors[0] if len(factors) == 1 else f"Mul({', '.join(factors)})")
    if not sums:
        return "Integer(0)"
    return sums[0] if len(sums) == 1 else f"Add({', '.join(sums)})"


def _power(text: str, power: int) -> str:
    return text if power == 1 else f"Pow({text}, Integer({power}))"


def _atom(atom: Any, positive: set[Symbol]) -> str:
    if isinstance(atom, Symbol):
        return f"Symbol('{atom.name}', {'positive=True, ' if atom in positive else ''}integer=True)"
    return f"{_NAMES[atom.name]}({', '.join(expression_text(a, positive) for a in atom.args)})"


def relation_text(relation: RelationNode, positive: set[Symbol]) -> str:
    """The text of a comparison."""
    parts = [
        relation_text(p, positive) if isinstance(p, RelationNode) else expression_text(p, positive)
        for p in (relation.left, relation.right)
    ]
    return f"{_SIGNS[relation.sign]}({', '.join(parts)})"


def python_text(value: Expr, names: dict[Symbol, str]) -> str:
    """An expression as Python, with the places of the inputs for the symbols."""
    sums = []
    for monomial, coefficient in value.terms.items():
        factors = [f"{_python_atom(a, names)}" + (f"**{p}" if p != 1 else "") for a, p in monomial]
        if coefficient != 1 or not factors:
            factors.insert(0, f"({coefficient})")
        sums.append("*".join(factors))
    return " + ".join(sums) or "0"


def _python_atom(atom: Any, names: dict[Symbol, str]) -> str:
    if isinstance(atom, Symbol):
        return names[atom]
    parts = [python_text(a, names) for a in atom.args]
    if atom.name in ("floordiv", "mod", "truediv", "pow"):
        sign = {"floordiv": "//", "mod": "%", "truediv": "/", "pow": "**"}[atom.name]
        return f"(({parts[0]}) {sign} ({parts[1]}))"
    functions = {"sqrt": "math.sqrt", "floor": "math.floor", "ceil": "math.ceil", "trunc": "math.trunc"}
    functions["float"] = "torch.sym_float"
    return f"{functions.get(atom.name, atom.name)}({', '.join(parts)})"


# ---- reading


def _parsed(text: str) -> Any:
    if not isinstance(text, str) or len(text) > 100_000:
        raise RuntimeError(f"torch.export.load: no expression: {str(text)[:80]!r}")
    try:
        return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as e:
        raise RuntimeError(f"torch.export.load: cannot read the expression {text[:80]!r}: {e}") from e


def read_expression(text: str) -> Expr:
    """The expression that ``expression_text`` wrote. RuntimeError for other text."""
    return _expression(_parsed(text), 0)


def read_condition(text: str, env: Any) -> RelationNode | bool:
    """The comparison that ``relation_text`` wrote, or a plain truth value."""
    return _condition(_parsed(text), env, 0)


def _condition(node: Any, env: Any, depth: int) -> Any:
    name = getattr(node, "id", "")
    if name in ("true", "false"):
        return name == "true"
    if depth < _DEPTH and isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        sign = _RELATIONS.get(node.func.id)
        if sign in ("and", "or") and len(node.args) >= 2:
            joined = _condition(node.args[0], env, depth + 1)
            for part in node.args[1:]:
                joined = RelationNode(sign, joined, _condition(part, env, depth + 1), env)
            return joined
        if sign is not None and len(node.args) == 2:
            return RelationNode(sign, _expression(node.args[0], 0), _expression(node.args[1], 0), env)
        if node.func.id == "Not" and len(node.args) == 1:
            found = _condition(node.args[0], env, depth + 1)
            return not found if isinstance(found, bool) else found.negated().node
    raise RuntimeError(f"torch.export.load: unknown condition {ast.unparse(node)[:80]!r}")


def _constant(node: Any) -> Any:
    value = ast.literal_eval(node)
    if isinstance(value, (int, float, str)):
        return value
    raise RuntimeError(f"torch.export.load: unexpected constant {str(value)[:80]!r}")


def _expression(node: Any, depth: int) -> Expr:
    if depth > _DEPTH:
        raise RuntimeError("torch.export.load: an expression is nested too deeply")
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
        raise RuntimeError(f"torch.export.load: unknown part of an expression: {ast.unparse(node)[:80]!r}")
    name = node.func.id
    try:
        if name == "Symbol":
            return Expr.of(_symbol(_constant(node.args[0])))
        if name == "Integer":
            return Expr.of(int(_constant(node.args[0])))
        if name == "Float":
            return Expr.of(float(_constant(node.args[0])))
        if name == "Rational":
            return Expr.of(Fraction(int(_constant(node.args[0])), int(_constant(node.args[1]))))
    except (IndexError, ValueError, TypeError, ZeroDivisionError) as e:
        raise RuntimeError(f"torch.export.load: cannot read {ast.unparse(node)[:80]!r}") from e
    args = [_expression(a, depth + 1) for a in node.args]
    return _applied(name, args)


def _symbol(name: Any) -> Symbol:
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z_]\w*", name):
        raise RuntimeError(f"torch.export.load: {name!r} is no symbol")
    return Symbol(name)


def _applied(name: str, args: list[Expr]) -> Expr:
    if name == "Add" and args:
        return sum(args[1:], args[0])
    if name == "Mul" and args:
        product = args[0]
        for a in args[1:]:
            product = product * a
        return product
    own = _CALLS.get(name)
    if own is None or not args:
        raise RuntimeError(f"torch.export.load: unknown function {name!r} in an expression")
    if own == "pow" and len(args) == 2 and isinstance(args[1].constant, int):
        return _power_of(args[0], args[1].constant)
    if own in ("max", "min"):
        found = args[0]
        for a in args[1:]:
            found = call(own, found, a)
        return found
    if own in ("floordiv", "mod", "truediv") and len(args) == 2 and args[1].constant == 0:
        raise RuntimeError("torch.export.load: an expression divides by zero")
    if len(args) != (1 if own in ("floor", "ceil", "trunc", "round", "sqrt", "float") else 2):
        raise RuntimeError(f"torch.export.load: {name} of {len(args)} arguments")
    return call(own, *args)


def _power_of(base: Expr, power: int) -> Expr:
    if abs(power) > 64 or (power < 0 and base.constant == 0):
        raise RuntimeError(f"torch.export.load: the power {power} is out of range")
    return base**power if power >= 0 else call("pow", base, power)


_OPERATORS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.FloorDiv: "floordiv", ast.Mod: "mod", ast.Div: "truediv"}
_COMPARISONS = {ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}


def read_python(text: str, places: dict[str, Expr], env: Any) -> Any:
    """A guard as PyTorch writes it, ``L['x'].size()[0] == 2*L['y'].size()[0]``, as a comparison of expressions.

    ``places`` are the expressions of inputs and their sizes by their text. RuntimeError for what is no comparison of
    them.
    """
    return _Guard(places, env).comparison(_parsed(text), 0)


class _Guard:
    def __init__(self, places: dict[str, Expr], env: Any) -> None:
        self.places, self.env = places, env

    def comparison(self, node: Any, depth: int) -> Any:
        if depth < _DEPTH and isinstance(node, ast.BoolOp):
            sign = "and" if isinstance(node.op, ast.And) else "or"
            joined = self.comparison(node.values[0], depth + 1)
            for part in node.values[1:]:
                joined = RelationNode(sign, joined, self.comparison(part, depth + 1), self.env)
            return joined
        if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _COMPARISONS:
            sides = self.value(node.left, 0), self.value(node.comparators[0], 0)
            return RelationNode(_COMPARISONS[type(node.ops[0])], *sides, self.env)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return self.comparison(node.operand, depth + 1).negated().node
        raise RuntimeError(f"torch.export.load: unknown guard {ast.unparse(node)[:80]!r}")

    def value(self, node: Any, depth: int) -> Expr:
        if depth > _DEPTH:
            raise RuntimeError("torch.export.load: a guard is nested too deeply")
        known = self.places.get(ast.unparse(node))
        if known is not None:
            return known
        if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
            return Expr.of(node.value)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return -self.value(node.operand, depth + 1)
        if isinstance(node, ast.BinOp):
            return self.binary(node, depth)
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            own = {
                "max": "max", "min": "min", "math.floor": "floor", "math.ceil": "ceil", "math.trunc": "trunc",
                "math.sqrt": "sqrt", "torch.sym_float": "float", "torch._sym_sqrt": "sqrt", "round": "round",
                "torch.sym_max": "max", "torch.sym_min": "min", "Max": "max", "Min": "min", "float": "float",
            }.get(name)  # fmt: skip
            if own is not None and 1 <= len(node.args) <= 2:
                return call(own, *(self.value(a, depth + 1) for a in node.args))
        raise RuntimeError(f"torch.export.load: unknown part of a guard: {ast.unparse(node)[:80]!r}")

    def binary(self, node: Any, depth: int) -> Expr:
        left, right = self.value(node.left, depth + 1), self.value(node.right, depth + 1)
        if isinstance(node.op, ast.Pow) and isinstance(right.constant, int):
            return _power_of(left, right.constant)
        sign = _OPERATORS.get(type(node.op))
        if sign is None:
            raise RuntimeError(f"torch.export.load: unknown operator in a guard: {ast.unparse(node)[:80]!r}")
        if sign in ("floordiv", "mod", "truediv"):
            if right.constant == 0:
                raise RuntimeError("torch.export.load: a guard divides by zero")
            return call(sign, left, right)
        return left + right if sign == "+" else left - right if sign == "-" else left * right
