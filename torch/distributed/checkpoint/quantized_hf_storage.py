"""Files of safetensors whose weights are quantised by blocks."""

from __future__ import annotations

import torch

from .hf_storage import HuggingFaceStorageReader
from .metadata import Metadata, MetadataIndex

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["QuantizedHuggingFaceStorageReader"]

_SCALE = "_scale_inv"


class QuantizedHuggingFaceStorageReader(HuggingFaceStorageReader):
    """Reads a weight ``NAME`` with scales ``NAME_scale_inv`` as the numbers they stand for.

    A scale belongs to a square of ``block_size`` rows and columns; results are of ``target_dtype``.
    """

    def __init__(
        self,
        path: str,
        thread_count: int = 1,
        target_dtype: torch.dtype = torch.float32,
        block_size: int = 128,
    ) -> None:
        super().__init__(path, thread_count)
        self.target_dtype = target_dtype
        self.block_size = block_size

    def read_metadata(self, *args: Any, **kwargs: Any) -> Metadata:
        metadata = super().read_metadata(*args, **kwargs)
        found = metadata.state_dict_metadata
        self._scaled = {name for name in found if f"{name}{_SCALE}" in found}
        return metadata

    def _piece(self, index: MetadataIndex) -> torch.Tensor:
        values = super()._piece(index)
        if index.fqn not in self._scaled:
            return values
        name = f"{index.fqn}{_SCALE}"
        scales = super()._piece(MetadataIndex(name, [0, 0])).float()
        offset = index.offset or (0, 0)
        lines = [
            torch.arange(start, start + length) // self.block_size
            for start, length in zip(offset, values.shape, strict=True)
        ]
        return (values.float() * scales[lines[0]][:, lines[1]]).to(self.target_dtype)
