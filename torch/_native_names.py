"""Names of ``torch._C`` that packages read and that are Python here; each is found when it is first used.

``torch._C`` is a native module; ``torch/__init__.py`` gives it a ``__getattr__`` that asks :func:`find` for what it
does not hold itself, and a path: modules below it, such as ``torch._C._functorch``, are the files of ``torch/_native``.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Name to module:attribute (the same name where none is given).
_ELSEWHERE = {
    "torch._C": {
        "DispatchKey": "torch._dispatch_keys",
        "DispatchKeySet": "torch._dispatch_keys",
        "Event": "torch",
        "Stream": "torch",
        "Tag": "torch",
        "_ExcludeDispatchKeyGuard": "torch._dispatch_keys",
        "_TensorBase": "torch._C:TensorBase",
    },
}


def find(module: str, name: str) -> Any:
    """The object ``name`` of a native module; AttributeError if there is none."""
    place = _ELSEWHERE.get(module, {}).get(name)
    if place is not None:
        source, _, attribute = place.partition(":")
        return getattr(import_module(source), attribute or name)
    if module == "torch._C._nn" and name == "_parse_to":
        return _parse_to
    if module == "torch._C" and not name.startswith("__"):
        function = _FUNCTIONS.get(name)
        if function is not None:
            return function
        if name in _CONSTANTS:
            return _CONSTANTS[name]
        if name == "_TensorMeta":
            return type(sys.modules["torch"].Tensor)
        if os.path.exists(f"{sys.modules[module].__path__[0]}/{name}.py"):
            return import_module(f"{module}.{name}")
    raise AttributeError(f"module '{module}' has no attribute '{name}'")


def _log_api_usage_once(event: str) -> None:
    """Note that a part of a library is used. Nothing listens here, as nothing does in PyTorch's own builds."""


def _log_api_usage_metadata(event: str, metadata: dict[str, str]) -> None:
    """The same with details."""


def _get_accelerator(check: bool = False) -> Any:
    """The accelerator's device, or the CPU's where there is none."""
    import torch

    return torch.accelerator.current_accelerator(check) or torch.device("cpu")


def _get_privateuse1_backend_name() -> str:
    return "privateuseone"


def _are_functorch_transforms_active() -> bool:
    """Whether the caller runs below ``torch.func.vmap``; derivatives are plain graphs here and need no transform."""
    return bool(sys.modules["torch._C"]._vmap_depth())


def _get_tracing_state() -> Any:
    """Something true inside ``torch.jit.trace``, else None."""
    jit = sys.modules.get("torch.jit")
    return True if jit is not None and jit.is_tracing() else None


def _is_alias_of(first: Any, second: Any) -> bool:
    """Whether two tensors share their memory."""
    return first.untyped_storage()._cdata == second.untyped_storage()._cdata


# TorchScript's fusers and profiling executor do not exist here; their switches keep what they are given, since
# programs put the old value back.
_switches = {"profiling_executor": True, "profiling_mode": True, "texpr_fuser": True}


def _switch(name: str) -> Any:
    def change(enabled: bool) -> bool:
        before, _switches[name] = _switches[name], bool(enabled)
        return before

    return change


def _no_fuser(enabled: bool) -> None:
    """Switch a fuser that does not exist."""


def _set_texpr_fuser(enabled: bool) -> None:
    _switches["texpr_fuser"] = bool(enabled)


def _parse_to(*args: Any, **kwargs: Any) -> tuple[Any, Any, bool, Any]:
    """What the arguments of ``Module.to`` say: device, dtype, ``non_blocking`` and memory format.

    >>> import torch
    >>> torch._C._nn._parse_to("cpu", torch.float64)
    (device(type='cpu'), torch.float64, False, None)
    """
    from .nn.modules import _module_tree

    return _module_tree._parse_to(args, kwargs)


_FUNCTIONS = {
    "_log_api_usage_once": _log_api_usage_once,
    "_log_api_usage_metadata": _log_api_usage_metadata,
    "_get_accelerator": _get_accelerator,
    "_get_tracing_state": _get_tracing_state,
    "_get_privateuse1_backend_name": _get_privateuse1_backend_name,
    "_are_functorch_transforms_active": _are_functorch_transforms_active,
    "_is_alias_of": _is_alias_of,
    "_jit_set_profiling_executor": _switch("profiling_executor"),
    "_jit_set_profiling_mode": _switch("profiling_mode"),
    "_jit_set_texpr_fuser_enabled": _set_texpr_fuser,
    "_jit_texpr_fuser_enabled": lambda: _switches["texpr_fuser"],
    "_jit_override_can_fuse_on_cpu": _no_fuser,
    "_jit_override_can_fuse_on_gpu": _no_fuser,
    "_jit_set_nvfuser_enabled": _no_fuser,
    "_jit_set_nvfuser_guard_mode": _no_fuser,
    "_jit_set_nvfuser_horizontal_mode": _no_fuser,
    "_jit_can_fuse_on_cpu": lambda: False,
    "_jit_can_fuse_on_gpu": lambda: False,
    "_llvm_enabled": lambda: False,
}
_CONSTANTS = {"_has_cuda": False, "_has_xpu": False, "_has_mps": False, "_GLIBCXX_USE_CXX11_ABI": True}
