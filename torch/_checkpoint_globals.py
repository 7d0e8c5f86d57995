"""Which classes and functions a checkpoint may name: those of every checkpoint, and those that users allow."""

from __future__ import annotations

import sys

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

BLOCKED_MODULES = frozenset({"sys", "os", "posix", "nt"})
PY2_MODULES = {"__builtin__": "builtins", "copy_reg": "copyreg"}
PY2_NAMES = {("builtins", "unicode"): "str", ("builtins", "xrange"): "range", ("builtins", "long"): "int"}

_QSCHEMES = (
    "per_channel_affine", "per_channel_affine_float_qparams", "per_channel_symmetric", "per_tensor_affine",
    "per_tensor_symmetric",
)  # fmt: skip

# What a checkpoint may call to get a tensor back.
REBUILDERS = (
    "_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3", "_rebuild_parameter",
    "_rebuild_parameter_with_state", "_rebuild_qtensor", "_rebuild_sparse_tensor", "_rebuild_nested_tensor",
    "_rebuild_meta_tensor_no_storage", "_rebuild_device_tensor_from_cpu_tensor",
    "_rebuild_device_tensor_from_numpy", "_rebuild_xla_tensor", "_rebuild_wrapper_subclass",
)  # fmt: skip

PARAMETER = "torch.nn.parameter.Parameter"

_user_globals: list[Any] = []
_allowed: dict[str, Any] = {}


def fail(message: str) -> Any:
    """An UnpicklingError with this text."""
    # The C module has the same class as `pickle` and none of its imports.
    from _pickle import UnpicklingError

    return UnpicklingError(message)


def add_safe_globals(objects: list[Any]) -> None:
    _user_globals.extend(obj for obj in objects if not any(obj is old for old in _user_globals))


def get_safe_globals() -> list[Any]:
    return list(_user_globals)


def clear_safe_globals() -> None:
    _user_globals.clear()


class safe_globals:  # noqa: N801
    """Allow additional classes and functions inside a ``with`` block.

    >>> class Settings:
    ...     rate = 0.1
    >>> with torch.serialization.safe_globals([Settings]):
    ...     torch.serialization.get_safe_globals() == [Settings]
    True
    """

    def __init__(self, safe_globals: list[Any]) -> None:
        self._objects = safe_globals

    def __enter__(self) -> None:
        self._before = list(_user_globals)
        add_safe_globals(self._objects)

    def __exit__(self, *exc: Any) -> None:
        _user_globals[:] = self._before


def _full_name(obj: Any) -> str:
    return f"{obj.__module__}.{getattr(obj, '__qualname__', obj.__name__)}"


def user_allowed() -> dict[str, Any]:
    """What users have allowed, by name."""
    result = {}
    for entry in _user_globals:
        if isinstance(entry, tuple):
            if len(entry) != 2:
                raise ValueError(f"Expected tuple of length 2 (callable, str), got tuple of length: {len(entry)}")
            if not callable(entry[0]):
                raise TypeError(f"Expected first item in tuple to be callable, got: {type(entry[0])}")
            if not isinstance(entry[1], str):
                raise TypeError(f"Expected second item in tuple to be str, got: {type(entry[1])}")
            result[entry[1]] = entry[0]
        else:
            result[_full_name(entry)] = entry
    return result


def encode(text: Any, encoding: Any = "latin1") -> bytes:
    """``_codecs.encode`` as old protocols use it for bytes: other codecs must not be reachable."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise fail("_codecs.encode is only allowed for text in latin1")
    return text.encode("latin1")


def make_bytearray(*args: Any) -> bytearray:
    """``bytearray`` without the form that takes a size."""
    if len(args) == 2 and isinstance(args[0], str) and args[1] in ("latin1", "latin-1"):
        return bytearray(args[0], "latin1")
    if not args:
        return bytearray()
    if len(args) == 1 and isinstance(args[0], (bytes, bytearray)):
        return bytearray(args[0])
    raise fail("bytearray is only allowed for bytes or latin1 text")


def parameter_class() -> Any:
    """``torch.nn.Parameter``, or None as long as nothing has loaded ``torch.nn``: a state dict does not need it."""
    module = sys.modules.get("torch.nn.parameter")
    return None if module is None else module.Parameter


def default_allowed() -> dict[str, Any]:
    """Names that any checkpoint may use, besides ``PARAMETER``.

    Values are the objects that stand for them, not always the named ones.
    """
    if _allowed:
        return _allowed
    from collections import Counter, OrderedDict

    from . import _legacy_tensors, _tensor, _utils, serialization, storage

    names: dict[str, Any] = {
        "collections.OrderedDict": OrderedDict,
        "collections.Counter": Counter,
        "torch.serialization._get_layout": serialization._get_layout,
        "torch.Size": torch.Size,
        "torch.Tensor": torch.Tensor,
        "torch.device": torch.device,
        "_codecs.encode": encode,
        "builtins.bytearray": make_bytearray,
        "builtins.set": set,
        "builtins.complex": complex,
        "torch.storage.TypedStorage": storage.TypedStorage,
        "torch.storage.UntypedStorage": storage.UntypedStorage,
        "torch._tensor._rebuild_from_type_v2": _tensor._rebuild_from_type_v2,
        # The name in files of our own first version.
        "torch._utils._rebuild_from_type_v2": _tensor._rebuild_from_type_v2,
    }
    for name, value in vars(torch).items():
        if isinstance(value, (torch.dtype, torch.memory_format)):
            names[f"torch.{name}"] = value
    for name in _QSCHEMES:
        names[f"torch.{name}"] = getattr(torch, name)
    for name, value in storage._LEGACY_CLASSES.items():
        names[f"torch.{name}"] = value
        names[f"torch.cuda.{name}"] = value
    for cuda in (False, True):
        for sparse in (False, True):
            for value in _legacy_tensors.make(cuda, sparse).values():
                names[f"{value.__module__}.{value.__name__}"] = value
    for name in REBUILDERS:
        names[f"torch._utils.{name}"] = getattr(_utils, name)
    _allowed.update(names)
    return _allowed


def is_allowed(name: str) -> bool:
    """Whether a checkpoint may use this name."""
    return name == PARAMETER or name in default_allowed() or name in user_allowed()
