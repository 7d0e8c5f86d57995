"""The files that TensorBoard's projector reads."""

from __future__ import annotations

import math
import os

from ._arrays import make_grid, make_np
from ._protos import needed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_CONFIG = "projector_config.pbtxt"


def write_vectors(rows: Any, folder: str) -> None:
    """A line of numbers for each vector."""
    with open(os.path.join(folder, "tensors.tsv"), "w", encoding="utf-8") as file:
        for row in rows:
            file.write("\t".join(str(float(x)) for x in row) + "\n")


def write_metadata(metadata: Any, folder: str, header: Any = None) -> None:
    """A line for each vector; several columns have a line of titles first. AssertionError for too few titles."""
    if not header:
        lines = [str(one) for one in metadata]
    else:
        if len(header) != len(metadata[0]):
            raise AssertionError("len of header must be equal to the number of columns in metadata")
        lines = ["\t".join(str(cell) for cell in row) for row in [header, *metadata]]
    with open(os.path.join(folder, "metadata.tsv"), "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


def write_sprite(pictures: Any, folder: str) -> None:
    """All pictures (N, C, H, W) in one square."""
    import numpy as np

    rows = math.ceil(math.sqrt(pictures.shape[0]))
    grid = make_grid(make_np(pictures), ncols=rows)
    _, height, width = grid.shape
    side = max(height, width)
    square = np.zeros((grid.shape[0], side, side), dtype=grid.dtype)
    square[:, :height, :width] = grid
    images = needed("PIL.Image")
    pixels = (square if square.dtype == np.uint8 else square * 255).clip(0, 255).astype(np.uint8)
    images.fromarray(pixels.transpose(1, 2, 0)).save(os.path.join(folder, "sprite.png"))


def add_config(logdir: str, folder: str, name: str, count: Any, metadata: Any, pictures: Any) -> None:
    """Name the files of one embedding in the projector's configuration."""
    config = needed("tensorboard.plugins.projector.projector_config_pb2")
    info = config.EmbeddingInfo(tensor_name=name, tensor_path=os.path.join(folder, "tensors.tsv"))
    if metadata is not None:
        info.metadata_path = os.path.join(folder, "metadata.tsv")
    if pictures is not None:
        info.sprite.image_path = os.path.join(folder, "sprite.png")
        info.sprite.single_image_dim.extend([pictures.size(3), pictures.size(2)])
    whole = config.ProjectorConfig(embeddings=[info])
    text = needed("google.protobuf.text_format").MessageToString(whole)
    with open(os.path.join(logdir, _CONFIG), "a", encoding="utf-8") as file:
        file.write(text)
