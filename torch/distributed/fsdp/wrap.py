"""Which submodules are wrapped by themselves."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod

from torch import nn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

__all__ = [
    "CustomPolicy",
    "ModuleWrapPolicy",
    "always_wrap_policy",
    "enable_wrap",
    "lambda_auto_wrap_policy",
    "size_based_auto_wrap_policy",
    "transformer_auto_wrap_policy",
    "wrap",
]


def always_wrap_policy(*args: Any, **kwargs: Any) -> bool:
    """Every submodule."""
    return True


def lambda_auto_wrap_policy(
    module: nn.Module, recurse: bool, nonwrapped_numel: int, lambda_fn: Callable[[nn.Module], bool]
) -> bool:
    """Those for which ``lambda_fn`` is true."""
    return True if recurse else lambda_fn(module)


def transformer_auto_wrap_policy(
    module: nn.Module, recurse: bool, nonwrapped_numel: int, transformer_layer_cls: set[type[nn.Module]]
) -> bool:
    """Those of some classes."""
    return True if recurse else isinstance(module, tuple(transformer_layer_cls))


def _module_wrap_policy(
    module: nn.Module, recurse: bool, nonwrapped_numel: int, module_classes: set[type[nn.Module]]
) -> bool:
    return transformer_auto_wrap_policy(module, recurse, nonwrapped_numel, module_classes)


def size_based_auto_wrap_policy(
    module: nn.Module,
    recurse: bool,
    nonwrapped_numel: int,
    min_num_params: int = int(1e8),
    force_leaf_modules: set[type[nn.Module]] | None = None,
    exclude_wrap_modules: set[type[nn.Module]] | None = None,
) -> bool:
    """Those with ``min_num_params`` numbers or more that no wrapped submodule has."""
    leaves = (nn.MultiheadAttention,) if force_leaf_modules is None else tuple(force_leaf_modules)
    excluded = (nn.ModuleList, nn.ModuleDict) if exclude_wrap_modules is None else tuple(exclude_wrap_modules)
    large = nonwrapped_numel >= min_num_params
    if recurse:
        return large and not isinstance(module, leaves)
    return large and not isinstance(module, excluded)


size_based_auto_wrap_policy.EXCLUDE_WRAP_MODULES = {nn.ModuleList, nn.ModuleDict}  # type: ignore[attr-defined]
size_based_auto_wrap_policy.FORCE_LEAF_MODULES = {nn.MultiheadAttention}  # type: ignore[attr-defined]


def _or_policy(
    module: nn.Module, recurse: bool, nonwrapped_numel: int, policies: list[Callable[..., bool]]
) -> bool:
    """Those that any of several policies takes."""
    return any(policy(module=module, recurse=recurse, nonwrapped_numel=nonwrapped_numel) for policy in policies)


class _Policy(ABC):
    """Says for each submodule whether, and with which settings, it is wrapped."""

    @abstractmethod
    def settings(self, module: nn.Module) -> dict[str, Any] | None:
        """Settings that differ, or None if the module is not wrapped."""


class ModuleWrapPolicy(_Policy):
    """Submodules of some classes."""

    def __init__(self, module_classes: Iterable[type[nn.Module]]) -> None:
        self._module_classes = set(module_classes)

    def settings(self, module: nn.Module) -> dict[str, Any] | None:
        return {} if isinstance(module, tuple(self._module_classes)) else None

    def __call__(self, module: nn.Module, recurse: bool, *args: Any, **kwargs: Any) -> bool:
        return _module_wrap_policy(module, recurse, -1, self._module_classes)

    def __repr__(self) -> str:
        return super().__repr__() + f"({self._module_classes})"


class CustomPolicy(_Policy):
    """Submodules for which a function returns True, or a dict of settings."""

    def __init__(self, lambda_fn: Callable[[nn.Module], bool | dict[str, Any]]) -> None:
        self._lambda_fn = lambda_fn

    def settings(self, module: nn.Module) -> dict[str, Any] | None:
        answer = self._lambda_fn(module)
        if not isinstance(answer, (bool, dict)):
            raise ValueError(
                "The lambda_fn passed to CustomPolicy should return False/True or a kwarg dict, but it returned "
                f"{answer}"
            )
        return dict(answer) if isinstance(answer, dict) else ({} if answer else None)


def apply_policy(module: nn.Module, policy: Any, wrapped: Callable[..., nn.Module], ignored: set[nn.Module]) -> int:
    """Wrap the submodules that a policy takes, inner ones first; returns how many numbers were wrapped."""
    count = 0
    for name, child in list(module.named_children()):
        if child in ignored or getattr(child, "_fsdp_unit", None) is not None:
            continue
        numbers = sum(param.numel() for param in child.parameters())
        done = 0
        if isinstance(policy, _Policy):
            done = apply_policy(child, policy, wrapped, ignored)
            settings = policy.settings(child)
        else:
            if policy(module=child, recurse=True, nonwrapped_numel=numbers):
                done = apply_policy(child, policy, wrapped, ignored)
            take = policy(module=child, recurse=False, nonwrapped_numel=numbers - done)
            settings = {} if take else None
        if settings is not None:
            setattr(module, name, wrapped(child, **settings))
            done = numbers
        count += done
    return count


_wrapping: list[tuple[Any, dict[str, Any]]] = []


@contextlib.contextmanager
def enable_wrap(*, wrapper_cls: Any, **wrapper_kwargs: Any) -> Iterator[None]:
    """A block in which ``wrap`` wraps."""
    _wrapping.append((wrapper_cls, wrapper_kwargs))
    try:
        yield
    finally:
        _wrapping.pop()


def wrap(module: nn.Module, **wrap_overrides: Any) -> nn.Module:
    """Wrap a module as the block of ``enable_wrap`` around it says; outside of one it stays as it is."""
    if not _wrapping:
        return module
    kind, settings = _wrapping[-1]
    return kind(module, **(settings | wrap_overrides))


