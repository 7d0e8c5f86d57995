"""Tools around the library. Submodules load when they are first named."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from . import data
    from ._build import (
        ThroughputBenchmark,
        cmake_prefix_path,
        generate_methods_for_privateuse1_backend,
        get_cpp_backtrace,
        rename_privateuse1_backend,
    )
    from ._draw_graph import draw_graph
    from ._graph_svg import Drawing
    from ._nan_guard import NonFiniteError, NonFiniteFinding, nan_guard
    from ._summary import LayerSummary, ModelSummary

__all__ = [
    "Drawing",
    "LayerSummary",
    "ModelSummary",
    "NonFiniteError",
    "NonFiniteFinding",
    "ThroughputBenchmark",
    "cmake_prefix_path",
    "data",
    "deterministic",
    "draw_graph",
    "generate_methods_for_privateuse1_backend",
    "get_cpp_backtrace",
    "nan_guard",
    "rename_privateuse1_backend",
    "set_module",
    "swap_tensors",
    "weak",
]

_MODULES = frozenset(
    """
    _device _python_dispatch _pytree
    backcompat backend_registration benchmark checkpoint collect_env cpp_backtrace cpp_extension data
    deterministic dlpack flop_counter hooks mobile_optimizer model_zoo module_tracker serialization tensorboard
    throughput_benchmark weak
    """.split()
)
# Names that are defined in a module of their own.
_FROM = {
    "Drawing": "_graph_svg",
    "LayerSummary": "_summary",
    "ModelSummary": "_summary",
    "NonFiniteError": "_nan_guard",
    "NonFiniteFinding": "_nan_guard",
    "draw_graph": "_draw_graph",
    "nan_guard": "_nan_guard",
}
_BUILD = frozenset(__all__) - _MODULES - _FROM.keys() - {"set_module", "swap_tensors"}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        import importlib

        try:
            return importlib.import_module(f"{__name__}.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"{__name__}.{name}":
                raise
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}: not part of Tabula yet") from None
    if name in _BUILD or name in _FROM:
        import importlib

        return getattr(importlib.import_module(f"{__name__}.{_FROM.get(name, '_build')}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def set_module(obj: Any, mod: str) -> None:
    """Let ``obj`` name ``mod`` as the module that it comes from."""
    if not isinstance(mod, str):
        raise TypeError("The mod argument should be a string")
    obj.__module__ = mod


def swap_tensors(t1: Any, t2: Any) -> None:
    """Exchange the contents, the class and the attributes of two tensors, while each keeps its identity."""
    import torch

    torch._C._swap_tensors(t1, t2)
    kind1, kind2 = type(t1), type(t2)
    if kind1 is not kind2:
        t1.__class__, t2.__class__ = kind2, kind1
    t1.__dict__, t2.__dict__ = t2.__dict__, t1.__dict__
