"""Unification of nested terms, and terms with the values of variables put in."""

from __future__ import annotations

from .variable import isvar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["assoc", "reify", "unify", "walk"]


def assoc(d: dict[Any, Any], key: Any, val: Any) -> dict[Any, Any]:
    """The dictionary with another entry; the old one stays as it is."""
    return {**d, key: val}


def walk(key: Any, d: dict[Any, Any]) -> Any:
    """The value of a variable, followed through other variables."""
    while isvar(key) and key in d:
        key = d[key]
    return key


def reify(e: Any, s: dict[Any, Any]) -> Any:
    """The term with the values of variables in their place.

    >>> from torch.fx.experimental.unification import reify, var
    >>> x = var("x")
    >>> reify((1, [x]), {x: 2})
    (1, [2])
    """
    if isvar(e):
        return reify(s[e], s) if e in s else e
    if isinstance(e, slice):
        return slice(*(reify(v, s) for v in (e.start, e.stop, e.step)))
    if isinstance(e, (tuple, list)):
        return type(e)([reify(v, s) for v in e])
    if isinstance(e, dict):
        return {k: reify(v, s) for k, v in e.items()}
    return e


def unify(u: Any, v: Any, s: dict[Any, Any] | None = None) -> Any:
    """The values that variables must have for two terms to be equal; False if there are none.

    >>> from torch.fx.experimental.unification import unify, var
    >>> unify((1, var("x")), (1, 2))
    {~x: 2}
    """
    s = {} if s is None else s
    u, v = walk(u, s), walk(v, s)
    if isvar(u):
        return s if isvar(v) and u == v else assoc(s, u, v)
    if isvar(v):
        return assoc(s, v, u)
    if isinstance(u, slice) and isinstance(v, slice):
        return unify((u.start, u.stop, u.step), (v.start, v.stop, v.step), s)
    if type(u) is type(v) and isinstance(u, (tuple, list)):
        if len(u) != len(v):
            return False
        for a, b in zip(u, v, strict=True):
            s = unify(a, b, s)
            if s is False:
                return False
        return s
    if isinstance(u, dict) and isinstance(v, dict):
        if u.keys() != v.keys():
            return False
        for key, value in u.items():
            s = unify(value, v[key], s)
            if s is False:
                return False
        return s
    return s if u == v else False
