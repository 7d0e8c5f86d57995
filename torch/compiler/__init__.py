"""``torch.compile`` and its controls. For now a compiled function is the function itself: same results, no speed-up."""

from __future__ import annotations

import contextlib

from torch._missing import missing_function

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = [
    "allow_in_graph",
    "assume_constant_result",
    "compile",
    "cudagraph_mark_step_begin",
    "disable",
    "is_compiling",
    "is_dynamo_compiling",
    "is_exporting",
    "list_backends",
    "load_cache_artifacts",
    "reset",
    "save_cache_artifacts",
    "set_stance",
    "substitute_in_graph",
    "wrap_numpy",
]


def compile(
    model: Any = None,
    *,
    fullgraph: bool = False,
    dynamic: bool | None = None,
    backend: Any = "inductor",
    mode: str | None = None,
    options: Any = None,
    disable: bool = False,
    **others: Any,
) -> Any:
    """Return ``model`` ready to run. The operations run eagerly, so every program gives the results it gives without.

    The arguments are checked and kept for programs that pass them. Works as a decorator too.

    >>> @torch.compile
    ... def double(x):
    ...     return 2 * x
    >>> double(torch.tensor(1.))
    tensor(2.)
    """
    if model is None:
        return lambda function: compile(
            function, fullgraph=fullgraph, dynamic=dynamic, backend=backend, mode=mode, options=options, disable=disable
        )
    if not callable(model):
        raise RuntimeError(f"torch.compile expects a callable, but got {type(model)}")
    if mode is not None and options is not None:
        raise RuntimeError("Either mode or options can be specified, but both can't be specified at the same time.")
    if isinstance(backend, str) and backend not in list_backends(None):
        raise RuntimeError(f"Invalid backend: '{backend}' is not one of {list_backends(None)}")
    return model


def reset() -> None:
    """Forget compiled programs: there are none."""


def is_compiling() -> bool:
    """Whether this code is being compiled: it never is."""
    return False


is_dynamo_compiling = is_compiling
is_exporting = is_compiling


def list_backends(exclude_tags: Any = ("debug", "experimental")) -> list[str]:
    """The names of the backends that ``compile`` accepts."""
    return ["eager", "inductor"]


def allow_in_graph(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``fn``: nothing is traced, so nothing has to be allowed."""
    return fn


assume_constant_result = allow_in_graph
wrap_numpy = allow_in_graph
nested_compile_region = allow_in_graph


def disable(fn: Any = None, recursive: bool = True, *, reason: str | None = None) -> Any:
    """Keep a function out of compilation. Works as a decorator with and without arguments."""
    return allow_in_graph if fn is None else fn


def substitute_in_graph(original_fn: Any, **options: Any) -> Any:
    """A decorator that keeps the function: there is no graph to substitute in."""
    return allow_in_graph


def set_stance(stance: str = "default", **options: Any) -> Any:
    """Accepted for compatibility: every stance runs eagerly."""
    return contextlib.nullcontext()


def cudagraph_mark_step_begin() -> None:
    """Accepted for compatibility: there are no CUDA graphs."""


def get_default_backend() -> str:
    """The backend that ``compile`` uses unless told otherwise."""
    return "inductor"


def save_cache_artifacts() -> None:
    """Compiled programs to store for another process: there are none."""


def load_cache_artifacts(serialized_artifacts: bytes) -> None:
    """Take over compiled programs: there are none."""


_REASON = "programs run eagerly and are not guarded or stored"
load_compiled_function = missing_function("torch.compiler.load_compiled_function", _REASON)
set_default_backend = missing_function("torch.compiler.set_default_backend", _REASON)
set_enable_guard_collectives = missing_function("torch.compiler.set_enable_guard_collectives", _REASON)


def keep_tensor_guards_unsafe(guard_entries: Any, keep_parameters: bool = False) -> list[bool]:
    """Which guards to keep: all."""
    return [True] * len(guard_entries)


def skip_all_guards_unsafe(guard_entries: Any) -> list[bool]:
    """Which guards to keep: none."""
    return [False] * len(guard_entries)


keep_portable_guards_unsafe = keep_tensor_guards_unsafe
skip_guard_on_all_nn_modules_unsafe = skip_all_guards_unsafe
skip_guard_on_globals_unsafe = skip_all_guards_unsafe
skip_guard_on_inbuilt_nn_modules_unsafe = skip_all_guards_unsafe
