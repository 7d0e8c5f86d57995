"""Functions that PyTorch removed; each names its successor."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from torch import Tensor


def eig(self: Tensor, *args: Any, **kwargs: Any) -> Any:
    """Raise a RuntimeError: removed from PyTorch in favour of torch.linalg.eig."""
    raise RuntimeError(
        "This function was deprecated since version 1.9 and is now removed. `torch.linalg.eig` returns complex "
        "tensors of "
        "dtype `cfloat` or `cdouble` rather than real tensors mimicking complex tensors."
    )


def symeig(input: Tensor, *args: Any, **kwargs: Any) -> Any:
    """Raise a RuntimeError: removed from PyTorch in favour of torch.linalg.eigh."""
    raise RuntimeError(
        "This function was deprecated since version 1.9 and is now removed. The default behavior has changed from "
        "using "
        "the upper triangular portion of the matrix by default to using the lower triangular portion. Use "
        "`torch.linalg.eigh` or `torch.linalg.eigvalsh`."
    )


def lstsq(input: Tensor, A: Tensor, *args: Any, **kwargs: Any) -> Any:  # noqa: N803
    """Raise a RuntimeError: removed from PyTorch in favour of torch.linalg.lstsq."""
    raise RuntimeError(
        "This function was deprecated since version 1.9 and is now removed. `torch.lstsq` is deprecated in favor of "
        "`torch.linalg.lstsq`."
    )


def solve(input: Tensor, A: Tensor, *args: Any, **kwargs: Any) -> Any:  # noqa: N803
    """Raise a RuntimeError: removed from PyTorch in favour of torch.linalg.solve."""
    raise RuntimeError(
        "This function was deprecated since version 1.9 and is now removed. `torch.solve` is deprecated in favor of "
        "`torch.linalg.solve`."
    )


def matrix_rank(input: Tensor, *args: Any, **kwargs: Any) -> Any:
    """Raise a RuntimeError: removed from PyTorch in favour of torch.linalg.matrix_rank."""
    raise RuntimeError(
        "This function was deprecated since version 1.9 and is now removed. Please use the `torch.linalg.matrix_rank` "
        "function instead."
    )
