"""Names of TorchScript that packages import from here, as from ``torch.jit``."""

from __future__ import annotations

import functools
from typing import Final as Final

from torch.futures import Future as Future
from torch.jit import (
    _drop,
    _isinstance,
    _overload,
    _overload_method,
    export,
    ignore,
    is_scripting,
    unused,
)
from torch.jit.annotations import BroadcastingList1 as BroadcastingList1
from torch.jit.annotations import BroadcastingList2 as BroadcastingList2
from torch.jit.annotations import BroadcastingList3 as BroadcastingList3

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = [
    "_drop",
    "_isinstance",
    "_overload",
    "_overload_method",
    "boolean_dispatch",
    "export",
    "ignore",
    "is_scripting",
    "unused",
]


def _copy_to_script_wrapper(fn: Any) -> Any:
    """Mark a method that compiled modules take over as it is."""
    fn._torchscript_modifier = "copy to script wrapper"
    return fn


def _qualified_name(obj: Any, mangle_name: bool = True) -> str:
    """The name of a class or function in programs, ``__torch__.module.Name``."""
    from torch.jit._python import qualified_name

    return qualified_name(obj)


def boolean_dispatch(
    arg_name: str, arg_index: int, default: bool, if_true: Callable[..., Any], if_false: Callable[..., Any],
    module_name: str, func_name: str,
) -> Any:  # fmt: skip
    """A function that calls one of two others, as a boolean argument says."""

    @functools.wraps(if_true)
    def dispatch(*args: Any, **kwargs: Any) -> Any:
        flag = kwargs.get(arg_name, args[arg_index] if arg_index < len(args) else default)
        return (if_true if flag else if_false)(*args, **kwargs)

    dispatch.__name__, dispatch.__module__ = func_name, module_name
    return dispatch


def is_ignored_fn(fn: Any) -> bool:
    """Whether a function is kept out of programs."""
    return getattr(fn, "_torchscript_modifier", "") in ("ignore", "unused")


def is_tuple(ann: Any) -> bool:
    """Whether an annotation is a tuple's."""
    return getattr(ann, "__origin__", ann) is tuple


def is_list(ann: Any) -> bool:
    """Whether an annotation is a list's."""
    return getattr(ann, "__origin__", ann) is list


def is_dict(ann: Any) -> bool:
    """Whether an annotation is a dictionary's."""
    return getattr(ann, "__origin__", ann) is dict


def is_optional(ann: Any) -> bool:
    """Whether an annotation allows None."""
    return type(None) in getattr(ann, "__args__", ())
