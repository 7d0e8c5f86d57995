"""The usual backend of ``torch.compile``: graphs run operation by operation, on the native kernels."""

from __future__ import annotations

from torch._missing import missing_function

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_MODULES = frozenset("config custom_graph_pass decomposition".split())
_MODES: dict[str, dict[str, Any]] = {
    "default": {},
    "lite": {
        "fallback_by_default": True, "selective_decompose": True, "reorder_for_peak_memory": False,
        "reorder_for_compute_comm_overlap": False, "triton.reorder_for_reducing_graph_partitions": False,
        "use_pre_grad_passes": False, "use_joint_graph_passes": False, "use_post_grad_passes": False,
        "use_dce": False, "allow_buffer_reuse": False,
    },
    "reduce-overhead": {"triton.cudagraphs": True},
    "max-autotune-no-cudagraphs": {"max_autotune": True, "coordinate_descent_tuning": True},
    "max-autotune": {"max_autotune": True, "triton.cudagraphs": True, "coordinate_descent_tuning": True},
}  # fmt: skip
_REASON = "no machine code is made from graphs; torch.export saves programs"

aot_compile = missing_function("torch._inductor.aot_compile", _REASON)
aoti_compile_and_package = missing_function("torch._inductor.aoti_compile_and_package", _REASON)
aoti_load_package = missing_function("torch._inductor.aoti_load_package", _REASON)
standalone_compile = missing_function("torch._inductor.standalone_compile", _REASON)


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        from importlib import import_module

        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


def compile(gm: Any, example_inputs: list[Any], options: dict[str, Any] | None = None) -> Callable[..., Any]:
    """A function that runs a graph.

    Raises:
        RuntimeError: there is no such option.
    """
    check_options(options or {})
    return gm.forward  # type: ignore[no-any-return]


def list_mode_options(mode: str | None = None, dynamic: bool | None = None) -> dict[str, Any]:
    """The settings that a mode stands for; of all modes by name unless one is given.

    Raises:
        RuntimeError: there is no such mode.

    >>> import torch
    >>> torch._inductor.list_mode_options("reduce-overhead")
    {'triton.cudagraphs': True}
    """
    if mode is None:
        return {name: dict(options) for name, options in _MODES.items()}
    if mode not in _MODES:
        raise RuntimeError(f"Unrecognized mode={mode}, should be one of: {', '.join(_MODES)}")
    return dict(_MODES[mode])


def list_options() -> list[str]:
    """The names of the settings that ``torch.compile`` takes as options."""
    from . import config

    return list(config.shallow_copy_dict())


def check_options(options: dict[str, Any]) -> None:
    """Raise RuntimeError for an option that does not exist, or whose value has another type than the default."""
    if not options:
        return
    from . import config

    known = config.shallow_copy_dict()
    for key, value in options.items():
        name = key.replace("-", "_")
        if name not in known:
            raise RuntimeError(f"Unexpected optimization option {key}, known options are {list(known)}")
        wanted = config.get_type(name)
        if wanted is not type(None) and known[name] is not None and not isinstance(value, wanted):
            raise RuntimeError(
                f"Unexpected type of attr {key}, got {type(value).__name__} should be {wanted.__name__}"
            )


def cudagraph_mark_step_begin() -> None:
    """Accepted for programs that run on other devices: nothing is recorded that a step would have to begin."""
