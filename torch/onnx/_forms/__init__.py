"""The forms of operations in ONNX, by family: one operation, one place.

A form is a function of the graph in the making and the operation's arguments, in which tensors are ``Value``s. It
returns the result, a value or a tuple of them. ``b.result`` holds what the traced operation gave.
"""

from __future__ import annotations

from importlib import import_module

from ._registry import FORMS, form

__all__ = ["FORMS", "form", "load"]

_FAMILIES = "pointwise reductions shapes products windows norms indexing recurrent control making".split()


def load() -> None:
    """Load all families."""
    for family in _FAMILIES:
        import_module(f"{__name__}.{family}")
