"""Parameters in pieces, brought together while their module runs.

The parameters of a module lie as distributed tensors, each process having its rows. Before ``forward`` one message
brings all of them together; autograd keeps the whole values for the backward pass, where gradients are summed and each
process gets its rows of them. Zhao et al., "PyTorch FSDP", VLDB 2023.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor
from torch.distributed.tensor.placement_types import DTensorSpec
from torch.utils._pytree import tree_map

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from torch import Tensor

__all__ = ["Unit"]


def _owned_slots(module: nn.Module, ignored: set[Any]) -> dict[nn.Parameter, list[tuple[nn.Module, str]]]:
    """The parameters below a module that no unit inside it has, and everywhere they are."""
    slots: dict[nn.Parameter, list[tuple[nn.Module, str]]] = {}
    pending, seen = [module], {module}
    while pending:
        part = pending.pop()
        for name, param in part._parameters.items():
            if param is not None and param not in ignored and not getattr(param, "_in_unit", False):
                slots.setdefault(param, []).append((part, name))
        for child in part.children():
            if child not in seen and getattr(child, "_fsdp_unit", None) is None:
                seen.add(child)
                pending.append(child)
    return slots


class Unit:
    """The parameters that come together for one module."""

    def __init__(
        self,
        module: nn.Module,
        mesh: Any,
        *,
        shard: bool = True,
        param_dtype: torch.dtype | None = None,
        reduce_dtype: torch.dtype | None = None,
        ignored: Iterable[Any] = (),
        placement_fn: Any = None,
        from_first: bool = False,
    ) -> None:
        self.module = module
        self.mesh = mesh
        self.shards = shard
        self.param_dtype = param_dtype
        self.reduce_dtype = reduce_dtype
        self.syncs = True  # gradients are exchanged
        self.divisor: float | None = None
        self.hook: Any = None
        self.rows: list[list[tuple[int, int]]] = []
        self.slots = list(_owned_slots(module, set(ignored)).items())
        self.dims: list[int] = []
        self.params: list[nn.Parameter] = []
        self.pending: list[Tensor | None] = []
        self.whole: tuple[Tensor, ...] | None = None
        for param, places in self.slots:
            chosen = placement_fn(param) if placement_fn is not None else None
            dim = chosen.dim if isinstance(chosen, Shard) else 0
            kept = [Shard(dim) if shard and param.dim() else Replicate()]
            placements = [Replicate()] * (mesh.ndim - 1) + kept
            values = param.detach()
            if values.is_meta:
                raise RuntimeError("parameters on the meta device have to get memory before they are sharded")
            spread = distribute_tensor(values, mesh, placements, src_data_rank=0 if from_first else None)
            made = nn.Parameter(spread, requires_grad=param.requires_grad)
            made._in_unit = True  # type: ignore[attr-defined]
            self.params.append(made)
            self.dims.append(dim)
            self.pending.append(None)
            for part, name in places:
                part._parameters[name] = made
        self.slots = [(made, places) for made, (_, places) in zip(self.params, self.slots, strict=True)]

    @property
    def group(self) -> Any:
        """The processes that have the rows."""
        return self.mesh.get_group(self.mesh.ndim - 1)

    def gather(self) -> list[Tensor]:
        """The whole parameters."""
        locals_ = [self._cast(param._local_tensor) for param in self.params]
        size = self.group.size()
        if not self.shards or size == 1:
            return [local.clone() for local in locals_]
        found: list[Tensor | None] = [None] * len(locals_)
        for dtype in {local.dtype for local in locals_}:
            chosen = [index for index, local in enumerate(locals_) if local.dtype is dtype]
            padded = [self._padded(index, locals_[index]) for index in chosen]
            flat = torch.cat([piece.reshape(-1) for piece in padded])
            every = flat.new_empty(size * flat.numel())
            dist.all_gather_single(every, flat, group=self.group)
            columns = every.view(size, -1).split([piece.numel() for piece in padded], 1)
            for index, piece, column in zip(chosen, padded, columns, strict=True):
                found[index] = self._joined(index, piece, column)
        return found  # type: ignore[return-value]

    def _cast(self, value: Tensor) -> Tensor:
        cast = self.param_dtype is not None and value.is_floating_point()
        return value.to(self.param_dtype) if cast else value

    def _padded(self, index: int, local: Tensor) -> Tensor:
        """The rows with zeros behind them, so that all processes have as many."""
        param, dim = self.params[index], self.dims[index]
        if not param.dim():
            return local
        local = local.movedim(dim, 0)
        missing = -(-param.shape[dim] // self.group.size()) - local.shape[0]
        return torch.cat([local, local.new_zeros((missing, *local.shape[1:]))]) if missing else local

    def _joined(self, index: int, piece: Tensor, column: Tensor) -> Tensor:
        param, dim = self.params[index], self.dims[index]
        if not param.dim():
            return column[0].view(())
        rows = column.reshape(-1, *piece.shape[1:])[: param.shape[dim]]
        return rows.movedim(0, dim).contiguous()

    def scatter(self, grads: list[Tensor]) -> list[Tensor]:
        """This process's rows of the averages of whole gradients."""
        found: list[Tensor] = []
        size = self.group.size()
        total = self.mesh.size() if self.divisor is None else self.divisor
        dtype = self.reduce_dtype
        pieces = []
        for index, grad in enumerate(grads):
            grad = grad.to(dtype) if dtype is not None and grad.is_floating_point() else grad
            if self.shards and self.params[index].dim():
                parts = grad.movedim(self.dims[index], 0)
                each = -(-parts.shape[0] // size)
                missing = each * size - parts.shape[0]
                if missing:
                    parts = torch.cat([parts, parts.new_zeros((missing, *parts.shape[1:]))])
                pieces.append(parts.reshape(size, -1))
            else:
                pieces.append(grad.reshape(1, -1))
        for index, piece in enumerate(pieces):
            param = self.params[index]
            if piece.shape[0] == size and self.shards and param.dim():
                mine = piece.new_empty(piece.shape[1])
                dist.reduce_scatter_single(mine, piece.contiguous().view(-1), group=self.group)
            else:
                mine = piece.reshape(-1).clone()
                dist.all_reduce(mine, group=self.group)
            for outer in range(self.mesh.ndim - 1):
                dist.all_reduce(mine, group=self.mesh.get_group(outer))
            mine.div_(total)
            if self.hook is not None:
                self.hook(mine)
            local, dim = param._local_tensor, self.dims[index]
            if param.dim():
                shape = list(local.movedim(dim, 0).shape)
                count = 1
                for length in shape:
                    count *= length
                rows = mine[:count].view(shape).movedim(0, dim)
            else:
                rows = mine.view(())
            found.append(rows.to(param.dtype).contiguous())
        return found

    def unshard(self) -> None:
        """Put the whole parameters into the module, with a way back for their gradients."""
        if self.whole is not None or not self.params:
            return
        if torch.is_grad_enabled() and any(param.requires_grad for param in self.params):
            self.whole = _Gathered.apply(self, *self.params)
        else:
            self.whole = tuple(self.gather())
        for value, (param, places) in zip(self.whole, self.slots, strict=True):
            value = value if param.requires_grad else value.detach()
            for part, name in places:
                part._parameters[name] = value  # type: ignore[assignment]

    def reshard(self) -> None:
        """Put the pieces back."""
        self.whole = None
        for param, places in self.slots:
            for part, name in places:
                part._parameters[name] = param

    def take_gradients(self, grads: tuple[Tensor | None, ...]) -> list[Any]:
        """Gradients of the whole parameters, turned into those of the pieces, or kept for a later pass."""
        given = [
            torch.zeros(param.shape, dtype=self._cast(param._local_tensor[:0]).dtype if param.dim() else param.dtype)
            if grad is None
            else grad
            for grad, param in zip(grads, self.params, strict=True)
        ]
        for index, kept in enumerate(self.pending):
            if kept is not None:
                given[index] = given[index] + kept
        if not self.syncs:
            self.pending = list(given)
            return [None] * len(given)
        self.pending = [None] * len(given)
        with torch.no_grad():
            pieces = self.scatter(given)
        return [
            DTensor(piece, DTensorSpec(param._spec.mesh, param._spec.placements, param._spec.tensor_meta))
            if param.requires_grad
            else None
            for piece, param in zip(pieces, self.params, strict=True)
        ]


class _Gathered(torch.autograd.Function):
    """Whole parameters from pieces; the gradients go the other way."""

    @staticmethod
    def forward(ctx: Any, unit: Unit, *params: Tensor) -> tuple[Tensor, ...]:
        ctx.unit = unit
        ctx.set_materialize_grads(False)
        return tuple(unit.gather())

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> Any:
        return (None, *ctx.unit.take_gradients(grads))


def cast_floats(value: Any, dtype: torch.dtype | None) -> Any:
    """The same structure, its floating-point tensors of another dtype."""
    if dtype is None:
        return value

    def one(leaf: Any) -> Any:
        return leaf.to(dtype) if isinstance(leaf, torch.Tensor) and leaf.is_floating_point() else leaf

    return tree_map(one, value)
