"""Settings of ``torch.save`` and ``torch.load``, as attributes of ``save`` and ``load``; ``patch`` changes some for a
block.

>>> from torch.utils.serialization import config
>>> with config.patch("load.mmap", True):
...     print(config.load.mmap)
True
>>> config.load.mmap
False
"""

from __future__ import annotations

from contextlib import contextmanager

from torch import serialization

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

__all__ = ["load", "patch", "save"]


class _Settings:
    """Attributes that can be read and set; AttributeError for others.

    Those that are ``fixed`` are what they are: NotImplementedError for another value.
    """

    def __init__(self, name: str, changeable: dict[str, str], fixed: dict[str, Any]) -> None:
        self.__dict__.update(_name=name, _changeable=changeable, _fixed=fixed)

    def __getattr__(self, name: str) -> Any:
        if name in self._changeable:
            return getattr(serialization._options, self._changeable[name])
        if name in self._fixed:
            return self._fixed[name]
        raise AttributeError(f"{__name__}.{self._name}.{name} does not exist")

    def __setattr__(self, name: str, value: Any) -> None:
        if getattr(self, name) == value:
            return
        if name in self._fixed:
            raise NotImplementedError(f"{__name__}.{self._name}.{name} is always {self._fixed[name]!r} in Tabula")
        setattr(serialization._options, self._changeable[name], value)

    def __dir__(self) -> list[str]:
        return [*self._changeable, *self._fixed]


load = _Settings(
    "load",
    {"mmap": "mmap", "endianness": "endianness", "mmap_flags": "mmap_flags"},
    {"calculate_storage_offsets": False},
)
save = _Settings(
    "save", {"compute_crc32": "compute_crc32"}, {"use_pinned_memory_for_d2h": False, "storage_alignment": 64}
)


@contextmanager
def patch(arg1: str | dict[str, Any] | None = None, arg2: Any = None, **kwargs: Any) -> Iterator[None]:
    """Change settings for a block: ``patch("load.mmap", True)``, or a dictionary of such names."""
    changes = {**(arg1 if isinstance(arg1, dict) else {arg1: arg2} if arg1 is not None else {}), **kwargs}
    places = {name: (globals()[name.partition(".")[0]], name.partition(".")[2]) for name in changes}
    before = {name: getattr(*place) for name, place in places.items()}
    try:
        for name, (settings, attribute) in places.items():
            setattr(settings, attribute, changes[name])
        yield
    finally:
        for name, (settings, attribute) in places.items():
            setattr(settings, attribute, before[name])
