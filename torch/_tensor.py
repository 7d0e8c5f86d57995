"""The Python part of ``torch.Tensor``: methods that are written in Python and attached to the native type."""

from __future__ import annotations

import torch

from ._overridable import overridable
from ._utils import _get_obj_state, _rebuild_from_type_v2, _set_obj_state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

__all__ = ["install"]


def _repr(self: Any, *, tensor_contents: str | None = None) -> str:
    from . import _tensor_str

    return _tensor_str._str(self, tensor_contents=tensor_contents)


def _format(self: Any, format_spec: str) -> str:
    if self.dim() == 0 and not self.is_meta and type(self) is torch.Tensor:
        return format(self.item(), format_spec)
    return object.__format__(self, format_spec)


# ---- pickling and copying


def _typed_storage(self: Any) -> Any:
    from .storage import TypedStorage

    return TypedStorage(wrap_storage=self.untyped_storage(), dtype=self.dtype)


def _storage(self: Any) -> Any:
    """The tensor's memory as a ``TypedStorage`` (deprecated: use ``untyped_storage``)."""
    from .storage import _warn_typed_storage_removal

    _warn_typed_storage_removal(2)
    return _typed_storage(self)


def _flags(tensor: Any) -> dict[str, bool]:
    flags = {}
    if tensor.is_conj():
        flags["conj"] = True
    if tensor.is_neg():
        flags["neg"] = True
    return flags


def _reduce_sparse(tensor: Any) -> Any:
    from . import _utils

    layout, size = tensor.layout, tuple(tensor.shape)
    data: tuple[Any, ...]
    if layout is torch.sparse_coo:
        data = (tensor._indices(), tensor._values(), size, tensor.is_coalesced())
    elif layout in (torch.sparse_csr, torch.sparse_bsr):
        data = (tensor.crow_indices(), tensor.col_indices(), tensor.values(), size)
    else:
        data = (tensor.ccol_indices(), tensor.row_indices(), tensor.values(), size)
    return _utils._rebuild_sparse_tensor, (layout, data)


def _is_wrapper(tensor: Any) -> bool:
    """Whether the tensor's class dispatches and there is no memory behind it."""
    if type(tensor).__torch_dispatch__ is torch.Tensor.__torch_dispatch__:
        return False
    with torch._C.DisableTorchFunctionSubclass():
        return torch._C.TensorBase.data_ptr(tensor) == 0


def _reduce_plain(tensor: Any) -> Any:
    """The (function, arguments) pair that rebuilds the tensor without its class and attributes."""
    from collections import OrderedDict

    from . import _utils, storage

    if tensor.layout is not torch.strided:
        return _reduce_sparse(tensor)
    size, stride, requires_grad = tuple(tensor.shape), tuple(tensor.stride()), tensor.requires_grad
    if _is_wrapper(tensor):
        args = (
            type(tensor),
            tensor.dtype,
            size,
            stride,
            tensor.storage_offset(),
            tensor.layout,
            tensor.device,
            requires_grad,
        )
        return _utils._rebuild_wrapper_subclass, args
    if tensor.is_meta:
        return _utils._rebuild_meta_tensor_no_storage, (tensor.dtype, size, stride, requires_grad)
    flags = _flags(tensor)
    tail: tuple[Any, ...] = (flags,) if flags else ()
    hooks: OrderedDict[Any, Any] = OrderedDict()
    geometry = (tensor.storage_offset(), size, stride, requires_grad, hooks)
    if tensor.dtype in storage._class_for_dtype():
        return _utils._rebuild_tensor_v2, (_typed_storage(tensor), *geometry, *tail)
    # Dtypes younger than the storage classes travel as raw bytes and name themselves.
    return _utils._rebuild_tensor_v3, (tensor.untyped_storage(), *geometry, tensor.dtype, *tail)


def _reduce_ex(self: Any, proto: Any) -> Any:
    state = _get_obj_state(self)
    func, args = _reduce_plain(self)
    if type(self) is torch.Tensor and not state:
        return func, args
    return _rebuild_from_type_v2, (func, type(self), args, state)


def _setstate(self: Any, state: Any) -> None:
    if not self.is_leaf:
        raise RuntimeError("__setstate__ can be only called on leaf Tensors")
    if len(state) == 4:
        # Files from before the autograd attributes were part of a tensor.
        self.set_(*state)
        return
    if len(state) == 5:
        data, self.requires_grad, hooks = state[0], state[3], state[4]
        self.data = data
    else:
        self.requires_grad, _, hooks = state
    if hooks:
        self._backward_hooks = hooks


def _copy_data(self: Any, memo: dict[Any, Any]) -> Any:
    import copy

    if self.layout is not torch.strided or self.device.type == "meta":
        return self.detach().clone()
    storage = copy.deepcopy(self.untyped_storage(), memo)
    base = self.detach()
    result = torch._C._tensor_from_storage(
        storage, self.dtype, self.storage_offset(), tuple(self.shape), tuple(self.stride())
    )
    if base.is_conj():
        result = result.conj()
    if base.is_neg():
        result = torch._neg_view(result)
    return result


def _clone_wrapper(self: Any) -> Any:
    result = self.clone()
    if type(result) is not type(self):
        raise RuntimeError(
            "The default implementation of __deepcopy__() for wrapper subclasses only works for subclass types that "
            "implement clone() and for which cloning returns another instance of the same subclass. You should either "
            "properly implement clone() for your subclass or override __deepcopy__() if it is intended behavior for "
            "clone() to return an instance of a different type."
        )
    return result


def _deepcopy(self: Any, memo: dict[Any, Any]) -> Any:
    import copy

    if not self.is_leaf:
        raise RuntimeError(
            "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the moment.  "
            "If you were attempting to deepcopy a module, this may be because of a torch.nn.utils.weight_norm usage, "
            "see https://github.com/pytorch/pytorch/pull/103001"
        )
    if id(self) in memo:
        return memo[id(self)]
    with torch.no_grad():
        result = _clone_wrapper(self) if _is_wrapper(self) else _copy_data(self, memo)
        if type(result) is not type(self):
            result = result.as_subclass(type(self))
        if self.requires_grad:
            result.requires_grad_()
        if self.grad is not None:
            result.grad = copy.deepcopy(self.grad, memo)
    memo[id(self)] = result
    state = _get_obj_state(self)
    if state:
        result = _set_obj_state(result, copy.deepcopy(state, memo))
    return result


# ---- autograd


def _backward(
    self: Any, gradient: Any = None, retain_graph: bool | None = None, create_graph: bool = False, inputs: Any = None
) -> None:
    """Compute the gradient of this tensor with respect to the graph's leaves and add it to their ``grad``."""
    torch.autograd.backward(self, gradient, retain_graph, create_graph, inputs=inputs)


def _reinforce(self: Any, reward: Any) -> None:
    """Raise a RuntimeError: removed from PyTorch in favour of torch.distributions."""
    raise RuntimeError("reinforce() was removed: use torch.distributions and the score function estimator instead")


# ---- shapes and values


def _split(self: Any, split_size: Any, dim: int = 0) -> tuple[Any, ...]:
    """Cut the tensor into views along ``dim``: of one size (the last may be smaller), or of the given sizes."""
    return torch.split(self, split_size, dim)  # type: ignore[no-any-return]


def _unflatten(self: Any, dim: int, sizes: Sequence[int]) -> Any:
    """Expand one dimension into several."""
    if not len(sizes):
        raise RuntimeError("unflatten: sizes must be non-empty")
    rank = self.dim()
    if not -rank <= dim < rank:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-rank}, {rank - 1}], but got {dim})")
    dim %= rank
    known = 1
    for size in sizes:
        known *= size if size != -1 else 1
    total = self.shape[dim]
    if list(sizes).count(-1) == 0 and known != total:
        raise RuntimeError(
            f"unflatten: Provided sizes {list(sizes)} don't multiply up to the size of dim {dim} ({total}) in the "
            "input tensor"
        )
    return self.view(*self.shape[:dim], *sizes, *self.shape[dim + 1 :])


def _stft(
    self: Any,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Any = None,
    center: bool = True,
    pad_mode: str = "reflect",
    normalized: bool = False,
    onesided: bool | None = None,
    return_complex: bool | None = None,
    align_to_window: bool | None = None,
) -> Any:
    """See :func:`torch.stft`."""
    return torch.stft(
        self, n_fft, hop_length, win_length, window, center, pad_mode, normalized, onesided,
        return_complex=return_complex, align_to_window=align_to_window,
    )  # fmt: skip


def _istft(
    self: Any,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Any = None,
    center: bool = True,
    normalized: bool = False,
    onesided: bool | None = None,
    length: int | None = None,
    return_complex: bool = False,
) -> Any:
    """See :func:`torch.istft`."""
    return torch.istft(
        self, n_fft, hop_length, win_length, window, center, normalized, onesided, length,
        return_complex=return_complex,
    )  # fmt: skip


def _norm(self: Any, p: Any = "fro", dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Any:
    """See :func:`torch.norm`."""
    return torch.norm(self, p, dim, keepdim, dtype=dtype)


def _lu(self: Any, pivot: bool = True, get_infos: bool = False) -> Any:
    """See :func:`torch.lu`."""
    factors, pivots, infos = torch.linalg.lu_factor_ex(self, pivot=pivot)
    return (factors, pivots, infos) if get_infos else (factors, pivots)


def _unique(
    self: Any,
    sorted: bool = True,  # noqa: A002
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """See :func:`torch.unique`."""
    return torch.unique(self, sorted=sorted, return_inverse=return_inverse, return_counts=return_counts, dim=dim)


def _unique_consecutive(
    self: Any, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """See :func:`torch.unique_consecutive`."""
    return torch.unique_consecutive(self, return_inverse=return_inverse, return_counts=return_counts, dim=dim)


def _contains(self: Any, element: Any) -> bool:
    if isinstance(element, (torch.Tensor, int, float, complex, bool)):
        return bool((element == self).any().item())
    raise RuntimeError(f"Tensor.__contains__ only supports Tensor or scalar, but you passed in a {type(element)}.")


def _iter(self: Any) -> Iterator[Any]:
    if self.dim() == 0:
        raise TypeError("iteration over a 0-d tensor")
    return iter(self.unbind(0))


def _reversed(self: Any) -> Any:
    return self if self.dim() == 0 else self.flip(0)


def _dim_order(self: Any, *, ambiguity_check: bool | Sequence[Any] = False) -> tuple[int, ...]:
    """The dimensions from the slowest to the fastest varying in memory."""
    strides = self.stride()
    order = tuple(sorted(range(self.dim()), key=lambda d: -strides[d]))
    if ambiguity_check is True and len(set(strides)) != len(strides):
        raise RuntimeError(
            "The tensor does not have unique dim order, or cannot map to exact one of the given memory formats."
        )
    return order


def _dir(self: Any) -> list[str]:
    names = {name for name in (*dir(type(self)), *self.__dict__) if not name[0].isdigit()}
    names.add("grad")
    if self.device.type != "cuda":
        names.discard("__cuda_array_interface__")
    return sorted(names)


def _rsub(self: Any, other: Any) -> Any:
    return torch.rsub(self, other)


def _rdiv(self: Any, other: Any) -> Any:
    return self.reciprocal() * other


def _rpow(self: Any, other: Any) -> Any:
    return torch.pow(other, self)


def _rmod(self: Any, other: Any) -> Any:
    return torch.remainder(other, self)


def _floordiv(self: Any, other: Any) -> Any:
    return torch.floor_divide(self, other)


def _rfloordiv(self: Any, other: Any) -> Any:
    return torch.floor_divide(other, self)


def _rlshift(self: Any, other: Any) -> Any:
    return torch.bitwise_left_shift(other, self)


def _rrshift(self: Any, other: Any) -> Any:
    return torch.bitwise_right_shift(other, self)


def _rmatmul(self: Any, other: Any) -> Any:
    return torch.matmul(other, self)


# ---- exchange with other libraries


def _array(self: Any, dtype: Any = None, copy: bool | None = None) -> Any:
    array = self.numpy()
    if dtype is not None:
        array = array.astype(dtype, copy=False)
    return array.copy() if copy else array


def _array_wrap(self: Any, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
    # NumPy calls this with the result of one of its functions on a tensor.
    if array.dtype == bool:
        array = array.astype("uint8")
    return torch.from_numpy(array)


def _cuda_array_interface(self: Any) -> dict[str, Any]:
    if self.device.type != "cuda":
        raise AttributeError(
            f"Can't get __cuda_array_interface__ on non-CUDA tensor type: {self.type()} If CUDA data is required use "
            "tensor.cuda() to copy tensor to device memory."
        )
    if self.layout is not torch.strided:
        raise AttributeError(
            f"Can't get __cuda_array_interface__ on sparse type: {self.type()} Use Tensor.to_dense() to convert to a "
            "dense tensor first."
        )
    if self.requires_grad:
        raise RuntimeError(
            "Can't get __cuda_array_interface__ on Variable that requires grad. If gradients aren't required, use "
            "var.detach() to get Variable that doesn't require grad."
        )
    size = self.element_size()
    kind = "c" if self.is_complex() else "f" if self.is_floating_point() else "b" if self.dtype is torch.bool else "i"
    if self.dtype in (torch.uint8, torch.uint16, torch.uint32, torch.uint64):
        kind = "u"
    strides = None if self.is_contiguous() else tuple(s * size for s in self.stride())
    data = (self.data_ptr() if self.numel() else 0, False)
    order = "|" if size == 1 else "<"
    return {"typestr": f"{order}{kind}{size}", "shape": tuple(self.shape), "strides": strides, "data": data,
            "version": 2}  # fmt: skip


def _dlpack(
    self: Any, *, stream: Any = -1, max_version: Any = None, dl_device: Any = None, copy: bool | None = None
) -> Any:
    """Export the tensor as a DLPack capsule."""
    if self.requires_grad:
        raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
    if self.is_conj():
        raise BufferError("Can't export tensors with the conjugate bit set")
    if self.layout is not torch.strided:
        raise BufferError("Can't export tensors with layout other than torch.strided")
    if stream is not None and type(stream) is not int:
        raise TypeError("stream must be ``int`` or ``none``")
    if dl_device is not None and tuple(dl_device) != _dlpack_device(self):
        raise BufferError(f"cannot export the tensor to another device: {tuple(dl_device)}")
    source = self.clone() if copy else self
    if max_version is not None and max_version[0] >= 1 and hasattr(torch._C, "_to_dlpack_versioned"):
        return torch._C._to_dlpack_versioned(source)
    return torch._C._to_dlpack(source)


def _dlpack_device(self: Any) -> tuple[int, int]:
    """The DLPack device type and index of this tensor."""
    kinds = {"cpu": 1, "cuda": 2, "opencl": 4}
    kind = kinds.get(self.device.type)
    if kind is None:
        raise ValueError(f"Unknown device type {self.device.type} for Dlpack")
    return kind, self.device.index or 0


# ---- memory


def _is_shared(self: Any) -> bool:
    """Whether the memory can be seen by other processes."""
    return self.device.type == "cuda" or bool(self.untyped_storage().is_shared())


def _share_memory(self: Any) -> Any:
    """Move the memory to where other processes can map it. Other tensors over the same storage stay where they are.

    Does nothing for a tensor that is shared already. Returns the tensor.

    Raises:
        RuntimeError: the tensor isn't in CPU memory.
        NotImplementedError: the tensor is sparse and so has no storage of its own.
    """
    from .multiprocessing._shared_memory import share_tensor

    return share_tensor(self)


def _module_load(self: Any, other: Any, assign: bool = False) -> Any:
    """What ``Module.load_state_dict`` puts in place of, or copies into, this parameter."""
    if assign:
        return other.detach()
    return self.detach().copy_(other).detach()


# ---- subclasses


def _convert(result: Any, cls: Any) -> Any:
    """Give every plain tensor in ``result`` the class ``cls``."""
    if cls is torch.Tensor:
        return result
    if isinstance(result, torch.Tensor) and not isinstance(result, cls):
        return result.as_subclass(cls)
    if isinstance(result, (tuple, list)):
        items = [_convert(item, cls) for item in result]
        # Named tuples take their fields one by one.
        return type(result)(*items) if hasattr(result, "_fields") else type(result)(items)
    return result


def _torch_function(cls: Any, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
    if not all(issubclass(cls, kind) for kind in types):
        return NotImplemented
    with torch._C.DisableTorchFunctionSubclass():
        result = func(*args, **(kwargs or {}))
        if func in torch.overrides.get_default_nowrap_functions():
            return result
        return _convert(result, cls)


# ---- what the library does not have


def _names(self: Any) -> tuple[None, ...]:
    return (None,) * self.dim()


def _has_names(self: Any) -> bool:
    """Return False: dimensions are not named."""
    return False


def _to_sparse_coo(self: Any) -> Any:
    """The tensor in the layout torch.sparse_coo."""
    return self.to_sparse()


def _unsupported(name: str, reason: str) -> Any:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"Tensor.{name} is not available: {reason}")

    method.__name__ = name
    method.__qualname__ = f"Tensor.{name}"
    method.__doc__ = f"Raises NotImplementedError: {reason}."
    return method


_NO_NAMES = "named tensors are not supported; address dimensions by index"

# These replace what a native type inherits or defines for itself.
_REQUIRED: dict[str, Any] = {
    "__repr__": _repr,
    "__format__": _format,
    "__reduce_ex__": _reduce_ex,
    "__deepcopy__": _deepcopy,
    "__setstate__": _setstate,
    "__array_priority__": 1000,
    "__dir__": _dir,
    "_typed_storage": _typed_storage,
    "storage": _storage,
}

# These fill gaps: a native method of the same name is the better one.
_OPTIONAL: dict[str, Any] = {
    "__array__": _array,
    "__array_wrap__": _array_wrap,
    "__contains__": _contains,
    "__cuda_array_interface__": property(_cuda_array_interface),
    "__dlpack__": _dlpack,
    "__dlpack_device__": _dlpack_device,
    "__floordiv__": _floordiv,
    "__iter__": _iter,
    "__rdiv__": _rdiv,
    "__reversed__": _reversed,
    "__rfloordiv__": _rfloordiv,
    "__rlshift__": _rlshift,
    "__rmatmul__": _rmatmul,
    "__rmod__": _rmod,
    "__rpow__": _rpow,
    "__rrshift__": _rrshift,
    "__rsub__": _rsub,
    "__rtruediv__": lambda self, other: _rdiv(self, other),
    "__torch_function__": classmethod(_torch_function),
    "align_as": _unsupported("align_as", _NO_NAMES),
    "align_to": _unsupported("align_to", _NO_NAMES),
    "backward": _backward,
    "dim_order": _dim_order,
    "has_names": _has_names,
    "is_shared": _is_shared,
    "istft": _istft,
    "lu": _lu,
    "module_load": _module_load,
    "names": property(_names),
    "norm": _norm,
    "refine_names": _unsupported("refine_names", _NO_NAMES),
    "reinforce": _reinforce,
    "rename": _unsupported("rename", _NO_NAMES),
    "rename_": _unsupported("rename_", _NO_NAMES),
    "share_memory_": _share_memory,
    "split": _split,
    "stft": _stft,
    "to_sparse_coo": _to_sparse_coo,
    "unflatten": _unflatten,
    "unique": _unique,
    "unique_consecutive": _unique_consecutive,
}


# Methods that overrides see as themselves. The others are native, or plumbing.
_SEEN = frozenset(
    """
    __contains__ __deepcopy__ __format__ __reversed__ dim_order is_shared istft lu module_load norm share_memory_ split
    stft unflatten unique unique_consecutive
    """.split()
)


def install(tensor_type: Any) -> None:
    """Attach the Python methods to the native tensor type."""
    native = tensor_type.__dict__
    for name, method in _OPTIONAL.items():
        if name not in native:
            _attach(tensor_type, name, method)
    for name, method in _REQUIRED.items():
        _attach(tensor_type, name, method)


def _attach(tensor_type: Any, name: str, method: Any) -> None:
    if callable(method) and hasattr(method, "__qualname__"):
        method.__name__ = name
        method.__qualname__ = f"Tensor.{name}"
    if name in _SEEN:
        method = overridable(method)
    setattr(tensor_type, name, method)
