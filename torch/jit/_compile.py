"""``torch.jit.script``."""

from __future__ import annotations

import types
import warnings

import torch

from . import _deprecated
from ._script import ScriptFunction, ScriptModule
from ._state import _enabled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class ScriptList(list):
    """A list that is one object for Python and for programs."""


class ScriptDict(dict):
    """A dictionary that is one object for Python and for programs."""


def script(
    obj: Any,
    optimize: Any = None,
    _frames_up: int = 0,
    _rcb: Callable[[str], Any] | None = None,
    example_inputs: list[tuple[Any, ...]] | dict[Callable[..., Any], list[tuple[Any, ...]]] | None = None,
) -> Any:
    """Compile a function, a module or a class to TorchScript.

    A module becomes a ``ScriptModule``: its ``forward`` is compiled, methods marked with ``torch.jit.export``, and
    everything that these call. A class becomes a type of programs and is returned as it is.

    Raises:
        RuntimeError: the source uses what the language does not have, or types do not fit; the message shows the line.
        OSError: the source is not available.

    Example:
        >>> import torch
        >>> net = torch.jit.script(torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU()))
        >>> net(torch.ones(1, 2)).shape
        torch.Size([1, 3])
    """
    _deprecated("script", "Please switch to `torch.compile` or `torch.export`.")
    return surfacing(_script, obj, optimize, _rcb)


def _script(obj: Any, optimize: Any, _rcb: Callable[[str], Any] | None) -> Any:
    from ._python import PythonResolver, class_type, compiled_function, names_around
    from ._recursive import create_script_module

    if optimize is not None:
        warnings.warn(
            "`optimize` is deprecated and has no effect. Use `with torch.jit.optimized_execution()` instead",
            FutureWarning,
            stacklevel=4,
        )
    if not _enabled or isinstance(obj, (ScriptModule, ScriptFunction)):
        return obj
    if isinstance(obj, torch.nn.Module):
        return create_script_module(obj)
    if isinstance(obj, dict):
        return ScriptDict(obj)
    if isinstance(obj, list):
        return ScriptList(obj)
    if isinstance(obj, type):
        if issubclass(obj, torch.nn.Module):
            raise RuntimeError(
                f"Type '{obj}' cannot be compiled since it inherits from nn.Module, pass an instance instead"
            )
        if hasattr(obj, "__torch_script_interface__"):
            return obj
        if class_type(obj) is None:
            raise RuntimeError(f"Type '{obj}' cannot be compiled")
        return obj
    if isinstance(obj, types.MethodType):
        raise RuntimeError(f"{obj} is a method: compile the object that it belongs to")
    if not isinstance(obj, types.FunctionType):
        raise TypeError(
            f"{type(obj)} is a built-in class"
            if type(obj).__module__ == "builtins"
            else f"{obj} cannot be compiled: it is neither a function nor a module nor a class"
        )
    obj = getattr(obj, "_script_if_tracing_original", obj)
    resolver = None
    if _rcb is not None:
        rcb = _rcb
        outer = names_around(obj)

        def find(name: str) -> Any:
            found = rcb(name)
            return outer(name) if found is None else found

        resolver = PythonResolver(find)
    function = compiled_function(obj, resolver=resolver)
    function.ensure()
    return ScriptFunction(function)


def surfacing(compile: Callable[..., Any], *args: Any) -> Any:
    """Call what compiles; its errors are RuntimeErrors."""
    from ._sugar import CompileError

    try:
        return compile(*args)
    except CompileError as error:
        raise RuntimeError(str(error)) from None
