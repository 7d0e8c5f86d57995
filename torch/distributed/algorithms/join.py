"""Processes with different numbers of inputs: those that are done go through the collectives of the others."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    import torch

__all__ = ["Join", "JoinHook", "Joinable"]

_MANY = 1000


class JoinHook:
    """What a process that has no more inputs does for one object of a ``Join`` block."""

    def main_hook(self) -> None:
        """Called again and again while others have inputs: go through the collectives of one iteration."""

    def post_hook(self, is_last_joiner: bool) -> None:
        """Called once when all are done."""


class _JoinConfig(NamedTuple):
    enable: bool
    throw_on_early_termination: bool
    is_first_joinable: bool

    @staticmethod
    def construct_disabled_join_config() -> _JoinConfig:
        return _JoinConfig(False, False, False)


class Joinable(ABC):
    """What can take part in a ``Join`` block. Each iteration calls ``Join.notify_join_context(self)`` first."""

    @abstractmethod
    def __init__(self) -> None:
        super().__init__()
        self._join_config = _JoinConfig.construct_disabled_join_config()

    @abstractmethod
    def join_hook(self, **kwargs: Any) -> JoinHook:
        """What a process does for it that has no more inputs."""

    @property
    @abstractmethod
    def join_device(self) -> torch.device:
        """Where its collectives' tensors lie."""

    @property
    @abstractmethod
    def join_process_group(self) -> Any:
        """Its group."""


class Join:
    """A block of training in which the processes may have different numbers of inputs.

    Further arguments go to each object's ``join_hook``. With ``throw_on_early_termination`` all processes raise
    RuntimeError as soon as one has no more inputs.

    Raises:
        ValueError: the objects have different devices or groups, or there are none.
        TypeError: one is no ``Joinable``.
    """

    def __init__(
        self,
        joinables: list[Joinable],
        enable: bool = True,
        throw_on_early_termination: bool = False,
        **kwargs: Any,
    ) -> None:
        if not joinables:
            raise ValueError("The join context manager requires at least one joinable")
        for joinable in joinables:
            if not isinstance(joinable, Joinable):
                raise TypeError(f"{type(joinable).__name__} is not a Joinable")
        self._joinables = joinables
        self._join_hooks = [joinable.join_hook(**kwargs) for joinable in joinables]
        self._enable = enable
        self._throw_on_early_termination = throw_on_early_termination
        for index, joinable in enumerate(joinables):
            joinable._join_config = _JoinConfig(enable, throw_on_early_termination, index == 0)
        groups = {id(joinable.join_process_group) for joinable in joinables}
        if len(groups) > 1:
            raise ValueError("Using join context manager with multiple process groups")
        devices = {joinable.join_device for joinable in joinables}
        if len(devices) > 1:
            raise ValueError("Using join context manager with multiple devices")
        self._process_group = joinables[0].join_process_group
        self._rank = self._process_group.rank()
        self._device = joinables[0].join_device

    def __enter__(self) -> None: ...

    def __exit__(self, kind: Any, value: Any, trace: Any) -> None:
        if not self._enable or kind is not None:
            return
        rounds, last = 0, True
        while _all_reduced(self._process_group, 0) > 0:
            if self._throw_on_early_termination:
                raise RuntimeError(f"Rank {self._rank} exhausted all inputs.")
            for hook in self._join_hooks:
                hook.main_hook()
            last = False
            rounds += 1
            if rounds == _MANY:
                warnings.warn(
                    f"rank {self._rank} has no more inputs and waits since {_MANY} iterations of the others: the "
                    "processes' inputs differ much in number",
                    stacklevel=2,
                )
        for hook in self._join_hooks:
            hook.post_hook(last)

    @staticmethod
    def notify_join_context(joinable: Joinable) -> Any:
        """Tell those that are done that this process is not; to be called at the start of each iteration.

        Returns the work of an ``all_reduce`` whose result is how many processes have inputs, or None where the object
        is in no block, or is not the block's first.

        Raises:
            RuntimeError: a process is done, and the block says that all have to stop then.
        """
        import torch
        from torch.distributed import all_reduce

        config = joinable._join_config
        if not config.enable or not config.is_first_joinable:
            return None
        group = joinable.join_process_group
        work = all_reduce(torch.ones(1, device=joinable.join_device), group=group, async_op=True)
        if config.throw_on_early_termination:
            work.wait()
            if int(work.result()[0]) < group.size():
                raise RuntimeError("Detected at least one rank that exhausted inputs. Throwing across all ranks.")
        return work


def _all_reduced(group: Any, number: int) -> int:
    import torch
    from torch.distributed import all_reduce

    total = torch.full((1,), float(number))
    all_reduce(total, group=group)
    return int(total)
