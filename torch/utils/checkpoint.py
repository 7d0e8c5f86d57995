"""Trading computation for memory: what a stretch of the forward keeps for backward is computed again when needed."""

from __future__ import annotations

import contextlib
import warnings

import torch

from ._checkpoint_frames import Check, CheckpointError, Frame, GraphExecGroup, Inputs  # noqa: F401 - names of this module too

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from torch import Tensor

    from ._checkpoint_selective import CheckpointPolicy, create_selective_checkpoint_contexts

__all__ = [
    "CheckpointError",
    "CheckpointFunction",
    "CheckpointPolicy",
    "DefaultDeviceType",
    "check_backward_validity",
    "checkpoint",
    "checkpoint_sequential",
    "create_selective_checkpoint_contexts",
    "detach_variable",
    "get_device_states",
    "noop_context_fn",
    "set_checkpoint_debug_enabled",
    "set_checkpoint_early_stop",
    "set_device_states",
]

class DefaultDeviceType:
    """The kind of device whose random state is restored when only CPU tensors are seen."""

    _kind = "cuda"

    @staticmethod
    def set_device_type(device: str = "cuda") -> None:
        """Set the kind of device."""
        DefaultDeviceType._kind = device

    @staticmethod
    def get_device_type() -> str:
        """The kind of device."""
        return DefaultDeviceType._kind


def noop_context_fn() -> tuple[Any, Any]:
    """Contexts for the first and the second run that do nothing."""
    return contextlib.nullcontext(), contextlib.nullcontext()


def detach_variable(inputs: tuple[Any, ...]) -> tuple[Tensor, ...]:
    """The inputs as leaves that require grad where the originals do."""
    if not isinstance(inputs, tuple):
        raise RuntimeError(f"Only tuple of tensors is supported. Got Unsupported input type: {type(inputs).__name__}")
    result = []
    for value in inputs:
        if isinstance(value, torch.Tensor):
            detached = value.detach()
            detached.requires_grad = value.requires_grad
            value = detached
        result.append(value)
    return tuple(result)


def check_backward_validity(inputs: Iterable[Any]) -> None:
    """Warn if no input requires grad."""
    if not any(value.requires_grad for value in inputs if isinstance(value, torch.Tensor)):
        warnings.warn("None of the inputs have requires_grad=True. Gradients will be None", stacklevel=2)


def get_device_states(*args: Any) -> tuple[list[int], list[Tensor]]:
    """The random states of the accelerators that the tensors are on: there are none."""
    return [], []


def set_device_states(devices: Any, states: Any, *, device_type: str | None = None) -> None:
    """Restore the random states of accelerators: there are none."""


_early_stop = True
_debug: bool | None = None


@contextlib.contextmanager
def set_checkpoint_early_stop(enable: bool) -> Iterator[None]:
    """Whether the second run may stop as soon as all that is needed is there."""
    global _early_stop
    before, _early_stop = _early_stop, enable
    try:
        yield
    finally:
        _early_stop = before


@contextlib.contextmanager
def set_checkpoint_debug_enabled(enabled: bool | None) -> Iterator[None]:
    """Whether errors should tell about both runs."""
    global _debug
    before, _debug = _debug, enabled
    try:
        yield
    finally:
        _debug = before


@contextlib.contextmanager
def _same_random_state(state: Tensor | None) -> Iterator[None]:
    """Run a block with the random state of the first run, and leave no trace."""
    if state is None:
        yield
        return
    before = torch.get_rng_state()
    torch.set_rng_state(state)
    try:
        yield
    finally:
        torch.set_rng_state(before)


class CheckpointFunction(torch.autograd.Function):
    """The re-entrant kind: forward runs without a graph, backward runs it again with one and differentiates that."""

    @staticmethod
    def forward(ctx: Any, run_function: Any, preserve_rng_state: bool, *args: Any) -> Any:
        check_backward_validity(args)
        ctx.run_function = run_function
        ctx.state = torch.get_rng_state() if preserve_rng_state else None
        ctx.autocast = _Autocast()
        ctx.inputs = [None if isinstance(a, torch.Tensor) else a for a in args]
        ctx.places = [i for i, a in enumerate(args) if isinstance(a, torch.Tensor)]
        ctx.save_for_backward(*[args[i] for i in ctx.places])
        with torch.no_grad():
            return run_function(*args)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        if not torch._C._is_checkpoint_valid():
            raise RuntimeError(
                "When use_reentrant=True, torch.utils.checkpoint is incompatible with .grad() or passing an `inputs` "
                "parameter to .backward(). To resolve this error, you can either set use_reentrant=False, or call "
                ".backward() without passing the `inputs` argument."
            )
        inputs = list(ctx.inputs)
        for place, value in zip(ctx.places, ctx.saved_tensors, strict=True):
            inputs[place] = value
        detached = detach_variable(tuple(inputs))
        with _same_random_state(ctx.state), ctx.autocast.again(), torch.enable_grad():
            outputs = ctx.run_function(*detached)
        if isinstance(outputs, torch.Tensor):
            outputs = (outputs,)
        pairs = [
            (out, grad)
            for out, grad in zip(outputs, grads, strict=True)
            if isinstance(out, torch.Tensor) and out.requires_grad
        ]
        if not pairs:
            raise RuntimeError("none of output has requires_grad=True, this checkpoint() is not necessary")
        torch.autograd.backward([p[0] for p in pairs], [p[1] for p in pairs])
        found = tuple(v.grad if isinstance(v, torch.Tensor) else None for v in detached)
        return (None, None, *found)


def checkpoint(
    function: Callable[..., Any],
    *args: Any,
    use_reentrant: bool | None = None,
    context_fn: Callable[[], tuple[Any, Any]] = noop_context_fn,
    determinism_check: str = "default",
    debug: bool = False,
    early_stop: bool = True,
    **kwargs: Any,
) -> Any:
    """Run ``function(*args)`` keeping only its inputs for backward, which runs it a second time.

    Args:
        function: what is run. It has to do the same both times.
        args: its arguments.
        use_reentrant: True runs the function without a graph, and a backward pass of its own inside the backward pass;
            ``kwargs``, ``context_fn``, ``debug`` and gradients of some inputs only are then not possible. False
            replaces what the operations inside save by what a second run saves.
        context_fn: makes two contexts, for the first and the second run; see
            :func:`create_selective_checkpoint_contexts`.
        determinism_check: ``"default"`` compares shapes, dtypes and devices of the two runs, ``"none"`` nothing.
        debug: errors tell which operations both runs called.
        early_stop: the second run ends as soon as it has made what is needed.
        kwargs: ``preserve_rng_state=False`` leaves the state of random numbers alone, which otherwise is the same in
            both runs; the rest are the function's.

    Raises:
        CheckpointError: in backward, when the second run saved something else.
        ValueError: for arguments that do not go together.

    Source: Chen et al., "Training deep nets with sublinear memory cost" (2016).

    >>> x = torch.ones(2, requires_grad=True)
    >>> torch.utils.checkpoint.checkpoint(torch.exp, x, use_reentrant=False).sum().backward()
    >>> x.grad
    tensor([2.7183, 2.7183])
    """
    if use_reentrant is None:
        warnings.warn(
            "torch.utils.checkpoint: the use_reentrant parameter should be passed explicitly. Starting in PyTorch 2.9, "
            "calling checkpoint without use_reentrant will raise an exception. use_reentrant=False is recommended, but "
            "if you need to preserve the current default behavior, you can pass use_reentrant=True. Refer to docs for "
            "more details on the differences between the two variants.",
            stacklevel=2,
        )
        use_reentrant = True
    preserve = kwargs.pop("preserve_rng_state", True)
    if use_reentrant:
        if kwargs:
            raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
        if context_fn is not noop_context_fn or debug:
            raise ValueError("Passing `context_fn` or `debug` is only supported when use_reentrant=False.")
        return CheckpointFunction.apply(function, preserve, *args)
    if determinism_check not in Check.__members__:
        raise ValueError(
            f"determinism_check should be one of {list(Check.__members__)}, but got {determinism_check}"
        )
    return _without_reentrance(
        function, args, kwargs, preserve, context_fn, Check[determinism_check], _either(_debug, debug),
        _early_stop and early_stop,
    )  # fmt: skip


def _either(switch: bool | None, given: bool) -> bool:
    return given if switch is None else switch


def _without_reentrance(
    function: Any, args: Any, kwargs: Any, preserve: bool, context_fn: Any, check: Check, debug: bool, early_stop: bool
) -> Any:
    first, second = context_fn()
    if not torch.is_grad_enabled():
        with first:
            return function(*args, **kwargs)
    state, autocast = torch.get_rng_state() if preserve else None, _Autocast()
    logs = None
    if debug:
        from ._checkpoint_log import Logs

        logs = Logs()

    def again(*args: Any, **kwargs: Any) -> None:
        logged = logs.second_run() if logs else contextlib.nullcontext()
        with _same_random_state(state), autocast.again(), second, logged:
            function(*args, **kwargs)

    frame = Frame(Inputs(args, kwargs), again, check, early_stop, logs.told if logs else contextlib.nullcontext)
    with frame.first_run(), first, logs.first_run() if logs else contextlib.nullcontext():
        return function(*args, **kwargs)


class _Autocast:
    """The state of automatic precision, to be had again."""

    def __init__(self) -> None:
        self._enabled, self._dtype = torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")
        self._cache = torch.is_autocast_cache_enabled()

    def again(self) -> Any:
        """A context with this state."""
        if not self._enabled and not torch.is_autocast_enabled("cpu"):
            return contextlib.nullcontext()
        return torch.amp.autocast("cpu", enabled=self._enabled, dtype=self._dtype, cache_enabled=self._cache)


def checkpoint_sequential(
    functions: Any, segments: int, input: Any, use_reentrant: bool | None = None, **kwargs: Any
) -> Any:
    """Run modules one after the other in ``segments`` checkpoints; the last segment is kept as usual.

    ``functions`` is a ``torch.nn.Sequential`` or a list. ValueError for unknown keywords, and for more segments than
    modules.
    """
    if use_reentrant is None:
        warnings.warn(
            "torch.utils.checkpoint.checkpoint_sequential: the use_reentrant parameter should be passed explicitly. In "
            "version 2.9 we will raise an exception if use_reentrant is not passed. use_reentrant=False is "
            "recommended, but if you need to preserve the current default behavior, you can pass use_reentrant=True. "
            "Refer to docs for more details on the differences between the two variants.",
            stacklevel=2,
        )
        use_reentrant = True
    preserve = kwargs.pop("preserve_rng_state", True)
    if kwargs:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
    steps = list(functions.children()) if isinstance(functions, torch.nn.Sequential) else list(functions)

    def run(start: int, end: int) -> Callable[[Any], Any]:
        def forward(value: Any) -> Any:
            for step in steps[start : end + 1]:
                value = step(value)
            return value

        return forward

    size = len(steps) // segments
    end = -1
    for start in range(0, size * (segments - 1), size):
        end = start + size - 1
        input = checkpoint(run(start, end), input, use_reentrant=use_reentrant, preserve_rng_state=preserve)
    return run(end + 1, len(steps) - 1)(input)


_SELECTIVE = (
    "SAC_IGNORED_OPS",
    "CheckpointPolicy",
    "SelectiveCheckpointContext",
    "create_selective_checkpoint_contexts",
)


def __getattr__(name: str) -> Any:
    if name in _SELECTIVE:  # it needs torch.ops, which takes its time to load
        from . import _checkpoint_selective

        globals().update({known: getattr(_checkpoint_selective, known) for known in _SELECTIVE})
        return globals()[name]
    if name == "fx_traceback":
        from torch.fx import traceback

        return traceback
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
