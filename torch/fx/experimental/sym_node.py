"""What a symbolic number does: an expression, the value that it has for the example, and where guards are noted."""

from __future__ import annotations

import operator

from torch._symbolic import SymBool, SymFloat, SymInt

from ._expressions import Expr, call

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .symbolic_shapes import ShapeEnv

__all__ = ["SymNode", "method_to_operator", "sym_function", "to_node"]

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_NEGATED = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
_TO_INT = frozenset({"floor", "ceil", "trunc", "round"})


def method_to_operator(method: str) -> Callable[..., Any]:
    """The function of ``operator`` that does what a method of symbolic numbers does.

    >>> torch.fx.experimental.sym_node.method_to_operator("add")(1, 2)
    3
    """
    return getattr(operator, {"and": "and_", "or": "or_"}.get(method, method))  # type: ignore[no-any-return]


def to_node(value: Any, env: ShapeEnv) -> SymNode | None:
    """The node of a number, symbolic or not; None for other objects."""
    if isinstance(value, (SymInt, SymFloat)):
        return value.node  # type: ignore[no-any-return]
    if isinstance(value, (bool, int)):
        return SymNode(Expr.of(int(value)), env, int)
    return SymNode(Expr.of(value), env, float) if isinstance(value, float) else None


class SymNode:
    """An integer or float as an expression of the sizes of the inputs."""

    def __init__(self, expr: Expr, shape_env: ShapeEnv, pytype: type) -> None:
        self._expr, self.shape_env, self.pytype = expr, shape_env, pytype

    @property
    def expr(self) -> Expr:
        """The expression, with what is known by now about the symbols put in."""
        return self.shape_env.simplify(self._expr)

    @property
    def hint(self) -> Any:
        """The value for the example inputs."""
        return self.shape_env.hint(self._expr)

    def is_constant(self) -> bool:
        return self.expr.constant is not None

    def constant(self) -> Any:
        return self.expr.constant

    def wrap(self, expr: Expr, pytype: type) -> Any:
        """A symbolic number, or a plain one where the expression is known."""
        constant = self.shape_env.simplify(expr).constant
        if constant is not None:
            return pytype(constant)
        return (SymInt if pytype is int else SymFloat)(SymNode(expr, self.shape_env, pytype))

    def binary(self, name: str, other: Any, reflected: bool = False) -> Any:
        node = to_node(other, self.shape_env)
        if node is None:
            return NotImplemented
        a, b = (node, self) if reflected else (self, node)
        floats = float in (a.pytype, b.pytype)
        if name in ("add", "sub", "mul"):
            expr = getattr(operator, name)(a._expr, b._expr)
        elif name == "pow" and isinstance(b._expr.constant, int) and b._expr.constant >= 0:
            expr = a._expr**b._expr.constant
        else:
            expr = call(name, a._expr, b._expr)
        made = self.wrap(expr, float if floats or name == "truediv" else int)
        return self.shape_env.note(method_to_operator(name) if name not in ("max", "min") else sym_function(name),
                                   (other, self) if reflected else (self, other), made)  # fmt: skip

    def unary(self, name: str) -> Any:
        expr = -self._expr if name == "neg" else call(name, self._expr)
        if name in _TO_INT and self.pytype is int:
            expr = self._expr
        pytype = int if name in _TO_INT else float if name in ("float", "sqrt") else self.pytype
        made = self.wrap(expr, pytype)
        return self.shape_env.note(sym_function(name), (self,), made)

    def compare(self, sign: str, other: Any) -> Any:
        node = to_node(other, self.shape_env)
        if node is None:
            return NotImplemented if sign not in ("==", "!=") else sign == "!="
        return self.shape_env.relation(sign, self._expr, node._expr)

    def truth(self) -> bool:
        return bool(self.compare("!=", 0))

    def guarded_value(self) -> Any:
        """The value for the example, which the program now depends on."""
        return self.shape_env.specialise(self._expr)

    def __str__(self) -> str:
        return repr(self.expr)


def sym_function(name: str) -> Callable[..., Any]:
    """The function that a graph calls for a unary function or an extreme of symbolic numbers."""
    import math

    import torch

    named = {
        "max": torch.sym_max, "min": torch.sym_min, "neg": operator.neg, "float": torch.sym_float,
        "sqrt": torch.sym_sqrt, "floor": math.floor, "ceil": math.ceil, "trunc": torch.sym_int, "round": round,
    }  # fmt: skip
    return named[name]  # type: ignore[no-any-return]


class RelationNode:
    """A comparison of two expressions, or several joined."""

    def __init__(self, sign: str, left: Any, right: Any, shape_env: ShapeEnv) -> None:
        self.sign, self.left, self.right, self.shape_env = sign, left, right, shape_env

    def is_constant(self) -> bool:
        return False

    def value(self, numbers: Any) -> bool:
        """Whether it holds when the symbols are these numbers."""
        if self.sign == "and":
            return self.left.value(numbers) and self.right.value(numbers)  # type: ignore[no-any-return]
        if self.sign == "or":
            return self.left.value(numbers) or self.right.value(numbers)  # type: ignore[no-any-return]
        return _COMPARE[self.sign](self.left.value(numbers), self.right.value(numbers))

    def truth(self) -> bool:
        return self.shape_env.guard(self)

    def negated(self) -> Any:
        if self.sign in _NEGATED:
            return SymBool(RelationNode(_NEGATED[self.sign], self.left, self.right, self.shape_env))
        other = "or" if self.sign == "and" else "and"
        return SymBool(RelationNode(other, self.left.negated().node, self.right.negated().node, self.shape_env))

    def combine(self, sign: str, other: Any) -> Any:
        if isinstance(other, bool):
            return (SymBool(self) if other else False) if sign == "and" else (True if other else SymBool(self))
        if not isinstance(other, SymBool):
            return NotImplemented
        return SymBool(RelationNode(sign, self, other.node, self.shape_env))

    def __str__(self) -> str:
        if self.sign == "==":
            return f"Eq({self.left!r}, {self.right!r})"
        if self.sign == "!=":
            return f"Ne({self.left!r}, {self.right!r})"
        if self.sign in ("and", "or"):
            return f"({self.left}) {'&' if self.sign == 'and' else '|'} ({self.right})"
        return f"{self.left!r} {self.sign} {self.right!r}"

    def as_python(self, names: Any) -> str:
        """The comparison as Python source, with ``names`` for the symbols."""
        if self.sign in ("and", "or"):
            return f"({self.left.as_python(names)}) {self.sign} ({self.right.as_python(names)})"
        return f"{names(self.left)} {self.sign} {names(self.right)}"
