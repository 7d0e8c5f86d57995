"""Saving."""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum

from .default_planner import DefaultSavePlanner
from .logger import logged
from .metadata import Metadata
from .planner import SavePlanner
from .stateful import Stateful
from .storage import StorageWriter
from .utils import Together

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .staging import AsyncStager

__all__ = ["AsyncCheckpointerType", "AsyncSaveResponse", "async_save", "save", "save_state_dict"]


class AsyncCheckpointerType(Enum):
    """What writes in the background."""

    THREAD = "thread"
    PROCESS = "process"


@dataclass
class AsyncSaveResponse:
    """When the copy is made, and when it is written."""

    staging_completion: Future[None]
    upload_completion: Future[None]


def states_of(state_dict: dict[str, Any]) -> dict[str, Any]:
    """Objects that have a state, replaced by it."""
    return {key: value.state_dict() if isinstance(value, Stateful) else value for key, value in state_dict.items()}


def writer_for(checkpoint_id: str | os.PathLike[str] | None, writer: StorageWriter | None) -> StorageWriter:
    """The writer that is given, or one for a folder."""
    if writer is not None:
        writer.reset(checkpoint_id)
        return writer
    if not checkpoint_id:
        raise RuntimeError("`checkpoint_id` must be specified if storage_reader/storage_writer is None.")
    from .filesystem import FileSystemWriter

    if not FileSystemWriter.validate_checkpoint_id(checkpoint_id):
        raise RuntimeError(
            f"Cannot detect which StorageReader or StorageWriter to use for {checkpoint_id}: only folders are known. "
            "Please specify storage_reader/storage_writer."
        )
    return FileSystemWriter(checkpoint_id, single_file_per_rank=True)


def save(
    state_dict: dict[str, Any],
    *,
    checkpoint_id: str | os.PathLike[str] | None = None,
    storage_writer: StorageWriter | None = None,
    planner: SavePlanner | None = None,
    process_group: Any = None,
    no_dist: bool = False,
    use_collectives: bool = True,
) -> Metadata:
    """Write a state dict, each process its pieces; all call it. PyTorch can read it.

    Values may be tensors, distributed ones too, nested dicts and lists, objects with ``state_dict``, and anything that
    can be pickled.

    Raises:
        CheckpointException: something went wrong in a process.
        RuntimeError: neither a name nor a writer is given.
    """
    writer = writer_for(checkpoint_id, storage_writer)
    with logged("save", checkpoint_id=str(checkpoint_id)):
        return _saved(states_of(state_dict), writer, process_group, 0, no_dist, planner, use_collectives)


def _saved(
    state_dict: dict[str, Any],
    writer: StorageWriter,
    group: Any,
    coordinator: int,
    no_dist: bool,
    planner: SavePlanner | None,
    use_collectives: bool = True,
) -> Metadata:
    together = Together(group, not no_dist, coordinator)
    planner = DefaultSavePlanner() if planner is None else planner

    def local() -> Any:
        planner.set_up_planner(state_dict, writer.storage_meta(), together.is_coordinator)
        writer.set_up_storage_writer(
            together.is_coordinator, rank=together.rank, use_collectives=use_collectives
        )
        return writer.prepare_local_plan(planner.create_local_plan())

    if not use_collectives:
        plans, metadata = planner.create_global_plan([local()])
        written = writer.write_data(planner.finish_plan(plans[0]), planner).wait()
        writer.finish(metadata, [written])
        return metadata
    plans = together.gathered("plan", local)

    def whole() -> Any:
        made, metadata = planner.create_global_plan(plans)
        return writer.prepare_global_plan(made), metadata

    made, metadata = together.decided("plan", whole)

    def write() -> Any:
        return writer.write_data(planner.finish_plan(made[together.rank]), planner).wait()

    results = together.gathered("write", write)
    together.decided("finish", lambda: writer.finish(metadata, results))
    return metadata


def async_save(
    state_dict: dict[str, Any],
    *,
    checkpoint_id: str | os.PathLike[str] | None = None,
    storage_writer: StorageWriter | None = None,
    planner: SavePlanner | None = None,
    process_group: Any = None,
    async_checkpointer_type: AsyncCheckpointerType = AsyncCheckpointerType.THREAD,
    async_stager: AsyncStager | None = None,
    no_dist: bool = False,
    use_collectives: bool = True,
) -> Future[Any] | AsyncSaveResponse:
    """Copy a state dict, and write the copy in the background; returns a future.

    With several processes give ``process_group`` a group of its own, so that its collectives meet no others.

    Raises:
        NotImplementedError: for a process of its own as the writer.
    """
    if async_checkpointer_type is not AsyncCheckpointerType.THREAD:
        raise NotImplementedError("async_save writes in a thread; a process of its own is not supported")
    from .staging import copied

    states = states_of(state_dict)
    copy = copied(states) if async_stager is None else async_stager.stage(states)
    pool = ThreadPoolExecutor(max_workers=1)

    def write() -> Any:
        staged = copy.result() if isinstance(copy, Future) else copy
        return save(
            staged,
            checkpoint_id=checkpoint_id,
            storage_writer=storage_writer,
            planner=planner,
            process_group=process_group,
            no_dist=no_dist,
            use_collectives=use_collectives,
        )

    written = pool.submit(write)
    pool.shutdown(wait=False)
    return AsyncSaveResponse(copy, written) if isinstance(copy, Future) else written


def save_state_dict(
    state_dict: dict[str, Any],
    storage_writer: StorageWriter,
    process_group: Any = None,
    coordinator_rank: int = 0,
    no_dist: bool = False,
    planner: SavePlanner | None = None,
) -> Metadata:
    """The older form of ``save``."""
    storage_writer.reset()
    return _saved(state_dict, storage_writer, process_group, coordinator_rank, no_dist, planner)
