"""``torch.compile`` and its controls. For now a compiled function is the function itself: same results, no speed-up."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
from typing import TypeVar

from torch._missing import not_available

from . import config

TYPE_CHECKING = False
if TYPE_CHECKING:
    import io
    from collections.abc import Callable
    from typing import Any

__all__ = [
    "CacheInfo",
    "F",
    "NestedCompileRegionOptions",
    "allow_in_graph",
    "assume_constant_result",
    "compile",
    "config",
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


def is_exporting() -> bool:
    """Whether this code runs for ``torch.export``."""
    import sys

    tracing = sys.modules.get("torch.export._trace")
    return tracing is not None and tracing.is_exporting()


def is_compiling() -> bool:
    """Whether this code is being turned into a graph: by ``torch.export``, since compiled functions run as they are."""
    return is_exporting()


def is_dynamo_compiling() -> bool:
    """Whether a compiler reads this code's bytecode: none does."""
    return False


def list_backends(exclude_tags: Any = ("debug", "experimental")) -> list[str]:
    """The names of the backends that ``compile`` accepts."""
    return ["eager", "inductor"]


def allow_in_graph(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``fn``: nothing is traced, so nothing has to be allowed."""
    return fn


assume_constant_result = allow_in_graph
wrap_numpy = allow_in_graph
F = TypeVar("F", bound="Callable[..., Any]")


@dataclasses.dataclass
class CacheInfo:
    """Compiled programs that were stored or read, by kind. There are none."""

    artifacts: collections.defaultdict[str, list[str]] = dataclasses.field(
        default_factory=lambda: collections.defaultdict(list)
    )

    def empty(self) -> bool:
        """Whether there are none."""
        return not self.artifacts


@dataclasses.dataclass
class NestedCompileRegionOptions:
    """How a region inside a compiled function is compiled; accepted, since regions run as they are."""

    fw_compiler: Any = None
    bw_compiler: Any = None
    partitioner: Any = None
    decompositions: dict[str, Any] | None = None


def nested_compile_region(
    fn: Any = None,
    *,
    options: NestedCompileRegionOptions | None = None,
    max_reuse_entries: int = 8,
    reuse_hash_fn: Any = None,
) -> Any:
    """Keep a function together in compilation. Works as a decorator with and without arguments."""
    return allow_in_graph if fn is None else fn


def disable(fn: Any = None, recursive: bool = True, *, reason: str | None = None) -> Any:
    """Keep a function out of compilation. Works as a decorator with and without arguments."""
    return allow_in_graph if fn is None else fn


def substitute_in_graph(
    original_fn: Any, *, can_constant_fold_through: bool = False, skip_signature_check: bool = False
) -> Any:
    """A decorator that keeps the function: there is no graph to substitute in."""
    return allow_in_graph


def set_stance(stance: str = "default", *, skip_guard_eval_unsafe: bool = False, force_backend: Any = None) -> Any:
    """Accepted for compatibility: every stance runs eagerly."""
    return contextlib.nullcontext()


def cudagraph_mark_step_begin() -> None:
    """Accepted for compatibility: there are no CUDA graphs."""


_default_backend: Any = "inductor"


def get_default_backend() -> Any:
    """The backend that ``compile`` uses unless told otherwise."""
    return _default_backend


def save_cache_artifacts() -> None:
    """Compiled programs to store for another process: there are none."""


def load_cache_artifacts(serialized_artifacts: bytes) -> None:
    """Take over compiled programs: there are none."""


_REASON = "programs run eagerly and are not guarded or stored"


def load_compiled_function(
    file: io.IOBase, *, f_globals: dict[str, object] | None = None, external_data: dict[str, Any] | None = None
) -> Callable[..., Any]:
    """Raise NotImplementedError: compiled programs are not stored."""
    raise not_available("torch.compiler.load_compiled_function", _REASON)


def set_default_backend(backend: str | Callable[..., Any] | None) -> None:
    """Let ``compile`` use another backend unless told otherwise; None for the usual one.

    Raises:
        RuntimeError: there is no backend of this name.
    """
    global _default_backend
    if isinstance(backend, str) and backend not in list_backends(None):
        raise RuntimeError(f"Invalid backend: '{backend}' is not one of {list_backends(None)}")
    _default_backend = "inductor" if backend is None else backend


def set_enable_guard_collectives(enabled: bool) -> bool:
    """Accepted for compatibility: programs are not guarded. Returns what it was before."""
    return False


def keep_portable_guards_unsafe(guard_entries: Any) -> list[bool]:
    """Which guards to keep: all."""
    return [True] * len(guard_entries)


def keep_tensor_guards_unsafe(guard_entries: Any, keep_parameters: bool = False) -> list[bool]:
    """Which guards to keep: all."""
    return [True] * len(guard_entries)


def skip_all_guards_unsafe(guard_entries: Any) -> list[bool]:
    """Which guards to keep: none."""
    return [False] * len(guard_entries)


skip_guard_on_all_nn_modules_unsafe = skip_all_guards_unsafe
skip_guard_on_globals_unsafe = skip_all_guards_unsafe
skip_guard_on_inbuilt_nn_modules_unsafe = skip_all_guards_unsafe
