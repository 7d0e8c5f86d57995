"""``torch.norm``, whose successors are in ``torch.linalg``."""

from __future__ import annotations

import torch

from ._common import into

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from torch import Tensor


def norm(
    input: Tensor, p: Any = "fro", dim: Any = None, keepdim: bool = False, out: Tensor | None = None, dtype: Any = None
) -> Tensor:
    """A norm over all elements or some dimensions (its successors are in ``torch.linalg``).

    Args: input, floating or complex; p: a number, "fro" or "nuc"; dim: None (all), one or several; keepdim; dtype:
    computed in. Returns a real tensor. Raises RuntimeError for other orders and dtypes.

    >>> torch.norm(torch.tensor([3., 4.]))
    tensor(5.)
    """
    if input.layout is not torch.strided:
        from ..sparse import _reduce

        return into(_reduce.norm(input, p, dim, keepdim, dtype), out)
    dims = [dim] if isinstance(dim, int) else dim
    if isinstance(p, str) and p != "fro":
        over = list(range(input.dim())) if dims is None else dims
        return torch.linalg.matrix_norm(input, p, over, keepdim, dtype=dtype, out=out)
    order = 2.0 if p is None or p == "fro" else p
    return torch.linalg.vector_norm(input, order, dims, keepdim, dtype=dtype, out=out)
