"""Sampling an image at given coordinates."""

from __future__ import annotations

import itertools
import warnings

import torch

Tensor = torch.Tensor


def _unnormalise(coordinate: Tensor, size: int, align_corners: bool) -> Tensor:
    if align_corners:
        return (coordinate + 1) / 2 * (size - 1)
    return ((coordinate + 1) * size - 1) / 2


def _reflect(x: Tensor, twice_low: int, twice_high: int) -> Tensor:
    if twice_low == twice_high:
        return torch.zeros_like(x)
    low, span = twice_low / 2, (twice_high - twice_low) / 2
    distance = (x - low).abs()
    extra = torch.fmod(distance, span)
    flips = torch.floor(distance / span)
    return torch.where(flips % 2 == 0, extra + low, span - extra + low)


def _clipped(x: Tensor, size: int) -> Tensor:
    # No gradient on the border itself, where that of clamp would be 1.
    return torch.where((x > 0) & (x < size - 1), x, x.detach().clamp(0, size - 1))


def _padded(x: Tensor, size: int, padding_mode: str, align_corners: bool) -> Tensor:
    if padding_mode == "border":
        return _clipped(x, size)
    if padding_mode == "reflection":
        x = _reflect(x, 0, 2 * (size - 1)) if align_corners else _reflect(x, -1, 2 * size - 1)
        return _clipped(x, size)
    return x


def _fetch(flat: Tensor, indices: list[Tensor], sizes: list[int]) -> Tensor:
    """Return the values at integer coordinates, zero outside."""
    inside, position = None, None
    for index, size in zip(indices, sizes, strict=True):
        ok = (index >= 0) & (index < size)
        cell = index.clamp(0, size - 1)
        inside = ok if inside is None else inside & ok
        position = cell if position is None else position * size + cell
    batch, channels = flat.shape[:2]
    position = position.reshape(batch, 1, -1).expand(batch, channels, -1)
    return flat.gather(2, position) * inside.reshape(batch, 1, -1)


def _to_index(x: Tensor) -> Tensor:
    # Coordinates that are no number, or too large for an index, are outside.
    return torch.nan_to_num(x.double(), nan=-100.0).clamp(-(2.0**30), 2.0**30).to(torch.int64)


def _linear(flat: Tensor, coordinates: list[Tensor], sizes: list[int]) -> Tensor:
    bases = [x.detach().floor() for x in coordinates]
    total = None
    for corner in itertools.product((0, 1), repeat=len(sizes)):
        weight, indices = None, []
        for bit, x, base in zip(corner, coordinates, bases, strict=True):
            part = x - base if bit else base + 1 - x
            weight = part if weight is None else weight * part
            indices.append(_to_index(base) + bit)
        term = _fetch(flat, indices, sizes) * weight.reshape(weight.shape[0], 1, -1)
        total = term if total is None else total + term
    return total


def _cubic(t: Tensor, a: float) -> list[Tensor]:
    """Return the weights of the four neighbours for cubic convolution (Keys, 1981)."""

    def near(x):
        return ((a + 2) * x - (a + 3)) * x * x + 1

    def far(x):
        return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a

    return [far(t + 1), near(t), near(1 - t), far(2 - t)]


def _bicubic(flat: Tensor, coordinates: list[Tensor], sizes: list[int], padding_mode: str, corners: bool) -> Tensor:
    bases = [x.detach().floor() for x in coordinates]
    weights = [_cubic(x - base, -0.75) for x, base in zip(coordinates, bases, strict=True)]
    total = None
    for taps in itertools.product(range(4), repeat=2):
        weight, indices = None, []
        for axis, tap in enumerate(taps):
            part = weights[axis][tap]
            weight = part if weight is None else weight * part
            cell = _padded(bases[axis] + (tap - 1), sizes[axis], padding_mode, corners)
            indices.append(_to_index(cell))
        term = _fetch(flat, indices, sizes) * weight.reshape(weight.shape[0], 1, -1)
        total = term if total is None else total + term
    return total


def _check(input: Tensor, grid: Tensor, mode: str) -> None:
    if input.dtype != grid.dtype:
        raise RuntimeError(
            "grid_sampler(): expected input and grid to have same dtype, but input has "
            f"{str(input.dtype)[6:]} and grid has {str(grid.dtype)[6:]}"
        )
    if input.shape[0] != grid.shape[0]:
        raise RuntimeError(
            "grid_sampler(): expected grid and input to have same batch size, but got input with sizes "
            f"{list(input.shape)} and grid with sizes {list(grid.shape)}"
        )
    if grid.shape[-1] != input.dim() - 2:
        raise RuntimeError(
            f"grid_sampler(): expected grid to have size {input.dim() - 2} in last dimension, but got grid with sizes "
            f"{list(grid.shape)}"
        )
    for axis in range(2, input.dim()):
        if input.shape[axis] == 0:
            raise RuntimeError(
                "grid_sampler(): expected input to have non-empty spatial dimensions, but input has sizes "
                f"{list(input.shape)} with dimension {axis} being empty"
            )
    if input.dim() not in (4, 5) or input.dim() != grid.dim():
        wanted = f"{input.dim()}D" if input.dim() in (4, 5) else "4D or 5D"
        raise RuntimeError(
            f"grid_sampler(): expected {wanted} input and grid with same number of dimensions, but got input with "
            f"sizes {list(input.shape)} and grid with sizes {list(grid.shape)}"
        )
    if input.dim() == 5 and mode == "bicubic":
        raise RuntimeError("grid_sampler(): bicubic interpolation only supports 4D input")


def grid_sample(
    input: Tensor,
    grid: Tensor,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Tensor:
    """Sample ``input`` at the coordinates of ``grid``, which run from -1 to 1 (Jaderberg et al., 2015)."""
    if mode not in ("bilinear", "nearest", "bicubic"):
        raise ValueError(
            f"nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', but got: '{mode}'"
        )
    if padding_mode not in ("zeros", "border", "reflection"):
        raise ValueError(
            "nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or 'reflection', but got: "
            f"'{padding_mode}'"
        )
    if align_corners is None:
        warnings.warn(
            "Default grid_sample and affine_grid behavior has changed to align_corners=False since 1.3.0. Please "
            "specify align_corners=True if the old behavior is desired. See the documentation of grid_sample for "
            "details.",
            stacklevel=2,
        )
        align_corners = False
    _check(input, grid, mode)
    sizes = list(input.shape[2:])
    n = len(sizes)
    # The last axis of the grid is (x, y, z), that is, the spatial dimensions in reverse order.
    dtype = input.dtype
    coordinates = [_unnormalise(grid[..., n - 1 - axis], sizes[axis], align_corners) for axis in range(n)]
    if mode == "bicubic" and dtype in (torch.float16, torch.bfloat16):
        # Half precision makes good weights of no cubic.
        input, coordinates = input.float(), [x.float() for x in coordinates]
    flat = input.reshape(input.shape[0], input.shape[1], -1)
    if mode == "bicubic":
        out = _bicubic(flat, coordinates, sizes, padding_mode, align_corners)
    else:
        coordinates = [
            _padded(x, size, padding_mode, align_corners) for x, size in zip(coordinates, sizes, strict=True)
        ]
        if mode == "bilinear":
            out = _linear(flat, coordinates, sizes)
        else:
            out = _fetch(flat, [_to_index(x.detach().round()) for x in coordinates], sizes)
            # the grid's gradient is 0, but it depends on that of the result, so that it can be differentiated again
            nothing = grid.masked_fill(torch.ones((), dtype=torch.bool), 0).sum(-1)
            out = out + nothing.reshape(input.shape[0], 1, -1)
    return out.reshape(input.shape[0], input.shape[1], *grid.shape[1:-1]).to(dtype)


__all__ = ["grid_sample"]
