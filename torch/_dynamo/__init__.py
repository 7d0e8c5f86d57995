"""The front end of ``torch.compile``: graphs from programs, and who asks for them.

The usual backends run programs as they are. A backend that a program brings gets a graph for each kind of call.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NAMES = {
    "backends.registry": "list_backends lookup_backend register_backend",
    "eval_frame": "OptimizedModule explain is_dynamo_supported is_inductor_supported optimize optimize_assert",
    "decorators": """
        allow_in_graph assume_constant_result disable disallow_in_graph dont_skip_tracing error_on_graph_break
        forbid_in_graph graph_break is_dynamo_disable_recursive mark_dynamic mark_static mark_static_address
        maybe_mark_dynamic nonstrict_trace patch_dynamo_config run set_stance skip_frame step_unsupported
        substitute_in_graph
    """,
    "external_utils": "is_compiling",
    "callback": "callback_handler on_compile_end on_compile_start",
    "utils": "graph_break_reasons guard_failures reset_frame_count",
}
_FOUND = {name: module for module, names in _NAMES.items() for name in names.split()}
_MODULES = frozenset(
    """
    _trace_wrapped_higher_order_op backends callback config decorators eval_frame exc external_utils testing utils
    """.split()
)

__all__ = [
    "allow_in_graph", "assume_constant_result", "config", "disable", "disallow_in_graph", "dont_skip_tracing",
    "error_on_graph_break", "exc", "explain", "forbid_in_graph", "graph_break", "is_compiling",
    "is_dynamo_supported", "is_inductor_supported", "list_backends", "lookup_backend", "mark_dynamic", "mark_static",
    "mark_static_address", "maybe_mark_dynamic", "nonstrict_trace", "optimize", "optimize_assert", "OptimizedModule",
    "patch_dynamo_config", "register_backend", "reset", "run", "set_recursion_limit", "set_stance", "skip_frame",
    "step_unsupported", "substitute_in_graph",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name in _FOUND:
        value = getattr(import_module(f"{__name__}.{_FOUND[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *_FOUND, *_MODULES})


def reset() -> None:
    """Forget all graphs, counts and stances."""
    import sys

    reset_code_caches()
    utils = sys.modules.get("torch._dynamo.utils")
    if utils is not None:
        utils.counters.clear()
    from ._state import Stance, stance

    stance[0] = Stance()


def reset_code_caches() -> None:
    """Forget all graphs."""
    import sys

    frames = sys.modules.get("torch._dynamo.eval_frame")
    if frames is not None:
        frames.forget_programs()


_recursion_limit = -1


def get_recursion_limit() -> int:
    """What ``set_recursion_limit`` set; -1 if nothing."""
    return _recursion_limit


def set_recursion_limit(limit: int) -> None:
    """How deep programs may call each other while they are compiled: Python's own limit holds here.

    Raises:
        ValueError: the limit is not above zero.
    """
    global _recursion_limit
    if limit < 1:
        raise ValueError("recursion limit must be greater or equal than 1")
    _recursion_limit = limit
