"""An optimizer's state, read before the optimizer has any."""

from __future__ import annotations

import torch
from torch.distributed.tensor import DTensor, zeros

from .default_planner import DefaultLoadPlanner, _grow
from .metadata import TensorStorageMetadata
from .planner import LoadPlanner
from .state_dict_loader import _load_state_dict
from .storage import StorageReader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["load_sharded_optimizer_state_dict"]


def load_sharded_optimizer_state_dict(
    model_state_dict: dict[str, Any],
    optimizer_key: str,
    storage_reader: StorageReader,
    planner: LoadPlanner | None = None,
) -> dict[str, Any]:
    """The state below ``optimizer_key``; a tensor of a parameter that has its shape lies as the parameter does.

    Returns ``{optimizer_key: state}``.
    """
    metadata = storage_reader.read_metadata()
    paths = metadata.planner_data or {}
    state: dict[str, Any] = {}
    for name, stored in metadata.state_dict_metadata.items():
        path = paths.get(name, (name,))
        if path[0] != optimizer_key:
            continue
        value: Any = None
        if isinstance(stored, TensorStorageMetadata):
            owner = next((one for key, one in model_state_dict.items() if key in map(str, path)), None)
            dtype = stored.properties.dtype
            if isinstance(owner, DTensor) and owner.shape == stored.size:
                value = zeros(stored.size, dtype=dtype, device_mesh=owner.device_mesh, placements=owner.placements)
            else:
                value = torch.empty(stored.size, dtype=dtype)
        _grow(state, path, value)
    _load_state_dict(state, storage_reader, planner=DefaultLoadPlanner() if planner is None else planner)
    return state
