"""The choice of the kernel behind scaled dot-product attention."""

from __future__ import annotations

import contextlib
import enum

from torch.backends.cuda import SDPAParams as SDPAParams
from torch.backends.cuda import can_use_efficient_attention as can_use_efficient_attention
from torch.backends.cuda import can_use_flash_attention as can_use_flash_attention

__all__ = [
    "SDPBackend",
    "sdpa_kernel",
    "WARN_FOR_UNFUSED_KERNELS",
    "register_flash_attention_impl",
    "activate_flash_attention_impl",
    "list_flash_attention_impls",
    "current_flash_attention_impl",
    "restore_flash_attention_impl",
]

WARN_FOR_UNFUSED_KERNELS = False


class SDPBackend(enum.IntEnum):
    """Kernels that may compute attention."""

    ERROR = -1
    MATH = 0
    FLASH_ATTENTION = 1
    EFFICIENT_ATTENTION = 2
    CUDNN_ATTENTION = 3
    OVERRIDEABLE = 4

    __str__ = enum.Enum.__str__
    __repr__ = enum.Enum.__repr__


class _Chosen:
    """The kernels allowed now. There is one implementation of attention, so the choice changes no result."""

    backends: list[SDPBackend] = list(SDPBackend)[1:]


@contextlib.contextmanager
def sdpa_kernel(backends, set_priority: bool = False):
    """Allow only some kernels for the time of a block."""
    if not isinstance(backends, (list, SDPBackend)):
        raise AssertionError(
            "Backend must be an instance of SDPBackend or a list of SDPBackend instances, got "
            f"{type(backends).__name__}"
        )
    before = _Chosen.backends
    _Chosen.backends = [backends] if isinstance(backends, SDPBackend) else list(dict.fromkeys(backends))
    try:
        yield
    finally:
        _Chosen.backends = before


def _cur_sdpa_kernel_backends(with_priority: bool = False) -> list[SDPBackend]:
    return list(_Chosen.backends)


_impls: dict = {}
_active: list = []


def register_flash_attention_impl(impl: str, *, register_fn) -> None:
    """Make an implementation known; ``register_fn`` installs it and returns a handle that removes it."""
    _impls[impl] = register_fn


def list_flash_attention_impls() -> list[str]:
    """Return the names of all implementations."""
    return sorted(_impls)


def current_flash_attention_impl() -> str | None:
    """Return the active implementation's name."""
    return _active[0] if _active else None


def restore_flash_attention_impl(_raise_warn: bool = True) -> None:
    """Go back to the built-in implementation."""
    if not _active:
        return
    _, handle = _active
    _active.clear()
    if handle is not None:
        handle.remove()


def activate_flash_attention_impl(impl: str) -> None:
    """Install an implementation."""
    if impl not in _impls:
        raise ValueError(
            f"Unknown flash attention impl '{impl}'. Available implementations: {list_flash_attention_impls()}"
        )
    restore_flash_attention_impl(False)
    _active[:] = [impl, _impls[impl]()]


def __getattr__(name: str):
    if name in ("bias", "flex_attention", "varlen"):
        from importlib import import_module

        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
