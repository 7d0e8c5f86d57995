"""Finds the names of ``torch`` that load when they are first used."""

from __future__ import annotations

import sys
from _thread import RLock
from importlib import import_module

from ._missing import missing
from ._names import LAZY_MODULES, NAMES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


# Modules that import each other are not safe to import by two threads that start at different ones: the lock of each
# would wait for the other's, and Python then hands out a half-made module. So one thread at a time loads anything. A
# thread in the middle of an import statement may hold a module's lock that the loading one waits for; it must not wait
# for ever in turn.
_LOADING = RLock()
_PATIENCE = 0.5  # seconds


class loading:  # noqa: N801
    """Inside the block no other thread loads parts of ``torch``, unless it has waited for long."""

    __slots__ = ("held",)

    def __enter__(self) -> None:
        self.held = _LOADING.acquire(timeout=_PATIENCE)

    def __exit__(self, *exc: Any) -> None:
        if self.held:
            _LOADING.release()


# Composites that no tensor overrides.
_NOT_OVERRIDABLE = frozenset({"broadcast_shapes", "eig", "lstsq", "matrix_rank", "solve", "symeig"})


def find(name: str) -> Any:
    """The public object of ``torch`` with this name; AttributeError if there is none."""
    with loading():
        return _find(name)


def _find(name: str) -> Any:
    if name == "torch":
        # Packages have `from torch import torch`.
        return sys.modules["torch"]
    if name in LAZY_MODULES:
        path = LAZY_MODULES[name] or f"torch.{name}"
        try:
            return import_module(path)
        except ModuleNotFoundError as error:
            if error.name != path:
                raise
            raise AttributeError(f"module 'torch' has no attribute '{name}': not part of Tabula yet") from None
    if name in NAMES:
        module, _, attribute = NAMES[name].partition(":")
        value = getattr(import_module(f"torch.{module}"), attribute or name)
        if module.startswith("ops_py."):
            value = import_module("torch.ops_py._arguments").checked(value, name)
            if name not in _NOT_OVERRIDABLE:
                from ._overridable import overridable

                value = overridable(value)
        if module == "nn.functional" or module.startswith("ops_py."):
            # A submodule that loaded on the way may have the same name as a function; the function is meant.
            sys.modules["torch"].__dict__[name] = value
        return value
    if name.startswith("_foreach_"):
        function = import_module("torch.ops_py._foreach").find(name)
        if function is not None:
            return function
    native = sys.modules["torch"]._C
    for place in (native, native._nn):
        value = None if name.startswith("_") and place is native._nn else getattr(place, name, None)
        if value is not None:
            return value
    return missing(name)
