"""What pipes are helped by: files, and decoding of their contents."""

from __future__ import annotations

from . import common, decoder

__all__ = ["common", "decoder"]
