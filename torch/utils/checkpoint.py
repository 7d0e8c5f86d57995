"""Trading computation for memory: what a stretch of the forward keeps for backward is computed again when needed."""

from __future__ import annotations

import contextlib
import enum
import warnings

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from torch import Tensor

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

SAC_IGNORED_OPS: set[Any] = set()


class CheckpointError(RuntimeError):
    """The second run of the forward did something else than the first."""


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
        ctx.inputs = [None if isinstance(a, torch.Tensor) else a for a in args]
        ctx.places = [i for i, a in enumerate(args) if isinstance(a, torch.Tensor)]
        ctx.save_for_backward(*[args[i] for i in ctx.places])
        with torch.no_grad():
            return run_function(*args)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        inputs = list(ctx.inputs)
        for place, value in zip(ctx.places, ctx.saved_tensors, strict=True):
            inputs[place] = value
        detached = detach_variable(tuple(inputs))
        with _same_random_state(ctx.state), torch.enable_grad():
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


class _Recomputed(Exception):
    """All tensors that backward asked for are there again."""


class _Frame:
    """What the first run saved, as numbers, and the tensors that a second run puts in their place."""

    def __init__(self, again: Callable[[], Any], early_stop: bool) -> None:
        self.again, self.early_stop = again, early_stop
        self.metadata: list[Any] = []
        self.values: dict[int, Tensor] | None = None
        self.left = 0

    def pack(self, tensor: Tensor) -> int:
        self.metadata.append((tensor.shape, tensor.dtype, tensor.device))
        self.left += 1
        return len(self.metadata) - 1

    def unpack(self, index: int) -> Tensor:
        if self.values is None or index not in self.values:
            self._recompute()
        assert self.values is not None
        result = self.values.pop(index)
        return result

    def _recompute(self) -> None:
        values: dict[int, Tensor] = {}

        def pack(tensor: Tensor) -> Tensor:
            index = len(values)
            values[index] = tensor.detach()
            if self.early_stop and index + 1 == len(self.metadata):
                raise _Recomputed
            return tensor.detach()

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor), torch.enable_grad():
            with contextlib.suppress(_Recomputed):
                self.again()
        if len(values) != len(self.metadata):
            raise CheckpointError(
                "torch.utils.checkpoint: A different number of tensors was saved during the original forward and "
                f"recomputation.\nNumber of tensors saved during forward: {len(self.metadata)}\nNumber of tensors "
                "saved "
                f"during recomputation: {len(values)}."
            )
        for index, expected in enumerate(self.metadata):
            value = values[index]
            if (value.shape, value.dtype, value.device) != expected:
                raise CheckpointError(
                    "torch.utils.checkpoint: Recomputed values for the following tensors have different metadata than "
                    f"during the forward pass.\ntensor at position {index}:\nsaved metadata: {expected}\nrecomputed "
                    f"metadata: {(value.shape, value.dtype, value.device)}"
                )
        self.values = values


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
    first, second = context_fn()
    state = torch.get_rng_state() if preserve else None

    def again() -> None:
        with _same_random_state(state), second:
            function(*args, **kwargs)

    if not torch.is_grad_enabled():
        return function(*args, **kwargs)
    frame = _Frame(again, early_stop and _early_stop)
    with torch.autograd.graph.saved_tensors_hooks(frame.pack, frame.unpack), first:
        return function(*args, **kwargs)


def checkpoint_sequential(
    functions: Any, segments: int, input: Any, use_reentrant: bool | None = None, **kwargs: Any
) -> Any:
    """Run modules one after the other in ``segments`` checkpoints; the last segment is kept as usual."""
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


class CheckpointPolicy(enum.Enum):
    """Whether an operation's result is saved or computed again."""

    MUST_SAVE = 0
    PREFER_SAVE = 1
    MUST_RECOMPUTE = 2
    PREFER_RECOMPUTE = 3


class GraphExecGroup:
    """Tells several backward passes over one graph apart."""

    def __enter__(self) -> GraphExecGroup:
        return self

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        pass


class SelectiveCheckpointContext:
    """What a policy is told about the run."""

    def __init__(self, *, is_recompute: bool, op_output: Any = None) -> None:
        self.is_recompute, self.op_output = is_recompute, op_output


def create_selective_checkpoint_contexts(policy_fn_or_list: Any, allow_cache_entry_mutation: bool = False) -> Any:
    raise torch._missing.not_available(
        "torch.utils.checkpoint.create_selective_checkpoint_contexts", "it needs interception of operations by Python"
    )


def __getattr__(name: str) -> Any:
    if name == "fx_traceback":
        from torch.fx import traceback

        return traceback
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
