"""What the tracer of programs needs: leaves of arguments, plain copies of fake tensors, places in the program."""

from __future__ import annotations

import traceback

import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils import _pytree as pytree

from ..node import has_side_effect

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

__all__ = ["expanded_leaves", "like_result", "plain_copy", "set_grad_enabled", "user_stack"]


def like_result(t: torch.Tensor) -> torch.Tensor:
    """The same geometry as the result of an operation; a copy has it if the tensor has no gaps."""
    copy = t.clone()
    return copy if copy.stride() == t.stride() else t.as_strided(t.size(), t.stride())


def expanded_leaves(values: Any) -> Iterator[Any]:
    """The leaves of nested arguments, those in slices and sizes too."""
    for v in pytree.tree_leaves(values):
        if isinstance(v, slice):
            yield from expanded_leaves((v.start, v.stop, v.step))
        elif isinstance(v, torch.Size):
            yield from v
        else:
            yield v


def plain_copy(value: FakeTensor, keep_grad: bool = True) -> FakeTensor:
    """A fake tensor like this one that is no part of a computation."""
    made = FakeTensor(value.fake_mode, value._meta, value.fake_device)
    made._sizes, made._steps = value._sizes, value._steps
    if value.requires_grad and keep_grad:
        with torch._C.DisableTorchFunction():
            made.requires_grad_()
    return made


def set_grad_enabled(mode: bool) -> None:
    """Switch the recording of gradients on or off: what a graph calls where the program changed it."""
    torch.set_grad_enabled(mode)


has_side_effect(set_grad_enabled)


def user_stack() -> str | None:
    """Where in the program, and in the modules of torch, the call that is traced stands."""
    home = str(torch.__path__[0])
    frames = []
    for frame, line in traceback.walk_stack(None):
        name = frame.f_code.co_filename
        if name.startswith(home) and ("/nn/modules/" not in name or name.endswith("/module.py") or "_module_" in name):
            continue
        frames.append((frame, line))
    kept = frames[::-1]
    start = next((i for i, (f, _) in enumerate(kept) if f.f_code.co_name == "forward"), None)
    if start is None:
        return None
    summary = traceback.StackSummary.extract(iter(kept[start:]))
    return "".join(summary.format()).rstrip("\n")
