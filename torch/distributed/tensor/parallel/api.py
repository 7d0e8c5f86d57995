"""``parallelize_module``: a plan says how each layer is cut."""

from __future__ import annotations

import fnmatch
import warnings

from torch import nn
from torch.distributed.device_mesh import DeviceMesh, _current

from .style import ParallelStyle

__all__ = ["parallelize_module"]


def parallelize_module(
    module: nn.Module,
    device_mesh: DeviceMesh | None = None,
    parallelize_plan: ParallelStyle | dict[str, ParallelStyle] | None = None,
    *,
    src_data_rank: int | None = 0,
) -> nn.Module:
    """Cut a module over the processes of a mesh with one dimension, as a style says or, by name, several.

    Names are paths to submodules, in which ``*`` stands for anything within one step.

    Raises:
        ValueError: the mesh has several dimensions.
        TypeError: the plan is none.
    """
    mesh = _current() if device_mesh is None else device_mesh
    if mesh.ndim != 1:
        raise ValueError(
            f"Tensor Parallel only accepts a 1D DeviceMesh, but found {mesh.ndim}D! If you have a 2-D or N-D "
            'device_mesh, consider passing in device_mesh["tp"]'
        )
    if parallelize_plan is None:
        warnings.warn("No parallelize_plan is provided and auto-parallel is not supported at the moment.", stacklevel=2)
        return module
    if isinstance(parallelize_plan, ParallelStyle):
        parallelize_plan.src_data_rank = src_data_rank
        return parallelize_plan._apply(module, mesh)
    if not isinstance(parallelize_plan, dict):
        raise TypeError(
            "Expect Union[ParallelStyle, Dict[str, ParallelStyle]] for parallelize_plan, "
            f"{type(parallelize_plan)} found!"
        )
    for path, style in parallelize_plan.items():
        style.src_data_rank = src_data_rank
        if not path:
            style._apply(module, mesh)
            continue
        found = _matching([(module, "")], path.split("."))
        if not found:
            warnings.warn(f"Parallelize plan key '{path}' could not be resolved: no submodule matching", stacklevel=2)
        for parent, name in found:
            changed = style._apply(parent.get_submodule(name), mesh)
            if changed is not parent.get_submodule(name):
                setattr(parent, name, changed)
    return module


def _matching(places: list[tuple[nn.Module, str]], steps: list[str]) -> list[tuple[nn.Module, str]]:
    """Each submodule at the end of the path, as its parent and its name there."""
    for step in steps:
        inner = [parent.get_submodule(name) if name else parent for parent, name in places]
        places = [
            (parent, name) for parent in inner for name, _ in parent.named_children() if fnmatch.fnmatch(name, step)
        ]
    return places
