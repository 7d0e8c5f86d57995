"""Methods of Tensor that few programs call: element by element loops, storage types, and what does not exist."""

from __future__ import annotations

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from torch import Tensor


def apply_(self: Tensor, callable: Callable[[Any], Any]) -> Tensor:
    """Replace each element by what ``callable`` makes of it. Slow: for small tensors only.

    >>> torch.ones(2).apply_(lambda x: x + 1)
    tensor([2., 2.])
    """
    if self.requires_grad:
        raise TypeError("apply_ is only implemented on non-requires-grad tensors")
    values = [callable(x) for x in self.reshape(-1).tolist()]
    return self.copy_(torch.tensor(values, dtype=self.dtype).reshape(self.shape))


def map_(self: Tensor, tensor: Tensor, callable: Callable[[Any, Any], Any]) -> Tensor:
    """Replace each element by what ``callable`` makes of it and that of another tensor."""
    if self.requires_grad or tensor.requires_grad:
        raise TypeError("map_ is only implemented on non-requires-grad tensors")
    others = tensor.expand(self.shape).reshape(-1).tolist()
    values = [callable(x, y) for x, y in zip(self.reshape(-1).tolist(), others, strict=True)]
    return self.copy_(torch.tensor(values, dtype=self.dtype).reshape(self.shape))


def map2_(self: Tensor, x: Tensor, y: Tensor, callable: Callable[[Any, Any, Any], Any]) -> Tensor:
    """Replace each element by what ``callable`` makes of it and those of two other tensors."""
    if self.requires_grad or x.requires_grad or y.requires_grad:
        raise TypeError("map2_ is only implemented on non-requires-grad tensors")
    columns = [t.expand(self.shape).reshape(-1).tolist() for t in (self, x, y)]
    values = [callable(*row) for row in zip(*columns, strict=True)]
    return self.copy_(torch.tensor(values, dtype=self.dtype).reshape(self.shape))


def fill_diagonal_(self: Tensor, fill_value: Any, wrap: bool = False) -> Tensor:
    """Set the main diagonal; with ``wrap``, it goes on below in tall matrices.

    >>> torch.zeros(2, 2).fill_diagonal_(1)
    tensor([[1., 0.],
            [0., 1.]])
    """
    if self.dim() < 2:
        raise RuntimeError("dimensions must larger than 1")
    if self.dim() > 2 and len(set(self.shape)) > 1:
        raise RuntimeError("all dimensions of input must be of equal length")
    step = sum(self.stride())
    size = min(self.shape)
    self.as_strided((size,), (step,), self.storage_offset()).fill_(fill_value)
    if wrap and self.dim() == 2 and self.shape[0] > self.shape[1] + 1:
        columns = self.shape[1]
        rows = self[columns + 1 :]
        while rows.shape[0]:
            count = min(rows.shape)
            rows.as_strided((count,), (sum(rows.stride()),), rows.storage_offset()).fill_(fill_value)
            rows = rows[columns + 1 :]
    return self


def is_distributed(self: Tensor) -> bool:
    """Always False: a single process holds the whole tensor."""
    return False


def is_set_to(self: Tensor, tensor: Tensor) -> bool:
    """Whether both are the same view of the same memory."""
    return (
        self.untyped_storage().data_ptr() == tensor.untyped_storage().data_ptr()
        and self.storage_offset() == tensor.storage_offset()
        and self.shape == tensor.shape
        and self.stride() == tensor.stride()
        and self.numel() > 0
    )


def const_data_ptr(self: Tensor) -> int:
    """The address of the first element."""
    return self.data_ptr()


def storage_type(self: Tensor) -> Any:
    """The class of the tensor's typed storage."""
    return self.storage()._get_legacy_storage_class()


def dequantize(self: Tensor) -> Tensor:
    """The elements as float32."""
    return self.to(torch.float32)


def resize(self: Tensor, *sizes: Any) -> Tensor:
    """``view`` under an old name: the number of elements must stay."""
    import warnings

    warnings.warn("non-inplace resize is deprecated", stacklevel=2)
    shape = sizes[0] if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)) else sizes
    total = torch.Size(shape).numel()
    if total != self.numel():
        raise RuntimeError(
            f"requested resize to {'x'.join(map(str, shape))} ({total} elements in total), but the given tensor has a "
            "size "
            f"of {'x'.join(map(str, self.shape))} ({self.numel()} elements). autograd's resize can only change the "
            "shape of "
            "a given tensor, while preserving the number of elements. "
        )
    return self.contiguous().view(*shape)


def resize_as(self: Tensor, tensor: Tensor) -> Tensor:
    """``view_as`` under an old name."""
    return resize(self, *tensor.shape)


def pin_memory(self: Tensor, device: Any = None) -> Tensor:
    """Memory that an accelerator can read directly: there is no accelerator."""
    raise RuntimeError("Cannot access accelerator device when none is available.")


def record_stream(self: Tensor, stream: Any) -> None:
    """Keep the memory until a stream is done with it: the CPU has nothing to wait for."""


def index(self: Tensor, indices: Any) -> Tensor:
    """``self[indices]``."""
    return self[tuple(indices)]


def __complex__(self: Tensor) -> complex:  # noqa: N807
    if self.numel() != 1:
        raise ValueError("only one element tensors can be converted to Python scalars")
    return complex(self.item())


def __long__(self: Tensor) -> int:  # noqa: N807
    return int(self)


def __nonzero__(self: Tensor) -> bool:  # noqa: N807
    return bool(self)


def __idiv__(self: Tensor, other: Any) -> Tensor:  # noqa: N807
    return self.div_(other)


def _refusing(name: str, message: str, error: type[Exception] = RuntimeError) -> Any:
    def method(self: Tensor, *args: Any, **kwargs: Any) -> Any:
        raise error(message)

    method.__name__ = name
    method.__qualname__ = f"Tensor.{name}"
    method.__doc__ = f"Not for dense tensors on the CPU: raises {error.__name__}."
    return method


slice_inverse = _refusing("slice_inverse", "Tensor.slice_inverse is not part of Tabula yet", NotImplementedError)
to_padded_tensor = _refusing(
    "to_padded_tensor", "Tensor.to_padded_tensor: nested tensors are not supported", NotImplementedError
)
to_mkldnn = _refusing("to_mkldnn", "Tensor.to_mkldnn: oneDNN is not used", NotImplementedError)
ipu = _refusing("ipu", "PyTorch is not linked with support for ipu devices")
mtia = _refusing("mtia", "Torch not compiled with MTIA enabled.", AssertionError)
xpu = _refusing("xpu", "Torch not compiled with XPU enabled", AssertionError)
