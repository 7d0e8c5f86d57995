"""``FullyShardedDataParallel``: a wrapper around a module whose parameters lie in pieces."""

from __future__ import annotations

import contextlib
from enum import Enum, auto

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor, distribute_tensor

from ._fully_shard import _mesh, _run_together
from ._units import Unit
from .api import (
    BackwardPrefetch,
    CPUOffload,
    FullOptimStateDictConfig,
    FullStateDictConfig,
    LocalOptimStateDictConfig,
    LocalStateDictConfig,
    MixedPrecision,
    OptimStateDictConfig,
    ShardedOptimStateDictConfig,
    ShardedStateDictConfig,
    ShardingStrategy,
    StateDictConfig,
    StateDictSettings,
    StateDictType,
)
from .wrap import apply_policy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

__all__ = ["FullyShardedDataParallel", "OptimStateKeyType"]

_INNER = "_fsdp_wrapped_module"
_CONFIGS = {
    StateDictType.FULL_STATE_DICT: (FullStateDictConfig, FullOptimStateDictConfig),
    StateDictType.LOCAL_STATE_DICT: (LocalStateDictConfig, LocalOptimStateDictConfig),
    StateDictType.SHARDED_STATE_DICT: (ShardedStateDictConfig, ShardedOptimStateDictConfig),
}
_HYBRID = (ShardingStrategy.HYBRID_SHARD, ShardingStrategy._HYBRID_SHARD_ZERO2)


class OptimStateKeyType(Enum):
    """What an optimizer's state is found by."""

    PARAM_NAME = auto()
    PARAM_ID = auto()


def _plain(name: str) -> str:
    return name.replace(f"{_INNER}.", "")


class FullyShardedDataParallel(nn.Module):
    """Runs ``module`` in every process, its parameters cut over them; ``fully_shard`` is the newer form.

    ``auto_wrap_policy`` says which submodules are wrapped by themselves. ``sync_module_states`` takes the first
    process's values. Parameters keep their names and are distributed tensors, as with ``use_orig_params``; whole values
    live until the backward pass has used them, so ``SHARD_GRAD_OP`` is ``FULL_SHARD``.

    ``state_dict()`` has whole tensors unless ``state_dict_type`` says otherwise.
    """

    def __init__(
        self,
        module: nn.Module,
        process_group: Any = None,
        sharding_strategy: ShardingStrategy | None = None,
        cpu_offload: CPUOffload | None = None,
        auto_wrap_policy: Any = None,
        backward_prefetch: BackwardPrefetch | None = BackwardPrefetch.BACKWARD_PRE,
        mixed_precision: MixedPrecision | None = None,
        ignored_modules: Iterable[nn.Module] | None = None,
        param_init_fn: Any = None,
        device_id: int | torch.device | None = None,
        sync_module_states: bool = False,
        forward_prefetch: bool = False,
        limit_all_gathers: bool = True,
        use_orig_params: bool = False,
        ignored_states: Any = None,
        device_mesh: DeviceMesh | None = None,
    ) -> None:
        super().__init__()
        if process_group is not None and device_mesh is not None:
            raise ValueError("Cannot pass both process_group and device_mesh at the same time.")
        strategy = ShardingStrategy.FULL_SHARD if sharding_strategy is None else sharding_strategy
        ignored, ignored_params = _ignored(ignored_modules, ignored_states)
        if param_init_fn is not None:
            for part in module.modules():
                if any(param.is_meta for param in part.parameters(recurse=False)):
                    param_init_fn(part)
        options = {
            "process_group": process_group,
            "sharding_strategy": strategy,
            "cpu_offload": cpu_offload,
            "mixed_precision": mixed_precision,
            "ignored_modules": ignored,
            "sync_module_states": sync_module_states,
            "ignored_states": None,
            "device_mesh": device_mesh,
        }
        if auto_wrap_policy is not None:
            apply_policy(module, auto_wrap_policy, lambda part, **own: type(self)(part, **(options | own)), ignored)
        if process_group is None and strategy in _HYBRID and device_mesh is None:
            raise ValueError(
                f"Manual wrapping with {strategy} requires explicit specification of process group or device_mesh."
            )
        mesh = self._mesh_of(process_group, strategy, device_mesh)
        precision = MixedPrecision() if mixed_precision is None else mixed_precision
        skipped = isinstance(module, tuple(precision._module_classes_to_ignore))
        self.sharding_strategy = strategy
        self.mixed_precision = precision
        self.cpu_offload = cpu_offload or CPUOffload()
        self._use_orig_params = use_orig_params
        self._settings = StateDictSettings(
            StateDictType.FULL_STATE_DICT, FullStateDictConfig(), FullOptimStateDictConfig()
        )
        if sync_module_states:
            with torch.no_grad():
                for value in [*module.parameters(), *module.buffers()]:
                    if not isinstance(value, DTensor):
                        for dim in range(mesh.ndim):
                            dist.broadcast(value.detach(), group=mesh.get_group(dim), group_src=0)
        if precision.buffer_dtype is not None:
            for part in module.modules():
                for name, buffer in part._buffers.items():
                    if buffer is not None and buffer.is_floating_point():
                        part._buffers[name] = buffer.to(precision.buffer_dtype)
        hidden = {param for part in ignored for param in part.parameters()} | ignored_params
        unit = Unit(
            module,
            mesh,
            shard=strategy is not ShardingStrategy.NO_SHARD,
            param_dtype=None if skipped else precision.param_dtype,
            reduce_dtype=precision.reduce_dtype or precision.param_dtype,
            ignored=hidden,
        )
        self._fsdp_unit = unit
        self.process_group = unit.group
        self.rank, self.world_size = unit.group.rank(), unit.group.size()
        setattr(self, _INNER, module)
        casts = precision.cast_forward_inputs or precision.cast_root_forward_inputs
        _run_together(self, unit, precision.param_dtype if casts and not skipped else None, None)

    @staticmethod
    def _mesh_of(group: Any, strategy: ShardingStrategy, mesh: DeviceMesh | None) -> DeviceMesh:
        if mesh is not None or group is None:
            return _mesh(mesh)
        if isinstance(group, tuple):
            shard, replicate = group
            lines = [dist.get_process_group_ranks(shard)]
            found: list[Any] = [None] * replicate.size()
            dist.all_gather_object(found, lines[0], group=replicate)
            return DeviceMesh.from_group([replicate, shard], "cpu", found)
        return DeviceMesh.from_group(group, "cpu")

    @property
    def module(self) -> nn.Module:
        """The wrapped module."""
        return getattr(self, _INNER)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name == _INNER:
                raise
            return getattr(self.module, name)

    def __getitem__(self, key: Any) -> Any:
        return self.module[key]  # type: ignore[index]

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run the wrapped module, its parameters together."""
        return self.module(*args, **kwargs)

    def check_is_root(self) -> bool:
        """Whether no other wrapper has called this one's forward; here every wrapper stands for itself."""
        return True

    @staticmethod
    def fsdp_modules(module: nn.Module, root_only: bool = False) -> list[FullyShardedDataParallel]:
        """The wrappers below a module, itself included."""
        found = [part for part in module.modules() if isinstance(part, FullyShardedDataParallel)]
        inner = {one for part in found for one in part.modules() if one is not part}
        return [part for part in found if part not in inner] if root_only else found

    @contextlib.contextmanager
    def no_sync(self) -> Iterator[None]:
        """A block in which gradients are added up; the next backward pass outside exchanges them."""
        units = [part._fsdp_unit for part in self.fsdp_modules(self)]
        for unit in units:
            unit.syncs = False
        try:
            yield
        finally:
            for unit in units:
                unit.syncs = True

    @torch.no_grad()
    def clip_grad_norm_(self, max_norm: float, norm_type: float = 2.0) -> torch.Tensor:
        """Scale all gradients so that their norm is at most ``max_norm``; returns what it was."""
        total = nn.utils.clip_grad_norm_(self.parameters(), max_norm, norm_type)
        return total.full_tensor() if isinstance(total, DTensor) else total

    def register_comm_hook(self, state: object, hook: Any) -> None:
        """Raise NotImplementedError: gradients are summed by reduce_scatter; use ``fully_shard`` and its hooks."""
        raise NotImplementedError("FullyShardedDataParallel.register_comm_hook is not supported")

    def apply(self, fn: Any) -> FullyShardedDataParallel:
        """Call ``fn`` with each module, its parameters whole, and keep what it changes."""
        with self.summon_full_params(self):
            return super().apply(fn)

    @staticmethod
    @contextlib.contextmanager
    def summon_full_params(
        module: nn.Module,
        recurse: bool = True,
        writeback: bool = True,
        rank0_only: bool = False,
        offload_to_cpu: bool = False,
        with_grads: bool = False,
    ) -> Iterator[None]:
        """A block in which the parameters are whole tensors; changes are kept with ``writeback``."""
        found = FullyShardedDataParallel.fsdp_modules(module)
        units = [part._fsdp_unit for part in (found if recurse else found[:1])]
        for unit in units:
            for param, places in unit.slots:
                whole = nn.Parameter(param.detach().full_tensor().clone(), param.requires_grad)
                if with_grads and param.grad is not None:
                    whole.grad = param.grad.full_tensor()  # type: ignore[attr-defined]
                for part, name in places:
                    part._parameters[name] = whole
        try:
            yield
        finally:
            for unit in units:
                for param, places in unit.slots:
                    part, name = places[0]
                    whole = part._parameters[name]
                    if writeback:
                        spread = distribute_tensor(
                            whole.detach(), param.device_mesh, param.placements, src_data_rank=None
                        )
                        param._local_tensor.copy_(spread._local_tensor)
                unit.reshard()

    # State dicts

    @staticmethod
    def set_state_dict_type(
        module: nn.Module,
        state_dict_type: StateDictType,
        state_dict_config: StateDictConfig | None = None,
        optim_state_dict_config: OptimStateDictConfig | None = None,
    ) -> StateDictSettings:
        """What state dicts hold from now on; returns what they held."""
        plain, optim = _CONFIGS[state_dict_type]
        settings = StateDictSettings(
            state_dict_type, state_dict_config or plain(), optim_state_dict_config or optim()
        )
        before = FullyShardedDataParallel.get_state_dict_type(module)
        for part in FullyShardedDataParallel.fsdp_modules(module):
            part._settings = settings
        return before

    @staticmethod
    def get_state_dict_type(module: nn.Module) -> StateDictSettings:
        """What state dicts hold now."""
        found = FullyShardedDataParallel.fsdp_modules(module)
        if not found:
            raise ValueError("there is no FullyShardedDataParallel below this module")
        return found[0]._settings

    @staticmethod
    @contextlib.contextmanager
    def state_dict_type(
        module: nn.Module,
        state_dict_type: StateDictType,
        state_dict_config: StateDictConfig | None = None,
        optim_state_dict_config: OptimStateDictConfig | None = None,
    ) -> Iterator[None]:
        """A block in which state dicts hold something else."""
        before = FullyShardedDataParallel.set_state_dict_type(
            module, state_dict_type, state_dict_config, optim_state_dict_config
        )
        try:
            yield
        finally:
            FullyShardedDataParallel.set_state_dict_type(
                module, before.state_dict_type, before.state_dict_config, before.optim_state_dict_config
            )

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """The state dict, with names as without wrappers; all processes call it."""
        inner = super().state_dict(*args, **kwargs)
        settings = self._settings
        hides = settings.state_dict_type is StateDictType.FULL_STATE_DICT and settings.state_dict_config.rank0_only  # type: ignore[attr-defined]
        found = type(inner)()
        for name, value in inner.items():
            value = _as_type(value, settings.state_dict_type)
            if not hides or dist.get_rank() == 0:
                found[_plain(name)] = value
        return found

    def load_state_dict(self, state_dict: Any, *args: Any, **kwargs: Any) -> Any:
        """Load whole tensors or pieces, by plain names."""
        own = super().state_dict()
        names = {_plain(name): name for name in own}
        turned = {}
        for name, value in state_dict.items():
            full = names.get(name, name)
            turned[full] = _laid_like(value, own.get(full))
        return super().load_state_dict(turned, *args, **kwargs)

    @staticmethod
    def optim_state_dict(
        model: nn.Module,
        optim: torch.optim.Optimizer,
        optim_state_dict: dict[str, Any] | None = None,
        group: Any = None,
    ) -> dict[str, Any]:
        """An optimizer's state by the parameters' names, as ``state_dict_type`` says."""
        from torch.distributed.checkpoint.state_dict import StateDictOptions, get_optimizer_state_dict

        settings = FullyShardedDataParallel.get_state_dict_type(model)
        full = settings.state_dict_type is StateDictType.FULL_STATE_DICT
        found = get_optimizer_state_dict(model, optim, options=StateDictOptions(full_state_dict=full))
        rank0 = full and getattr(settings.optim_state_dict_config, "rank0_only", False)
        return {} if rank0 and dist.get_rank() else found

    @staticmethod
    def full_optim_state_dict(
        model: nn.Module,
        optim: torch.optim.Optimizer,
        optim_input: Any = None,
        rank0_only: bool = True,
        group: Any = None,
    ) -> dict[str, Any]:
        """The state with whole tensors, in the first process only unless ``rank0_only`` is False."""
        config = FullOptimStateDictConfig(rank0_only=rank0_only)
        kind = StateDictType.FULL_STATE_DICT
        with FullyShardedDataParallel.state_dict_type(model, kind, None, config):
            return FullyShardedDataParallel.optim_state_dict(model, optim)

    @staticmethod
    def sharded_optim_state_dict(
        model: nn.Module, optim: torch.optim.Optimizer, group: Any = None
    ) -> dict[str, Any]:
        """The state with distributed tensors."""
        with FullyShardedDataParallel.state_dict_type(model, StateDictType.SHARDED_STATE_DICT):
            return FullyShardedDataParallel.optim_state_dict(model, optim)

    @staticmethod
    def optim_state_dict_to_load(
        model: nn.Module,
        optim: torch.optim.Optimizer,
        optim_state_dict: dict[str, Any],
        is_named_optimizer: bool = False,
        load_directly: bool = False,
        group: Any = None,
    ) -> dict[str, Any]:
        """What ``optim.load_state_dict`` takes, of a state by names."""
        names = {param: _plain(name) for name, param in model.named_parameters()}
        params = [param for group_ in optim.param_groups for param in group_["params"]]
        numbers = {names[param]: index for index, param in enumerate(params)}
        state = {
            numbers[name]: {key: _laid_like(value, params[numbers[name]], same_shape=True) for key, value in vs.items()}
            for name, vs in optim_state_dict["state"].items()
            if name in numbers
        }
        groups = [
            {**saved, "params": [numbers[name] for name in saved["params"] if name in numbers]}
            for saved in optim_state_dict["param_groups"]
        ]
        turned = {"state": state, "param_groups": groups}
        if load_directly:
            optim.load_state_dict(turned)
        return turned

    @staticmethod
    def scatter_full_optim_state_dict(
        full_optim_state_dict: dict[str, Any] | None,
        model: nn.Module,
        optim_input: Any = None,
        optim: torch.optim.Optimizer | None = None,
        group: Any = None,
    ) -> dict[str, Any]:
        """What ``optim.load_state_dict`` takes, of the first process's whole state."""
        if optim is None:
            raise ValueError("scatter_full_optim_state_dict needs `optim`")
        box = [full_optim_state_dict if dist.get_rank(group) == 0 else None]
        dist.broadcast_object_list(box, group=group, group_src=0)
        return FullyShardedDataParallel.optim_state_dict_to_load(model, optim, box[0])  # type: ignore[arg-type]

    @staticmethod
    def shard_full_optim_state_dict(
        full_optim_state_dict: dict[str, Any],
        model: nn.Module,
        optim_input: Any = None,
        optim: torch.optim.Optimizer | None = None,
    ) -> dict[str, Any]:
        """What ``optim.load_state_dict`` takes, of a whole state that every process has."""
        if optim is None:
            raise ValueError("shard_full_optim_state_dict needs `optim`")
        return FullyShardedDataParallel.optim_state_dict_to_load(model, optim, full_optim_state_dict)

    @staticmethod
    def rekey_optim_state_dict(
        optim_state_dict: dict[str, Any],
        optim_state_key_type: OptimStateKeyType,
        model: nn.Module,
        optim_input: Any = None,
        optim: torch.optim.Optimizer | None = None,
    ) -> dict[str, Any]:
        """The same state, found by names or by numbers."""
        order = [_plain(name) for name, _ in model.named_parameters()]
        if optim is not None:
            names = {param: _plain(name) for name, param in model.named_parameters()}
            order = [names[param] for group in optim.param_groups for param in group["params"]]
        to_name = optim_state_key_type is OptimStateKeyType.PARAM_NAME
        table: dict[Any, Any] = dict(enumerate(order)) if to_name else {name: i for i, name in enumerate(order)}
        return {
            "state": {table.get(key, key): value for key, value in optim_state_dict["state"].items()},
            "param_groups": [
                {**group, "params": sorted((table.get(key, key) for key in group["params"]), key=order.index)
                 if to_name else sorted(table.get(key, key) for key in group["params"])}
                for group in optim_state_dict["param_groups"]
            ],
        }  # fmt: skip


def _ignored(modules: Any, states: Any) -> tuple[set[nn.Module], set[nn.Parameter]]:
    found = set(modules or ())
    params: set[nn.Parameter] = set()
    for state in states or ():
        (found if isinstance(state, nn.Module) else params).add(state)  # type: ignore[attr-defined]
    return found, params


def _as_type(value: Any, kind: StateDictType) -> Any:
    if not isinstance(value, DTensor):
        return value
    if kind is StateDictType.FULL_STATE_DICT:
        return value.detach().full_tensor()
    return value._local_tensor if kind is StateDictType.LOCAL_STATE_DICT else value.detach()


def _laid_like(value: Any, place: Any, same_shape: bool = False) -> Any:
    """A whole tensor as pieces where a distributed one is; this process's piece as what it is a piece of."""
    if not isinstance(place, DTensor) or not isinstance(value, torch.Tensor) or isinstance(value, DTensor):
        return value
    if value.shape == place.shape:
        return distribute_tensor(value.detach(), place.device_mesh, place.placements, src_data_rank=None)
    if same_shape:
        return value
    return DTensor(value.detach(), place._spec)
