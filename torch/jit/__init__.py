"""TorchScript. Functions and modules are Python here: decorators that only mark them return them unchanged, and what
would need a compiled program says that it is missing."""

from __future__ import annotations

import builtins
import contextlib

from torch._missing import missing_class, missing_function, not_available
from torch.futures import Future

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "Attribute",
    "CompilationUnit",
    "Error",
    "Future",
    "ScriptFunction",
    "ScriptModule",
    "annotate",
    "enable_onednn_fusion",
    "export",
    "export_opnames",
    "fork",
    "freeze",
    "ignore",
    "interface",
    "isinstance",
    "load",
    "onednn_fusion_enabled",
    "optimize_for_inference",
    "save",
    "script",
    "script_if_tracing",
    "set_fusion_strategy",
    "strict_fusion",
    "trace",
    "trace_module",
    "unused",
    "wait",
]

_REASON = "TorchScript has no part in Tabula; run the Python function itself, or use torch.compile"


class Error(RuntimeError):
    """An error in a TorchScript program."""


CompilationUnit = missing_class("torch.jit.CompilationUnit", _REASON)
ScriptFunction = missing_class("torch.jit.ScriptFunction", _REASON)
ScriptModule = missing_class("torch.jit.ScriptModule", _REASON)
export_opnames = missing_function("torch.jit.export_opnames", _REASON)
load = missing_function("torch.jit.load", _REASON)
save = missing_function("torch.jit.save", _REASON)


class Attribute:
    """A module attribute with a type."""

    def __init__(self, value: Any, type: Any) -> None:
        self.value, self.type = value, type


def script(obj: Any, optimize: Any = None, _frames_up: int = 0, _rcb: Any = None, example_inputs: Any = None) -> Any:
    """Return ``obj``: it runs as Python."""
    return obj


def trace(func: Any, example_inputs: Any = None, *args: Any, **kwargs: Any) -> Any:
    """Return ``func``: it runs as Python, its control flow included."""
    return func


def trace_module(mod: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
    """Return ``mod``: it runs as Python."""
    return mod


def script_if_tracing(fn: Any) -> Any:
    """Return ``fn``."""
    return fn


def export(fn: Any) -> Any:
    """Return ``fn``."""
    return fn


def interface(obj: Any) -> Any:
    """Return ``obj``."""
    return obj


def ignore(drop: Any = False, **kwargs: Any) -> Any:
    """Keep a function in Python, where it is anyway. Works with and without arguments."""
    return drop if callable(drop) else lambda fn: fn


def unused(fn: Any) -> Any:
    """Return ``fn``."""
    return fn


def freeze(mod: Any, preserved_attrs: Any = None, optimize_numerics: bool = True) -> Any:
    """Return ``mod``."""
    return mod


def optimize_for_inference(mod: Any, other_methods: Any = None) -> Any:
    """Return ``mod``."""
    return mod


def annotate(the_type: Any, the_value: Any) -> Any:
    """Return the value."""
    return the_value


def isinstance(obj: Any, target_type: Any) -> bool:
    """``isinstance`` that also looks into ``list[int]`` and the like, as far as Python can."""
    origin = getattr(target_type, "__origin__", None)
    if origin is None:
        return builtins.isinstance(obj, target_type)
    if not builtins.isinstance(obj, origin):
        return False
    inner = target_type.__args__
    if origin is dict:
        return all(isinstance(k, inner[0]) and isinstance(v, inner[1]) for k, v in obj.items())
    if origin is tuple:
        return len(obj) == len(inner) and all(isinstance(o, t) for o, t in zip(obj, inner, strict=True))
    return all(isinstance(o, inner[0]) for o in obj)


def fork(func: Any, *args: Any, **kwargs: Any) -> Future:
    """Run ``func`` at once and return its result as a future."""
    future: Future = Future()
    future.set_result(func(*args, **kwargs))
    return future


def wait(future: Future) -> Any:
    """The result of a future."""
    return future.wait()


def is_scripting() -> bool:
    """Whether this code runs as TorchScript: it never does."""
    return False


def is_tracing() -> bool:
    """Whether this code is being traced: it never is."""
    return False


def enable_onednn_fusion(enabled: bool) -> None:
    """Accepted for compatibility."""


def onednn_fusion_enabled() -> bool:
    """Always False."""
    return False


def set_fusion_strategy(strategy: Any) -> Any:
    """Accepted for compatibility."""
    return strategy


def strict_fusion() -> Any:
    """A context that changes nothing."""
    return contextlib.nullcontext()


def script_method(fn: Any) -> Any:
    raise not_available("torch.jit.script_method", _REASON)


class Final:
    """Marks attributes that do not change; in annotations only."""

    def __class_getitem__(cls, item: Any) -> Any:
        return item
