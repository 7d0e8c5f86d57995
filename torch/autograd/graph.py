"""Looking into and hooking the autograd graph."""

from __future__ import annotations

from collections import namedtuple

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

__all__ = [
    "GradientEdge",
    "Node",
    "allow_mutation_on_saved_tensors",
    "disable_saved_tensors_hooks",
    "get_gradient_edge",
    "increment_version",
    "region_activation_memory_budget",
    "register_multi_grad_hook",
    "save_on_cpu",
    "saved_tensors_hooks",
    "set_override_stale_capture_stream",
    "set_warn_on_accumulate_grad_stream_mismatch",
]

GradientEdge = namedtuple("GradientEdge", ("node", "output_nr", "ownership_token"), defaults=(None,))
GradientEdge.__doc__ = "One gradient in the graph: output ``output_nr`` of ``node``."


class _NodeMeta(type):
    def __instancecheck__(cls, instance: object) -> bool:
        native = getattr(torch._C, "_NodeBase", None)
        if native is not None and isinstance(instance, native):
            return True
        return hasattr(instance, "next_functions") and hasattr(instance, "register_prehook")


class Node(metaclass=_NodeMeta):
    """What every ``grad_fn`` is an instance of; for ``isinstance`` checks."""


def get_gradient_edge(tensor: Any) -> Any:
    """The edge along which the gradient of ``tensor`` flows. It can stand for the tensor in ``torch.autograd.grad``."""
    if not tensor.requires_grad:
        raise RuntimeError("It is not possible to get the gradient edge for a Tensor that does not require gradients")
    node = tensor.grad_fn
    if node is None:
        node = torch._C._get_grad_accumulator(tensor)
    return GradientEdge(node, tensor.output_nr, tensor)


def increment_version(tensor: Any) -> None:
    """Tell autograd that ``tensor`` (or each of several tensors) was changed behind its back."""
    for item in (tensor,) if isinstance(tensor, torch.Tensor) else tensor:
        torch._C._increment_version(item)


def region_activation_memory_budget(budget: float) -> Any:
    """Raise RuntimeError, as PyTorch does outside of ``torch.compile``; ValueError for a budget outside of 0 to 1."""
    if not 0 <= budget <= 1:
        raise ValueError(f"torch.autograd.graph.region_activation_memory_budget: must be in [0, 1], got {budget}")
    raise RuntimeError(
        "torch.autograd.graph.region_activation_memory_budget can only be used inside a torch.compile region; it "
        "has no "
        "effect in eager mode."
    )


def set_override_stale_capture_stream(enabled: bool) -> None:
    """Accepted without effect: there are no streams."""


def set_warn_on_accumulate_grad_stream_mismatch(enabled: bool) -> None:
    """Accepted without effect: there are no streams."""


class saved_tensors_hooks:  # noqa: N801
    """Inside the block ``pack_hook`` replaces what the graph saves, and ``unpack_hook`` brings it back."""

    def __init__(self, pack_hook: Callable[[Any], Any], unpack_hook: Callable[[Any], Any]) -> None:
        self.pack_hook = pack_hook
        self.unpack_hook = unpack_hook

    def __enter__(self) -> None:
        torch._C._push_saved_tensors_hooks(self.pack_hook, self.unpack_hook)

    def __exit__(self, *exc: Any) -> None:
        torch._C._pop_saved_tensors_hooks()


class save_on_cpu(saved_tensors_hooks):  # noqa: N801
    """Keep what the graph saves in host memory and copy it back for backward."""

    def __init__(self, pin_memory: bool = False, device_type: str = "cuda") -> None:
        def pack(tensor: Any) -> Any:
            if not pin_memory:
                return tensor.device, tensor.cpu()
            host = torch.empty(tensor.size(), dtype=tensor.dtype, layout=tensor.layout, pin_memory=True)
            host.copy_(tensor)
            return tensor.device, host

        def unpack(packed: Any) -> Any:
            device, tensor = packed
            return tensor.to(device, non_blocking=pin_memory)

        super().__init__(pack, unpack)


class disable_saved_tensors_hooks:  # noqa: N801
    """Inside the block the use of saved tensor hooks raises ``error_message``."""

    def __init__(self, error_message: str) -> None:
        self._message = error_message

    def __enter__(self) -> None:
        self._before = torch._C._saved_tensors_hooks_disabled_message()
        torch._C._disable_saved_tensors_hooks(self._message)

    def __exit__(self, *exc: Any) -> None:
        if self._before is None:
            torch._C._enable_saved_tensors_hooks()
        else:
            torch._C._disable_saved_tensors_hooks(self._before)

    def __call__(self, func: Callable[..., Any]) -> Callable[..., Any]:
        from .grad_mode import _decorate

        result: Callable[..., Any] = _decorate(lambda: type(self)(self._message), func)
        return result


class allow_mutation_on_saved_tensors:  # noqa: N801
    """Inside the block tensors that the graph saved may be changed in place: the graph keeps copies.

    Everything saved is copied when it is saved, which is simple and always right, but costs memory.
    """

    def __enter__(self) -> None:
        self._hooks = saved_tensors_hooks(lambda tensor: tensor.detach().clone(), lambda tensor: tensor)
        self._hooks.__enter__()

    def __exit__(self, *exc: Any) -> None:
        self._hooks.__exit__(*exc)


class _MultiHandle:
    """Removes several hooks together."""

    def __init__(self, handles: tuple[Any, ...]) -> None:
        self.handles = handles

    def remove(self) -> None:
        for handle in self.handles:
            handle.remove()

    def __enter__(self) -> _MultiHandle:
        return self

    def __exit__(self, *exc: Any) -> None:
        self.remove()


def register_multi_grad_hook(tensors: Sequence[Any], fn: Callable[..., None], *, mode: str = "all") -> Any:
    """Call ``fn`` in backward once the gradients of all ``tensors`` are known (or, with "any", the first of them)."""
    if mode not in ("all", "any"):
        raise ValueError(f"Expects mode to be one of ('all', 'any') but got {mode}")
    import threading

    lock = threading.Lock()
    # Backward calls are told apart by the id of their graph task.
    pending: dict[int, list[Any]] = {}
    fired: set[int] = set()
    total = len(tensors)
    edges = [get_gradient_edge(tensor) for tensor in tensors]

    def expected() -> int:
        return sum(map(torch._C._will_engine_execute_node, [edge.node for edge in edges]))

    def all_hook(index: int) -> Callable[[Any], None]:
        def hook(grad: Any) -> None:
            task = torch._C._current_graph_task_id()
            with lock:
                state = pending.setdefault(task, [0, [None] * total, expected()])
                state[0] += 1
                state[1][index] = grad
                done = state[0] == state[2]
                if done:
                    del pending[task]
            if done:
                fn(state[1])

        return hook

    def any_hook(grad: Any) -> None:
        task = torch._C._current_graph_task_id()
        with lock:
            first = task not in fired
            fired.add(task)
        if first:
            fn(grad)

    if mode == "all":
        return _MultiHandle(tuple(t.register_hook(all_hook(i)) for i, t in enumerate(tensors)))
    return _MultiHandle(tuple(t.register_hook(any_hook) for t in tensors))
