"""Steps that each process takes, and the errors of all of them."""

from __future__ import annotations

import traceback

import torch.distributed as dist

from .api import CheckpointException

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["Together", "find_state_dict_object"]


class Together:
    """The processes that save or load: one of them, the coordinator, sees what all of them have."""

    def __init__(self, group: Any, use_dist: bool, coordinator: int = 0) -> None:
        self.group = group
        self.use_dist = use_dist and dist.is_available() and dist.is_initialized()
        self.rank = dist.get_rank(group) if self.use_dist else 0
        self.size = dist.get_world_size(group) if self.use_dist else 1
        self.coordinator = coordinator
        self.is_coordinator = self.rank == coordinator

    def _tried(self, step: Callable[[], Any]) -> Any:
        try:
            return step(), None
        except BaseException as error:
            return None, (error, traceback.extract_tb(error.__traceback__))

    def gathered(self, what: str, step: Callable[[], Any]) -> list[Any] | None:
        """The results of all processes, for the coordinator; an error of any is everybody's."""
        mine = self._tried(step)
        found: list[Any] = [mine]
        if self.size > 1:
            found = [None] * self.size
            dist.all_gather_object(found, mine, group=self.group)
        failures = {rank: failure for rank, (_, failure) in enumerate(found) if failure is not None}
        if failures:
            raise CheckpointException(what, failures)
        return [value for value, _ in found]

    def decided(self, what: str, step: Callable[[], Any]) -> Any:
        """What the coordinator finds, for everybody."""
        mine = self._tried(step) if self.is_coordinator else None
        if self.size > 1:
            shared = [mine]
            dist.broadcast_object_list(shared, group=self.group, group_src=self.coordinator)
            mine = shared[0]
        assert mine is not None
        value, failure = mine
        if failure is not None:
            raise CheckpointException(what, {self.coordinator: failure})
        return value


def find_state_dict_object(state_dict: dict[str, Any], index: Any) -> Any:
    """The object with the index's name.

    Raises:
        ValueError: there is none.
    """
    if index.fqn not in state_dict:
        raise ValueError(f"Could not find FQN: '{index.fqn}'")
    return state_dict[index.fqn]
