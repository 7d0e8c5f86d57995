"""The backends of ``torch.compile`` by name."""

from __future__ import annotations

import functools
import importlib.metadata

from torch._dynamo.exc import InvalidBackend

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

_backends: dict[str, Callable[..., Any]] = {}
# Backends that run the program itself, so that no graph is made for them.
PLAIN = frozenset({"inductor", "eager", "aot_eager", "aot_eager_default_partitioner", "aot_eager_decomp_partition",
                   "cudagraphs", "eager_noexcept", "pre_dispatch_eager"})  # fmt: skip
_TAGS: dict[str, tuple[str, ...]] = {}
_default: Any = "inductor"


def register_backend(
    compiler_fn: Callable[..., Any] | None = None, name: str | None = None, tags: Sequence[str] = ()
) -> Any:
    """Give a backend a name. Works as a decorator, with and without arguments.

    Args:
        compiler_fn: takes a ``GraphModule`` and a list of example inputs, returns a function of such inputs.
        name: the name; the function's unless given.
        tags: "debug" and "experimental" backends are not listed unless asked for.

    Raises:
        AssertionError: the name is taken.
    """
    if compiler_fn is None:
        return functools.partial(register_backend, name=name, tags=tags)
    name = name or compiler_fn.__name__
    assert name not in _backends, f"duplicate name: {name}"
    _backends[name] = compiler_fn
    _TAGS[name] = tuple(tags)
    return compiler_fn


register_debug_backend = functools.partial(register_backend, tags=("debug",))
register_experimental_backend = functools.partial(register_backend, tags=("experimental",))


def _as_it_is(gm: Any, example_inputs: list[Any], **options: Any) -> Any:
    """The graph runs operation by operation."""
    return gm.forward


def _named(name: str) -> Callable[..., Any]:
    def backend(gm: Any, example_inputs: list[Any], **options: Any) -> Any:
        return _as_it_is(gm, example_inputs, **options)

    backend.__name__ = backend.__qualname__ = name
    return backend


for _name in sorted(PLAIN):
    _debug = ("debug",) if _name not in ("inductor", "cudagraphs") else ()
    register_backend(_named(_name), _name, _debug)


@functools.lru_cache(None)
def _entry_points() -> dict[str, Any]:
    return {e.name: e for e in importlib.metadata.entry_points(group="torch_dynamo_backends")}


def list_backends(exclude_tags: Any = ("debug", "experimental")) -> list[str]:
    """The names of the backends, without those that have one of some tags.

    >>> import torch
    >>> "inductor" in torch._dynamo.list_backends()
    True
    """
    left_out = set(exclude_tags or ())
    names = {n for n in _backends if not left_out.intersection(_TAGS[n])}
    return sorted(names | set(_entry_points()))


def lookup_backend(compiler_fn: Any) -> Callable[..., Any]:
    """The backend of a name; functions are returned as they are.

    Raises:
        InvalidBackend: there is none of this name.
    """
    if not isinstance(compiler_fn, str):
        return compiler_fn  # type: ignore[no-any-return]
    if compiler_fn not in _backends:
        entry = _entry_points().get(compiler_fn)
        if entry is None:
            raise InvalidBackend(name=compiler_fn)
        register_backend(entry.load(), compiler_fn)
    return _backends[compiler_fn]


def get_default_backend() -> Any:
    """The backend that ``torch.compile`` uses unless told otherwise."""
    return _default


def set_default_backend(backend: Any) -> None:
    """Let ``torch.compile`` use another backend unless told otherwise; None for the usual one.

    Raises:
        InvalidBackend: there is no backend of this name.
    """
    global _default
    if isinstance(backend, str):
        lookup_backend(backend)
    _default = "inductor" if backend is None else backend
