"""Messages between a loader and its worker processes.

A message is pickled and goes through a socket. The bytes of its tensors, and of large buffers that pickle takes out of
band (NumPy arrays), are not part of the pickle. If there are few they follow it; otherwise they are written to a file
without a name, in memory, whose descriptor goes with the message and which the receiver maps: nothing is copied there
and nothing depends on the size of ``/dev/shm``. Of a storage only the part that its tensors in the message reach is
sent, and tensors that share a storage share it on the other side.
"""

from __future__ import annotations

import array
import copyreg
import io
import mmap
import os
import pickle
import socket
import struct
import sys
import weakref
from multiprocessing.reduction import ForkingPickler

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# Lengths of the pickle and of the bytes beside it, and whether these are in a file.
_HEADER = struct.Struct("QQ?")
_INLINE = 1 << 16  # so many bytes travel through the socket
_ALIGNMENT = 64
_OUT_OF_BAND = 1 << 12


class _Part:
    """A range of the bytes beside the pickle: one storage, or one buffer."""

    __slots__ = ("high", "low", "source", "view")

    def __init__(self, source: Any, view: memoryview, low: int, high: int) -> None:
        self.source = source  # keeps the memory alive
        self.view = view
        self.low = low
        self.high = high


def _is_parameter(obj: Any) -> bool:
    parameters = sys.modules.get("torch.nn.parameter")
    return parameters is not None and type(obj) is parameters.Parameter


class _Packer(pickle.Pickler):
    """Leaves the bytes of tensors and of large buffers out."""

    def __init__(self, file: Any) -> None:
        parts: list[_Part] = []
        buffers: list[int] = []

        # No method: a pickler that refers to itself would keep a batch until the next collection of garbage.
        def take_out(buffer: Any) -> bool:
            view = buffer.raw()
            if view.nbytes < _OUT_OF_BAND:
                return True
            buffers.append(len(parts))
            parts.append(_Part(buffer, view, 0, view.nbytes))
            return False

        super().__init__(file, 5, buffer_callback=take_out)
        self.dispatch_table = copyreg.dispatch_table.copy()
        self.dispatch_table.update(ForkingPickler._extra_reducers)  # type: ignore[attr-defined]
        self.parts = parts
        self.buffers = buffers
        self._storages: dict[int, int] = {}

    def reducer_override(self, obj: Any) -> Any:
        if type(obj) is torch.UntypedStorage and obj.device.type == "cpu":
            return _StoragePlaceholder, (self._storage(obj, 0, obj.nbytes()),)
        if type(obj) is not torch.Tensor and not _is_parameter(obj):
            return NotImplemented
        if obj.layout is not torch.strided or obj.device.type != "cpu" or obj.is_nested or obj.is_quantized:
            return obj.__reduce_ex__(2)
        if obj.requires_grad and not obj.is_leaf:
            from torch.multiprocessing import reductions

            return reductions.reduce_tensor(obj)  # raises
        if obj.requires_grad:
            torch.utils.hooks.warn_if_has_hooks(obj)
        flags = {name: True for name, holds in (("conj", obj.is_conj()), ("neg", obj.is_neg())) if holds}
        size, stride, offset = tuple(obj.size()), tuple(obj.stride()), obj.storage_offset()
        part = self._part(obj, size, stride, offset)
        return _Placeholder, (part, type(obj), obj.dtype, offset, size, stride, obj.requires_grad, flags)

    def _part(self, tensor: Any, size: tuple[int, ...], stride: tuple[int, ...], offset: int) -> int:
        if not tensor.numel():
            return -1
        itemsize = tensor.dtype.itemsize
        low = offset * itemsize
        high = (offset + 1 + sum((n - 1) * step for n, step in zip(size, stride, strict=True))) * itemsize
        return self._storage(tensor.untyped_storage(), low, high)

    def _storage(self, storage: Any, low: int, high: int) -> int:
        key = storage.data_ptr()
        number = self._storages.get(key)
        if not high:
            return -1
        if number is None:
            self._storages[key] = number = len(self.parts)
            self.parts.append(_Part(storage, memoryview(storage).cast("B"), low, high))
        else:
            part = self.parts[number]
            part.low, part.high = min(part.low, low), max(part.high, high)
        return number


class _Placeholder:
    """Stands for the function that puts a tensor together, which belongs to the message that is being read."""

    def __new__(cls, *args: Any) -> Any:
        raise TypeError("a message to a loader cannot be read by itself")


class _StoragePlaceholder(_Placeholder):
    """The same for a storage."""


class _Rebuilder:
    """Puts tensors together over the parts of a message."""

    def __init__(self, views: list[memoryview], lows: list[int]) -> None:
        self._views = views
        self._lows = lows
        self._storages: dict[int, Any] = {}

    def storage(self, part: int) -> Any:
        if part < 0:
            return torch.UntypedStorage(0)
        if part not in self._storages:
            self._storages[part] = torch._C._storage_from_bytes(self._views[part])
        return self._storages[part]

    def tensor(
        self, part: int, kind: Any, dtype: Any, offset: int, size: Any, stride: Any, requires_grad: bool, flags: Any
    ) -> Any:
        storage = self.storage(part)
        if part < 0:
            offset = 0
        else:
            # The part begins at a multiple of every element size that its tensors have, see pack().
            offset -= self._lows[part] // dtype.itemsize
        tensor = torch._utils._set_flags(torch._C._tensor_from_storage(storage, dtype, offset, size, stride), flags)
        if kind is not torch.Tensor:
            return torch.nn.Parameter(tensor, requires_grad=requires_grad)
        if requires_grad:
            tensor.requires_grad = True
        return tensor


class _Unpacker(pickle.Unpickler):
    def __init__(self, file: Any, views: list[memoryview], lows: list[int], buffers: list[int]) -> None:
        super().__init__(file, buffers=[views[number] for number in buffers])
        self._rebuilder = _Rebuilder(views, lows)

    def find_class(self, module: str, name: str) -> Any:
        if module == __name__:
            return self._rebuilder.tensor if name == "_Placeholder" else self._rebuilder.storage
        return super().find_class(module, name)


def pack(obj: Any) -> tuple[bytes, list[Any], int]:
    """Return the pickle, the pieces of memory that belong beside it, and their number of bytes with the gaps."""
    file = io.BytesIO()
    # The table of parts precedes the objects, but is known after them: it is made in a pickle of its own.
    packer = _Packer(file)
    packer.dump(obj)
    pieces: list[Any] = []
    table, position = [], 0
    for part in packer.parts:
        # Storages may be seen through several dtypes; sixteen bytes are the widest.
        low = part.low - part.low % 16
        start = -(-position // _ALIGNMENT) * _ALIGNMENT
        if start > position:
            pieces.append(bytes(start - position))
        pieces.append(part.view[low : part.high])
        table.append((start, part.high - low, low))
        position = start + part.high - low
    head = pickle.dumps((table, packer.buffers), 5)
    return head + file.getvalue(), pieces, position


def unpack(payload: Any, side: memoryview) -> Any:
    """Read what ``pack`` made; the tensors lie over ``side``."""
    file = io.BytesIO(payload)
    table, buffers = pickle.load(file)
    views = [side[start : start + nbytes] for start, nbytes, _ in table]
    return _Unpacker(file, views, [low for _, _, low in table], buffers).load()


# Mapped batches that are still in use. Each holds a descriptor, of which there are not many.
_mapped: weakref.WeakSet[Any] = weakref.WeakSet()


class _Batch(mmap.mmap):
    __hash__ = object.__hash__


def _most_mapped() -> int:
    import resource

    return max(16, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 4)


def _read_file(descriptor: int, nbytes: int) -> memoryview:
    """The bytes of a file: mapped, or copied where too many are mapped already."""
    try:
        if len(_mapped) < _most_mapped():
            batch = _Batch(descriptor, nbytes)
            _mapped.add(batch)
            return memoryview(batch)
        copy = memoryview(bytearray(nbytes))
        done = 0
        while done < nbytes:
            done += os.preadv(descriptor, [copy[done:]], done)
        return copy
    finally:
        os.close(descriptor)


def _write_file(pieces: list[Any], nbytes: int) -> int:
    """A file without a name that holds the pieces."""
    from torch.multiprocessing import _shared_memory

    descriptor = _shared_memory.anonymous_file(nbytes)
    views = [memoryview(piece) for piece in pieces]
    while views:
        # Writing, unlike storing to a mapping, clears no pages in advance and takes no page faults.
        done = os.writev(descriptor, views[:512])
        while views and done >= views[0].nbytes:
            done -= views.pop(0).nbytes
        if done:
            views[0] = views[0][done:]
    return descriptor


class Channel:
    """One end of the socket between a loader and a worker."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self._outgoing = bytearray()

    def __reduce__(self) -> Any:
        return Channel, (self.socket,)

    def fileno(self) -> int:
        return self.socket.fileno()

    def close(self) -> None:
        self.socket.close()

    # ---- the worker's side: waits

    def send(self, obj: Any) -> None:
        """Send a message; the other side reads, so this may wait."""
        payload, pieces, nbytes = pack(obj)
        if nbytes <= _INLINE:
            self._send_all([_HEADER.pack(len(payload), nbytes, False), payload, *pieces])
            return
        descriptor = _write_file(pieces, nbytes)
        try:
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))]
            header = _HEADER.pack(len(payload), nbytes, True)
            sent = self.socket.sendmsg([header], rights)
            self._send_all([header[sent:], payload])
        finally:
            os.close(descriptor)

    def _send_all(self, pieces: list[Any]) -> None:
        for piece in pieces:
            self.socket.sendall(piece)

    # ---- the loader's side: sends without waiting, since a worker that waits for it to read does not read itself

    def post(self, obj: Any) -> None:
        """Send a message as far as the socket takes it; ``flush`` sends the rest."""
        payload, pieces, nbytes = pack(obj)
        self._outgoing += _HEADER.pack(len(payload), nbytes, False) + payload
        for piece in pieces:
            self._outgoing += piece
        self.flush()

    def flush(self) -> None:
        """Send more of what was posted."""
        while self._outgoing:
            try:
                sent = self.socket.send(self._outgoing, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
            except BlockingIOError:
                return
            del self._outgoing[:sent]

    @property
    def has_more(self) -> bool:
        """Whether something posted has not been sent."""
        return bool(self._outgoing)

    def receive(self) -> Any:
        """Wait for a message. Raises EOFError if the other side is gone."""
        header = bytearray(_HEADER.size)
        view = memoryview(header)
        room = array.array("i", [0]).itemsize
        got, ancillary, _, _ = self.socket.recvmsg_into([view], socket.CMSG_SPACE(room), socket.MSG_CMSG_CLOEXEC)
        descriptors = array.array("i")
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                descriptors.frombytes(data[: len(data) - len(data) % room])
        if not got:
            raise EOFError
        self._fill(view[got:])
        length, nbytes, in_file = _HEADER.unpack(header)
        payload = memoryview(bytearray(length))
        self._fill(payload)
        if not in_file:
            side = memoryview(bytearray(nbytes))
            self._fill(side)
            return unpack(payload, side)
        if not descriptors:
            raise RuntimeError(
                "the memory of a batch could not be received: too many open files. Raise the limit (ulimit -n)"
            )
        return unpack(payload, _read_file(descriptors[0], nbytes))

    def _fill(self, view: memoryview) -> None:
        while view.nbytes:
            got = self.socket.recv_into(view)
            if not got:
                raise EOFError
            view = view[got:]


def pair() -> tuple[Channel, Channel]:
    """Both ends of a channel."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    return Channel(ours), Channel(theirs)


# ---- ends that must not live on in forked processes: a worker learns from a closed socket that its loader is gone

_kept: weakref.WeakSet[Channel] = weakref.WeakSet()


def keep_from_children(channel: Channel) -> None:
    """Close this end in every process that is forked from now on."""
    if not _kept:
        _register()
    _kept.add(channel)


def _make_register() -> Callable[[], None]:
    registered = False

    def close_all() -> None:
        for channel in tuple(_kept):
            channel.close()
        _kept.clear()

    def register() -> None:
        nonlocal registered
        if not registered:
            registered = True
            os.register_at_fork(after_in_child=close_all)

    return register


_register = _make_register()
