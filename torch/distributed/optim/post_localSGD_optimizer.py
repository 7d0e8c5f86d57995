"""Steps of each process, and averages of the parameters now and then."""

from __future__ import annotations

import warnings
from collections import OrderedDict

from torch.optim import Optimizer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..algorithms.model_averaging.averagers import ModelAverager

__all__ = ["PostLocalSGDOptimizer"]


class PostLocalSGDOptimizer(Optimizer):
    """Steps by ``optim``, then lets ``averager`` average the parameters over the processes if it is time.

    Lin et al., "Don't Use Large Mini-Batches, Use Local SGD", ICLR 2020.
    """

    def __init__(self, optim: Optimizer, averager: ModelAverager) -> None:
        # Parameters and state are the inner optimizer's; only the hooks around steps are this one's own.
        self._optimizer_step_pre_hooks = OrderedDict()
        self._optimizer_step_post_hooks = OrderedDict()
        self.defaults = optim.defaults
        self.optim = optim
        self.param_groups = self.optim.param_groups
        self.averager = averager

    @property
    def state(self) -> Any:  # type: ignore[override]
        return self.optim.state

    def __repr__(self) -> str:
        return repr(self.optim)

    def state_dict(self) -> dict[str, Any]:
        """The inner optimizer's state, and the averager's step."""
        return self.optim.state_dict() | {"step": self.averager.step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take a state back; without a step the averager begins anew, with a warning."""
        self.optim.load_state_dict(state_dict)
        if "step" in state_dict:
            self.averager.step = state_dict["step"]
        else:
            warnings.warn(
                "Loaded state dict does not contain a step counter for an averager. Setting step counter to 0.",
                stacklevel=2,
            )
            self.averager.step = 0

    def step(self, closure: Any = None) -> Any:  # type: ignore[override]
        """Step, and average the parameters if it is time."""
        loss = self.optim.step() if closure is None else self.optim.step(closure)
        self.averager.average_parameters(params=self.param_groups)
        return loss

    def zero_grad(self, set_to_none: bool = True) -> None:
        self.optim.zero_grad(set_to_none=set_to_none)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        self.optim.add_param_group(param_group)
