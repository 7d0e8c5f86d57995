"""``fully_shard``: a module whose parameters lie in pieces."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh

from ._units import Unit, cast_floats

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = [
    "CPUOffloadPolicy",
    "DataParallelMeshDims",
    "FSDPModule",
    "MixedPrecisionPolicy",
    "OffloadPolicy",
    "UnshardHandle",
    "fully_shard",
    "register_fsdp_forward_method",
    "share_comm_ctx",
]


@dataclass(frozen=True)
class MixedPrecisionPolicy:
    """The dtypes in which parameters are used, gradients summed and results given; inputs are cast to the first."""

    param_dtype: torch.dtype | None = None
    reduce_dtype: torch.dtype | None = None
    output_dtype: torch.dtype | None = None
    cast_forward_inputs: bool = True


@dataclass
class OffloadPolicy:
    """Pieces stay where they are."""


@dataclass
class CPUOffloadPolicy(OffloadPolicy):
    """Pieces lie in main memory, where they are in any case."""

    pin_memory: bool = True


@dataclass
class DataParallelMeshDims:
    """The names of the mesh's dimensions over which parameters are cut and copied."""

    shard: str | tuple[str, ...] | None = None
    replicate: str | tuple[str, ...] | None = None


class UnshardHandle:
    """What ``unshard(async_op=True)`` gives; the parameters are together when it does."""

    def wait(self) -> None:
        """Wait until the parameters are together."""


class FSDPModule:
    """The methods that ``fully_shard`` adds to a module."""

    _fsdp_unit: Unit

    def _units(self, recurse: bool = True) -> list[Unit]:
        modules = self.modules() if recurse else [self]  # type: ignore[attr-defined]
        return [m._fsdp_unit for m in modules if getattr(m, "_fsdp_unit", None) is not None]

    def unshard(self, async_op: bool = False) -> UnshardHandle | None:
        """Bring the module's parameters together until ``reshard``."""
        self._fsdp_unit.unshard()
        return UnshardHandle() if async_op else None

    def reshard(self) -> None:
        """Go back to pieces."""
        self._fsdp_unit.reshard()

    def set_requires_gradient_sync(self, requires_gradient_sync: bool, *, recurse: bool = True) -> None:
        """Whether the next backward passes exchange gradients; those that do not are added up."""
        for unit in self._units(recurse):
            unit.syncs = requires_gradient_sync

    def set_gradient_divide_factor(self, factor: float) -> None:
        """Divide summed gradients by this, instead of the number of processes."""
        self._fsdp_unit.divisor = factor

    set_reduce_scatter_divide_factor = set_gradient_divide_factor

    def set_all_reduce_hook(self, hook: Callable[[torch.Tensor], None], *, stream: Any = None) -> None:
        """Have ``hook`` see each gradient's piece when it is summed."""
        self._fsdp_unit.hook = hook

    def set_is_last_backward(self, is_last_backward: bool) -> None:
        """Every backward pass is complete when it ends; nothing has to be said."""

    def set_reshard_after_forward(self, reshard_after_forward: bool, recurse: bool = True) -> None:
        """Accepted: whole values live as long as autograd needs them, in either case."""

    set_reshard_after_backward = set_reshard_after_forward

    def set_modules_to_forward_prefetch(self, modules: list[FSDPModule]) -> None:
        """Accepted: nothing is fetched ahead."""

    set_modules_to_backward_prefetch = set_modules_to_forward_prefetch

    def reset_iter_state(self) -> None:
        """Forget gradients that were added up and not exchanged."""
        for unit in self._units():
            unit.pending = [None] * len(unit.params)


def _mesh(mesh: DeviceMesh | None) -> DeviceMesh:
    if mesh is not None:
        return mesh
    if not dist.is_initialized():
        dist.init_process_group()
    return init_device_mesh("cpu", (dist.get_world_size(),))


def fully_shard(
    module: Any,
    *,
    mesh: DeviceMesh | None = None,
    reshard_after_forward: bool | int | None = None,
    shard_placement_fn: Callable[[nn.Parameter], Any] | None = None,
    mp_policy: MixedPrecisionPolicy = MixedPrecisionPolicy(),
    offload_policy: OffloadPolicy = OffloadPolicy(),
    ignored_params: set[nn.Parameter] | None = None,
    dp_mesh_dims: DataParallelMeshDims | None = None,
) -> Any:
    """Cut a module's parameters over processes, in place; they come together while it runs, and gradients are averaged.

    To be called for inner modules first: each call takes the parameters that no inner one has. With a mesh of two
    dimensions parameters are cut along the second and copied along the first. ``parameters()`` are distributed tensors;
    construct the optimizer afterwards. The whole values live until the backward pass has used them, whatever
    ``reshard_after_forward`` says.

    Raises:
        ValueError: a list of modules as a container, or a mesh of more than two dimensions.
    """
    if isinstance(module, (list, tuple)):
        for one in module:
            fully_shard(
                one,
                mesh=mesh,
                shard_placement_fn=shard_placement_fn,
                mp_policy=mp_policy,
                ignored_params=ignored_params,
            )
        return module
    if isinstance(module, (nn.ModuleList, nn.ModuleDict)):
        raise ValueError(
            f"fully_shard does not support containers that do not implement forward: {type(module).__name__}"
        )
    chosen = _mesh(mesh)
    if dp_mesh_dims is not None:
        names = [n for n in (dp_mesh_dims.replicate, dp_mesh_dims.shard) if n is not None]
        chosen = chosen[tuple(name for n in names for name in ((n,) if isinstance(n, str) else n))]
    if chosen.ndim > 2:
        raise ValueError(f"fully_shard expects a 1D or 2D DeviceMesh but got {chosen}")
    unit = Unit(
        module,
        chosen,
        param_dtype=mp_policy.param_dtype,
        reduce_dtype=mp_policy.reduce_dtype,
        ignored=ignored_params or (),
        placement_fn=shard_placement_fn,
    )
    module._fsdp_unit = unit
    kind = type(module)
    module.__class__ = type(f"FSDP{kind.__name__}", (FSDPModule, kind), {"__module__": kind.__module__})
    input_dtype = mp_policy.param_dtype if mp_policy.cast_forward_inputs else None
    _run_together(module, unit, input_dtype, mp_policy.output_dtype)
    return module


def _run_together(
    module: nn.Module, unit: Unit, input_dtype: torch.dtype | None, output_dtype: torch.dtype | None
) -> None:
    """Bring a unit's parameters together around its module's forward."""

    def before(part: nn.Module, args: Any, kwargs: Any) -> Any:
        unit.unshard()
        return cast_floats(args, input_dtype), cast_floats(kwargs, input_dtype)

    def after(part: nn.Module, args: Any, result: Any) -> Any:
        unit.reshard()
        return cast_floats(result, output_dtype)

    module.register_forward_pre_hook(before, prepend=True, with_kwargs=True)
    module.register_forward_hook(after, always_call=True)


def register_fsdp_forward_method(module: nn.Module, method_name: str) -> None:
    """Have the parameters together while another method than ``forward`` runs."""
    if not isinstance(module, FSDPModule):
        return
    if not hasattr(module, method_name):
        raise ValueError(f"{type(module)} does not have a method {method_name}")
    method, unit = getattr(module, method_name), module._fsdp_unit

    def run(*args: Any, **kwargs: Any) -> Any:
        unit.unshard()
        try:
            return method(*args, **kwargs)
        finally:
            unit.reshard()

    setattr(module, method_name, run)


def share_comm_ctx(modules: list[FSDPModule]) -> None:
    """Accepted: all modules use the connections of their group."""
    for module in modules:
        if not isinstance(module, FSDPModule):
            raise ValueError(f"Expects list of FSDPModules but got {type(module)}")
