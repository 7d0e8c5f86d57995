"""How the loss of a linear classifier is cut into pieces."""

from __future__ import annotations

import torch

__all__ = ["LinearCrossEntropyOptions"]

_POLICIES = ("accurate", "balanced", "compact", "auto")
_DTYPES = (None, torch.float16, torch.bfloat16, torch.float32, torch.float64)


class LinearCrossEntropyOptions:
    """How ``linear_cross_entropy`` goes through the batch in pieces.

    ``batch_chunk_size`` is the number of rows in a piece, by default as many as keep the logits of a piece no larger
    than the input, or than n times the input with the ``chunking_method`` "aspect_ratio:n". Sums are kept in
    ``acc_dtype``, by default float32 for half precision unless ``acc_policy`` is "compact". The gradients are computed
    along with the loss; ``allow_retain_graph`` permits to use them twice.

    Raises ValueError for values that are not among those allowed.
    """

    __slots__ = ("allow_retain_graph", "batch_chunk_size", "chunking_method", "acc_policy", "acc_dtype")

    def __init__(
        self,
        allow_retain_graph: bool = False,
        batch_chunk_size: int | None = None,
        chunking_method: str | None = "auto",
        acc_policy: str = "auto",
        acc_dtype=None,
    ) -> None:
        if batch_chunk_size is not None and not (isinstance(batch_chunk_size, int) and batch_chunk_size > 0):
            raise ValueError(f"batch_chunk_size must be positive int or None, got {batch_chunk_size}")
        if chunking_method not in (None, "auto"):
            method, colon, ratio = chunking_method.partition(":")
            if method != "aspect_ratio" or (colon and not (ratio.isdecimal() and int(ratio) > 0)):
                raise ValueError(f"invalid chunking_method: {chunking_method!r}")
        if acc_policy not in _POLICIES:
            raise ValueError(f"invalid acc_policy: {acc_policy!r}")
        if acc_dtype not in _DTYPES:
            allowed = ", ".join(map(str, _DTYPES))
            raise ValueError(
                f"acc_dtype must be one of {{{allowed}}}, got {acc_dtype!r}. Pass acc_dtype=None to let the op pick "
                "automatically."
            )
        self.allow_retain_graph = allow_retain_graph
        self.batch_chunk_size = batch_chunk_size
        self.chunking_method = chunking_method
        self.acc_policy = acc_policy
        self.acc_dtype = acc_dtype

    def rows_of_a_piece(self, rows: int, features: int, classes: int) -> int:
        """How many rows go together in a batch of (rows, features)."""
        ratio = (self.chunking_method or "").partition(":")[2]
        return self.batch_chunk_size or max(1, int(ratio or 1) * rows * features // max(classes, 1))

    def _values(self) -> tuple:
        return tuple(getattr(self, name) for name in self.__slots__)

    def __repr__(self) -> str:
        shown = (f"{name}={value!r}" for name, value in zip(self.__slots__, self._values(), strict=True))
        return f"{type(self).__name__}({', '.join(shown)})"

    def __eq__(self, other) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._values() == other._values()

    def __hash__(self) -> int:
        return hash(self._values())
