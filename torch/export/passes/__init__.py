"""Changes to whole exported programs."""

from __future__ import annotations

import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils import _pytree as pytree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from torch.export import ExportedProgram

__all__ = ["move_to_device_pass"]


def move_to_device_pass(ep: ExportedProgram, location: torch.device | str | dict[str, str]) -> ExportedProgram:
    """Move a program, its tensors and what it makes, to a device; the program is changed and returned.

    Args:
        location: the device, or a dictionary from the devices that are left to those that take their place.

    Raises:
        RuntimeError: there is no such device.

    >>> program = torch.export.export(torch.nn.Linear(2, 2), (torch.ones(1, 2),))
    >>> moved = torch.export.passes.move_to_device_pass(program, "meta")
    >>> {str(t.device) for t in moved.state_dict.values()}
    {'meta'}
    """
    if not isinstance(location, (dict, str, torch.device)):
        raise RuntimeError(f"Invalid device string: '{location}'")
    target = location if isinstance(location, dict) else torch.device(location)

    def new(device: torch.device) -> torch.device:
        return torch.device(target.get(str(device), device)) if isinstance(target, dict) else target

    def moved(value: Any) -> Any:
        if isinstance(value, FakeTensor):
            value.fake_device = new(value.fake_device)
            made = FakeTensor(value.fake_mode, value._meta, value.fake_device)
            made._sizes, made._steps = value._sizes, value._steps
            return made.requires_grad_(value.requires_grad)
        if isinstance(value, torch.nn.Parameter):
            return torch.nn.Parameter(value.detach().to(new(value.device)), requires_grad=value.requires_grad)
        return value.to(new(value.device)) if isinstance(value, torch.Tensor) else value

    for stored in (ep.state_dict, ep.constants):
        for name, value in stored.items():
            stored[name] = moved(value)
    modules = [ep.graph_module, *(m for m in ep.graph_module.modules() if isinstance(m, torch.fx.GraphModule))]
    for module in dict.fromkeys(modules):
        for node in module.graph.nodes:
            if "device" in node.kwargs:
                node.kwargs = {**node.kwargs, "device": new(torch.device(node.kwargs["device"]))}
            if any(isinstance(a, torch.device) for a in node.args):
                node.args = tuple(new(a) if isinstance(a, torch.device) else a for a in node.args)
            if "val" in node.meta:
                node.meta["val"] = pytree.tree_map(moved, node.meta["val"])
        module.recompile()
    if ep.example_inputs is not None:
        ep.example_inputs = pytree.tree_map(moved, ep.example_inputs)
    return ep
