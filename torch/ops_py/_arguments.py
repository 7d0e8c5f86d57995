"""Checks the arguments of composites as the native functions check theirs, by the annotations of the function."""

from __future__ import annotations

import functools

import torch

from ._common import NUMPY_NAMES, numpy_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def _is_tensor(value: Any) -> bool:
    return isinstance(value, torch.Tensor) or hasattr(value, "__torch_function__")


def _is_int(value: Any) -> bool:
    if isinstance(value, (bool, float)) or not hasattr(value, "__index__"):
        return False
    return not isinstance(value, torch.Tensor) or (value.dim() == 0 and value.dtype != torch.bool)


def _is_float(value: Any) -> bool:
    if isinstance(value, torch.Tensor):
        return value.dim() == 0
    return hasattr(value, "__float__") and not isinstance(value, str)


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool) or type(value).__name__ in ("bool_", "bool")


_KINDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "Tensor": ("Tensor", _is_tensor),
    "int": ("int", _is_int),
    "float": ("float", _is_float),
    "bool": ("bool", _is_bool),
}


def checked(function: Any, name: str, method: bool = False) -> Any:
    """Return ``function`` with its arguments checked first; unchecked where it takes any arguments.

    Raises TypeError with the texts of the native functions: a missing argument, one of another type. NumPy's names
    for ``dim`` and ``keepdim`` are understood too.
    """
    code = getattr(function, "__code__", None)
    if code is None or code.co_flags & 0x0C:  # *args or **kwargs
        return numpy_names(function)
    positional = code.co_varnames[: code.co_argcount]
    every = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    defaults = len(function.__defaults__ or ())
    required = positional[: len(positional) - defaults]
    kinds = {}
    for parameter, annotation in function.__annotations__.items():
        kind, _, rest = str(annotation).partition(" | ")
        if kind in _KINDS and rest in ("", "None"):
            kinds[parameter] = (*_KINDS[kind], rest == "None")
    shift = 0 if method else 1

    def refuse(parameter: str, place: str, value: Any) -> TypeError:
        wanted = kinds[parameter][0]
        return TypeError(f"{name}(): argument '{parameter}'{place} must be {wanted}, not {type(value).__name__}")

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        for position, (parameter, value) in enumerate(zip(positional, args, strict=False)):
            kind = kinds.get(parameter)
            if kind and not (kind[2] and value is None) and not kind[1](value):
                raise refuse(parameter, f" (position {position + shift})", value)
        if kwargs:
            for given in [key for key in kwargs if key not in every and NUMPY_NAMES.get(key) in every]:
                kwargs.setdefault(NUMPY_NAMES[given], kwargs.pop(given))
            for parameter, value in kwargs.items():
                kind = kinds.get(parameter)
                if kind and not (kind[2] and value is None) and not kind[1](value):
                    raise refuse(parameter, "", value)
        missing = [parameter for parameter in required[len(args) :] if parameter not in kwargs]
        if missing:
            # the plural is the wrong way round in PyTorch's text, and programs compare with that
            plural = "s" if len(missing) == 1 else ""
            names = ", ".join(f'"{parameter}"' for parameter in missing)
            raise TypeError(f"{name}() missing {len(missing)} required positional argument{plural}: {names}")
        return function(*args, **kwargs)

    return call
