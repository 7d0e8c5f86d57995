"""``OpaqueBase``: the base of classes whose objects pass through an operation's arguments unexamined."""

from __future__ import annotations


class OpaqueBaseMeta(type):
    """The class of opaque classes; a class that can't derive from ``OpaqueBase`` may have it as its metaclass."""


class OpaqueBase(metaclass=OpaqueBaseMeta):
    """Base class of opaque objects."""
