"""What the modules of accelerators have in common while there is no backend for them: they can be asked, not used."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def refusing(message: str, error: type[Exception] = AssertionError) -> Callable[[str], Any]:
    """A maker of functions that raise ``error(message)``, as PyTorch's do without that backend."""

    def make(name: str) -> Any:
        def function(*args: Any, **kwargs: Any) -> Any:
            raise error(message)

        function.__name__ = function.__qualname__ = name
        function.__doc__ = f"Needs a device: raises {error.__name__}({message!r})."
        return function

    return make


def refusing_class(name: str, module: str, message: str) -> Any:
    """A class whose construction raises, as PyTorch's does without that backend."""

    def refuse(cls: Any, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(message)

    return type(name, (), {"__new__": refuse, "__module__": module, "__doc__": f"Needs a device: raises {message!r}."})


def constant(name: str, value: Any, doc: str) -> Any:
    """A function that returns the answer for no devices."""

    def function(*args: Any, **kwargs: Any) -> Any:
        return value() if isinstance(value, type) else value

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function


class DeviceGuard:
    """A context that selects a device; without devices it selects nothing."""

    def __init__(self, device: Any = None) -> None:
        self.idx = -1
        self.prev_idx = -1

    def __enter__(self) -> None:
        pass

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> bool:
        return False


class StreamContext:
    """A context that selects a stream; without devices it selects nothing."""

    def __init__(self, stream: Any = None) -> None:
        self.stream = stream

    def __enter__(self) -> None:
        pass

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        pass


NOTHING: dict[str, tuple[Any, str]] = {
    "can_device_access_peer": (False, "Whether one device can read another's memory: there are none."),
    "device_count": (0, "The number of devices."),
    "empty_cache": (None, "Return cached memory: there is none."),
    "get_arch_list": (list, "The architectures that the library was built for: none."),
    "get_gencode_flags": ("", "The flags that the library was built with: none."),
    "get_rng_state_all": (list, "The states of all devices' generators: none."),
    "is_available": (False, "Whether there is a device: there is none."),
    "is_bf16_supported": (False, "Whether the device computes in bfloat16: there is none."),
    "is_initialized": (False, "Whether the devices are in use: there are none."),
    "is_tf32_supported": (False, "Whether the device computes in TF32: there is none."),
    "manual_seed": (None, "Seed the device's generator: there is none."),
    "manual_seed_all": (None, "Seed all devices' generators: there are none."),
    "max_memory_allocated": (0, "The most bytes that tensors held."),
    "max_memory_reserved": (0, "The most bytes that were reserved."),
    "memory_allocated": (0, "The bytes that tensors hold."),
    "memory_reserved": (0, "The bytes that are reserved."),
    "memory_stats": (dict, "Counts of the allocator: none."),
    "memory_stats_as_nested_dict": (dict, "Counts of the allocator: none."),
    "reset_accumulated_memory_stats": (None, "Reset the allocator's counts: there are none."),
    "reset_peak_memory_stats": (None, "Reset the allocator's peaks: there are none."),
    "seed": (None, "Seed the device's generator from the system's randomness: there is none."),
    "seed_all": (None, "Seed all devices' generators from the system's randomness: there are none."),
    "set_rng_state_all": (None, "Restore the states of all devices' generators: there are none."),
    "set_stream": (None, "Select a stream: there are none."),
}


def fill(namespace: dict[str, Any], refused: str, refuse: Callable[[str], Any]) -> None:
    """Define a device module's functions: the answers for no devices, and refusals for the rest."""
    for name, (value, doc) in NOTHING.items():
        namespace.setdefault(name, constant(name, value, doc))
    for name in refused.split():
        namespace.setdefault(name, refuse(name))
