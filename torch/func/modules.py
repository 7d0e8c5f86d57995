"""Modules as functions of their parameters."""

from __future__ import annotations

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

__all__ = ["functional_call", "replace_all_batch_norm_modules_", "stack_module_state"]


def functional_call(
    module: Any,
    parameter_and_buffer_dicts: Any,
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """Call a module with other parameters and buffers in place of its own, which are back when it returns.

    >>> m = torch.nn.Linear(1, 1, bias=False)
    >>> torch.func.functional_call(m, {"weight": torch.ones(1, 1)}, torch.ones(1))
    tensor([1.])
    """
    if isinstance(parameter_and_buffer_dicts, dict):
        values = parameter_and_buffer_dicts
    else:
        values = {}
        for part in parameter_and_buffer_dicts:
            for name in part:
                if name in values:
                    raise ValueError(
                        f"{name} appears in multiple dictionaries; behavior of functional call is ambiguous"
                    )
            values.update(part)
    if tie_weights:
        values = _tied(module, values)
    own = {name for name, _ in module.named_parameters(remove_duplicate=False)}
    own |= {name for name, _ in module.named_buffers(remove_duplicate=False)}
    unexpected = [name for name in values if name not in own]
    if strict and (unexpected or own - values.keys()):
        missing = sorted(own - values.keys())
        raise RuntimeError(
            "Error(s) in reparametrizing:"
            + (f"\n\tUnexpected key(s): {', '.join(unexpected)}." if unexpected else "")
            + (f"\n\tMissing key(s): {', '.join(missing)}." if missing else "")
        )
    arguments = () if args is None else args if isinstance(args, tuple) else (args,)
    swapped: list[tuple[dict[str, Any], str, Any]] = []
    try:
        for name, value in values.items():
            path, _, last = name.rpartition(".")
            owner = module.get_submodule(path)
            table = next((t for t in (owner._parameters, owner._buffers) if last in t), None)
            if table is None:
                continue
            swapped.append((table, last, table[last]))
            table[last] = value
        return module(*arguments, **(kwargs or {}))
    finally:
        for table, last, before in reversed(swapped):
            table[last] = before


def _tied(module: Any, values: dict[str, Any]) -> dict[str, Any]:
    """Values for all names of a parameter where one of its names is given."""
    names: dict[int, list[str]] = {}
    for name, value in (
        *module.named_parameters(remove_duplicate=False),
        *module.named_buffers(remove_duplicate=False),
    ):
        names.setdefault(id(value), []).append(name)
    result = dict(values)
    for group in names.values():
        given = [name for name in group if name in values]
        if len(given) > 1 and any(values[name] is not values[given[0]] for name in given):
            raise ValueError(f"functional_call got multiple values for keys {given}, which are tied. Consider using "
                             "tie_weights=False")  # fmt: skip
        if given:
            result.update(dict.fromkeys(group, values[given[0]]))
    return result


def stack_module_state(models: Sequence[Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parameters and buffers of several modules of one kind, stacked, for ``vmap`` over the modules.

    >>> params, _ = torch.func.stack_module_state([torch.nn.Linear(2, 1) for _ in range(3)])
    >>> params["weight"].shape
    torch.Size([3, 1, 2])
    """
    if not len(models):
        raise RuntimeError("stack_module_state: Expected at least one model, got 0.")
    if not (all(m.training for m in models) or all(not m.training for m in models)):
        raise RuntimeError("stack_module_state: Expected all models to have the same training/eval mode.")
    if any(type(m) is not type(models[0]) for m in models):
        raise RuntimeError("stack_module_state: Expected all models to be of the same class.")
    parameters = [dict(m.named_parameters()) for m in models]
    stacked = {}
    for name, first in parameters[0].items():
        together = torch.stack([p[name].detach() for p in parameters])
        stacked[name] = together.requires_grad_(first.requires_grad)
    buffers = [dict(m.named_buffers()) for m in models]
    return stacked, {name: torch.stack([b[name] for b in buffers]) for name in buffers[0]}


def replace_all_batch_norm_modules_(root: Any) -> Any:
    """Turn off running statistics in all batch norms of a module, in place."""
    for module in root.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.running_mean = module.running_var = module.num_batches_tracked = None
            module.track_running_stats = False
    return root
