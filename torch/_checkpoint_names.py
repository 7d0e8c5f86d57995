"""Small helpers that ``torch.serialization`` has for programs which write checkpoints of their own."""

from __future__ import annotations

import inspect
import re
import sys
import tempfile
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

import torch

from . import _checkpoint_devices
from ._checkpoint_devices import validate_hpu_device
from .types import Storage

__all__ = [
    "INT_SIZE",
    "IS_WINDOWS",
    "LONG_SIZE",
    "MAP_LOCATION",
    "SHORT_SIZE",
    "STORAGE_KEY_SEPARATOR",
    "Storage",
    "StorageType",
    "T",
    "check_module_version_greater_or_equal",
    "get_source_lines_and_file",
    "mkdtemp",
    "normalize_storage_type",
    "storage_to_tensor_type",
    "validate_cuda_device",
    "validate_hpu_device",
]

# The sizes that the formats before PyTorch 1.6 note for C's types.
SHORT_SIZE = 2
INT_SIZE = 4
LONG_SIZE = 4
STORAGE_KEY_SEPARATOR = ","
# What ``torch.load`` takes as ``map_location``.
MAP_LOCATION: TypeAlias = Callable[[Storage, str], Storage] | torch.device | str | dict[str, str] | None
IS_WINDOWS = sys.platform == "win32"
T = TypeVar("T")


class StorageType:
    """A storage class of a checkpoint, known by name alone.

    >>> torch.serialization.StorageType("FloatStorage").dtype
    torch.float32
    """

    def __init__(self, name: str) -> None:
        self._name = name

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of its elements; KeyError for a name that is none."""
        return torch.storage._LEGACY_CLASSES[self._name].dtype

    def __str__(self) -> str:
        return f"StorageType(dtype={self.dtype})"


def check_module_version_greater_or_equal(
    module: Any, req_version_tuple: tuple[int, ...], error_if_malformed: bool = True
) -> bool:
    """Whether a module's ``__version__`` is at least that of the tuple.

    Raises RuntimeError for a version that is not made of numbers; with ``error_if_malformed=False`` a warning says so,
    and the answer is True.

    >>> import types
    >>> torch.serialization.check_module_version_greater_or_equal(types.SimpleNamespace(__version__="1.2"), (1, 1))
    True
    """
    count = len(req_version_tuple)
    parts = module.__version__.split(".")[:count]
    if all(re.fullmatch(r"\d+", part) for part in parts):
        return tuple(map(int, parts)) >= tuple(req_version_tuple)
    name = getattr(module, "__name__", module)
    message = (
        f"'{name}' module version string is malformed '{module.__version__}' and cannot be compared with tuple "
        f"{req_version_tuple}"
    )
    if error_if_malformed:
        raise RuntimeError(message)
    import warnings

    warnings.warn(message + ", but continuing assuming that requirement is met", UserWarning, stacklevel=2)
    return True


def mkdtemp() -> Any:
    """A context whose value is a fresh folder, which is removed at its end."""
    return tempfile.TemporaryDirectory()


def normalize_storage_type(storage_type: Any) -> Any:
    """The class in ``torch`` that has this class's name.

    >>> torch.serialization.normalize_storage_type(torch.FloatStorage)
    <class 'torch.FloatStorage'>
    """
    return getattr(torch, storage_type.__name__)


def storage_to_tensor_type(storage: Any) -> Any:
    """The class of tensors that goes with a typed storage.

    >>> torch.serialization.storage_to_tensor_type(torch.FloatStorage(1))
    <class 'torch.FloatTensor'>
    """
    return getattr(torch, torch.empty(0, dtype=storage.dtype).type().rpartition(".")[2])


def validate_cuda_device(location: str) -> int:
    """The number of the CUDA device that a location such as ``"cuda:0"`` names; RuntimeError if there is none."""
    return _checkpoint_devices.validate_cuda_device(location).index


def get_source_lines_and_file(obj: Any, error_msg: str | None = None) -> tuple[list[str], int, str | None]:
    """The source of a function or class: its lines, the number of the first, and the file.

    Raises OSError, with ``error_msg`` in its text, if there is no source.
    """
    try:
        filename = inspect.getsourcefile(obj)
        lines, number = inspect.getsourcelines(obj)
    except OSError as error:
        message = f"Can't get source for {obj}. TorchScript requires source access in order to carry out compilation, "
        message += "make sure original .py files are available."
        raise OSError(message + (f"\n{error_msg}" if error_msg else "")) from error
    return lines, number, filename
