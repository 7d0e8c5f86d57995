"""Unification: which values variables must have for two terms to be equal (J. A. Robinson, 1965)."""

from __future__ import annotations

from .core import assoc, reify, unify, walk
from .variable import Var, isvar, var, variables, vars

__all__ = ["Var", "assoc", "isvar", "reify", "unify", "var", "variables", "vars", "walk"]
