"""Collectives of Python objects, which travel as pickles: only between processes that trust each other."""

from __future__ import annotations

import io
import pickle

import torch

from ._collectives import _collective, _of, all_gather, broadcast, check_list_at_root, gather, root_of, scatter
from ._point_to_point import recv, send
from ._transport import bytes_of
from ._world import _rank_not_in_group, _warn_not_in_group, get_global_rank

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from torch import Tensor

    from ._backends import ProcessGroup

__all__ = [
    "all_gather_object",
    "broadcast_object_list",
    "gather_object",
    "recv_object_list",
    "scatter_object_list",
    "send_object_list",
]


def _object_to_tensor(obj: Any, device: Any = None, group: Any = None) -> tuple[Tensor, Tensor]:
    """The bytes of an object's pickle, and how many."""
    file = io.BytesIO()
    pickle.Pickler(file).dump(obj)
    data = file.getbuffer()
    tensor = torch.empty(len(data), dtype=torch.uint8)
    bytes_of(tensor)[:] = data
    return tensor, torch.tensor([len(data)])


def _tensor_to_object(tensor: Tensor, tensor_size: Any, group: Any = None) -> Any:
    """The object of a pickle of so many bytes."""
    return pickle.loads(bytes_of(tensor[: int(tensor_size)].contiguous()))


@_collective
def all_gather_object(object_list: list[Any], obj: Any, group: ProcessGroup | None = None) -> None:
    """Fill ``object_list`` with the objects of all processes, in the order of their ranks."""
    pg = _of(group)
    data, size = _object_to_tensor(obj)
    sizes = [torch.zeros_like(size) for _ in range(pg.size())]
    all_gather(sizes, size, group=pg)
    most = max(int(one) for one in sizes)
    # Pieces of one size are what all_gather takes.
    data = torch.cat([data, data.new_empty(most - data.numel())])
    parts = list(torch.empty(pg.size(), most, dtype=torch.uint8).unbind())
    all_gather(parts, data, group=pg)
    for rank, part in enumerate(parts):
        object_list[rank] = _tensor_to_object(part, sizes[rank])


@_collective
def gather_object(
    obj: Any,
    object_gather_list: list[Any] | None = None,
    dst: int | None = None,
    group: ProcessGroup | None = None,
    group_dst: int | None = None,
) -> None:
    """Fill the ``object_gather_list`` of rank ``dst`` (0 unless given) with the objects of all processes."""
    pg = _of(group)
    root = root_of(pg, dst, group_dst, default=0)
    here = pg.rank() == root
    check_list_at_root(here, "gather_list", object_gather_list, "destination")
    data, size = _object_to_tensor(obj)
    sizes = [torch.zeros_like(size) for _ in range(pg.size())]
    all_gather(sizes, size, group=pg)
    most = max(int(one) for one in sizes)
    data = torch.cat([data, data.new_empty(most - data.numel())])
    parts = list(torch.empty(pg.size(), most, dtype=torch.uint8).unbind()) if here else None
    gather(data, parts, group=pg, group_dst=root)
    if parts is not None and object_gather_list is not None:
        for rank, part in enumerate(parts):
            object_gather_list[rank] = _tensor_to_object(part, sizes[rank])


def _joined(objects: list[Any]) -> tuple[Tensor, Tensor]:
    pairs = [_object_to_tensor(obj) for obj in objects]
    data = torch.cat([pair[0] for pair in pairs]) if pairs else torch.empty(0, dtype=torch.uint8)
    return data, torch.tensor([pair[0].numel() for pair in pairs], dtype=torch.int64)


def _taken_apart(object_list: list[Any], data: Tensor, sizes: Tensor) -> None:
    for index, part in enumerate(data.split(sizes.tolist())):
        object_list[index] = _tensor_to_object(part, part.numel())


@_collective
def broadcast_object_list(
    object_list: list[Any],
    src: int | None = None,
    group: ProcessGroup | None = None,
    device: torch.device | None = None,
    group_src: int | None = None,
) -> None:
    """Give every process the objects that rank ``src`` (0 unless given) has in its list."""
    pg = _of(group)
    root = root_of(pg, src, group_src, default=0)
    here = pg.rank() == root
    data, sizes = _joined(object_list) if here else (None, torch.empty(len(object_list), dtype=torch.int64))
    broadcast(sizes, group=pg, group_src=root)
    if data is None:
        data = torch.empty(int(sizes.sum()), dtype=torch.uint8)
    broadcast(data, group=pg, group_src=root)
    if not here:
        _taken_apart(object_list, data, sizes)


@_collective
def scatter_object_list(
    scatter_object_output_list: list[Any],
    scatter_object_input_list: list[Any] | None = None,
    src: int | None = None,
    group: ProcessGroup | None = None,
    group_src: int | None = None,
) -> None:
    """Make the first element of each process's output list its object of the input list of rank ``src``."""
    if not isinstance(scatter_object_output_list, list) or not scatter_object_output_list:
        raise ValueError("Expected argument scatter_object_output_list to be a list of size at least 1.")
    pg = _of(group)
    root = root_of(pg, src, group_src, default=0)
    here = pg.rank() == root
    pairs = [_object_to_tensor(obj) for obj in scatter_object_input_list or []] if here else []
    most = torch.tensor([max((pair[0].numel() for pair in pairs), default=0)])
    broadcast(most, group=pg, group_src=root)
    place = torch.empty(int(most), dtype=torch.uint8)
    padded = [torch.cat([data, data.new_empty(int(most) - data.numel())]) for data, _ in pairs]
    scatter(place, padded if here else None, group=pg, group_src=root)
    size = torch.zeros(1, dtype=torch.int64)
    scatter(size, [pair[1] for pair in pairs] if here else None, group=pg, group_src=root)
    scatter_object_output_list[0] = _tensor_to_object(place, size)


def send_object_list(
    object_list: list[Any],
    dst: int | None = None,
    group: ProcessGroup | None = None,
    device: torch.device | None = None,
    group_dst: int | None = None,
    use_batch: bool = False,
) -> None:
    """Send the objects of a list to rank ``dst``."""
    if _rank_not_in_group(group):
        _warn_not_in_group("send_object_list")
        return
    data, sizes = _joined(object_list)
    send(sizes, dst, group, group_dst=group_dst)
    send(data, dst, group, group_dst=group_dst)


def recv_object_list(
    object_list: list[Any],
    src: int | None = None,
    group: ProcessGroup | None = None,
    device: torch.device | None = None,
    group_src: int | None = None,
    use_batch: bool = False,
) -> int:
    """Receive as many objects as the list has, of rank ``src`` or of whichever process sends first; its rank, or -1."""
    if _rank_not_in_group(group):
        _warn_not_in_group("recv_object_list")
        return -1
    sizes = torch.empty(len(object_list), dtype=torch.int64)
    if group_src is not None:
        src = get_global_rank(_of(group), group_src)
    source = recv(sizes, src, group)
    data = torch.empty(int(sizes.sum()), dtype=torch.uint8)
    recv(data, source, group)
    _taken_apart(object_list, data, sizes)
    return source
