"""torchvision's operations under torch.ops.torchvision, against their definitions written as loops."""

import math

import pytest

import torch
from torch.nn import functional as F

vision = torch.ops.torchvision
REGIONS = torch.tensor([[0, 1, 2, 9, 8], [1, 0, 0, 20, 14], [1, 3.3, 4.1, 3.9, 4.4], [0, -3, -2, 5, 30]]).double()


def features():
    return torch.randn(2, 6, 12, 15, dtype=torch.float64)


def bilinear(image, y, x):
    height, width = image.shape[-2:]
    if y < -1 or y > height or x < -1 or x > width:
        return torch.zeros(image.shape[0], dtype=image.dtype)
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    down, across = y - top, x - left
    upper = image[:, top, left] * (1 - across) + image[:, top, right] * across
    lower = image[:, bottom, left] * (1 - across) + image[:, bottom, right] * across
    return upper * (1 - down) + lower * down


def align(images, region, scale, bins, ratio, aligned):
    index, *corners = region.tolist()
    x1, y1, x2, y2 = (corner * scale - 0.5 * aligned for corner in corners)
    width, height = (x2 - x1, y2 - y1) if aligned else (max(x2 - x1, 1), max(y2 - y1, 1))
    step_y, step_x = height / bins[0], width / bins[1]
    rows, columns = (ratio, ratio) if ratio > 0 else (math.ceil(step_y), math.ceil(step_x))
    out = torch.zeros(images.shape[1], *bins, dtype=images.dtype)
    for i in range(bins[0]):
        for j in range(bins[1]):
            for a in range(rows):
                for b in range(columns):
                    y = y1 + (i + (a + 0.5) / rows) * step_y
                    x = x1 + (j + (b + 0.5) / columns) * step_x
                    out[:, i, j] += bilinear(images[int(index)], y, x) / (rows * columns)
    return out


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("ratio", [2, -1])
def test_regions_are_aligned(ratio, aligned):
    images = features()
    got = vision.roi_align(images, REGIONS, 0.7, 3, 4, ratio, aligned)
    expected = torch.stack([align(images, region, 0.7, (3, 4), ratio, aligned) for region in REGIONS])
    torch.testing.assert_close(got, expected)
    assert vision.roi_align(images, REGIONS[:0], 1.0, 2, 2, ratio, aligned).shape == (0, 6, 2, 2)


def test_each_bin_has_channels_of_its_own():
    images = features()
    got, channels = vision.ps_roi_align(images, REGIONS, 0.7, 2, 3, 2)
    full = torch.stack([align(images, region, 0.7, (2, 3), 2, True) for region in REGIONS])
    assert got.shape == (4, 1, 2, 3) and channels[0].flatten().tolist() == [0, 1, 2, 3, 4, 5]
    for i in range(2):
        for j in range(3):
            torch.testing.assert_close(got[:, 0, i, j], full[:, 3 * i + j, i, j])


def test_regions_are_pooled():
    images = features()
    regions = REGIONS[:3]
    got, places = vision.roi_pool(images, regions, 0.7, 2, 3)
    for k, (index, *corners) in enumerate(regions.tolist()):
        x1, y1, x2, y2 = (math.floor(corner * 0.7 + 0.5) for corner in corners)
        height, width = max(y2 - y1 + 1, 1), max(x2 - x1 + 1, 1)
        for i in range(2):
            for j in range(3):
                rows = range(y1 + math.floor(i * height / 2), min(y1 + math.ceil((i + 1) * height / 2), 12))
                columns = range(x1 + math.floor(j * width / 3), min(x1 + math.ceil((j + 1) * width / 3), 15))
                for c in range(6):
                    values = {images[int(index), c, y, x].item(): y * 15 + x for y in rows for x in columns}
                    best = max(values)
                    assert (got[k, c, i, j], places[k, c, i, j]) == (best, values[best])
    assert vision.roi_pool(images, torch.tensor([[0, 90, 90, 95, 95]]).double(), 1.0, 1, 1)[1].unique().item() == -1


def test_boxes_that_overlap_better_ones_fall():
    low = torch.rand(60, 2) * 20
    boxes, scores = torch.cat([low, low + torch.rand(60, 2) * 12], 1), torch.rand(60)

    def overlap(a, b):
        sides = [max(0, min(a[i + 2], b[i + 2]) - max(a[i], b[i])) for i in range(2)]
        shared = sides[0] * sides[1]
        return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)

    for threshold in (0.1, 0.5):
        kept = []
        for i in scores.argsort(descending=True).tolist():
            if all(overlap(boxes[i].tolist(), boxes[k].tolist()) <= threshold for k in kept):
                kept.append(i)
        assert vision.nms(boxes, scores, threshold).tolist() == kept
    assert vision.nms(torch.zeros(0, 4), torch.zeros(0), 0.5).shape == (0,)
    with pytest.raises(RuntimeError, match="boxes should have 4 elements in dimension 1, got 3"):
        vision.nms(torch.zeros(2, 3), torch.zeros(2), 0.5)


def deform(images, weight, offset, mask, bias, use_mask=True):
    return vision.deform_conv2d(images, weight, offset, mask, bias, 2, 1, 1, 1, 1, 2, 2, 3, use_mask)


def test_a_deformable_convolution_samples_where_it_is_told():
    images, weight, bias = features(), torch.randn(4, 3, 3, 3).double(), torch.randn(4).double()
    rows, columns = 6, 13
    still, ones = torch.zeros(2, 3 * 9 * 2, rows, columns).double(), torch.ones(2, 3 * 9, rows, columns).double()
    plain = F.conv2d(images, weight, bias, stride=(2, 1), padding=1, dilation=(1, 2), groups=2)
    torch.testing.assert_close(deform(images, weight, still, ones, bias), plain)
    torch.testing.assert_close(deform(images, weight, still, ones, bias, use_mask=False), plain)
    torch.testing.assert_close(deform(images, weight, still, 0.5 * ones, bias), (plain + bias[:, None, None]) / 2)
    # one pixel down and two to the left
    down = still.unflatten(1, (-1, 2)).clone()
    down[:, :, 0], down[:, :, 1] = 1, -2
    moved = F.pad(images, (2, 0, 0, 1))[:, :, 1:, :15]
    inner = F.conv2d(moved, weight, bias, stride=(2, 1), padding=1, dilation=(1, 2), groups=2)
    got = deform(images, weight, down.flatten(1, 2), ones, bias)
    torch.testing.assert_close(got[:, :, 1:, 4:-2], inner[:, :, 1:, 4:-2])


def gradients(backward, forward, leaves, *arguments):
    outputs = forward(*leaves)
    grad = torch.randn_like(outputs)
    expected = torch.autograd.grad(outputs, leaves, grad)
    got = backward(grad, *arguments)
    for one, other in zip(got if isinstance(got, tuple) else (got,), expected, strict=True):
        torch.testing.assert_close(one, other)


def test_derivatives():
    from torch import _vision_operators as plain

    images = features().requires_grad_()
    pooled = (REGIONS, 0.7, 2, 3)
    _, places = plain.roi_pool(images, *pooled)
    gradients(
        vision._roi_align_backward,
        lambda x: plain.roi_align(x, *pooled, 2, True),
        [images],
        *pooled,
        2,
        6,
        12,
        15,
        2,
        True,
    )
    gradients(
        vision._roi_pool_backward,
        lambda x: plain.roi_pool(x, *pooled)[0],
        [images],
        REGIONS,
        places,
        *pooled[1:],
        2,
        6,
        12,
        15,
    )
    mapping = plain.ps_roi_align(images, *pooled, 2)[1]
    aligned = (REGIONS, mapping, *pooled[1:], 2, 2, 6, 12, 15)
    gradients(vision._ps_roi_align_backward, lambda x: plain.ps_roi_align(x, *pooled, 2)[0], [images], *aligned)
    options = (2, 1, 1, 1, 1, 2, 2, 3, True)
    shapes = ((2, 6, 12, 15), (4, 3, 3, 3), (2, 54, 6, 13), (2, 27, 6, 13), (4,))
    leaves = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
    gradients(vision._deform_conv2d_backward, lambda *t: plain.deform_conv2d(*t, *options), leaves, *leaves, *options)
    assert torch.autograd.gradcheck(lambda *t: plain.deform_conv2d(*t, *options), leaves, fast_mode=True)


def test_which_libraries_are_there(tmp_path):
    (tmp_path / "torchvision").mkdir()
    torch.ops.load_library(tmp_path / "torchvision" / "_C.so")
    assert vision._cuda_version() == -1
    with pytest.raises(OSError, match="cannot be loaded into Tabula"):
        torch.ops.load_library(tmp_path / "other" / "_C.so")
    with pytest.raises(NotImplementedError, match="torchvision::ps_roi_pool is not part of Tabula yet"):
        vision.ps_roi_pool(torch.zeros(1, 4, 2, 2), torch.zeros(1, 5), 1.0, 2, 2)
