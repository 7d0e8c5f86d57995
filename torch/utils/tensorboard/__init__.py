"""Writes what a training does for TensorBoard: ``SummaryWriter``. It needs the package: ``pip install tensorboard``.

Without that, the names of this module raise ModuleNotFoundError when they are imported.
"""

from __future__ import annotations

from importlib.util import find_spec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tensorboard.summary.writer.record_writer import RecordWriter  # noqa: F401

    from .writer import FileWriter, SummaryWriter  # noqa: F401

_NAMES = ("FileWriter", "RecordWriter", "SummaryWriter")
# What looks through all modules finds no names that it cannot have.
__all__ = list(_NAMES) if find_spec("tensorboard") else []


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from ._protos import needed

    if name == "RecordWriter":
        return needed("tensorboard.summary.writer.record_writer").RecordWriter
    needed("tensorboard")
    from . import writer

    return getattr(writer, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
