"""Small things that distributed modules need."""

from __future__ import annotations

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__: list[str] = []


def _sync_params_and_buffers(process_group: Any, module_states: list[torch.Tensor], size: int, src: int) -> None:
    """Give all processes the tensors of rank ``src`` of the group, ``size`` bytes at a time."""
    from ._reducer import _broadcast_coalesced

    with torch.no_grad():
        _broadcast_coalesced(process_group, module_states, size, src)


def _sync_module_states(
    module: torch.nn.Module,
    process_group: Any,
    broadcast_bucket_size: int,
    src: int,
    params_and_buffers_to_ignore: Any = (),
    broadcast_buffers: bool = True,
) -> None:
    """Give all processes the parameters and buffers of rank ``src`` of the group."""
    ignored = set(params_and_buffers_to_ignore)
    states = [p.detach() for name, p in module.named_parameters() if name not in ignored]
    if broadcast_buffers:
        states += [b.detach() for name, b in module.named_buffers() if name not in ignored]
    _sync_params_and_buffers(process_group, states, broadcast_bucket_size, src)


def _apply_to_tensors(fn: Any, container: Any) -> Any:
    """The same structure with ``fn`` applied to its tensors."""
    from torch.utils._pytree import tree_map

    return tree_map(lambda value: fn(value) if isinstance(value, torch.Tensor) else value, container)


def _free_storage(tensor: torch.Tensor) -> None:
    """Give back a tensor's memory."""
    tensor.untyped_storage().resize_(0)


def _alloc_storage(tensor: torch.Tensor, size: torch.Size) -> None:
    """Take memory for a tensor whose memory was given back."""
    tensor.untyped_storage().resize_(size.numel() * tensor.element_size())
