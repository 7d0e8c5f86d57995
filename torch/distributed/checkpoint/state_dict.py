"""State dicts of models and optimizers with names that do not depend on how they are spread."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.tensor import DTensor, distribute_tensor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

__all__ = [
    "StateDictOptions",
    "get_model_state_dict",
    "get_optimizer_state_dict",
    "get_state_dict",
    "set_model_state_dict",
    "set_optimizer_state_dict",
    "set_state_dict",
]

# What wrappers put into names.
_WRAPPERS = ("_fsdp_wrapped_module.", "_checkpoint_wrapped_module.", "_orig_mod.")


@dataclass
class StateDictOptions:
    """Whole tensors (``full_state_dict``), in main memory and in the first process only with ``cpu_offload`` too; the
    first process's values for all (``broadcast_from_rank0``); without frozen parameters; one flat dict for optimizers.
    """

    full_state_dict: bool = False
    cpu_offload: bool = False
    ignore_frozen_params: bool = False
    keep_submodule_prefixes: bool = True
    strict: bool = True
    broadcast_from_rank0: bool = False
    flatten_optimizer_state_dict: bool = False
    dsd_fqn_modifiers: str = "_fqn_modifiers"


def _plain_name(model: nn.Module, name: str) -> str:
    for wrapper in _WRAPPERS:
        name = name.replace(wrapper, "")
    if isinstance(model, nn.parallel.DistributedDataParallel):
        name = name.removeprefix("module.")
    return name


def _taken(value: Any, options: StateDictOptions) -> Any:
    """A value as it goes into the state dict."""
    if isinstance(value, DTensor) and options.full_state_dict:
        value = value.full_tensor()
    if isinstance(value, torch.Tensor):
        value = value.detach()
        if options.cpu_offload and not isinstance(value, DTensor):
            value = value.cpu()
    return value


def _kept_here(options: StateDictOptions) -> bool:
    """Whether this process gets the state: whole copies in main memory are the first one's only."""
    alone = options.full_state_dict and options.cpu_offload and dist.is_initialized()
    return not alone or dist.get_rank() == 0


def get_model_state_dict(
    model: nn.Module, *, submodules: set[nn.Module] | None = None, options: StateDictOptions | None = None
) -> dict[str, Any]:
    """A model's state dict, with names as without wrappers; all processes call it."""
    chosen = StateDictOptions() if options is None else options
    frozen = {name for name, param in model.named_parameters() if not param.requires_grad}
    found = {}
    for name, value in model.state_dict().items():
        if chosen.ignore_frozen_params and name in frozen:
            continue
        if submodules and not any(name.startswith(f"{path}.") for path, m in model.named_modules() if m in submodules):
            continue
        found[_plain_name(model, name)] = _taken(value, chosen)
    return found if _kept_here(chosen) else {}


def _names(model: nn.Module) -> dict[torch.Tensor, str]:
    return {param: _plain_name(model, name) for name, param in model.named_parameters()}


def _listed(optimizers: Any) -> list[torch.optim.Optimizer]:
    return [optimizers] if isinstance(optimizers, torch.optim.Optimizer) else list(optimizers)


def get_optimizer_state_dict(
    model: nn.Module,
    optimizers: torch.optim.Optimizer | Iterable[torch.optim.Optimizer],
    *,
    submodules: set[nn.Module] | None = None,
    options: StateDictOptions | None = None,
) -> dict[str, Any]:
    """Optimizers' states by the parameters' names; an optimizer that has not stepped yet gets its first state."""
    chosen = StateDictOptions() if options is None else options
    names = _names(model)
    state: dict[str, Any] = {}
    groups: list[dict[str, Any]] = []
    for optimizer in _listed(optimizers):
        _init_optim_state(optimizer)
        for param, values in optimizer.state.items():
            state[names[param]] = {key: _taken(value, chosen) for key, value in values.items()}
        for group in optimizer.param_groups:
            plain = {key: value for key, value in group.items() if key != "params"}
            groups.append({**plain, "params": [names[param] for param in group["params"]]})
    if not _kept_here(chosen):
        return {}
    if chosen.flatten_optimizer_state_dict:
        flat = {f"state.{name}.{key}": value for name, values in state.items() for key, value in values.items()}
        for group in groups:
            for name in group["params"]:
                flat |= {f"param_groups.{name}.{key}": value for key, value in group.items() if key != "params"}
        return flat
    return {"state": state, "param_groups": groups}


def get_state_dict(
    model: nn.Module,
    optimizers: torch.optim.Optimizer | Iterable[torch.optim.Optimizer],
    *,
    submodules: set[nn.Module] | None = None,
    options: StateDictOptions | None = None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Both."""
    return (
        get_model_state_dict(model, submodules=submodules, options=options),
        get_optimizer_state_dict(model, optimizers, submodules=submodules, options=options),
    )


def _init_optim_state(optim: torch.optim.Optimizer) -> None:
    """Give an optimizer the state that its first step would make, without moving the parameters."""
    if optim.state:
        return
    kept = []
    for group in optim.param_groups:
        for param in group["params"]:
            if param.grad is not None:
                return  # a step would use it
            if param.requires_grad:
                param.grad = torch.zeros_like(param)
        kept.append(group["lr"] if "lr" in group else None)
        if kept[-1] is not None:
            group["lr"] = torch.tensor(0.0) if isinstance(group["lr"], torch.Tensor) else 0.0
    before = [[param.detach().clone() for param in group["params"]] for group in optim.param_groups]
    optim.step()
    for group, rate, values in zip(optim.param_groups, kept, before, strict=True):
        if rate is not None:
            group["lr"] = rate
        with torch.no_grad():
            for param, value in zip(group["params"], values, strict=True):
                param.copy_(value)
    optim.zero_grad(set_to_none=True)


def _shared(value: Any, options: StateDictOptions) -> Any:
    """The first process's dict, for all."""
    if not options.broadcast_from_rank0 or not dist.is_initialized() or dist.get_world_size() == 1:
        return value
    box = [value if dist.get_rank() == 0 else None]
    dist.broadcast_object_list(box, 0)
    return box[0]


def _like(value: Any, place: Any) -> Any:
    """A loaded value that lies as what it replaces."""
    if isinstance(place, DTensor) and isinstance(value, torch.Tensor) and not isinstance(value, DTensor):
        return distribute_tensor(value.detach(), place.device_mesh, place.placements, src_data_rank=None)
    return value


def set_model_state_dict(
    model: nn.Module, model_state_dict: dict[str, Any], *, options: StateDictOptions | None = None
) -> Any:
    """Load a state dict with plain names: of whole tensors, or of pieces as the model has them.

    Returns what is missing and what is too much, as ``load_state_dict`` does.
    """
    chosen = StateDictOptions() if options is None else options
    given = _shared(model_state_dict, chosen)
    own = model.state_dict()
    names = {_plain_name(model, name): name for name in own}
    turned = {names.get(name, name): _like(value, own.get(names.get(name, name))) for name, value in given.items()}
    return model.load_state_dict(turned, strict=chosen.strict)


def _nested(model: nn.Module, optimizers: list[Any], flat: dict[str, Any]) -> dict[str, Any]:
    names = _names(model)
    state: dict[str, Any] = {name: {} for name in names.values()}
    settings: dict[str, Any] = {name: {} for name in names.values()}
    for key, value in flat.items():
        table = state if key.startswith("state.") else settings
        rest = key.removeprefix("state.").removeprefix("param_groups.")
        name, _, last = rest.rpartition(".")
        table.setdefault(name, {})[last] = value
    groups = []
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            listed = [names[param] for param in group["params"]]
            groups.append({**(settings[listed[0]] if listed else {}), "params": listed})
    return {"state": {name: values for name, values in state.items() if values}, "param_groups": groups}


def set_optimizer_state_dict(
    model: nn.Module,
    optimizers: torch.optim.Optimizer | Iterable[torch.optim.Optimizer],
    optim_state_dict: dict[str, Any],
    *,
    options: StateDictOptions | None = None,
) -> None:
    """Load optimizers' states by the parameters' names, of whole tensors or of pieces."""
    chosen = StateDictOptions() if options is None else options
    given = _shared(optim_state_dict, chosen)
    listed = _listed(optimizers)
    if "state" not in given:
        given = _nested(model, listed, given)
    names = _names(model)
    for optimizer in listed:
        _init_optim_state(optimizer)
        numbers: dict[str, int] = {}
        groups = []
        for group in optimizer.param_groups:
            own = [names[param] for param in group["params"]]
            for name in own:
                numbers[name] = len(numbers)
            saved = next((one for one in given["param_groups"] if set(one["params"]) & set(own)), {})
            plain = {key: value for key, value in group.items() if key != "params"}
            plain |= {key: value for key, value in saved.items() if key != "params"}
            groups.append({**plain, "params": [numbers[name] for name in own]})
        by_name = {names[param]: values for param, values in optimizer.state.items()}
        state = {
            numbers[name]: {key: _like(value, by_name.get(name, {}).get(key)) for key, value in values.items()}
            for name, values in given["state"].items()
            if name in numbers
        }
        optimizer.load_state_dict({"state": state, "param_groups": groups})


def set_state_dict(
    model: nn.Module,
    optimizers: torch.optim.Optimizer | Iterable[torch.optim.Optimizer],
    *,
    model_state_dict: dict[str, Any],
    optim_state_dict: dict[str, Any],
    options: StateDictOptions | None = None,
) -> Any:
    """Both; returns what ``set_model_state_dict`` does."""
    result = set_model_state_dict(model, model_state_dict, options=options)
    set_optimizer_state_dict(model, optimizers, optim_state_dict, options=options)
    return result
