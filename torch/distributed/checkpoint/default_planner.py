"""The planners that are used unless others are given."""

from __future__ import annotations

import io
from dataclasses import replace

import torch

from .metadata import BytesStorageMetadata, Metadata, MetadataIndex, TensorStorageMetadata
from .planner import LoadPlan, LoadPlanner, ReadItem, SavePlan, SavePlanner, WriteItem, WriteItemType
from .planner_helpers import chunk_of, pickled, read_items, write_item

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "DefaultLoadPlanner",
    "DefaultSavePlanner",
    "create_default_global_load_plan",
    "create_default_global_save_plan",
    "create_default_local_load_plan",
    "create_default_local_save_plan",
]


def flattened(state_dict: dict[str, Any]) -> tuple[dict[str, Any], dict[str, tuple[Any, ...]]]:
    """Nested dicts, and lists with tensors in them, as one dict, and the path of each of its names."""
    flat: dict[str, Any] = {}
    paths: dict[str, tuple[Any, ...]] = {}

    def holds(value: Any) -> bool:
        """Whether a list is taken apart: those of plain numbers stay whole."""
        if isinstance(value, dict):
            return True
        if isinstance(value, (list, tuple)):
            return any(isinstance(one, torch.Tensor) or holds(one) for one in value)
        return False

    def visit(path: tuple[Any, ...], value: Any) -> None:
        if isinstance(value, dict) and value:
            for key, inner in value.items():
                visit((*path, str(key)), inner)
        elif isinstance(value, list) and holds(value):
            for index, inner in enumerate(value):
                visit((*path, index), inner)
        else:
            name = ".".join(map(str, path))
            if name in flat:
                raise ValueError(f"duplicated flatten key {name}")
            flat[name], paths[name] = value, path

    for key, value in state_dict.items():
        visit((str(key),), value)
    return flat, paths


def put(state_dict: dict[str, Any], path: tuple[Any, ...], value: Any) -> None:
    """Set a value in nested dicts and lists."""
    place: Any = state_dict
    for step in path[:-1]:
        place = place[_key(place, step)]
    place[_key(place, path[-1])] = value


def _key(place: Any, step: Any) -> Any:
    if isinstance(place, dict) and step not in place:
        # numbers became text in the name
        return next((key for key in place if str(key) == step), step)
    return step


def create_default_local_save_plan(state_dict: dict[str, Any], is_coordinator: bool) -> SavePlan:
    """What this process has to write: its pieces, and in the coordinator all else."""
    items: list[WriteItem] = []
    for name, value in state_dict.items():
        items += write_item(name, value, is_coordinator)
    return SavePlan(items)


def create_default_global_save_plan(
    all_plans: list[SavePlan], rewrite_index_hints: bool = True
) -> tuple[list[SavePlan], Metadata]:
    """The plans with each piece's number, and what the checkpoint says of itself."""
    found: dict[str, Any] = {}
    plans = []
    for plan in all_plans:
        items = []
        for item in plan.items:
            name = item.index.fqn
            if item.type is WriteItemType.BYTE_IO:
                found[name] = BytesStorageMetadata()
                items.append(item)
                continue
            data = item.tensor_data
            assert data is not None
            entry = found.setdefault(name, TensorStorageMetadata(data.properties, data.size, []))
            if rewrite_index_hints:
                item = replace(item, index=MetadataIndex(name, item.index.offset, len(entry.chunks)))
            entry.chunks.append(data.chunk)
            items.append(item)
        plans.append(replace(plan, items=items))
    return plans, Metadata(found)


def create_default_local_load_plan(
    state_dict: dict[str, Any], metadata: Metadata, strict: bool = True
) -> LoadPlan:
    """What this process has to read.

    Raises:
        RuntimeError: the checkpoint lacks a name, and ``strict`` is True.
        ValueError: a tensor has another shape there.
    """
    items: list[ReadItem] = []
    for name, value in state_dict.items():
        if name not in metadata.state_dict_metadata:
            if strict:
                raise RuntimeError(f"Missing key in checkpoint state_dict: {name}.")
            continue
        stored = metadata.state_dict_metadata[name]
        if isinstance(stored, TensorStorageMetadata) and isinstance(value, torch.Tensor) and stored.size != value.shape:
            raise ValueError(
                f"Size mismatch between saved {stored.size} and current: {value.shape} for {name}"
            )
        items += read_items(name, stored, value)
    return LoadPlan(items)


def create_default_global_load_plan(all_plans: list[LoadPlan]) -> list[LoadPlan]:
    """The plans as they are."""
    return all_plans


class DefaultSavePlanner(SavePlanner):
    """Flattens the state dict; a piece that several processes have is written by one of them."""

    def __init__(
        self,
        flatten_state_dict: bool = True,
        flatten_sharded_tensors: bool = True,
        dedup_replicated_tensors: bool | None = None,
        dedup_save_to_lowest_rank: bool = False,
        enable_plan_caching: bool = False,
    ) -> None:
        self.flatten_state_dict = flatten_state_dict
        self.flatten_sharded_tensors = flatten_sharded_tensors
        self.dedup_save_to_lowest_rank = dedup_save_to_lowest_rank
        self.mappings: dict[str, tuple[Any, ...]] = {}

    def set_up_planner(
        self, state_dict: dict[str, Any], storage_meta: Any = None, is_coordinator: bool = False
    ) -> None:
        if self.flatten_state_dict:
            state_dict, self.mappings = flattened(state_dict)
        self.state_dict = state_dict
        self.is_coordinator = is_coordinator

    def create_local_plan(self) -> SavePlan:
        plan = create_default_local_save_plan(self.state_dict, self.is_coordinator)
        if self.flatten_state_dict:
            plan = replace(plan, planner_data=self.mappings)
        self.plan = plan
        return plan

    def create_global_plan(self, all_plans: list[SavePlan]) -> tuple[list[SavePlan], Metadata]:
        plans, metadata = create_default_global_save_plan(self._without_copies(all_plans))
        if self.flatten_state_dict:
            merged: dict[str, Any] = {}
            for plan in plans:
                merged |= plan.planner_data or {}
            metadata = replace(metadata, planner_data=merged)
        self.global_plan, self.metadata = plans, metadata
        return plans, metadata

    def _without_copies(self, plans: list[SavePlan]) -> list[SavePlan]:
        owners: dict[MetadataIndex, list[int]] = {}
        for rank, plan in enumerate(plans):
            for item in plan.items:
                owners.setdefault(item.index, []).append(rank)
        loads = [0] * len(plans)
        chosen: dict[MetadataIndex, int] = {}
        for rank, plan in enumerate(plans):
            for item in plan.items:
                if item.index in chosen:
                    continue
                ranks = owners[item.index]
                one = ranks[0] if self.dedup_save_to_lowest_rank else min(ranks, key=lambda r: (loads[r], r))
                chosen[item.index] = one
                loads[one] += item.tensor_storage_size() or 1
        return [
            replace(plan, items=[item for item in plan.items if chosen[item.index] == rank])
            for rank, plan in enumerate(plans)
        ]

    def finish_plan(self, new_plan: SavePlan) -> SavePlan:
        self.plan = new_plan
        return new_plan

    def resolve_data(self, write_item: WriteItem) -> torch.Tensor | io.BytesIO:
        return self.transform_object(write_item, self.lookup_object(write_item.index))

    def lookup_object(self, index: MetadataIndex) -> Any:
        """The object of an item; to be overridden."""
        return self.state_dict[index.fqn]

    def transform_object(self, write_item: WriteItem, object: Any) -> Any:
        """The bytes of an object, or the numbers of a piece; to be overridden."""
        if write_item.type is WriteItemType.BYTE_IO:
            return pickled(object)
        return chunk_of(object)[0]


class DefaultLoadPlanner(LoadPlanner):
    """Reads into the tensors of a state dict, and sets its other values. With ``allow_partial_load`` names that the
    checkpoint lacks keep what they have.
    """

    def __init__(
        self,
        flatten_state_dict: bool = True,
        flatten_sharded_tensors: bool = True,
        allow_partial_load: bool = False,
    ) -> None:
        self.flatten_state_dict = flatten_state_dict
        self.flatten_sharded_tensors = flatten_sharded_tensors
        self.allow_partial_load = allow_partial_load
        self.original_state_dict: dict[str, Any] = {}
        self.mappings: dict[str, tuple[Any, ...]] = {}

    def set_up_planner(
        self, state_dict: dict[str, Any], metadata: Metadata | None = None, is_coordinator: bool = False
    ) -> None:
        self.original_state_dict = state_dict
        if self.flatten_state_dict:
            state_dict, self.mappings = flattened(state_dict)
        self.state_dict = state_dict
        self.metadata = metadata
        self.is_coordinator = is_coordinator

    def create_local_plan(self) -> LoadPlan:
        assert self.metadata is not None
        return create_default_local_load_plan(self.state_dict, self.metadata, not self.allow_partial_load)

    def create_global_plan(self, global_plan: list[LoadPlan]) -> list[LoadPlan]:
        return create_default_global_load_plan(global_plan)

    def finish_plan(self, central_plan: LoadPlan) -> LoadPlan:
        return central_plan

    def load_bytes(self, read_item: ReadItem, value: io.BytesIO) -> None:
        name = read_item.dest_index.fqn
        loaded = torch.load(value, weights_only=False)
        if self.flatten_state_dict:
            put(self.original_state_dict, self.mappings[name], loaded)
        self.state_dict[name] = loaded

    def resolve_tensor(self, read_item: ReadItem) -> torch.Tensor:
        return self.transform_tensor(read_item, self.lookup_tensor(read_item.dest_index))

    def commit_tensor(self, read_item: ReadItem, tensor: torch.Tensor) -> None:
        """It was read into its place."""

    def lookup_tensor(self, index: MetadataIndex) -> torch.Tensor:
        """The numbers that this process has of a tensor; to be overridden."""
        return chunk_of(self.state_dict[index.fqn])[0]

    def transform_tensor(self, read_item: ReadItem, tensor: torch.Tensor) -> torch.Tensor:
        """The part of it that an item fills; to be overridden."""
        for dim, (start, length) in enumerate(zip(read_item.dest_offsets, read_item.lengths, strict=True)):
            tensor = tensor.narrow(dim, start, length)
        return tensor


class _EmptyStateDictLoadPlanner(DefaultLoadPlanner):
    """Makes the state dict itself: everything that the checkpoint has, or what ``keys`` name."""

    def __init__(self, keys: set[str] | None = None, *args: Any, **kwargs: Any) -> None:
        self.keys = keys
        super().__init__(*args, **kwargs)

    def _wanted(self, name: str, path: tuple[Any, ...]) -> bool:
        if self.keys is None or name in self.keys:
            return True
        starts = [".".join(map(str, path[: end + 1])) for end in range(len(path))]
        return any(start in self.keys for start in starts)

    def set_up_planner(
        self, state_dict: dict[str, Any], metadata: Metadata | None = None, is_coordinator: bool = False
    ) -> None:
        assert not state_dict
        assert metadata is not None
        paths = metadata.planner_data or {}
        for name, stored in metadata.state_dict_metadata.items():
            path = paths.get(name, (name,))
            if not self._wanted(name, path):
                continue
            value = None
            if isinstance(stored, TensorStorageMetadata):
                value = torch.empty(stored.size, dtype=stored.properties.dtype)
            _grow(state_dict, path, value)
        super().set_up_planner(state_dict, metadata, is_coordinator)


def _grow(place: Any, path: tuple[Any, ...], value: Any) -> None:
    """Set a value, making the dicts and lists on the way."""
    for step, following in zip(path, [*path[1:], None], strict=True):
        fresh: Any = value if following is None else ([] if isinstance(following, int) else {})
        if isinstance(place, list):
            while len(place) <= step:
                place.append(None)
            if place[step] is None or following is None:
                place[step] = fresh
        elif step not in place or following is None:
            place[step] = fresh
        place = place[step]


