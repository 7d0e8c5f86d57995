"""Processes in rows and columns: a mesh has a group for each row, column, ... that a process is in."""

from __future__ import annotations

import math

import torch

from . import distributed_c10d as c10d

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

__all__ = ["DeviceMesh", "init_device_mesh"]

# Meshes whose `with` block is open, the innermost last.
_open: list[DeviceMesh] = []


class DeviceMesh:
    """An array of ranks; each line of it, in every direction, is a group.

    ``mesh`` is a tensor or nested list of global ranks. All processes construct it together. With names for the
    dimensions, ``mesh["tp"]`` is the part of it that this process is in, with the other dimensions left out.

    >>> import torch.distributed as dist
    >>> dist.init_process_group("fake", rank=2, world_size=8)
    >>> mesh = dist.init_device_mesh("cpu", (2, 4), mesh_dim_names=("dp", "tp"))
    >>> mesh
    DeviceMesh((dp=2, tp=4), 'cpu', stride=(4, 1))
    >>> mesh["tp"].get_local_rank(), mesh.get_coordinate()
    (2, (0, 2))
    >>> dist.destroy_process_group()

    Raises:
        RuntimeError: more ranks than processes, or ranks twice.
    """

    def __init__(
        self,
        device_type: str,
        mesh: Any = None,
        *,
        mesh_dim_names: tuple[str, ...] | None = None,
        backend_override: tuple[Any, ...] | None = None,
        _init_backend: bool = True,
        _rank: int | None = None,
        _layout: Any = None,
        _rank_map: torch.Tensor | None = None,
        _root_mesh: DeviceMesh | None = None,
    ) -> None:
        if mesh is None:
            raise TypeError("DeviceMesh needs `mesh`, an array of ranks")
        self.device_type = device_type
        if isinstance(mesh, torch.Tensor):
            self.mesh = mesh.detach().to(torch.int32)
        else:
            self.mesh = torch.tensor(mesh, dtype=torch.int32)
        self.mesh_dim_names = tuple(mesh_dim_names) if mesh_dim_names else None
        self._root = _root_mesh
        self._flattened: dict[str, DeviceMesh] = {}
        self._groups: list[Any] = []
        self._thread_id = None
        listed = self.mesh.flatten().tolist()
        if len(set(listed)) != len(listed):
            raise RuntimeError(f"DeviceMesh cannot have the same rank twice, but found {listed}")
        if _root_mesh is None and _init_backend:
            if not c10d.is_initialized():
                c10d.init_process_group()
            size = c10d.get_world_size()
            if self.mesh.numel() > size:
                raise RuntimeError(
                    f"Mesh should not be bigger than default world size {size}, but found {self.mesh.numel()} ranks!"
                )
        self._rank = _rank if _rank is not None else (c10d.get_rank() if c10d.is_initialized() else 0)
        at = (self.mesh == self._rank).nonzero()
        self._coordinate = tuple(at[0].tolist()) if at.numel() or self.mesh.dim() == 0 and len(at) else None
        if _root_mesh is None and _init_backend:
            self._make_groups(backend_override)

    def _make_groups(self, backends: tuple[Any, ...] | None) -> None:
        whole = list(range(c10d.get_world_size()))
        for dim in range(self.ndim):
            if self.ndim == 1 and self.mesh.tolist() == whole and not (backends and backends[dim]):
                self._groups.append(c10d.group.WORLD)
                continue
            name = f"mesh_{self.mesh_dim_names[dim] if self.mesh_dim_names else f'dim_{dim}'}"
            backend = backends[dim][0] if backends and backends[dim] else None
            mine = None
            for ranks in self.mesh.movedim(dim, -1).reshape(-1, self.mesh.shape[dim]).tolist():
                group = c10d.new_group(ranks, backend=backend, group_desc=name, sort_ranks=False)
                if self._rank in ranks:
                    mine = group
            self._groups.append(mine)

    @staticmethod
    def _of(root: DeviceMesh, ranks: torch.Tensor, names: tuple[str, ...] | None, groups: list[Any]) -> DeviceMesh:
        part = DeviceMesh(root.device_type, ranks, mesh_dim_names=names, _root_mesh=root, _rank=root._rank)
        part._groups = groups
        return part

    @property
    def ndim(self) -> int:
        """How many dimensions there are."""
        return self.mesh.dim()

    @property
    def shape(self) -> tuple[int, ...]:
        """How many processes there are in each direction."""
        return tuple(self.mesh.shape)

    def size(self, mesh_dim: int | None = None) -> int:
        """How many processes there are, in all or in one direction."""
        return self.mesh.numel() if mesh_dim is None else self.mesh.shape[mesh_dim]

    def __repr__(self) -> str:
        if self.mesh_dim_names:
            shape = ", ".join(f"{name}={size}" for name, size in zip(self.mesh_dim_names, self.shape, strict=True))
            shape = f"({shape})"
        else:
            shape = str(self.shape)
        base = self._get_root_mesh().mesh.flatten().tolist()
        strides = []
        for dim in range(self.ndim):
            line = self.mesh.movedim(dim, -1).reshape(-1, self.mesh.shape[dim])[0].tolist()
            places = [base.index(rank) if rank in base else rank for rank in line]
            strides.append(places[1] - places[0] if len(places) > 1 else math.prod(self.shape[dim + 1 :]))
        return f"DeviceMesh({shape}, '{self.device_type}', stride={tuple(strides)})"

    def _key(self) -> Any:
        return self.device_type, self.shape, tuple(self.mesh.flatten().tolist()), self.mesh_dim_names

    def __hash__(self) -> int:
        return hash(self._key())

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, DeviceMesh) and self._key() == other._key())

    def __enter__(self) -> DeviceMesh:
        _open.append(self)
        return self

    def __exit__(self, *exc: Any) -> None:
        _open.pop()

    def __getitem__(self, names: str | tuple[str, ...]) -> DeviceMesh:
        """The part of the mesh along the named dimensions that this process is in."""
        if not self.mesh_dim_names:
            raise RuntimeError("Cannot slice a DeviceMesh without mesh_dim_names!")
        wanted = (names,) if isinstance(names, str) else tuple(names)
        if wanted == self.mesh_dim_names:
            return self
        root = self._get_root_mesh()
        if len(wanted) == 1 and wanted[0] in root._flattened and wanted[0] not in self.mesh_dim_names:
            return root._flattened[wanted[0]]
        if any(name not in self.mesh_dim_names for name in wanted):
            raise KeyError(
                f"Invalid mesh_dim_names {wanted} specified. Valid mesh_dim_names are {list(self.mesh_dim_names)}."
            )
        dims = [self.mesh_dim_names.index(name) for name in wanted]
        if dims != sorted(dims):
            raise KeyError(
                f"Invalid mesh_dim_names {wanted} specified. Mesh dim indices should be in ascending order."
            )
        at = self._coordinate or (0,) * self.ndim
        index = tuple(slice(None) if dim in dims else at[dim] for dim in range(self.ndim))
        return self._of(root, self.mesh[index], wanted, [self._groups[dim] for dim in dims])

    def _get_root_mesh(self) -> DeviceMesh:
        return self if self._root is None else self._root

    def _get_mesh_dim_by_name(self, name: str) -> int:
        if not self.mesh_dim_names:
            raise KeyError("No `mesh_dim_names` found.")
        if name not in self.mesh_dim_names:
            raise KeyError(
                f"Mesh dimension '{name}' does not exist. Available mesh dimensions are: "
                f"mesh_dim_names={self.mesh_dim_names}"
            )
        return self.mesh_dim_names.index(name)

    def _dim(self, mesh_dim: int | str | None, more: str = "") -> int:
        if mesh_dim is None:
            if self.ndim > 1:
                raise RuntimeError(
                    f"Found the DeviceMesh have {self.ndim} dimensions: optional kwarg `mesh_dim` needs to be "
                    f"specified when device_mesh.ndim > 1.{more}"
                )
            return 0
        return self._get_mesh_dim_by_name(mesh_dim) if isinstance(mesh_dim, str) else mesh_dim

    def get_group(self, mesh_dim: int | str | None = None) -> Any:
        """The group of this process along one dimension."""
        if isinstance(mesh_dim, str) and mesh_dim in self._get_root_mesh()._flattened:
            return self._get_root_mesh()._flattened[mesh_dim].get_group()
        if not self._groups:
            raise RuntimeError("DeviceMesh process groups not initialized!")
        more = " If you want to get the list of all the ProcessGroups in the DeviceMesh, use `get_all_groups()`."
        return self._groups[self._dim(mesh_dim, more)]

    def get_all_groups(self) -> list[Any]:
        """The groups of this process along all dimensions."""
        return [self.get_group(dim) for dim in range(self.ndim)]

    def get_rank(self) -> int:
        """This process's global rank."""
        return self._rank

    def get_local_rank(self, mesh_dim: int | str | None = None) -> int:
        """This process's place along one dimension."""
        dim = self._dim(mesh_dim)
        if self._coordinate is None:
            return -1
        return self._coordinate[dim]

    def get_coordinate(self) -> tuple[int, ...] | None:
        """This process's place along all dimensions, or None if it is not in the mesh."""
        return self._coordinate

    def _is_current_rank_part_of_mesh(self) -> bool:
        return self._coordinate is not None

    def _flatten(self, mesh_dim_name: str | None = None, backend_override: Any = None) -> DeviceMesh:
        """The processes of this mesh in one line; found later under the name too. All processes call it."""
        root = self._get_root_mesh()
        name = mesh_dim_name or "_".join(self.mesh_dim_names or ("flat",))
        if name in root._flattened:
            return root._flattened[name]
        if self.ndim == 1 and mesh_dim_name in (None, (self.mesh_dim_names or ("",))[0]):
            return self
        ranks = self.mesh.flatten()
        mine = None
        if sorted(ranks.tolist()) == sorted(root.mesh.flatten().tolist()):
            lines = [ranks.tolist()]
        else:
            kept = [root.mesh_dim_names.index(one) for one in self.mesh_dim_names or ()]  # type: ignore[union-attr]
            rest = [dim for dim in range(root.ndim) if dim not in kept]
            lines = root.mesh.permute(*rest, *kept).reshape(-1, ranks.numel()).tolist()
        for line in lines:
            group = c10d.new_group(line, group_desc=f"mesh_{name}", sort_ranks=False)
            if self._rank in line:
                mine = group
        flat = self._of(root, ranks, (name,), [mine])
        root._flattened[name] = flat
        return flat

    @staticmethod
    def from_group(
        group: Any, device_type: str, mesh: Any = None, *, mesh_dim_names: tuple[str, ...] | None = None
    ) -> DeviceMesh:
        """A mesh of groups that there are already: one group, or one for each dimension of ``mesh``."""
        if not isinstance(group, (list, tuple)):
            ranks = torch.tensor(c10d.get_process_group_ranks(group), dtype=torch.int32)
            if mesh is not None and torch.as_tensor(mesh).flatten().tolist() != ranks.tolist():
                raise ValueError(f"Invalid mesh {mesh} for ProcessGroup with ranks {ranks.tolist()}")
            groups = [group]
        else:
            groups = list(group)
            if not groups:
                raise ValueError("Expects at least one ProcessGroup to be passed")
            if mesh is None:
                raise ValueError("Must pass mesh if passing multiple ProcessGroups")
            ranks = torch.as_tensor(mesh).to(torch.int32)
            if ranks.dim() != len(groups):
                raise ValueError(f"Expects mesh with ndim equal to number of ProcessGroups but got {ranks.dim()}")
        made = DeviceMesh(device_type, ranks, mesh_dim_names=mesh_dim_names, _init_backend=False)
        made._groups = groups
        return made


def _current() -> DeviceMesh:
    """The mesh of the innermost ``with`` block."""
    if not _open:
        raise RuntimeError("No device mesh is currently active!")
    return _open[-1]


def init_device_mesh(
    device_type: str,
    mesh_shape: tuple[int, ...],
    *,
    mesh_dim_names: tuple[str, ...] | None = None,
    backend_override: dict[int | str, Any] | None = None,
) -> DeviceMesh:
    """A mesh of the first ranks in order; all processes call it. Makes the default group if there is none.

    Raises:
        RuntimeError: names that are not one for each dimension, or twice the same; a device with an index; more ranks
            than processes.
    """
    if mesh_dim_names is not None:
        if len(set(mesh_dim_names)) != len(mesh_dim_names):
            raise RuntimeError(
                "Each mesh_dim_name must be unique. Found repeated mesh_dim_name in mesh_dim_names "
                f"{mesh_dim_names}"
            )
        if len(mesh_shape) != len(mesh_dim_names):
            raise RuntimeError(
                "mesh_shape and mesh_dim_names should have same length! Found len(mesh_dim_names): "
                f"{len(mesh_dim_names)} and len(mesh_shape):{len(mesh_shape)}."
            )
    if not device_type.isalpha():
        raise RuntimeError(
            f"Device type with index is not supported but got {device_type}. If you maintained a 'torch.device' "
            "object, it's recommended to pass in 'device.type'."
        )
    ranks = torch.arange(math.prod(mesh_shape), dtype=torch.int32).view(tuple(mesh_shape))
    backends: tuple[Any, ...] | None = None
    if backend_override is not None:
        keys: Sequence[Any] = mesh_dim_names or range(len(mesh_shape))
        chosen = [backend_override.get(key, backend_override.get(dim)) for dim, key in enumerate(keys)]
        backends = tuple(one if one is None or isinstance(one, tuple) else (one, None) for one in chosen)
    return DeviceMesh(device_type, ranks, mesh_dim_names=mesh_dim_names, backend_override=backends)
