"""Numbers that stand for sizes while a program is traced: what is done to them is noted instead of computed.

They exist only inside ``torch.export`` and ``torch.fx``; sizes of ordinary tensors are plain numbers. The arithmetic is
in ``torch.fx.experimental.sym_node``, which each of these holds one of.
"""

from __future__ import annotations

import builtins
import math

from ._overridable import overridable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class _Symbol:
    def __init__(self, node: Any) -> None:
        self.node = node

    def __repr__(self) -> str:
        return str(self.node)

    def __bool__(self) -> bool:
        return self.node.truth()  # type: ignore[no-any-return]

    def __hash__(self) -> builtins.int:
        if self.node.is_constant():
            return hash(self.node.constant())
        raise TypeError(f"unhashable type: {type(self).__name__}")


class _Number(_Symbol):
    """The operators of unknown numbers."""

    def __eq__(self, other: object) -> Any:
        return self.node.compare("==", other)

    def __ne__(self, other: object) -> Any:
        return self.node.compare("!=", other)

    def __lt__(self, other: Any) -> Any:
        return self.node.compare("<", other)

    def __le__(self, other: Any) -> Any:
        return self.node.compare("<=", other)

    def __gt__(self, other: Any) -> Any:
        return self.node.compare(">", other)

    def __ge__(self, other: Any) -> Any:
        return self.node.compare(">=", other)

    __hash__ = _Symbol.__hash__

    def __add__(self, other: Any) -> Any:
        return self.node.binary("add", other)

    def __radd__(self, other: Any) -> Any:
        return self.node.binary("add", other, reflected=True)

    def __sub__(self, other: Any) -> Any:
        return self.node.binary("sub", other)

    def __rsub__(self, other: Any) -> Any:
        return self.node.binary("sub", other, reflected=True)

    def __mul__(self, other: Any) -> Any:
        return self.node.binary("mul", other)

    def __rmul__(self, other: Any) -> Any:
        return self.node.binary("mul", other, reflected=True)

    def __floordiv__(self, other: Any) -> Any:
        return self.node.binary("floordiv", other)

    def __rfloordiv__(self, other: Any) -> Any:
        return self.node.binary("floordiv", other, reflected=True)

    def __truediv__(self, other: Any) -> Any:
        return self.node.binary("truediv", other)

    def __rtruediv__(self, other: Any) -> Any:
        return self.node.binary("truediv", other, reflected=True)

    def __mod__(self, other: Any) -> Any:
        return self.node.binary("mod", other)

    def __rmod__(self, other: Any) -> Any:
        return self.node.binary("mod", other, reflected=True)

    def __pow__(self, other: Any) -> Any:
        return self.node.binary("pow", other)

    def __rpow__(self, other: Any) -> Any:
        return self.node.binary("pow", other, reflected=True)

    def __neg__(self) -> Any:
        return self.node.unary("neg")

    def __pos__(self) -> Any:
        return self

    def __abs__(self) -> Any:
        return self if self >= 0 else -self

    def __int__(self) -> builtins.int:
        return builtins.int(self.node.guarded_value())

    def __float__(self) -> builtins.float:
        return builtins.float(self.node.guarded_value())

    def __floor__(self) -> Any:
        return self.node.unary("floor")

    def __ceil__(self) -> Any:
        return self.node.unary("ceil")

    def __trunc__(self) -> Any:
        return self.node.unary("trunc")

    def __round__(self, ndigits: Any = None) -> Any:
        return self.node.unary("round")


class SymInt(_Number):
    """An integer that is not known yet. Where the program needs its value, it becomes the one that it has now."""

    def __index__(self) -> builtins.int:
        return builtins.int(self.node.guarded_value())


class SymFloat(_Number):
    """A float that is not known yet."""

    def is_integer(self) -> bool:
        return bool(self == self.__floor__())


class SymBool(_Symbol):
    """A truth value that is not known yet. Where the program decides by it, that is noted."""

    def __and__(self, other: Any) -> Any:
        return self.node.combine("and", other)

    __rand__ = __and__

    def __or__(self, other: Any) -> Any:
        return self.node.combine("or", other)

    __ror__ = __or__

    def __sym_not__(self) -> Any:
        return self.node.negated()

    def __eq__(self, other: object) -> Any:
        return bool(self) == bool(other)

    __hash__ = _Symbol.__hash__

    def __int__(self) -> builtins.int:
        return builtins.int(bool(self))


@overridable
def sym_not(a: Any) -> Any:
    """Logical negation."""
    return a.__sym_not__() if isinstance(a, SymBool) else not a


@overridable
def sym_float(a: Any) -> Any:
    """Conversion to a float."""
    if isinstance(a, SymFloat):
        return a
    return a.node.unary("float") if isinstance(a, SymInt) else builtins.float(a)


@overridable
def sym_int(a: Any) -> Any:
    """Conversion to an int, towards zero."""
    if isinstance(a, SymInt):
        return a
    if isinstance(a, SymFloat):
        return a.node.unary("trunc")
    return math.floor(a) if a >= 0 else math.ceil(a)


def _extreme(name: str, a: Any, b: Any, choose: Any) -> Any:
    for one, other in ((a, b), (b, a)):
        if isinstance(one, (SymInt, SymFloat)):
            return one.node.binary(name, other)
    found = choose(a, b)
    return builtins.float(found) if isinstance(a, builtins.float) or isinstance(b, builtins.float) else found


@overridable
def sym_max(a: Any, b: Any) -> Any:
    """The larger of two numbers; a float if either is one."""
    return _extreme("max", a, b, max)


@overridable
def sym_min(a: Any, b: Any) -> Any:
    """The smaller of two numbers; a float if either is one."""
    return _extreme("min", a, b, min)


@overridable
def sym_sum(args: Any) -> Any:
    """The sum of numbers."""
    return sum(args)


@overridable
def sym_ite(b: Any, t: Any, f: Any) -> Any:
    """``t`` if ``b`` holds, else ``f``."""
    return t if b else f


@overridable
def sym_sqrt(a: Any) -> Any:
    """Square root."""
    return a.node.unary("sqrt") if isinstance(a, (SymInt, SymFloat)) else math.sqrt(a)


def sym_fresh_size(expr: Any) -> Any:
    """Raise NotImplementedError: sizes that depend on elements have no symbols."""
    from ._missing import not_available

    raise not_available("torch.sym_fresh_size", "sizes that depend on elements have no symbols")
