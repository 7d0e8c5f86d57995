"""Selective checkpoints: a policy says which results of a forward call are kept rather than computed again."""

from __future__ import annotations

import enum
from collections import defaultdict, deque

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PUBLIC = "torch.utils.checkpoint"


class CheckpointPolicy(enum.Enum):
    """Whether the result of an operation is kept, or computed again. Results on the CPU are where an offload would put
    them: the two policies for that keep them."""

    MUST_SAVE = 0
    PREFER_SAVE = 1
    MUST_RECOMPUTE = 2
    PREFER_RECOMPUTE = 3
    MUST_CPU_OFFLOAD = 4
    PREFER_CPU_OFFLOAD = 5

    __module__ = _PUBLIC


_KEPT = frozenset(CheckpointPolicy) - {CheckpointPolicy.MUST_RECOMPUTE, CheckpointPolicy.PREFER_RECOMPUTE}


class SelectiveCheckpointContext:
    """What a policy is told: whether this is the second run, and what the operation returned."""

    __module__ = _PUBLIC

    def __init__(self, *, is_recompute: bool, op_output: Any = None) -> None:
        self.is_recompute, self.op_output = is_recompute, op_output


def _ignored() -> set[Any]:
    """Operations that make no new memory: policies are not asked about them."""
    aten = torch.ops.aten
    found = set()
    for name, overload in (
        ("detach", "default"), ("is_contiguous", "default"), ("is_contiguous", "memory_format"),
        ("is_non_overlapping_and_dense", "default"), ("size", "default"), ("stride", "default"),
        ("storage_offset", "default"), ("dim", "default"), ("numel", "default"), ("sym_size", "default"),
        ("sym_stride", "default"), ("sym_storage_offset", "default"), ("sym_numel", "default"),
        ("is_strides_like_format", "default"),
    ):  # fmt: skip
        if hasattr(aten, name) and overload in getattr(aten, name).overloads():
            found.add(getattr(getattr(aten, name), overload))
    return found | {torch.ops.prim.device.default}


SAC_IGNORED_OPS = _ignored()


class _Kept:
    """A result, and the version that it had."""

    def __init__(self, value: Any, may_change: bool) -> None:
        self.may_change = may_change
        self.value = tree_map(lambda x: x.detach() if isinstance(x, torch.Tensor) else x, value)
        self.versions = [t._version for t in _tensors(value)]

    def get(self) -> Any:
        if not self.may_change and [t._version for t in _tensors(self.value)] != self.versions:
            raise RuntimeError("Tensor cached during selective activation checkpoint has been mutated")
        return tree_map(lambda x: x.detach() if isinstance(x, torch.Tensor) else x, self.value)


def _tensors(value: Any) -> list[Any]:
    return [x for x in torch.utils._pytree.tree_leaves(value) if isinstance(x, torch.Tensor)]


class _Storage:
    """For each operation the results of its calls in order, None where one is computed again."""

    def __init__(self) -> None:
        self.results: dict[Any, deque[_Kept | None]] = defaultdict(deque)
        self.used = False


class _FirstRun(TorchDispatchMode):
    """Asks the policy about each operation."""

    def __init__(self, policy: Any, storage: _Storage, may_change: bool) -> None:
        super().__init__()
        self._policy, self._storage, self._may_change = policy, storage, may_change

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        if func in SAC_IGNORED_OPS:
            return out
        answer = self._policy(SelectiveCheckpointContext(is_recompute=False, op_output=out), func, *args, **kwargs)
        if isinstance(answer, bool):
            answer = CheckpointPolicy.MUST_SAVE if answer else CheckpointPolicy.PREFER_RECOMPUTE
        self._storage.results[func].append(_Kept(out, self._may_change) if answer in _KEPT else None)
        return out


class _SecondRun(TorchDispatchMode):
    """Gives back what was kept."""

    def __init__(self, storage: _Storage) -> None:
        super().__init__()
        self._storage = storage

    def __enter__(self) -> _SecondRun:
        if self._storage.used:
            raise RuntimeError(
                "Trying to backward an extra time. You are only allowed to backward once on any region computed under "
                "selective activation checkpoint."
            )
        self._storage.used = True
        super().__enter__()
        return self

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in SAC_IGNORED_OPS:
            return func(*args, **kwargs)
        results = self._storage.results[func]
        if not results:
            # the first run did not get here: the frame says what is different
            return func(*args, **kwargs)
        kept = results.popleft()
        return func(*args, **kwargs) if kept is None else kept.get()


def create_selective_checkpoint_contexts(policy_fn_or_list: Any, allow_cache_entry_mutation: bool = False) -> Any:
    """Contexts for the two runs of a checkpoint, for its ``context_fn``, that keep the results of some operations.

    Args:
        policy_fn_or_list: overloads (``torch.ops.aten.mm.default``) whose results are kept, or a function that is
            called as ``policy(context, op, *args, **kwargs)`` after each operation of the first run, and returns a
            ``CheckpointPolicy``. The second run follows what it said.
        allow_cache_entry_mutation: do not look whether a kept result was written to.

    Raises:
        TypeError: for what is neither a function nor a list.
        ValueError: for something in the list that is no overload.
        RuntimeError: in backward, when a kept result was written to, or for a second backward pass.

    >>> from functools import partial
    >>> from torch.utils.checkpoint import checkpoint, create_selective_checkpoint_contexts
    >>> keep = partial(create_selective_checkpoint_contexts, [torch.ops.aten.mm.default])
    >>> x = torch.ones(2, 2, requires_grad=True)
    >>> checkpoint(lambda x: torch.mm(x, x).exp(), x, use_reentrant=False, context_fn=keep).sum().backward()
    >>> x.grad[0, 0] > 0
    tensor(True)
    """
    if isinstance(policy_fn_or_list, list):
        for op in policy_fn_or_list:
            if not isinstance(op, torch._ops.OpOverload):
                hint = (
                    "Please update the OpOverloadPacket to a specific OpOverload.For example, if you have "
                    "`torch.ops.aten.mm`, change it to `torch.ops.aten.mm.default`."
                )
                raise ValueError(
                    f"Expected op in `op_list` to be an OpOverload but got: {op} of type {type(op)}. "
                    + (hint if isinstance(op, torch._ops.OpOverloadPacket) else "")
                )
        chosen = set(policy_fn_or_list)

        def policy(ctx: Any, op: Any, *args: Any, **kwargs: Any) -> CheckpointPolicy:
            return CheckpointPolicy.MUST_SAVE if op in chosen else CheckpointPolicy.PREFER_RECOMPUTE

    elif callable(policy_fn_or_list):
        policy = policy_fn_or_list
    else:
        raise TypeError("policy_fn_or_list must be either a function or a list of ops.")
    storage = _Storage()
    return _FirstRun(policy, storage, allow_cache_entry_mutation), _SecondRun(storage)


create_selective_checkpoint_contexts.__module__ = _PUBLIC
