"""Functions that pickles name in order to rebuild tensors. Their names and argument orders are a file format."""

from __future__ import annotations

import copyreg
import sys

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__: list[str] = []


def _set_flags(tensor: Any, metadata: dict[str, bool] | None) -> Any:
    # Conjugate and negative views are saved as their raw memory plus these flags.
    if metadata:
        if metadata.get("conj"):
            tensor = tensor.conj()
        if metadata.get("neg"):
            tensor = torch._neg_view(tensor)
    return tensor


_LARGEST = (1 << 63) - 1
_MOST_DIMENSIONS = 64


def _over_storage(untyped: Any, dtype: Any, offset: int, size: Any, stride: Any) -> Any:
    """A tensor over existing memory. The geometry may come from a damaged file, so it must fit."""
    if not isinstance(untyped, torch.UntypedStorage) or not isinstance(dtype, torch.dtype):
        raise TypeError(f"a pickled tensor needs a storage and a dtype, but got {type(untyped)} and {dtype!r}")
    if len(size) != len(stride) or len(size) > _MOST_DIMENSIONS:
        raise RuntimeError(f"{len(size)} sizes and {len(stride)} strides in a pickled tensor")
    last, count = offset, 1
    for extent, step in zip(size, stride, strict=True):
        if extent < 0 or step < 0 or max(extent, step) > _LARGEST:
            raise RuntimeError(f"invalid size {tuple(size)} or stride {tuple(stride)} in a pickled tensor")
        last += (extent - 1) * step
        count *= extent
    empty = 0 in size
    if max(count, offset) > _LARGEST // dtype.itemsize:
        raise RuntimeError(f"invalid size {tuple(size)} or offset {offset} in a pickled tensor: too many elements")
    if offset < 0 or (not empty and untyped.device.type != "meta" and (last + 1) * dtype.itemsize > untyped.nbytes()):
        raise RuntimeError(
            f"setStorage: sizes {list(size)}, strides {list(stride)}, storage offset {offset}, and itemsize "
            f"{dtype.itemsize} requiring a storage size of {(last + 1) * dtype.itemsize} are out of bounds for storage "
            f"of size {untyped.nbytes()}"
        )
    return torch._C._tensor_from_storage(untyped, dtype, offset, tuple(size), tuple(stride))


def _rebuild_tensor(storage: Any, storage_offset: int, size: Any, stride: Any) -> Any:
    return _over_storage(storage._untyped_storage, storage.dtype, storage_offset, size, stride)


def _rebuild_tensor_v2(
    storage: Any,
    storage_offset: int,
    size: Any,
    stride: Any,
    requires_grad: bool,
    backward_hooks: Any,
    metadata: dict[str, bool] | None = None,
) -> Any:
    tensor = _set_flags(_rebuild_tensor(storage, storage_offset, size, stride), metadata)
    if requires_grad:
        tensor.requires_grad = True
    # Hooks are functions of another process: a file never brings them back, and an empty dict needs no call.
    if backward_hooks:
        tensor._backward_hooks = backward_hooks
    return tensor


def _rebuild_tensor_v3(
    storage: Any,
    storage_offset: int,
    size: Any,
    stride: Any,
    requires_grad: bool,
    backward_hooks: Any,
    dtype: Any,
    metadata: dict[str, bool] | None = None,
) -> Any:
    tensor = _over_storage(storage._untyped_storage, dtype, storage_offset, size, stride)
    tensor = _set_flags(tensor, metadata)
    if requires_grad:
        tensor.requires_grad = True
    if backward_hooks:
        tensor._backward_hooks = backward_hooks
    return tensor


def _rebuild_meta_tensor_no_storage(dtype: Any, size: Any, stride: Any, requires_grad: bool) -> Any:
    return torch.empty_strided(size, stride, dtype=dtype, device="meta", requires_grad=requires_grad)


def _rebuild_parameter(data: Any, requires_grad: bool, backward_hooks: Any) -> Any:
    param = torch.nn.Parameter(data, requires_grad)
    if backward_hooks:
        param._backward_hooks = backward_hooks
    return param


def _rebuild_parameter_with_state(data: Any, requires_grad: bool, backward_hooks: Any, state: Any) -> Any:
    return _set_obj_state(_rebuild_parameter(data, requires_grad, backward_hooks), state)


def _rebuild_qtensor(
    storage: Any, storage_offset: int, size: Any, stride: Any, quantizer_params: Any, requires_grad: bool,
    backward_hooks: Any,
) -> Any:  # fmt: skip
    from ._quantized.quantizer import stored
    from ._quantized.tensor import rebuilt

    dtype = storage.dtype
    integers = _over_storage(storage._untyped_storage, stored(dtype)[0], storage_offset, size, stride)
    return rebuilt(integers, quantizer_params, dtype)


def _rebuild_sparse_tensor(layout: Any, data: Any, check_invariants: bool = False) -> Any:
    if layout is torch.sparse_coo:
        indices, values, size, *coalesced = data
        flag = {"is_coalesced": coalesced[0]} if coalesced else {}
        return torch.sparse_coo_tensor(indices, values, size, check_invariants=check_invariants, **flag)
    compressed, plain, values, size = data
    return torch.sparse_compressed_tensor(
        compressed, plain, values, size, layout=layout, check_invariants=check_invariants
    )


def _rebuild_nested_tensor(buffer: Any, sizes: Any, strides: Any, offsets: Any) -> Any:
    """A nested tensor of the strided layout: one row of ``sizes`` and of ``strides``, and one offset, per entry."""
    from .nested._strided import gathered

    storage, start, dtype = buffer.untyped_storage(), buffer.storage_offset(), buffer.dtype
    rows = zip(offsets.tolist(), sizes.tolist(), strides.tolist(), strict=True)
    return gathered([_over_storage(storage, dtype, start + at, size, stride) for at, size, stride in rows], dtype)


def _rebuild_device_tensor_from_cpu_tensor(data: Any, dtype: Any, device: Any, requires_grad: bool) -> Any:
    tensor = data.to(dtype=dtype, device=device)
    tensor.requires_grad = requires_grad
    return tensor


def _rebuild_device_tensor_from_numpy(data: Any, dtype: Any, device: Any, requires_grad: bool) -> Any:
    tensor = torch.from_numpy(data).to(dtype=dtype, device=device)
    tensor.requires_grad = requires_grad
    return tensor


_rebuild_xla_tensor = _rebuild_device_tensor_from_numpy


def _rebuild_wrapper_subclass(
    cls: Any, dtype: Any, size: Any, stride: Any, storage_offset: int, layout: Any, device: Any, requires_grad: bool
) -> Any:
    """A tensor of a subclass without memory; its attributes follow."""
    return torch.Tensor._make_wrapper_subclass(
        cls, size, strides=stride, dtype=dtype, storage_offset=storage_offset, layout=layout, device=device,
        requires_grad=requires_grad,
    )  # fmt: skip


def _rebuild_from_type_v2(func: Any, kind: Any, args: Any, state: Any) -> Any:
    result = func(*args)
    if type(result) is not kind:
        result = result.as_subclass(kind)
    # A class with its own __setstate__ takes the state in its own way.
    if getattr(kind, "__setstate__", torch.Tensor.__setstate__) is not torch.Tensor.__setstate__:
        result.__setstate__(state)
    else:
        result = _set_obj_state(result, state)
    return result


# The name that PyTorch's files have for it.
_rebuild_from_type_v2.__module__ = "torch._tensor"


def _get_obj_state(obj: Any) -> Any:
    """What pickle must carry besides the tensor itself: its ``__dict__``, and its slots when it has some."""
    getstate = type(obj).__dict__.get("__getstate__")
    if getstate is not None:
        return obj.__getstate__()
    slots = {}
    for kind in type(obj).__mro__:
        names = kind.__dict__.get("__slots__", ())
        for name in (names,) if isinstance(names, str) else names:
            if name not in ("__dict__", "__weakref__") and hasattr(obj, name):
                slots[name] = getattr(obj, name)
    # Of a subclass with __torch_function__ the attributes are asked for below it.
    with torch._C.DisableTorchFunctionSubclass():
        attributes = getattr(obj, "__dict__", None)
    return (attributes, slots) if slots else attributes


def _set_obj_state(obj: Any, state: Any) -> Any:
    attributes, slots = state, None
    if isinstance(state, tuple):
        if len(state) != 2:
            raise RuntimeError(f"Invalid serialized state: {state}")
        attributes, slots = state
    for values in (attributes, slots):
        for name, value in (values or {}).items():
            setattr(obj, name, value)
    return obj


def _import_dotted_name(name: str) -> Any:
    first, *rest = name.split(".")
    obj = __import__(first)
    for part in rest:
        obj = getattr(obj, part)
    return obj


def _element_size(dtype: Any) -> int:
    return int(dtype.itemsize)


def _flatten_dense_tensors(tensors: Any) -> Any:
    return torch.cat([t.contiguous().view(-1) for t in tensors])


def _unflatten_dense_tensors(flat: Any, tensors: Any) -> tuple[Any, ...]:
    pieces, offset = [], 0
    for tensor in tensors:
        pieces.append(flat.narrow(0, offset, tensor.numel()).view_as(tensor))
        offset += tensor.numel()
    return tuple(pieces)


def _reduce_size(size: Any) -> Any:
    return torch.Size, (tuple(size),)


def _reduce_device(device: Any) -> Any:
    args = (device.type,) if device.index is None else (device.type, device.index)
    return torch.device, args


def _reduce_named(value: Any) -> str:
    # "torch.float32" -> "float32": pickle then stores a reference to the attribute of module torch.
    return str(value).rpartition(".")[2]


def _get_layout(name: str) -> Any:
    for value in vars(torch).values():
        if isinstance(value, torch.layout) and str(value) == name:
            return value
    raise KeyError(name)


def _reduce_layout(value: Any) -> Any:
    from . import serialization

    return serialization._get_layout, (str(value),)


def install_pickling() -> None:
    """Teach pickle and copy about the native value types."""
    copyreg.pickle(torch.Size, _reduce_size)
    copyreg.pickle(torch.device, _reduce_device)
    copyreg.pickle(torch.dtype, _reduce_named)
    copyreg.pickle(torch.memory_format, _reduce_named)
    copyreg.pickle(torch.layout, _reduce_layout)


class ExceptionWrapper:
    """Carries an exception out of a worker, with its traceback as text, and raises it again elsewhere."""

    def __init__(self, exc_info: Any = None, where: str = "in background") -> None:
        import traceback

        kind, value, trace = exc_info if exc_info is not None else sys.exc_info()
        self.exc_type = kind
        self.exc_msg = "".join(traceback.format_exception(kind, value, trace))
        self.where = where

    def reraise(self) -> None:
        message = f"Caught {self.exc_type.__name__} {self.where}.\nOriginal {self.exc_msg}"
        if self.exc_type is KeyError:
            # str(KeyError) is the repr of its argument, which would show the line breaks as "\n".
            raise KeyError(_PlainText(message))
        try:
            exception = self.exc_type(message)
        except Exception:
            # The constructor wants other arguments.
            raise RuntimeError(message) from None
        raise exception


class _PlainText(str):
    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)
