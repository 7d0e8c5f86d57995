"""Classes whose objects an operation takes as they are: registered once, by reference or by value."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from torch._opaque_base import OpaqueBaseMeta

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_kinds: WeakKeyDictionary[type, str] = WeakKeyDictionary()


def register_opaque_type(cls: Any, *, typ: str, **options: Any) -> None:
    """Make a class opaque: ``typ`` is "reference" or "value". The further options concern graph capture only.

    AssertionError for another ``typ``; TypeError for a class whose metaclass isn't ``OpaqueBaseMeta``.
    """
    if typ not in ("reference", "value"):
        raise AssertionError(f"Opaque type must be either 'reference' or 'value', got {typ!r}")
    if not isinstance(cls, OpaqueBaseMeta):
        raise TypeError(
            f"Opaque type {cls} must subclass torch._opaque_base.OpaqueBase or "
            "'metaclass=torch._opaque_base.OpaqueBaseMeta'. This is required so that FakeScriptObject can be "
            "registered as a virtual subclass, allowing isinstance() checks to work during torch.compile tracing. "
        )
    _kinds[cls] = typ


def _kind(cls: Any) -> str | None:
    return _kinds.get(cls) if isinstance(cls, type) else None


def is_opaque_type(cls: Any) -> bool:
    """Whether the class was registered."""
    return _kind(cls) is not None


def is_opaque_reference_type(cls: Any) -> bool:
    """Whether the class was registered by reference."""
    return _kind(cls) == "reference"


def is_opaque_value_type(cls: Any) -> bool:
    """Whether the class was registered by value."""
    return _kind(cls) == "value"
