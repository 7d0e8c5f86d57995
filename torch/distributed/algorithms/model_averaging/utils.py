"""Averages of parameters over a group."""

from __future__ import annotations

import torch
import torch.distributed as dist

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

__all__ = ["average_parameters", "average_parameters_or_parameter_groups", "get_params_to_average"]


def average_parameters(params: Iterator[Any], process_group: Any) -> None:
    """Replace parameters by their averages over the group, in one message."""
    group = dist.group.WORLD if process_group is None else process_group
    if dist._rank_not_in_group(group):
        return
    parameters = list(params)
    if not parameters:
        return
    with torch.no_grad():
        flat = torch.cat([parameter.reshape(-1) for parameter in parameters]).div_(group.size())
        dist.all_reduce(flat, group=group)
        for parameter, part in zip(parameters, flat.split([p.numel() for p in parameters]), strict=True):
            parameter.copy_(part.view(parameter.shape))


def get_params_to_average(params: Iterable[Any]) -> list[Any]:
    """The parameters of a list, or of an optimizer's groups, that have a gradient."""
    found = []
    for param in params:
        if isinstance(param, dict):
            found += [p for p in param["params"] if p.grad is not None]
        elif isinstance(param, torch.Tensor):
            if param.grad is not None:
                found.append(param)
        else:
            raise NotImplementedError(f"Parameter input of type {type(param)} is not supported")
    return found


def average_parameters_or_parameter_groups(params: Iterable[Any], process_group: Any) -> None:
    """Average the parameters of a list, or of an optimizer's groups."""
    average_parameters(iter(get_params_to_average(params)), process_group)
