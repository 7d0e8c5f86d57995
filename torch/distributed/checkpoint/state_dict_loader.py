"""Loading."""

from __future__ import annotations

import os

from .default_planner import DefaultLoadPlanner, _EmptyStateDictLoadPlanner
from .logger import logged
from .planner import LoadPlanner
from .stateful import Stateful
from .storage import StorageReader
from .utils import Together

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["load", "load_state_dict"]


def reader_for(checkpoint_id: str | os.PathLike[str] | None, reader: StorageReader | None) -> StorageReader:
    """The reader that is given, or one for a folder."""
    if reader is not None:
        reader.reset(checkpoint_id)
        return reader
    if not checkpoint_id:
        raise RuntimeError("`checkpoint_id` must be specified if storage_reader/storage_writer is None.")
    from .filesystem import FileSystemReader

    return FileSystemReader(checkpoint_id)


def load(
    state_dict: dict[str, Any],
    *,
    checkpoint_id: str | os.PathLike[str] | None = None,
    storage_reader: StorageReader | None = None,
    planner: LoadPlanner | None = None,
    process_group: Any = None,
    no_dist: bool = False,
) -> None:
    """Read a checkpoint into the tensors of a state dict, and set its other values; all processes call it.

    The tensors may lie otherwise than those that were saved: each process reads what it needs. Objects with
    ``load_state_dict`` get their state back.

    Raises:
        CheckpointException: a name is missing, a shape differs, or a file cannot be read.
        RuntimeError: neither a name nor a reader is given.
    """
    reader = reader_for(checkpoint_id, storage_reader)
    states = {key: value.state_dict() if isinstance(value, Stateful) else value for key, value in state_dict.items()}
    with logged("load", checkpoint_id=str(checkpoint_id)):
        _load_state_dict(states, reader, process_group, 0, no_dist, planner)
    for key, value in list(state_dict.items()):
        if isinstance(value, Stateful):
            value.load_state_dict(states[key])
        else:
            state_dict[key] = states[key]


def _load_state_dict(
    state_dict: dict[str, Any],
    storage_reader: StorageReader,
    process_group: Any = None,
    coordinator_rank: int = 0,
    no_dist: bool = False,
    planner: LoadPlanner | None = None,
) -> None:
    together = Together(process_group, not no_dist, coordinator_rank)
    chosen = DefaultLoadPlanner() if planner is None else planner

    def local() -> Any:
        metadata = storage_reader.read_metadata()
        chosen.set_up_planner(state_dict, metadata, together.is_coordinator)
        storage_reader.set_up_storage_reader(metadata, together.is_coordinator, rank=together.rank)
        return storage_reader.prepare_local_plan(chosen.create_local_plan())

    plans = together.gathered("plan", local)
    made = together.decided("plan", lambda: storage_reader.prepare_global_plan(chosen.create_global_plan(plans)))

    def read() -> None:
        storage_reader.read_data(chosen.finish_plan(made[together.rank]), chosen).wait()

    together.gathered("read", read)


def load_state_dict(
    state_dict: dict[str, Any],
    storage_reader: StorageReader,
    process_group: Any = None,
    coordinator_rank: int = 0,
    no_dist: bool = False,
    planner: LoadPlanner | None = None,
) -> None:
    """The older form of ``load``."""
    storage_reader.reset()
    _load_state_dict(state_dict, storage_reader, process_group, coordinator_rank, no_dist, planner)


def _load_state_dict_from_keys(
    keys: set[str] | str | None = None,
    *,
    checkpoint_id: str | os.PathLike[str] | None = None,
    storage_reader: StorageReader | None = None,
    process_group: Any = None,
) -> dict[str, Any]:
    """Everything that a checkpoint has, or what the keys name, as whole tensors."""
    reader = reader_for(checkpoint_id, storage_reader)
    wanted = {keys} if isinstance(keys, str) else keys
    found: dict[str, Any] = {}
    _load_state_dict(found, reader, process_group, planner=_EmptyStateDictLoadPlanner(wanted or None))
    return found
