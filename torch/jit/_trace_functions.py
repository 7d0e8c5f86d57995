"""Functions that PyTorch's traces hold as other operations than ours consist of."""

from __future__ import annotations

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["REWRITTEN"]

_UPSAMPLED = {
    ("nearest", 3): "upsample_nearest1d", ("nearest", 4): "upsample_nearest2d", ("nearest", 5): "upsample_nearest3d",
    ("linear", 3): "upsample_linear1d", ("bilinear", 4): "upsample_bilinear2d", ("bicubic", 4): "upsample_bicubic2d",
    ("trilinear", 5): "upsample_trilinear3d", ("nearest-exact", 3): "_upsample_nearest_exact1d",
    ("nearest-exact", 4): "_upsample_nearest_exact2d", ("nearest-exact", 5): "_upsample_nearest_exact3d",
}  # fmt: skip
_SMOOTHED = {"bilinear": "_upsample_bilinear2d_aa", "bicubic": "_upsample_bicubic2d_aa"}


def _interpolate(
    input: Any, size: Any = None, scale_factor: Any = None, mode: str = "nearest", align_corners: Any = None,
    recompute_scale_factor: Any = None, antialias: bool = False,
) -> Any:  # fmt: skip
    name = _SMOOTHED.get(mode) if antialias else _UPSAMPLED.get((mode, input.dim()))
    if name is None or (size is None) == (scale_factor is None) or (align_corners is not None and "nearest" in mode):
        return NotImplemented
    n = input.dim() - 2
    scales = None
    if size is not None:
        size = list(size) if isinstance(size, (list, tuple)) else [size] * n
    else:
        scales = [float(s) for s in scale_factor] if isinstance(scale_factor, (list, tuple)) else [scale_factor] * n
        scales = [float(s) for s in scales]
        if recompute_scale_factor:
            size = [torch.floor(input.size(i + 2) * s).to(torch.int64) for i, s in enumerate(scales)]
            scales = None
    overload = getattr(torch.ops.aten, name).vec
    if "nearest" in mode:
        return overload(input, size, scales)
    return overload(input, size, bool(align_corners), scales)


def _upsample(input: Any, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
              align_corners: Any = None) -> Any:  # fmt: skip
    return _interpolate(input, size, scale_factor, mode, align_corners)


def _grid_sample(
    input: Any, grid: Any, mode: str = "bilinear", padding_mode: str = "zeros", align_corners: Any = None
) -> Any:
    modes, paddings = ("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection")
    if mode not in modes or padding_mode not in paddings:
        return NotImplemented
    return torch.ops.aten.grid_sampler.default(
        input, grid, modes.index(mode), paddings.index(padding_mode), bool(align_corners)
    )


def _affine_grid(theta: Any, size: Any, align_corners: Any = None) -> Any:
    return torch.ops.aten.affine_grid_generator.default(theta, list(size), bool(align_corners))


def _tensordot(a: Any, b: Any, dims: Any = 2, out: Any = None) -> Any:
    if out is not None or isinstance(dims, torch.Tensor):
        return NotImplemented
    if isinstance(dims, int):
        first, second = list(range(a.dim() - dims, a.dim())), list(range(dims))
    else:
        first, second = ([d] if isinstance(d, int) else list(d) for d in dims)
    return torch.ops.aten.tensordot.default(a, b, first, second)


def _unique(
    input: Any, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False, dim: Any = None
) -> Any:
    if dim is None:
        found = torch.ops.aten._unique2.default(input, sorted, return_inverse, return_counts)
    else:
        found = torch.ops.aten.unique_dim.default(input, dim, sorted, return_inverse, return_counts)
    return _wanted(found, return_inverse, return_counts)


def _unique_consecutive(input: Any, return_inverse: bool = False, return_counts: bool = False, dim: Any = None) -> Any:
    found = torch.ops.aten.unique_consecutive.default(input, return_inverse, return_counts, dim)
    return _wanted(found, return_inverse, return_counts)


def _wanted(found: Any, inverse: bool, counts: bool) -> Any:
    if not inverse and not counts:
        return found[0]
    return tuple(part for part, wanted in zip(found, (True, inverse, counts), strict=True) if wanted)


def _embedding_bag(
    input: Any, weight: Any, offsets: Any = None, max_norm: Any = None, norm_type: float = 2,
    scale_grad_by_freq: bool = False, mode: str = "mean", sparse: bool = False, per_sample_weights: Any = None,
    include_last_offset: bool = False, padding_idx: Any = None,
) -> Any:  # fmt: skip
    modes = ("sum", "mean", "max")
    if mode not in modes or max_norm is not None or (input.dim() == 2) == (offsets is not None):
        return NotImplemented
    if input.dim() == 2:
        offsets = torch.arange(0, input.numel(), input.size(1), dtype=input.dtype, device=input.device)
        input = input.reshape(-1)
        if per_sample_weights is not None:
            per_sample_weights = per_sample_weights.reshape(-1)
    return torch.ops.aten.embedding_bag.padding_idx(
        weight, input, offsets, scale_grad_by_freq, modes.index(mode), sparse, per_sample_weights,
        include_last_offset, padding_idx,
    )[0]  # fmt: skip


def _normalize(input: Any, p: float = 2.0, dim: Any = 1, eps: float = 1e-12, out: Any = None) -> Any:
    if out is not None:
        return NotImplemented
    length = torch.linalg.vector_norm(input, p, dim, keepdim=True)
    return input / length.clamp_min(eps).expand_as(input)


def _maximum(name: str) -> Callable[..., Any]:
    """A pooling whose operation gives the places of the maxima too."""

    def pool(input: Any, *args: Any, return_indices: bool = False, **kwargs: Any) -> Any:
        if kwargs or len(args) > 1:
            return NotImplemented
        size = args[0]
        if isinstance(size, (list, tuple)) and any(s is None for s in size):
            size = [input.size(i - len(size)) if s is None else s for i, s in enumerate(size)]
        rank = int(name[-2])
        size = list(size) if isinstance(size, (list, tuple)) else [size] * rank
        found = getattr(torch.ops.aten, name).default(input, size)
        return found if return_indices else found[0]

    return pool


def _kl_div_over_the_batch(
    input: Any, target: Any, size_average: Any = None, reduce: Any = None, reduction: str = "mean",
    log_target: bool = False,
) -> Any:  # fmt: skip
    if reduction != "batchmean" or size_average is not None or reduce is not None:
        return NotImplemented
    total = torch.nn.functional.kl_div(input, target, reduction="sum", log_target=log_target)
    return total / input.size(0) if input.dim() else total


def _ctc_loss(
    log_probs: Any, targets: Any, input_lengths: Any, target_lengths: Any, blank: int = 0, reduction: str = "mean",
    zero_infinity: bool = False,
) -> Any:  # fmt: skip
    kind = "Tensor" if isinstance(input_lengths, torch.Tensor) else "IntList"
    if kind == "Tensor" and not isinstance(target_lengths, torch.Tensor):
        return NotImplemented
    overload = getattr(torch.ops.aten.ctc_loss, kind)
    number = ("none", "mean", "sum").index(reduction)
    if kind == "IntList":
        input_lengths, target_lengths = list(input_lengths), list(target_lengths)
    return overload(log_probs, targets, input_lengths, target_lengths, blank, number, zero_infinity)


# By the path of the function. NotImplemented: not this call.
REWRITTEN: dict[str, Callable[..., Any]] = {
    "torch.nn.functional.interpolate": _interpolate,
    "torch.nn.functional.upsample": _upsample,
    "torch.nn.functional.grid_sample": _grid_sample,
    "torch.nn.functional.affine_grid": _affine_grid,
    "torch.nn.functional.embedding_bag": _embedding_bag,
    "torch.nn.functional.normalize": _normalize,
    "torch.nn.functional.kl_div": _kl_div_over_the_batch,
    **{f"torch.nn.functional.adaptive_max_pool{n}d": _maximum(f"adaptive_max_pool{n}d") for n in (1, 2, 3)},
    "torch.nn.functional.ctc_loss": _ctc_loss,
    "torch.functional.tensordot": _tensordot,
    "torch.functional.unique": _unique,
    "torch.functional.unique_consecutive": _unique_consecutive,
    "torch.Tensor.unique": _unique,
}
