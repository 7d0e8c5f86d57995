"""Tensors, figures and pictures as NumPy arrays of the layout that TensorBoard takes."""

from __future__ import annotations

import math

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def make_np(x: Any) -> Any:
    """A tensor, array or number as an array; NotImplementedError for anything else."""
    import numpy as np

    if isinstance(x, np.ndarray):
        return x
    if np.isscalar(x):
        return np.array([x])
    if isinstance(x, torch.Tensor):
        x = x.detach().cpu()
        return (x.to(torch.float32) if x.dtype == torch.bfloat16 else x).numpy()
    raise NotImplementedError(f"Got {type(x)}, but numpy array or torch tensor are expected.")


def make_grid(images: Any, ncols: int = 8) -> Any:
    """Pictures (N, C, H, W) as one (3, rows * H, columns * W); those of one channel become grey."""
    import numpy as np

    if not isinstance(images, np.ndarray):
        raise AssertionError("plugin error, should pass numpy array here")
    if images.shape[1] == 1:
        images = np.concatenate([images] * 3, 1)
    if images.ndim != 4 or images.shape[1] not in (3, 4):
        raise AssertionError("images should be (N, 1, H, W), (N, 3, H, W) or (N, 4, H, W)")
    count, channels, height, width = images.shape
    columns = min(count, ncols)
    rows = math.ceil(count / columns)
    canvas = np.zeros((channels, height * rows, width * columns), dtype=images.dtype)
    for i, image in enumerate(images):
        top, left = i // columns * height, i % columns * width
        canvas[:, top : top + height, left : left + width] = image
    return canvas


def convert_to_hwc(tensor: Any, input_format: str) -> Any:
    """A picture, or several as one, as (H, W, 3 or 4). AssertionError for a format that does not fit."""
    import numpy as np

    letters = input_format.upper()
    if len(set(letters)) != len(letters):
        raise AssertionError(
            f"You can not use the same dimension shorthand twice.             input_format: {input_format}"
        )
    if len(tensor.shape) != len(letters):
        raise AssertionError(
            "size of input tensor and input format are different.         "
            f"tensor shape: {tensor.shape}, input_format: {input_format}"
        )
    if len(letters) == 4:
        return make_grid(tensor.transpose([letters.find(c) for c in "NCHW"])).transpose(1, 2, 0)
    if len(letters) == 3:
        tensor = tensor.transpose([letters.find(c) for c in "HWC"])
        return np.concatenate([tensor] * 3, 2) if tensor.shape[2] == 1 else tensor
    if len(letters) == 2:
        tensor = tensor.transpose([letters.find(c) for c in "HW"])
        return np.stack([tensor] * 3, 2)
    raise AssertionError(f"a picture has 2 to 4 dimensions, but the format is {input_format}")


def figure_to_image(figures: Any, close: bool = True) -> Any:
    """A figure of matplotlib as (3, H, W), a list of figures as (N, 3, H, W)."""
    import numpy as np

    from ._protos import needed

    canvas_of = needed("matplotlib.backends.backend_agg").FigureCanvasAgg

    def drawn(figure: Any) -> Any:
        canvas = canvas_of(figure)
        canvas.draw()
        pixels = np.frombuffer(canvas.buffer_rgba(), dtype=np.uint8)
        width, height = figure.canvas.get_width_height()
        if close:
            needed("matplotlib.pyplot").close(figure)
        return np.moveaxis(pixels.reshape(height, width, 4)[:, :, :3], 2, 0)

    return np.stack([drawn(f) for f in figures]) if isinstance(figures, list) else drawn(figures)


def tiled_video(videos: Any) -> Any:
    """Videos (N, T, C, H, W) as one (T, H', W', C), side by side; N is filled up to a power of two with black."""
    import numpy as np

    count, length, channels, height, width = videos.shape
    if videos.dtype == np.uint8:
        videos = np.float32(videos) / 255.0
    size = 1 << max(0, math.ceil(math.log2(count)))
    if size > count:
        videos = np.concatenate((videos, np.zeros((size - count, length, channels, height, width))), axis=0)
    rows = 2 ** ((size.bit_length() - 1) // 2)
    columns = size // rows
    grid = np.reshape(videos, (rows, columns, length, channels, height, width))
    return np.transpose(grid, (2, 0, 4, 1, 5, 3)).reshape(length, rows * height, columns * width, channels)
