"""Typed views of storages, and the Python side of ``torch.UntypedStorage``."""

from __future__ import annotations

import copy
import sys

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

__all__ = ["TypedStorage", "UntypedStorage"]

UntypedStorage = torch.UntypedStorage

_warned_typed_storage = False

# Legacy storage class name -> dtype name. Only these classes appear in checkpoints; newer dtypes are saved untyped.
_LEGACY_NAMES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "BFloat16Storage": "bfloat16",
    "ComplexDoubleStorage": "complex128",
    "ComplexFloatStorage": "complex64",
    "QUInt8Storage": "quint8",
    "QInt8Storage": "qint8",
    "QInt32Storage": "qint32",
    "QUInt4x2Storage": "quint4x2",
    "QUInt2x4Storage": "quint2x4",
}


def _bytes_view(storage: Any) -> memoryview:
    """A writable flat byte view of an untyped storage."""
    return memoryview(storage).cast("B")


def _warn_typed_storage_removal(stacklevel: int = 2) -> None:
    global _warned_typed_storage
    if _warned_typed_storage:
        return
    _warned_typed_storage = True
    import warnings

    warnings.warn(
        "TypedStorage is deprecated. It will be removed in the future and UntypedStorage will be the only storage "
        "class. This should only matter to you if you are using storages directly.  To access UntypedStorage "
        "directly, use tensor.untyped_storage() instead of tensor.storage()",
        UserWarning,
        stacklevel=stacklevel + 1,
    )


def _reset_warn_typed_storage_removal() -> None:
    global _warned_typed_storage
    _warned_typed_storage = False


def _byteswap(storage: Any, itemsize: int) -> None:
    """Reverse the bytes of every ``itemsize``-byte element in place."""
    if itemsize < 2:
        return
    view = _bytes_view(storage)
    source = bytes(view)
    for k in range(itemsize):
        view[k::itemsize] = source[itemsize - 1 - k :: itemsize]


def _swap_size(dtype: Any) -> int:
    # The two halves of a complex number are swapped one by one.
    size: int = dtype.itemsize
    return size // 2 if dtype.is_complex else size


def _quantized_dtypes() -> tuple[Any, ...]:
    """Dtypes whose elements are stored as plain integers."""
    return (torch.quint8, torch.qint8, torch.qint32, torch.quint4x2, torch.quint2x4)


class TypedStorage:
    """A storage seen as elements of one dtype. It only wraps an ``UntypedStorage``."""

    dtype: Any
    is_sparse = False

    def __init__(
        self, *args: Any, wrap_storage: Any = None, dtype: Any = None, device: Any = None, _internal: bool = False
    ) -> None:
        fixed = getattr(type(self), "dtype", None)
        if fixed is not None:
            if dtype is not None and dtype is not fixed:
                raise RuntimeError(f"{type(self).__name__}.__new__: dtype cannot be specified: {dtype}")
            dtype = fixed
        elif dtype is None:
            dtype = torch.get_default_dtype()
        if wrap_storage is not None:
            if args:
                raise RuntimeError("Arguments:\nNo positional arguments should be given when using 'wrap_storage'")
            if not isinstance(wrap_storage, UntypedStorage):
                raise TypeError(f"Argument 'wrap_storage' must be UntypedStorage, but got {type(wrap_storage)}")
            if device is not None:
                raise RuntimeError("Argument 'device' should not be specified when 'wrap_storage' is given")
            storage = wrap_storage
        else:
            storage = self._new_untyped(args, dtype, "cpu" if device is None else device)
        self.dtype = dtype
        self._untyped_storage = storage

    @staticmethod
    def _new_untyped(args: tuple[Any, ...], dtype: Any, device: Any) -> Any:
        if len(args) > 1:
            raise RuntimeError(f"Too many positional arguments: expected at most 1, got {len(args)}")
        if not args:
            return UntypedStorage(0, device=device)
        if isinstance(args[0], int):
            return UntypedStorage(args[0] * dtype.itemsize, device=device)
        return torch.tensor(list(args[0]), dtype=dtype, device=device).untyped_storage()

    def _tensor(self) -> Any:
        dtype = self.dtype
        if dtype in _quantized_dtypes():
            from ._quantized.quantizer import stored

            dtype = stored(dtype)[0]
        return torch._C._tensor_from_storage(self._untyped_storage, dtype, 0, (self._size(),), (1,))

    def _size(self) -> int:
        return int(self._untyped_storage.nbytes() // self.dtype.itemsize)

    def _wrap(self, storage: Any) -> TypedStorage:
        return TypedStorage(wrap_storage=storage, dtype=self.dtype)

    def _maybe_wrap_index(self, index: Any) -> int:
        if not isinstance(index, int):
            raise RuntimeError(f"can't index a {type(self)} with {type(index)}")
        size = self._size()
        if not -size <= index < size:
            raise IndexError(f"index {index} out of range for storage of size {size}")
        return index % size

    @property
    def device(self) -> Any:
        return self._untyped_storage.device

    @property
    def is_cuda(self) -> bool:
        return self.device.type == "cuda"

    def untyped(self) -> Any:
        return self._untyped_storage

    def __sizeof__(self) -> int:
        return super().__sizeof__() + self.nbytes()

    def size(self) -> int:
        return self._size()

    def __len__(self) -> int:
        return self._size()

    def nbytes(self) -> int:
        return int(self._untyped_storage.nbytes())

    def element_size(self) -> int:
        return int(self.dtype.itemsize)

    def data_ptr(self) -> int:
        return int(self._untyped_storage.data_ptr())

    @property
    def _cdata(self) -> int:
        return int(self._untyped_storage._cdata)

    def get_device(self) -> int:
        return int(self._tensor().get_device())

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            raise RuntimeError("slices are only supported in UntypedStorage.__getitem__")
        return self._tensor()[self._maybe_wrap_index(index)].item()

    def __setitem__(self, index: Any, value: Any) -> None:
        if isinstance(index, slice):
            self._tensor()[index] = value if isinstance(value, (int, float, complex, bool)) else torch.tensor(value)
        else:
            self._tensor()[self._maybe_wrap_index(index)] = value

    def __iter__(self) -> Iterator[Any]:
        return iter(self.tolist())

    def tolist(self) -> list[Any]:
        result: list[Any] = self._tensor().tolist()
        return result

    def fill_(self, value: Any) -> TypedStorage:
        self._tensor().fill_(value)
        return self

    def copy_(self, source: Any, non_blocking: bool | None = None) -> TypedStorage:
        if isinstance(source, TypedStorage):
            self._tensor().copy_(source._tensor(), bool(non_blocking))
        else:
            self._untyped_storage.copy_(source, non_blocking)
        return self

    def clone(self) -> TypedStorage:
        return self._wrap(self._untyped_storage.clone())

    def resizable(self) -> bool:
        return bool(self._untyped_storage.resizable())

    def resize_(self, size: int) -> None:
        self._untyped_storage.resize_(size * self.dtype.itemsize)

    def cpu(self) -> TypedStorage:
        return self if self.device.type == "cpu" else self._wrap(self._tensor().cpu().untyped_storage())

    def to(self, *, device: Any, non_blocking: bool = False) -> TypedStorage:
        return self._wrap(self._tensor().to(device=device, non_blocking=non_blocking).untyped_storage())

    def cuda(self, device: Any = None, non_blocking: bool = False) -> TypedStorage:
        return self.to(device="cuda" if device is None else torch.device("cuda", device), non_blocking=non_blocking)

    def is_shared(self) -> bool:
        return bool(self._untyped_storage.is_shared())

    def share_memory_(self) -> TypedStorage:
        self._untyped_storage.share_memory_()
        return self

    def is_pinned(self, device: Any = "cuda") -> bool:
        return False

    def _to(self, dtype: Any) -> TypedStorage:
        return TypedStorage(wrap_storage=self._tensor().to(dtype, copy=True).untyped_storage(), dtype=dtype)

    def double(self) -> TypedStorage:
        return self._to(torch.float64)

    def float(self) -> TypedStorage:
        return self._to(torch.float32)

    def half(self) -> TypedStorage:
        return self._to(torch.float16)

    def bfloat16(self) -> TypedStorage:
        return self._to(torch.bfloat16)

    def long(self) -> TypedStorage:
        return self._to(torch.int64)

    def int(self) -> TypedStorage:
        return self._to(torch.int32)

    def short(self) -> TypedStorage:
        return self._to(torch.int16)

    def char(self) -> TypedStorage:
        return self._to(torch.int8)

    def byte(self) -> TypedStorage:
        return self._to(torch.uint8)

    def bool(self) -> TypedStorage:
        return self._to(torch.bool)

    def complex_double(self) -> TypedStorage:
        return self._to(torch.complex128)

    def complex_float(self) -> TypedStorage:
        return self._to(torch.complex64)

    def type(self, dtype: Any = None, non_blocking: Any = False) -> Any:
        if dtype is None:
            legacy = self._legacy_class()
            return "torch.storage.TypedStorage" if legacy is None else f"torch.{legacy.__name__}"
        if isinstance(dtype, str):
            dtype = _legacy_class_by_name(dtype)
        return self._to(dtype if isinstance(dtype, torch.dtype) else dtype.dtype)

    def _legacy_class(self) -> Any:
        return _class_for_dtype().get(self.dtype)

    def pickle_storage_type(self) -> str:
        return self._pickle_storage_type()

    def _pickle_storage_type(self) -> str:
        legacy = self._legacy_class()
        if legacy is None:
            raise KeyError(f"dtype {self.dtype} is not recognized")
        return str(legacy.__name__)

    def __eq__(self, other: object) -> Any:
        # Builtin `bool` is shadowed by the method of the same name in this class body only, not in function bodies.
        return isinstance(other, TypedStorage) and self._untyped_storage is other._untyped_storage

    def __hash__(self) -> Any:
        return hash(id(self._untyped_storage))

    def __repr__(self) -> str:
        info = f"[torch.storage.TypedStorage(dtype={self.dtype}, device={self.device}) of size {self._size()}]"
        if self.device.type == "meta":
            return "...\n" + info
        return " " + "\n ".join(map(str, self.tolist())) + "\n" + info

    def __deepcopy__(self, memo: dict[Any, Any]) -> TypedStorage:
        return self._wrap(copy.deepcopy(self._untyped_storage, memo))

    def __copy__(self) -> TypedStorage:
        return self.clone()

    def __reduce__(self) -> Any:
        return _reduce_storage(self)

    @classmethod
    def _new_shared(cls, size: Any, *, device: Any = "cpu") -> TypedStorage:
        dtype = getattr(cls, "dtype", None) or torch.get_default_dtype()
        return TypedStorage(wrap_storage=UntypedStorage._new_shared(size * dtype.itemsize, device=device), dtype=dtype)

    @classmethod
    def from_buffer(cls, *args: Any, **kwargs: Any) -> TypedStorage:
        dtype = getattr(cls, "dtype", None) or kwargs.pop("dtype", torch.get_default_dtype())
        return TypedStorage(wrap_storage=_from_buffer(dtype, *args, **kwargs), dtype=dtype)

    @classmethod
    def from_file(cls, filename: str, shared: Any = False, size: Any = 0) -> TypedStorage:
        dtype = getattr(cls, "dtype", None) or torch.get_default_dtype()
        storage = _from_file(UntypedStorage, filename, shared, size * dtype.itemsize)
        return TypedStorage(wrap_storage=storage, dtype=dtype)


class _LegacyStorageMeta(type):
    dtype: Any

    def __instancecheck__(cls, instance: Any) -> bool:
        if type(instance) is TypedStorage and getattr(cls, "dtype", None) is not None:
            return bool(instance.dtype is cls.dtype and instance.device.type == "cpu")
        return super().__instancecheck__(instance)


class _LegacyStorage(TypedStorage, metaclass=_LegacyStorageMeta):
    """Base of ``FloatStorage`` and its kin: calling one makes a ``TypedStorage`` of its dtype."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        _warn_typed_storage_removal(3)
        if cls is _LegacyStorage:
            raise RuntimeError("Only child classes of _LegacyStorage can be instantiated")
        # A plain TypedStorage is no instance of cls by type, so Python does not call __init__ a second time.
        return TypedStorage(*args, dtype=cls.dtype, **kwargs)


def _legacy_class_by_name(name: str) -> Any:
    return _LEGACY_CLASSES[name.rpartition(".")[2]]


def _make_legacy_classes() -> dict[str, Any]:
    classes: dict[str, Any] = {}
    for name, dtype_name in _LEGACY_NAMES.items():
        dtype = getattr(torch, dtype_name, None)
        if dtype is not None:
            members = {"dtype": dtype, "__module__": "torch", "__doc__": f"A TypedStorage of torch.{dtype_name}."}
            classes[name] = _LegacyStorageMeta(name, (_LegacyStorage,), members)
    return classes


_LEGACY_CLASSES = _make_legacy_classes()
_by_dtype: dict[Any, Any] = {}


def _class_for_dtype() -> dict[Any, Any]:
    if not _by_dtype:
        _by_dtype.update({cls.dtype: cls for cls in _LEGACY_CLASSES.values()})
    return _by_dtype


def _reduce_storage(storage: Any) -> Any:
    import io

    buffer = io.BytesIO()
    torch.save(storage, buffer, _use_new_zipfile_serialization=False)
    return _load_from_bytes, (buffer.getvalue(),)


def _load_from_bytes(data: bytes) -> Any:
    import io

    # Reached from pickle.loads, whose caller already trusts the bytes.
    return torch.load(io.BytesIO(data), weights_only=False)


def _from_buffer(
    dtype: Any, buffer: Any, byte_order: str | None = None, count: int = -1, offset: int = 0
) -> Any:
    view = memoryview(buffer).cast("B")[offset:]
    itemsize = dtype.itemsize
    if count >= 0:
        view = view[: count * itemsize]
    storage = UntypedStorage(len(view) // itemsize * itemsize)
    _bytes_view(storage)[:] = view[: storage.nbytes()]
    if byte_order not in (None, "native", sys.byteorder):
        _byteswap(storage, _swap_size(dtype))
    return storage


def _from_file(cls: Any, filename: str, shared: bool = False, nbytes: int = 0) -> Any:
    import mmap

    with open(filename, "r+b" if shared else "rb") as file:
        if shared and file.seek(0, 2) < nbytes:
            file.truncate(nbytes)
        access = mmap.ACCESS_WRITE if shared else mmap.ACCESS_COPY
        mapped = mmap.mmap(file.fileno(), nbytes, access=access)
    return torch._C._storage_from_bytes(memoryview(mapped))


def _untyped_repr(self: Any) -> str:
    info = f"[{type(self).__module__}.{type(self).__name__}(device={self.device}) of size {len(self)}]"
    if self.device.type == "meta":
        return "...\n" + info
    return " " + "\n ".join(map(str, self.tolist())) + "\n" + info


def _untyped_clone(self: Any) -> Any:
    result = UntypedStorage(self.nbytes(), device=self.device)
    if self.device.type == "cpu" and self.nbytes():
        _bytes_view(result)[:] = _bytes_view(self)
    return result


def _untyped_copy(self: Any, source: Any, non_blocking: Any = None) -> Any:
    if isinstance(source, TypedStorage):
        source = source.untyped()
    size = self.nbytes()
    if size != source.nbytes():
        raise RuntimeError("size does not match")
    if self.device.type == "cpu" and source.device.type == "cpu":
        if size:
            _bytes_view(self)[:] = _bytes_view(source)
        return self
    whole = ((size,), (1,))
    target = torch._C._tensor_from_storage(self, torch.uint8, 0, *whole)
    target.copy_(torch._C._tensor_from_storage(source, torch.uint8, 0, *whole))
    return self


def _untyped_fill(self: Any, value: int) -> Any:
    if self.nbytes():
        _bytes_view(self)[:] = bytes([value]) * self.nbytes()
    return self


def _untyped_deepcopy(self: Any, memo: dict[Any, Any]) -> Any:
    # Two tensors that share a storage share its copy too. Storage wrappers may come and go, their memory does not.
    cache = memo.setdefault("torch", {})
    key = (self.data_ptr(), self.nbytes()) if self.nbytes() else id(self)
    if key not in cache:
        cache[key] = self.clone()
    return cache[key]


def _is_shared(self: Any) -> bool:
    """Whether other processes can map the bytes."""
    # Nothing is before the module that makes shared memory has been loaded.
    module = sys.modules.get("torch.multiprocessing._shared_memory")
    return module is not None and module.is_shared(self)


def _share_memory(self: Any) -> Any:
    """Return the storage if it is shared already; it cannot be moved by itself."""
    if not self.nbytes() or _is_shared(self):
        return self
    raise RuntimeError(
        "share_memory_ on a storage: a storage cannot move to shared memory by itself. Call share_memory_ on the "
        "tensor, or make the memory with torch.UntypedStorage._new_shared(nbytes)"
    )


def _new_shared(cls: Any, size: int, *, device: Any = "cpu") -> Any:
    """A storage in shared memory, its bytes zero."""
    from .multiprocessing import _shared_memory, get_sharing_strategy

    if torch.device(device).type != "cpu":
        raise RuntimeError(f"only CPU memory can be shared between processes, not memory of {device}")
    return _shared_memory.new_storage(size, get_sharing_strategy() == "file_system")


def _untyped_cast(dtype_name: str) -> Any:
    def convert(self: Any) -> TypedStorage:
        view = TypedStorage(wrap_storage=self, dtype=torch.uint8)
        return view._to(getattr(torch, dtype_name))

    return convert


_UNTYPED_METHODS: dict[str, Any] = {
    "__repr__": _untyped_repr,
    "__len__": lambda self: self.nbytes(),
    # sys.getsizeof(storage) is how programs ask for a tensor's memory.
    "__sizeof__": lambda self: object.__sizeof__(self) + self.nbytes(),
    "__iter__": lambda self: iter(self.tolist()),
    "__copy__": _untyped_clone,
    "__deepcopy__": _untyped_deepcopy,
    "__reduce__": _reduce_storage,
    "clone": _untyped_clone,
    "copy_": _untyped_copy,
    "fill_": _untyped_fill,
    "tolist": lambda self: list(_bytes_view(self)),
    "untyped": lambda self: self,
    "element_size": lambda self: 1,
    "cpu": lambda self: self if self.device.type == "cpu" else UntypedStorage(self.nbytes()).copy_(self),
    "byteswap": lambda self, dtype: _byteswap(self, _swap_size(dtype)),
    "is_pinned": lambda self, device="cuda": False,
    "from_buffer": classmethod(lambda cls, *args, dtype=None, **kw: _from_buffer(dtype or torch.uint8, *args, **kw)),
    "from_file": classmethod(_from_file),
    "_new_shared": classmethod(_new_shared),
    "share_memory_": _share_memory,
    "is_sparse": False,
    "is_cuda": property(lambda self: self.device.type == "cuda"),
    "double": _untyped_cast("float64"),
    "float": _untyped_cast("float32"),
    "half": _untyped_cast("float16"),
    "bfloat16": _untyped_cast("bfloat16"),
    "long": _untyped_cast("int64"),
    "int": _untyped_cast("int32"),
    "short": _untyped_cast("int16"),
    "char": _untyped_cast("int8"),
    "byte": _untyped_cast("uint8"),
    "bool": _untyped_cast("bool"),
    "complex_double": _untyped_cast("complex128"),
    "complex_float": _untyped_cast("complex64"),
}


def install(storage_type: Any) -> None:
    """Attach the Python methods to the native storage type, except those that it defines itself."""
    for name, method in _UNTYPED_METHODS.items():
        if name not in storage_type.__dict__:
            setattr(storage_type, name, method)
    # The native one does not know of memory that Python maps.
    storage_type.is_shared = _is_shared


globals().update(_LEGACY_CLASSES)
