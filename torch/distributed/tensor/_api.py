"""``DTensor``: one tensor over many processes."""

from __future__ import annotations

import torch

from .. import distributed_c10d as c10d
from ..device_mesh import DeviceMesh, _current
from ._dispatch import dispatch
from ._redistribute import local_shape_and_offset, redistribute_local
from .placement_types import DTensorSpec, Partial, Placement, Replicate, Shard, TensorMeta

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from torch import Tensor

__all__ = ["DTensor", "distribute_module", "distribute_tensor", "empty", "full", "ones", "rand", "randn", "zeros"]


def _without_partial(placements: Sequence[Placement]) -> tuple[Placement, ...]:
    """Where a gradient lies: everybody has all of it where the value is a sum of what all have."""
    return tuple(Replicate() if isinstance(p, Partial) else p for p in placements)


class _FromLocal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, local: Tensor, spec: DTensorSpec) -> Any:
        ctx.spec = spec
        return DTensor(local.detach(), spec, requires_grad=local.requires_grad)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        spec = ctx.spec
        wanted = _without_partial(spec.placements)
        return redistribute_local(grad._local_tensor, grad.shape, spec.mesh, grad._spec.placements, wanted), None


class _ToLocal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: DTensor, grad_placements: Any) -> Tensor:
        ctx.spec, ctx.grad_placements = tensor._spec, grad_placements
        return tensor._local_tensor.view_as(tensor._local_tensor)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        spec = ctx.spec
        placements = ctx.grad_placements or _without_partial(spec.placements)
        return DTensor(grad, DTensorSpec(spec.mesh, tuple(placements), spec.tensor_meta), requires_grad=False), None


class _Redistribute(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: DTensor, placements: tuple[Placement, ...]) -> Any:
        spec = tensor._spec
        ctx.spec = spec
        local = redistribute_local(tensor._local_tensor, tensor.shape, spec.mesh, spec.placements, placements)
        return DTensor(local, DTensorSpec(spec.mesh, placements, spec.tensor_meta), requires_grad=False)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        spec, wanted = ctx.spec, _without_partial(ctx.spec.placements)
        local = redistribute_local(grad._local_tensor, grad.shape, spec.mesh, grad._spec.placements, wanted)
        return DTensor(local, DTensorSpec(spec.mesh, wanted, spec.tensor_meta), requires_grad=False), None


def _checked(mesh: DeviceMesh, placements: Any, rank: int) -> tuple[Placement, ...]:
    if placements is None:
        return (Replicate(),) * mesh.ndim
    found: list[Placement] = []
    for placement in placements:
        if isinstance(placement, Shard) and placement.dim < 0:
            if type(placement) is Shard:
                placement = Shard(placement.dim + rank)
        found.append(placement)
    if len(found) != mesh.ndim:
        raise ValueError(
            "`placements` must have the same length as `device_mesh.ndim`! Found placements length: "
            f"{len(found)}, and device_mesh.ndim: {mesh.ndim}."
        )
    for placement in found:
        if isinstance(placement, Shard) and rank and not 0 <= placement.dim < rank:
            raise ValueError(f"Sharding dim {placement.dim} greater than or equal to tensor ndim {rank}")
    return tuple(found)


class DTensor(torch.Tensor):
    """One tensor over the processes of a mesh: each has a piece, ``to_local()``, and operations work on the whole.

    Made by ``distribute_tensor``, by ``DTensor.from_local``, or by operations on others. Every operation gives what it
    would give for the whole tensor; which results are cut into pieces follows from the operands' placements.
    """

    _local_tensor: Tensor
    _spec: DTensorSpec

    @staticmethod
    def __new__(cls, local_tensor: Tensor, spec: DTensorSpec, *, requires_grad: bool = False) -> DTensor:
        meta = spec.tensor_meta
        made = torch.Tensor._make_wrapper_subclass(
            cls,
            meta.shape,
            strides=meta.stride,
            dtype=local_tensor.dtype,
            device=local_tensor.device,
            layout=local_tensor.layout,
            requires_grad=requires_grad,
        )
        made._spec = spec
        made._local_tensor = local_tensor.detach() if local_tensor.requires_grad else local_tensor
        return made

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return (
            f"DTensor(local_tensor={self._local_tensor}, device_mesh={self._spec.mesh}, "
            f"placements={self._spec.placements})"
        )

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return dispatch(DTensor, func, args, kwargs or {})

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _rebuild, (self._local_tensor, self._spec.placements, self._spec.mesh.mesh.tolist(),
                          self._spec.mesh.device_type, self._spec.mesh.mesh_dim_names, tuple(self.shape),
                          tuple(self.stride()), self.requires_grad)  # fmt: skip

    @property
    def device_mesh(self) -> DeviceMesh:
        """The processes."""
        return self._spec.mesh

    @property
    def placements(self) -> tuple[Placement, ...]:
        """How it lies over each dimension of the mesh."""
        return self._spec.placements

    @staticmethod
    def from_local(
        local_tensor: Tensor,
        device_mesh: DeviceMesh | None = None,
        placements: Sequence[Placement] | None = None,
        *,
        run_check: bool = False,
        shape: torch.Size | None = None,
        stride: tuple[int, ...] | None = None,
        grad_placements: Sequence[Placement] | None = None,
    ) -> DTensor:
        """The whole of which every process has a piece. Pieces are equal in size unless ``shape`` says otherwise.

        ``run_check`` gives everybody the replicated values of the first process.
        """
        mesh = _current() if device_mesh is None else device_mesh
        places = _checked(mesh, placements, local_tensor.dim())
        if shape is None:
            whole = list(local_tensor.shape)
            for mesh_dim, placement in enumerate(places):
                if isinstance(placement, Shard):
                    whole[placement.dim] *= mesh.size(mesh_dim)
            shape = torch.Size(whole)
        if stride is None:
            stride = torch.empty(shape, device="meta").stride()
        if run_check:
            local_tensor = local_tensor.clone()
            for mesh_dim, placement in enumerate(places):
                if isinstance(placement, Replicate):
                    c10d.broadcast(local_tensor.detach(), group=mesh.get_group(mesh_dim), group_src=0)
        spec = DTensorSpec(mesh, places, TensorMeta(shape, stride, local_tensor.dtype))
        if not local_tensor.requires_grad:
            return DTensor(local_tensor, spec)
        return _FromLocal.apply(local_tensor, spec)

    def to_local(self, *, grad_placements: Sequence[Placement] | None = None) -> Tensor:
        """This process's piece; gradients go back through it."""
        if not torch.is_grad_enabled() or not self.requires_grad:
            return self._local_tensor
        return _ToLocal.apply(self, grad_placements)

    def redistribute(
        self,
        device_mesh: DeviceMesh | None = None,
        placements: Sequence[Placement] | None = None,
        *,
        async_op: bool = False,
        forward_dtype: torch.dtype | None = None,
        backward_dtype: torch.dtype | None = None,
    ) -> DTensor:
        """The same tensor, lying otherwise.

        Raises:
            RuntimeError: no placements, another mesh, or a placement that is to become Partial.
        """
        if device_mesh is not None and device_mesh != self._spec.mesh:
            raise NotImplementedError("Cross device mesh comm not supported yet!")
        if placements is None:
            raise RuntimeError("placements is needed for redistribute!")
        if backward_dtype is not None:
            raise NotImplementedError("redistribute: backward_dtype is not supported")
        places = _checked(self._spec.mesh, placements, self.dim())
        for have, want in zip(self._spec.placements, places, strict=True):
            if isinstance(want, Partial) and have != want:
                raise RuntimeError(
                    f"Can not redistribute from {have} to {want}, redistributing to Partial is for internal use only!"
                )
        tensor = self if forward_dtype is None else self.to(forward_dtype)
        return tensor if places == tensor._spec.placements else _Redistribute.apply(tensor, places)

    def full_tensor(self, *, grad_placements: Sequence[Placement] | None = None) -> Tensor:
        """The whole tensor, in every process."""
        whole = self.redistribute(placements=[Replicate()] * self._spec.mesh.ndim)
        return whole.to_local(grad_placements=grad_placements)


DTensor.__module__ = "torch.distributed.tensor"


def _rebuild(
    local: Tensor, placements: Any, ranks: Any, kind: str, names: Any, shape: Any, stride: Any, requires_grad: bool
) -> DTensor:
    mesh = DeviceMesh(kind, ranks, mesh_dim_names=names, _init_backend=False)
    spec = DTensorSpec(mesh, placements, TensorMeta(shape, stride, local.dtype))
    return DTensor(local, spec, requires_grad=requires_grad)


def distribute_tensor(
    tensor: Tensor,
    device_mesh: DeviceMesh | None = None,
    placements: Sequence[Placement] | None = None,
    *,
    src_data_rank: int | None = 0,
) -> DTensor:
    """A whole tensor as a distributed one. All processes call it; the values are those of the first of the mesh.

    With ``src_data_rank=None`` every process uses its own values, without any communication.

    Raises:
        ValueError: placements that are not one for each dimension of the mesh.
        RuntimeError: a tensor that is no leaf.
    """
    mesh = _current() if device_mesh is None else device_mesh
    places = _checked(mesh, placements, tensor.dim())
    if isinstance(tensor, DTensor):
        if tensor.device_mesh != mesh:
            raise ValueError(f"Cannot distribute a DTensor with device mesh {tensor.device_mesh} to {mesh}.")
        if tensor.placements != places:
            raise ValueError(f"Cannot distribute a DTensor with placements {tensor.placements} to {places}.")
        return tensor
    if not tensor.is_leaf:
        raise RuntimeError("`distribute_tensor` should be used to distribute leaf tensors! but found non-leaf tensor!")
    local = tensor.detach()
    if mesh.get_coordinate() is not None:
        if src_data_rank is not None and mesh.size() > 1:
            local = local.clone(memory_format=torch.contiguous_format)
            for mesh_dim in range(mesh.ndim):
                c10d.broadcast(local, group=mesh.get_group(mesh_dim), group_src=src_data_rank)
        for mesh_dim, placement in enumerate(places):
            if isinstance(placement, Shard):
                local = placement.take(local, mesh.size(mesh_dim), mesh.get_coordinate()[mesh_dim])  # type: ignore
            elif isinstance(placement, Partial):
                share = placement.reduce_op == "sum" and mesh.get_coordinate()[mesh_dim]  # type: ignore[index]
                local = torch.zeros_like(local) if share else local
        local = local.contiguous().clone() if local.data_ptr() == tensor.data_ptr() else local.contiguous()
    spec = DTensorSpec(mesh, places, TensorMeta(tensor.shape, tensor.stride(), tensor.dtype))
    return DTensor(local, spec, requires_grad=tensor.requires_grad)


def distribute_module(
    module: torch.nn.Module,
    device_mesh: DeviceMesh | None = None,
    partition_fn: Callable[[str, torch.nn.Module, DeviceMesh], None] | None = None,
    input_fn: Callable[[torch.nn.Module, Any, DeviceMesh], Any] | None = None,
    output_fn: Callable[[torch.nn.Module, Any, DeviceMesh], Any] | None = None,
) -> torch.nn.Module:
    """Make a module's parameters and buffers distributed tensors.

    ``partition_fn(name, module, mesh)`` is called for each submodule; what it leaves alone is replicated. ``input_fn``
    and ``output_fn`` see what goes in and comes out.
    """
    mesh = _current() if device_mesh is None else device_mesh
    for name, part in module.named_modules():
        if partition_fn is not None:
            partition_fn(name, part, mesh)
        for key, param in part._parameters.items():
            if param is not None and not isinstance(param, DTensor):
                whole = distribute_tensor(param.detach(), mesh, [Replicate()] * mesh.ndim)
                part.register_parameter(key, torch.nn.Parameter(whole, param.requires_grad))
        for key, buffer in part._buffers.items():
            if buffer is not None and not isinstance(buffer, DTensor):
                part._buffers[key] = distribute_tensor(buffer, mesh, [Replicate()] * mesh.ndim)
    if input_fn is not None:
        module.register_forward_pre_hook(lambda mod, inputs: input_fn(mod, inputs, mesh))
    if output_fn is not None:
        module.register_forward_hook(lambda mod, inputs, outputs: output_fn(mod, outputs, mesh))
    return module


def _made(fill: Callable[..., Tensor], size: Any, options: dict[str, Any], random: bool = False) -> DTensor:
    mesh = options.pop("device_mesh", None) or _current()
    shape = tuple(size[0]) if len(size) == 1 and isinstance(size[0], (list, tuple)) else tuple(size)
    places = _checked(mesh, options.pop("placements", None), len(shape))
    requires_grad = options.pop("requires_grad", False)
    if random:
        # every process draws the whole, so that the values do not depend on the mesh
        made = distribute_tensor(fill(shape, **options), mesh, places, src_data_rank=None)
        return made.requires_grad_(requires_grad)
    pieces, _ = local_shape_and_offset(shape, mesh, places)
    local = fill(pieces, **options)
    for mesh_dim, placement in enumerate(places):
        if isinstance(placement, Partial) and (mesh.get_coordinate() or [0] * mesh.ndim)[mesh_dim]:
            local = torch.zeros_like(local)
    stride = torch.empty(shape, device="meta").stride()
    spec = DTensorSpec(mesh, places, TensorMeta(shape, stride, local.dtype))
    return DTensor(local, spec, requires_grad=requires_grad)


def zeros(*size: Any, requires_grad: bool = False, dtype: Any = None, layout: Any = torch.strided,
          device_mesh: DeviceMesh | None = None, placements: Any = None) -> DTensor:  # fmt: skip
    """Zeros of a whole shape."""
    return _made(torch.zeros, size, {"dtype": dtype, "layout": layout, "device_mesh": device_mesh,
                                     "placements": placements, "requires_grad": requires_grad})  # fmt: skip


def ones(*size: Any, dtype: Any = None, layout: Any = torch.strided, requires_grad: bool = False,
         device_mesh: DeviceMesh | None = None, placements: Any = None) -> DTensor:  # fmt: skip
    """Ones of a whole shape."""
    return _made(torch.ones, size, {"dtype": dtype, "layout": layout, "device_mesh": device_mesh,
                                    "placements": placements, "requires_grad": requires_grad})  # fmt: skip


def empty(*size: Any, dtype: Any = None, layout: Any = torch.strided, requires_grad: bool = False,
          device_mesh: DeviceMesh | None = None, placements: Any = None) -> DTensor:  # fmt: skip
    """Memory for a whole shape."""
    return _made(torch.empty, size, {"dtype": dtype, "layout": layout, "device_mesh": device_mesh,
                                     "placements": placements, "requires_grad": requires_grad})  # fmt: skip


def full(size: Any, fill_value: Any, *, dtype: Any = None, layout: Any = torch.strided, requires_grad: bool = False,
         device_mesh: DeviceMesh | None = None, placements: Any = None) -> DTensor:  # fmt: skip
    """One value in a whole shape."""
    return _made(torch.full, (tuple(size),), {"fill_value": fill_value, "dtype": dtype, "layout": layout,
                 "device_mesh": device_mesh, "placements": placements, "requires_grad": requires_grad})  # fmt: skip


def rand(*size: Any, requires_grad: bool = False, dtype: Any = None, layout: Any = torch.strided,
         device_mesh: DeviceMesh | None = None, placements: Any = None) -> DTensor:  # fmt: skip
    """Uniform random numbers of a whole shape: those of ``torch.rand``, if all processes have the same seed."""
    return _made(torch.rand, size, {"dtype": dtype, "layout": layout, "device_mesh": device_mesh,
                                    "placements": placements, "requires_grad": requires_grad}, True)  # fmt: skip


def randn(*size: Any, requires_grad: bool = False, dtype: Any = None, layout: Any = torch.strided,
          device_mesh: DeviceMesh | None = None, placements: Any = None) -> DTensor:  # fmt: skip
    """Normal random numbers of a whole shape: those of ``torch.randn``, if all processes have the same seed."""
    return _made(torch.randn, size, {"dtype": dtype, "layout": layout, "device_mesh": device_mesh,
                                     "placements": placements, "requires_grad": requires_grad}, True)  # fmt: skip
