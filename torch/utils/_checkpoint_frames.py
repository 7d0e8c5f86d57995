"""Checkpoints without re-entrance: what a forward call saves is a number, and a second run puts tensors in the places.

The inputs of the function are saved as any operation saves its own: a checkpoint inside another then keeps nothing of
the outer one alive, and gets its inputs from the outer one's second run.
"""

from __future__ import annotations

import contextlib
import enum

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from torch import Tensor

_TIP = (
    "\n\nTip: To see a more detailed error message, either pass `debug=True` to\n"
    "`torch.utils.checkpoint.checkpoint(...)` or wrap the code block\n"
    "with `with torch.utils.checkpoint.set_checkpoint_debug_enabled(True):` to\n"
    "enable checkpoint‑debug mode globally.\n"
)
_UNPACKED = "torch.utils.checkpoint: Unpack is being triggered for a tensor that was already unpacked once. "
_ONCE = (
    "If you are calling ctx.saved_tensors in backward, make sure to do so only once. Otherwise please open an issue "
    "with details on your use case."
)
_OVERLAP = (
    "Performing two backward calls that overlap (i.e. require the same saved activation in order to compute gradients) "
    "is not allowed while under the torch.utils.checkpoint.GraphExecGroup context. "
)


class CheckpointError(RuntimeError):
    """The second run of the forward did something else than the first, or a tensor was asked for twice."""

    __module__ = "torch.utils.checkpoint"


class _AllThere(Exception):
    """A frame's second run has made all that its first run saved."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame


class GraphExecGroup:
    """Backward passes inside the block over different parts of a graph share the second runs of their checkpoints.

    RuntimeError for a group inside another. Inside the block a tensor may be asked for once.
    """

    __module__ = "torch.utils.checkpoint"
    _current: GraphExecGroup | None = None

    def __enter__(self) -> None:
        if GraphExecGroup._current is not None:
            raise RuntimeError(
                f"GraphExecGroup contexts cannot be nested. Already inside group {GraphExecGroup._current}"
            )
        GraphExecGroup._current = self

    def __exit__(self, *exc: Any) -> None:
        GraphExecGroup._current = None

    @classmethod
    def _get_current_group(cls) -> GraphExecGroup | None:
        return cls._current


class Check(enum.Enum):
    """What is compared of the tensors of the two runs."""

    default = "default"
    none = "none"


class _SavesInputs(torch.autograd.Function):
    """Keeps tensors as an operation does, so that the hooks which are on see them. The result is only a handle."""

    @staticmethod
    def forward(ctx: Any, anchor: Tensor, *tensors: Tensor) -> Tensor:
        ctx.save_for_backward(*tensors)
        return torch.empty(0)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        raise AssertionError("the handle of a checkpoint's inputs has no gradient")


class Inputs:
    """The arguments of a checkpointed function, its tensors being saved as those of an operation are."""

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._keywords = list(kwargs)
        values = [*args, *kwargs.values()]
        self._places = [i for i, value in enumerate(values) if isinstance(value, torch.Tensor)]
        tensors = [values[i] for i in self._places]
        self._rest = [None if isinstance(value, torch.Tensor) else value for value in values]
        anchor = torch.empty(0, requires_grad=True)
        self._handle = _SavesInputs.apply(anchor, *tensors)

    def get(self) -> tuple[list[Any], dict[str, Any]]:
        """The arguments, as ``(args, kwargs)``."""
        values = list(self._rest)
        for place, tensor in zip(self._places, self._handle.grad_fn.saved_tensors, strict=True):
            values[place] = tensor
        positional = len(values) - len(self._keywords)
        return values[:positional], dict(zip(self._keywords, values[positional:], strict=True))


def _metadata(tensor: Tensor) -> dict[str, Any]:
    return {"shape": tensor.shape, "dtype": tensor.dtype, "device": tensor.device}


class Frame:
    """One call of a checkpointed function: what it saved, and what its second runs made again."""

    def __init__(
        self, inputs: Inputs, again: Callable[..., None], check: Check, early_stop: bool, told: Callable[[], Any]
    ) -> None:
        self._inputs, self._again, self._check, self._early_stop = inputs, again, check, early_stop
        self._told = told  # a context for the second run, which may say more of its errors
        self._metadata: list[dict[str, Any]] = []
        # by the backward pass that they are for
        self._made: dict[Any, dict[int, Tensor]] = {}

    @contextlib.contextmanager
    def first_run(self) -> Iterator[None]:
        """Operations inside the block save numbers."""
        with torch.autograd.graph.saved_tensors_hooks(self._pack, self._unpack):
            yield

    def _pack(self, tensor: Tensor) -> int:
        self._metadata.append(_metadata(tensor))
        return len(self._metadata) - 1

    def _unpack(self, index: int) -> Tensor:
        group = GraphExecGroup._get_current_group()
        run = group if group is not None else torch._C._current_graph_task_id()
        if run == -1:  # somebody looks at what a node has saved
            values = self._second_run()
            return values[index]
        if run not in self._made:
            if group is None:
                self._made.clear()  # of passes that are over
            self._made[run] = self._second_run()
        values = self._made[run]
        if index not in values:
            raise CheckpointError(_UNPACKED + (_OVERLAP if group is not None else "") + _ONCE)
        return values.pop(index)

    def _second_run(self) -> dict[int, Tensor]:
        with self._told():
            return self._run_again()

    def _run_again(self) -> dict[int, Tensor]:
        args, kwargs = self._inputs.get()
        made: dict[int, Tensor] = {}

        def pack(tensor: Tensor) -> Tensor:
            if len(made) == len(self._metadata):
                raise CheckpointError(
                    "torch.utils.checkpoint: trying to save more tensors during recomputation than during the original "
                    "forward pass." + _TIP
                )
            made[len(made)] = tensor.detach()
            if self._early_stop and len(made) == len(self._metadata):
                raise _AllThere(self)
            return tensor.detach()

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor), torch.enable_grad():
            try:
                self._again(*args, **kwargs)
            except _AllThere as done:
                if done.frame is not self:
                    raise
        self._compare(made)
        return made

    def _compare(self, made: dict[int, Tensor]) -> None:
        if len(made) != len(self._metadata):
            raise CheckpointError(
                "torch.utils.checkpoint: A different number of tensors was saved during the original forward and "
                f"recomputation.\nNumber of tensors saved during forward: {len(self._metadata)}\nNumber of tensors "
                f"saved during recomputation: {len(made)}." + _TIP
            )
        if self._check is Check.none:
            return
        differences = [
            f"tensor at position {index}:\nsaved metadata: {saved}\nrecomputed metadata: {_metadata(made[index])}\n"
            for index, saved in enumerate(self._metadata)
            if saved != _metadata(made[index])
        ]
        if differences:
            raise CheckpointError(
                "torch.utils.checkpoint: Recomputed values for the following tensors have different metadata than "
                f"during the forward pass.\n{''.join(differences)}." + _TIP
            )
