"""Wrappers of modules: activations are made again, or offloaded, and names stay as without them."""

from __future__ import annotations

from enum import Enum, auto
from functools import partial

from torch import nn
from torch.autograd.graph import save_on_cpu
from torch.utils.checkpoint import checkpoint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

__all__ = [
    "ActivationWrapper",
    "CheckpointImpl",
    "CheckpointWrapper",
    "OffloadWrapper",
    "apply_activation_checkpointing",
    "checkpoint_wrapper",
    "offload_wrapper",
]

_INNER = "_checkpoint_wrapped_module"
_PREFIX = f"{_INNER}."


class CheckpointImpl(Enum):
    """Which form of ``torch.utils.checkpoint`` is used."""

    REENTRANT = auto()
    NO_REENTRANT = auto()


class ActivationWrapper(nn.Module):
    """A module around another one, whose name does not show in state dicts and parameters."""

    def __init__(self, mod: nn.Module) -> None:
        super().__init__()
        self._checkpoint_wrapped_module = mod
        self._register_state_dict_hook(_without_prefix)
        self.register_load_state_dict_pre_hook(_with_prefix)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has to define forward")

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name == _INNER:
                raise
            return getattr(self._checkpoint_wrapped_module, name)

    def __getitem__(self, key: int) -> Any:
        return self._checkpoint_wrapped_module[key]  # type: ignore[index]

    def named_parameters(self, *args: Any, **kwargs: Any) -> Iterator[tuple[str, nn.Parameter]]:
        for name, param in super().named_parameters(*args, **kwargs):
            yield name.replace(_PREFIX, ""), param


def _without_prefix(module: nn.Module, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
    start = f"{prefix}{_PREFIX}"
    for name in [name for name in state_dict if name.startswith(start)]:
        state_dict[prefix + name[len(start) :]] = state_dict.pop(name)


def _with_prefix(module: nn.Module, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
    for name in [name for name in state_dict if name.startswith(prefix)]:
        if not name.startswith(f"{prefix}{_PREFIX}"):
            state_dict[f"{prefix}{_PREFIX}{name[len(prefix) :]}"] = state_dict.pop(name)


class OffloadWrapper(ActivationWrapper):
    """Keeps what the backward pass needs in main memory."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        with save_on_cpu():
            return self._checkpoint_wrapped_module(*args, **kwargs)


class CheckpointWrapper(ActivationWrapper):
    """Makes activations again in the backward pass."""

    def __init__(
        self,
        mod: nn.Module,
        checkpoint_impl: CheckpointImpl = CheckpointImpl.NO_REENTRANT,
        checkpoint_fn: Callable[..., Any] | None = None,
        **checkpoint_fn_kwargs: Any,
    ) -> None:
        super().__init__(mod)
        self.checkpoint_impl = checkpoint_impl
        if checkpoint_fn is None:
            again = checkpoint_impl is CheckpointImpl.REENTRANT
            self.checkpoint_fn = partial(checkpoint, use_reentrant=again, **checkpoint_fn_kwargs)
        else:
            self.checkpoint_fn = partial(checkpoint_fn, **checkpoint_fn_kwargs)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        inner = self._checkpoint_wrapped_module
        if self.checkpoint_impl is CheckpointImpl.REENTRANT and kwargs:
            # that form takes positional arguments only
            names = list(kwargs)

            def call(*values: Any) -> Any:
                return inner(*values[: len(args)], **dict(zip(names, values[len(args) :], strict=True)))

            return self.checkpoint_fn(call, *args, *kwargs.values())
        return self.checkpoint_fn(inner, *args, **kwargs)


def offload_wrapper(module: nn.Module) -> nn.Module:
    """Keep what the backward pass of a module needs in main memory."""
    return OffloadWrapper(module)


def checkpoint_wrapper(
    module: nn.Module,
    checkpoint_impl: CheckpointImpl = CheckpointImpl.NO_REENTRANT,
    checkpoint_fn: Callable[..., Any] | None = None,
    **checkpoint_fn_kwargs: Any,
) -> nn.Module:
    """Make a module's activations again in the backward pass, instead of keeping them."""
    return CheckpointWrapper(module, checkpoint_impl, checkpoint_fn, **checkpoint_fn_kwargs)


def apply_activation_checkpointing(
    model: nn.Module,
    checkpoint_wrapper_fn: Callable[[nn.Module], nn.Module] = checkpoint_wrapper,
    check_fn: Callable[[nn.Module], bool] = lambda module: True,
    auto_wrap_policy: Callable[..., bool] | None = None,
) -> None:
    """Wrap the submodules for which ``check_fn`` is true, or that a policy of ``torch.distributed.fsdp.wrap`` takes."""
    from torch.distributed.fsdp.wrap import apply_policy

    policy = auto_wrap_policy
    if policy is None:

        def policy(module: nn.Module, recurse: bool, nonwrapped_numel: int) -> bool:
            return True if recurse else check_fn(module)

    apply_policy(model, policy, lambda module, **settings: checkpoint_wrapper_fn(module), set())


