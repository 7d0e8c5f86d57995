"""How the pickler of ``multiprocessing`` takes tensors and storages apart, so that processes share their memory.

A plain CPU tensor, a parameter and a buffer are moved to shared memory when they are pickled; what travels is the name
of that memory and the geometry. Of sparse and nested tensors the dense parts are. Every other tensor, and every tensor
of another device, travels as its values.

A storage that is pickled by itself and is not shared yet travels as a shared copy: it cannot move, since the tensors
that lie over it would not know.
"""

from __future__ import annotations

import os
import sys
from multiprocessing import reduction
from multiprocessing.reduction import ForkingPickler

import torch
from torch.storage import TypedStorage

from . import _shared_memory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NON_LEAF = (
    "Cowardly refusing to serialize non-leaf tensor which requires_grad, since autograd does not support crossing "
    "process boundaries.  If you just want to transfer the data, call detach() on the tensor before serializing "
    "(e.g., putting it on the queue)."
)


def fd_id(fd: int) -> tuple[int, int]:
    """Name the open file behind a descriptor: device and inode."""
    status = os.fstat(fd)
    return status.st_ino, status.st_dev


# ---- storages


def reduce_storage(storage: Any) -> Any:
    """Name the memory of an untyped storage."""
    if storage.device.type != "cpu":
        raise RuntimeError(f"Cannot pickle storage of device {storage.device}: only CPU memory can be shared")
    if not storage.nbytes():
        return rebuild_storage_empty, (type(storage),)
    if not _shared_memory.is_shared(storage):
        storage = _shared_memory.shared_copy(storage)
    mapping = _shared_memory.mapping_of(storage)
    assert mapping is not None
    if mapping.name is not None:
        _shared_memory.announce_named(mapping)
        return rebuild_storage_filename, (type(storage), b"", os.fsencode(mapping.name), storage.nbytes())
    handle = reduction.DupFd(mapping.descriptor)
    return rebuild_storage_fd, (type(storage), handle, storage.nbytes())


def rebuild_storage_empty(cls: Any) -> Any:
    return cls()


def rebuild_storage_fd(cls: Any, df: Any, size: int) -> Any:
    """Map the memory behind a descriptor that another process sent."""
    descriptor = df.detach()
    try:
        return _shared_memory.storage_over(_shared_memory.map_file(descriptor, size))
    finally:
        os.close(descriptor)


def rebuild_storage_filename(cls: Any, manager: bytes, handle: bytes, size: int, dtype: Any = None) -> Any:
    """Map a named file that another process sent. ``manager`` is not used: files look after themselves."""
    storage = _shared_memory.open_named(os.fsdecode(handle), size)
    return storage if dtype is None else TypedStorage(wrap_storage=storage, dtype=dtype)


def reduce_typed_storage(storage: Any) -> Any:
    return rebuild_typed_storage, (storage._untyped_storage, storage.dtype)


def rebuild_typed_storage(storage: Any, dtype: Any) -> Any:
    return TypedStorage(wrap_storage=storage, dtype=dtype)


def reduce_typed_storage_child(storage: Any) -> Any:
    return rebuild_typed_storage_child, (storage._untyped_storage, type(storage))


def rebuild_typed_storage_child(storage: Any, storage_type: Any) -> Any:
    return storage_type(wrap_storage=storage)


# ---- tensors


def reduce_tensor(tensor: Any) -> Any:
    """Take a tensor apart: its class, its storage, and offset, size, stride and ``requires_grad``.

    Raises:
        RuntimeError: for a tensor in the middle of a computation, since a graph cannot cross processes.
    """
    if tensor.requires_grad and not tensor.is_leaf:
        raise RuntimeError(_NON_LEAF)
    if tensor.requires_grad:
        torch.utils.hooks.warn_if_has_hooks(tensor)
    if tensor.is_nested and tensor.layout is torch.strided:
        return reduce_nested_tensor(tensor)
    if tensor.layout is not torch.strided:
        return reduce_sparse_tensor(tensor)
    size, stride, offset = tuple(tensor.size()), tuple(tensor.stride()), tensor.storage_offset()
    if tensor.device.type == "meta":
        nbytes = tensor.untyped_storage().nbytes()
        return rebuild_meta_tensor, (
            type(tensor), tensor.size(), stride, offset, tensor.dtype, nbytes, tensor.requires_grad,
        )  # fmt: skip
    if tensor.device.type != "cpu" or tensor.is_quantized:
        return tensor.__reduce_ex__(2)
    _shared_memory.share_tensor(tensor)
    storage = TypedStorage(wrap_storage=tensor.untyped_storage(), dtype=tensor.dtype)
    flags = {name: True for name, holds in (("conj", tensor.is_conj()), ("neg", tensor.is_neg())) if holds}
    metadata: tuple[Any, ...] = (offset, torch.Size(size), stride, tensor.requires_grad)
    return rebuild_tensor, (type(tensor), storage, (*metadata, flags) if flags else metadata)


def rebuild_tensor(cls: Any, storage: Any, metadata: Any) -> Any:
    """Put a tensor together over shared memory."""
    offset, size, stride, requires_grad, *flags = metadata
    tensor = torch._utils._rebuild_tensor(storage, offset, size, stride)
    tensor = torch._utils._set_flags(tensor, flags[0] if flags else None)
    return _as_class(tensor, cls, requires_grad)


def _as_class(tensor: Any, cls: Any, requires_grad: bool) -> Any:
    if cls is not torch.Tensor and cls is torch.nn.Parameter:
        # Constructing one would take requires_grad away from integers, but complain about them first.
        return torch.nn.Parameter(tensor, requires_grad=requires_grad)
    tensor.requires_grad = requires_grad
    return tensor


def rebuild_meta_tensor(
    tensor_cls: Any, tensor_size: Any, tensor_stride: Any, tensor_offset: int, dtype: Any, storage_size_bytes: int,
    requires_grad: bool,
) -> Any:  # fmt: skip
    storage = torch.UntypedStorage(storage_size_bytes, device="meta")
    tensor = torch._C._tensor_from_storage(storage, dtype, tensor_offset, tuple(tensor_size), tuple(tensor_stride))
    return _as_class(tensor, tensor_cls, requires_grad)


def reduce_sparse_tensor(sparse: Any) -> Any:
    """Take a sparse tensor apart into its dense parts."""
    if sparse.layout is torch.sparse_coo:
        indices = reduce_tensor(sparse._indices())
        values = reduce_tensor(sparse._values())
        return rebuild_sparse_coo_tensor, (*indices, *values, sparse.shape, sparse.is_coalesced())
    if sparse.layout in (torch.sparse_csr, torch.sparse_bsr):
        compressed, plain = sparse.crow_indices(), sparse.col_indices()
    elif sparse.layout in (torch.sparse_csc, torch.sparse_bsc):
        compressed, plain = sparse.ccol_indices(), sparse.row_indices()
    else:
        raise NotImplementedError(f"tensors of layout {sparse.layout} cannot be sent to another process")
    parts = (reduce_tensor(compressed), reduce_tensor(plain), reduce_tensor(sparse.values()))
    return rebuild_sparse_compressed_tensor, (*(piece for part in parts for piece in part), sparse.shape, sparse.layout)


def rebuild_sparse_coo_tensor(
    rebuild_indices_func: Any, rebuild_indices_args: Any, rebuild_values_func: Any, rebuild_values_args: Any,
    shape: Any, is_coalesced: bool,
) -> Any:  # fmt: skip
    indices = rebuild_indices_func(*rebuild_indices_args)
    values = rebuild_values_func(*rebuild_values_args)
    return torch.sparse_coo_tensor(indices, values, shape, is_coalesced=is_coalesced, check_invariants=False)


def rebuild_sparse_compressed_tensor(
    rebuild_compressed_indices_func: Any, rebuild_compressed_indices_args: Any, rebuild_plain_indices_func: Any,
    rebuild_plain_indices_args: Any, rebuild_values_func: Any, rebuild_values_args: Any, shape: Any, layout: Any,
) -> Any:  # fmt: skip
    compressed = rebuild_compressed_indices_func(*rebuild_compressed_indices_args)
    plain = rebuild_plain_indices_func(*rebuild_plain_indices_args)
    values = rebuild_values_func(*rebuild_values_args)
    return torch.sparse_compressed_tensor(compressed, plain, values, shape, layout=layout, check_invariants=False)


def reduce_nested_tensor(nt: Any) -> Any:
    """Take a nested tensor apart into its components."""
    return _rebuild_nested, ([part.detach() for part in nt.unbind()], nt.requires_grad)


def _rebuild_nested(parts: list[Any], requires_grad: bool) -> Any:
    return torch.nested.as_nested_tensor(parts).requires_grad_(requires_grad)


def init_reductions() -> None:
    """Register all of this with the pickler of ``multiprocessing``."""
    ForkingPickler.register(torch.Tensor, reduce_tensor)
    # Modules are not loaded for its sake: it registers itself when they are.
    parameters = sys.modules.get("torch.nn.parameter")
    if parameters is not None:
        ForkingPickler.register(parameters.Parameter, reduce_tensor)
    ForkingPickler.register(torch.UntypedStorage, reduce_storage)
    ForkingPickler.register(TypedStorage, reduce_typed_storage)
