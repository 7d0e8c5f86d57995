"""Two of four elements in each row, for GPUs with kernels for it: there are none here, and each use says so."""

from __future__ import annotations

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "SparseSemiStructuredTensor",
    "SparseSemiStructuredTensorCUSPARSELT",
    "SparseSemiStructuredTensorCUTLASS",
    "to_sparse_semi_structured",
]


class SparseSemiStructuredTensor(torch.Tensor):
    """A matrix of which two of four elements in each row are held: construction raises NotImplementedError."""

    def __new__(  # noqa: D102
        cls,
        shape: Any,
        packed: Any,
        meta: Any,
        packed_t: Any,
        meta_t: Any,
        compressed_swizzled_bitmask: Any,
        fuse_transpose_cusparselt: bool = False,
        alg_id_cusparselt: int = 0,
        requires_grad: bool = False,
    ) -> Any:
        raise NotImplementedError(f"torch.sparse.{cls.__name__} needs a CUDA device: there is none")


class SparseSemiStructuredTensorCUTLASS(SparseSemiStructuredTensor):
    """For kernels of CUTLASS."""


class SparseSemiStructuredTensorCUSPARSELT(SparseSemiStructuredTensor):
    """For kernels of cuSPARSELt."""


def to_sparse_semi_structured(
    original_tensor: torch.Tensor, transposed: bool = False, alg_id: int = 0
) -> SparseSemiStructuredTensor:
    """Two of four elements in each row, for GPUs: raises RuntimeError on the CPU."""
    raise RuntimeError(
        f"Error original_tensor.device= {original_tensor.device} is not supported! Only CUDA tensors are currently "
        "supported."
    )
