"""The files of ``torch.export.save``, as PyTorch 2.13 writes and reads them.

An archive of stored records: the graph as JSON (``_write.py``, ``_read.py``), the parameters, buffers and constants as
raw bytes (``_archive.py``), expressions of sizes as text (``_expressions.py``). Reading executes nothing: targets are
looked up by name among operations, nestings among those that pytree knows, text is parsed, and pickles are read with
``weights_only``.
"""

from __future__ import annotations

from ._archive import read, write

__all__ = ["read", "write"]
