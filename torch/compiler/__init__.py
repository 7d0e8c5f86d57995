"""``torch.compile`` and its controls: the front end is ``torch._dynamo``, the usual backend ``torch._inductor``."""

from __future__ import annotations

import collections
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
    backend: Any = None,
    mode: str | None = None,
    options: dict[str, Any] | None = None,
    name: str | None = None,
    disable: bool = False,
    recompile_limit: int | None = None,
    isolate_recompiles: bool = False,
    shapes_spec: Any = None,
) -> Any:
    """A function or a module that runs compiled. Works as a decorator, with and without arguments.

    The usual backends run the program as it is, so it gives the results that it gives without. A backend that is a
    function gets a ``torch.fx.GraphModule`` and example inputs for each kind of call, and returns what to run instead;
    a call that no graph can hold runs as Python.

    Args:
        model: a function, or a module, which becomes a ``torch._dynamo.OptimizedModule``.
        fullgraph: whether a program that no graph can hold is an error.
        dynamic: whether sizes are expected to change; graphs are made for each size.
        backend: a name out of ``torch.compiler.list_backends()``, or a function.
        mode: "default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs" or "lite".
        options: settings of the backend; those of the usual one are in ``torch._inductor.config``.
        disable: return ``model`` as it is.
        recompile_limit: for how many kinds of calls graphs are made.

    Raises:
        RuntimeError: an unknown mode or option, or both a mode and options.
        torch._dynamo.exc.InvalidBackend: there is no backend of this name.
        torch._dynamo.exc.Unsupported: with ``fullgraph``, when a program is called that no graph can hold.
        torch._dynamo.exc.BackendCompilerFailed: when the backend raises an error.

    >>> def show(graph, inputs):
    ...     print(len(inputs), [n.name for n in graph.graph.nodes if n.op == "call_function"])
    ...     return graph.forward
    >>> @torch.compile(backend=show)
    ... def double(x):
    ...     return 2 * x
    >>> double(torch.tensor(1.))
    1 ['mul']
    tensor(2.)
    """
    if mode is not None and options is not None:
        raise RuntimeError("Either mode or options can be specified, but both can't be specified at the same time.")
    if model is None:
        return lambda function: compile(
            function, fullgraph=fullgraph, dynamic=dynamic, backend=backend, mode=mode, options=options, name=name,
            disable=disable, recompile_limit=recompile_limit, isolate_recompiles=isolate_recompiles,
            shapes_spec=shapes_spec,
        )  # fmt: skip
    from torch._dynamo.backends.registry import get_default_backend, lookup_backend

    backend = get_default_backend() if backend is None else backend
    if dynamic is not None and not isinstance(dynamic, bool):
        raise AssertionError(f"Expected enable to be a bool, got {type(dynamic)}")
    lookup_backend(backend)
    if backend == "inductor":
        from torch._inductor import check_options, list_mode_options

        list_mode_options(mode or "default")
        check_options(options or {})
        mode = options = None
    if not callable(model):
        raise AssertionError(f"A callable function is expected, but {type(model)} is provided.")
    if disable:
        return model
    from torch._dynamo.eval_frame import OptimizeContext

    return OptimizeContext(
        backend, fullgraph=bool(fullgraph), dynamic=dynamic, mode=mode, options=options, recompile_limit=recompile_limit
    )(model)


def reset() -> None:
    """Forget all graphs, counts and stances."""
    import sys

    if "torch._dynamo" in sys.modules:
        sys.modules["torch._dynamo"].reset()


def is_exporting() -> bool:
    """Whether this code runs for ``torch.export``."""
    import sys

    tracing = sys.modules.get("torch.export._trace")
    return tracing is not None and tracing.is_exporting()


def is_compiling() -> bool:
    """Whether this code runs as part of a compiled function, or for ``torch.export``.

    >>> torch.compiler.is_compiling(), torch.compile(torch.compiler.is_compiling)()
    (False, True)
    """
    return is_dynamo_compiling() or is_exporting()


def is_dynamo_compiling() -> bool:
    """Whether this code runs as part of a compiled function."""
    import sys

    found = sys.modules.get("torch._dynamo._state")
    return found is not None and found.state.compiling


def list_backends(exclude_tags: Any = ("debug", "experimental")) -> list[str]:
    """The names of the backends that ``compile`` accepts, without those that have one of some tags."""
    from torch._dynamo.backends.registry import list_backends

    return list_backends(exclude_tags)


def allow_in_graph(fn: Any) -> Any:
    """Let graphs hold calls of a function as one. Graphs here hold what it does: the results are the same.

    Raises:
        AssertionError: ``fn`` is no function, and no list of functions.
    """
    from torch._dynamo.decorators import allow_in_graph

    return allow_in_graph(fn)


def assume_constant_result(fn: Any) -> Any:
    """Mark a function whose result never changes."""
    from torch._dynamo.decorators import assume_constant_result

    return assume_constant_result(fn)


def wrap_numpy(fn: Callable[..., Any]) -> Callable[..., Any]:
    """A function of tensors from one of NumPy arrays.

    >>> torch.compiler.wrap_numpy(lambda a: a + 1)(torch.ones(2))
    tensor([2., 2.])
    """
    import functools

    import torch
    from torch.utils import _pytree as pytree

    @functools.wraps(fn)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        import numpy

        args, kwargs = pytree.tree_map_only(torch.Tensor, lambda t: t.numpy(), (args, kwargs))
        result = fn(*args, **kwargs)
        return pytree.tree_map_only((numpy.ndarray, numpy.generic), torch.as_tensor, result)

    return wrapped


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
    return (lambda f: f) if fn is None else fn


def disable(fn: Any = None, recursive: bool = True, *, reason: str | None = None) -> Any:
    """Keep a function out of compilation: it runs as Python. Works as a decorator with and without arguments."""
    from torch._dynamo.decorators import disable

    return disable(fn, recursive, reason=reason)


def substitute_in_graph(
    original_fn: Any, *, can_constant_fold_through: bool = False, skip_signature_check: bool = False
) -> Any:
    """A decorator for a function in Python that stands for another one; here the original runs.

    Raises:
        TypeError: a function is none, or the parameters differ.
    """
    from torch._dynamo.decorators import substitute_in_graph

    return substitute_in_graph(original_fn, skip_signature_check=skip_signature_check)


def set_stance(stance: str = "default", *, skip_guard_eval_unsafe: bool = False, force_backend: Any = None) -> Any:
    """Say how compiled functions behave from now on, or in a ``with`` block or a decorated function.

    Args:
        stance: "default"; "force_eager" runs functions as Python; "eager_on_recompile" runs calls as Python that no
            graph was made for; "fail_on_recompile" makes those an error.
        force_backend: the backend for all of them.

    >>> with torch.compiler.set_stance("force_eager"):
    ...     torch.compile(torch.compiler.is_compiling)()
    False
    """
    from torch._dynamo.decorators import set_stance as made

    return made(stance, skip_guard_eval_unsafe=skip_guard_eval_unsafe, force_backend=force_backend)


def cudagraph_mark_step_begin() -> None:
    """Accepted for compatibility: there are no CUDA graphs."""


def get_default_backend() -> Any:
    """The backend that ``compile`` uses unless told otherwise."""
    from torch._dynamo.backends.registry import get_default_backend

    return get_default_backend()


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
        torch._dynamo.exc.InvalidBackend: there is no backend of this name.
    """
    from torch._dynamo.backends.registry import set_default_backend

    set_default_backend(backend)


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
