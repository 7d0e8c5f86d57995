"""Devices of checkpoints: the names that storages are saved under, and where they go when they are loaded."""

from __future__ import annotations

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Tagger = Callable[[Any], str | None]
    Deserializer = Callable[[Any, str], Any]


def _tag(kind: str) -> Tagger:
    return lambda storage: str(storage.device) if storage.device.type == kind else None


def _restore_cpu(storage: Any, location: str) -> Any:
    return storage if location == "cpu" else None


def _restore_meta(storage: Any, location: str) -> Any:
    return torch.UntypedStorage(storage.nbytes(), device="meta") if location == "meta" else None


def _restore_cuda(storage: Any, location: str) -> Any:
    if not location.startswith("cuda"):
        return None
    device = validate_cuda_device(location)
    whole = torch._C._tensor_from_storage(storage, torch.uint8, 0, (storage.nbytes(),), (1,))
    return whole.to(device).untyped_storage()


def _restore_hpu(storage: Any, location: str) -> Any:
    return validate_hpu_device(location) if location.startswith("hpu") else None


_registry: list[tuple[int, Tagger, Deserializer]] = [
    (10, _tag("cpu"), _restore_cpu),
    (20, _tag("cuda"), _restore_cuda),
    (22, _tag("meta"), _restore_meta),
    (24, _tag("hpu"), _restore_hpu),
]


def register_package(priority: int, tagger: Tagger, deserializer: Deserializer) -> None:
    """Register how storages of a device are tagged when saved and restored when loaded; low priorities go first.

    The CPU has 10, CUDA 20.

    Args:
        priority: where in the order.
        tagger: gives the name for a storage, or None if it is not of this device.
        deserializer: gives the storage for one in CPU memory and a name, or None if the name is another device's.
    """
    _registry.append((priority, tagger, deserializer))
    _registry.sort(key=lambda entry: entry[0])


def location_tag(storage: Any) -> str:
    """The name under which a checkpoint remembers the device of ``storage``; RuntimeError if no device knows it."""
    for _, tagger, _ in _registry:
        location = tagger(storage)
        if location:
            return location
    raise RuntimeError(f"don't know how to determine data location of {torch.typename(storage)}")


def default_restore_location(storage: Any, location: str) -> Any:
    """Bring a freshly read CPU ``storage`` to the device that ``location`` names; RuntimeError if none knows it."""
    for _, _, deserializer in _registry:
        result = deserializer(storage, location)
        if result is not None:
            return result
    raise RuntimeError(
        f"don't know how to restore data location of {torch.typename(storage)} (tagged with {location})"
    )


def validate_cuda_device(location: str) -> torch.device:
    """The CUDA device that a location such as ``"cuda:0"`` names; RuntimeError if there is none."""
    if not torch.cuda.is_available():
        raise RuntimeError(
            "Attempting to deserialize object on a CUDA device but torch.cuda.is_available() is False. If you are "
            "running on a CPU-only machine, please use torch.load with map_location=torch.device('cpu') to map your "
            "storages to the CPU."
        )
    index = torch.device(location).index
    index = torch.cuda.current_device() if index is None else index
    count = torch.cuda.device_count()
    if index >= count:
        raise RuntimeError(
            f"Attempting to deserialize object on CUDA device {index} but torch.cuda.device_count() is {count}. "
            "Please use torch.load with map_location to map your storages to an existing device."
        )
    return torch.device("cuda", index)


def validate_hpu_device(location: str) -> Any:
    """Raise RuntimeError: there are no HPU devices."""
    raise RuntimeError(
        "The HPU device module is not registered. If you are running on a CPU-only machine, please use torch.load with "
        "map_location=torch.device('cpu') to map your storages to the CPU."
    )


class Restorer:
    """Where ``map_location`` wants storages: a name, a device, a dict of names, a function, or None for their own."""

    def __init__(self, map_location: Any) -> None:
        self._function: Callable[[Any, str], Any] | None = None
        self._table: dict[str, str] = {}
        self._everywhere: str | None = None
        if isinstance(map_location, dict):
            self._table = map_location
        elif isinstance(map_location, (str, bytes)):
            self._everywhere = map_location if isinstance(map_location, str) else map_location.decode()
        elif isinstance(map_location, torch.device):
            self._everywhere = str(map_location)
        elif map_location is not None:
            self._function = map_location

    def skips(self, location: str) -> bool:
        """Whether the bytes of a storage with this name are not wanted at all."""
        if self._function is not None:
            return False
        return (self._everywhere or self._table.get(location, location)) == "meta"

    def __call__(self, storage: Any, location: str) -> Any:
        """The storage where it is wanted."""
        if self._function is not None:
            result = self._function(storage, location)
            result = default_restore_location(storage, location) if result is None else result
        else:
            result = default_restore_location(storage, self._everywhere or self._table.get(location, location))
        return result.untyped() if isinstance(result, torch.storage.TypedStorage) else result
