"""What callers may set for saving and loading: byte order, mapping, checksums, and leaving the data out."""

from __future__ import annotations

import enum

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAP_SHARED = 1
MAP_PRIVATE = 2


def _config() -> Any:
    from .utils.serialization import config

    return config


class LoadEndianness(enum.Enum):
    """Byte order to assume for checkpoints that do not record theirs."""

    NATIVE = 1
    LITTLE = 2
    BIG = 3


LoadEndianness.__module__ = "torch.serialization"


def get_crc32_options() -> bool:
    """Whether ``torch.save`` computes a checksum of every record."""
    return bool(_config().save.compute_crc32)


def set_crc32_options(compute_crc32: bool) -> None:
    """Choose whether ``torch.save`` computes checksums; other zip tools complain about files without them."""
    _config().save.compute_crc32 = compute_crc32


def get_default_load_endianness() -> Any:
    """The byte order of checkpoints that do not record theirs: a ``LoadEndianness``; None stands for little."""
    return _config().load.endianness


def set_default_load_endianness(endianness: Any) -> None:
    """Set the byte order of checkpoints that do not record theirs; TypeError for what is no ``LoadEndianness``."""
    if not isinstance(endianness, LoadEndianness) and endianness is not None:
        raise TypeError("Invalid argument type in function set_default_load_endianness")
    _config().load.endianness = endianness


def get_default_mmap_options() -> int | None:
    """The flags that ``torch.load(mmap=True)`` maps files with: ``MAP_PRIVATE`` or ``MAP_SHARED``."""
    return _config().load.mmap_flags  # type: ignore[no-any-return]


class set_default_mmap_options:  # noqa: N801
    """Set the flags for ``torch.load(mmap=True)``: at once, and until the end of a ``with`` block if used as one.

    With ``mmap.MAP_PRIVATE``, the default, writes to a mapped storage stay in this process; with ``mmap.MAP_SHARED``
    they change the file. Raises ValueError for other flags.
    """

    def __init__(self, flags: int) -> None:
        if flags not in (MAP_SHARED, MAP_PRIVATE):
            raise ValueError(
                f"Invalid argument in function set_default_mmap_options, expected mmap.MAP_PRIVATE or "
                f"mmap.MAP_SHARED, but got {flags}"
            )
        self._before = get_default_mmap_options()
        _config().load.mmap_flags = flags

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc: Any) -> None:
        _config().load.mmap_flags = self._before


_skipping: list[bool] = []


class skip_data:  # noqa: N801
    """Inside the block ``torch.save`` leaves the bytes of storages unwritten and ``torch.load`` leaves them unread.

    A file saved this way has room for them: zeros.
    """

    def __init__(self, materialize_fake_tensors: bool = False) -> None:
        self._materialize = materialize_fake_tensors

    def __enter__(self) -> None:
        _skipping.append(self._materialize)

    def __exit__(self, *exc: Any) -> None:
        _skipping.pop()


def skips_data() -> bool:
    """Whether a :class:`skip_data` block is open."""
    return bool(_skipping)
