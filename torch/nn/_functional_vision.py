"""Resampling of images: grids, interpolation, shuffling of channels."""

from __future__ import annotations

import math
import warnings

import torch
from torch._C._nn import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d

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


def _axis_sources(out: int, size: int, scale, align_corners: bool, clip: bool, like: Tensor) -> Tensor:
    """Return the (fractional) input coordinate of every output position."""
    wide = torch.float64 if like.dtype == torch.float64 else torch.float32
    steps = torch.arange(out, device=like.device).to(wide)
    if align_corners:
        return steps * ((size - 1) / (out - 1) if out > 1 else 0.0)
    ratio = torch.tensor(1.0 / scale if scale is not None and scale > 0 else size / out, dtype=wide)
    source = ratio.to(like.device) * (steps + 0.5) - 0.5
    return source.clamp_min(0) if clip else source


def _cubic(t: Tensor, a: float) -> list[Tensor]:
    """Return the weights of the four neighbours for cubic convolution (Keys, 1981)."""

    def near(x):
        return ((a + 2) * x - (a + 3)) * x * x + 1

    def far(x):
        return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a

    return [far(t + 1), near(t), near(1 - t), far(2 - t)]


def _resample_axis(input: Tensor, dim: int, out: int, scale, mode: str, align_corners: bool) -> Tensor:
    size = input.shape[dim]
    shape = [1] * input.dim()
    shape[dim] = out
    if mode.startswith("nearest"):
        ratio = torch.tensor(1.0 / scale if scale is not None and scale > 0 else size / out, dtype=torch.float32)
        steps = torch.arange(out, dtype=torch.float32, device=input.device)
        if mode == "nearest-exact":
            steps = steps + 0.5
        index = (steps * ratio.to(input.device)).floor().to(torch.int64).clamp(max=size - 1)
        return input.index_select(dim, index)
    if mode == "cubic":
        source = _axis_sources(out, size, scale, align_corners, False, input)
        base = source.floor()
        weights = _cubic(source - base, -0.75)
        base = base.to(torch.int64)
        total = None
        for offset, weight in enumerate(weights):
            part = input.index_select(dim, (base + (offset - 1)).clamp(0, size - 1))
            part = part * weight.to(input.dtype).reshape(shape)
            total = part if total is None else total + part
        return total
    if out == size and align_corners:
        return input
    source = _axis_sources(out, size, scale, align_corners, True, input)
    low = source.to(torch.int64).clamp(max=size - 1)
    weight = (source - low.to(source.dtype)).clamp(0, 1).to(input.dtype).reshape(shape)
    high = (low + 1).clamp(max=size - 1)
    return input.index_select(dim, low) * (1 - weight) + input.index_select(dim, high) * weight


def _antialias_axis(input: Tensor, dim: int, out: int, scale, mode: str, align_corners: bool) -> Tensor:
    """Resample with a filter that widens when shrinking, as a product with a banded matrix."""
    size = input.shape[dim]
    wide = torch.float64 if input.dtype == torch.float64 else torch.float32
    if align_corners:
        ratio = (size - 1) / (out - 1) if out > 1 else 0.0
    else:
        ratio = 1.0 / scale if scale is not None and scale > 0 else size / out
    reach = {"linear": 1.0, "cubic": 2.0, "lanczos": 3.0}[mode]
    support = reach * ratio if ratio >= 1.0 else reach
    shrink = 1.0 / ratio if ratio >= 1.0 else 1.0
    center = ratio * (torch.arange(out, dtype=wide) + 0.5)
    first = (center - support + 0.5).to(torch.int64).clamp_min(0)
    last = (center + support + 0.5).to(torch.int64).clamp(max=size)
    cell = torch.arange(size)
    x = ((cell.to(wide) - center.unsqueeze(1) + 0.5) * shrink).abs()
    if mode == "linear":
        weight = (1 - x).clamp_min(0)
    elif mode == "cubic":
        a = -0.5
        near = ((a + 2) * x - (a + 3)) * x * x + 1
        far = (((x - 5) * x + 8) * x - 4) * a
        weight = torch.where(x < 1, near, torch.where(x < 2, far, torch.zeros_like(x)))
    else:
        weight = torch.where(x < 3, torch.sinc(x) * torch.sinc(x / 3), torch.zeros_like(x))
    inside = (cell >= first.unsqueeze(1)) & (cell < last.unsqueeze(1))
    weight = weight * inside
    weight = weight / weight.sum(1, keepdim=True)
    matrix = weight.to(device=input.device, dtype=input.dtype if input.is_floating_point() else wide)
    moved = input.to(matrix.dtype).movedim(dim, -1) @ matrix.t()
    moved = moved.movedim(-1, dim)
    return moved if input.is_floating_point() else (moved + 0.5).floor().clamp(0, 255).to(input.dtype)


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
            f" (got {input.dim()}D) for the modes: nearest | linear | bilinear | bicubic | trilinear | area | "
            f"nearest-exact (got {mode})"
        )
    if any(s <= 0 for s in input.shape[2:]) or any(s <= 0 for s in sizes):
        shown = lambda values: ", ".join(f"{'DHW'[3 - n + i]}: {v}" for i, v in enumerate(values))  # noqa: E731
        raise RuntimeError(
            f"Input and output sizes should be greater than 0, but got input ({shown(input.shape[2:])}) "
            f"output ({shown(sizes)})"
        )
    if kind == "lanczos" and not antialias:
        raise ValueError("lanczos mode requires antialias=True")
    out = input
    half = input.dtype in (torch.float16, torch.bfloat16) and not kind.startswith("nearest")
    integral = not (input.is_floating_point() or input.is_complex()) and not kind.startswith("nearest")
    if half or (integral and not antialias):
        out = out.float()
    axes = reversed(range(n)) if kind in ("linear", "cubic") or antialias else range(n)
    for axis in axes:
        fn = _antialias_axis if antialias else _resample_axis
        out = fn(out, axis + 2, sizes[axis], scales[axis], kind, corners)
    if integral and not antialias:
        return (out + 0.5).floor().clamp(0, 255).to(input.dtype)
    if half:
        out = out.to(input.dtype)
    return out.clone() if out is input else out


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
    size = list(size)
    if len(size) == 4:
        if theta.dim() != 3 or theta.shape[-2] != 2 or theta.shape[-1] != 3:
            raise ValueError(
                f"Expected a batch of 2D affine matrices of shape Nx2x3 for size {torch.Size(size)}. Got {theta.shape}."
            )
    elif len(size) == 5:
        if theta.dim() != 3 or theta.shape[-2] != 3 or theta.shape[-1] != 4:
            raise ValueError(
                f"Expected a batch of 3D affine matrices of shape Nx3x4 for size {torch.Size(size)}. Got {theta.shape}."
            )
    else:
        raise NotImplementedError(
            "affine_grid only supports 4D and 5D sizes, for 2D and 3D affine transforms, respectively. "
            f"Got size {torch.Size(size)}."
        )
    if min(size) <= 0:
        raise ValueError(f"Expected non-zero, positive output size. Got {torch.Size(size)}")
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
