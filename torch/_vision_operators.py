"""The operations of torchvision's C++ library, whose binary cannot be loaded here.

torchvision gives them implementations for tensors without memory, derivatives and rules for autocast when it is
imported, and calls them by ``torch.ops.torchvision``. Derivatives come from running the forward once more with
gradients.

Sources: He et al. 2017, "Mask R-CNN" (RoIAlign); Girshick 2015, "Fast R-CNN" (RoI pooling); Zhu et al. 2019,
"Deformable ConvNets v2"; Li et al. 2018, "Light-Head R-CNN" (position-sensitive RoIAlign).
"""

from __future__ import annotations

import torch
from torch import library

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from torch import Tensor

__all__ = ["deform_conv2d", "nms", "ps_roi_align", "roi_align", "roi_pool"]


def nms(dets: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Non-maximum suppression: the boxes that overlap no better one.

    Args:
        dets: boxes as corners (x1, y1, x2, y2), shape [n, 4].
        scores: the better, the higher; shape [n].
        iou_threshold: boxes overlap whose intersection is more than this part of their union.

    Returns:
        The numbers of the boxes that stay, best first: int64, shape [at most n].

    >>> import torch
    >>> boxes = torch.tensor([[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 2.0, 1.9], [5.0, 5.0, 6.0, 6.0]])
    >>> torch.ops.torchvision.nms(boxes, torch.tensor([0.5, 0.9, 0.7]), 0.5)
    tensor([1, 2])
    """
    torch._check(dets.dim() == 2, lambda: f"boxes should be a 2d tensor, got {dets.dim()}D")
    torch._check(dets.size(1) == 4, lambda: f"boxes should have 4 elements in dimension 1, got {dets.size(1)}")
    torch._check(scores.dim() == 1, lambda: f"scores should be a 1d tensor, got {scores.dim()}D")
    torch._check(
        dets.size(0) == scores.size(0),
        lambda: "boxes and scores should have same number of elements in dimension 0, got "
        f"{dets.size(0)} and {scores.size(0)}",
    )
    order = scores.argsort(descending=True, stable=True)
    low, high = dets[order].split(2, 1)
    area = (high - low).prod(1)
    kept = []
    left = torch.arange(len(order))
    while len(left):
        best, rest = left[0], left[1:]
        kept.append(best)
        shared = (torch.minimum(high[rest], high[best]) - torch.maximum(low[rest], low[best])).clamp(min=0).prod(1)
        left = rest[~(shared / (area[rest] + area[best] - shared) > iou_threshold)]
    return order[torch.stack(kept)] if kept else order


def _axis(start: Tensor, step: Tensor, bins: int, samples: int, extent: int) -> tuple[Tensor, ...]:
    """Where to sample along one axis: the neighbours' numbers and weights, each [regions, bins * samples]."""
    places = (torch.arange(bins * samples, dtype=start.dtype) + 0.5) / samples
    at = start[:, None] + step[:, None] * places
    inside = (at >= -1) & (at <= extent)
    at = at.clamp(0, extent - 1)
    low = at.floor()
    high = (low + 1).clamp(max=extent - 1)
    upper = at - low
    return low.long(), high.long(), (1 - upper) * inside, upper * inside


def _sampled(features: Tensor, extent: Any, rois: Tensor, starts: Any, steps: Any, bins: Any, samples: Any) -> Tensor:
    """The mean of bilinear samples in each bin, [regions, channels, bins, bins], of features with a row for each pixel.

    A bin is a weighted sum of few rows, which is what ``embedding_bag`` computes without any copies of them.
    """
    image = rois[:, 0].long()[:, None, None]
    y_low, y_high, y_lower, y_upper = _axis(starts[0], steps[0], bins[0], samples[0], extent[0])
    x_low, x_high, x_lower, x_upper = _axis(starts[1], steps[1], bins[1], samples[1], extent[1])
    y, y_weight = torch.stack([y_low, y_high], 2), torch.stack([y_lower, y_upper], 2)
    x, x_weight = torch.stack([x_low, x_high], 2), torch.stack([x_lower, x_upper], 2)

    def of_bins(table: Tensor) -> Tensor:
        # [regions, height * samples, 2, width * samples, 2] to one row for each bin
        return table.unflatten(3, (bins[1], -1)).unflatten(1, (bins[0], -1)).permute(0, 1, 4, 2, 3, 5, 6).flatten(3)

    rows = of_bins((image * extent[0] + y)[..., None, None] * extent[1] + x[:, None, None])
    weights = of_bins(y_weight[..., None, None] * x_weight[:, None, None]) / (samples[0] * samples[1])
    pooled = torch.nn.functional.embedding_bag(
        rows.flatten(0, 2), features, mode="sum", per_sample_weights=weights.flatten(0, 2).to(features.dtype)
    )
    return pooled.unflatten(0, (len(rois), *bins)).permute(0, 3, 1, 2)


def _align(
    input: Tensor, rois: Tensor, scale: float, bins: tuple[int, int], ratio: int, shift: float, least: float | None  # noqa: A002
) -> Tensor:
    torch._check(rois.size(1) == 5, lambda: "rois must have shape as Tensor[K, 5]")
    corners = rois[:, 1:] * scale - shift
    sizes = corners[:, 2:] - corners[:, :2]
    if least is not None:
        sizes = sizes.clamp(min=least)
    starts, steps = (corners[:, 1], corners[:, 0]), (sizes[:, 1] / bins[0], sizes[:, 0] / bins[1])
    result = input.new_zeros((len(rois), input.size(1), *bins))
    if ratio > 0:
        counts = torch.full((len(rois), 2), ratio)
    else:
        counts = torch.stack(steps, 1).detach().ceil().long().clamp(min=1)
    features = input.permute(0, 2, 3, 1).flatten(0, 2)
    pieces, places = [], []
    for samples in counts.unique(dim=0).tolist() if len(rois) else ():
        members = (counts == torch.tensor(samples)).all(1).nonzero()[:, 0]
        where = [s[members] for s in starts], [s[members] for s in steps]
        pieces.append(_sampled(features, input.shape[2:], rois[members], *where, bins, samples))
        places.append(members)
    return result.index_copy(0, torch.cat(places), torch.cat(pieces)) if pieces else result


def roi_align(
    input: Tensor,  # noqa: A002
    rois: Tensor,
    spatial_scale: float,
    pooled_height: int,
    pooled_width: int,
    sampling_ratio: int,
    aligned: bool,
) -> Tensor:
    """RoIAlign: the means of bilinear samples in the bins of regions.

    Args:
        input: features, shape [n, c, h, w].
        rois: image number and corners (x1, y1, x2, y2), shape [k, 5].
        sampling_ratio: samples of a bin along each axis; as many as the bin has pixels if not positive.
        aligned: whether corners are half a pixel lower, as they should be.

    Returns:
        Shape [k, c, pooled_height, pooled_width].
    """
    bins = (pooled_height, pooled_width)
    return _align(input, rois, spatial_scale, bins, sampling_ratio, 0.5 * aligned, None if aligned else 1.0)


def ps_roi_align(
    input: Tensor,  # noqa: A002
    rois: Tensor,
    spatial_scale: float,
    pooled_height: int,
    pooled_width: int,
    sampling_ratio: int,
) -> tuple[Tensor, Tensor]:
    """Position-sensitive RoIAlign: each bin has channels of its own.

    Returns the values, shape [k, c / (pooled_height * pooled_width), pooled_height, pooled_width], and which channel
    each came from: int32, same shape.
    """
    bins = (pooled_height, pooled_width)
    count = pooled_height * pooled_width
    torch._check(
        input.size(1) % count == 0,
        lambda: "input channels must be a multiple of pooling height * pooling width",
    )
    full = _align(input, rois, spatial_scale, bins, sampling_ratio, 0.5, None)
    own = full.flatten(2).unflatten(1, (-1, count)).diagonal(dim1=2, dim2=3).unflatten(2, bins)
    channels = torch.arange(input.size(1), dtype=torch.int32).reshape(1, -1, *bins)
    return own.contiguous(), channels.expand(own.shape).contiguous()


def roi_pool(
    input: Tensor, rois: Tensor, spatial_scale: float, pooled_height: int, pooled_width: int  # noqa: A002
) -> tuple[Tensor, Tensor]:
    """The greatest value in each bin of a region, whose corners are rounded to whole pixels.

    Returns the values, shape [k, c, pooled_height, pooled_width], and where each was in the flattened image: int32, -1
    for a bin without pixels.
    """
    torch._check(rois.size(1) == 5, lambda: "rois must have shape as Tensor[K, 5]")
    channels, height, width = input.shape[1:]
    shape = (len(rois), channels, pooled_height, pooled_width)
    found = input.new_zeros(shape)
    places = torch.full(shape, -1, dtype=torch.int32)
    scaled = rois[:, 1:] * spatial_scale
    corners = (scaled.sign() * (scaled.abs() + 0.5).floor()).long().tolist()  # halves go away from zero
    for k, (image, (x1, y1, x2, y2)) in enumerate(zip(rois[:, 0].long().tolist(), corners, strict=True)):
        rows = _edges(y1, y2, pooled_height, height, input.dtype)
        columns = _edges(x1, x2, pooled_width, width, input.dtype)
        for i, (top, bottom) in enumerate(rows):
            for j, (left, right) in enumerate(columns):
                if top < bottom and left < right:
                    best, at = input[image, :, top:bottom, left:right].flatten(1).max(1)
                    found[k, :, i, j] = best
                    row, column = at // (right - left), at % (right - left)
                    places[k, :, i, j] = ((top + row) * width + left + column).int()
    return found, places


def _edges(first: int, last: int, bins: int, extent: int, dtype: torch.dtype) -> list[tuple[int, int]]:
    # In the dtype of the features: a bin that ends at a whole pixel must not take one more by rounding.
    edges = torch.arange(bins + 1) * (torch.tensor(max(last - first + 1, 1), dtype=dtype) / bins)
    low = (edges[:-1].floor().long() + first).clamp(0, extent).tolist()
    high = (edges[1:].ceil().long() + first).clamp(0, extent).tolist()
    return list(zip(low, high, strict=True))


def deform_conv2d(
    input: Tensor,  # noqa: A002
    weight: Tensor,
    offset: Tensor,
    mask: Tensor,
    bias: Tensor,
    stride_h: int,
    stride_w: int,
    pad_h: int,
    pad_w: int,
    dilation_h: int,
    dilation_w: int,
    groups: int,
    offset_groups: int,
    use_mask: bool,
) -> Tensor:
    """A convolution that samples its input at shifted places, bilinearly, with zeros outside.

    Args:
        input: shape [n, c, h, w].
        weight: shape [c_out, c / groups, kh, kw].
        offset: shifts (y, x) of each sample, shape [n, offset_groups * kh * kw * 2, h_out, w_out].
        mask: factors of the samples, shape [n, offset_groups * kh * kw, h_out, w_out]; read if ``use_mask``.
        bias: shape [c_out].

    Returns:
        Shape [n, c_out, h_out, w_out].
    """
    n, channels, height, width = input.shape
    kernel = weight.shape[2] * weight.shape[3]
    rows, columns = offset.shape[-2:]
    shift = offset.reshape(n, offset_groups, kernel, 2, rows, columns)
    y = torch.arange(rows) * stride_h - pad_h
    x = torch.arange(columns) * stride_w - pad_w
    tap_y = (torch.arange(weight.shape[2]) * dilation_h).repeat_interleave(weight.shape[3])
    tap_x = (torch.arange(weight.shape[3]) * dilation_w).repeat(weight.shape[2])
    at_y = shift[:, :, :, 0] + (tap_y[:, None, None] + y[:, None])
    at_x = shift[:, :, :, 1] + (tap_x[:, None, None] + x)
    # One image for each group of channels that shares its shifts.
    images = input.reshape(n * offset_groups, channels // offset_groups, height * width)
    places_y, places_x = at_y.reshape(n * offset_groups, 1, -1), at_x.reshape(n * offset_groups, 1, -1)
    low_y, low_x = places_y.detach().floor(), places_x.detach().floor()
    total: Any = 0
    for row, row_weight in ((low_y, low_y + 1 - places_y), (low_y + 1, places_y - low_y)):
        for column, column_weight in ((low_x, low_x + 1 - places_x), (low_x + 1, places_x - low_x)):
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            index = (row.clamp(0, height - 1) * width + column.clamp(0, width - 1)).long()
            values = images.gather(2, index.expand(-1, images.size(1), -1))
            total = total + values * (row_weight * column_weight * inside)
    sampled = total.reshape(n, offset_groups, channels // offset_groups, kernel, rows * columns)
    if use_mask:
        sampled = sampled * mask.reshape(n, offset_groups, 1, kernel, rows * columns)
    taps = sampled.reshape(n, groups, channels // groups * kernel, rows * columns)
    product = weight.reshape(groups, -1, channels // groups * kernel) @ taps
    return product.reshape(n, -1, rows, columns) + bias[:, None, None]


# ---- derivatives


def _linear_gradient(forward: Callable[[Tensor], Tensor], grad: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The gradient of a linear function, found at zero."""
    with torch.enable_grad():
        image = grad.new_zeros(shape).requires_grad_()
        (result,) = torch.autograd.grad(forward(image), image, grad)
    return result


def _roi_align_backward(grad: Tensor, rois: Tensor, scale: float, ph: int, pw: int, *rest: Any) -> Tensor:
    *shape, ratio, aligned = rest
    return _linear_gradient(lambda image: roi_align(image, rois, scale, ph, pw, ratio, aligned), grad, tuple(shape))


def _ps_roi_align_backward(
    grad: Tensor, rois: Tensor, channel_mapping: Tensor, scale: float, ph: int, pw: int, ratio: int, *shape: int
) -> Tensor:
    return _linear_gradient(lambda image: ps_roi_align(image, rois, scale, ph, pw, ratio)[0], grad, shape)


def _roi_pool_backward(
    grad: Tensor, rois: Tensor, argmax: Tensor, scale: float, ph: int, pw: int, *shape: int
) -> Tensor:
    n, channels, height, width = shape
    result = grad.new_zeros(n * channels, height * width)
    rows = rois[:, 0].long()[:, None] * channels + torch.arange(channels)
    flat, places = grad.flatten(2), argmax.flatten(2).long()
    known = places >= 0
    index = (rows[:, :, None].expand_as(places)[known], places[known])
    return result.index_put(index, flat[known], accumulate=True).reshape(shape)


def _deform_conv2d_backward(
    grad: Tensor, input: Tensor, weight: Tensor, offset: Tensor, mask: Tensor, bias: Tensor, *options: Any  # noqa: A002
) -> tuple[Tensor, ...]:
    with torch.enable_grad():
        leaves = [t.detach().requires_grad_() for t in (input, weight, offset, mask, bias)]
        found = torch.autograd.grad(deform_conv2d(*leaves, *options), leaves, grad, allow_unused=True)
    return tuple(torch.zeros_like(t) if g is None else g for g, t in zip(found, leaves, strict=True))


def _missing(name: str) -> Callable[..., Any]:
    def refuse(*args: Any) -> Any:
        raise NotImplementedError(f"torchvision::{name} is not part of Tabula yet")

    return refuse


_POOLED = "float spatial_scale, SymInt pooled_height, SymInt pooled_width"
_SHAPE = "SymInt batch_size, SymInt channels, SymInt height, SymInt width"
_CONVOLUTION = (
    "Tensor input, Tensor weight, Tensor offset, Tensor mask, Tensor bias, SymInt stride_h, SymInt stride_w, "
    "SymInt pad_h, SymInt pad_w, SymInt dilation_h, SymInt dilation_w, SymInt groups, SymInt offset_groups, "
    "bool use_mask"
)
_OPERATIONS: dict[str, tuple[str, Callable[..., Any]]] = {
    "nms": ("(Tensor dets, Tensor scores, float iou_threshold) -> Tensor", nms),
    "qnms": ("(Tensor dets, Tensor scores, float iou_threshold) -> Tensor", _missing("qnms")),
    "roi_align": (f"(Tensor input, Tensor rois, {_POOLED}, int sampling_ratio, bool aligned) -> Tensor", roi_align),
    "_roi_align_backward": (
        f"(Tensor grad, Tensor rois, {_POOLED}, {_SHAPE}, int sampling_ratio, bool aligned) -> Tensor",
        _roi_align_backward,
    ),
    "roi_pool": (f"(Tensor input, Tensor rois, {_POOLED}) -> (Tensor, Tensor)", roi_pool),
    "_roi_pool_backward": (
        f"(Tensor grad, Tensor rois, Tensor argmax, {_POOLED}, {_SHAPE}) -> Tensor", _roi_pool_backward,
    ),
    "ps_roi_align": (f"(Tensor input, Tensor rois, {_POOLED}, int sampling_ratio) -> (Tensor, Tensor)", ps_roi_align),
    "_ps_roi_align_backward": (
        f"(Tensor grad, Tensor rois, Tensor channel_mapping, {_POOLED}, int sampling_ratio, {_SHAPE}) -> Tensor",
        _ps_roi_align_backward,
    ),
    "ps_roi_pool": (f"(Tensor input, Tensor rois, {_POOLED}) -> (Tensor, Tensor)", _missing("ps_roi_pool")),
    "_ps_roi_pool_backward": (
        f"(Tensor grad, Tensor rois, Tensor channel_mapping, {_POOLED}, {_SHAPE}) -> Tensor",
        _missing("_ps_roi_pool_backward"),
    ),
    "deform_conv2d": (f"({_CONVOLUTION}) -> Tensor", deform_conv2d),
    "_deform_conv2d_backward": (
        f"(Tensor grad, {_CONVOLUTION}) -> (Tensor, Tensor, Tensor, Tensor, Tensor)", _deform_conv2d_backward,
    ),
    "qroi_align": (
        "(Tensor input, Tensor rois, float input_scale, int input_zero_point, float rois_scale, int rois_zero_point, "
        f"{_POOLED}, int sampling_ratio, bool aligned) -> Tensor",
        _missing("qroi_align"),
    ),
    # Which CUDA the library was built for: none.
    "_cuda_version": ("() -> int", lambda: -1),
}  # fmt: skip

_library = library.Library("torchvision", "DEF")
for _name, (_schema, _function) in _OPERATIONS.items():
    _library.define(_name + _schema)
    _library.impl(_name, _function, "CompositeExplicitAutograd" if _name == "_cuda_version" else "CPU")
