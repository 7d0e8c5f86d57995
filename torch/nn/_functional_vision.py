"""Resampling of images: grids, interpolation, shuffling of channels."""

from __future__ import annotations

import math
import warnings

import torch
from torch._C._nn import _resample, adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d

Tensor = torch.Tensor


def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """Interleave the channels of ``groups`` groups."""
    if input.dim() < 3:
        raise RuntimeError(f"channel_shuffle expects input with > 2 dims, but got input with sizes {list(input.shape)}")
    channels = input.shape[1]
    if groups <= 0:
        raise RuntimeError(f"Number of groups to divide channels in must be positive. Value of groups:{groups}")
    if channels % groups:
        raise RuntimeError(
            f"Number of channels must be divisible by groups. Got {channels} channels and {groups} groups."
        )
    shape = input.shape
    return input.reshape(shape[0], groups, channels // groups, *shape[2:]).transpose(1, 2).reshape(shape)


native_channel_shuffle = channel_shuffle


_MODES = {
    ("nearest", 3): "nearest",
    ("nearest", 4): "nearest",
    ("nearest", 5): "nearest",
    ("nearest-exact", 3): "nearest-exact",
    ("nearest-exact", 4): "nearest-exact",
    ("nearest-exact", 5): "nearest-exact",
    ("linear", 3): "linear",
    ("bilinear", 4): "linear",
    ("trilinear", 5): "linear",
    ("bicubic", 4): "cubic",
    ("lanczos", 4): "lanczos",
}


def _interpolation_sizes(input: Tensor, size, scale_factor, n: int, recompute, mode: str):
    if size is not None and scale_factor is not None:
        raise ValueError("only one of size or scale_factor should be defined")
    if size is not None:
        if isinstance(size, (list, tuple)):
            if len(size) != n:
                raise ValueError(
                    "Input and output must have the same number of spatial dimensions, but got "
                    f"input with spatial dimensions of {list(input.shape[2:])} and output size of {size}. "
                    "Please provide input tensor in (N, C, d1, d2, ...,dK) format and "
                    "output size in (o1, o2, ...,oK) format."
                )
            return [int(s) for s in size], [None] * n
        return [int(size)] * n, [None] * n
    if scale_factor is None:
        raise ValueError("either size or scale_factor should be defined")
    if isinstance(scale_factor, (list, tuple)):
        if len(scale_factor) != n:
            raise ValueError(
                "Input and scale_factor must have the same number of spatial dimensions, but "
                f"got input with spatial dimensions of {list(input.shape[2:])} and "
                f"scale_factor of shape {scale_factor}. "
                "Please provide input tensor in (N, C, d1, d2, ...,dK) format and "
                "scale_factor in (s1, s2, ...,sK) format."
            )
        scales = [float(s) for s in scale_factor]
    else:
        scales = [float(scale_factor)] * n
    sizes = [math.floor(float(input.shape[d + 2]) * scales[d]) for d in range(n)]
    keep = recompute is None or recompute is False
    return sizes, (scales if keep and mode != "area" else [None] * n)


def interpolate(
    input: Tensor,
    size=None,
    scale_factor=None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """Resample the spatial dimensions to a size or by a factor."""
    if mode in ("nearest", "area", "nearest-exact"):
        if align_corners is not None:
            raise ValueError(
                "align_corners option can only be set with the "
                "interpolating modes: linear | bilinear | bicubic | trilinear"
            )
    corners = bool(align_corners)
    n = input.dim() - 2
    if recompute_scale_factor and size is not None:
        raise ValueError("recompute_scale_factor is not meaningful with an explicit size.")
    sizes, scales = _interpolation_sizes(input, size, scale_factor, n, recompute_scale_factor, mode)
    if antialias and not (mode in ("bilinear", "bicubic", "lanczos") and input.dim() == 4):
        raise ValueError(
            "Anti-alias option is restricted to bilinear, bicubic, and lanczos modes and requires a 4-D tensor as input"
        )
    if mode == "area" and n in (1, 2, 3):
        return (adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d)[n - 1](
            input, sizes if n > 1 else sizes[0]
        )
    kind = _MODES.get((mode, input.dim()))
    if kind is None:
        wanted = {"linear": 3, "bilinear": 4, "trilinear": 5}
        if n in (1, 2, 3) and mode in wanted:
            raise NotImplementedError(f"Got {n + 2}D input, but {mode} mode needs {wanted[mode]}D input")
        raise NotImplementedError(
            "Input Error: Only 3D, 4D and 5D input Tensors supported"
            f" (got {input.dim()}D) for the modes: nearest | linear | bilinear | bicubic | trilinear | lanczos | "
            f"area | nearest-exact (got {mode})"
        )
    if any(s <= 0 for s in input.shape[2:]) or any(s <= 0 for s in sizes):
        shown = lambda values: ", ".join(f"{'DHW'[3 - n + i]}: {v}" for i, v in enumerate(values))  # noqa: E731
        raise RuntimeError(
            f"Input and output sizes should be greater than 0, but got input ({shown(input.shape[2:])}) "
            f"output ({shown(sizes)})"
        )
    if kind == "lanczos" and not antialias:
        raise ValueError("lanczos mode requires antialias=True")
    return _resample(input, sizes, [scale or 0.0 for scale in scales], kind, corners, antialias)


def upsample(input: Tensor, size=None, scale_factor=None, mode: str = "nearest", align_corners=None) -> Tensor:
    """The older name of ``interpolate``."""
    warnings.warn("`nn.functional.upsample` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=2)
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input: Tensor, size=None, scale_factor=None) -> Tensor:
    """``interpolate`` with mode "nearest"."""
    warnings.warn(
        "`nn.functional.upsample_nearest` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=2
    )
    return interpolate(input, size, scale_factor, mode="nearest")


def upsample_bilinear(input: Tensor, size=None, scale_factor=None) -> Tensor:
    """``interpolate`` with mode "bilinear" and aligned corners."""
    warnings.warn(
        "`nn.functional.upsample_bilinear` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=2
    )
    return interpolate(input, size, scale_factor, mode="bilinear", align_corners=True)


def affine_grid(theta: Tensor, size, align_corners: bool | None = None) -> Tensor:
    """Return the sampling grid of a batch of affine maps (Jaderberg et al., 2015)."""
    if align_corners is None:
        warnings.warn(
            "Default grid_sample and affine_grid behavior has changed to align_corners=False since 1.3.0. Please "
            "specify align_corners=True if the old behavior is desired. See the documentation of grid_sample for "
            "details.",
            stacklevel=2,
        )
        align_corners = False
    if not theta.is_floating_point():
        raise ValueError(f"Expected theta to have floating point type, but got {theta.dtype}")
    given, size = size, list(size)
    if len(size) == 4:
        if theta.dim() != 3 or theta.shape[-2] != 2 or theta.shape[-1] != 3:
            raise ValueError(
                f"Expected a batch of 2D affine matrices of shape Nx2x3 for size {given}. Got {theta.shape}."
            )
    elif len(size) == 5:
        if theta.dim() != 3 or theta.shape[-2] != 3 or theta.shape[-1] != 4:
            raise ValueError(
                f"Expected a batch of 3D affine matrices of shape Nx3x4 for size {given}. Got {theta.shape}."
            )
    else:
        raise NotImplementedError(
            "affine_grid only supports 4D and 5D sizes, for 2D and 3D affine transforms, respectively. "
            f"Got size {given}."
        )
    if min(size) <= 0:
        raise ValueError(f"Expected non-zero, positive output size. Got {given}")
    space = size[2:]
    axes = []
    for axis in reversed(range(len(space))):
        steps = space[axis]
        if steps <= 1:
            line = torch.zeros(1, dtype=theta.dtype, device=theta.device)
        else:
            line = torch.linspace(-1, 1, steps, dtype=theta.dtype, device=theta.device)
            if not align_corners:
                line = line * ((steps - 1) / steps)
        shape = [1] * len(space)
        shape[axis] = steps
        axes.append(line.reshape(shape).expand(space))
    axes.append(torch.ones(space, dtype=theta.dtype, device=theta.device))
    base = torch.stack(axes, -1).reshape(1, -1, len(space) + 1)
    return (base @ theta.transpose(1, 2)).reshape(size[0], *space, len(space))


__all__ = [
    "channel_shuffle",
    "native_channel_shuffle",
    "interpolate",
    "upsample",
    "upsample_nearest",
    "upsample_bilinear",
    "affine_grid",
]
