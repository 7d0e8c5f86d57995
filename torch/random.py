"""The default random generator: seeding, state and forks."""

from __future__ import annotations

import contextlib

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    default_generator: Any

__all__ = [
    "default_generator",
    "fork_rng",
    "get_rng_state",
    "initial_seed",
    "manual_seed",
    "seed",
    "set_rng_state",
    "thread_safe_generator",
]


def __getattr__(name: str) -> Any:
    if name == "default_generator":
        return torch._C.default_generator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _cuda() -> Any:
    """The CUDA module if a program has already used it: seeding must not initialise a GPU."""
    import sys

    cuda = sys.modules.get("torch.cuda")
    return cuda if cuda is not None and cuda.is_available() else None


def set_rng_state(new_state: Any) -> None:
    """Restore the state of the default generator."""
    torch._C.default_generator.set_state(new_state)


def get_rng_state() -> Any:
    """The state of the default generator as a tensor of bytes."""
    return torch._C.default_generator.get_state()


def manual_seed(seed: Any) -> Any:
    """Seed the default generators of all devices and return the CPU's."""
    seed = int(seed)
    cuda = _cuda()
    if cuda is not None:
        cuda.manual_seed_all(seed)
    return torch._C.default_generator.manual_seed(seed)


def seed() -> int:
    """Seed the default generators of all devices from the system's randomness and return the seed."""
    value = int(torch._C.default_generator.seed())
    cuda = _cuda()
    if cuda is not None:
        cuda.manual_seed_all(value)
    return value


def initial_seed() -> int:
    """The seed that the default generator last got."""
    return int(torch._C.default_generator.initial_seed())


def thread_safe_generator() -> Any:
    """The generator to use in a data loading thread: ``None`` stands for the default one, which has a lock."""
    return None


@contextlib.contextmanager
def fork_rng(
    devices: Any = None, enabled: bool = True, _caller: str = "fork_rng", _devices_kw: str = "devices",
    device_type: str = "cuda",
) -> Iterator[None]:  # fmt: skip
    """Run a block whose random draws leave no trace: the generators are restored when it ends."""
    if not enabled:
        yield
        return
    cuda = _cuda() if device_type == "cuda" else None
    indices: list[Any] = []
    if cuda is not None:
        indices = list(range(cuda.device_count())) if devices is None else list(devices)
    state = get_rng_state()
    device_states = [cuda.get_rng_state(index) for index in indices]
    try:
        yield
    finally:
        set_rng_state(state)
        for index, device_state in zip(indices, device_states, strict=True):
            cuda.set_rng_state(device_state, index)
