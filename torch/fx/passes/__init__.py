"""Passes over graphs. Each module holds one."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MODULES = frozenset(
    """
    fake_tensor_prop graph_drawer graph_manipulation infra net_min_base operator_support param_fetch
    regional_inductor reinplace runtime_assert shape_prop split_module split_utils splitter_base tools_common utils
    """.split()
)


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        from importlib import import_module

        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
