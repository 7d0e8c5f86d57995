"""Compiled functions and modules.

With the usual backends a compiled function is the function itself. A backend that the program brings gets the graph of
each kind of call (``_capture.py``); a call that no graph can hold runs as Python, or is an error with ``fullgraph``.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import logging
from typing import Any

import torch
from torch.nn import Module
from torch.utils import _pytree as pytree

from . import config
from ._capture import Break, Captured, capture
from ._guards import Guards, Snapshot
from ._state import running, stance, state
from .backends.registry import PLAIN, lookup_backend
from .callback import callback_handler
from .exc import BackendCompilerFailed, FailOnRecompileLimitHit, RecompileError, Unsupported
from .utils import counters

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ExplainOutput", "OptimizeContext", "OptimizedModule", "explain", "innermost_fn", "optimize",
           "optimize_assert"]  # fmt: skip

log = logging.getLogger("torch._dynamo")
_settings = config._values  # looked up at each call
# What PyTorch's graphs cannot hold either; the rest is no error for the usual backends.
_REFUSED = frozenset({
    "Data-dependent branching", "Failed to trace builtin operator", "Call to `torch._dynamo.graph_break()`",
    "Call to `torch._dynamo.skip_frame()`", "Call to `torch._dynamo.step_unsupported()`",
    "Skip calling `torch.compiler.disable()`d function",
})  # fmt: skip
# Compiled functions whose graphs ``reset`` forgets.
_compiled: Any = None


def innermost_fn(fn: Any) -> Any:
    """The function that a compiled one was made of."""
    while hasattr(fn, "_torchdynamo_orig_callable"):
        fn = fn._torchdynamo_orig_callable
    return fn


class _Entry:
    """One compiled graph and when to use it."""

    def __init__(self, guards: Guards, captured: Captured, run: Callable[..., Any] | None) -> None:
        self.guards, self.captured, self.run = guards, captured, run

    def result(self, tensors: list[torch.Tensor]) -> Any:
        assert self.run is not None
        outputs = self.run(*tensors)
        if isinstance(outputs, torch.Tensor):
            outputs = (outputs,)
        leaves = [outputs[v] if kind == "output" else v for kind, v in self.captured.leaves]
        return pytree.tree_unflatten(leaves, self.captured.spec)


class _Program:
    """A function with the graphs that were made of it."""

    def __init__(self, fn: Callable[..., Any], context: OptimizeContext) -> None:
        self.fn, self.context = fn, context
        self.entries: list[_Entry] = []
        self.plain = isinstance(context.backend, str) and context.backend in PLAIN
        self.forget()

    def forget(self) -> None:
        self.entries.clear()
        self.left_alone = self.checked = False
        # Whether calls go straight to the function.
        self.direct = self.plain and not self.context.fullgraph

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        now = stance[0]
        if now.stance == "force_eager" or _settings["disable"] or state.capture is not None:
            return self.fn(*args, **kwargs)
        if self.direct and now.force_backend is None and now.stance == "default":
            before, state.compiling = state.compiling, True
            try:
                return self.fn(*args, **kwargs)
            finally:
                state.compiling = before
        backend = now.force_backend if now.force_backend is not None else self.context.backend
        plain = isinstance(backend, str) and backend in PLAIN
        if plain and (self.checked or not self.context.fullgraph) and now.stance == "default":
            with running(True):
                return self.fn(*args, **kwargs)
        if self.left_alone:
            return self.fn(*args, **kwargs)
        leaves, spec = pytree.tree_flatten((args, kwargs))
        for entry in self.entries:
            tensors = entry.guards.check(leaves, spec)
            if tensors is not None:
                if entry.run is None:
                    with running(True):
                        return self.fn(*args, **kwargs)
                return entry.result(tensors)
        return self._new(args, kwargs, leaves, spec, None if plain else backend)

    def _new(self, args: Any, kwargs: Any, leaves: list[Any], spec: Any, backend: Any) -> Any:
        """Compile for a kind of call that was not there before."""
        now = stance[0].stance
        if now == "eager_on_recompile":
            return self.fn(*args, **kwargs)
        if now == "fail_on_recompile":
            code = getattr(inspect.unwrap(innermost_fn(self.fn)), "__code__", None)
            where = "" if code is None else (
                f" filename: '{code.co_filename}', function name: '{code.co_name}', line number: {code.co_firstlineno}"
            )  # fmt: skip
            raise RuntimeError(f"Detected recompile when torch.compile stance is 'fail_on_recompile'.{where}")
        if self.entries:
            reasons = [e.guards.reason for e in self.entries]
            if config.error_on_recompile:
                raise RecompileError(f"Recompiling function {self._name()}: {reasons}")
            log.info("recompiling %s: %s", self._name(), reasons)
        limit = self.context.recompile_limit or config.recompile_limit
        if len(self.entries) >= limit:
            if self.context.fullgraph or config.fail_on_recompile_limit_hit:
                raise FailOnRecompileLimitHit(
                    f"recompile_limit reached with fullgraph=True. {self._name()} was compiled {limit} times; the last "
                    f"reasons: {[e.guards.reason for e in self.entries]}"
                )
            log.warning("torch._dynamo hit config.recompile_limit (%d) for %s; it runs as Python", limit, self._name())
            self.left_alone = True
            return self.fn(*args, **kwargs)
        callback_handler.run(callback_handler.start_callbacks, len(self.entries))
        try:
            captured, guards = self._captured(args, kwargs, leaves, spec)
        except Unsupported as e:
            counters["graph_break"][e.gb_type or str(e)] += 1
            if self.context.fullgraph and (backend is not None or e.gb_type in _REFUSED):
                raise
            log.info("%s runs as Python: %s", self._name(), e)
            self.left_alone = not e.gb_type.startswith("Result")
            return self.fn(*args, **kwargs)
        finally:
            callback_handler.run(callback_handler.end_callbacks, len(self.entries))
        counters["stats"]["unique_graphs"] += 1
        run = self._compiled_by(backend, captured, leaves) if backend is not None else None
        self.checked = True
        self.direct = self.plain
        entry = _Entry(guards, captured, run)
        self.entries.insert(0, entry)
        if run is None:
            with running(True):
                return self.fn(*args, **kwargs)
        tensors = guards.check(leaves, spec)
        if tensors is None:
            # Something that the program reads is another object each time; no guard could tell when it matters.
            log.info("%s runs as Python: %s", self._name(), guards.reason)
            self.left_alone = True
            return self.fn(*args, **kwargs)
        return entry.result(tensors)

    def _captured(self, args: Any, kwargs: Any, leaves: list[Any], spec: Any) -> tuple[Captured, Guards]:
        before = Snapshot(self.fn, [])
        error: Unsupported | None = None
        try:
            captured = capture(self.fn, args, kwargs)
        except Break as e:
            error = e.error
        except Unsupported:
            raise
        except Exception as e:
            error = Unsupported(f"the program failed while its graph was made: {type(e).__name__}: {e}", "Failure")
        if not before.holds():
            before.restore()
            error = error or Unsupported(
                "the program changes a Python value that outlives the call; a graph cannot do that", "Side effect"
            )
        if error is not None:
            raise error from None
        snapshot = Snapshot(self.fn, captured.frames)
        captured.frames.clear()
        return captured, Guards(captured, leaves, spec, snapshot)

    def _compiled_by(self, backend: Any, captured: Captured, leaves: list[Any]) -> Callable[..., Any]:
        """What a backend makes of a graph."""
        example = [s.tensor for s in captured.inputs]
        compiler = lookup_backend(backend)
        extra: dict[str, Any] = {}
        if self.context.mode is not None:
            extra["mode"] = self.context.mode
        if self.context.options:
            extra["options"] = self.context.options
        try:
            run = compiler(captured.module, example, **extra)
        except Exception as e:
            raise BackendCompilerFailed(self.context.shown_backend(backend), e).with_traceback(e.__traceback__) from e
        if not callable(run):
            raise BackendCompilerFailed(
                self.context.shown_backend(backend), AssertionError("compiler_fn did not return callable")
            )
        return run  # type: ignore[no-any-return]

    def _name(self) -> str:
        fn = innermost_fn(self.fn)
        return getattr(fn, "__qualname__", type(fn).__name__)


class _Shown:
    def __init__(self, name: str) -> None:
        self.__name__ = name


class OptimizeContext:
    """Compiles functions and modules, by calling it or as a context.

    Args:
        backend: a name, or a function of a ``GraphModule`` and example inputs that returns a function of such inputs.
        fullgraph: whether a program that no graph can hold is an error.
    """

    def __init__(
        self, backend: Any, *, fullgraph: bool = False, dynamic: bool | None = None, mode: str | None = None,
        options: dict[str, Any] | None = None, recompile_limit: int | None = None,
    ) -> None:  # fmt: skip
        self.backend, self.fullgraph, self.dynamic = backend, fullgraph, dynamic
        self.mode, self.options, self.recompile_limit = mode, options, recompile_limit

    @staticmethod
    def shown_backend(backend: Any) -> Any:
        return backend if hasattr(backend, "__name__") else _Shown(str(backend))

    def get_compiler_config(self) -> Any:
        """What the backend was told."""
        return self.options if isinstance(self.backend, str) and self.backend == "inductor" else None

    def __call__(self, fn: Any) -> Any:
        if isinstance(fn, Module):
            return OptimizedModule(innermost_fn(fn), self)
        if inspect.isclass(fn):
            # Compiling a class compiles what its instances do when they are called.
            if "__call__" in vars(fn):
                fn.__call__ = self(fn.__call__)
            return fn
        if not callable(fn):
            raise AssertionError(f"A callable function is expected, but {type(fn)} is provided.")
        fn = innermost_fn(fn)
        program = _Program(fn, self)
        _remember(program)

        def compile_wrapper(*args: Any, **kwargs: Any) -> Any:
            return program(*args, **kwargs)

        wrapper: Any = functools.wraps(fn)(compile_wrapper) if hasattr(fn, "__name__") else compile_wrapper
        wrapper._torchdynamo_inline = wrapper._torchdynamo_orig_callable = fn
        wrapper.get_compiler_config = self.get_compiler_config
        wrapper._is_torch_compile = True
        return wrapper


def _remember(program: _Program) -> None:
    import weakref

    global _compiled
    if _compiled is None:
        _compiled = weakref.WeakSet()
    _compiled.add(program)


def forget_programs() -> None:
    """Forget all graphs."""
    for program in list(_compiled or ()):
        program.forget()


class OptimizedModule(Module):
    """A compiled module: calls run compiled, all else is the module's own, which is ``_orig_mod``.

    >>> import torch
    >>> compiled = torch.compile(torch.nn.Linear(2, 1))
    >>> list(compiled.state_dict())
    ['_orig_mod.weight', '_orig_mod.bias']
    """

    _opt_mod_attributes = {
        "_orig_mod", "dynamo_ctx", "_torchdynamo_orig_callable", "_torchdynamo_wrapper_id", "get_compiler_config",
        "forward", "_forward", "__dict__", "named_children_walk", "_super_module_initialized",
    }  # fmt: skip

    def __init__(self, mod: Module, dynamo_ctx: Any) -> None:
        self._super_module_initialized = False
        super().__init__()
        self._super_module_initialized = True
        self._orig_mod = mod
        self.dynamo_ctx = dynamo_ctx
        self._initialize()
        self.training = mod.training

    def _initialize(self) -> None:
        if isinstance(self.dynamo_ctx, OptimizeContext):
            self.forward = self.dynamo_ctx(self._orig_mod.__call__)
            self.get_compiler_config = self.dynamo_ctx.get_compiler_config
        else:
            self.forward = self._orig_mod.__call__
        # No submodule: it has a name already.
        self.__dict__["_torchdynamo_orig_callable"] = self._orig_mod

    def __len__(self) -> int:
        if hasattr(self._orig_mod, "__len__"):
            return len(self._orig_mod)  # type: ignore[arg-type]
        raise TypeError(f"{type(self._orig_mod)} does not support len()")

    def __reduce__(self) -> Any:
        return type(self), (self._orig_mod, self.dynamo_ctx)

    def __deepcopy__(self, memo: Any) -> OptimizedModule:
        import copy

        made = type(self)(copy.deepcopy(self._orig_mod, memo), self.dynamo_ctx)
        memo[id(self)] = made
        return made

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        for name in ("forward", "get_compiler_config"):
            state.pop(name, None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ = state
        self._initialize()

    @property
    def training(self) -> bool:  # type: ignore[override]
        return self._orig_mod.training

    @training.setter
    def training(self, value: bool) -> None:
        if self._super_module_initialized and "_orig_mod" in self.__dict__.get("_modules", {}):
            self._orig_mod.training = value

    def __getattr__(self, name: str) -> Any:
        if name == "_orig_mod":
            return self._modules["_orig_mod"]
        return getattr(self._orig_mod, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in type(self).__dict__ and isinstance(type(self).__dict__[name], property):
            super().__setattr__(name, value)
        elif not self.__dict__.get("_super_module_initialized", False) or name in self._opt_mod_attributes:
            super().__setattr__(name, value)
        else:
            setattr(self._orig_mod, name, value)

    def __delattr__(self, name: str) -> None:
        if name in self._opt_mod_attributes:
            super().__delattr__(name)
        else:
            delattr(self._orig_mod, name)

    def __dir__(self) -> list[str]:
        return [*dir(self._orig_mod), *self._opt_mod_attributes.difference({"__dict__"})]


class _NullDecorator:
    """Compiles nothing."""

    def __call__(self, fn: Any) -> Any:
        return fn

    def __enter__(self) -> _NullDecorator:
        return self

    def __exit__(self, *exc: Any) -> None:
        return None


def optimize(*args: Any, **kwargs: Any) -> OptimizeContext | _NullDecorator:
    """A decorator that compiles; ``torch.compile`` is its public form.

    Args:
        backend: a name or a function, "inductor" unless given.
        nopython: as ``fullgraph`` of ``torch.compile``.

    Raises:
        InvalidBackend: there is no backend of this name.
    """
    return _optimize(*args, **kwargs)


def _optimize(
    backend: Any = "inductor", *, nopython: bool = False, error_on_graph_break: bool | None = None,
    guard_export_fn: Any = None, guard_fail_fn: Any = None, guard_filter_fn: Any = None, disable: bool = False,
    dynamic: bool | None = None, package: Any = None, rebuild_ctx: Any = None,
) -> OptimizeContext | _NullDecorator:  # fmt: skip
    if disable:
        return _NullDecorator()
    if dynamic is not None and not isinstance(dynamic, bool):
        raise AssertionError(f"Expected enable to be a bool, got {type(dynamic)}")
    lookup_backend(backend)
    return OptimizeContext(backend, fullgraph=nopython or bool(error_on_graph_break), dynamic=dynamic)


def optimize_assert(*args: Any, **kwargs: Any) -> OptimizeContext | _NullDecorator:
    """``optimize`` for programs that a graph has to hold."""
    return _optimize(*args, nopython=True, **kwargs)


def is_dynamo_supported() -> bool:
    """Whether programs can be compiled here: they can."""
    return True


def is_inductor_supported() -> bool:
    """Whether the usual backend can be used here: it can."""
    return True


@dataclasses.dataclass
class ExplainOutput:
    """What ``explain`` found: the graphs of a program and where it leaves them."""

    graphs: list[Any]
    graph_count: int
    graph_break_count: int
    break_reasons: list[Any]
    op_count: int
    ops_per_graph: list[Any] | None = None
    out_guards: list[Any] | None = None
    compile_times: str | None = None

    def __str__(self) -> str:
        lines = [f"Graph Count: {self.graph_count}", f"Graph Break Count: {self.graph_break_count}",
                 f"Op Count: {self.op_count}", "Break Reasons:"]  # fmt: skip
        for number, reason in enumerate(self.break_reasons):
            lines += [f"  Break Reason {number + 1}:", f"    Reason: {reason.splitlines()[0]}"]
        if self.ops_per_graph is not None:
            lines.append("Ops per Graph:")
            for number, ops in enumerate(self.ops_per_graph):
                lines += [f"  Ops {number + 1}:", *(f"    {op}" for op in ops)]
        return "\n".join(lines) + "\n"


def explain(f: Callable[..., Any], *extra_args: Any, **extra_kwargs: Any) -> Any:
    """Called with a function, gives a function of its arguments that tells which graph a call makes, or why none.

    >>> import torch
    >>> torch._dynamo.explain(lambda x: x * 2 + 1)(torch.ones(2)).op_count
    2
    """

    def inner(*args: Any, **kwargs: Any) -> ExplainOutput:
        try:
            captured = capture(innermost_fn(f), args, kwargs)
        except Break as e:
            return ExplainOutput([], 0, 1, [str(e.error)], 0, [], [])
        ops = [n.target for n in captured.module.graph.nodes if n.op == "call_function"]
        return ExplainOutput([captured.module], 1, 0, [], len(ops), [ops], [])

    return inner(*extra_args, **extra_kwargs) if extra_args or extra_kwargs else inner
