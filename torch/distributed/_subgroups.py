"""Cutting a group into smaller ones."""

from __future__ import annotations

import torch

from ._world import (
    GroupMember,
    _get_default_group,
    _world,
    get_backend,
    get_process_group_ranks,
    get_rank,
    get_world_size,
    new_group,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import timedelta
    from typing import Any

    from ._backends import ProcessGroup

__all__ = ["new_subgroups", "new_subgroups_by_enumeration", "shrink_group", "split_group"]


def new_subgroups(
    group_size: int | None = None,
    group: ProcessGroup | None = None,
    timeout: timedelta | None = None,
    backend: str | None = None,
    pg_options: Any = None,
    group_desc: str | None = None,
) -> tuple[Any, list[Any]]:
    """Cut the processes into groups of ``group_size``; returns this process's group and all of them.

    Raises:
        ValueError: the size is missing, is larger than the world, or does not divide it.
    """
    if group_size is None:
        if torch.cuda.device_count() == 0:
            raise ValueError(
                "Default group size only takes effect when CUDA is available."
                "If your subgroup using a backend that does not depend on CUDA,"
                "please pass in 'group_size' correctly."
            )
        group_size = torch.cuda.device_count()
    if group_size <= 0:
        raise ValueError(f"The arg 'group_size' ({group_size}) must be positive")
    size = get_world_size()
    if size < group_size:
        raise ValueError(f"The arg 'group_size' ({group_size}) must not exceed the world size ({size})")
    if size % group_size:
        raise ValueError(f"The world size ({size}) must be divisible by 'group_size={group_size}'")
    lists = [list(range(at, at + group_size)) for at in range(0, size, group_size)]
    return new_subgroups_by_enumeration(lists, timeout, backend, pg_options, group_desc)


def new_subgroups_by_enumeration(
    ranks_per_subgroup_list: list[list[int]],
    timeout: timedelta | None = None,
    backend: str | None = None,
    pg_options: Any = None,
    group_desc: str | None = None,
) -> tuple[Any, list[Any]]:
    """Make a group of each list of ranks; returns this process's group (or None) and all of them.

    Raises:
        ValueError: there are no lists, or a rank is in two.
    """
    if not ranks_per_subgroup_list:
        raise ValueError("The arg 'ranks_per_subgroup_list' cannot be empty")
    owner: dict[int, list[int]] = {}
    for ranks in ranks_per_subgroup_list:
        for rank in ranks:
            if rank in owner:
                raise ValueError(f"Rank {rank} has appeared in both subgroup {owner[rank]} and {ranks}")
            owner[rank] = ranks
    mine, groups = None, []
    me = get_rank()
    for ranks in ranks_per_subgroup_list:
        made = new_group(ranks, timeout, backend, pg_options, group_desc=group_desc)
        groups.append(made)
        if me in ranks:
            mine = made
    return mine, groups


def split_group(
    parent_pg: ProcessGroup | None = None,
    split_ranks: list[list[int]] | None = None,
    timeout: timedelta | None = None,
    pg_options: Any = None,
    group_desc: str | None = None,
    backend: str | None = None,
) -> Any:
    """Cut a group into those of ``split_ranks``, lists of ranks in it; returns this process's part, or None.

    All members of the parent call it, and nobody else.

    Raises:
        ValueError: there are no lists, or they have a rank twice.
    """
    parent = _get_default_group() if parent_pg is None else parent_pg
    if parent is _world.default_pg and parent.bound_device_id is None:
        raise RuntimeError("No device associated with the default pg, not safe to split any process groups")
    if not split_ranks:
        raise ValueError("split_ranks cannot be None or empty")
    listed = [rank for ranks in split_ranks for rank in ranks]
    if len(set(listed)) != len(listed):
        raise ValueError("the split group cannot have duplicate ranks")
    globals_ = get_process_group_ranks(parent)
    for ranks in split_ranks:
        if parent.rank() in ranks:
            members = sorted(globals_[rank] for rank in ranks)
            return new_group(
                members, timeout, backend or get_backend(parent), pg_options, True, group_desc=group_desc
            )
    return None


def shrink_group(
    ranks_to_exclude: list[int],
    group: ProcessGroup | None = None,
    shrink_flags: int = 0,
    pg_options: Any = None,
) -> Any:
    """Continue a group without some of its processes, for backends that can.

    Raises:
        TypeError: the group's backend cannot; of those here none can. Make a new group with ``new_group``.
    """
    pg = _get_default_group() if group is None else group
    if pg == GroupMember.NON_GROUP_MEMBER:
        raise ValueError("this process is no member of the group")
    backend = pg._get_backend("cpu")
    if not getattr(backend, "supports_shrinking", False):
        raise TypeError(f"Process group backend for '{pg.group_name}' does not support shrinking operations.")
    return backend.shrink(ranks_to_exclude, shrink_flags, pg_options)
