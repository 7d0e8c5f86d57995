"""Convolutions, pooling and resampling."""

from __future__ import annotations

from typing import Any

import torch

from .._builder import Builder, Value
from ._registry import form


def _result(b: Builder) -> tuple[torch.dtype, Any]:
    return b.result.dtype, tuple(b.result.shape)


def _several(value: Any, n: int) -> list[int]:
    found = [value] * n if isinstance(value, int) else list(value)
    return found * n if len(found) == 1 else found


def _batched(b: Builder, x: Value, n: int, write: Any) -> Value:
    """A form for an input with a batch dimension, also for one without."""
    if x.rank == n + 2:
        return write(x, _result(b))  # type: ignore[no-any-return]
    dtype, shape = _result(b)
    return b.squeeze(write(b.unsqueeze(x, 0), (dtype, (1, *shape))), 0)


def _convolution(n: int) -> Any:
    def write(
        b: Builder, x: Value, weight: Value, bias: Value | None = None, stride: Any = 1, padding: Any = 0,
        dilation: Any = 1, groups: int = 1,
    ) -> Value:  # fmt: skip
        assert weight.shape is not None
        kernel, dilations = list(weight.shape[2:]), _several(dilation, n)
        if padding == "same":
            total = [d * (k - 1) for k, d in zip(kernel, dilations, strict=True)]
            pads = [t // 2 for t in total] + [t - t // 2 for t in total]
        else:
            pads = _several(0 if padding == "valid" else padding, n) * 2

        def made(y: Value, like: Any) -> Any:
            return b.op("Conv", y, weight, bias, kernel_shape=kernel, strides=_several(stride, n), pads=pads,
                        dilations=dilations, group=groups, like=like)  # fmt: skip

        return _batched(b, x, n, made)

    return write


def _transposed(n: int) -> Any:
    def write(
        b: Builder, x: Value, weight: Value, bias: Value | None = None, stride: Any = 1, padding: Any = 0,
        output_padding: Any = 0, groups: int = 1, dilation: Any = 1,
    ) -> Value:  # fmt: skip
        assert weight.shape is not None
        kernel = list(weight.shape[2:])

        def made(y: Value, like: Any) -> Any:
            return b.op("ConvTranspose", y, weight, bias, kernel_shape=kernel, strides=_several(stride, n),
                        pads=_several(padding, n) * 2, dilations=_several(dilation, n), group=groups,
                        output_padding=_several(output_padding, n), like=like)  # fmt: skip

        return _batched(b, x, n, made)

    return write


for _n, _suffix in ((1, "default"), (2, "input"), (3, "input")):
    form(f"conv{_n}d.default", f"conv{_n}d.padding")(_convolution(_n))
    form(f"conv_transpose{_n}d.{'default' if _n == 1 else 'input'}")(_transposed(_n))


@form("convolution.default", "_convolution.default")
def convolution(
    b: Builder, x: Value, weight: Value, bias: Any, stride: Any, padding: Any, dilation: Any, transposed: bool,
    output_padding: Any, groups: int, *rest: Any,
) -> Value:  # fmt: skip
    n = weight.rank - 2
    if transposed:
        return _transposed(n)(b, x, weight, bias, stride, padding, output_padding, groups, dilation)  # type: ignore
    return _convolution(n)(b, x, weight, bias, stride, padding, dilation, groups)  # type: ignore[no-any-return]


def _max_pool(n: int, places: bool) -> Any:
    def write(
        b: Builder, x: Value, kernel_size: Any, stride: Any = (), padding: Any = 0, dilation: Any = 1,
        ceil_mode: bool = False,
    ) -> Any:  # fmt: skip
        kernel = _several(kernel_size, n)
        shape = {
            "kernel_shape": kernel, "strides": _several(stride, n) or kernel, "pads": _several(padding, n) * 2,
            "dilations": _several(dilation, n), "ceil_mode": int(ceil_mode),
        }  # fmt: skip
        if places:
            wide = x if x.rank == n + 2 else b.unsqueeze(x, 0)
            found, at = b.op("MaxPool", wide, outputs=2, **shape)
            for v, part in ((found, b.result[0]), (at, b.result[1])):
                v.dtype, v.shape = part.dtype, tuple(part.shape) if wide is x else (1, *part.shape)
            # Places count within the channel here, over the whole tensor in ONNX.
            assert wide.shape is not None
            plane = 1
            for size in wide.shape[2:]:
                if not isinstance(size, int):
                    raise NotImplementedError("max_pool with indices over open sizes has no form in ONNX")
                plane *= size
            at = b.op("Mod", at, b.ints(plane), like=at)
            return (found, at) if wide is x else (b.squeeze(found, 0), b.squeeze(at, 0))
        return _batched(b, x, n, lambda y, like: b.op("MaxPool", y, like=like, **shape))

    return write


def _avg_pool(n: int) -> Any:
    def write(
        b: Builder, x: Value, kernel_size: Any, stride: Any = (), padding: Any = 0, ceil_mode: bool = False,
        count_include_pad: bool = True, divisor_override: Any = None,
    ) -> Value:  # fmt: skip
        kernel = _several(kernel_size, n)
        if divisor_override is not None:
            raise NotImplementedError("avg_pool with another divisor has no form in ONNX")

        def made(y: Value, like: Any) -> Any:
            return b.op("AveragePool", y, kernel_shape=kernel, strides=_several(stride, n) or kernel,
                        pads=_several(padding, n) * 2, ceil_mode=int(ceil_mode),
                        count_include_pad=int(count_include_pad), like=like)  # fmt: skip

        return _batched(b, x, n, made)

    return write


def _adaptive(n: int, kind: str, over_all: str, results: int) -> Any:
    def write(b: Builder, x: Value, output_size: Any) -> Any:
        assert x.shape is not None
        sizes, spatial = _several(output_size, n), x.shape[-n:]
        if all(s == 1 for s in sizes) and results == 1:
            return b.op(over_all, x, like=_result(b))
        if not all(isinstance(s, int) and s % o == 0 for s, o in zip(spatial, sizes, strict=True)):
            raise NotImplementedError(f"adaptive pooling from {tuple(spatial)} to {tuple(sizes)} has no form in ONNX")
        step = [s // o for s, o in zip(spatial, sizes, strict=True)]
        if results == 2:
            return _max_pool(n, True)(b, x, step)
        return _batched(b, x, n, lambda y, like: b.op(kind, y, kernel_shape=step, strides=step, like=like))

    return write


for _n in (1, 2, 3):
    form(f"max_pool{_n}d.default")(_max_pool(_n, False))
    form(f"max_pool{_n}d_with_indices.default")(_max_pool(_n, True))
    form(f"avg_pool{_n}d.default")(_avg_pool(_n))
    _own = f"_adaptive_avg_pool{_n}d.default"
    form(f"adaptive_avg_pool{_n}d.default", *([_own] if _n > 1 else []))(
        _adaptive(_n, "AveragePool", "GlobalAveragePool", 1)
    )
    form(f"adaptive_max_pool{_n}d.default")(_adaptive(_n, "MaxPool", "GlobalMaxPool", 2))


def _resize(n: int, mode: str, exact: bool) -> Any:
    def write(b: Builder, x: Value, output_size: Any, *rest: Any) -> Value:
        corners = mode != "nearest" and bool(rest[0])
        scales = rest[-1] if rest and isinstance(rest[-1], (list, tuple)) else None
        if corners:
            place = "align_corners"
        elif mode == "nearest":
            place = "half_pixel" if exact else "asymmetric"
        else:
            place = "half_pixel" if mode == "cubic" else "pytorch_half_pixel"
        options = {"mode": mode, "coordinate_transformation_mode": place}
        if mode == "nearest":
            options["nearest_mode"] = "round_prefer_ceil" if exact else "floor"
        if mode == "cubic":
            options["cubic_coeff_a"] = -0.75  # type: ignore[assignment]
        if scales is not None and output_size is None:
            factors = b.constant([1.0, 1.0, *map(float, scales)], torch.float32)
            return b.op("Resize", x, None, factors, like=_result(b), **options)  # type: ignore[no-any-return]
        head = [b.size_of(x, 0), b.size_of(x, 1)]
        sizes = b.sizes([*head, *output_size])
        return b.op("Resize", x, None, None, sizes, like=_result(b), **options)  # type: ignore[no-any-return]

    return write


for _name, _n, _kind, _is_exact in (
    ("upsample_nearest1d", 1, "nearest", False), ("upsample_nearest2d", 2, "nearest", False),
    ("upsample_nearest3d", 3, "nearest", False), ("_upsample_nearest_exact1d", 1, "nearest", True),
    ("_upsample_nearest_exact2d", 2, "nearest", True), ("_upsample_nearest_exact3d", 3, "nearest", True),
    ("upsample_linear1d", 1, "linear", False), ("upsample_bilinear2d", 2, "linear", False),
    ("upsample_trilinear3d", 3, "linear", False), ("upsample_bicubic2d", 2, "cubic", False),
):  # fmt: skip
    form(f"{_name}.vec")(_resize(_n, _kind, _is_exact))


@form("grid_sampler.default", "grid_sampler_2d.default", "grid_sampler_3d.default")
def grid_sampler(b: Builder, x: Value, grid: Value, mode: int, padding: int, align_corners: bool) -> Value:
    old = b.opset < 20
    modes = ("bilinear", "nearest", "bicubic") if old else ("linear", "nearest", "cubic")
    return b.op("GridSample", x, grid, mode=modes[mode], padding_mode=("zeros", "border", "reflection")[padding],
                align_corners=int(align_corners), like=_result(b))  # type: ignore[no-any-return]  # fmt: skip


@form("im2col.default")
def im2col(b: Builder, x: Value, kernel_size: Any, dilation: Any, padding: Any, stride: Any) -> Value:
    """Patches of an image as columns: places along both sides, gathered."""
    assert x.shape is not None and x.dtype is not None
    n, c, h, w = x.shape
    if not (isinstance(h, int) and isinstance(w, int)):
        raise NotImplementedError("im2col over open sizes has no form in ONNX")
    padded = x
    if any(padding):
        pads = [0, 0, padding[0], padding[1]] * 2
        padded = b.op("Pad", x, b.ints(pads), b.scalar(0, x.dtype))
    places = []
    for size, k, d, p, s in zip((h, w), kernel_size, dilation, padding, stride, strict=True):
        count = (size + 2 * p - d * (k - 1) - 1) // s + 1
        places.append([[i * d + j * s for j in range(count)] for i in range(k)])
    rows = b.op("Gather", padded, b.constant(places[0], torch.int64), axis=2)
    cells = b.op("Gather", rows, b.constant(places[1], torch.int64), axis=4)
    cells.dtype, cells.shape = x.dtype, (None,) * 6
    turned = b.transpose(cells, [0, 1, 2, 4, 3, 5])
    count = len(places[0][0]) * len(places[1][0])
    return b.reshape(turned, [-1, c * kernel_size[0] * kernel_size[1], count], tuple(b.result.shape))
