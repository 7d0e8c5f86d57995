"""TorchScript: programs with types, compiled from Python functions and modules, that archives hold.

``script`` compiles (``_python.py``, ``_recursive.py``), ``save`` and ``load`` write and read archives (``_save.py``,
``_load.py``); a program is a graph (``_ir.py``) that runs as generated Python (``_codegen.py``). ``_unit.py``
says how the parts fit together. They load when they are first used.
"""

from __future__ import annotations

import builtins
import contextlib
import importlib
import typing
import warnings

from torch.futures import Future

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
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

Final = typing.Final
# Name to the module that holds it, loaded at first use.
_LAZY = {
    **dict.fromkeys("CompilationUnit Error".split(), "_unit"),
    **dict.fromkeys(
        "RecursiveScriptClass RecursiveScriptModule ScriptFunction ScriptModule last_executed_optimized_graph".split(),
        "_script",
    ),
    **dict.fromkeys("load jit_module_from_flatbuffer".split(), "_load"),
    **dict.fromkeys("save save_jit_module_to_flatbuffer".split(), "_save"),
    **dict.fromkeys("freeze optimize_for_inference run_frozen_optimizations export_opnames".split(), "_freeze"),
    "script": "_compile",
    **dict.fromkeys(
        """
        ONNXTracedModule TopLevelTracedModule TracedModule TracerWarning TracingCheckError _get_trace_graph trace
        trace_module
        """.split(),
        "_trace",
    ),
}
_SUBMODULES = frozenset("frontend annotations _recursive _script _state _serialization _trace _pickle _freeze".split())


def __getattr__(name: str) -> Any:
    place = _LAZY.get(name)
    if place is not None:
        found = getattr(importlib.import_module(f"torch.jit.{place}"), name)
        globals()[name] = found
        return found
    if name in _SUBMODULES:
        return importlib.import_module(f"torch.jit.{name}")
    raise AttributeError(f"module 'torch.jit' has no attribute '{name}'")


def _deprecated(name: str, instead: str = "Please use `torch.compile` instead.") -> None:
    warnings.warn(f"`torch.jit.{name}` is deprecated. {instead}", DeprecationWarning, stacklevel=2)


class Attribute(typing.NamedTuple):
    """A module attribute with a type that its value does not show: ``Attribute({}, Dict[str, int])``."""

    value: typing.Any
    type: typing.Any


class ScriptWarning(Warning):
    """Warns of what a program does otherwise than Python."""


def script_if_tracing(fn: Any) -> Any:
    """A function that is compiled when it is first called while a program is traced, and runs as Python otherwise.

    >>> import torch
    >>> @torch.jit.script_if_tracing
    ... def positive(x):
    ...     return x if bool(x.sum() > 0) else -x
    >>> torch.jit.trace(lambda x: positive(x) + 1, torch.ones(2))(-torch.ones(2))
    tensor([2., 2.])
    """
    import functools

    @functools.wraps(fn)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if not is_tracing():
            return fn(*args, **kwargs)
        compiled = __getattr__("script")(wrapper._script_if_tracing_original)  # type: ignore[attr-defined]
        return compiled(*args, **kwargs)

    wrapper._script_if_tracing_original = fn  # type: ignore[attr-defined]
    wrapper._script_if_tracing_wrapper = True  # type: ignore[attr-defined]
    return wrapper


_script_if_tracing = script_if_tracing


def _marked(way: str, fn: Any) -> Any:
    target = fn.fget if builtins.isinstance(fn, property) else fn
    target._torchscript_modifier = way
    return fn


def export(fn: Any) -> Any:
    """Mark a method that is compiled although ``forward`` does not call it."""
    return _marked("export", fn)


def ignore(drop: Any = False, **kwargs: Any) -> Any:
    """Keep a function in Python: programs call it, and cannot be saved. With ``drop=True`` calling it raises."""
    if callable(drop):
        return _marked("ignore", drop)
    if not builtins.isinstance(drop, bool):
        raise RuntimeError(f"Argument to @torch.jit.ignore must be a bool or a function but got {drop}")
    way = "unused" if drop or kwargs.get("drop_on_export") else "ignore"
    return lambda fn: _marked(way, fn)


def unused(fn: Any) -> Any:
    """Leave a function or property out of programs: calling it in one raises."""
    return _marked("unused", fn)


def _drop(fn: Any) -> Any:
    """Leave a function out of programs, as ``unused`` does."""
    return _marked("unused", fn)


def interface(obj: Any) -> Any:
    """Make a class an interface: a type for everything that has its methods, with their types.

    Raises:
        RuntimeError: ``obj`` is no class.
    """
    _deprecated("interface")
    if not builtins.isinstance(obj, type):
        raise RuntimeError("interface must be applied to a class")
    import torch

    is_module = issubclass(obj, torch.nn.Module)
    made: list[Any] = []

    def type_of() -> Any:
        if not made:
            from ._classes import interface_of

            made.append(interface_of(obj, is_module))
        return made[0]

    obj.__torch_script_interface__ = staticmethod(type_of)
    return obj


def script_method(fn: Any) -> Any:
    """Mark a method of a subclass of ``ScriptModule`` that is compiled when an instance is made."""

    _deprecated("script_method", "Please switch to `torch.compile` or `torch.export`.")

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return fn(self, *args, **kwargs)

    method._script_method = fn  # type: ignore[attr-defined]
    method.__name__ = fn.__name__
    return method


def annotate(the_type: Any, the_value: Any) -> Any:
    """Return the value; in programs it has the type, which an empty list or ``None`` does not show."""
    return the_value


def isinstance(obj: Any, target_type: Any) -> bool:
    """``isinstance`` that also looks into ``list[int]`` and the like."""
    import types

    origin, args = typing.get_origin(target_type), typing.get_args(target_type)
    if builtins.isinstance(target_type, tuple):
        return any(isinstance(obj, t) for t in target_type)
    if origin is typing.Union or origin is types.UnionType:
        return any(isinstance(obj, t) for t in args)
    if target_type is None:
        return obj is None
    if origin is None:
        if target_type in (typing.List, typing.Dict, typing.Tuple, typing.Optional):  # noqa: UP006
            raise RuntimeError(
                f"The second argument to torch.jit.isinstance, {target_type}, needs the types that it contains"
            )
        return builtins.isinstance(obj, target_type)
    if not builtins.isinstance(obj, origin):
        return False
    if origin is dict:
        return all(isinstance(k, args[0]) and isinstance(v, args[1]) for k, v in obj.items())
    if origin is tuple:
        return len(obj) == len(args) and all(isinstance(o, t) for o, t in zip(obj, args, strict=True))
    return all(isinstance(o, args[0]) for o in obj)


def fork(func: Any, *args: Any, **kwargs: Any) -> Future:
    """Run ``func`` at once and return its result, or its error, as a future."""
    _deprecated("fork")
    return _run(func, args, kwargs)


def _run(func: Any, args: Any, kwargs: Any) -> Future:
    future: Future = Future()
    try:
        future.set_result(func(*args, **kwargs))
    except Exception as error:
        future.set_exception(error)
    return future


def wait(future: Future) -> Any:
    """The result of a future."""
    _deprecated("wait")
    return future.wait()


_fork, _wait, _isinstance = fork, wait, isinstance


class _Await:
    """A call that is made when its result is asked for."""

    def __init__(self, func: Any, args: Any, kwargs: Any) -> None:
        self.fn, self.args, self.kwargs = func, args, kwargs
        self._result: list[Any] = []

    def result(self) -> Any:
        if not self._result:
            self._result.append(self.fn(*self.args, **self.kwargs))
        return self._result[0]


def _awaitable(func: Any, *args: Any, **kwargs: Any) -> _Await:
    """A call that is put off until ``_awaitable_wait`` asks for its result."""
    return _Await(func, args, kwargs)


def _awaitable_wait(aw: _Await) -> Any:
    """The result of a call that was put off."""
    return aw.result()


def _awaitable_nowait(o: Any) -> _Await:
    """A value as the result of a call that was put off."""
    return _Await(lambda: o, (), {})


def is_scripting() -> bool:
    """Whether this code runs as TorchScript; in Python it does not, and programs do not call this."""
    return False


def is_tracing() -> bool:
    """Whether ``torch.jit.trace`` runs this code now."""
    import sys

    found = sys.modules.get("torch.jit._trace_state")
    return found is not None and found.is_tracing()


def _unwrap_optional(x: Any) -> Any:
    """The value of an optional one.

    Raises:
        AssertionError: it is None.
    """
    if x is None:
        raise AssertionError("Unwrapping null optional")
    return x


# Module and qualified name of a function to its signatures.
_overloads: dict[tuple[str, str], list[Any]] = {}


def _overload(func: Callable[..., Any]) -> Callable[..., Any]:
    """Note one of several signatures of the function that follows under the same name."""
    _overloads.setdefault((func.__module__, func.__qualname__), []).append(func)
    return func


def _overload_method(func: Callable[..., Any]) -> Callable[..., Any]:
    """Note one of several signatures of the method that follows under the same name."""
    return _overload(func)


def enable_onednn_fusion(enabled: bool) -> None:
    """Remember the setting; programs run operation by operation."""
    _settings["onednn"] = bool(enabled)


def onednn_fusion_enabled() -> bool:
    """What ``enable_onednn_fusion`` was told last."""
    return _settings["onednn"]


_settings: dict[str, Any] = {"onednn": False, "strategy": [("STATIC", 2), ("DYNAMIC", 10)], "optimized": True}


def set_fusion_strategy(strategy: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Set how often fused code would be specialised; the setting before. Programs run operation by operation.

    Raises:
        ValueError: a kind is neither ``STATIC`` nor ``DYNAMIC``.
    """
    _deprecated("set_fusion_strategy")
    for kind, _ in strategy:
        if kind not in ("STATIC", "DYNAMIC"):
            raise ValueError(f"FusionBehavior only supported 'STATIC' or 'DYNAMIC', got: {kind}")
    before: list[tuple[str, int]] = _settings["strategy"]
    _settings["strategy"] = list(strategy)
    return before


class strict_fusion:  # noqa: N801  PyTorch's name
    """A context that asks for everything inside to be fused; nothing is fused here, and programs run the same."""

    def __init__(self) -> None:
        return

    def __enter__(self) -> None:
        return

    def __exit__(self, type: Any, value: Any, tb: Any) -> None:
        return


@contextlib.contextmanager
def optimized_execution(should_optimize: bool) -> Iterator[None]:
    """A context with optimisation of programs on or off; their results are the same."""
    before = _settings["optimized"]
    _settings["optimized"] = bool(should_optimize)
    try:
        yield
    finally:
        _settings["optimized"] = before


@contextlib.contextmanager
def fuser(name: str) -> Iterator[None]:
    """A context with one of PyTorch's fusers, ``fuser0`` to ``fuser3`` or ``off``; programs run operation by operation.

    Raises:
        Exception: there is no such fuser.
    """
    if name not in ("fuser0", "fuser1", "fuser2", "fuser3", "none", "off"):
        raise Exception(f"unrecognized fuser option (name: {name})")  # noqa: TRY002  PyTorch's type
    yield


def set_module(obj: Any, mod: Any) -> None:
    """Say that ``obj`` belongs to a module; ``mod`` has to be its name.

    Raises:
        TypeError: ``mod`` is no text.
    """
    if not builtins.isinstance(mod, str):
        raise TypeError("The mod argument should be a string")
    obj.__module__ = mod


_set_fusion_strategy = set_fusion_strategy
# The name is a submodule's here, not the feature's that was imported above.
del annotations
