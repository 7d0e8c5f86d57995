"""Other parameters and state in an optimizer, for a while."""

from __future__ import annotations

import contextlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from torch import Tensor

    from .optimizer import Optimizer


@contextlib.contextmanager
def swap_in_optimizer_params_and_state(
    optimizer: Optimizer, swapin_parameters: dict[str, Tensor], swapin_optim_state: dict[str, Any]
) -> Iterator[None]:
    """Inside the block the optimizer works on other parameters, with another state and other options.

    Args:
        optimizer: one that has made a step already.
        swapin_parameters: as many tensors as it has parameters, in their order.
        swapin_optim_state: what ``optimizer.state_dict()`` gives, with the values to use.

    Raises:
        ValueError: if the numbers of parameters or of groups differ.

    >>> w, other = torch.ones(1, requires_grad=True), torch.zeros(1)
    >>> sgd = torch.optim.SGD([w], lr=0.5)
    >>> other.grad = torch.ones(1)
    >>> with torch.optim.swap_in_optimizer_params_and_state(sgd, {"w": other}, sgd.state_dict()):
    ...     sgd.step()
    >>> other
    tensor([-0.5000])
    """
    tensors = list(swapin_parameters.values())
    groups, options = optimizer.param_groups, swapin_optim_state["param_groups"]
    count = sum(len(group["params"]) for group in groups)
    if len(tensors) != count:
        raise ValueError(f"expected {count} parameters, in the optimizer's order, but got {len(tensors)}")
    if len(options) != len(groups):
        raise ValueError(f"expected {len(groups)} parameter groups in the state, but got {len(options)}")
    before = [dict(group) for group in groups], optimizer.state
    numbered = {}
    for group, wanted in zip(groups, options, strict=True):
        chosen, tensors = tensors[: len(group["params"])], tensors[len(group["params"]) :]
        numbered.update(zip(wanted["params"], chosen, strict=True))
        group.update({name: value for name, value in wanted.items() if name != "params"}, params=chosen)
    optimizer.state = type(before[1])(dict) if hasattr(before[1], "default_factory") else {}
    optimizer.state.update({numbered[i]: dict(values) for i, values in swapin_optim_state["state"].items()})
    try:
        yield
    finally:
        for group, old in zip(groups, before[0], strict=True):
            group.clear()
            group.update(old)
        optimizer.state = before[1]
