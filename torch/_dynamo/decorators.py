"""What programs tell the compiler about functions and tensors."""

from __future__ import annotations

import functools
import inspect
from typing import Any, NamedTuple

import torch

from ._state import Stance, running, stance, state
from .exc import InvalidBackend

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["allow_in_graph", "assume_constant_result", "disable", "disallow_in_graph", "dont_skip_tracing",
           "error_on_graph_break", "forbid_in_graph", "graph_break", "mark_dynamic", "mark_static",
           "mark_static_address", "maybe_mark_dynamic", "nonstrict_trace", "patch_dynamo_config", "run", "set_stance",
           "skip_frame", "step_unsupported", "substitute_in_graph"]  # fmt: skip


def disable(fn: Any = None, recursive: bool = True, *, reason: str | None = None, wrapping: bool = True) -> Any:
    """Keep a function out of graphs: it runs as Python. Works as a decorator with and without arguments.

    Args:
        fn: a function, a class or a module.
        recursive: whether what it calls stays out as well.
        reason: said where a graph was to hold it.

    >>> import torch
    >>> torch.compile(torch._dynamo.disable(lambda: torch.compiler.is_compiling()))()
    False
    """
    if fn is None:
        return lambda f: disable(f, recursive, reason=reason, wrapping=wrapping)
    if isinstance(fn, torch.nn.Module):
        fn.forward = disable(fn.forward, recursive, reason=reason)
        return fn
    if inspect.isclass(fn):
        fn.__init__ = disable(fn.__init__, recursive, reason=reason)  # type: ignore[misc]
        return fn
    assert callable(fn), f"A callable function is expected, but {type(fn)} is provided."
    inner = getattr(fn, "_torchdynamo_orig_callable", fn)
    if not wrapping:
        fn._torchdynamo_disable = True
        return fn

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if state.capture is not None and recursive:
            raise state.capture.stop(
                "Skip calling `torch.compiler.disable()`d function", str(wrapper),
                f"Skip calling function `{wrapper}` since it was wrapped with `torch.compiler.disable` "
                f"(reason: {reason})",
                "Remove the `torch.compiler.disable` call",
            )  # fmt: skip
        with running(False):
            return inner(*args, **kwargs)

    wrapper: Any = functools.wraps(inner)(wrapped) if hasattr(inner, "__name__") else wrapped
    wrapper._torchdynamo_disable = True
    wrapper._torchdynamo_disable_msg = reason
    wrapper._torchdynamo_orig_callable = inner
    wrapper._torchdynamo_disable_recursive = recursive
    return wrapper


def is_dynamo_disable_recursive(method: Callable[..., Any]) -> bool | None:
    """Whether a function is kept out of graphs with all that it calls; None if it is not kept out."""
    return getattr(method, "_torchdynamo_disable_recursive", None)


def run(fn: Any = None) -> Any:
    """A function that makes no new graphs; those of compiled functions that it calls stay in use."""
    if fn is None:
        return run
    fn = getattr(fn, "_torchdynamo_orig_callable", fn)
    assert callable(fn)

    @functools.wraps(fn)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with set_stance("eager_on_recompile"):
            return fn(*args, **kwargs)

    return wrapper


def _each(fn: Any, name: str, mark: Callable[[Any], None]) -> Any:
    if isinstance(fn, (list, tuple)):
        return [_each(f, name, mark) for f in fn]
    assert callable(fn), f"{name} expects a callable"
    mark(fn)
    return fn


# Functions that graphs hold as one call, and those that they may not hold.
_allowed: set[int] = set()
_forbidden: set[int] = set()


def allow_in_graph(fn: Any) -> Any:
    """Let graphs hold calls of a function as one. Graphs here hold what it does: the results are the same."""
    return _each(fn, "allow_in_graph", lambda f: _allowed.add(id(f)))


def disallow_in_graph(fn: Any) -> Any:
    """Undo ``allow_in_graph``."""
    return _each(fn, "disallow_in_graph", lambda f: _allowed.discard(id(f)))


def forbid_in_graph(fn: Any) -> Any:
    """Mark a function that no graph may hold."""
    if isinstance(fn, (list, tuple)):
        return [forbid_in_graph(f) for f in fn]
    assert callable(fn), "forbid_in_graph applies only to callables"
    fn._dynamo_forbidden = True
    return fn


def assume_constant_result(fn: Any) -> Any:
    """Mark a function whose result never changes."""
    fn._dynamo_marked_constant = True
    return fn


def nonstrict_trace(traceable_fn: Any) -> Any:
    """Let graphs hold what a function does, and not how it comes to it; graphs here always do."""
    return allow_in_graph(traceable_fn)


def dont_skip_tracing(fn: Any = None) -> Any:
    """A decorator, and a context, for functions to look into; graphs here look into all."""
    return fn if callable(fn) else _Nothing()


class _Nothing:
    def __enter__(self) -> _Nothing:
        return self

    def __exit__(self, *exc: Any) -> None:
        return None

    def __call__(self, fn: Any) -> Any:
        return fn


def _stopped(gb_type: str, explanation: str, hint: str, context: str) -> None:
    if state.capture is not None:
        raise state.capture.stop(gb_type, context, explanation, hint)


def graph_break(msg: str = "") -> None:
    """End the graph here. Outside of a program that is compiled this does nothing."""
    _stopped(
        "Call to `torch._dynamo.graph_break()`", f"User-inserted graph break. Message: {msg or None}",
        "Remove the `torch._dynamo.graph_break()` call.", f"Called `torch._dynamo.graph_break()` with {msg!r}",
    )  # fmt: skip


def skip_frame(msg: str = "") -> None:
    """Leave the function that calls this to Python. Outside of a program that is compiled this does nothing."""
    _stopped(
        "Call to `torch._dynamo.skip_frame()`", f"User-inserted skip frame. Message: {msg or None}",
        "Remove the `torch._dynamo.skip_frame()` call.", f"Called `torch._dynamo.skip_frame()` with {msg!r}",
    )  # fmt: skip


def step_unsupported(msg: str = "") -> None:
    """End the graph here, like ``graph_break``."""
    _stopped(
        "Call to `torch._dynamo.step_unsupported()`", f"User-inserted step unsupported. Message: {msg or None}",
        "Remove the `torch._dynamo.step_unsupported()` call.",
        f"Called `torch._dynamo.step_unsupported()` with {msg!r}",
    )  # fmt: skip


def substitute_in_graph(
    original_fn: Any, *, can_constant_fold_through: bool = False, skip_signature_check: bool = False,
    is_embedded_type: bool = False,
) -> Callable[[Any], Any]:  # fmt: skip
    """A decorator for a function in Python that stands for another one; here the original runs.

    Raises:
        TypeError: a function is none, or the parameters differ.
    """
    if not callable(original_fn):
        raise TypeError(f"substitute_in_graph expects a function but got {type(original_fn)!r}")

    def decorate(traceable_fn: Any) -> Any:
        if not callable(traceable_fn):
            raise TypeError(f"@substitute_in_graph(...) expects a function but got {type(traceable_fn)!r}")
        if not skip_signature_check:
            try:
                first, second = inspect.signature(original_fn), inspect.signature(traceable_fn)
            except ValueError:
                return traceable_fn
            kinds = [[(p.name, p.kind) for p in s.parameters.values()] for s in (first, second)]
            if kinds[0] != kinds[1]:
                raise TypeError(
                    f"Signature mismatch between {original_fn} and {traceable_fn}: {first} != {second}"
                )
        traceable_fn.__torch_dynamo_original__ = original_fn
        return traceable_fn

    return decorate


# ---- tensors


class _DimRange(NamedTuple):
    dim: int
    min: int | None
    max: int | None


def mark_dynamic(
    t: Any, index: Any, *, hint_override: int | None = None, min: int | None = None, max: int | None = None,
    specialize_on: list[Any] | None = None,
) -> None:  # fmt: skip
    """Say that a size of a tensor will change. Graphs here are made for each size; results are the same."""
    if isinstance(index, (list, tuple)):
        for i in index:
            mark_dynamic(t, i, hint_override=hint_override, min=min, max=max)
        return
    for name, empty in (("_dynamo_dynamic_indices", set()), ("_dynamo_dynamic_range", set()),
                        ("_dynamo_hint_overrides", {}), ("_specialize_on", {})):  # fmt: skip
        if not hasattr(t, name):
            setattr(t, name, empty)
    if hint_override:
        t._dynamo_hint_overrides[index] = hint_override
    t._dynamo_dynamic_indices.add(index)
    t._dynamo_dynamic_range.add(_DimRange(index, min, max))
    t._specialize_on[index] = specialize_on or []
    t._has_dynamo_dim_marking = True


def maybe_mark_dynamic(t: Any, index: Any) -> None:
    """Say that a size of a tensor may change."""
    if isinstance(index, (list, tuple)):
        for i in index:
            maybe_mark_dynamic(t, i)
        return
    if not hasattr(t, "_dynamo_weak_dynamic_indices"):
        t._dynamo_weak_dynamic_indices = set()
    t._dynamo_weak_dynamic_indices.add(index)
    t._has_dynamo_dim_marking = True


def mark_static(t: Any, index: Any = None) -> None:
    """Say that a size of a tensor, or all of them, will not change; for a module class, that its numbers will not."""
    if isinstance(t, type) and issubclass(t, torch.nn.Module):
        t._dynamo_marked_static = True
        return
    if not isinstance(t, torch.Tensor):
        raise TypeError(f"mark_static expects a tensor/nn.Module class but received {type(t)}")
    indices = range(t.dim()) if index is None else index if isinstance(index, (list, tuple)) else [index]
    if not hasattr(t, "_dynamo_static_indices"):
        t._dynamo_static_indices = set()  # type: ignore[attr-defined]
    t._dynamo_static_indices.update(indices)  # type: ignore[attr-defined]
    t._has_dynamo_dim_marking = True  # type: ignore[attr-defined]


def mark_static_address(t: Any, guard: bool = False) -> None:
    """Say that a tensor's memory will stay where it is.

    Raises:
        TypeError: ``t`` is no tensor.
    """
    if not isinstance(t, torch.Tensor):
        raise TypeError(f"mark_static_address expects a tensor but received {type(t)}")
    t._dynamo_static_input_type = "guarded" if guard else "unguarded"  # type: ignore[attr-defined]


# ---- how compiled functions behave


class set_stance:  # noqa: N801
    """Say how compiled functions behave from now on, or inside a ``with`` block or a decorated function.

    Args:
        stance: "default"; "force_eager" runs functions as Python; "eager_on_recompile" runs calls as Python that no
            graph was made for; "fail_on_recompile" makes those an error.
        force_backend: the backend for all of them.

    Raises:
        RuntimeError: a backend is forced with another stance than the default.
        InvalidBackend: there is no backend of this name.
    """

    def __init__(
        self, stance: str = "default", *, skip_guard_eval_unsafe: bool = False, force_backend: Any = None
    ) -> None:
        if force_backend is not None and stance != "default":
            raise RuntimeError("non-default stance cannot have force_backend set")
        if isinstance(force_backend, str):
            from .backends.registry import list_backends

            if force_backend not in list_backends(None):
                raise InvalidBackend(force_backend)
        self.stance = Stance(stance, force_backend)
        self._set()

    def _set(self) -> None:
        self.before, stance[0] = stance[0], self.stance

    def _restore(self) -> None:
        stance[0] = self.before

    def __enter__(self) -> None:
        # Making the object has set it.
        return None

    def __exit__(self, *exc: Any) -> None:
        self._restore()

    def __call__(self, fn: Any) -> Any:
        self._restore()

        @functools.wraps(fn)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            before, stance[0] = stance[0], self.stance
            try:
                return fn(*args, **kwargs)
            finally:
                stance[0] = before

        return wrapper


class error_on_graph_break(_Nothing):  # noqa: N801
    """Inside, whether a program that no graph can hold is an error; ``fullgraph`` of the function decides here."""

    def __init__(self, error_on_graph_break: bool) -> None:
        self.error_on_graph_break = error_on_graph_break


def patch_dynamo_config(arg1: Any = None, arg2: Any = None, **kwargs: Any) -> Any:
    """``torch._dynamo.config.patch`` that compiled functions may contain."""
    from . import config

    if isinstance(arg1, tuple):
        arg1 = dict(arg1)
    return config.patch(arg1, arg2, **kwargs)

