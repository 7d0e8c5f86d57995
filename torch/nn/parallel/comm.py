"""Moving tensors between the devices of one process: broadcast, sum, split, join."""

from __future__ import annotations

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from torch import Tensor

_BUFFER = 10485760


def _gpu(device: Any) -> torch.device:
    """A device that isn't the CPU; numbers are GPUs."""
    place = torch.device("cuda", device) if isinstance(device, int) else torch.device(device)
    if place.type == "cpu":
        raise ValueError(f"Expected a non cpu device, but got: {place}")
    return place


def _destination(device: Any) -> torch.device:
    """Where results go: by default the first GPU. The CPU is allowed here, -1 is its older name."""
    if device is None:
        return _gpu(0)
    if device == -1:
        import warnings

        warnings.warn(
            "Using -1 to represent CPU tensor is deprecated. Please use a device object or string instead, "
            'e.g., "cpu".',
            FutureWarning,
            stacklevel=3,
        )
        return torch.device("cpu")
    return torch.device("cuda", device) if isinstance(device, int) else torch.device(device)


def broadcast(
    tensor: Tensor, devices: Sequence[Any] | None = None, *, out: Sequence[Tensor] | None = None
) -> tuple[Tensor, ...]:
    """Copies of a tensor on GPUs, or in the tensors ``out``; RuntimeError unless just one of the two is given."""
    if (devices is None) == (out is None):
        raise RuntimeError(
            f"Exactly one of 'devices' and 'out' must be specified, but got devices={devices} and out={out}"
        )
    if devices is not None:
        return tuple(tensor.to(device) for device in [_gpu(device) for device in devices])
    return tuple(target.copy_(tensor) for target in out or ())


def broadcast_coalesced(
    tensors: Sequence[Tensor], devices: Sequence[Any], buffer_size: int = _BUFFER
) -> list[list[Tensor]]:
    """For each device, copies of all tensors. ``buffer_size`` has no effect."""
    places = [_gpu(device) for device in devices]
    return [[tensor.to(device) for tensor in tensors] for device in places]


def reduce_add(inputs: Sequence[Tensor], destination: Any = None) -> Tensor:
    """The sum of tensors of one shape that lie on different GPUs, on one of them."""
    target = None if destination is None else _destination(destination)
    shape = inputs[0].shape
    for i, tensor in enumerate(inputs):
        if tensor.device.type == "cpu":
            raise AssertionError(f"reduce_add expects all inputs to be on GPUs, but input {i} is on CPU")
        if tensor.shape != shape:
            got, expected = "x".join(map(str, tensor.shape)), "x".join(map(str, shape))
            raise ValueError(f"input {i} has invalid size: got {got}, but expected {expected}")
    target = _gpu(0) if target is None else target
    result = inputs[0].to(target)
    for tensor in inputs[1:]:
        result = result + tensor.to(target)
    return result


def reduce_add_coalesced(
    inputs: Sequence[Sequence[Tensor]], destination: Any = None, buffer_size: int = _BUFFER
) -> tuple[Tensor, ...]:
    """``reduce_add`` of the tensors at each place of lists, one list per GPU. ``buffer_size`` has no effect."""
    return tuple(reduce_add(parts, destination) for parts in zip(*inputs, strict=True))


def scatter(
    tensor: Tensor,
    devices: Sequence[Any] | None = None,
    chunk_sizes: Sequence[int] | None = None,
    dim: int = 0,
    streams: Sequence[Any] | None = None,
    *,
    out: Sequence[Tensor] | None = None,
) -> tuple[Tensor, ...]:
    """The parts of a tensor along ``dim`` on GPUs, or in the tensors ``out``, whose sizes then decide.

    RuntimeError if ``devices`` or ``chunk_sizes`` are given along with ``out``.
    """
    if out is not None:
        for name, value in (("devices", devices), ("chunk_sizes", chunk_sizes)):
            if value is not None:
                raise RuntimeError(f"'{name}' must not be specified when 'out' is specified, but got {name}={value}")
        parts = tensor.split([target.shape[dim] for target in out], dim)
        return tuple(target.copy_(part) for target, part in zip(out, parts, strict=True))
    places = [_gpu(device) for device in devices]  # type: ignore[union-attr]
    parts = tensor.chunk(len(places), dim) if chunk_sizes is None else tensor.split(list(chunk_sizes), dim)
    return tuple(part.to(device) for part, device in zip(parts, places, strict=True))


def gather(tensors: Sequence[Tensor], dim: int = 0, destination: Any = None, *, out: Tensor | None = None) -> Tensor:
    """Tensors joined along ``dim`` on one device, or in ``out``; RuntimeError if both are given."""
    if out is not None:
        if destination is not None:
            raise RuntimeError(
                f"'destination' must not be specified when 'out' is specified, but got destination={destination}"
            )
        return out.copy_(torch.cat([tensor.to(out.device) for tensor in tensors], dim))
    place = _destination(destination)
    return torch.cat([tensor.to(place) for tensor in tensors], dim)
