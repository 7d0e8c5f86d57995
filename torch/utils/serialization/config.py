"""What ``torch.save`` and ``torch.load`` do where a call does not say.

The functions of ``torch.serialization`` (``set_crc32_options``, ``set_default_mmap_options``,
``set_default_load_endianness``) set the same values.

>>> from torch.utils.serialization import config
>>> with config.patch("load.mmap", True):
...     config.load.mmap
True
"""

from __future__ import annotations

from typing import Any

from .._config_module import install as _install


class load:  # noqa: N801
    """Of ``torch.load``."""

    # Whether files at a path are mapped and not read.
    mmap: bool = False
    # A torch.serialization.LoadEndianness: the byte order of files that do not record theirs.
    endianness: Any = None
    # mmap.MAP_PRIVATE (2) or mmap.MAP_SHARED (1).
    mmap_flags: int | None = 2
    # Accepted: where a record lies is always taken from the file's directory, which costs no read.
    calculate_storage_offsets: bool = False


class save:  # noqa: N801
    """Of ``torch.save``."""

    # Whether records get a checksum.
    compute_crc32: bool = True
    # Accepted: there is no memory of a device to copy from.
    use_pinned_memory_for_d2h: bool = False
    # Records begin at multiples of this number of bytes.
    storage_alignment: int = 64


_install(__name__)
