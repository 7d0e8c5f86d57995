"""An optimizer whose state is spread over the processes. Rajbhandari et al., "ZeRO", SC 2020."""

from __future__ import annotations

import inspect

import torch
import torch.distributed as dist
from torch.optim import Optimizer

from ..algorithms.join import Join, Joinable, JoinHook

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["ZeroRedundancyOptimizer"]


class _JoinedStep(JoinHook):
    def __init__(self, optimizer: ZeroRedundancyOptimizer) -> None:
        self.optimizer = optimizer

    def main_hook(self) -> None:
        # the parameters that this process owns still have to be stepped, and handed out
        self.optimizer.step()


class ZeroRedundancyOptimizer(Optimizer, Joinable):
    """Each process steps some of the parameters, by an optimizer of its own, and hands them to all others.

    Gradients have to be the same everywhere, as ``DistributedDataParallel`` makes them. The state takes 1/size of the
    memory in each process. ``consolidate_state_dict(to)`` brings it together in one process, whose
    ``state_dict()`` then is that of a plain optimizer.

    Raises:
        TypeError: ``params`` are no tensors or groups.
        ValueError: there are none.
        NotImplementedError: for ``overlap_with_ddp``.
    """

    def __init__(
        self,
        params: Any,
        optimizer_class: type[Optimizer],
        process_group: Any = None,
        parameters_as_bucket_view: bool = False,
        overlap_with_ddp: bool = False,
        **defaults: Any,
    ) -> None:
        if overlap_with_ddp:
            raise NotImplementedError(
                "ZeroRedundancyOptimizer: overlap_with_ddp is not supported; step after the backward pass"
            )
        groups = self._checked(params)
        Joinable.__init__(self)
        self.process_group = dist.group.WORLD if process_group is None else process_group
        self.world_size = dist.get_world_size(self.process_group)
        self.rank = dist.get_rank(self.process_group)
        self.parameters_as_bucket_view = parameters_as_bucket_view
        self._optim_constructor = optimizer_class
        self._optim_defaults = defaults
        self._all_state_dicts: list[dict[str, Any]] = []
        self._ready = False
        Optimizer.__init__(self, groups, defaults)
        self._make_local()
        self._ready = True

    @staticmethod
    def _checked(params: Any) -> list[Any]:
        if isinstance(params, torch.Tensor):
            raise TypeError("`params` argument should be an iterable of Tensors, but got " + torch.typename(params))
        groups = list(params)
        if not groups:
            raise ValueError("ZeroRedundancyOptimizer got an empty parameter list")
        for group in groups:
            if not isinstance(group, (torch.Tensor, dict)):
                raise TypeError(
                    "`params` argument should be an iterable of Tensors or an iterable of dicts, but got an iterable "
                    f"containing {torch.typename(group)}"
                )
        return groups

    def _partition(self) -> list[list[list[Any]]]:
        """For each process and group the parameters that it steps: the largest first, to whoever has least."""
        loads = [0] * self.world_size
        shares: list[list[list[Any]]] = [[[] for _ in self.param_groups] for _ in range(self.world_size)]
        for index, group in enumerate(self.param_groups):
            owners = {}
            for param in sorted(group["params"], key=lambda p: p.numel(), reverse=True):
                rank = loads.index(min(loads))
                owners[param] = rank
                loads[rank] += param.numel()
            for param in group["params"]:
                shares[owners[param]][index].append(param)
        return shares

    def _make_local(self) -> None:
        self._shares = self._partition()
        self._owner = {
            param: rank for rank, groups in enumerate(self._shares) for params in groups for param in params
        }
        mine = [
            {**{key: value for key, value in group.items() if key != "params"}, "params": params}
            for group, params in zip(self.param_groups, self._shares[self.rank], strict=True)
        ]
        self.optim = self._optim_constructor(mine, **self._optim_defaults)
        for whole, local in zip(self.param_groups, self.optim.param_groups, strict=True):
            for key, value in local.items():
                whole.setdefault(key, value)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters, and spread them over the processes."""
        super().add_param_group(param_group)
        if self._ready:
            state = self.optim.state
            self._make_local()
            for param, values in state.items():
                if self._owner.get(param) == self.rank:
                    self.optim.state[param] = values

    def _hand_out(self) -> None:
        from .._reducer import _broadcast_coalesced

        for rank, groups in enumerate(self._shares):
            params = [param.detach() for params in groups for param in params]
            if params:
                _broadcast_coalesced(self.process_group, params, src=rank)

    def _align_settings(self) -> None:
        for whole, local in zip(self.param_groups, self.optim.param_groups, strict=True):
            for key, value in whole.items():
                if key != "params":
                    local[key] = value

    def step(self, closure: Callable[[], float] | None = None, **kwargs: Any) -> float | None:  # type: ignore[override]
        """Step the parameters that are this process's, and take all others from those who have stepped them."""
        Join.notify_join_context(self)
        self._align_settings()
        if closure is not None:
            loss = self.optim.step(closure=closure, **kwargs)
        elif kwargs and "closure" in inspect.signature(self.optim.step).parameters:
            loss = self.optim.step(closure=None, **kwargs)
        else:
            loss = self.optim.step()
        with torch.no_grad():
            self._hand_out()
        return loss

    def join_hook(self, **kwargs: Any) -> JoinHook:
        """What a process does in a ``Join`` block when it has no more inputs."""
        return _JoinedStep(self)

    @property
    def join_device(self) -> torch.device:
        return self.param_groups[0]["params"][0].device

    @property
    def join_process_group(self) -> Any:
        return self.process_group

    def consolidate_state_dict(self, to: int = 0) -> None:
        """Bring the state of all processes together in the one of rank ``to``; all have to call it."""
        self._align_settings()
        found: list[Any] | None = [None] * self.world_size if self.rank == to else None
        dist.gather_object(self.optim.state_dict(), found, group=self.process_group, group_dst=to)
        self._all_state_dicts = found or []

    def state_dict(self) -> dict[str, Any]:
        """The state as a plain optimizer's.

        Raises:
            RuntimeError: ``consolidate_state_dict`` did not bring it here before.
        """
        if not self._all_state_dicts:
            raise RuntimeError(
                "Optimizer state has not been consolidated on this rank. Please call "
                f"`consolidate_state_dict(to={self.rank})` on all ranks beforehand if you meant to save the global "
                "state."
            )
        numbers = {}
        for group in self.param_groups:
            for param in group["params"]:
                numbers[param] = len(numbers)
        state = {}
        for rank, local in enumerate(self._all_state_dicts):
            params = [param for share in self._shares[rank] for param in share]
            for index, values in local["state"].items():
                state[numbers[params[index]]] = values
        groups = [
            {**{k: v for k, v in group.items() if k != "params"}, "params": [numbers[p] for p in group["params"]]}
            for group in self.param_groups
        ]
        return {"state": dict(sorted(state.items())), "param_groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take this process's part of a plain optimizer's state."""
        params = [param for group in self.param_groups for param in group["params"]]
        for index, values in state_dict["state"].items():
            param = params[index]
            if self._owner[param] == self.rank:
                self.optim.state[param] = {
                    key: value.to(param.device).clone() if isinstance(value, torch.Tensor) else value
                    for key, value in values.items()
                }
        for group, saved in zip(self.param_groups, state_dict["param_groups"], strict=True):
            for key, value in saved.items():
                if key != "params":
                    group[key] = value
        self._align_settings()
