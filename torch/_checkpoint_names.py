"""Small helpers that ``torch.serialization`` has for programs which write checkpoints of their own."""

from __future__ import annotations

import re
import tempfile
from typing import Any

import torch


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
    from .serialization import _validate_cuda_device

    return _validate_cuda_device(location).index


def validate_hpu_device(location: str) -> int:
    """Raise RuntimeError: there are no HPU devices."""
    raise RuntimeError(
        "The HPU device module is not registered. If you are running on a CPU-only machine, please use torch.load with "
        "map_location=torch.device('cpu') to map your storages to the CPU."
    )
