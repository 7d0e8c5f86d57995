"""An operation on distributed tensors: placements by its rule, then the same operation on the pieces."""

from __future__ import annotations

import sys
import threading

import torch
from torch.utils._pytree import tree_flatten, tree_unflatten

from ._redistribute import local_shape_and_offset, redistribute_local
from ._rules import RULES, Operand, Question, replicated
from .placement_types import DTensorSpec, Placement, Replicate, Shard, TensorMeta

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._api import DTensor

__all__ = ["dispatch"]

_settings = threading.local()
# Operations whose arguments hold the whole shape, and the place of it.
_SHAPES = {"view": 1, "_unsafe_view": 1, "reshape": 1, "expand": 1}
_RANDOM = frozenset("rand_like randn_like randint_like uniform normal bernoulli exponential".split())


def implicit_replication_allowed() -> bool:
    """Whether plain tensors stand for replicated ones now."""
    return getattr(_settings, "implicit", False)


def _in_backward() -> bool:
    """Whether the engine of autograd calls: plain tensors of its formulas have the whole shape, as the operands do."""
    return sys._getframe(3).f_globals.get("__name__") == "torch.autograd"


def _base_name(func: Any) -> tuple[str, bool]:
    """An operation's name without overload, and whether it writes to its first argument."""
    name = str(func).split(".")[1]
    writes = name.endswith("_") and not name.endswith("__")
    return (name[:-1] if writes else name), writes


def _meta(tensor: Any) -> Any:
    shape = tensor._spec.tensor_meta
    return torch.empty_strided(shape.shape, shape.stride, dtype=shape.dtype, device="meta")


def _whole_results(func: Any, flat: list[Any], spec: Any, kind: type) -> tuple[list[Any], Any] | None:
    """The shapes of the whole results, or None where only running the operation tells."""
    plain = [_meta(x) if isinstance(x, kind) else _to_meta(x) for x in flat]
    args, kwargs = tree_unflatten(plain, spec)
    try:
        with torch.no_grad():
            return tree_flatten(func(*args, **kwargs))
    except Exception:
        return None


def _to_meta(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.to("meta")
    return "meta" if isinstance(value, torch.device) else value


def dispatch(kind: type[DTensor], func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run an operation of which at least one operand is distributed."""
    flat, structure = tree_flatten((args, kwargs))
    operands = [index for index, value in enumerate(flat) if isinstance(value, kind)]
    mesh = flat[operands[0]]._spec.mesh
    for index, value in enumerate(flat):
        if isinstance(value, kind):
            if value._spec.mesh != mesh:
                raise RuntimeError(
                    f"{func}: all operands have to lie on one mesh, not on {mesh} and {value._spec.mesh}"
                )
        elif isinstance(value, torch.Tensor):
            if value.dim() and not implicit_replication_allowed() and not _in_backward():
                raise RuntimeError(
                    f"{func} got mixed torch.Tensor and DTensor, need to convert all torch.Tensor to DTensor before "
                    "calling distributed operators!"
                )
            flat[index] = _wrapped(kind, value, mesh, (Replicate(),) * mesh.ndim, value)
            operands = sorted({*operands, index})
    if mesh.get_coordinate() is None:
        return None
    name, writes = _base_name(func)
    wanted, results = _placements(func, name, writes, flat, structure, operands, mesh, kind)
    local = list(flat)
    for index in operands:
        tensor = flat[index]
        placements = tuple(wanted[operands.index(index)])
        local[index] = redistribute_local(
            tensor._local_tensor, tensor.shape, mesh, tensor._spec.placements, placements
        )
    local_args, local_kwargs = tree_unflatten(local, structure)
    if name in _SHAPES and results is not None:
        local_args = _with_local_shape(name, local_args, results, mesh)
    out = func(*local_args, **local_kwargs)
    if writes:
        return _write_back(flat, local, operands, wanted, mesh)
    values, tree = tree_flatten(out)
    if results is None:
        whole = (Replicate(),) * mesh.ndim
        return tree_unflatten(
            [_wrapped(kind, v, mesh, whole, v) if isinstance(v, torch.Tensor) else v for v in values], tree
        )
    placed = iter(results)
    return tree_unflatten(
        [_wrapped(kind, v, mesh, *next(placed)) if isinstance(v, torch.Tensor) else v for v in values], tree
    )


def _wrapped(kind: Any, local: Any, mesh: Any, placements: tuple[Placement, ...], whole: Any) -> Any:
    stride = whole.stride() if callable(whole.stride) else whole.stride
    meta = TensorMeta(whole.shape, stride, local.dtype)
    return kind(local, DTensorSpec(mesh, tuple(placements), meta), requires_grad=False)


def _placements(
    func: Any, name: str, writes: bool, flat: list[Any], structure: Any, operands: list[int], mesh: Any, kind: Any
) -> tuple[list[list[Placement]], list[tuple[tuple[Placement, ...], Any]] | None]:
    """What the operands have to be, and each result's placements and whole shape."""
    whole_operands: list[list[Placement]] = [[Replicate()] * mesh.ndim for _ in operands]
    rule = RULES.get(name)
    if rule is None or name in _RANDOM:
        return whole_operands, None
    found = _whole_results(func, flat, structure, kind)
    if found is None:
        return whole_operands, None
    metas = [value for value in found[0] if isinstance(value, torch.Tensor)]
    args, kwargs = tree_unflatten(flat, structure)
    per_dim = []
    for mesh_dim in range(mesh.ndim):
        asked = [Operand(flat[i]._spec.placements[mesh_dim], tuple(flat[i].shape)) for i in operands]
        question = Question(
            name, asked, args, kwargs, [tuple(m.shape) for m in metas], mesh.size(mesh_dim), writes
        )
        per_dim.append(rule(question) or replicated(question))
    wanted = [[per_dim[d][0][k] for d in range(mesh.ndim)] for k in range(len(operands))]
    results = [
        (tuple(per_dim[d][1][k] for d in range(mesh.ndim)), metas[k]) for k in range(len(metas))
    ]
    if name in _SHAPES or any(_nested(places) for places in [*wanted, *(one[0] for one in results)]):
        # several dimensions of the mesh that cut one of the tensor: pieces of pieces only keep their order where
        # shapes stay as they are
        mixed = any(_nested(places) for places in [*wanted, *(one[0] for one in results)])
        if mixed and name in (*_SHAPES, "mm", "bmm", "addmm"):
            return whole_operands, [((Replicate(),) * mesh.ndim, meta) for meta in metas]
    return wanted, results


def _nested(placements: Any) -> bool:
    dims = [p.dim for p in placements if isinstance(p, Shard)]
    return len(dims) != len(set(dims))


def _with_local_shape(name: str, args: tuple[Any, ...], results: Any, mesh: Any) -> tuple[Any, ...]:
    placements, meta = results[0]
    shape, _ = local_shape_and_offset(tuple(meta.shape), mesh, placements)
    at = _SHAPES[name]
    return (*args[:at], list(shape), *args[at + 1 :])


def _write_back(flat: list[Any], local: list[Any], operands: list[int], wanted: Any, mesh: Any) -> Any:
    """After an operation that writes to its first operand: put the values where that one lies."""
    first = operands[0]
    target = flat[first]
    if local[first] is not target._local_tensor:
        back = redistribute_local(local[first], target.shape, mesh, wanted[0], target._spec.placements)
        target._local_tensor.copy_(back)
    return target
